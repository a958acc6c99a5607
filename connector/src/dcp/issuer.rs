//! Our issuer service: requests, decisions, issued credentials and their status lists.

use std::sync::Arc;

use identity::dcp::issuer::{AcceptedRequest, Decision, Issuer, Planned, Profile, StoredRequest};
use identity::dcp::message::{CredentialRequestMessage, RequestStatus};
use identity::did::Did;
use identity::status::{MIN_ENTRIES, NewStatusList, StatusBits, StatusKind, publish};
use identity::token::SelfIssued;
use rand::Rng as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;

use super::{DcpServices, STATUS_LISTS};
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{Unit, issuance, issuances, issued_credential, registry};

/// Places of a list that are given out before the next list is begun: random places stay easy to find.
const LIST_FILL: u64 = 100_000;
/// How long a published list is valid, seconds. Verifiers read it again sooner, by their own settings.
const LIST_LIFETIME_S: i64 = 86_400;
/// Attempts to find a place that nobody takes at the same moment.
const ATTEMPTS: usize = 4;
/// State of a credential that holds.
const VALID: &str = "valid";
/// State of one that was taken back.
const REVOKED: &str = "revoked";

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
        issued.push(place(app, dcp, row, plan, credential_type).await?);
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

/// Gives a planned credential a random place in a status list, so that neighbours tell nothing about each other.
async fn place(
    app: &App,
    dcp: &DcpServices,
    row: &issuance::Model,
    plan: &mut Planned,
    credential_type: String,
) -> ServiceResult<issued_credential::Model> {
    let (kind, prefix) = match plan.profile {
        Profile::Vc20 => (StatusKind::Bitstring, "b"),
        Profile::Vc11 => (StatusKind::StatusList2021, "s"),
    };
    let (list_id, taken) = issuances::last_list(&app.store, app.context(), prefix).await?;
    let list_id = if taken < LIST_FILL { list_id } else { next_list(&list_id, prefix) };
    let index = rand::rng().random_range(0..MIN_ENTRIES as i64);
    let url = list_url(dcp, &list_id)?;
    plan.status = Some(json!({
        "id": format!("{url}#{index}"),
        "type": kind.entry_type(),
        "statusPurpose": "revocation",
        "statusListIndex": index.to_string(),
        "statusListCredential": url.as_str(),
    }));
    let now = crate::store::now_ms();
    Ok(issued_credential::Model {
        context: row.context.clone(),
        id: plan.id.clone(),
        issuance_id: row.id.clone(),
        holder: row.holder.clone(),
        kind: credential_type,
        format: plan.profile.alias().to_owned(),
        list_id,
        list_index: index,
        state: VALID.to_owned(),
        reason: String::new(),
        valid_until: plan.valid_until,
        created_at: now,
        updated_at: now,
    })
}

fn next_list(list: &str, prefix: &str) -> String {
    let number: u64 = list.trim_start_matches(prefix).parse().unwrap_or(1);
    format!("{prefix}{}", number + 1)
}

fn list_url(dcp: &DcpServices, list: &str) -> ServiceResult<Url> {
    Url::parse(&format!("{}{STATUS_LISTS}/{list}", dcp.root)).map_err(ServiceError::internal)
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
pub(crate) async fn revoke(app: &Arc<App>, id: &str, reason: &str) -> ServiceResult<issued_credential::Model> {
    let shared = app.clone();
    let (id, reason) = (id.to_owned(), reason.to_owned());
    app.store
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
        .await
}

/// A status list as a signed credential; made anew for each reader, so that a revocation shows at once.
///
/// # Errors
/// `not_found` when no list has this id.
pub(crate) async fn status_list(app: &App, dcp: &DcpServices, list: &str) -> ServiceResult<String> {
    let missing = || ServiceError::not_found("there is no such status list");
    let kind = match list.as_bytes().first() {
        Some(b'b') => StatusKind::Bitstring,
        Some(b's') => StatusKind::StatusList2021,
        _ => return Err(missing()),
    };
    if !issuances::list_exists(&app.store, app.context(), list).await? {
        return Err(missing());
    }
    let mut bits = StatusBits::new(MIN_ENTRIES);
    for index in issuances::indexes(&app.store, app.context(), list, REVOKED).await? {
        let index = u64::try_from(index).map_err(ServiceError::internal)?;
        bits.set(index, true).map_err(ServiceError::internal)?;
    }
    let now = dcp.clock.now();
    let new = NewStatusList {
        kind,
        issuer: &dcp.did,
        url: &list_url(dcp, list)?,
        purpose: "revocation",
        bits: &bits,
        valid_from: now,
        valid_until: now.saturating_add(LIST_LIFETIME_S),
    };
    publish(&new, &*dcp.keys.signer()).await.map_err(ServiceError::internal)
}
