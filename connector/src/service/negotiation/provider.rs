//! What we decide as provider.

use dsp_protocol::negotiation as machine;
use dsp_protocol::negotiation::ContractRequestMessage;
use dsp_protocol::negotiation::{NegotiationMessage, Role};
use dsp_protocol::pid::{AgreementId, DatasetId, OfferId, ParticipantId, ProviderPid};
use dsp_protocol::policy::{Agreement, Offer, Rules, difference};
use identity::Participant;
use identity::scope::Scopes;
use policy::{Policy, Scope};
use serde_json::{Value, json};

use super::receive::{Next, Step};
use super::row::{agreement_of, offer_of};
use crate::app::App;
use crate::service::decide::{About, Asking, Occasion, Subject, judge, rfc3339};
use crate::service::process::Process as _;
use crate::service::{Kind, ServiceError, ServiceResult, scopes};
use crate::store::negotiation::Model;
use crate::store::{Unit, decisions, offer, registry};

/// An offer of ours with its policy.
pub(super) struct OurOffer {
    /// The row.
    pub row: offer::Model,
    /// Rules of the contract policy.
    pub rules: Rules,
    /// ODRL profiles of the contract policy.
    pub profile: Vec<String>,
}

/// Loads one of our offers.
///
/// # Errors
/// `unknown_offer`.
pub(super) async fn our_offer(app: &App, id: &str) -> ServiceResult<OurOffer> {
    let unknown = || ServiceError::bad_request("unknown_offer", format!("no offer `{id}` here"));
    let row = registry::find::<offer::Entity>(app.store.reads(), app.context(), id).await?.ok_or_else(unknown)?;
    app.decisions.load(app, std::slice::from_ref(&row.policy_id)).await?;
    let policy = app.decisions.loaded(&row.policy_id);
    let policy = policy.ok_or_else(|| ServiceError::internal(format!("offer `{id}` has lost its policy")))?;
    Ok(OurOffer { row, rules: policy.rules.clone(), profile: policy.profile.clone() })
}

impl OurOffer {
    /// The offer as it stands in messages.
    pub(super) fn offer(&self, app: &App) -> ServiceResult<Offer> {
        Ok(Offer {
            id: OfferId::parse(&self.row.id).map_err(ServiceError::internal)?,
            target: Some(DatasetId::parse(&self.row.dataset_id).map_err(ServiceError::internal)?),
            assigner: Some(ParticipantId::parse(&app.participant).map_err(ServiceError::internal)?),
            assignee: None,
            rules: self.rules.clone(),
            profile: self.profile.clone(),
        })
    }

    /// Whether the caller may see the offer at all; if not, it looks like an unknown one.
    async fn check_access(&self, app: &App, participant: &Participant) -> ServiceResult<()> {
        let access = std::slice::from_ref(&self.row.access_policy_id);
        if !app.decisions.visible(app, access, participant).await?.is_empty() {
            return Ok(());
        }
        Err(ServiceError::bad_request("unknown_offer", format!("no offer `{}` here", self.row.id)))
    }
}

/// The row of a new negotiation that a consumer has begun, and what we do next.
pub(super) async fn new_from_request(
    app: &App,
    participant: &Participant,
    message: ContractRequestMessage,
    digest: &str,
) -> ServiceResult<(Model, Step)> {
    let Some(callback) = message.callback_address.clone() else {
        return Err(ServiceError::bad_request(
            "missing_callback",
            "a first ContractRequestMessage needs a `callbackAddress`",
        ));
    };
    app.fetcher.check_url(&callback).map_err(|error| {
        ServiceError::bad_request("bad_callback", format!("`callbackAddress` cannot be used: {error}"))
    })?;
    let ours = our_offer(app, message.offer.id.as_str()).await?;
    ours.check_access(app, participant).await?;
    check_target(&ours, &message.offer)?;
    let id = ProviderPid::generate().to_string();
    let mut row = Model::blank(app.context(), Role::Provider.as_str(), id, participant.id(), &callback);
    row.counter_pid = Some(message.consumer_pid.to_string());
    row.dataset_id = ours.row.dataset_id.clone();
    row.offer_id = ours.row.id.clone();
    row.offer = message.offer.message_offer().to_string();
    row.decision = ours.row.negotiation.clone();
    row.transfer_decision = ours.row.transfer.clone();
    row.claims = participant.claims().to_string();
    row.purpose = Value::from(message.purpose).to_string();
    row.initial_digest = Some(digest.to_owned());
    let step = answer_request(app, participant, &mut row, &ours, &message.offer, false).await?;
    Ok((row, step))
}

/// A counter-request about the offer on the table.
pub(super) async fn on_counter_request(
    app: &App,
    participant: &Participant,
    row: &mut Model,
    message: &ContractRequestMessage,
) -> ServiceResult<Step> {
    let ours = our_offer(app, message.offer.id.as_str()).await?;
    check_target(&ours, &message.offer)?;
    if ours.row.dataset_id != row.dataset_id {
        return Err(ServiceError::bad_request(
            "wrong_target",
            format!("this negotiation is about `{}`", row.dataset_id),
        ));
    }
    if !message.purpose.is_empty() {
        row.purpose = Value::from(message.purpose.as_slice()).to_string();
    }
    answer_request(app, participant, row, &ours, &message.offer, true).await
}

