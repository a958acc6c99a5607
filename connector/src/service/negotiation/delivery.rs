//! The message that a row owes, and what becomes of the row when it was delivered, refused or given up.

use std::sync::Arc;

use dsp_protocol::negotiation as machine;
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractAgreementVerificationMessage, ContractNegotiation,
    ContractNegotiationEventMessage, ContractNegotiationTerminationMessage, ContractOfferMessage,
    ContractRequestMessage, NegotiationEvent,
};
use dsp_protocol::negotiation::{NegotiationMessage, NegotiationState, Reconciled, Role};
use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use serde_json::Value;

use super::row::{
    agreement_of, error_object, forget_passing_error, machine_state, offer_of, owe_termination, role, save, settle,
    typed_pids,
};
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::negotiations;
use crate::worker::Outgoing;

/// The owed message with its path below the counter-party's base; `None` when nothing is owed, or when the counter-party
/// never learned of the negotiation (a termination that nobody could match).
pub(crate) fn outgoing(app: &App, row: &Model) -> ServiceResult<Option<Outgoing>> {
    let Some(message) = row.owed.as_deref().and_then(NegotiationMessage::parse) else { return Ok(None) };
    let first = row.counter_pid.is_none();
    if first && !matches!(message, NegotiationMessage::ContractRequest | NegotiationMessage::ContractOffer) {
        return Ok(None);
    }
    let callback = first.then(|| app.dsp_address.clone());
    let (path, body) = match message {
        NegotiationMessage::ContractRequest => {
            let provider_pid = if first { None } else { Some(typed_pids(row)?.0) };
            let consumer_pid = ConsumerPid::parse(&row.id).map_err(ServiceError::internal)?;
            let offer = offer_of(row)?;
            let body = ContractRequestMessage { consumer_pid, provider_pid, callback_address: callback, offer };
            (if first { "request" } else { "{pid}/request" }, body.to_value())
        }
        NegotiationMessage::ContractOffer => {
            let consumer_pid = if first { None } else { Some(typed_pids(row)?.1) };
            let provider_pid = ProviderPid::parse(&row.id).map_err(ServiceError::internal)?;
            let offer = offer_of(row)?;
            let body = ContractOfferMessage { provider_pid, consumer_pid, callback_address: callback, offer };
            (if first { "offers" } else { "{pid}/offers" }, body.to_value())
        }
        NegotiationMessage::Accepted => ("{pid}/events", event(row, NegotiationEvent::Accepted)?),
        NegotiationMessage::Finalized => ("{pid}/events", event(row, NegotiationEvent::Finalized)?),
        NegotiationMessage::Agreement => {
            let (provider_pid, consumer_pid) = typed_pids(row)?;
            let agreement =
                agreement_of(row)?.ok_or_else(|| ServiceError::internal("an agreement is owed but missing"))?;
            ("{pid}/agreement", ContractAgreementMessage { provider_pid, consumer_pid, agreement }.to_value())
        }
        NegotiationMessage::Verification => {
            let (provider_pid, consumer_pid) = typed_pids(row)?;
            (
                "{pid}/agreement/verification",
                ContractAgreementVerificationMessage { provider_pid, consumer_pid }.to_value(),
            )
        }
        NegotiationMessage::Termination => ("{pid}/termination", termination(row)?),
    };
    let pid = row.counter_pid.as_deref().unwrap_or_default();
    Ok(Some(Outgoing::new(row.counter_address.clone(), "negotiations", path, pid, body, row.owed_id.clone())))
}

fn event(row: &Model, event: NegotiationEvent) -> ServiceResult<Value> {
    let (provider_pid, consumer_pid) = typed_pids(row)?;
    Ok(ContractNegotiationEventMessage { provider_pid, consumer_pid, event }.to_value())
}

fn termination(row: &Model) -> ServiceResult<Value> {
    let (provider_pid, consumer_pid) = typed_pids(row)?;
    let stored: Value = row.termination.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let code = stored.get("code").and_then(Value::as_str).map(str::to_owned);
    let reason = stored.get("reason").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(ContractNegotiationTerminationMessage { provider_pid, consumer_pid, code, reason }.to_value())
}

/// The counter-party has taken the message with the id `owed_id`; `answer` is its body.
///
/// # Errors
/// The answer to a first message must name the counter-party's pid.
pub(crate) async fn acknowledge(app: &Arc<App>, id: &str, owed_id: &str, answer: Option<Value>) -> ServiceResult<()> {
    change(app, id, owed_id, move |app, row, _| {
        if row.counter_pid.is_none() && row.owed.as_deref() != Some(NegotiationMessage::Termination.as_str()) {
            row.counter_pid = Some(pid_in_answer(row, answer.as_ref())?);
        }
        let state = machine::acknowledge(role(row), machine_state(app, row))?;
        settle(row, state);
        Ok(())
    })
    .await
}

/// A consumer that uses an agreement has taken our `FINALIZED`, even when its answer was lost: the agreement is concluded.
/// Nothing happens when there is no such negotiation, or `FINALIZED` never went out.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn finalized_by_use(app: &Arc<App>, consumer: &str, agreement_id: &str) -> ServiceResult<()> {
    let found = negotiations::owing_by_agreement(app.store.reads(), app.context(), consumer, agreement_id).await?;
    let Some(row) = found else { return Ok(()) };
    let owed = machine_state(app, &row).owed;
    let went_out = owed.is_some_and(|owed| owed.message == NegotiationMessage::Finalized && owed.sent);
    match row.owed_id {
        Some(owed_id) if went_out => acknowledge(app, &row.id, &owed_id, None).await,
        _ => Ok(()),
    }
}

fn pid_in_answer(row: &Model, answer: Option<&Value>) -> ServiceResult<String> {
    let wrong = |why: String| {
        ServiceError::peer("bad_answer", format!("the answer to our first message is no ContractNegotiation: {why}"))
    };
    let answer = answer.ok_or_else(|| wrong("it has no JSON body".to_owned()))?;
    let compact = dsp_protocol::context::compact(answer.clone()).map_err(|error| wrong(error.message))?;
    let object = ContractNegotiation::parse(&compact).map_err(|error| wrong(error.message))?;
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
    let Ok(peer) = ContractNegotiation::parse(&compact) else { return Ok(false) };
    let Reconciled::Settled(_) = machine::reconcile(role(row), machine_state(app, row), peer.state) else {
        return Ok(false);
    };
    change(app, &row.id, &owed_id, move |app, row, _| {
        let Reconciled::Settled(state) = machine::reconcile(role(row), machine_state(app, row), peer.state) else {
            return Ok(());
        };
        if peer.state == NegotiationState::Terminated {
            let ended = ServiceError::peer("terminated_by_peer", "the counter-party's connector says TERMINATED");
            row.error = Some(error_object(&ended).to_string());
        }
        settle(row, state);
        Ok(())
    })
    .await?;
    Ok(true)
}

/// The counter-party refuses the message for good: we end the negotiation and tell it so.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn reject(app: &Arc<App>, id: &str, owed_id: &str, why: ServiceError) -> ServiceResult<()> {
    change(app, id, owed_id, move |app, row, now| {
        let terminating = row.owed.as_deref() == Some(NegotiationMessage::Termination.as_str());
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
                let Some(mut row) = negotiations::lock(unit, shared.context(), &id).await? else { return Ok(()) };
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
