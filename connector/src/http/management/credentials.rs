//! The verifiable credentials that we hold, and looking at any.

use std::sync::Arc;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use identity::credential::{Credential, CredentialError, VerifiedCredential};
use identity::dcp::holder::StoredCredential;
use identity::did::Did;
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{Answer, ok};
use super::identity::NothingInput;
use super::query::{ListBody, ListParams, list_query};
use super::stored;
use crate::app::App;
use crate::dcp::operate::{self, set_up};
use crate::dcp::{DcpServices, holder};
use crate::service::dataset::bad;
use crate::service::{ServiceResult, reading};
use crate::store::credential;

const FILTERS: &[&str] = &["type", "issuer", "state"];

/// A credential that we hold.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Credential)]
pub(super) struct CredentialView {
    /// Our id of it.
    id: String,
    /// Its own id.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    credential_id: String,
    /// Its most specific type.
    #[serde(rename = "type")]
    kind: String,
    /// All its types.
    types: Vec<String>,
    /// DID of the issuer.
    issuer: String,
    /// `vc11-sl2021/jwt`, `vc20-bssl/jwt` or `json-ld`.
    format: String,
    /// `held`: it is presented; `pending`: nobody asked for it, and an operator has to accept it.
    state: String,
    /// The request of ours that brought it.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    request_id: String,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    /// When it came.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
    /// When one is shown: what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentView>,
}

/// What a credential says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CredentialContent)]
pub(super) struct ContentView {
    /// Its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// All its types.
    types: Vec<String>,
    /// DID of the issuer.
    issuer: String,
    /// `vc11-sl2021/jwt`, `vc20-bssl/jwt` or `json-ld`.
    format: &'static str,
    /// Not valid before.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_from: Option<String>,
    /// Not valid any more from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<String>,
    /// Of whom it says what.
    #[schema(value_type = Vec<Object>)]
    subjects: Vec<Map<String, Value>>,
    /// Where its status is found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    status: Vec<Value>,
    /// The schemas that it keeps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    schemas: Vec<Value>,
}

/// A credential to be verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Verification, example = json!({"credential": "eyJhbGciOiJFUzI1NiJ9.eyJ2YyI6e319.AA", "holder": "did:web:tirana.example"}))]
pub(super) struct VerificationInput {
    /// The credential: a JWT as a text, JSON-LD with a proof as an object.
    #[schema(value_type = Object)]
    credential: Value,
    /// The DID that it must have been issued to; not compared when left out.
    holder: Option<String>,
}

/// What became of a verification.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VerificationResult)]
pub(super) struct VerificationView {
    /// Whether it can be believed: issuer, period, signature, schema, status, holder.
    verified: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<VerificationError>,
    /// The verification method that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Until when this is known to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    known_until: Option<String>,
    /// What it says, as far as it can be read; to be believed only when it is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentView>,
}

/// Why a credential cannot be believed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerificationError {
    /// Stable machine code of the rule.
    code: &'static str,
    /// One sentence for people.
    detail: String,
    /// Whether the same credential may pass later.
    temporary: bool,
}

fn at(seconds: i64) -> String {
    instant_text(seconds.saturating_mul(1000))
}

fn view(row: credential::Model) -> ServiceResult<CredentialView> {
    Ok(CredentialView {
        id: row.id,
        credential_id: row.credential_id,
        kind: row.kind,
        types: stored(&row.types)?,
        issuer: row.issuer,
        format: row.format,
        state: row.state,
        request_id: row.request_id,
        valid_until: row.valid_until.map(at),
        created_at: instant_text(row.created_at),
        updated_at: instant_text(row.updated_at),
        content: None,
    })
}

fn content(credential: Credential) -> ContentView {
    ContentView {
        format: holder::format_name(credential.format),
        id: credential.id,
        types: credential.types,
        issuer: credential.issuer,
        valid_from: credential.valid_from.map(at),
        valid_until: credential.valid_until.map(at),
        subjects: credential.subjects,
        status: credential.status,
        schemas: credential.schemas,
    }
}

