//! The message that a transfer owes.

use dsp_protocol::Role;
use dsp_protocol::pid::{AgreementId, ConsumerPid};
use dsp_protocol::transfer::{
    TransferCompletionMessage, TransferMessage, TransferRequestMessage, TransferStartMessage,
    TransferSuspensionMessage, TransferTerminationMessage,
};
use serde_json::Value;

use super::row::{data_address, is_push};
use crate::app::App;
use crate::service::process::{Process as _, role, typed_pids, why};
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::worker::Outgoing;

/// The owed message with its path below the counter-party's base; `None` when nothing is owed, or when the counter-party
/// never learned of the transfer.
pub(super) fn outgoing(app: &App, row: &Model) -> ServiceResult<Option<Outgoing>> {
    let Some(message) = row.owed() else { return Ok(None) };
    if row.counter_pid.is_none() && message != TransferMessage::Request {
        return Ok(None);
    }
    let (path, body) = match message {
        TransferMessage::Request => ("request", request(app, row)?),
        TransferMessage::Start => {
            let (provider_pid, consumer_pid) = typed_pids(row)?;
            let ours = role(row) == Role::Provider && !is_push(row);
            let data_address = if ours { data_address(row)? } else { None };
            ("{pid}/start", TransferStartMessage { provider_pid, consumer_pid, data_address }.to_value())
        }
        TransferMessage::Completion => {
            let (provider_pid, consumer_pid) = typed_pids(row)?;
            ("{pid}/completion", TransferCompletionMessage { provider_pid, consumer_pid }.to_value())
        }
        TransferMessage::Suspension => {
            let (provider_pid, consumer_pid) = typed_pids(row)?;
            let (code, reason) = why(row);
            ("{pid}/suspension", TransferSuspensionMessage { provider_pid, consumer_pid, code, reason }.to_value())
        }
        TransferMessage::Termination => {
            let (provider_pid, consumer_pid) = typed_pids(row)?;
            let (code, reason) = why(row);
            ("{pid}/termination", TransferTerminationMessage { provider_pid, consumer_pid, code, reason }.to_value())
        }
    };
    let pid = row.counter_pid.as_deref().unwrap_or_default();
    Ok(Some(Outgoing::new(row.counter_address.clone(), "transfers", path, pid, body, row.owed_id.clone())))
}

/// Whether the owed message has to wait for the flow: a request for the address of a push, a start for that of a pull.
pub(crate) fn needs_flow(row: &Model) -> bool {
    matches!(row.owed(), Some(TransferMessage::Request | TransferMessage::Start)) && row.flow_target.is_some()
}

fn request(app: &App, row: &Model) -> ServiceResult<Value> {
    let message = TransferRequestMessage {
        consumer_pid: ConsumerPid::parse(&row.id).map_err(ServiceError::internal)?,
        agreement_id: AgreementId::parse(&row.agreement_id).map_err(ServiceError::internal)?,
        format: row.format.clone(),
        callback_address: app.dsp_address.clone(),
        data_address: if is_push(row) { data_address(row)? } else { None },
        purpose: serde_json::from_str(&row.purpose).map_err(ServiceError::internal)?,
    };
    Ok(message.to_value())
}
