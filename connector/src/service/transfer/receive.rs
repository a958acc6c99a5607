//! Messages from the counter-party.

use std::sync::Arc;

use dsp_protocol::pid::ProviderPid;
use dsp_protocol::transfer as machine;
use dsp_protocol::transfer::{
    Role, TransferMessage, TransferRequestMessage, TransferStartMessage, TransferState, TransferSuspensionMessage,
    TransferTerminationMessage,
};
use identity::Participant;
use policy::{Policy, Scope};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::command::recheck;
use super::flow::{aim, is_moving, readdress};
use super::row::{forget_address, is_push};
use crate::app::App;
use crate::service::dataset::DatasetBody;
use crate::service::decide::{Asking, Judged, Occasion, Subject, Use, judge};
use crate::service::negotiation::finalized_by_use;
use crate::service::process::{
    Process as _, Sender, create, existing, find_for_peer, locked, owe, owe_termination, recognise, repeat, role, save,
    settle,
};
use crate::service::reason::terminated_by_peer;
use crate::service::{Kind, ServiceError, ServiceResult, scopes};
use crate::store::transfer::Model;
use crate::store::{Unit, agreement, agreements, dataset, facts, registry};

/// How often a new transfer asks for a place in the order of transfers, when others are quicker.
const PLACES: usize = 16;

/// A message about an existing transfer.
#[derive(Clone, Debug)]
pub(crate) enum Incoming {
    /// Data can flow, or flow again.
    Start(TransferStartMessage),
    /// All data has flowed.
    Completion,
    /// The flow pauses.
    Suspension(TransferSuspensionMessage),
    /// The transfer ends.
    Termination(TransferTerminationMessage),
}

impl Incoming {
    fn kind(&self) -> TransferMessage {
        match self {
            Self::Start(_) => TransferMessage::Start,
            Self::Completion => TransferMessage::Completion,
            Self::Suspension(_) => TransferMessage::Suspension,
            Self::Termination(_) => TransferMessage::Termination,
        }
    }
}

/// The consumer's request: a new transfer, or the existing one when it repeats itself.
///
/// # Errors
/// `unknown_agreement`, `unknown_format`, `duplicate_pid` and the like: 400, nothing is stored.
pub(crate) async fn receive_request(
    app: &Arc<App>,
    participant: &Participant,
    message: TransferRequestMessage,
    digest: String,
) -> ServiceResult<Value> {
    let pid = message.consumer_pid.to_string();
    if let Some(existing) = existing::<Model>(app, Role::Provider, participant, &pid).await? {
        return repeat(app, &existing, &digest);
    }
    let (mut row, answer) = new_from_request(app, participant, message, &digest).await?;
    settle(&mut row, machine::receive_initial());
    let (refusal, record) = match answer {
        Ok(judged) => (judged.refusal(), Some(judged.record(app, Occasion::Transfer, &about(&row))?)),
        Err(refusal) => (Some(refusal), None),
    };
    create(app, participant, row, record, move |app, row, now| match &refusal {
        Some(error) => {
            owe_termination(app, row, error.code, &error.message, Some(error), now)?;
            Ok(Some(json!({"allow": false, "rule": error.rule, "fact": error.fact})))
        }
        None if row.decision == "automatic" => {
            owe(app, row, TransferMessage::Start, now)?;
            aim(row, "STARTED", now);
            Ok(Some(json!({"allow": true})))
        }
        None => Ok(None),
    })
    .await
}

/// What a decision about the transfer is about.
pub(crate) fn about(row: &Model) -> Subject<'_> {
    Subject { process: &row.id, agreement: &row.agreement_id, dataset: &row.dataset_id }
}

/// What the agreement's policy says, or why what the consumer proves was not enough to ask it.
type Answer = Result<Judged, ServiceError>;

