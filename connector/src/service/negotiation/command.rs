//! What operators and their automation want: begin a negotiation, take its next step, end it.

use std::sync::Arc;

use dsp_protocol::negotiation as machine;
use dsp_protocol::negotiation::{NegotiationMessage, NegotiationState, Role};
use dsp_protocol::pid::{ConsumerPid, DatasetId, ParticipantId, ProviderPid};
use dsp_protocol::policy::Offer;
use serde_json::{Value, json};

use super::consumer::check_agreement;
use super::provider::{check_agree, our_offer, propose_agreement};
use super::row::{agreement_of, offer_of};
use crate::app::App;
use crate::service::catalog::dataset_of;
use crate::service::decide::About;
use crate::service::partner::{CounterPartyRef, resolve};
use crate::service::process::{Process as _, announce, begin, locked, owe, role, save};
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::{Unit, processes};

/// A negotiation to begin.
#[derive(Clone, Debug)]
pub(crate) struct NewNegotiation {
    /// With whom.
    pub counter_party: CounterPartyRef,
    /// We are the provider and make the first offer.
    pub provider: bool,
    /// Dataset wanted; its offer is read from the provider's catalog unless `offer` is given.
    pub dataset_id: Option<String>,
    /// Offer wanted, or our own offer when we are the provider.
    pub offer_id: Option<String>,
    /// An offer in full (id, target, rules): no catalog is read.
    pub offer: Option<Value>,
    /// What we declare, as consumer, that the data is for.
    pub purpose: Vec<String>,
    /// Every step waits for a command.
    pub manual: bool,
}

/// A step that an operator commands.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Provider: put an offer on the table, ours or the one given.
    Offer(Option<Value>),
    /// Consumer: ask again, with the offer given or the one on the table.
    Counter(Option<Value>),
    /// Consumer: accept the offer on the table.
    Accept,
    /// Provider: propose the agreement.
    Agree,
    /// Consumer: verify the agreement.
    Verify,
    /// Provider: finalize.
    Finalize,
    /// Either side: end it.
    Terminate {
        /// Machine code for the counter-party.
        code: Option<String>,
        /// Reason for people.
        reason: Option<String>,
    },
}

impl Command {
    fn message(&self) -> NegotiationMessage {
        match self {
            Self::Offer(_) => NegotiationMessage::ContractOffer,
            Self::Counter(_) => NegotiationMessage::ContractRequest,
            Self::Accept => NegotiationMessage::Accepted,
            Self::Agree => NegotiationMessage::Agreement,
            Self::Verify => NegotiationMessage::Verification,
            Self::Finalize => NegotiationMessage::Finalized,
            Self::Terminate { .. } => NegotiationMessage::Termination,
        }
    }
}

/// Begins a negotiation. The first message is sent after this has returned.
///
/// # Errors
/// When the counter-party, its catalog or the offer cannot be found, or when the offer has rules that we do not
/// understand (unless every step is manual).
pub(crate) async fn start(app: &Arc<App>, new: NewNegotiation) -> ServiceResult<Model> {
    let address = resolve(app, &new.counter_party).await?;
    ParticipantId::parse(&new.counter_party.id)
        .map_err(|error| ServiceError::bad_request("bad_id", error.to_string()))?;
    let (our_role, id) = if new.provider {
        (Role::Provider, ProviderPid::generate().to_string())
    } else {
        (Role::Consumer, ConsumerPid::generate().to_string())
    };
    let mut row = Model::blank(app.context(), our_role.as_str(), id, &new.counter_party.id, &address);
    let offer = if new.provider { offer_to_make(app, &new, &mut row).await? } else { offer_to_ask(app, &new).await? };
    let Some(target) = &offer.target else {
        return Err(ServiceError::bad_request("missing_target", "the offer needs a `target`, the dataset's id"));
    };
    if !new.manual && !new.provider {
        // Rules that we do not understand cannot be agreed to by a machine (ODRL 2.2: an unknown left operand decides nothing).
        let about = About { target: Some(target.as_str()), assigner: Some(&new.counter_party.id), ..About::default() };
        app.decisions.compile(&offer.rules, &offer.profile, about)?;
    }
    row.dataset_id = target.to_string();
    row.offer_id = offer.id.to_string();
    row.offer = offer.message_offer().to_string();
    if new.manual {
        row.decision = "manual".to_owned();
    }
    let claims = app.identity.counter_party_claims(&new.counter_party.id);
    row.claims = claims.unwrap_or_else(|| json!({})).to_string();
    row.purpose = Value::from(new.purpose).to_string();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                begin(&mut row, machine::initiate(our_role), unit.now());
                let row = processes::insert(unit, row).await?;
                announce(unit, &row, None, None).await?;
                Ok::<_, ServiceError>(row)
            })
        })
        .await
}

async fn offer_to_make(app: &App, new: &NewNegotiation, row: &mut Model) -> ServiceResult<Offer> {
    let id = new.offer_id.as_deref().ok_or_else(|| {
        ServiceError::bad_request("missing_offer", "as provider, name the `offerId` of the offer to make")
    })?;
    let ours = our_offer(app, id).await?;
    row.decision = ours.row.negotiation.clone();
    row.transfer_decision = ours.row.transfer.clone();
    ours.offer(app)
}

