//! The state that a flow shall reach, and the next signal on the way there.

use dps_signaling::Signal;
use dsp_protocol::Role;

use super::super::row::is_push;
use crate::service::process::role;
use crate::store::transfer::Model;

/// The row has something to do at once.
pub(super) fn due(row: &mut Model, now: i64) {
    row.attempts = 0;
    row.owed_since = now;
    row.next_attempt_at = now;
}

/// Target of a flow that runs, while the signal that pauses it may be under way: paused, then started anew.
pub(in crate::service::transfer) const RESTARTED: &str = "RESTARTED";

/// The flow shall reach this state. Nothing to do when it is there, or when there is no flow to end.
///
/// While there is a target already, a signal may be under way whose answer still moves the flow: then the new target
/// stays until the worker, which gives one signal at a time, finds it reached.
pub(in crate::service::transfer) fn aim(row: &mut Model, target: &str, now: i64) {
    let ended = matches!(row.flow_state.as_deref(), Some("COMPLETED" | "TERMINATED"));
    let under_way = row.flow_target.is_some();
    let there = row.flow_state.as_deref() == Some(target);
    let nothing_to_end =
        row.flow_state.is_none() && row.data_plane_id.is_none() && target != "PREPARED" && target != "STARTED";
    if ended || !under_way && (there || nothing_to_end) {
        row.flow_target = None;
        return;
    }
    let target = if there && target == "STARTED" { RESTARTED } else { target };
    row.flow_target = Some(target.to_owned());
    due(row, now);
}

/// A flow that runs, and of which nothing else is wanted, has an address that is dead by now: it pauses for a moment and goes on with the
/// new one. `false`: it is not so.
pub(in crate::service::transfer) fn readdress(row: &mut Model, now: i64) -> bool {
    let runs = row.flow_target.is_none() && row.flow_state.as_deref() == Some("STARTED");
    if runs {
        row.flow_target = Some(RESTARTED.to_owned());
        due(row, now);
    }
    runs
}

/// The next signal on the way from the confirmed state of the flow to the wanted one; `None` when the flow is there, or
/// has to wait for an asynchronous data plane.
pub(super) fn next_signal(row: &Model) -> Option<Signal> {
    let target = row.flow_target.as_deref()?;
    let provider = role(row) == Role::Provider;
    let needs_address = provider && !is_push(row);
    match (row.flow_state.as_deref(), target) {
        (None, "PREPARED") => Some(Signal::Prepare),
        (None, "STARTED") if provider => Some(Signal::Start),
        (None, "STARTED") => Some(Signal::Prepare),
        (Some("PREPARED"), "STARTED" | "SUSPENDED" | "COMPLETED") => Some(Signal::Started),
        // A start whose answer was lost: the address comes anew with a resumption.
        (Some("STARTED"), "STARTED") if needs_address && row.data_address.is_none() => Some(Signal::Suspend),
        // A consumer aims here when the provider's start has come; without a new address in it the old one goes on.
        (Some("SUSPENDED"), "STARTED" | "COMPLETED") => Some(Signal::Resume),
        (Some("STARTED"), "SUSPENDED" | RESTARTED) => Some(Signal::Suspend),
        (Some("STARTED"), "COMPLETED") => Some(Signal::Completed),
        (Some("PREPARING" | "PREPARED" | "STARTING" | "STARTED" | "SUSPENDED"), "TERMINATED") => {
            Some(Signal::Terminate)
        }
        _ => None,
    }
}

/// Whether the flow has reached its target, so that it can be forgotten.
pub(super) fn reached(row: &Model) -> bool {
    let Some(target) = row.flow_target.as_deref() else { return true };
    match row.flow_state.as_deref() {
        Some(state) if state == target => next_signal(row).is_none(),
        Some("COMPLETED" | "TERMINATED") => true,
        None => matches!(target, "SUSPENDED" | "COMPLETED" | "TERMINATED"),
        Some(_) => false,
    }
}
