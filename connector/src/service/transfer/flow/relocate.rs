//! The flow of a data plane that is gone goes to another one.
//!
//! Only pulls move, seen from the provider: the flow's plan makes everything anew, and the consumer is told the new address as after a
//! pause. A push goes on where its plane's own notes say, notifications that were accepted lie on its disk, and what we receive comes to
//! its listeners: these wait for their plane.

use std::sync::Arc;

use dsp_protocol::Role;
use dsp_protocol::transfer::TransferMessage;
use serde_json::{Value, json};

use super::super::row::is_push;
use super::target::due;
use crate::app::App;
use crate::service::process::{Process as _, owe, role, save, went_out};
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{Unit, processes};

/// Code of a suspension that a start with another address follows at once.
const MOVED: &str = "data_plane_moved";

/// What the counter-party's people read.
const REASON: &str = "the data goes on at another address in a moment";

/// What a move begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The counter-party has the old address: a suspension, and a start with the new one.
    Announce,
    /// A start is owed that has not gone out; it gets the new address.
    Begin,
    /// No data is to flow just now. Another plane is chosen when it is.
    Detach,
    /// What was sent has to be answered first.
    Later,
    /// It has ended.
    Stays,
}

/// What a flow's situation asks for. `out`: the owed message may have gone out.
fn step(settled: Option<&str>, owed: Option<TransferMessage>, moving: bool, out: bool) -> Step {
    use TransferMessage::{Completion, Request, Start, Suspension, Termination};
    match (settled, owed) {
        (Some("COMPLETED" | "TERMINATED"), _) => Step::Stays,
        (_, Some(Termination | Completion)) => Step::Detach,
        (Some("STARTED"), None) => Step::Announce,
        (_, Some(Start)) if out => Step::Later,
        (_, Some(Start)) => Step::Begin,
        // The plane that it was moving to is gone as well.
        (_, Some(Suspension)) if moving => Step::Begin,
        (_, Some(Suspension | Request) | None) => Step::Detach,
    }
}

/// Whether the flow may go to another plane at all.
pub(crate) fn may_move(row: &Model) -> bool {
    role(row) == Role::Provider && !is_push(row) && !row.pinned
}

/// Whether the transfer is suspended only until its flow has another address.
pub(in crate::service::transfer) fn is_moving(row: &Model) -> bool {
    let code = |text: &String| serde_json::from_str::<Value>(text).ok()?.get("code").map(|code| code == MOVED);
    row.termination.as_ref().and_then(code).unwrap_or_default()
}

/// The data plane keeps something of the flow from now on that no other has: the flow stays there.
///
/// # Errors
/// `not_found`; `flow_moved` when the flow is another plane's by now.
pub(crate) async fn pin(app: &Arc<App>, id: &str, plane: &str) -> ServiceResult<()> {
    let (shared, id, plane) = (Arc::clone(app), id.to_owned(), plane.to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let row = processes::lock::<Model>(unit, shared.context(), &id).await?;
                let mut row = row.ok_or_else(|| ServiceError::not_found(format!("no transfer `{id}`")))?;
                if row.data_plane_id.as_ref().map_or(row.moves > 0, |carrier| *carrier != plane) {
                    return Err(ServiceError::conflict("flow_moved", "another data plane carries this flow by now"));
                }
                row.pinned = true;
                processes::update(unit, row).await?;
                Ok(())
            })
        })
        .await
}

/// Takes the flow from a data plane that is gone. `true`: it goes to another one, or waits for one.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn relocate(app: &Arc<App>, id: String, plane: &str) -> ServiceResult<bool> {
    let (shared, plane) = (Arc::clone(app), plane.to_owned());
    app.store.write(move |unit| Box::pin(async move { relocate_locked(&shared, unit, &id, &plane).await })).await
}

async fn relocate_locked(app: &App, unit: &mut Unit, id: &str, plane: &str) -> ServiceResult<bool> {
    let Some(mut row) = processes::lock::<Model>(unit, app.context(), id).await? else { return Ok(false) };
    if row.data_plane_id.as_deref() != Some(plane) || !may_move(&row) {
        return Ok(false);
    }
    // A start waits for its flow: while that is on its way, nothing has gone out.
    let out = row.flow_target.is_none() && went_out(app, &row);
    let moving = is_moving(&row) && row.settled.as_deref() != Some("SUSPENDED");
    let step = step(row.settled.as_deref(), row.owed(), moving, out);
    if matches!(step, Step::Later | Step::Stays) {
        return Ok(false);
    }
    let (now, settled_before) = (unit.now(), row.settled.clone());
    row.data_plane_id = None;
    row.data_flow_id = None;
    row.flow_state = None;
    row.flow_target = None;
    row.data_address = None;
    row.moves += 1;
    match step {
        Step::Announce => {
            owe(app, &mut row, TransferMessage::Suspension, now)?;
            row.termination = Some(json!({"code": MOVED, "reason": [REASON]}).to_string());
            row.flow_target = Some("STARTED".to_owned());
            save(unit, row, settled_before.as_deref(), None).await?;
        }
        Step::Begin => {
            row.flow_target = Some("STARTED".to_owned());
            due(&mut row, now);
            processes::update(unit, row).await?;
        }
        Step::Detach | Step::Later | Step::Stays => {
            processes::update(unit, row).await?;
        }
    }
    Ok(true)
}

