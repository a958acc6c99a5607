//! Messages from the counter-party: whose they are, and whether they were taken before.

use std::sync::Arc;

use dsp_protocol::Role;
use identity::Participant;
use identity::token::TokenUse;
use serde_json::Value;

use super::row::{announce, role};
use super::{Process, process_object};
use crate::app::App;
use crate::service::{ServiceError, ServiceResult, use_token};
use crate::store::{Unit, decision_record, decisions, processes};

/// What a message says about where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The counter-party's pid.
    pub pid: String,
    /// What tells a copy of the message from another one: its `@id`, else a digest of its content. An old offer that
    /// crosses our counter-request must not pass for its answer.
    pub key: String,
    /// The token that the message came with, when it is good for one message only.
    pub used: Option<TokenUse>,
}

/// The process with this pid of ours, if it is with this participant; a foreign one looks like an unknown one.
///
/// # Errors
/// `not_found`.
pub(crate) async fn find_for_peer<P: Process>(app: &App, participant: &Participant, id: &str) -> ServiceResult<P> {
    let row = processes::find::<P>(app.store.reads(), app.context(), id).await?;
    row.filter(|row| row.common().counter_party == participant.id())
        .ok_or_else(|| ServiceError::not_found(format!("no {} `{id}` with this participant", P::NAME)))
}

/// The process that this participant has begun with this pid of its own, if there is one.
///
/// # Errors
/// What the database brings.
pub(crate) async fn existing<P: Process>(
    app: &App,
    our_role: Role,
    participant: &Participant,
    pid: &str,
) -> ServiceResult<Option<P>> {
    let db = app.store.reads();
    Ok(processes::by_counter_pid(db, app.context(), our_role.as_str(), participant.id(), pid).await?)
}

/// Answers an initial message that names the pid of an existing process.
///
/// # Errors
/// `duplicate_pid` when it is not a repeat of the first one.
pub(crate) fn repeat<P: Process>(app: &App, existing: &P, digest: &str) -> ServiceResult<Value> {
    if existing.common().initial_digest.as_deref() == Some(digest) {
        return process_object(app, existing);
    }
    let text = format!("this pid belongs to a {} that was begun with other content", P::NAME);
    Err(ServiceError::bad_request("duplicate_pid", text))
}

/// Stores a process that the counter-party has begun, with our first step in it and the decision behind that, and answers with
/// its object. What `first_step` brings is told in the event.
///
/// # Errors
/// What `first_step` or the database brings; nothing is stored then.
pub(crate) async fn create<P, F>(
    app: &Arc<App>,
    participant: &Participant,
    mut row: P,
    record: Option<decision_record::Model>,
    first_step: F,
) -> ServiceResult<Value>
where
    P: Process,
    F: FnOnce(&App, &mut P, i64) -> ServiceResult<Option<Value>> + Send + 'static,
{
    let our_role = role(&row);
    let common = row.common();
    let (pid, digest) = (common.counter_pid.clone(), common.initial_digest.clone());
    let shared = app.clone();
    let used = participant.token_use().cloned();
    let created = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                use_token(unit, shared.context(), used.as_ref()).await?;
                let detail = first_step(&shared, &mut row, unit.now())?;
                let row = processes::insert(unit, row).await?;
                announce(unit, &row, None, detail).await?;
                if let Some(record) = record {
                    decisions::insert(unit, record).await?;
                }
                Ok::<_, ServiceError>(row)
            })
        })
        .await;
    match created {
        Ok(row) => process_object(app, &row),
        // The same message came twice at once and the other one was first.
        Err(error) if error.code == "exists" => {
            match existing::<P>(app, our_role, participant, &pid.unwrap_or_default()).await? {
                Some(row) => repeat(app, &row, &digest.unwrap_or_default()),
                None => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Notes that a message is being taken, and that its token is used. Its pid must be the one that we know; the first message
/// that names it teaches it to us.
///
/// # Errors
/// `token_replayed`, `wrong_pid`, and `repeated_message` for a copy of the message that was taken last.
pub(crate) async fn recognise<P: Process>(unit: &Unit, row: &mut P, from: Sender) -> ServiceResult<()> {
    use_token(unit, row.common().context, from.used.as_ref()).await?;
    let common = row.common_mut();
    match common.counter_pid {
        Some(known) if *known != from.pid => {
            let text = format!("this {} is known to us with your pid `{known}`", P::NAME);
            return Err(ServiceError::bad_request("wrong_pid", text));
        }
        Some(_) => {}
        None => *common.counter_pid = Some(from.pid),
    }
    if common.last_taken.as_ref() == Some(&from.key) {
        return Err(ServiceError::bad_request("repeated_message", "this message was taken before"));
    }
    *common.last_taken = Some(from.key);
    Ok(())
}
