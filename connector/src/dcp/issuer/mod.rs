//! Our issuer service: requests, decisions and issued credentials.

mod status_list;

use std::sync::Arc;

use identity::dcp::issuer::{AcceptedRequest, Decision, Issuer, StoredRequest};
use identity::dcp::message::{CredentialRequestMessage, RequestStatus};
use identity::did::Did;
use identity::token::SelfIssued;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

pub(crate) use status_list::status_list;

use super::DcpServices;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{Unit, issuance, issuances, issued_credential, registry};

/// Attempts to find a place that nobody takes at the same moment.
const ATTEMPTS: usize = 4;
/// State of a credential that holds.
pub(super) const VALID: &str = "valid";
/// State of one that was taken back.
pub(super) const REVOKED: &str = "revoked";

/// The issuer service, where there is one.
///
/// # Errors
/// `not_found`.
pub(crate) fn service(dcp: &DcpServices) -> ServiceResult<&Issuer> {
    dcp.issuer.as_ref().ok_or_else(|| ServiceError::not_found("this participant is not an issuer"))
}

/// Takes a request for credentials (DCP 1.0.1, 6.4); answers its id. An equal repeat is answered with the first one's.
///
/// # Errors
/// Those of [`Issuer::accept`]; `duplicate_pid` when the pid was used for something else.
pub(crate) async fn accept(
    app: &Arc<App>,
    dcp: &DcpServices,
    caller: &SelfIssued,
    message: &CredentialRequestMessage,
) -> ServiceResult<String> {
    let issuer = service(dcp)?;
    let accepted = issuer.accept(caller, message)?;
    let token = caller.token.as_ref().map(|token| token.expose_secret().to_owned());
    for _ in 0..ATTEMPTS {
        let now = crate::store::now_ms();
        let mut row = new_row(app, &accepted, token.clone(), now);
        let mut issued = Vec::new();
        if accepted.decision == Decision::Automatic {
            issued = decide(app, dcp, issuer, &mut row).await?;
        }
        let shared = app.clone();
        let used = caller.token_use.clone();
        let stored = app
            .store
            .write(move |unit| {
                Box::pin(async move {
                    crate::service::use_token(unit, shared.context(), Some(&used)).await?;
                    let known = issuances::by_holder_pid(unit, &row.context, &row.holder, &row.holder_pid).await?;
                    if let Some(known) = known {
                        return repeated(&known, &row).map(Some);
                    }
                    if !places_are_free(unit, &issued).await? {
                        return Ok(None);
                    }
                    let id = row.id.clone();
                    let event = json!({"holder": row.holder, "state": row.state});
                    unit.event(&row.context, "issuance.received".to_owned(), &id, &event).await?;
                    issuances::insert(unit, row).await?;
                    insert_issued(unit, issued).await?;
                    Ok::<_, ServiceError>(Some(id))
                })
            })
            .await?;
        if let Some(id) = stored {
            return Ok(id);
        }
    }
    Err(ServiceError::unavailable("status_list_busy", "no place in a status list could be taken; try again"))
}

fn repeated(known: &issuance::Model, row: &issuance::Model) -> ServiceResult<String> {
    if known.requested == row.requested {
        return Ok(known.id.clone());
    }
    Err(ServiceError::bad_request("duplicate_pid", "this holderPid belongs to a request for something else"))
}

fn new_row(app: &App, accepted: &AcceptedRequest, token: Option<String>, now: i64) -> issuance::Model {
    issuance::Model {
        id: accepted.issuer_pid.clone(),
        context: app.context().to_owned(),
        holder: accepted.holder.to_string(),
        holder_pid: accepted.holder_pid.clone(),
        requested: json!(accepted.credentials).to_string(),
        state: RequestStatus::Received.name().to_owned(),
        reason: String::new(),
        message: None,
        token,
        error: None,
        attempts: 0,
        owed_since: now,
        next_attempt_at: now,
        lease_owner: None,
        lease_until: 0,
        created_at: now,
        updated_at: now,
    }
}

/// Makes the credentials of a request and puts them into the message that the row owes. Nothing is stored here: signing may
/// take a key service's time.
async fn decide(
    app: &App,
    dcp: &DcpServices,
    issuer: &Issuer,
    row: &mut issuance::Model,
) -> ServiceResult<Vec<issued_credential::Model>> {
    let requested: Vec<String> = serde_json::from_str(&row.requested).map_err(ServiceError::internal)?;
    let holder: Did = row.holder.parse().map_err(ServiceError::internal)?;
    let mut planned = issuer.plan(&requested);
    let supported = issuer.metadata().credentials_supported;
    let mut issued = Vec::with_capacity(planned.len());
    for plan in &mut planned {
        let object = supported.iter().find(|object| object.id == plan.object);
        let credential_type = object.and_then(|object| object.credential_type.clone()).unwrap_or_default();
        issued.push(status_list::place(app, dcp, row, plan, credential_type).await?);
    }
    let message = issuer.issue(&holder, &row.holder_pid, &row.id, &planned).await;
    let message = message.map_err(|error| ServiceError::operator(error.code(), error.to_string()))?;
    row.message = Some(message.to_json().to_string());
    row.state = RequestStatus::Issued.name().to_owned();
    row.owed_since = crate::store::now_ms();
    row.next_attempt_at = row.owed_since;
    row.attempts = 0;
    Ok(issued)
}

