//! Between the row and the pure state machine.

use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use dsp_protocol::transfer as machine;
use dsp_protocol::transfer::{
    DataAddress, Illegal, OwedTransfer, Role, Transfer, TransferMessage, TransferProcess, TransferState,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::service::negotiation::{error_object, forget_passing_error};
use crate::service::reason::termination_object;
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{Unit, transfers};

/// Our role in the row.
pub(super) fn role(row: &Model) -> Role {
    if row.role == "provider" { Role::Provider } else { Role::Consumer }
}

/// Whether the provider writes to the consumer's address (push), by the format's name.
pub(super) fn is_push(row: &Model) -> bool {
    row.format.to_ascii_uppercase().contains("PUSH")
}

/// The row as the machine sees it.
pub(super) fn machine_state(app: &App, row: &Model) -> Transfer {
    let owed = row.owed.as_deref().and_then(TransferMessage::parse);
    let suspended_by = match row.suspended_by.as_deref() {
        Some("provider") => Some(Role::Provider),
        Some(_) => Some(Role::Consumer),
        None => None,
    };
    Transfer {
        settled: row.settled.as_deref().and_then(TransferState::parse),
        owed: owed.map(|message| OwedTransfer { message, sent: went_out(app, row) }),
        suspended_by,
    }
}

/// Whether the owed message may have reached the peer: see [`crate::service::in_flight::InFlight`].
fn went_out(app: &App, row: &Model) -> bool {
    row.attempts > 0
        || row.updated_at < app.started_at
        || row.lease_owner.as_deref() != Some(app.store.owner())
        || row.owed_id.as_deref().is_some_and(|id| app.in_flight.contains(id))
}

/// Writes the machine's state into the row.
pub(super) fn settle(row: &mut Model, state: Transfer) {
    row.settled = state.settled.map(|settled| settled.as_wire().to_owned());
    row.state = state.name().to_owned();
    row.suspended_by = state.suspended_by.map(|role| match role {
        Role::Provider => "provider".to_owned(),
        Role::Consumer => "consumer".to_owned(),
    });
    match state.owed {
        Some(owed) => row.owed = Some(owed.message.as_str().to_owned()),
        None => {
            row.owed_id = None;
            row.owed = None;
            row.attempts = 0;
            forget_passing_error(&mut row.error);
        }
    }
}

/// Makes the row owe a message, to be sent at once.
pub(super) fn owe(app: &App, row: &mut Model, message: TransferMessage, now: i64) -> Result<(), Illegal> {
    let state = machine::owe(role(row), machine_state(app, row), message)?;
    begin(row, state, now);
    Ok(())
}

/// Puts a state that may owe a new message into the row.
pub(super) fn begin(row: &mut Model, state: Transfer, now: i64) {
    settle(row, state);
    row.owed_id = row.owed.is_some().then(|| format!("urn:uuid:{}", Uuid::new_v4()));
    due(row, now);
}

/// The row has something to do at once.
pub(super) fn due(row: &mut Model, now: i64) {
    row.attempts = 0;
    row.owed_since = now;
    row.next_attempt_at = now;
}

/// Target of a flow that runs, while the signal that pauses it may be under way: paused, then started anew.
pub(super) const RESTARTED: &str = "RESTARTED";

/// The flow shall reach this state. Nothing to do when it is there, or when there is no flow to end.
///
/// While there is a target already, a signal may be under way whose answer still moves the flow: then the new target
/// stays until the worker, which gives one signal at a time, finds it reached.
pub(super) fn aim(row: &mut Model, target: &str, now: i64) {
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

/// Makes the row owe a termination that says why, and ends the flow.
pub(super) fn owe_termination(
    app: &App,
    row: &mut Model,
    code: &str,
    reason: &str,
    why: Option<&ServiceError>,
    now: i64,
) -> Result<(), Illegal> {
    owe(app, row, TransferMessage::Termination, now)?;
    aim(row, "TERMINATED", now);
    row.termination = Some(termination_object(code, reason, why).to_string());
    if let Some(error) = why {
        row.error = Some(error_object(error).to_string());
    }
    Ok(())
}

/// (provider's pid, consumer's pid) of the row; an unknown one is empty.
pub(super) fn pids(row: &Model) -> (String, String) {
    let theirs = row.counter_pid.clone().unwrap_or_default();
    match role(row) {
        Role::Provider => (row.id.clone(), theirs),
        Role::Consumer => (theirs, row.id.clone()),
    }
}

/// The pids as typed values.
pub(super) fn typed_pids(row: &Model) -> ServiceResult<(ProviderPid, ConsumerPid)> {
    let (provider, consumer) = pids(row);
    let provider = ProviderPid::parse(provider).map_err(ServiceError::internal)?;
    let consumer = ConsumerPid::parse(consumer).map_err(ServiceError::internal)?;
    Ok((provider, consumer))
}

/// The TransferProcess object that answers the counter-party.
pub(crate) fn transfer_object(app: &App, row: &Model) -> ServiceResult<Value> {
    let (provider_pid, consumer_pid) = typed_pids(row)?;
    Ok(TransferProcess { provider_pid, consumer_pid, state: machine_state(app, row).wire() }.to_value())
}

/// The stored data address.
pub(super) fn data_address(row: &Model) -> ServiceResult<Option<DataAddress>> {
    let Some(text) = &row.data_address else { return Ok(None) };
    let value: Value = serde_json::from_str(text).map_err(ServiceError::internal)?;
    DataAddress::parse(&value).map(Some).map_err(ServiceError::internal)
}

/// Saves the row and says what happened in one event, named as for negotiations.
pub(super) async fn save(
    unit: &mut Unit,
    row: Model,
    settled_before: Option<&str>,
    detail: Option<Value>,
) -> ServiceResult<Model> {
    let row = transfers::update(unit, row).await?;
    announce(unit, &row, settled_before, detail).await?;
    Ok(row)
}

/// Appends the event of a saved row.
pub(super) async fn announce(
    unit: &mut Unit,
    row: &Model,
    settled_before: Option<&str>,
    detail: Option<Value>,
) -> ServiceResult<()> {
    let settled = row.settled.as_deref();
    let name = match settled {
        Some(settled) if settled_before != Some(settled) => settled,
        _ => row.state.as_str(),
    };
    let (provider_pid, consumer_pid) = pids(row);
    let mut data = json!({
        "role": row.role, "state": row.state, "counterPartyId": row.counter_party, "datasetId": row.dataset_id,
        "agreementId": row.agreement_id, "providerPid": provider_pid, "consumerPid": consumer_pid,
        "format": row.format, "decision": row.decision,
    });
    if let Value::Object(members) = &mut data {
        if let Some(error) = row.error.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
            members.insert("error".to_owned(), error);
        }
        if let Some(detail) = detail {
            members.insert("policyDecision".to_owned(), detail);
        }
    }
    unit.event(&row.context, format!("transfer.{}", name.to_lowercase()), &row.id, &data).await?;
    Ok(())
}
