//! What becomes of a row when the message that it owes was delivered, refused or given up.

use std::sync::Arc;

use dsp_protocol::{Reconciled, Role};
use serde_json::Value;

use super::Process;
use super::row::{owe_termination, role, save, settle};
use crate::app::App;
use crate::service::reason::{error_object, forget_passing_error};
use crate::service::{REFUSED, ServiceError, ServiceResult};
use crate::store::processes;

/// The counter-party has taken the message with the id `owed_id`; `answer` is its body.
///
/// # Errors
/// The answer to a first message must name the counter-party's pid.
pub(crate) async fn acknowledge<P: Process>(
    app: &Arc<App>,
    id: &str,
    owed_id: &str,
    answer: Option<Value>,
) -> ServiceResult<()> {
    change::<P, _>(app, id, owed_id, move |app, row, now| {
        if row.common().counter_pid.is_none() && !terminating(row) {
            *row.common_mut().counter_pid = Some(pid_in_answer(row, answer.as_ref())?);
        }
        let state = P::acknowledge(role(row), row.state(app))?;
        settle(row, state);
        row.taken(app, now)
    })
    .await
}

fn terminating<P: Process>(row: &P) -> bool {
    row.owed() == Some(P::TERMINATION)
}

fn pid_in_answer<P: Process>(row: &P, answer: Option<&Value>) -> ServiceResult<String> {
    let wrong = |why: String| {
        let text = format!("the answer to our first message is no {}: {why}", P::OBJECT);
        ServiceError::peer("bad_answer", text)
    };
    let answer = answer.ok_or_else(|| wrong("it has no JSON body".to_owned()))?;
    let compact = dsp_protocol::context::compact(answer.clone()).map_err(|error| wrong(error.message))?;
    let (provider, consumer, _) = P::parse_object(&compact).map_err(|error| wrong(error.message))?;
    Ok(match role(row) {
        Role::Consumer => provider.to_string(),
        Role::Provider => consumer.to_string(),
    })
}

/// What the peer says about its own state, asked after it refused a message because of `why`. `true`: the row follows it and
/// nothing is left to send.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn adopt_peer_state<P: Process>(
    app: &Arc<App>,
    row: &P,
    peer: &Value,
    why: &ServiceError,
) -> ServiceResult<bool> {
    let common = row.common();
    let Some(owed_id) = common.owed_id.clone() else { return Ok(true) };
    let Ok(compact) = dsp_protocol::context::compact(peer.clone()) else { return Ok(false) };
    let Ok((_, _, peer)) = P::parse_object(&compact) else { return Ok(false) };
    let Reconciled::Settled(_) = P::reconcile(role(row), row.state(app), peer) else { return Ok(false) };
    let refused = error_object(&ServiceError { code: REFUSED, ..why.clone() }).to_string();
    change::<P, _>(app, common.id, &owed_id, move |app, row, now| {
        let Reconciled::Settled(state) = P::reconcile(role(row), row.state(app), peer) else { return Ok(()) };
        let before = row.common().settled.clone();
        settle(row, state);
        row.follow(now);
        if *row.common().settled == before {
            // Nothing has come of our message.
            *row.common_mut().error = Some(refused);
        }
        if peer == P::TERMINATED {
            let ended = ServiceError::peer("terminated_by_peer", "the counter-party's connector says TERMINATED");
            *row.common_mut().error = Some(error_object(&ended).to_string());
            row.stop(now);
        }
        Ok(())
    })
    .await?;
    Ok(true)
}

/// The counter-party refuses the message for good: we end the process and tell it so.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn reject<P: Process>(
    app: &Arc<App>,
    id: &str,
    owed_id: &str,
    why: ServiceError,
) -> ServiceResult<()> {
    change::<P, _>(app, id, owed_id, move |app, row, now| {
        if terminating(row) || row.common().counter_pid.is_none() {
            end(app, row, &why, now);
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
pub(crate) async fn give_up<P: Process>(
    app: &Arc<App>,
    id: &str,
    owed_id: &str,
    why: ServiceError,
) -> ServiceResult<()> {
    change::<P, _>(app, id, owed_id, move |app, row, now| {
        end(app, row, &why, now);
        Ok(())
    })
    .await
}

fn end<P: Process>(app: &App, row: &mut P, why: &ServiceError, now: i64) {
    let error = row.common_mut().error;
    // That an earlier attempt failed is not what ends it.
    forget_passing_error(error);
    if error.is_none() {
        *error = Some(error_object(why).to_string());
    }
    let state = P::give_up(row.state(app));
    settle(row, state);
    row.stop(now);
}

/// Changes the row if it still owes the message that the worker has been dealing with.
async fn change<P, F>(app: &Arc<App>, id: &str, owed_id: &str, change: F) -> ServiceResult<()>
where
    P: Process,
    F: FnOnce(&App, &mut P, i64) -> ServiceResult<()> + Send + 'static,
{
    let shared = app.clone();
    let (id, owed_id) = (id.to_owned(), owed_id.to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let Some(mut row) = processes::lock::<P>(unit, shared.context(), &id).await? else { return Ok(()) };
                if row.common().owed_id.as_deref() != Some(owed_id.as_str()) {
                    return Ok(());
                }
                let settled_before = row.common().settled.clone();
                change(&shared, &mut row, unit.now())?;
                save(unit, row, settled_before.as_deref(), None).await?;
                Ok::<_, ServiceError>(())
            })
        })
        .await
}
