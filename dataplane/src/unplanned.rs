//! Flows of control planes that send no enforcement plan: what they may do is in this data plane's own configuration, and the rules
//! of the agreement are enforced by the control plane alone, by its signals.

use dps_signaling::FlowRequest;
use policy_plan::{Conflict, EnforcementPlan, Expr, Limits, Residual, ResidualRule, Truth};

use crate::config::Config;
use crate::problem::Problem;

/// Longest life of a token, in seconds.
const TOKEN_SECONDS: u32 = 24 * 3600;

/// The plan of a provider's flow whose message has none.
///
/// # Errors
/// `plan_missing` unless the settings allow it, `unknown_dataset` when they do not list the dataset.
pub(crate) fn plan(config: &Config, request: &FlowRequest, now_ms: i64) -> Result<EnforcementPlan, Problem> {
    let Some(datasets) = &config.without_plan else {
        return Err(Problem::bad_request("plan_missing", "member `metadata.plan` with the signed plan is missing"));
    };
    let dataset = datasets.get(&request.dataset_id).ok_or_else(|| {
        Problem::bad_request("unknown_dataset", "the message has no plan, and no dataset of `datasets` has this id")
    })?;
    let rule = ResidualRule {
        id: "control-plane".to_owned(),
        text: "the control plane enforces the agreement".to_owned(),
        when: Expr::Known(Truth::True),
    };
    Ok(EnforcementPlan {
        process_id: request.process_id.clone(),
        agreement_id: request.agreement_id.clone(),
        dataset_id: request.dataset_id.clone(),
        provider: request.participant_id.clone(),
        consumer: request.counter_party_id.clone(),
        issued_at: now_ms,
        rules: Residual { permissions: vec![rule], prohibitions: Vec::new(), conflict: Conflict::default() },
        source: Some(dataset.source.clone()),
        admission: dataset.admission.clone(),
        selection: None,
        writing: None,
        limits: Limits::default(),
        max_token_seconds: TOKEN_SECONDS,
    })
}
