//! The message that a negotiation owes.

use std::sync::Arc;

use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractAgreementVerificationMessage, ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage, ContractOfferMessage, ContractRequestMessage, NegotiationEvent,
    NegotiationMessage,
};
use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use serde_json::Value;

use super::row::{agreement_of, offer_of};
use crate::app::App;
use crate::service::process::{Process as _, acknowledge, typed_pids, why};
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::negotiations;
use crate::worker::Outgoing;

/// The owed message with its path below the counter-party's base; `None` when nothing is owed, or when the counter-party
/// never learned of the negotiation (a termination that nobody could match).
pub(super) fn outgoing(app: &App, row: &Model) -> ServiceResult<Option<Outgoing>> {
    let Some(message) = row.owed() else { return Ok(None) };
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
            let purpose = serde_json::from_str(&row.purpose).map_err(ServiceError::internal)?;
            let body =
                ContractRequestMessage { consumer_pid, provider_pid, callback_address: callback, offer, purpose };
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
    let (code, reason) = why(row);
    Ok(ContractNegotiationTerminationMessage { provider_pid, consumer_pid, code, reason }.to_value())
}

/// A consumer that uses an agreement has taken our `FINALIZED`, even when its answer was lost: the agreement is concluded.
/// Nothing happens when there is no such negotiation, or `FINALIZED` never went out.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn finalized_by_use(app: &Arc<App>, consumer: &str, agreement_id: &str) -> ServiceResult<()> {
    let found = negotiations::owing_by_agreement(app.store.reads(), app.context(), consumer, agreement_id).await?;
    let Some(row) = found else { return Ok(()) };
    let owed = row.state(app).owed;
    let went_out = owed.is_some_and(|owed| owed.message == NegotiationMessage::Finalized && owed.sent);
    match row.owed_id {
        Some(owed_id) if went_out => acknowledge::<Model>(app, &row.id, &owed_id, None).await,
        _ => Ok(()),
    }
}