/// Lists the credentials that we hold or that wait for a decision.
#[utoipa::path(
    tag = "credentials",
    params(
        ListParams,
        ("type" = Option<String>, Query, description = "Only of this type"),
        ("issuer" = Option<String>, Query, description = "Only of this issuer"),
        ("state" = Option<String>, Query, description = "Only in this state")
    ),
    responses((status = 200, description = "A page of credentials", body = ListBody<CredentialView>))
)]
#[get("/credentials")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    set_up(&app)?;
    let page = reading::rows::<credential::Entity>(&app, &list_query(&request, FILTERS)?).await?;
    let items = page.items.into_iter().map(view).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: page.next })
}

/// Shows one credential and what it says.
#[utoipa::path(
    tag = "credentials",
    params(("id" = String, Path, description = "Our id of it")),
    responses((status = 200, description = "The credential", body = CredentialView))
)]
#[get("/credentials/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    let row = reading::row::<credential::Entity>(&app, "credential", &id).await?;
    let read = StoredCredential::read(stored(&row.body)?, false);
    let content = read.ok().map(|read| content(read.credential));
    ok(&CredentialView { content, ..view(row)? })
}

/// Accepts a credential that nobody asked for: from now on it is presented.
#[utoipa::path(
    tag = "credentials",
    params(("id" = String, Path, description = "Our id of it")),
    request_body = NothingInput,
    responses((status = 200, description = "Accepted", body = CredentialView))
)]
#[post("/credentials/{id}/accept")]
pub(super) async fn accept(app: Data<App>, id: Path<String>, Json(NothingInput {}): Json<NothingInput>) -> Answer {
    set_up(&app)?;
    ok(&view(holder::accept(&app.into_inner(), &id).await?)?)
}

/// Removes a credential; it is presented no more.
#[utoipa::path(
    tag = "credentials",
    params(("id" = String, Path, description = "Our id of it")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/credentials/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    operate::remove_credential(&app, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Verifies a credential as it would be when a partner presented it. Nothing is stored.
#[utoipa::path(
    tag = "credentials",
    request_body = VerificationInput,
    responses((status = 200, description = "Whether it can be believed, or why not", body = VerificationView))
)]
#[post("/credentials/verify")]
pub(super) async fn verify(app: Data<App>, Json(input): Json<VerificationInput>) -> Answer {
    let dcp = set_up(&app)?;
    if !(input.credential.is_string() || input.credential.is_object()) {
        return Err(bad("credential", "must be a JWT as a text, or an object").into());
    }
    let holder = input.holder.as_deref().map(str::parse::<Did>).transpose();
    let holder = holder.map_err(|error| bad("holder", format_args!("cannot be used: {error}")))?;
    let credential = without_space(input.credential);
    ok(&match check(dcp, &credential, holder.as_ref()).await {
        Ok(verified) => VerificationView {
            verified: true,
            error: None,
            method: Some(verified.method.to_string()),
            known_until: Some(at(verified.fresh_until)),
            content: Some(content(verified.credential)),
        },
        Err(error) => VerificationView {
            verified: false,
            error: Some(VerificationError {
                code: error.code(),
                detail: error.to_string(),
                temporary: error.is_temporary(),
            }),
            method: None,
            known_until: None,
            content: StoredCredential::read(credential, false).ok().map(|read| content(read.credential)),
        },
    })
}

async fn check(
    dcp: &Arc<DcpServices>,
    credential: &Value,
    holder: Option<&Did>,
) -> Result<VerifiedCredential, CredentialError> {
    let verified = dcp.credentials.verify(credential).await?;
    if let Some(holder) = holder {
        verified.bound_to(holder)?;
    }
    Ok(verified)
}

/// A JWT from a file ends with a line break.
fn without_space(credential: Value) -> Value {
    match credential {
        Value::String(text) => Value::from(text.trim()),
        object => object,
    }
}
