//! The next step of a negotiation.

use std::sync::Arc;

use super::outcome::{Outcome, next_attempt, peer_state, send};
use super::{After, hold};
use crate::app::App;
use crate::service::negotiation::{self, error_object};
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::{StepKind, negotiations, now_ms};

pub(super) async fn step(app: &Arc<App>, id: &str) -> ServiceResult<After> {
    let Some(row) = negotiations::find(app.store.reads(), app.context(), id).await? else { return Ok(After::Rest) };
    let Some(owed_id) = row.owed_id.clone() else { return Ok(After::Rest) };
    if row.next_attempt_at > now_ms() {
        return Ok(After::Rest);
    }
    if !hold(app, StepKind::Negotiation, id, row.lease_owner.as_deref(), row.lease_until).await? {
        return Ok(After::Rest);
    }
    let Some(message) = negotiation::outgoing(app, &row)? else {
        let why = ServiceError::peer("never_begun", "the counter-party never answered the first message");
        negotiation::give_up(app, id, &owed_id, why).await?;
        return Ok(After::Rest);
    };
    let sent = send(app, &message, &row.counter_party, &row.counter_address, row.owed_since).await;
    match sent {
        Outcome::Taken(answer) => match negotiation::acknowledge(app, id, &owed_id, answer).await {
            Err(error) if error.code == "bad_answer" => negotiation::give_up(app, id, &owed_id, error).await?,
            result => result?,
        },
        Outcome::Later(why) => postpone(app, &row, &owed_id, why).await?,
        Outcome::Refused(why) => {
            let peer = peer_state(app, &message, &row.counter_party, &row.counter_address).await;
            let settled = match &peer {
                Some(peer) => negotiation::adopt_peer_state(app, &row, peer).await?,
                None => false,
            };
            if !settled {
                negotiation::reject(app, id, &owed_id, why).await?;
            }
        }
    }
    Ok(After::Again)
}

async fn postpone(app: &Arc<App>, row: &Model, owed_id: &str, why: ServiceError) -> ServiceResult<()> {
    match next_attempt(app, row.attempts, row.owed_since)? {
        Some(at) => {
            tracing::info!(negotiation = %row.id, attempt = row.attempts + 1, error = %why, "delivery failed; it is tried again");
            negotiations::postpone(&app.store, row, owed_id, at, &error_object(&why.retrying()).to_string()).await?;
            Ok(())
        }
        None => negotiation::give_up(app, &row.id, owed_id, why).await,
    }
}
