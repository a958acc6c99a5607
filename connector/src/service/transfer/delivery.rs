//! The message that a row owes, and what becomes of the row when it was delivered, refused or given up.

use std::sync::Arc;

use dsp_protocol::pid::{AgreementId, ConsumerPid};
use dsp_protocol::transfer as machine;
use dsp_protocol::transfer::{
    Reconciled, Role, TransferCompletionMessage, TransferMessage, TransferProcess, TransferRequestMessage,
    TransferStartMessage, TransferState, TransferSuspensionMessage, TransferTerminationMessage,
};
use serde_json::Value;

use super::row::{aim, data_address, is_push, machine_state, owe_termination, role, save, settle, typed_pids};
use crate::app::App;
use crate::service::negotiation::{error_object, forget_passing_error};
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::transfers;
use crate::worker::Outgoing;

/// The owed message with its path below the counter-party's base; `None` when nothing is owed, or when the counter-party
/// never learned of the transfer.
pub(crate) fn outgoing(app: &App, row: &Model) -> ServiceResult<Option<Outgoing>> {
    let Some(message) = row.owed.as_deref().and_then(TransferMessage::parse) else { return Ok(None) };
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
    let owed = row.owed.as_deref().and_then(TransferMessage::parse);
    matches!(owed, Some(TransferMessage::Request | TransferMessage::Start)) && row.flow_target.is_some()
}

fn request(app: &App, row: &Model) -> ServiceResult<Value> {
    let message = TransferRequestMessage {
        consumer_pid: ConsumerPid::parse(&row.id).map_err(ServiceError::internal)?,
        agreement_id: AgreementId::parse(&row.agreement_id).map_err(ServiceError::internal)?,
        format: row.format.clone(),
        callback_address: app.dsp_address.clone(),
        data_address: if is_push(row) { data_address(row)? } else { None },
    };
    Ok(message.to_value())
}

fn why(row: &Model) -> (Option<String>, Vec<Value>) {
    let stored: Value = row.termination.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let code = stored.get("code").and_then(Value::as_str).map(str::to_owned);
    (code, stored.get("reason").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// The counter-party has taken the message with the id `owed_id`; `answer` is its body.
///
/// # Errors
/// The answer to a first message must name the counter-party's pid.
pub(crate) async fn acknowledge(app: &Arc<App>, id: &str, owed_id: &str, answer: Option<Value>) -> ServiceResult<()> {
    change(app, id, owed_id, move |app, row, _| {
        if row.counter_pid.is_none() && row.owed.as_deref() != Some(TransferMessage::Termination.as_str()) {
            row.counter_pid = Some(pid_in_answer(row, answer.as_ref())?);
        }
        let state = machine::acknowledge(role(row), machine_state(app, row))?;
        settle(row, state);
        Ok(())
    })
    .await
}

fn pid_in_answer(row: &Model, answer: Option<&Value>) -> ServiceResult<String> {
    let wrong = |why: String| {
        ServiceError::peer("bad_answer", format!("the answer to our first message is no TransferProcess: {why}"))
    };
    let answer = answer.ok_or_else(|| wrong("it has no JSON body".to_owned()))?;
    let compact = dsp_protocol::context::compact(answer.clone()).map_err(|error| wrong(error.message))?;
    let object = TransferProcess::parse(&compact).map_err(|error| wrong(error.message))?;
    Ok(match role(row) {
        Role::Consumer => object.provider_pid.to_string(),
        Role::Provider => object.consumer_pid.to_string(),
    })
}

/// What the peer says about its own state, asked after it refused a message or when nobody knows whether it arrived.
/// `true`: the row follows it and nothing is left to send.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn adopt_peer_state(app: &Arc<App>, row: &Model, peer: &Value) -> ServiceResult<bool> {
    let Some(owed_id) = row.owed_id.clone() else { return Ok(true) };
    let Ok(compact) = dsp_protocol::context::compact(peer.clone()) else { return Ok(false) };
    let Ok(peer) = TransferProcess::parse(&compact) else { return Ok(false) };
    let Reconciled::Settled(_) = machine::reconcile(role(row), machine_state(app, row), peer.state) else {
        return Ok(false);
    };
    change(app, &row.id, &owed_id, move |app, row, _| {
        let Reconciled::Settled(state) = machine::reconcile(role(row), machine_state(app, row), peer.state) else {
            return Ok(());
        };
        if peer.state == TransferState::Terminated {
            let ended = ServiceError::peer("terminated_by_peer", "the counter-party's connector says TERMINATED");
            row.error = Some(error_object(&ended).to_string());
        }
        settle(row, state);
        if peer.state == TransferState::Terminated {
            aim(row, "TERMINATED", crate::store::now_ms());
        }
        Ok(())
    })
    .await?;
    Ok(true)
}

/// The counter-party refuses the message for good: we end the transfer and tell it so.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn reject(app: &Arc<App>, id: &str, owed_id: &str, why: ServiceError) -> ServiceResult<()> {
    change(app, id, owed_id, move |app, row, now| {
        let terminating = row.owed.as_deref() == Some(TransferMessage::Termination.as_str());
        if terminating || row.counter_pid.is_none() {
            end(app, row, &why);
            return Ok(());
        }
        owe_termination(app, row, why.code, &why.message.clone(), Some(&why), now)?;
        Ok(())
    })
    .await
}

/// Delivery has been tried for as long as the settings say.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn give_up(app: &Arc<App>, id: &str, owed_id: &str, why: ServiceError) -> ServiceResult<()> {
    let ending = move |app: &App, row: &mut Model, _| {
        end(app, row, &why);
        Ok(())
    };
    change(app, id, owed_id, ending).await
}

fn end(app: &App, row: &mut Model, why: &ServiceError) {
    // That an earlier attempt failed is not what ends it.
    forget_passing_error(&mut row.error);
    if row.error.is_none() {
        row.error = Some(error_object(why).to_string());
    }
    let state = machine::give_up(machine_state(app, row));
    settle(row, state);
    aim(row, "TERMINATED", crate::store::now_ms());
}

/// Changes the row if it still owes the message that the worker has been dealing with.
async fn change<F>(app: &Arc<App>, id: &str, owed_id: &str, change: F) -> ServiceResult<()>
where
    F: FnOnce(&App, &mut Model, i64) -> ServiceResult<()> + Send + 'static,
{
    let shared = app.clone();
    let (id, owed_id) = (id.to_owned(), owed_id.to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let Some(mut row) = transfers::lock(unit, shared.context(), &id).await? else { return Ok(()) };
                if row.owed_id.as_deref() != Some(owed_id.as_str()) {
                    return Ok(());
                }
                let settled_before = row.settled.clone();
                change(&shared, &mut row, unit.now())?;
                save(unit, row, settled_before.as_deref(), None).await?;
                Ok::<_, ServiceError>(())
            })
        })
        .await
}
