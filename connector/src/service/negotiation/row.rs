//! A negotiation as a process.

use std::future::Future;

use dsp_protocol::error::MessageError;
use dsp_protocol::negotiation as machine;
use dsp_protocol::negotiation::{ContractNegotiation, Negotiation, NegotiationMessage, NegotiationState, Owed};
use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use dsp_protocol::policy::{Agreement, Offer};
use dsp_protocol::{Illegal, Reconciled, Role};
use identity::scope::Scopes;
use serde_json::{Value, json};

use super::{delivery, provider};
use crate::app::App;
use crate::service::process::{Process, StoredState, went_out};
use crate::service::{ServiceError, ServiceResult, duties};
use crate::store::negotiation::Model;
use crate::store::{Unit, agreement, agreements};
use crate::worker::Outgoing;

impl Process for Model {
    const NAME: &'static str = "negotiation";
    const OBJECT: &'static str = "ContractNegotiation";
    type State = Negotiation;
    type Message = NegotiationMessage;
    type Wire = NegotiationState;
    const TERMINATION: NegotiationMessage = NegotiationMessage::Termination;
    const TERMINATED: NegotiationState = NegotiationState::Terminated;

    fn owed(&self) -> Option<NegotiationMessage> {
        self.owed.as_deref().and_then(NegotiationMessage::parse)
    }

    fn state(&self, app: &App) -> Negotiation {
        Negotiation {
            settled: self.settled.as_deref().and_then(NegotiationState::parse),
            owed: self.owed().map(|message| Owed { message, sent: went_out(app, self) }),
        }
    }

    fn stored(state: Negotiation) -> StoredState {
        StoredState {
            settled: state.settled.map(NegotiationState::as_wire),
            name: state.name(),
            owed: state.owed.map(|owed| owed.message.as_str()),
        }
    }

    fn owe(role: Role, state: Negotiation, message: NegotiationMessage) -> Result<Negotiation, Illegal> {
        machine::owe(role, state, message)
    }

    fn acknowledge(role: Role, state: Negotiation) -> Result<Negotiation, Illegal> {
        machine::acknowledge(role, state)
    }

    fn give_up(state: Negotiation) -> Negotiation {
        machine::give_up(state)
    }

    fn reconcile(role: Role, state: Negotiation, peer: NegotiationState) -> Reconciled<Negotiation> {
        machine::reconcile(role, state, peer)
    }

    fn wire(state: Negotiation) -> NegotiationState {
        state.wire()
    }

    fn object(provider_pid: ProviderPid, consumer_pid: ConsumerPid, state: NegotiationState) -> Value {
        ContractNegotiation { provider_pid, consumer_pid, state }.to_value()
    }

    fn parse_object(value: &Value) -> Result<(ProviderPid, ConsumerPid, NegotiationState), MessageError> {
        let object = ContractNegotiation::parse(value)?;
        Ok((object.provider_pid, object.consumer_pid, object.state))
    }

    fn outgoing(&self, app: &App) -> ServiceResult<Option<Outgoing>> {
        delivery::outgoing(app, self)
    }

    fn scopes(&self, app: &App) -> impl Future<Output = ServiceResult<Scopes>> + Send {
        std::future::ready(Ok(provider::scopes_of(app, self)))
    }

    fn details(&self) -> Value {
        json!({"offerId": self.offer_id, "agreementId": self.agreement_id})
    }

    /// A finalized negotiation leaves its agreement.
    async fn conclude(&self, unit: &mut Unit) -> ServiceResult<()> {
        if self.settled.as_deref() == Some(NegotiationState::Finalized.as_wire()) {
            keep_agreement(unit, self).await
        } else {
            Ok(())
        }
    }
}

/// The offer on the table.
pub(super) fn offer_of(row: &Model) -> ServiceResult<Offer> {
    let value: Value = serde_json::from_str(&row.offer).map_err(ServiceError::internal)?;
    Offer::parse(&value).map_err(ServiceError::internal)
}

/// The agreement proposed, if there is one.
pub(super) fn agreement_of(row: &Model) -> ServiceResult<Option<Agreement>> {
    let Some(text) = &row.agreement else { return Ok(None) };
    let value: Value = serde_json::from_str(text).map_err(ServiceError::internal)?;
    Agreement::parse(&value).map(Some).map_err(ServiceError::internal)
}

async fn keep_agreement(unit: &mut Unit, row: &Model) -> ServiceResult<()> {
    let (Some(id), Some(body)) = (row.agreement_id.clone(), row.agreement.clone()) else {
        return Err(ServiceError::internal("a negotiation was finalized without an agreement"));
    };
    let concluded = agreement::Model {
        id,
        context: row.context.clone(),
        role: row.role.clone(),
        negotiation_id: row.id.clone(),
        counter_party: row.counter_party.clone(),
        counter_address: row.counter_address.clone(),
        dataset_id: row.dataset_id.clone(),
        body,
        purpose: row.purpose.clone(),
        transfer_decision: row.transfer_decision.clone(),
        created_at: unit.now(),
    };
    duties::enter(unit, &concluded).await?;
    agreements::insert(unit, concluded).await?;
    Ok(())
}