async fn places_are_free(unit: &Unit, issued: &[issued_credential::Model]) -> ServiceResult<bool> {
    for row in issued {
        if issuances::is_taken(unit, &row.context, &row.list_id, row.list_index).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn insert_issued(unit: &mut Unit, issued: Vec<issued_credential::Model>) -> ServiceResult<()> {
    for row in issued {
        let event = json!({"holder": row.holder, "type": row.kind});
        unit.event(&row.context, "credential.issued".to_owned(), &row.id, &event).await?;
        let context = row.context.clone();
        registry::insert::<issued_credential::Entity>(unit, &context, row).await?;
    }
    Ok(())
}

/// The status of a request, for who made it (DCP 1.0.1, 6.8).
///
/// # Errors
/// `unknown_request`, also for a request of somebody else.
pub(crate) async fn status(app: &App, dcp: &DcpServices, caller: &SelfIssued, id: &str) -> ServiceResult<Value> {
    let row = issuances::find(&app.store, app.context(), id).await?;
    let stored = row.map(|row| StoredRequest {
        status: match row.state.as_str() {
            "ISSUED" => RequestStatus::Issued,
            "REJECTED" => RequestStatus::Rejected,
            _ => RequestStatus::Received,
        },
        holder: row.holder,
        holder_pid: row.holder_pid,
        issuer_pid: row.id,
    });
    Ok(service(dcp)?.status(caller, stored.as_ref())?.to_json())
}

/// An operator lets a request have its credentials.
///
/// # Errors
/// `not_found`, or `wrong_state` when it is decided already.
pub(crate) async fn approve(app: &Arc<App>, dcp: &DcpServices, id: &str) -> ServiceResult<issuance::Model> {
    let issuer = service(dcp)?;
    for _ in 0..ATTEMPTS {
        let mut row = undecided(issuances::find(&app.store, app.context(), id).await?, id)?;
        let issued = decide(app, dcp, issuer, &mut row).await?;
        let shared = app.clone();
        let key = id.to_owned();
        let stored = app
            .store
            .write(move |unit| {
                Box::pin(async move {
                    undecided(issuances::lock(unit, shared.context(), &key).await?, &key)?;
                    if !places_are_free(unit, &issued).await? {
                        return Ok(None);
                    }
                    insert_issued(unit, issued).await?;
                    issuances::save(unit, row.clone()).await?;
                    Ok::<_, ServiceError>(Some(row))
                })
            })
            .await?;
        if let Some(row) = stored {
            return Ok(row);
        }
    }
    Err(ServiceError::unavailable("status_list_busy", "no place in a status list could be taken; try again"))
}

/// An operator refuses a request; the holder is told why.
///
/// # Errors
/// As [`approve`].
pub(crate) async fn reject(
    app: &Arc<App>,
    dcp: &DcpServices,
    id: &str,
    reason: Option<String>,
) -> ServiceResult<issuance::Model> {
    let row = undecided(issuances::find(&app.store, app.context(), id).await?, id)?;
    let message = service(dcp)?.reject(&row.holder_pid, &row.id, reason.clone()).to_json().to_string();
    let shared = app.clone();
    let id = id.to_owned();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let mut row = undecided(issuances::lock(unit, shared.context(), &id).await?, &id)?;
                row.state = RequestStatus::Rejected.name().to_owned();
                row.reason = reason.unwrap_or_default();
                row.message = Some(message);
                row.owed_since = unit.now();
                row.next_attempt_at = unit.now();
                issuances::save(unit, row.clone()).await?;
                Ok(row)
            })
        })
        .await
}

fn undecided(row: Option<issuance::Model>, id: &str) -> ServiceResult<issuance::Model> {
    let row = row.ok_or_else(|| ServiceError::not_found(format!("no request `{id}` for credentials")))?;
    if row.state == RequestStatus::Received.name() {
        return Ok(row);
    }
    Err(ServiceError::conflict("wrong_state", format!("the request is {} already", row.state)))
}

/// Takes an issued credential back: its bit is set in the list that verifiers read.
///
/// # Errors
/// `not_found`.
pub(crate) async fn revoke(
    app: &Arc<App>,
    dcp: &DcpServices,
    id: &str,
    reason: &str,
) -> ServiceResult<issued_credential::Model> {
    let shared = app.clone();
    let (id, reason) = (id.to_owned(), reason.to_owned());
    let revoked = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                let found = registry::find::<issued_credential::Entity>(unit.db(), shared.context(), &id).await?;
                let mut row = found.ok_or_else(|| ServiceError::not_found(format!("no issued credential `{id}`")))?;
                if row.state == REVOKED {
                    return Ok(row);
                }
                row.state = REVOKED.to_owned();
                row.reason = reason;
                row.updated_at = unit.now();
                let event = json!({"holder": row.holder, "type": row.kind, "reason": row.reason});
                unit.event(&row.context, "credential.revoked".to_owned(), &row.id, &event).await?;
                registry::put::<issued_credential::Entity>(unit, row.clone()).await?;
                Ok::<_, ServiceError>(row)
            })
        })
        .await?;
    dcp.lists.invalidate(&revoked.list_id).await;
    Ok(revoked)
}
