//! What we ask issuers for, and what they offer us.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use identity::did::Did;
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{Answer, location, ok};
use super::query::{ListBody, ListParams, list_query};
use super::stored;
use crate::app::App;
use crate::dcp::holder;
use crate::dcp::operate::set_up;
use crate::service::dataset::{bad, check_names};
use crate::service::{ServiceResult, reading};
use crate::store::{credential_offer, credential_request};

const PATH: &str = "/credential-requests";

/// Credentials to ask an issuer for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewCredentialRequest, example = json!({
    "issuer": "did:web:authority.example",
    "credentials": ["MembershipCredential"]
}))]
pub(super) struct RequestInput {
    /// DID of the issuer.
    issuer: String,
    /// Ids in the issuer's metadata, or credential types.
    credentials: Vec<String>,
}

impl RequestInput {
    fn check(&self) -> ServiceResult<Did> {
        if self.credentials.is_empty() {
            return Err(bad("credentials", "must not be empty"));
        }
        check_names("credentials", self.credentials.iter().map(String::as_str))?;
        self.issuer.parse().map_err(|error| bad("issuer", format_args!("cannot be used: {error}")))
    }
}

/// A request for credentials to an issuer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CredentialRequest)]
pub(super) struct RequestView {
    /// Our id of it, which the issuer knows as `holderPid`.
    id: String,
    /// DID of the issuer.
    issuer: String,
    /// Where the issuer tells its status.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    status_url: String,
    /// What is asked for.
    credentials: Vec<RequestedView>,
    /// `REQUESTED`, `ISSUED` or `REJECTED`.
    state: String,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    reason: String,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

/// A credential that is asked for.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = RequestedCredential)]
pub(super) struct RequestedView {
    /// Its id in the issuer's metadata.
    id: String,
    /// Its type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// Credentials that an issuer offers us.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CredentialOffer)]
pub(super) struct OfferView {
    /// Our id of it.
    id: String,
    /// DID of the issuer.
    issuer: String,
    /// What it offers, as it said it.
    #[schema(value_type = Vec<Object>)]
    credentials: Vec<Value>,
    /// When it came.
    created_at: String,
}

fn view(row: credential_request::Model) -> ServiceResult<RequestView> {
    Ok(RequestView {
        credentials: stored(&row.requested)?,
        id: row.id,
        issuer: row.issuer,
        status_url: row.issuer_pid,
        state: row.state,
        reason: row.reason,
        created_at: instant_text(row.created_at),
        updated_at: instant_text(row.updated_at),
    })
}

fn offer_view(row: credential_offer::Model) -> ServiceResult<OfferView> {
    Ok(OfferView {
        credentials: stored(&row.body)?,
        id: row.id,
        issuer: row.issuer,
        created_at: instant_text(row.created_at),
    })
}

/// Lists our requests for credentials.
#[utoipa::path(
    tag = "credentials",
    params(
        ListParams,
        ("issuer" = Option<String>, Query, description = "Only to this issuer"),
        ("state" = Option<String>, Query, description = "Only in this state")
    ),
    responses((status = 200, description = "A page of requests", body = ListBody<RequestView>))
)]
#[get("/credential-requests")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    set_up(&app)?;
    let query = list_query(&request, &["issuer", "state"])?;
    let page = reading::rows::<credential_request::Entity>(&app, &query).await?;
    let items = page.items.into_iter().map(view).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: page.next })
}

/// Shows one request for credentials.
#[utoipa::path(
    tag = "credentials",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The request", body = RequestView))
)]
#[get("/credential-requests/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    ok(&view(reading::row::<credential_request::Entity>(&app, "request for credentials", &id).await?)?)
}

/// Asks an issuer for credentials. They come when it has decided.
#[utoipa::path(
    tag = "credentials",
    request_body = RequestInput,
    responses(
        (
            status = 201,
            description = "The issuer has the request",
            body = RequestView,
            headers(("Location" = String, description = "Its address"))
        ),
        (status = 502, description = "The issuer cannot be reached, refuses, or answers with something else")
    )
)]
#[post("/credential-requests")]
pub(super) async fn create(app: Data<App>, Json(input): Json<RequestInput>) -> Answer {
    let dcp = set_up(&app)?.clone();
    let issuer = input.check()?;
    let row = holder::request(&app.into_inner(), &dcp, &issuer, &input.credentials).await?;
    let location = location(PATH, &row.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(view(row)?))
}

/// Lists the credentials that issuers offer us.
#[utoipa::path(
    tag = "credentials",
    params(ListParams, ("issuer" = Option<String>, Query, description = "Only of this issuer")),
    responses((status = 200, description = "A page of offers", body = ListBody<OfferView>))
)]
#[get("/credential-offers")]
pub(super) async fn offers(app: Data<App>, request: HttpRequest) -> Answer {
    set_up(&app)?;
    let page = reading::rows::<credential_offer::Entity>(&app, &list_query(&request, &["issuer"])?).await?;
    let items = page.items.into_iter().map(offer_view).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: page.next })
}

/// Shows one offer of an issuer.
#[utoipa::path(
    tag = "credentials",
    params(("id" = String, Path, description = "Our id of it")),
    responses((status = 200, description = "The offer", body = OfferView))
)]
#[get("/credential-offers/{id}")]
pub(super) async fn offer(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    ok(&offer_view(reading::row::<credential_offer::Entity>(&app, "offer of credentials", &id).await?)?)
}
