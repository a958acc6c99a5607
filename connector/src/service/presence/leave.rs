//! A data plane that is told to stop says so before it does: its pulls move while it still serves them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::Presence;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult, transfer};
use crate::store::{data_plane, now_ms, presence, registry};

/// Longest time that a plane waits for its flows to move.
const PATIENCE: Duration = Duration::from_secs(15);
/// Shortest time between two looks, however much happens.
const BREATH: Duration = Duration::from_millis(50);
/// A look without an event: another replica may have done it.
const LOOK: Duration = Duration::from_millis(500);

/// The data plane `id` is about to stop. Returns when the counter-parties of its pulls know the new addresses, or after a while, or at once
/// when nobody is there to take them.
///
/// # Errors
/// `not_found` when it is not present.
pub(crate) async fn leave(app: &Arc<App>, id: &str) -> ServiceResult<()> {
    let mut events = app.store.subscribe_events();
    let moving = movable(app, id).await?;
    let (context, plane) = (app.context(), id.to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                if !presence::leave(unit, context, &plane).await? {
                    return Err(ServiceError::not_found(format!("data plane `{plane}` is not present")));
                }
                unit.event(context, "dataplane.leaving".to_owned(), &plane, &json!({})).await?;
                Ok(())
            })
        })
        .await?;
    app.presences.changed();
    let planes = registry::all::<data_plane::Entity>(&app.store, app.context()).await?;
    let now = now_ms();
    let stays = |plane: &data_plane::Model| Presence::of(plane, now, app.started_at) == Presence::Present;
    if !planes.iter().any(|plane| plane.id != id && stays(plane)) {
        return Ok(());
    }
    let begin = Instant::now();
    while presence::unsettled(&app.store, app.context(), id, &moving).await? > 0 && begin.elapsed() < PATIENCE {
        tokio::time::sleep(BREATH).await;
        // Whether it came or not, it is time to look.
        let _ = tokio::time::timeout(LOOK, events.recv()).await;
    }
    tracing::info!(data_plane = id, flows = moving.len(), ms = begin.elapsed().as_millis(), "a data plane leaves");
    Ok(())
}

/// The transfers whose flows can go to another plane.
async fn movable(app: &App, plane: &str) -> ServiceResult<Vec<String>> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let rows = presence::provided(&app.store, app.context(), plane, &after).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after.clone_from(&last.id);
        found.extend(rows.into_iter().filter(transfer::may_move).map(|row| row.id));
    }
}
