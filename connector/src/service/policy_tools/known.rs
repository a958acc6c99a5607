//! Explanations by what the connector knows, and by what is thought up.

use policy::Policy;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::situation::Situation;
use super::{Explained, simulate_document, source, told};
use crate::app::App;
use crate::service::dataset::bad;
use crate::service::decide::{Asking, judge, not_understood};
use crate::service::process::Process;
use crate::service::registry;
use crate::service::{ServiceError, ServiceResult, reading};
use crate::store::{Filter, ListQuery, negotiation, now_ms, policy as policy_row, transfer};

/// Which policy is meant, and in which situation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "policyId": "urn:policy:members",
    "situation": {"participant": "did:web:bari.example", "claims": {"membership": "active"}}
}))]
pub(crate) struct SimulateInput {
    /// A policy of ours.
    policy_id: Option<String>,
    /// A policy as JSON-LD in any shape, or as a string of Turtle.
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
    /// The situation.
    #[serde(default)]
    situation: Situation,
}

/// Which policy or agreement is meant, and who asks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"agreementId": "urn:uuid:3dd1add8-4d2d-569e-d634-8394a8836a88"}))]
pub(crate) struct ExplainInput {
    /// An agreement; its consumer asks.
    agreement_id: Option<String>,
    /// A policy of ours; then the situation names the participant that asks.
    policy_id: Option<String>,
    /// What is to be different from what is known.
    #[serde(default)]
    situation: Situation,
}

/// What a policy would decide in a situation.
///
/// # Errors
/// `not_found`, `policy_not_understood`, `bad_member`.
pub(crate) async fn simulate(app: &App, input: SimulateInput) -> ServiceResult<Explained> {
    let SimulateInput { policy_id, policy, situation } = input;
    let document = match (policy_id, policy) {
        (Some(id), None) => document(app, &id).await?,
        (None, Some(document)) => document,
        _ => return Err(bad("policyId", "or `policy` is needed, and only one of them")),
    };
    simulate_document(&document, &situation, now_ms())
}

/// The rules of a policy of ours, as the operator wrote them.
pub(super) async fn document(app: &App, id: &str) -> ServiceResult<Value> {
    let row = registry::get::<policy_row::Entity>(app, id).await?;
    serde_json::from_str(&row.body).map_err(ServiceError::internal)
}

/// What an agreement or a policy decides about a participant by all that the connector knows now, and why.
///
/// # Errors
/// As [`simulate`].
pub(crate) async fn explain(app: &App, input: ExplainInput) -> ServiceResult<Explained> {
    let ExplainInput { agreement_id, policy_id, situation } = input;
    match (agreement_id, policy_id) {
        (Some(id), None) => of_agreement(app, &id, &situation).await,
        (None, Some(id)) => of_policy(app, &id, &situation).await,
        _ => Err(bad("agreementId", "or `policyId` is needed, and only one of them")),
    }
}

async fn of_agreement(app: &App, id: &str, situation: &Situation) -> ServiceResult<Explained> {
    let row = reading::agreement(app, id).await?;
    let policy = app.decisions.compile_agreement(&row.body)?;
    let claims = match latest::<transfer::Model>(app, "agreementId", &row.id).await? {
        Some(process) => Some(process.claims),
        None => latest::<negotiation::Model>(app, "agreementId", &row.id).await?.map(|process| process.claims),
    };
    let claims: Value = claims.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    // The consumer is the partner, or ourselves.
    let consumer = if row.role == "provider" { row.counter_party.as_str() } else { app.participant.as_str() };
    let asking = Asking {
        agreement: Some(&row.id),
        purpose: &row.purpose,
        channel: situation.channel.as_deref(),
        ..Asking::of(consumer, &claims, Some(&row.dataset_id))
    };
    by_what_is_known(app, &policy, &asking, situation).await
}

async fn of_policy(app: &App, id: &str, situation: &Situation) -> ServiceResult<Explained> {
    let Some(participant) = situation.participant.as_deref() else {
        return Err(bad("situation.participant", "is missing: a policy is explained for somebody"));
    };
    let source = situation.about(source(&document(app, id).await?).map_err(not_understood)?)?;
    let policy = Policy::compile(&app.decisions.with_areas(source)).map_err(not_understood)?;
    let process = latest::<negotiation::Model>(app, "counterPartyId", participant).await?;
    let claims: Value = process.and_then(|process| serde_json::from_str(&process.claims).ok()).unwrap_or_default();
    let asking = Asking::of(participant, &claims, situation.target.as_deref());
    by_what_is_known(app, &policy, &asking, situation).await
}

/// The latest process of which this is so.
async fn latest<P: Process>(app: &App, name: &'static str, value: &str) -> ServiceResult<Option<P>> {
    let query = ListQuery {
        limit: Some(1),
        sort: Some("-createdAt".to_owned()),
        filters: vec![Filter { name, value: value.to_owned() }],
        ..ListQuery::default()
    };
    Ok(reading::processes::<P>(app, &query).await?.items.pop())
}

async fn by_what_is_known(
    app: &App,
    policy: &Policy,
    asking: &Asking<'_>,
    situation: &Situation,
) -> ServiceResult<Explained> {
    let scope = situation.scope()?;
    let judged = judge(app, app.store.reads(), policy, scope, asking).await?;
    let now = judged.facts.now_ms;
    let mut told = told(policy, scope, situation.action.as_deref(), &situation.over(judged.facts.clone(), now)?)?;
    // What the policy allows may be refused by the operator's own rules, which see what is known.
    if told.explanation.allow && !judged.decision.allow && told.facts == serde_json::json!(judged.facts) {
        told.explanation.allow = false;
        told.explanation.reasons.clone_from(&judged.decision.reasons);
        told.text = told.explanation.text();
    }
    Ok(told)
}
