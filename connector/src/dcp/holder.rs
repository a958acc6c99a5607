//! Our credential service: what is stored, and what operators ask issuers for.

use std::sync::Arc;

use identity::credential::Format;
use identity::dcp::holder::{Intake, OpenRequest, Received, StoredCredential};
use identity::dcp::message::{
    CredentialMessage, CredentialOfferMessage, CredentialRequestMessage, PresentationQueryMessage,
};
use identity::did::Did;
use identity::token::SelfIssued;
use serde_json::{Value, json};
use uuid::Uuid;

use super::DcpServices;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{Unit, credential, credential_offer, credential_request, credentials, now_ms, registry};

/// Answers a query of a verifier (DCP 1.0.1, 5.4).
///
/// # Errors
/// Those of [`identity::dcp::holder::Holder::answer`].
pub(crate) async fn answer(
    app: &App,
    dcp: &DcpServices,
    caller: &SelfIssued,
    query: &PresentationQueryMessage,
) -> ServiceResult<Value> {
    let rows = credentials::held(&app.store, app.context()).await?;
    let stored: Vec<StoredCredential> = rows.iter().filter_map(read).collect();
    Ok(dcp.holder.answer(caller, query, &stored).await?.to_json())
}

/// A row as `identity` sees it; `None`, and a line in the log, when it cannot be read any more.
fn read(row: &credential::Model) -> Option<StoredCredential> {
    let raw = serde_json::from_str(&row.body).unwrap_or(Value::Null);
    StoredCredential::read(raw, false)
        .inspect_err(|error| tracing::error!(credential = %row.id, %error, "a stored credential cannot be read"))
        .ok()
}

/// Takes what an issuer brings (DCP 1.0.1, 6.5).
///
/// # Errors
/// Those of [`identity::dcp::holder::Holder::receive`]; nothing is stored then.
pub(crate) async fn receive(
    app: &Arc<App>,
    dcp: &DcpServices,
    caller: &SelfIssued,
    message: &CredentialMessage,
) -> ServiceResult<()> {
    let db = app.store.reads();
    let row = match &message.holder_pid {
        Some(pid) => registry::find::<credential_request::Entity>(db, app.context(), pid).await?,
        None => None,
    };
    let row = row.filter(|row| row.state == "REQUESTED");
    let open = row.as_ref().map(open_request).transpose()?;
    let intake = dcp.holder.receive(&caller.did, message, open.as_ref(), &dcp.credentials).await?;
    let shared = app.clone();
    let used = caller.token_use.clone();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                crate::service::use_token(unit, shared.context(), Some(&used)).await?;
                match intake {
                    Intake::Store(list) => {
                        store_all(unit, &shared, list, row.as_ref(), credentials::HELD).await?;
                        close(unit, row, "ISSUED", "").await
                    }
                    Intake::Hold(list) => store_all(unit, &shared, list, None, credentials::PENDING).await,
                    Intake::Rejected(reason) => close(unit, row, "REJECTED", &reason.unwrap_or_default()).await,
                }
            })
        })
        .await
}

fn open_request(row: &credential_request::Model) -> ServiceResult<OpenRequest> {
    let issuer = row.issuer.parse().map_err(ServiceError::internal)?;
    let requested: Vec<Requested> = serde_json::from_str(&row.requested).map_err(ServiceError::internal)?;
    let types = requested.into_iter().filter_map(|entry| entry.credential_type).collect();
    Ok(OpenRequest { issuer, types })
}

/// An entry of the column `requested`.
#[derive(serde::Deserialize, serde::Serialize)]
struct Requested {
    id: String,
    #[serde(rename = "type")]
    credential_type: Option<String>,
}

