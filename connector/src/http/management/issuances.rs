//! What others ask us for as an issuer, and what we issued.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, get, post};
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{Answer, ok};
use super::identity::NothingInput;
use super::query::{ListBody, ListParams, list_query};
use super::stored;
use crate::app::App;
use crate::dcp::issuer;
use crate::dcp::operate::set_up;
use crate::service::dataset::check_length;
use crate::service::{ServiceResult, reading};
use crate::store::{issuance, issued_credential};

/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 1000;

/// Why something is refused or taken back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Reason, example = json!({"reason": "membership has ended"}))]
pub(super) struct ReasonInput {
    /// The reason for people.
    reason: Option<String>,
}

impl ReasonInput {
    fn check(self) -> ServiceResult<Option<String>> {
        if let Some(reason) = &self.reason {
            check_length("reason", reason, MAX_REASON_BYTES)?;
        }
        Ok(self.reason)
    }
}

/// A request for credentials that we issue.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Issuance)]
pub(super) struct IssuanceView {
    /// Our id of it, which the holder knows as `issuerPid`.
    id: String,
    /// DID of the holder.
    holder: String,
    /// The holder's id of it.
    holder_pid: String,
    /// Ids of the credentials wanted, as in our configuration.
    credentials: Vec<String>,
    /// `RECEIVED`: to be decided; `ISSUED` or `REJECTED`.
    state: String,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    reason: String,
    /// Whether the holder still has to be told: the message is tried again.
    delivering: bool,
    /// What hinders or hindered the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it came.
    created_at: String,
    /// When it last changed.
    updated_at: String,
    /// Commands that are possible now.
    next: &'static [&'static str],
}

/// A credential that we issued.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IssuedCredential)]
pub(super) struct IssuedView {
    /// Its id.
    id: String,
    /// The request that it answers.
    issuance_id: String,
    /// DID of the holder.
    holder: String,
    /// Which of the credentials of our configuration it is.
    #[serde(rename = "type")]
    kind: String,
    /// `vc11-sl2021/jwt` or `vc20-bssl/jwt`.
    format: String,
    /// Its status list.
    status_list: String,
    /// Its place in the list.
    status_list_index: i64,
    /// `valid`, `revoked` or `suspended`.
    state: String,
    /// Why it was taken back.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    reason: String,
    /// When it expires.
    valid_until: String,
    /// When it was issued.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

fn view(row: issuance::Model) -> ServiceResult<IssuanceView> {
    let next: &[&str] = if row.state == "RECEIVED" { &["approve", "reject"] } else { &[] };
    Ok(IssuanceView {
        credentials: stored(&row.requested)?,
        id: row.id,
        holder: row.holder,
        holder_pid: row.holder_pid,
        state: row.state,
        reason: row.reason,
        delivering: row.message.is_some(),
        error: row.error,
        created_at: instant_text(row.created_at),
        updated_at: instant_text(row.updated_at),
        next,
    })
}

fn issued_view(row: issued_credential::Model) -> IssuedView {
    IssuedView {
        id: row.id,
        issuance_id: row.issuance_id,
        holder: row.holder,
        kind: row.kind,
        format: row.format,
        status_list: row.list_id,
        status_list_index: row.list_index,
        state: row.state,
        reason: row.reason,
        valid_until: instant_text(row.valid_until.saturating_mul(1000)),
        created_at: instant_text(row.created_at),
        updated_at: instant_text(row.updated_at),
    }
}

/// Lists the requests for credentials that we issue.
#[utoipa::path(
    tag = "issuance",
    params(
        ListParams,
        ("state" = Option<String>, Query, description = "Only in this state"),
        ("holder" = Option<String>, Query, description = "Only of this holder")
    ),
    responses((status = 200, description = "A page of requests", body = ListBody<IssuanceView>))
)]
#[get("/issuances")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    set_up(&app)?;
    let page = reading::issuances(&app, &list_query(&request, &["state", "holder"])?).await?;
    let items = page.items.into_iter().map(view).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: page.next })
}

/// Shows one request for credentials that we issue.
#[utoipa::path(
    tag = "issuance",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The request", body = IssuanceView))
)]
#[get("/issuances/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    ok(&view(reading::issuance(&app, &id).await?)?)
}

/// Issues what a request asks for, and brings it to the holder.
#[utoipa::path(
    tag = "issuance",
    params(("id" = String, Path, description = "Its id")),
    request_body = NothingInput,
    responses((status = 202, description = "Issued; the holder is being told", body = IssuanceView))
)]
#[post("/issuances/{id}/approve")]
pub(super) async fn approve(app: Data<App>, id: Path<String>, Json(NothingInput {}): Json<NothingInput>) -> Answer {
    let dcp = set_up(&app)?.clone();
    let row = issuer::approve(&app.into_inner(), &dcp, &id).await?;
    Ok(actix_web::HttpResponse::Accepted().json(view(row)?))
}

/// Refuses a request; the holder is told why.
#[utoipa::path(
    tag = "issuance",
    params(("id" = String, Path, description = "Its id")),
    request_body = ReasonInput,
    responses((status = 202, description = "Refused; the holder is being told", body = IssuanceView))
)]
#[post("/issuances/{id}/reject")]
pub(super) async fn reject(app: Data<App>, id: Path<String>, Json(input): Json<ReasonInput>) -> Answer {
    let dcp = set_up(&app)?.clone();
    let row = issuer::reject(&app.into_inner(), &dcp, &id, input.check()?).await?;
    Ok(actix_web::HttpResponse::Accepted().json(view(row)?))
}

/// Lists the credentials that we issued.
#[utoipa::path(
    tag = "issuance",
    params(
        ListParams,
        ("holder" = Option<String>, Query, description = "Only of this holder"),
        ("type" = Option<String>, Query, description = "Only of this kind"),
        ("state" = Option<String>, Query, description = "Only in this state")
    ),
    responses((status = 200, description = "A page of credentials", body = ListBody<IssuedView>))
)]
#[get("/issued-credentials")]
pub(super) async fn issued(app: Data<App>, request: HttpRequest) -> Answer {
    set_up(&app)?;
    let query = list_query(&request, &["holder", "type", "state"])?;
    let page = reading::rows::<issued_credential::Entity>(&app, &query).await?;
    ok(&ListBody { items: page.items.into_iter().map(issued_view).collect(), next: page.next })
}

/// Shows one credential that we issued.
#[utoipa::path(
    tag = "issuance",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The credential", body = IssuedView))
)]
#[get("/issued-credentials/{id}")]
pub(super) async fn show_issued(app: Data<App>, id: Path<String>) -> Answer {
    set_up(&app)?;
    ok(&issued_view(reading::row::<issued_credential::Entity>(&app, "issued credential", &id).await?))
}

/// Takes an issued credential back: its status list says so from now on.
#[utoipa::path(
    tag = "issuance",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = ReasonInput,
    responses((status = 200, description = "Taken back", body = IssuedView))
)]
#[post("/issued-credentials/{id}/revoke")]
pub(super) async fn revoke(app: Data<App>, id: Path<String>, Json(input): Json<ReasonInput>) -> Answer {
    let dcp = set_up(&app)?.clone();
    let reason = input.check()?.unwrap_or_default();
    ok(&issued_view(issuer::revoke(&app.into_inner(), &dcp, &id, &reason).await?))
}
