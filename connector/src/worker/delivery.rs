//! Sends the message that a process owes, and saves what became of it.

use std::sync::Arc;

use identity::CounterParty;
use identity::scope::Scopes;

use super::hold;
use super::outcome::{Outcome, next_attempt, peer_state, send};
use crate::app::App;
use crate::service::process::{self, Process};
use crate::service::reason::error_object;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{now_ms, processes};

/// The row, if it owes something now and this replica may work on it.
pub(super) async fn due<P: Process>(app: &App, id: &str) -> ServiceResult<Option<P>> {
    let Some(row) = processes::find::<P>(app.store.reads(), app.context(), id).await? else { return Ok(None) };
    let common = row.common();
    if !row.owes() || *common.next_attempt_at > now_ms() {
        return Ok(None);
    }
    let held = hold(app, P::KIND, id, common.lease_owner.as_deref(), *common.lease_until).await?;
    Ok(held.then_some(row))
}

/// Sends the owed message, if there is one.
pub(super) async fn deliver<P: Process>(app: &Arc<App>, row: &P) -> ServiceResult<()> {
    let common = row.common();
    let (id, counter_party, address) = (common.id, common.counter_party, common.counter_address);
    let Some(owed_id) = common.owed_id.as_deref() else { return Ok(()) };
    let Some(message) = row.outgoing(app)? else {
        let why = ServiceError::peer("never_begun", "the counter-party never answered the first message");
        return process::give_up::<P>(app, id, owed_id, why).await;
    };
    let to = CounterParty { participant_id: counter_party, address };
    let scopes = if app.dcp.is_some() { row.scopes(app).await? } else { Scopes::default() };
    match send(app, &message, &to, &scopes, *common.owed_since).await {
        Outcome::Taken(answer) => match process::acknowledge::<P>(app, id, owed_id, answer).await {
            Err(error) if error.code == "bad_answer" => process::give_up::<P>(app, id, owed_id, error).await,
            result => result,
        },
        Outcome::Later(why) => match next_attempt(app, *common.attempts, *common.owed_since)? {
            Some(at) => {
                tracing::info!(process = %id, kind = P::NAME, attempt = *common.attempts + 1, error = %why, "delivery failed; it is tried again");
                postpone(app, row, at, why).await
            }
            None => process::give_up::<P>(app, id, owed_id, why).await,
        },
        Outcome::Refused(why) => {
            if let Some(peer) = peer_state(app, &message, &to).await
                && process::adopt_peer_state(app, row, &peer, &why).await?
            {
                return Ok(());
            }
            process::reject::<P>(app, id, owed_id, why).await
        }
    }
}

/// Tries again at `at`; until then the row says what is wrong.
pub(super) async fn postpone<P: Process>(app: &App, row: &P, at: i64, why: ServiceError) -> ServiceResult<()> {
    let owed_id = row.common().owed_id.clone().unwrap_or_default();
    let error = error_object(&why.retrying()).to_string();
    Ok(processes::postpone(&app.store, row, &owed_id, at, &error).await?)
}
