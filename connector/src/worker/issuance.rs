//! Brings what we issued, or that we do not, to the holder.

use std::sync::Arc;

use identity::dcp::message::CredentialMessage;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::outcome::next_attempt;
use super::{After, hold};
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{StepKind, Unit, issuance, issuances, now_ms};

/// One attempt, if it is time.
pub(super) async fn step(app: &Arc<App>, id: &str) -> ServiceResult<After> {
    let Some(row) = issuances::find(&app.store, app.context(), id).await? else { return Ok(After::Rest) };
    let (Some(message), Some(dcp)) = (&row.message, &app.dcp) else { return Ok(After::Rest) };
    if row.next_attempt_at > now_ms()
        || !hold(app, StepKind::Issuance, id, row.lease_owner.as_deref(), row.lease_until).await?
    {
        return Ok(After::Rest);
    }
    let message: Value = serde_json::from_str(message).map_err(ServiceError::internal)?;
    let message = CredentialMessage::parse(&message)?;
    let holder = row.holder.parse().map_err(ServiceError::internal)?;
    let token = row.token.clone().map(SecretString::from);
    let delivered = dcp.client.deliver(&holder, token.as_ref(), &message).await;
    let next = match &delivered {
        Ok(()) => None,
        Err(error) if error.is_temporary() => next_attempt(app, row.attempts, row.owed_since)?,
        Err(_refused) => None,
    };
    let id = id.to_owned();
    app.store.write(move |unit| Box::pin(async move { save(unit, &id, delivered, next).await })).await?;
    Ok(After::Rest)
}

/// Without a next attempt the message is not owed any more, delivered or not.
async fn save(
    unit: &mut Unit,
    id: &str,
    delivered: Result<(), identity::IdentityError>,
    next: Option<i64>,
) -> ServiceResult<()> {
    let Some(mut row) = issuances::lock(unit, crate::store::DEFAULT_CONTEXT, id).await? else { return Ok(()) };
    row.lease_owner = None;
    row.lease_until = 0;
    row.error = delivered.as_ref().err().map(ToString::to_string);
    row.attempts += 1;
    match next {
        Some(at) => row.next_attempt_at = at,
        None => {
            row.message = None;
            row.token = None;
            let kind = if delivered.is_ok() { "issuance.delivered" } else { "issuance.undeliverable" };
            let event = json!({"holder": row.holder, "state": row.state, "error": row.error});
            unit.event(&row.context, kind.to_owned(), &row.id, &event).await?;
        }
    }
    Ok(issuances::save(unit, issuance::Model { ..row }).await?)
}
