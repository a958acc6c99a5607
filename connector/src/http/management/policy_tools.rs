//! Tools for policies: look one over, judge a case, explain and simulate decisions, and see what other terms would change.

use actix_web::post;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{Answer, ok};
use crate::app::App;
use crate::service::decide::not_understood;
use crate::service::policy_tools::{self, Checked, Diff, DiffInput, ExplainInput, Explained, SimulateInput};
use crate::store::now_ms;

/// A policy to be looked over.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"policy": {"permission": [{"action": "use"}]}}))]
pub(super) struct CheckInput {
    /// The policy, as JSON-LD in any shape or as a string of Turtle.
    #[schema(value_type = Object)]
    policy: Value,
}

/// What was found out about a policy.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CheckedPolicy)]
struct CheckedView {
    /// Whether it can be used.
    usable: bool,
    /// What there is to say, the most serious first: `severity` (`error`, `warning` or `info`), `code`, `pointer` (a JSON
    /// pointer into the policy), `rule` and `message`.
    #[schema(value_type = Vec<Object>)]
    findings: Value,
    /// The rules in readable form.
    rules: Vec<String>,
}

/// Why something is decided as it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Explanation)]
struct ExplainedView {
    /// Whether it is allowed.
    allow: bool,
    /// The rules with their conditions, the values that these met, and which of them the decision rests on.
    #[schema(value_type = Object)]
    explanation: Value,
    /// The same as a tree of text.
    text: String,
    /// The facts that it was decided by.
    #[schema(value_type = Object)]
    facts: Value,
}

impl ExplainedView {
    fn of(told: Explained) -> Self {
        let allow = told.explanation.allow;
        Self { allow, explanation: serde_json::json!(told.explanation), text: told.text, facts: told.facts }
    }
}

/// A case that stands for itself, without this connector.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "policy": {"permission": [{"action": "use", "assignee": "did:web:bari.example"}]},
    "request": {"party": "did:web:bari.example", "action": "read"},
    "facts": {"now": "2027-01-15T09:30:00Z"}
}))]
pub(super) struct CaseInput {
    /// The policy, as JSON-LD in any shape or as a string of Turtle.
    #[schema(value_type = Object)]
    policy: Value,
    /// `jsonld` or `turtle`, when the policy is a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Value>,
    /// Who asks for what: `party`, `action`, `target`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    request: Value,
    /// What is known: `now`, `agreedAt`, `partOf`, `isA`, `duties`, `claims`, `operands`, `asset`, `purpose`, `events`,
    /// `consents`, `channel`, `format`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    facts: Value,
}

impl CaseInput {
    fn into_case(self) -> Value {
        let mut case = serde_json::Map::from_iter([("policy".to_owned(), self.policy)]);
        let parts = [("format", self.format.unwrap_or_default()), ("request", self.request), ("facts", self.facts)];
        case.extend(parts.into_iter().filter(|(_, part)| !part.is_null()).map(|(name, part)| (name.to_owned(), part)));
        Value::Object(case)
    }
}

/// What was decided about a case, and of each rule whether it is active, its premises and its constraints.
#[derive(ToSchema)]
#[schema(as = CaseReport)]
#[allow(dead_code)] // Only described.
struct ReportView {
    /// `allow`, `void`, `permits`, `forbids`, `obligations`, `reasons`.
    #[schema(value_type = Object)]
    decision: Value,
    /// `rule`, `kind`, `active`, `premises`, `constraints`, `duties`, `state` of each rule.
    #[schema(value_type = Vec<Object>)]
    rules: Value,
}

/// Looks a policy over: errors, what is doubtful, what is worth knowing. Nothing is kept.
#[utoipa::path(
    tag = "policies",
    request_body = CheckInput,
    responses((status = 200, description = "What was found", body = CheckedView))
)]
#[post("/policies/check")]
pub(super) async fn check(Json(input): Json<CheckInput>) -> Answer {
    let Checked { usable, findings, rules } = policy_tools::check(&input.policy, now_ms());
    ok(&CheckedView { usable, findings: serde_json::json!(findings), rules })
}

/// Judges a case: a policy, a request and the facts.
#[utoipa::path(
    tag = "policies",
    request_body = CaseInput,
    responses((status = 200, description = "What was decided, rule by rule", body = ReportView))
)]
#[post("/policies/evaluate")]
pub(super) async fn evaluate(Json(input): Json<CaseInput>) -> Answer {
    ok(&::policy::evaluate(&input.into_case(), now_ms()).map_err(not_understood)?)
}

/// Explains what an agreement or a policy decides now, by all that is known here.
#[utoipa::path(
    tag = "policies",
    request_body = ExplainInput,
    responses((status = 200, description = "The decision as a tree", body = ExplainedView))
)]
#[post("/policies/explain")]
pub(super) async fn explain(app: Data<App>, Json(input): Json<ExplainInput>) -> Answer {
    ok(&ExplainedView::of(policy_tools::explain(&app, input).await?))
}

/// Tells what a policy would decide in a situation that is thought up.
#[utoipa::path(
    tag = "policies",
    request_body = SimulateInput,
    responses((status = 200, description = "The decision as a tree", body = ExplainedView))
)]
#[post("/policies/simulate")]
pub(super) async fn simulate(app: Data<App>, Json(input): Json<SimulateInput>) -> Answer {
    ok(&ExplainedView::of(policy_tools::simulate(&app, input).await?))
}

/// Tells which recorded decisions other terms would have changed.
#[utoipa::path(
    tag = "policies",
    request_body = DiffInput,
    responses((status = 200, description = "The decisions that would have been different", body = Diff))
)]
#[post("/policies/diff")]
pub(super) async fn diff(app: Data<App>, Json(input): Json<DiffInput>) -> Answer {
    ok(&policy_tools::diff(&app, input).await?)
}
