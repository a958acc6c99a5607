//! Between the row and the pure state machine.

use std::sync::Arc;

use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use dsp_protocol::{Illegal, Role};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Process;
use crate::app::App;
use crate::service::reason::{error_object, forget_passing_error, termination_object};
use crate::service::{ServiceError, ServiceResult};
use crate::store::{ProcessRow, Unit, processes};

/// A state of a machine as rows keep it.
pub(crate) struct StoredState {
    /// The state that both sides know, by its wire name.
    pub settled: Option<&'static str>,
    /// The name for people and filters.
    pub name: &'static str,
    /// The kind of the owed message.
    pub owed: Option<&'static str>,
}

/// Our role in the row.
pub(crate) fn role<P: ProcessRow>(row: &P) -> Role {
    if row.common().role == "provider" { Role::Provider } else { Role::Consumer }
}

/// Whether the owed message may have reached the peer: see [`crate::service::in_flight::InFlight`].
pub(crate) fn went_out<P: ProcessRow>(app: &App, row: &P) -> bool {
    let row = row.common();
    *row.attempts > 0
        || *row.updated_at < app.started_at
        || row.lease_owner.as_deref() != Some(app.store.owner())
        || row.owed_id.as_deref().is_some_and(|id| app.in_flight.contains(id))
}

/// Writes the machine's state into the row.
pub(crate) fn settle<P: Process>(row: &mut P, state: P::State) {
    let stored = P::stored(state);
    let common = row.common_mut();
    *common.settled = stored.settled.map(str::to_owned);
    *common.state = stored.name.to_owned();
    *common.owed = stored.owed.map(str::to_owned);
    if stored.owed.is_none() {
        *common.owed_id = None;
        *common.attempts = 0;
        forget_passing_error(common.error);
    }
    row.settled(state);
}

/// Makes the row owe a message, to be sent at once.
///
/// # Errors
/// When the message is not ours to send now; nothing changes.
pub(crate) fn owe<P: Process>(app: &App, row: &mut P, message: P::Message, now: i64) -> Result<(), Illegal> {
    let state = P::owe(role(row), row.state(app), message)?;
    begin(row, state, now);
    Ok(())
}

/// Puts a state that may owe a new message into the row.
pub(crate) fn begin<P: Process>(row: &mut P, state: P::State, now: i64) {
    settle(row, state);
    let common = row.common_mut();
    *common.owed_id = common.owed.is_some().then(|| format!("urn:uuid:{}", Uuid::new_v4()));
    *common.attempts = 0;
    *common.owed_since = now;
    *common.next_attempt_at = now;
}

/// Makes the row owe a termination that says why, and stops what runs behind it; what ended it is kept in the row for
/// people.
///
/// # Errors
/// When the process has ended already.
pub(crate) fn owe_termination<P: Process>(
    app: &App,
    row: &mut P,
    code: &str,
    reason: &str,
    why: Option<&ServiceError>,
    now: i64,
) -> Result<(), Illegal> {
    owe(app, row, P::TERMINATION, now)?;
    row.stop(now);
    let common = row.common_mut();
    *common.termination = Some(termination_object(code, reason, why).to_string());
    if let Some(error) = why {
        *common.error = Some(error_object(error).to_string());
    }
    Ok(())
}

/// (provider's pid, consumer's pid) of the row; an unknown one is empty.
fn pids<P: ProcessRow>(row: &P) -> (String, String) {
    let common = row.common();
    let theirs = common.counter_pid.clone().unwrap_or_default();
    match role(row) {
        Role::Provider => (common.id.clone(), theirs),
        Role::Consumer => (theirs, common.id.clone()),
    }
}

/// The pids as typed values.
///
/// # Errors
/// When one is unknown.
pub(crate) fn typed_pids<P: ProcessRow>(row: &P) -> ServiceResult<(ProviderPid, ConsumerPid)> {
    let (provider, consumer) = pids(row);
    let provider = ProviderPid::parse(provider).map_err(ServiceError::internal)?;
    let consumer = ConsumerPid::parse(consumer).map_err(ServiceError::internal)?;
    Ok((provider, consumer))
}

/// Code and reasons of a suspension or termination of ours.
pub(crate) fn why<P: ProcessRow>(row: &P) -> (Option<String>, Vec<Value>) {
    let stored = row.common().termination.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let stored: Value = stored.unwrap_or_default();
    let code = stored.get("code").and_then(Value::as_str).map(str::to_owned);
    (code, stored.get("reason").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// Saves the row and says what happened in one event, see [`announce`].
///
/// # Errors
/// What the database brings.
pub(crate) async fn save<P: Process>(
    unit: &mut Unit,
    row: P,
    settled_before: Option<&str>,
    detail: Option<Value>,
) -> ServiceResult<P> {
    let row = processes::update(unit, row).await?;
    if row.common().settled.as_deref() != settled_before {
        row.conclude(unit).await?;
    }
    announce(unit, &row, settled_before, detail).await?;
    Ok(row)
}

/// Appends the event of a saved row: named after the state that both sides know if that has changed, else after the step
/// that has begun.
///
/// # Errors
/// What the database brings.
pub(crate) async fn announce<P: Process>(
    unit: &mut Unit,
    row: &P,
    settled_before: Option<&str>,
    detail: Option<Value>,
) -> ServiceResult<()> {
    let common = row.common();
    let name = match common.settled.as_deref() {
        Some(settled) if settled_before != Some(settled) => settled,
        _ => common.state.as_str(),
    };
    let data = event_data(row, detail.map(|detail| ("policyDecision", detail)));
    unit.event(common.context, format!("{}.{}", P::NAME, name.to_lowercase()), common.id, &data).await?;
    Ok(())
}

/// States of which an event says why.
const STOPPED: [&str; 4] = ["SUSPENDING", "SUSPENDED", "TERMINATING", "TERMINATED"];

/// What an event tells of a row, and one thing more.
pub(crate) fn event_data<P: Process>(row: &P, more: Option<(&str, Value)>) -> Value {
    let common = row.common();
    let (provider_pid, consumer_pid) = pids(row);
    let mut data = json!({
        "role": common.role, "state": common.state, "counterPartyId": common.counter_party,
        "datasetId": common.dataset_id, "providerPid": provider_pid, "consumerPid": consumer_pid,
        "decision": common.decision,
    });
    if let (Value::Object(members), Value::Object(details)) = (&mut data, row.details()) {
        members.extend(details);
        let error = common.error.as_deref().and_then(|text| serde_json::from_str(text).ok());
        members.extend(error.map(|error| ("error".to_owned(), error)));
        let why = common.termination.as_deref().filter(|_| STOPPED.contains(&common.state.as_str()));
        let why = why.and_then(|text| serde_json::from_str(text).ok());
        members.extend(why.map(|why| ("termination".to_owned(), why)));
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    data
}

/// Works on a locked row in one unit of work.
///
/// # Errors
/// `not_found`, or what the work brought; then nothing changes.
pub(crate) async fn locked<P, T, F>(app: &Arc<App>, id: &str, work: F) -> ServiceResult<T>
where
    P: Process,
    T: Send + 'static,
    F: for<'c> FnOnce(&'c App, &'c mut Unit, P) -> BoxFuture<'c, ServiceResult<T>> + Send + 'static,
{
    let shared = app.clone();
    let id = id.to_owned();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let row = processes::lock::<P>(unit, shared.context(), &id).await?;
                let row = row.ok_or_else(|| ServiceError::not_found(format!("no {} `{id}`", P::NAME)))?;
                work(&shared, unit, row).await
            })
        })
        .await
}
