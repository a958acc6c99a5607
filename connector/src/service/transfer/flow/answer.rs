//! What data planes answer to signals, and what becomes of the transfer.

use std::sync::Arc;

use dps_signaling::{DataFlowState, Signal, StatusMessage};
use dsp_protocol::Role;
use dsp_protocol::transfer::{DataAddress, TransferMessage};
use serde_json::Value;

use super::super::local::{announce_readable, readable};
use super::super::row::{NO_ADDRESS, is_push};
use super::target::{RESTARTED, aim, due, reached};
use crate::app::App;
use crate::service::process::{owe_termination, role, save};
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{Unit, processes};

/// What a data plane says about a flow.
pub(crate) enum Heard {
    /// Its answer to the signal; some say no more than that they took it.
    Answer(Option<StatusMessage>),
    /// The state that it names when it is asked. An answer may have been lost before.
    State(StatusMessage),
}

/// The data plane has taken a signal.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn signalled(
    app: &Arc<App>,
    id: &str,
    signal: Signal,
    plane: &str,
    heard: Heard,
) -> ServiceResult<()> {
    let plane = plane.to_owned();
    let (status, answered) = match heard {
        Heard::Answer(status) => (status, true),
        Heard::State(status) => (Some(status), false),
    };
    change(app, id, move |_, row, now| {
        let first = matches!(signal, Signal::Prepare | Signal::Start);
        if row.data_plane_id.as_ref().map_or(!first, |carrier| *carrier != plane) {
            // The flow has gone to another plane meanwhile; this one hears of it when it comes back.
            return Ok(false);
        }
        row.data_plane_id.get_or_insert(plane);
        let state = match (&status, signal) {
            (Some(status), _) => status.state,
            (None, Signal::Prepare) => DataFlowState::Prepared,
            (None, Signal::Suspend) => DataFlowState::Suspended,
            (None, Signal::Completed) => DataFlowState::Completed,
            (None, Signal::Terminate) => DataFlowState::Terminated,
            (None, _) => DataFlowState::Started,
        };
        if answered {
            without_address(row, state);
        }
        take_status(row, state, status.as_ref(), now);
        Ok(false)
    })
    .await
}

/// A data plane that has said that it started, without an address, has none to give: the start goes out as it is. One that is
/// asked for its state tells no address, so that a lost one has to be got anew.
pub(super) fn without_address(row: &mut Model, state: DataFlowState) {
    if state == DataFlowState::Started && role(row) == Role::Provider && !is_push(row) {
        row.data_address.get_or_insert_with(|| NO_ADDRESS.to_owned());
    }
}

pub(super) fn take_status(row: &mut Model, state: DataFlowState, status: Option<&StatusMessage>, now: i64) {
    // A callback that all data has flowed may overtake the answer to the start.
    if row.flow_state.as_deref() != Some(DataFlowState::Completed.as_wire()) {
        row.flow_state = Some(state.as_wire().to_owned());
    }
    if let Some(status) = status {
        if !status.data_flow_id.is_empty() {
            row.data_flow_id = Some(status.data_flow_id.clone());
        }
        let ours = match role(row) {
            Role::Provider => !is_push(row),
            Role::Consumer => is_push(row),
        };
        if ours && let Some(address) = &status.data_address {
            row.data_address = Some(complete_address(address).to_string());
        }
    }
    if state == DataFlowState::Suspended && row.flow_target.as_deref() == Some(RESTARTED) {
        row.flow_target = Some("STARTED".to_owned());
    }
    if reached(row) {
        row.flow_target = None;
    }
    due(row, now);
}

/// Forgets a target that is reached; `false`: there is none, or it is not reached. Only the worker may ask, since it knows
/// that no signal is under way.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn forget_target(app: &Arc<App>, row: &Model) -> ServiceResult<bool> {
    if row.flow_target.is_none() || !reached(row) {
        return Ok(false);
    }
    change(app, &row.id, |_, row, now| {
        if row.flow_target.is_some() && reached(row) {
            row.flow_target = None;
            due(row, now);
        }
        Ok(false)
    })
    .await?;
    Ok(true)
}

/// The address in the form that all our peers read: with its types, and with EDC's names beside the standard's.
fn complete_address(address: &Value) -> Value {
    DataAddress::parse(address).map_or_else(|_| address.clone(), |address| address.to_value())
}

/// The data plane cannot do what the transfer needs: we end the transfer and tell the counter-party. `before` is the row that it was
/// asked by; a flow that has gone to another plane meanwhile is not its concern.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn fail_flow(app: &Arc<App>, before: &Model, why: ServiceError) -> ServiceResult<()> {
    let moves = before.moves;
    change(app, &before.id, move |app, row, now| {
        if row.moves != moves {
            return Ok(false);
        }
        row.flow_target = None;
        let ending = row.owed.as_deref() == Some(TransferMessage::Termination.as_str());
        let over = matches!(row.settled.as_deref(), Some("COMPLETED" | "TERMINATED"));
        if ending || over {
            return Ok(false);
        }
        // The counter-party learns that we cannot, not how our inside looks.
        owe_termination(app, row, "data_plane_failed", "the data plane cannot serve the transfer", Some(&why), now)?;
        row.flow_target = None;
        if row.flow_state.is_some() {
            aim(row, "TERMINATED", now);
        }
        Ok(true)
    })
    .await
}

/// Changes the row; `true` from `change` means that it is worth an event. That the data can be read from now on is one in any
/// case.
pub(super) async fn change<F>(app: &Arc<App>, id: &str, change: F) -> ServiceResult<()>
where
    F: FnOnce(&App, &mut Model, i64) -> ServiceResult<bool> + Send + 'static,
{
    let shared = app.clone();
    let id = id.to_owned();
    app.store
        .write(move |unit: &mut Unit| {
            Box::pin(async move {
                let Some(mut row) = processes::lock::<Model>(unit, shared.context(), &id).await? else { return Ok(()) };
                let (settled_before, readable_before) = (row.settled.clone(), readable(&row));
                let row = if change(&shared, &mut row, unit.now())? {
                    save(unit, row, settled_before.as_deref(), None).await?
                } else {
                    processes::update(unit, row).await?
                };
                if readable(&row) && !readable_before {
                    announce_readable(unit, &row).await?;
                }
                Ok::<_, ServiceError>(())
            })
        })
        .await
}