/// The counter-party has taken the suspension of a move: the start with the new address follows.
///
/// # Errors
/// When the state of the transfer does not admit it.
pub(in crate::service::transfer) fn go_on(app: &App, row: &mut Model, now: i64) -> ServiceResult<()> {
    let ours = row.suspended_by.as_deref() == Some("provider");
    if role(row) == Role::Provider && row.settled.as_deref() == Some("SUSPENDED") && ours && is_moving(row) {
        owe(app, row, TransferMessage::Start, now)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use TransferMessage::{Completion, Start, Suspension, Termination};

    use super::*;
    use crate::testing::transfer_row;

    #[test]
    fn what_each_situation_asks_for() {
        for (settled, owed, moving, out, expected) in [
            (Some("STARTED"), None, false, false, Step::Announce),
            (Some("STARTED"), Some(Suspension), false, true, Step::Detach),
            (Some("STARTED"), Some(Suspension), true, true, Step::Begin),
            (Some("STARTED"), Some(Completion), false, false, Step::Detach),
            (Some("STARTED"), Some(Termination), false, true, Step::Detach),
            (Some("REQUESTED"), Some(Start), false, false, Step::Begin),
            (Some("REQUESTED"), Some(Start), false, true, Step::Later),
            (Some("REQUESTED"), None, false, false, Step::Detach),
            (Some("SUSPENDED"), None, false, false, Step::Detach),
            (Some("SUSPENDED"), Some(Start), false, false, Step::Begin),
            (Some("SUSPENDED"), Some(Start), false, true, Step::Later),
            (Some("COMPLETED"), None, false, false, Step::Stays),
            (Some("TERMINATED"), None, false, false, Step::Stays),
        ] {
            assert_eq!(step(settled, owed, moving, out), expected, "{settled:?} {owed:?} {moving} {out}");
        }
    }

    #[test]
    fn who_may_move() {
        let row = |role, format: &str, pinned| {
            let mut row = transfer_row("urn:uuid:1", role, "STARTED");
            row.format = format.to_owned();
            row.pinned = pinned;
            row
        };
        assert!(may_move(&row("provider", "HttpData-PULL", false)));
        assert!(!may_move(&row("provider", "HttpData-PULL", true)), "its plane keeps notifications");
        assert!(!may_move(&row("provider", "HttpData-PUSH", false)), "its plane knows what was sent");
        assert!(!may_move(&row("consumer", "HttpData-PULL", false)), "our readers know its address");
    }

    #[tokio::test]
    async fn what_is_pinned_stays_and_what_has_moved_is_not_pinned() {
        let (_folder, app) = crate::testing::app().await;
        for (id, moves) in [("urn:uuid:1", 0), ("urn:uuid:2", 1)] {
            let mut row = transfer_row(id, "provider", "STARTED");
            row.data_plane_id = (moves == 0).then(|| "first".to_owned());
            row.moves = moves;
            app.store.write(move |unit| Box::pin(async move { processes::insert(unit, row).await })).await.unwrap();
        }
        assert_eq!(pin(&app, "urn:uuid:1", "second").await.unwrap_err().code, "flow_moved");
        assert_eq!(pin(&app, "urn:uuid:2", "first").await.unwrap_err().code, "flow_moved", "it waits for another one");
        assert_eq!(pin(&app, "urn:uuid:3", "first").await.unwrap_err().code, "not_found");
        pin(&app, "urn:uuid:1", "first").await.unwrap();
        assert!(!relocate(&app, "urn:uuid:1".to_owned(), "first").await.unwrap());
    }

    #[tokio::test]
    async fn a_running_pull_is_suspended_and_started_anew() {
        let (_folder, app) = crate::testing::app().await;
        let mut row = transfer_row("urn:uuid:1", "provider", "STARTED");
        row.data_plane_id = Some("gone".to_owned());
        row.data_flow_id = Some("f".to_owned());
        row.flow_state = Some("STARTED".to_owned());
        row.data_address = Some("{}".to_owned());
        app.store.write(move |unit| Box::pin(async move { processes::insert(unit, row).await })).await.unwrap();
        let now =
            async || processes::find::<Model>(app.store.reads(), app.context(), "urn:uuid:1").await.unwrap().unwrap();

        assert!(!relocate(&app, "urn:uuid:1".to_owned(), "another").await.unwrap());
        assert!(relocate(&app, "urn:uuid:1".to_owned(), "gone").await.unwrap());
        assert!(!relocate(&app, "urn:uuid:1".to_owned(), "gone").await.unwrap(), "once");
        let row = now().await;
        assert_eq!(
            (row.owed.as_deref(), row.flow_target.as_deref(), row.moves),
            (Some("Suspension"), Some("STARTED"), 1)
        );
        assert!(row.data_plane_id.is_none() && row.flow_state.is_none() && row.data_address.is_none());

        crate::service::process::acknowledge::<Model>(&app, "urn:uuid:1", &row.owed_id.unwrap(), None).await.unwrap();
        let row = now().await;
        assert_eq!((row.settled.as_deref(), row.owed.as_deref()), (Some("SUSPENDED"), Some("Start")));
        crate::service::process::acknowledge::<Model>(&app, "urn:uuid:1", &row.owed_id.unwrap(), None).await.unwrap();
        let row = now().await;
        assert_eq!((row.settled.as_deref(), row.owed.as_deref()), (Some("STARTED"), None), "and not again");
    }
}
