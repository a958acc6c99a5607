//! The watch over data planes: writes down that one is gone when nobody has said otherwise for too long, and moves the flows of one that is
//! gone or about to stop to others, see [`transfer::relocate`].
//!
//! Nothing is asked again and again while all are there: it sleeps until the next moment at which a plane's time is over. Everything it does
//! is decided by rows, so that a restart goes on where it was, and several replicas do it once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{GRACE_MS, Presence};
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::transfer;
use crate::store::presence::ABSENT;
use crate::store::{data_plane, now_ms, presence, registry};

/// Longest sleep: a clock that was set meanwhile is noticed then.
const MOST: Duration = Duration::from_secs(60);
/// Pause after a failure of the database.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Pause between two looks at a plane that is gone, since an answer of it or of a counter-party may have been under way.
const AGAIN: Duration = Duration::from_secs(1);
/// The same when nothing has come for a while.
const STILL_GONE: Duration = Duration::from_secs(15);
/// Looks at the shorter pause after the last change.
const LOOKS: u32 = 10;
/// Transfers that are moved at the same time, so that they share commits.
const TOGETHER: usize = 64;

/// Watches until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut looks: u32 = 0;
    loop {
        let pause = match look(&app).await {
            Ok(look) => {
                looks = looks.saturating_add(1);
                pause(&look, looks, now_ms(), app.started_at)
            }
            Err(error) => {
                tracing::warn!(%error, "the data planes could not be looked at; they are again in a moment");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = app.presences.next() => looks = 0,
        }
    }
}

/// What a look has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    /// Some plane is gone or about to stop, and another one could take its flows.
    gone: bool,
    /// When the time of the next plane is over, ms.
    next_at: Option<i64>,
}

fn pause(look: &Look, looks: u32, now: i64, started_at: i64) -> Duration {
    let until = |at: i64| Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or_default());
    // Before the grace is over nobody's time is.
    let expiry = look.next_at.map(|at| until(at.max(started_at + GRACE_MS)) + Duration::from_millis(1));
    let again = match (look.gone, looks) {
        (false, _) => None,
        (true, 0..LOOKS) => Some(AGAIN),
        (true, _) => Some(STILL_GONE),
    };
    [expiry, again, Some(MOST)].into_iter().flatten().min().unwrap_or(MOST)
}

async fn look(app: &Arc<App>) -> ServiceResult<Look> {
    let planes = registry::all::<data_plane::Entity>(&app.store, app.context()).await?;
    let now = now_ms();
    let mut found = Look::default();
    let mut gone = Vec::new();
    let mut takers = 0;
    for plane in &planes {
        match Presence::of(plane, now, app.started_at) {
            Presence::Present => takers += 1,
            Presence::Unknown => {}
            Presence::Leaving => gone.push(plane),
            Presence::Absent => {
                if plane.presence.as_deref() != Some(ABSENT) {
                    expire(app, plane).await?;
                }
                gone.push(plane);
                continue;
            }
        }
        found.next_at = [found.next_at, plane.present_until].into_iter().flatten().min();
    }
    // Without anybody to take them, flows stay where they are: their plane may come back.
    if takers > 0 {
        found.gone = !gone.is_empty();
        for plane in gone {
            move_from(app, &plane.id).await?;
        }
    }
    Ok(found)
}

async fn expire(app: &App, plane: &data_plane::Model) -> ServiceResult<()> {
    tracing::warn!(data_plane = plane.id, "a data plane has not been heard of for too long; it counts as gone");
    let plane = plane.clone();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                if presence::expire(unit, &plane).await? {
                    unit.event(&plane.context, "dataplane.absent".to_owned(), &plane.id, &json!({})).await?;
                }
                Ok(())
            })
        })
        .await
}

/// Moves what can move now.
async fn move_from(app: &Arc<App>, plane: &str) -> ServiceResult<()> {
    let (mut after, mut moved) = (String::new(), 0_usize);
    loop {
        let rows = presence::provided(&app.store, app.context(), plane, &after).await?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.id);
        let moves = rows.into_iter().filter(transfer::may_move).map(|row| transfer::relocate(app, row.id, plane));
        let done: Vec<_> = futures_util::stream::iter(moves).buffer_unordered(TOGETHER).collect().await;
        for outcome in done {
            moved += usize::from(outcome?);
        }
    }
    if moved > 0 {
        tracing::info!(data_plane = plane, flows = moved, "flows of a data plane that is gone move to others");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        const NOW: i64 = 1_000_000;
        let look = |gone, next_at| Look { gone, next_at };
        for (found, looks, started_at, expected_ms) in [
            (look(false, None), 0, 0, 60_000),
            (look(false, Some(NOW + 20_000)), 0, 0, 20_001),
            (look(false, Some(NOW - 600_000)), 0, NOW, 15_001),
            (look(true, Some(NOW + 20_000)), 1, 0, 1_000),
            (look(true, Some(NOW + 20_000)), LOOKS, 0, 15_000),
            (look(true, Some(NOW + 5_000)), LOOKS, 0, 5_001),
        ] {
            assert_eq!(pause(&found, looks, NOW, started_at), Duration::from_millis(expected_ms), "{found:?} {looks}");
        }
    }
}