fn check_target(ours: &OurOffer, asked: &Offer) -> ServiceResult<()> {
    match &asked.target {
        Some(target) if target.as_str() == ours.row.dataset_id => Ok(()),
        Some(target) => Err(ServiceError::bad_request(
            "wrong_target",
            format!("offer `{}` is for dataset `{}`, not for `{target}`", ours.row.id, ours.row.dataset_id),
        )),
        None => {
            Err(ServiceError::bad_request("missing_target", "the offer of a ContractRequestMessage needs a `target`"))
        }
    }
}

/// Same rules as ours: the policy decides. Other rules: we put ours on the table once; a second time we end it.
async fn answer_request(
    app: &App,
    participant: &Participant,
    row: &mut Model,
    ours: &OurOffer,
    asked: &Offer,
    counter: bool,
) -> ServiceResult<Step> {
    if row.decision != "automatic" {
        return Ok(Next::Wait.into());
    }
    if let Some(difference) = difference(&ours.rules, &asked.rules) {
        if counter {
            let message = format!("only the rules of offer `{}` are on offer: {difference}", ours.row.id);
            return Ok(Next::Refuse(ServiceError::bad_request("rules_differ", message)).into());
        }
        row.offer = ours.offer(app)?.message_offer().to_string();
        return Ok(Next::Send(NegotiationMessage::ContractOffer).into());
    }
    let offer = ours.offer(app)?;
    let step = decide_now(app, participant, row, &offer).await?;
    if matches!(step.next, Next::Send(NegotiationMessage::Agreement)) {
        propose_agreement(app, row, &offer, crate::store::now_ms())?;
    }
    Ok(step)
}

/// The consumer accepts the offer that we put on the table.
pub(super) async fn on_accepted(app: &App, participant: &Participant, row: &mut Model) -> ServiceResult<Step> {
    if row.decision != "automatic" {
        return Ok(Next::Wait.into());
    }
    let offer = offer_of(row)?;
    decide_now(app, participant, row, &offer).await
}

/// Decides with what the consumer proves now, and keeps that in the row. A credential that the policy looks at and that is
/// missing or fails is a refusal which names it.
async fn decide_now(app: &App, participant: &Participant, row: &mut Model, offer: &Offer) -> ServiceResult<Step> {
    let policy = policy_of(app, offer, &row.dataset_id)?;
    match scopes::proven(app, participant, &policy).await {
        Ok(proven) => {
            row.claims = proven.claims().to_string();
            let asking =
                Asking { purpose: &row.purpose, ..Asking::of(proven.id(), proven.claims(), Some(&row.dataset_id)) };
            let judged = judge(app, app.store.reads(), &policy, Scope::Negotiation, &asking).await?;
            let next = judged.refusal().map_or(Next::Send(NegotiationMessage::Agreement), Next::Refuse);
            Ok(Step { next, judged: Some(judged) })
        }
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        Err(error) => Ok(Next::Refuse(error).into()),
    }
}

fn policy_of(app: &App, offer: &Offer, dataset: &str) -> ServiceResult<Policy> {
    let about = About { target: Some(dataset), assigner: Some(&app.participant), ..About::default() };
    app.decisions.compile(&offer.rules, &offer.profile, about)
}

/// What the policy of the offer on the table wants to see of the consumer. Of one that is not understood here, nothing is known.
pub(super) fn scopes_of(app: &App, row: &Model) -> Scopes {
    let policy = offer_of(row).and_then(|offer| policy_of(app, &offer, &row.dataset_id));
    policy.map(|policy| scopes::of_policy(&policy)).unwrap_or_default()
}

/// Puts an agreement on the offer's rules into the row.
pub(super) fn propose_agreement(app: &App, row: &mut Model, offer: &Offer, now: i64) -> ServiceResult<()> {
    if agreement_of(row)?.is_some() {
        return Ok(());
    }
    let agreement = Agreement {
        id: AgreementId::generate(),
        target: DatasetId::parse(&row.dataset_id).map_err(ServiceError::internal)?,
        assigner: ParticipantId::parse(&app.participant).map_err(ServiceError::internal)?,
        assignee: ParticipantId::parse(&row.counter_party).map_err(ServiceError::internal)?,
        timestamp: Some(rfc3339(now)),
        rules: offer.rules.clone(),
        profile: offer.profile.clone(),
    };
    row.agreement_id = Some(agreement.id.to_string());
    row.agreement = Some(agreement.agreement().to_string());
    Ok(())
}

/// An operator agrees by hand: the policy still decides.
pub(super) async fn check_agree(app: &App, unit: &Unit, row: &Model) -> ServiceResult<()> {
    machine::owe(Role::Provider, row.state(app), NegotiationMessage::Agreement)
        .map_err(|illegal| ServiceError::conflict(illegal.code, illegal.message))?;
    let claims: Value = serde_json::from_str(&row.claims).unwrap_or_else(|_| json!({}));
    let policy = policy_of(app, &offer_of(row)?, &row.dataset_id)?;
    let asking = Asking { purpose: &row.purpose, ..Asking::of(&row.counter_party, &claims, Some(&row.dataset_id)) };
    let judged = judge(app, unit.db(), &policy, Scope::Negotiation, &asking).await?;
    if let Some(refusal) = judged.refusal() {
        return Err(refusal);
    }
    let about = Subject { process: &row.id, agreement: "", dataset: &row.dataset_id };
    Ok(decisions::insert(unit, judged.record(app, Occasion::Negotiation, &about)?).await?)
}
