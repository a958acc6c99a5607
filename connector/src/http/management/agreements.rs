//! Concluded agreements.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, get};
use policy_plan::instant_text;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::crud::{Answer, ok};
use super::negotiations::RoleName;
use super::query::{ListBody, ListParams, list_query};
use super::stored;
use crate::app::App;
use crate::service::{ServiceResult, reading};
use crate::store::agreement;

const FILTERS: &[&str] = &["role", "counterPartyId", "datasetId", "negotiationId"];

/// An agreement; it never changes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Agreement)]
pub(super) struct AgreementView {
    /// Agreement id, the same on both sides.
    id: String,
    /// The dataset agreed on.
    dataset_id: String,
    /// The provider's participant id.
    provider_id: String,
    /// The consumer's participant id.
    consumer_id: String,
    /// Which side we are on.
    #[schema(value_type = RoleName)]
    role: String,
    /// The negotiation that it came from.
    negotiation_id: String,
    /// What the consumer declared that the data is for.
    #[schema(value_type = Vec<String>)]
    purpose: Value,
    /// When it was signed.
    signed_at: String,
    /// The agreement as it was sent, an ODRL policy.
    #[schema(value_type = Object)]
    policy: Value,
}

fn view(app: &App, row: agreement::Model) -> ServiceResult<AgreementView> {
    let policy: Value = stored(&row.body)?;
    let signed_at = policy.get("timestamp").and_then(Value::as_str);
    let signed_at = signed_at.map_or_else(|| instant_text(row.created_at), str::to_owned);
    let we = app.participant.clone();
    let (provider_id, consumer_id) =
        if row.role == "provider" { (we, row.counter_party) } else { (row.counter_party, we) };
    Ok(AgreementView {
        id: row.id,
        dataset_id: row.dataset_id,
        provider_id,
        consumer_id,
        role: row.role,
        negotiation_id: row.negotiation_id,
        purpose: stored(&row.purpose)?,
        signed_at,
        policy,
    })
}

/// Lists agreements.
#[utoipa::path(
    tag = "agreements",
    params(
        ListParams,
        ("role" = Option<String>, Query, description = "Only with this role of ours"),
        ("counterPartyId" = Option<String>, Query, description = "Only with this counter-party"),
        ("datasetId" = Option<String>, Query, description = "Only about this dataset"),
        ("negotiationId" = Option<String>, Query, description = "Only from this negotiation")
    ),
    responses((status = 200, description = "A page of agreements", body = ListBody<AgreementView>))
)]
#[get("/agreements")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    let page = reading::agreements(&app, &list_query(&request, FILTERS)?).await?;
    let items = page.items.into_iter().map(|row| view(&app, row)).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: page.next })
}

/// Shows one agreement.
#[utoipa::path(
    tag = "agreements",
    params(("id" = String, Path, description = "Agreement id, percent-encoded")),
    responses((status = 200, description = "The agreement", body = AgreementView))
)]
#[get("/agreements/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    ok(&view(&app, reading::agreement(&app, &id).await?)?)
}
