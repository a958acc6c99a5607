//! Messages from the counter-party.

use std::sync::Arc;

use dsp_protocol::negotiation as machine;
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractNegotiationTerminationMessage, ContractOfferMessage, ContractRequestMessage,
};
use dsp_protocol::negotiation::{NegotiationMessage, Role};
use identity::Participant;
use serde_json::{Value, json};

use super::row::offer_of;
use super::{consumer, provider};
use crate::app::App;
use crate::service::decide::{Judged, Occasion, Subject};
use crate::service::process::{
    Process as _, Sender, create, existing, find_for_peer, locked, owe, owe_termination, recognise, repeat, role, save,
    settle,
};
use crate::service::reason::terminated_by_peer;
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::{Unit, decision_record, decisions};

/// A message about an existing negotiation.
#[derive(Clone, Debug)]
pub(crate) enum Incoming {
    /// A counter-request of the consumer.
    ContractRequest(ContractRequestMessage),
    /// A counter-offer of the provider.
    ContractOffer(ContractOfferMessage),
    /// The consumer accepts the offer on the table.
    Accepted,
    /// The provider proposes the agreement.
    Agreement(ContractAgreementMessage),
    /// The consumer has verified the agreement.
    Verification,
    /// The provider has finalized.
    Finalized,
    /// Either side ends it.
    Termination(ContractNegotiationTerminationMessage),
}

impl Incoming {
    fn kind(&self) -> NegotiationMessage {
        match self {
            Self::ContractRequest(_) => NegotiationMessage::ContractRequest,
            Self::ContractOffer(_) => NegotiationMessage::ContractOffer,
            Self::Accepted => NegotiationMessage::Accepted,
            Self::Agreement(_) => NegotiationMessage::Agreement,
            Self::Verification => NegotiationMessage::Verification,
            Self::Finalized => NegotiationMessage::Finalized,
            Self::Termination(_) => NegotiationMessage::Termination,
        }
    }
}

/// What we do next by ourselves after a message, decided before the unit of work.
pub(super) enum Next {
    /// Leave it to the operator.
    Wait,
    /// Send this message.
    Send(NegotiationMessage),
    /// End it, because of this.
    Refuse(ServiceError),
}

/// What we do next, and the decision of the policy that led there.
pub(super) struct Step {
    /// What we do.
    pub next: Next,
    /// The decision, when the policy was asked.
    pub judged: Option<Judged>,
}

impl From<Next> for Step {
    fn from(next: Next) -> Self {
        Self { next, judged: None }
    }
}

impl Step {
    fn record(&self, app: &App, row: &Model) -> ServiceResult<Option<decision_record::Model>> {
        let agreement = row.agreement_id.as_deref().unwrap_or_default();
        let about = Subject { process: &row.id, agreement, dataset: &row.dataset_id };
        self.judged.as_ref().map(|judged| judged.record(app, Occasion::Negotiation, &about)).transpose()
    }
}

/// The consumer's first message: a new negotiation, or the existing one when it repeats itself.
///
/// # Errors
/// `unknown_offer`, `wrong_target`, `duplicate_pid` and the like: 400, nothing is stored.
pub(crate) async fn receive_initial_request(
    app: &Arc<App>,
    participant: &Participant,
    message: ContractRequestMessage,
    digest: String,
) -> ServiceResult<Value> {
    let pid = message.consumer_pid.to_string();
    if let Some(existing) = existing::<Model>(app, Role::Provider, participant, &pid).await? {
        return repeat(app, &existing, &digest);
    }
    let (row, step) = provider::new_from_request(app, participant, message, &digest).await?;
    begin(app, participant, row, step).await
}

/// The provider's first message: it makes us an offer.
///
/// # Errors
/// As for the request.
pub(crate) async fn receive_initial_offer(
    app: &Arc<App>,
    participant: &Participant,
    message: ContractOfferMessage,
    digest: String,
) -> ServiceResult<Value> {
    let pid = message.provider_pid.to_string();
    if let Some(existing) = existing::<Model>(app, Role::Consumer, participant, &pid).await? {
        return repeat(app, &existing, &digest);
    }
    let row = consumer::new_from_offer(app, participant, message, &digest)?;
    begin(app, participant, row, Next::Wait.into()).await
}

