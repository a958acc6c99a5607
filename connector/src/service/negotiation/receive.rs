//! Messages from the counter-party.

use std::sync::Arc;

use dsp_protocol::negotiation as machine;
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractNegotiationTerminationMessage, ContractOfferMessage, ContractRequestMessage,
};
use dsp_protocol::negotiation::{Illegal, NegotiationMessage, Role};
use identity::Participant;
use serde_json::{Value, json};

use super::row::{
    announce, machine_state, negotiation_object, offer_of, owe, owe_termination, role, role_name, save, settle,
};
use super::{consumer, provider};
use crate::app::App;
use crate::service::reason::terminated_by_peer;
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::{Unit, negotiations};

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

impl From<Illegal> for ServiceError {
    fn from(illegal: Illegal) -> Self {
        Self::bad_request(illegal.code, illegal.message)
    }
}

/// What a message says about where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The counter-party's pid.
    pub pid: String,
    /// What tells a copy of the message from another one: its `@id`, else a digest of its content. An old offer that
    /// crosses our counter-request must not pass for its answer.
    pub key: String,
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

/// The negotiation with this pid of ours, if it is with this participant; a foreign one looks like an unknown one.
///
/// # Errors
/// `not_found`.
pub(crate) async fn find_for_peer(app: &App, participant: &Participant, id: &str) -> ServiceResult<Model> {
    let row = negotiations::find(app.store.reads(), app.context(), id).await?;
    row.filter(|row| row.counter_party == participant.id())
        .ok_or_else(|| ServiceError::not_found(format!("no negotiation `{id}` with this participant")))
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
    if let Some(existing) = existing(app, Role::Provider, participant, &pid).await? {
        return repeat(app, &existing, &digest);
    }
    let (row, next) = provider::new_from_request(app, participant, message, &digest).await?;
    create(app, participant, row, next, &pid, &digest).await
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
    if let Some(existing) = existing(app, Role::Consumer, participant, &pid).await? {
        return repeat(app, &existing, &digest);
    }
    let row = consumer::new_from_offer(app, participant, message, &digest)?;
    create(app, participant, row, Next::Wait, &pid, &digest).await
}

async fn existing(app: &App, role: Role, participant: &Participant, pid: &str) -> ServiceResult<Option<Model>> {
    let db = app.store.reads();
    Ok(negotiations::by_counter_pid(db, app.context(), role_name(role), participant.id(), pid).await?)
}

fn repeat(app: &App, existing: &Model, digest: &str) -> ServiceResult<Value> {
    if existing.initial_digest.as_deref() == Some(digest) {
        return negotiation_object(app, existing);
    }
    Err(ServiceError::bad_request(
        "duplicate_pid",
        "this pid belongs to a negotiation that was begun with other content",
    ))
}

async fn create(
    app: &Arc<App>,
    participant: &Participant,
    mut row: Model,
    next: Next,
    pid: &str,
    digest: &str,
) -> ServiceResult<Value> {
    let our_role = role(&row);
    settle(&mut row, machine::receive_initial(our_role));
    let shared = app.clone();
    let created = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                let detail = apply(&shared, &mut row, next, unit.now())?;
                let row = negotiations::insert(unit, row).await?;
                announce(unit, &row, None, detail).await?;
                Ok::<_, ServiceError>(row)
            })
        })
        .await;
    match created {
        Ok(row) => negotiation_object(app, &row),
        // The same message came twice at once and the other one was first.
        Err(error) if error.code == "exists" => match existing(app, our_role, participant, pid).await? {
            Some(row) => repeat(app, &row, digest),
            None => Err(error),
        },
        Err(error) => Err(error),
    }
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
            let reason = refusal_reason(&error);
            owe_termination(app, row, error.code, &reason, Some(&error), now)?;
            Ok(Some(json!({"allow": false, "rule": error.rule, "fact": error.fact})))
        }
    }
}

fn refusal_reason(error: &ServiceError) -> String {
    error.message.clone()
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
    let before = find_for_peer(app, participant, id).await?;
    // What a policy has to say is asked before the unit of work, so that the writer never waits for it.
    let next = prepare(app, participant, &before, &message).await?;
    let shared = app.clone();
    let id = id.to_owned();
    let claims = participant.claims().to_string();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let row = negotiations::lock(unit, shared.context(), &id).await?;
                let row = row.ok_or_else(|| ServiceError::not_found("the negotiation is gone"))?;
                take(&shared, unit, row, from, claims, message, next).await
            })
        })
        .await
}

async fn prepare(app: &App, participant: &Participant, row: &Model, message: &Incoming) -> ServiceResult<Next> {
    // A message that the machine refuses anyway needs no decision.
    machine::receive(role(row), machine_state(app, row), message.kind())?;
    match message {
        Incoming::ContractRequest(request) => provider::on_counter_request(app, participant, row, request).await,
        Incoming::Accepted => provider::on_accepted(app, participant, row).await,
        Incoming::Verification if row.decision == "automatic" => Ok(Next::Send(NegotiationMessage::Finalized)),
        Incoming::ContractOffer(offer) => consumer::on_offer(row, offer),
        Incoming::Agreement(agreement) => consumer::on_agreement(app, row, &agreement.agreement),
        Incoming::Verification | Incoming::Finalized | Incoming::Termination(_) => Ok(Next::Wait),
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
    check_pid(&mut row, from.pid)?;
    if row.last_taken.as_ref() == Some(&from.key) {
        return Err(ServiceError::bad_request("repeated_message", "this message was taken before"));
    }
    row.last_taken = Some(from.key);
    let settled_before = row.settled.clone();
    let received = machine::receive(role(&row), machine_state(app, &row), message.kind())?;
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

/// The other side's pid must be the one that we know; the first message that names it teaches it to us.
fn check_pid(row: &mut Model, given: String) -> ServiceResult<()> {
    match &row.counter_pid {
        Some(known) if *known != given => Err(ServiceError::bad_request(
            "wrong_pid",
            format!("this negotiation is known to us with your pid `{known}`"),
        )),
        Some(_) => Ok(()),
        None => {
            row.counter_pid = Some(given);
            Ok(())
        }
    }
}

fn put_offer(row: &mut Model, offer: &dsp_protocol::policy::Offer) {
    row.offer_id = offer.id.to_string();
    row.offer = offer.message_offer().to_string();
}
