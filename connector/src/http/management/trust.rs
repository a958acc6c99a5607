//! Whom we believe.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, put};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy_plan::instant_text;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown, ok};
use super::query::{DEFAULT_LIMIT, ListBody, MAX_LIMIT, Query};
use crate::app::App;
use crate::dcp::known_issuers::{self, KnownIssuer, Source};
use crate::dcp::operate::set_up;
use crate::service::registry::{TrustedIssuerInput, shown};
use crate::service::{ServiceError, ServiceResult};
use crate::store::trusted_issuer;

/// A trusted issuer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TrustedIssuer)]
pub(super) struct TrustedIssuerView {
    /// DID of the issuer.
    id: String,
    /// Credential types that it may issue, `*` for all that no other entry names.
    types: Vec<String>,
    /// Claims that it may make about a holder; all when there is no list.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Vec<String>>,
    /// `operator`: added here; `configuration` and `file`: changed only there.
    #[schema(value_type = TrustSource)]
    source: &'static str,
    /// When an operator added it.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// When an operator last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// Where an entry stands.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code)] // Only described.
enum TrustSource {
    Operator,
    Configuration,
    File,
}

impl Shown for trusted_issuer::Entity {
    type View = TrustedIssuerView;
    const PATH: &'static str = "/trusted-issuers";
    const FILTERS: &'static [&'static str] = &[];

    fn view(row: trusted_issuer::Model) -> ServiceResult<TrustedIssuerView> {
        Ok(view(known_issuers::of_row(row)?))
    }
}

fn view(known: KnownIssuer) -> TrustedIssuerView {
    TrustedIssuerView {
        id: known.did,
        types: known.types,
        claims: known.claims,
        source: word(known.source),
        created_at: known.created_at.map(instant_text),
        updated_at: known.updated_at.map(instant_text),
    }
}

fn word(source: Source) -> &'static str {
    match source {
        Source::Operator => "operator",
        Source::Configuration => "configuration",
        Source::File => "file",
    }
}

/// The place of an entry in the list, as a cursor says it.
fn place(known: &KnownIssuer) -> String {
    format!("{} {:?} {}", known.did, known.source, known.types.join(" "))
}

fn decode(cursor: &str) -> ServiceResult<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes
        .filter(|place| place.starts_with("did:"))
        .ok_or_else(|| ServiceError::bad_request("bad_query", "the cursor is not one that this list gave out"))
}

/// Lists the issuers that we trust: those that operators added, and those of the configuration and its file. Those of a
/// registry cannot be listed.
#[utoipa::path(
    tag = "trust",
    params(
        ("limit" = Option<u64>, Query, description = "Rows wanted, 1 to 500; 50 when left out"),
        ("cursor" = Option<String>, Query, description = "Where to go on: the `next` of the page before")
    ),
    responses((status = 200, description = "A page of issuers", body = ListBody<TrustedIssuerView>))
)]
#[get("/trusted-issuers")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    set_up(&app)?;
    let query = Query::read(&request, &["limit", "cursor"])?;
    let limit = query.number("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = query.text("cursor").map(decode).transpose()?;
    let mut all = known_issuers::all(&app).await?;
    all.sort_by_cached_key(place);
    all.retain(|known| after.as_ref().is_none_or(|after| place(known) > *after));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(place(last)));
    ok(&ListBody { items: all.into_iter().map(view).collect(), next })
}

/// Shows one trusted issuer; the entry that an operator added when there is one.
#[utoipa::path(
    tag = "trust",
    params(("id" = String, Path, description = "Its DID, percent-encoded")),
    responses((status = 200, description = "The issuer", body = TrustedIssuerView))
)]
#[get("/trusted-issuers/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    let found = known_issuers::all(&app).await?.into_iter().find(|known| known.did == *id);
    let missing = || ServiceError::not_found(format!("there is no trusted issuer `{}`", shown(&id)));
    ok(&view(found.ok_or_else(missing)?))
}

/// Trusts an issuer, or replaces what it is trusted for. Entries of the configuration stand beside it.
#[utoipa::path(
    tag = "trust",
    params(("id" = String, Path, description = "Its DID, percent-encoded")),
    request_body = TrustedIssuerInput,
    responses(
        (status = 200, description = "Replaced", body = TrustedIssuerView),
        (status = 201, description = "Added", body = TrustedIssuerView)
    )
)]
#[put("/trusted-issuers/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<TrustedIssuerInput>) -> Answer {
    set_up(&app)?;
    crud::put::<trusted_issuer::Entity>(&app, &id, input).await
}

/// Trusts an issuer no more. Its credentials are refused from now on.
#[utoipa::path(
    tag = "trust",
    params(("id" = String, Path, description = "Its DID, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/trusted-issuers/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    let known = known_issuers::all(&app).await.unwrap_or_default();
    let entries: Vec<Source> = known.iter().filter(|known| known.did == *id).map(|known| known.source).collect();
    if !entries.is_empty() && !entries.contains(&Source::Operator) {
        let text = format!("the issuer `{}` is trusted by the configuration; take it out there", shown(&id));
        return Err(ServiceError::conflict("in_configuration", text).into());
    }
    crud::remove::<trusted_issuer::Entity>(&app, &id).await
}