async fn store_all(
    unit: &mut Unit,
    app: &App,
    list: Vec<Received>,
    request: Option<&credential_request::Model>,
    state: &str,
) -> ServiceResult<()> {
    for received in list {
        let now = unit.now();
        let known = &received.verified.credential;
        let kind = known.types.iter().rev().find(|name| *name != "VerifiableCredential");
        let row = credential::Model {
            context: app.context().to_owned(),
            id: Uuid::now_v7().to_string(),
            credential_id: known.id.clone().unwrap_or_default(),
            kind: kind.cloned().unwrap_or_default(),
            types: json!(known.types).to_string(),
            issuer: known.issuer.clone(),
            format: format_name(known.format).to_owned(),
            body: received.raw.to_string(),
            state: state.to_owned(),
            request_id: request.map(|row| row.id.clone()).unwrap_or_default(),
            valid_until: known.valid_until,
            created_at: now,
            updated_at: now,
        };
        credentials::replace_older(unit, &row).await?;
        let event = json!({"type": row.kind, "issuer": row.issuer, "validUntil": row.valid_until});
        unit.event(app.context(), format!("credential.{state}"), &row.id, &event).await?;
        registry::insert::<credential::Entity>(unit, app.context(), row).await?;
    }
    Ok(())
}

/// The profile of a form, as it is stored and shown.
pub(crate) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Vc11Jwt => "vc11-sl2021/jwt",
        Format::Vc20Jwt => "vc20-bssl/jwt",
        Format::DataIntegrity => "json-ld",
    }
}

async fn close(
    unit: &mut Unit,
    row: Option<credential_request::Model>,
    state: &str,
    reason: &str,
) -> ServiceResult<()> {
    let Some(mut row) = row else { return Ok(()) };
    row.state = state.to_owned();
    row.reason = reason.chars().take(1000).collect();
    row.updated_at = unit.now();
    let event = json!({"issuer": row.issuer, "state": row.state, "reason": row.reason});
    unit.event(&row.context, "credential_request.closed".to_owned(), &row.id, &event).await?;
    Ok(registry::put::<credential_request::Entity>(unit, row).await?)
}

/// Takes an offer of an issuer for an operator to see (DCP 1.0.1, 6.6).
///
/// # Errors
/// Those of [`identity::dcp::holder::Holder::offered`].
pub(crate) async fn offered(
    app: &Arc<App>,
    dcp: &DcpServices,
    caller: &SelfIssued,
    message: &CredentialOfferMessage,
) -> ServiceResult<()> {
    let objects = dcp.holder.offered(&caller.did, message, &*dcp.trust).await?;
    let body = Value::from(objects.iter().map(identity::dcp::message::CredentialObject::to_json).collect::<Vec<_>>());
    let shared = app.clone();
    let used = caller.token_use.clone();
    let issuer = caller.did.to_string();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                crate::service::use_token(unit, shared.context(), Some(&used)).await?;
                let now = unit.now();
                let id = Uuid::now_v7().to_string();
                let event = json!({"issuer": issuer, "credentials": body});
                unit.event(shared.context(), "credential_offer.received".to_owned(), &id, &event).await?;
                let row = credential_offer::Model {
                    context: shared.context().to_owned(),
                    id,
                    issuer,
                    body: body.to_string(),
                    created_at: now,
                    updated_at: now,
                };
                Ok::<_, ServiceError>(registry::insert::<credential_offer::Entity>(unit, shared.context(), row).await?)
            })
        })
        .await
}