async fn begin(app: &Arc<App>, participant: &Participant, mut row: Model, step: Step) -> ServiceResult<Value> {
    let initial = machine::receive_initial(role(&row));
    settle(&mut row, initial);
    let record = step.record(app, &row)?;
    create(app, participant, row, record, move |app, row, now| apply(app, row, step.next, now)).await
}

/// Carries out what was decided; answers the decision for the event.
fn apply(app: &App, row: &mut Model, next: Next, now: i64) -> ServiceResult<Option<Value>> {
    match next {
        Next::Wait => Ok(None),
        Next::Send(message) => {
            owe(app, row, message, now)?;
            Ok(Some(json!({"allow": true})))
        }
        Next::Refuse(error) => {
            owe_termination(app, row, error.code, &error.message, Some(&error), now)?;
            Ok(Some(json!({"allow": false, "rule": error.rule, "fact": error.fact})))
        }
    }
}

/// A message about an existing negotiation, addressed by our pid `id`.
///
/// # Errors
/// `not_found` for a foreign or unknown pid; 400 with the reason when the message is not allowed, and nothing changes.
pub(crate) async fn receive(
    app: &Arc<App>,
    participant: &Participant,
    id: &str,
    from: Sender,
    message: Incoming,
) -> ServiceResult<()> {
    let mut before: Model = find_for_peer(app, participant, id).await?;
    // What a policy has to say is asked before the unit of work, so that the writer never waits for it.
    let step = prepare(app, participant, &mut before, &message).await?;
    let record = step.record(app, &before)?;
    let claims = before.claims;
    locked(app, id, move |app, unit, row| {
        Box::pin(async move {
            take(app, unit, row, from, claims, message, step.next).await?;
            match record {
                Some(record) => Ok(decisions::insert(unit, record).await?),
                None => Ok(()),
            }
        })
    })
    .await
}

async fn prepare(app: &App, participant: &Participant, row: &mut Model, message: &Incoming) -> ServiceResult<Step> {
    // A message that the machine refuses anyway needs no decision.
    machine::receive(role(row), row.state(app), message.kind())?;
    match message {
        Incoming::ContractRequest(request) => provider::on_counter_request(app, participant, row, request).await,
        Incoming::Accepted => provider::on_accepted(app, participant, row).await,
        Incoming::Verification if row.decision == "automatic" => Ok(Next::Send(NegotiationMessage::Finalized).into()),
        Incoming::ContractOffer(offer) => consumer::on_offer(row, offer).map(Step::from),
        Incoming::Agreement(agreement) => consumer::on_agreement(app, row, &agreement.agreement).map(Step::from),
        Incoming::Verification | Incoming::Finalized | Incoming::Termination(_) => Ok(Next::Wait.into()),
    }
}

async fn take(
    app: &App,
    unit: &mut Unit,
    mut row: Model,
    from: Sender,
    claims: String,
    message: Incoming,
    next: Next,
) -> ServiceResult<()> {
    recognise(unit, &mut row, from).await?;
    let settled_before = row.settled.clone();
    let received = machine::receive(role(&row), row.state(app), message.kind())?;
    settle(&mut row, received.state);
    row.claims = claims;
    match message {
        Incoming::ContractRequest(request) => put_offer(&mut row, &request.offer),
        Incoming::ContractOffer(offer) => put_offer(&mut row, &offer.offer),
        Incoming::Agreement(message) => {
            row.agreement_id = Some(message.agreement.id.to_string());
            row.agreement = Some(message.agreement.agreement().to_string());
        }
        Incoming::Termination(message) => {
            row.termination = Some(json!({"code": message.code, "reason": message.reason}).to_string());
            row.error = Some(terminated_by_peer(message.code.as_deref(), &message.reason).to_string());
        }
        Incoming::Accepted | Incoming::Verification | Incoming::Finalized => {}
    }
    let now = unit.now();
    let detail = match next {
        Next::Send(NegotiationMessage::Agreement) => {
            let offer = offer_of(&row)?;
            provider::propose_agreement(app, &mut row, &offer, now)?;
            apply(app, &mut row, Next::Send(NegotiationMessage::Agreement), now)?
        }
        next => apply(app, &mut row, next, now)?,
    };
    save(unit, row, settled_before.as_deref(), detail).await?;
    Ok(())
}

fn put_offer(row: &mut Model, offer: &dsp_protocol::policy::Offer) {
    row.offer_id = offer.id.to_string();
    row.offer = offer.message_offer().to_string();
}