/// The row of a new transfer, and what the agreement's policy says about it now.
async fn new_from_request(
    app: &Arc<App>,
    participant: &Participant,
    message: TransferRequestMessage,
    digest: &str,
) -> ServiceResult<(Model, Answer)> {
    app.fetcher.check_url(&message.callback_address).map_err(|error| {
        ServiceError::bad_request("bad_callback", format!("`callbackAddress` cannot be used: {error}"))
    })?;
    let db = app.store.reads();
    let id = message.agreement_id.as_str();
    let agreement = agreement_with(app, participant, id).await?.ok_or_else(|| {
        ServiceError::bad_request("unknown_agreement", format!("there is no agreement `{id}` with this participant"))
    })?;
    let dataset = registry::find::<dataset::Entity>(db, app.context(), &agreement.dataset_id).await?;
    let dataset = dataset.ok_or_else(|| {
        ServiceError::bad_request("dataset_gone", format!("dataset `{}` is not offered any more", agreement.dataset_id))
    })?;
    let body = DatasetBody::parse(&dataset.body).map_err(ServiceError::internal)?;
    if !body.distributions.iter().any(|distribution| distribution.format == message.format) {
        let formats = body.distributions.iter().map(|d| format!("`{}`", d.format)).collect::<Vec<_>>().join(", ");
        let text = format!("format `{}` is not one of the dataset's distributions: {formats}", message.format);
        return Err(ServiceError::bad_request("unknown_format", text));
    }
    let mut row = Model::blank(
        app.context(),
        "provider",
        ProviderPid::generate().to_string(),
        participant.id(),
        &message.callback_address,
    );
    row.counter_pid = Some(message.consumer_pid.to_string());
    row.agreement_id = agreement.id.clone();
    row.dataset_id = agreement.dataset_id.clone();
    row.format = message.format.clone();
    row.decision = agreement.transfer_decision.clone();
    // What is declared for the contract holds for its transfers, unless one is for something else.
    row.purpose =
        if message.purpose.is_empty() { agreement.purpose.clone() } else { Value::from(message.purpose).to_string() };
    row.initial_digest = Some(digest.to_owned());
    if is_push(&row) {
        let address = message.data_address.ok_or_else(|| {
            ServiceError::bad_request("missing_data_address", "a push needs a `dataAddress` to write to")
        })?;
        row.data_address = Some(address.to_value().to_string());
    }
    let answer = decide_now(app, participant, &mut row, &agreement.body).await?;
    Ok((row, answer))
}

/// Decides with what the consumer proves now, and keeps that in the row.
async fn decide_now(app: &App, participant: &Participant, row: &mut Model, agreement: &str) -> ServiceResult<Answer> {
    row.claims = participant.claims().to_string();
    let policy = app.decisions.compile_agreement(agreement)?;
    match scopes::proven(app, participant, &policy).await {
        Ok(proven) => {
            row.claims = proven.claims().to_string();
            judge_new(app, &policy, row, proven.claims()).await.map(Ok)
        }
        Err(error) if error.kind == Kind::Unavailable => Err(error),
        Err(error) => Ok(Err(error)),
    }
}

/// Decides on a new transfer. Where the agreement counts transfers, one that is allowed takes its place in their order, which only
/// one of several that come at once gets.
async fn judge_new(app: &App, policy: &Policy, row: &mut Model, claims: &Value) -> ServiceResult<Judged> {
    for _ in 0..PLACES {
        let judged = judge_transfer(app, app.store.reads(), policy, row, claims).await?;
        let Some(place) = judged.facts.transfers.filter(|_| judged.decision.allow) else { return Ok(judged) };
        let place = i64::try_from(place).map_err(ServiceError::internal)?;
        let (context, agreement) = (app.context(), row.agreement_id.clone());
        let taken = app.store.write(move |unit| {
            Box::pin(
                async move { Ok::<_, ServiceError>(facts::take_transfer(unit, context, &agreement, place).await?) },
            )
        });
        if taken.await? {
            row.ordinal = Some(place);
            return Ok(judged);
        }
    }
    Err(ServiceError::unavailable("busy", "too many transfers under this agreement begin at once; try again"))
}

/// The agreement of this id with this participant.
async fn agreement_with(
    app: &Arc<App>,
    participant: &Participant,
    id: &str,
) -> ServiceResult<Option<agreement::Model>> {
    let stored = async || agreements::find(app.store.reads(), app.context(), "provider", id).await;
    let found = match stored().await? {
        None => {
            // Read again in any case: the answer to our `FINALIZED` may have come in between.
            finalized_by_use(app, participant.id(), id).await?;
            stored().await?
        }
        found => found,
    };
    Ok(found.filter(|row| row.counter_party == participant.id()))
}

/// What the agreement says about a transfer now.
///
/// # Errors
/// When the database fails.
pub(super) async fn judge_transfer(
    app: &App,
    db: &impl ConnectionTrait,
    policy: &Policy,
    row: &Model,
    claims: &Value,
) -> ServiceResult<Judged> {
    judge(app, db, policy, Scope::Transfer, &asking(row, claims)).await
}

