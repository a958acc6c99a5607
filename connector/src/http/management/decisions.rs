//! Records of decisions.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, get};
use policy_plan::instant_text;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::crud::{Answer, ok};
use super::query::{ListBody, ListParams, list_query};
use super::stored;
use crate::app::App;
use crate::service::{ServiceResult, reading};
use crate::store::decision_record;

const FILTERS: &[&str] = &["scope", "processId", "agreementId", "datasetId", "participantId", "policyHash"];

/// What a decision was taken for.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code)] // Only described.
enum DecisionScope {
    Negotiation,
    Transfer,
    Monitor,
}

/// A decision by a policy, with the facts that it was made by.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DecisionRecord)]
pub(super) struct DecisionView {
    /// Its id.
    id: String,
    /// What it was taken for; `monitor` stands for a change in a running transfer.
    #[schema(value_type = DecisionScope)]
    scope: String,
    /// The negotiation or transfer.
    process_id: String,
    /// The agreement, once there was one.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    agreement_id: String,
    /// The dataset.
    dataset_id: String,
    /// The participant that asked.
    participant_id: String,
    /// Hash of the compiled policy: equal hashes decide alike.
    policy_hash: String,
    /// The facts.
    #[schema(value_type = Object)]
    facts: Value,
    /// Whether it was allowed.
    allow: bool,
    /// Why: rule, fact and sentence of each reason.
    #[schema(value_type = Vec<Object>)]
    reasons: Value,
    /// When it was decided.
    at: String,
}

fn view(row: decision_record::Model) -> ServiceResult<DecisionView> {
    Ok(DecisionView {
        facts: stored(&row.facts)?,
        reasons: stored(&row.reasons)?,
        id: row.id,
        scope: row.scope,
        process_id: row.process_id,
        agreement_id: row.agreement_id,
        dataset_id: row.dataset_id,
        participant_id: row.participant,
        policy_hash: row.policy_hash,
        allow: row.allow,
        at: instant_text(row.created_at),
    })
}

/// Lists decisions about negotiations and transfers, as long as they are kept.
#[utoipa::path(
    tag = "decisions",
    params(
        ListParams,
        ("scope" = Option<String>, Query, description = "Only those taken for this"),
        ("processId" = Option<String>, Query, description = "Only about this negotiation or transfer"),
        ("agreementId" = Option<String>, Query, description = "Only under this agreement"),
        ("datasetId" = Option<String>, Query, description = "Only about this dataset"),
        ("participantId" = Option<String>, Query, description = "Only for this participant"),
        ("policyHash" = Option<String>, Query, description = "Only by this compiled policy")
    ),
    responses((status = 200, description = "A page of decisions", body = ListBody<DecisionView>))
)]
#[get("/decisions")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    let page = reading::rows::<decision_record::Entity>(&app, &list_query(&request, FILTERS)?).await?;
    let items = page.items.into_iter().map(view).collect::<ServiceResult<Vec<_>>>()?;
    ok(&ListBody { items, next: page.next })
}

/// Shows one decision.
#[utoipa::path(
    tag = "decisions",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The decision", body = DecisionView))
)]
#[get("/decisions/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    ok(&view(reading::row::<decision_record::Entity>(&app, "decision", &id).await?)?)
}