/// Asks an issuer for credentials, by the ids of its metadata or by type. The request is stored before it is sent, so that the
/// answer finds it.
///
/// # Errors
/// `unknown_credential` when the issuer offers no such thing; what the issuer or the way to it brought.
pub(crate) async fn request(
    app: &Arc<App>,
    dcp: &DcpServices,
    issuer: &Did,
    wanted: &[String],
) -> ServiceResult<credential_request::Model> {
    let metadata = dcp.client.metadata(issuer).await.map_err(of_partner)?;
    let supported = &metadata.credentials_supported;
    let mut requested = Vec::with_capacity(wanted.len());
    for name in wanted {
        let found = supported.iter().find(|object| object.id == *name);
        let found = found.or_else(|| supported.iter().find(|object| object.credential_type.as_ref() == Some(name)));
        let Some(found) = found else {
            let known: Vec<String> = supported.iter().map(|object| format!("`{}`", object.id)).collect();
            let text = format!("`{issuer}` issues no credential `{name}`; it issues {}", known.join(", "));
            return Err(ServiceError::bad_request("unknown_credential", text));
        };
        requested.push(Requested { id: found.id.clone(), credential_type: found.credential_type.clone() });
    }
    let now = now_ms();
    let row = credential_request::Model {
        context: app.context().to_owned(),
        id: Uuid::now_v7().to_string(),
        issuer: issuer.to_string(),
        issuer_pid: String::new(),
        requested: serde_json::to_string(&requested).map_err(ServiceError::internal)?,
        state: "REQUESTED".to_owned(),
        reason: String::new(),
        created_at: now,
        updated_at: now,
    };
    put(app, row.clone()).await?;
    let scopes = write_scopes(&requested)?;
    let token = dcp.identity.access_token_for(issuer, &scopes).await.map_err(of_us)?;
    let message = CredentialRequestMessage {
        holder_pid: row.id.clone(),
        credentials: requested.into_iter().map(|entry| entry.id).collect(),
    };
    match dcp.client.request(issuer, Some(&token), &message).await {
        Ok(status_url) => {
            let found = registry::find::<credential_request::Entity>(app.store.reads(), app.context(), &row.id).await?;
            let mut row = found.unwrap_or(row);
            row.issuer_pid = status_url.into();
            put(app, row.clone()).await?;
            Ok(row)
        }
        Err(error) => {
            put(app, credential_request::Model { state: "REJECTED".to_owned(), reason: error.to_string(), ..row })
                .await?;
            Err(of_partner(error))
        }
    }
}

fn write_scopes(requested: &[Requested]) -> ServiceResult<identity::scope::Scopes> {
    let types = requested.iter().filter_map(|entry| entry.credential_type.as_deref());
    let scopes: Result<Vec<_>, _> = types.map(identity::scope::Scope::write_type).collect();
    scopes.and_then(identity::scope::Scopes::new).map_err(ServiceError::internal)
}

async fn put(app: &Arc<App>, row: credential_request::Model) -> ServiceResult<()> {
    app.store
        .write(move |unit| {
            Box::pin(async move {
                // The issuer may have delivered before it answered: a closed request stays closed.
                let stored = registry::find::<credential_request::Entity>(unit.db(), &row.context, &row.id).await?;
                let state = stored.map(|stored| stored.state).filter(|state| state != "REQUESTED");
                let row = credential_request::Model { state: state.unwrap_or(row.state), ..row };
                Ok::<_, ServiceError>(registry::put::<credential_request::Entity>(unit, row).await?)
            })
        })
        .await
}

/// Makes a credential that nobody asked for one that is presented.
///
/// # Errors
/// `not_found` when there is no such credential that waits.
pub(crate) async fn accept(app: &Arc<App>, id: &str) -> ServiceResult<credential::Model> {
    let shared = app.clone();
    let id = id.to_owned();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                let found = registry::find::<credential::Entity>(unit.db(), shared.context(), &id).await?;
                let mut row = found
                    .filter(|row| row.state == credentials::PENDING)
                    .ok_or_else(|| ServiceError::not_found(format!("no credential `{id}` waits for a decision")))?;
                row.state = credentials::HELD.to_owned();
                row.updated_at = unit.now();
                credentials::replace_older(unit, &row).await?;
                registry::put::<credential::Entity>(unit, row.clone()).await?;
                Ok(row)
            })
        })
        .await
}

/// An error of the partner's services, or on the way to them.
pub(super) fn of_partner(error: identity::IdentityError) -> ServiceError {
    ServiceError::peer(error.code(), error.to_string())
}

/// An error of ours.
fn of_us(error: identity::IdentityError) -> ServiceError {
    ServiceError::operator(error.code(), error.to_string())
}