/// The question whether a transfer may go on.
pub(crate) fn asking<'a>(row: &'a Model, claims: &'a Value) -> Asking<'a> {
    Asking {
        participant: &row.counter_party,
        claims,
        dataset: Some(&row.dataset_id),
        agreement: Some(&row.agreement_id),
        channel: Some(&row.format),
        purpose: &row.purpose,
        ordinal: row.ordinal.and_then(|ordinal| u64::try_from(ordinal).ok()),
        usage: Use::Next,
    }
}

/// A message about an existing transfer, addressed by our pid `id`.
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
    find_for_peer::<Model>(app, participant, id).await?;
    locked(app, id, move |app, unit, row| Box::pin(take(app, unit, row, from, message))).await
}

async fn take(app: &App, unit: &mut Unit, mut row: Model, from: Sender, message: Incoming) -> ServiceResult<()> {
    recognise(unit, &mut row, from).await?;
    let now = unit.now();
    let settled_before = row.settled.clone();
    if let Incoming::Start(start) = &message
        && takes_new_address(app, &row)
        && let Some(address) = &start.data_address
    {
        // After a resumption by us the provider's own start brings the new address (EDC on the wire, Transfer).
        row.data_address = Some(address.to_value().to_string());
        aim(&mut row, "STARTED", now);
        save(unit, row, settled_before.as_deref(), None).await?;
        return Ok(());
    }
    check_resumption(app, &row, &message)?;
    let received = machine::receive(role(&row), row.state(app), message.kind())?;
    match message {
        // Both resume at once: our own start is on its way.
        Incoming::Start(_) if role(&row) == Role::Provider && row.owed() == Some(TransferMessage::Start) => {}
        Incoming::Start(_) if role(&row) == Role::Provider => {
            // The consumer resumes: our own start follows, with a new address. Until then nothing has started.
            if received.implied == Some(TransferMessage::Suspension) {
                let taken = machine::acknowledge(Role::Provider, row.state(app))?;
                settle(&mut row, taken);
            }
            recheck(app, unit, &row).await.map_err(to_peer)?;
            owe(app, &mut row, TransferMessage::Start, now)?;
            aim(&mut row, "STARTED", now);
        }
        Incoming::Start(start) => {
            settle(&mut row, received.state);
            let address = start.data_address.map(|address| address.to_value().to_string());
            let another = address.is_some() && address != row.data_address;
            row.data_address = address.or(row.data_address);
            // When the provider's data plane has changed, ours has not heard of the suspension.
            if !another || is_push(&row) || !readdress(&mut row, now) {
                aim(&mut row, "STARTED", now);
            }
        }
        Incoming::Completion => {
            settle(&mut row, received.state);
            aim(&mut row, "COMPLETED", now);
        }
        Incoming::Suspension(suspension) => {
            settle(&mut row, received.state);
            row.termination = Some(json!({"code": suspension.code, "reason": suspension.reason}).to_string());
            // The provider's data plane has changed, and a start with the new address follows: our readers wait for it.
            if role(&row) == Role::Provider || is_push(&row) || !is_moving(&row) {
                forget_address(&mut row);
                aim(&mut row, "SUSPENDED", now);
            }
        }
        Incoming::Termination(termination) => {
            settle(&mut row, received.state);
            row.termination = Some(json!({"code": termination.code, "reason": termination.reason}).to_string());
            row.error = Some(terminated_by_peer(termination.code.as_deref(), &termination.reason).to_string());
            forget_address(&mut row);
            aim(&mut row, "TERMINATED", now);
        }
    }
    save(unit, row, settled_before.as_deref(), None).await?;
    Ok(())
}

/// A step that the present state does not allow, as the counter-party hears it (DSP 2025-1, Transfer Error).
fn to_peer(error: ServiceError) -> ServiceError {
    match error.kind {
        Kind::Conflict => ServiceError { kind: Kind::BadRequest, ..error },
        _ => error,
    }
}

/// Only a side that suspended may resume, see [`machine::SuspendedBy`].
fn check_resumption(app: &App, row: &Model, message: &Incoming) -> ServiceResult<()> {
    let sender = role(row).other();
    if matches!(message, Incoming::Start(_)) && !row.state(app).lifts(sender) {
        return Err(ServiceError::bad_request(
            "suspended_by_us",
            "we have suspended the transfer and have to resume it",
        ));
    }
    Ok(())
}

/// As consumer of a pull that we resumed, the flow still waits for its new address.
fn takes_new_address(app: &App, row: &Model) -> bool {
    let state = row.state(app);
    role(row) == Role::Consumer
        && !is_push(row)
        && state.owed.is_none()
        && state.settled == Some(TransferState::Started)
        && row.flow_state.as_deref() == Some("SUSPENDED")
        && row.data_address.is_none()
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