async fn offer_to_ask(app: &App, new: &NewNegotiation) -> ServiceResult<Offer> {
    if let Some(given) = &new.offer {
        return given_offer(given);
    }
    let dataset = new.dataset_id.as_deref().ok_or_else(|| {
        ServiceError::bad_request("missing_dataset", "name the `datasetId`, or give the `offer` in full")
    })?;
    let found = dataset_of(app, &new.counter_party, dataset).await?;
    let offers = found.get("hasPolicy").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut offers = offers.iter().filter_map(|value| Offer::parse(value).ok()).collect::<Vec<_>>();
    if let Some(wanted) = &new.offer_id {
        offers.retain(|offer| offer.id.as_str() == wanted);
    }
    let names = offers.iter().map(|offer| format!("`{}`", offer.id)).collect::<Vec<_>>().join(", ");
    let more = offers.len() > 1;
    let first = offers.into_iter().next();
    let mut offer = match (first, more) {
        (Some(offer), false) => offer,
        (Some(_), true) => {
            let message = format!("dataset `{dataset}` has several offers, name one of {names} as `offerId`");
            return Err(ServiceError::conflict("several_offers", message));
        }
        (None, _) => {
            let message = format!("dataset `{dataset}` of `{}` has no such offer for us", new.counter_party.id);
            return Err(ServiceError::peer("no_offer", message));
        }
    };
    offer.target =
        Some(DatasetId::parse(dataset).map_err(|error| ServiceError::bad_request("bad_id", error.to_string()))?);
    Ok(offer)
}

fn given_offer(value: &Value) -> ServiceResult<Offer> {
    Offer::parse(value).map_err(|error| ServiceError::bad_request(error.code, error.message))
}

/// Takes a step. The message is sent after this has returned.
///
/// # Errors
/// 409 when the present state does not allow it; nothing changes.
pub(crate) async fn command(app: &Arc<App>, id: &str, command: Command) -> ServiceResult<Model> {
    locked(app, id, move |app, unit, row| Box::pin(carry_out(app, unit, row, command))).await
}

async fn carry_out(app: &App, unit: &mut Unit, mut row: Model, command: Command) -> ServiceResult<Model> {
    let settled_before = row.settled.clone();
    let message = command.message();
    machine::owe(role(&row), row.state(app), message)
        .map_err(|illegal| ServiceError::conflict(illegal.code, illegal.message))?;
    match &command {
        Command::Offer(Some(offer)) | Command::Counter(Some(offer)) => {
            let offer = given_offer(offer)?;
            if offer.target.as_ref().is_some_and(|target| target.as_str() != row.dataset_id) {
                let message = format!("this negotiation is about `{}`", row.dataset_id);
                return Err(ServiceError::bad_request("wrong_target", message));
            }
            let target = DatasetId::parse(&row.dataset_id).map_err(ServiceError::internal)?;
            let offer = Offer { target: Some(target), ..offer };
            row.offer_id = offer.id.to_string();
            row.offer = offer.message_offer().to_string();
        }
        Command::Agree => {
            check_agree(app, unit, &row).await?;
            let offer = offer_of(&row)?;
            propose_agreement(app, &mut row, &offer, unit.now())?;
        }
        Command::Verify => {
            let agreement = agreement_of(&row)?.ok_or_else(|| ServiceError::internal("no agreement to verify"))?;
            check_agreement(app, &row, &agreement)?;
        }
        Command::Terminate { code, reason } => {
            let reason = reason.clone().unwrap_or_else(|| "ended by the operator".to_owned());
            let code = code.clone().unwrap_or_else(|| "terminated_by_operator".to_owned());
            row.termination = Some(json!({"code": code, "reason": [reason]}).to_string());
        }
        Command::Offer(None) | Command::Counter(None) | Command::Accept | Command::Finalize => {}
    }
    owe(app, &mut row, message, unit.now()).map_err(|illegal| ServiceError::conflict(illegal.code, illegal.message))?;
    save(unit, row, settled_before.as_deref(), None).await
}

/// The commands that the present state allows, in the order in which they usually come.
pub(crate) fn next_commands(row: &Model) -> Vec<&'static str> {
    let settled = row.settled.as_deref().and_then(NegotiationState::parse);
    let state = dsp_protocol::negotiation::Negotiation {
        settled,
        owed: row.owed().map(|message| dsp_protocol::negotiation::Owed { message, sent: true }),
    };
    let all = [
        ("offer", NegotiationMessage::ContractOffer),
        ("counter", NegotiationMessage::ContractRequest),
        ("accept", NegotiationMessage::Accepted),
        ("agree", NegotiationMessage::Agreement),
        ("verify", NegotiationMessage::Verification),
        ("finalize", NegotiationMessage::Finalized),
        ("terminate", NegotiationMessage::Termination),
    ];
    let allowed = all.into_iter().filter(|(_, message)| machine::owe(role(row), state, *message).is_ok());
    allowed.map(|(name, _)| name).collect()
}
