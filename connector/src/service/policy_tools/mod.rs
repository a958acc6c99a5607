//! Tools for policies: looking one over, asking what it would decide, telling why it decided, and what other terms would have
//! changed. What needs no database stands for itself, so that commands can use it without a control plane.

mod changes;
mod known;
mod situation;

pub(crate) use changes::{Diff, DiffInput, diff};
pub(crate) use known::{ExplainInput, SimulateInput, explain, simulate};
pub(crate) use situation::Situation;

use policy::{Finding, Policy, PolicyError, PolicySource, Scope, Severity, from_turtle, lint};
use serde::Serialize;
use serde_json::{Value, json};

use super::decide::{USE, not_understood};
use super::{ServiceError, ServiceResult};

/// What was found out about a policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checked {
    /// Whether it can be used.
    pub usable: bool,
    /// What there is to say, the most serious first.
    pub findings: Vec<Finding>,
    /// The rules in readable form.
    pub rules: Vec<String>,
}

/// Looks a policy over: JSON-LD in any shape, or Turtle as a string.
pub(crate) fn check(document: &Value, now: i64) -> Checked {
    match source(document) {
        Err(error) => Checked { usable: false, findings: vec![finding(error)], rules: Vec::new() },
        Ok(source) => {
            let findings = lint(&source, now);
            let rules = Policy::compile(&source).map(|policy| policy.rules()).unwrap_or_default();
            Checked { usable: findings.iter().all(|one| one.severity != Severity::Error), findings, rules }
        }
    }
}

fn finding(error: PolicyError) -> Finding {
    let PolicyError { code, rule, pointer, message, .. } = error;
    Finding { severity: Severity::Error, code, pointer, rule, message }
}

/// A document as what is compiled.
///
/// # Errors
/// When a string is not Turtle.
pub(crate) fn source(document: &Value) -> Result<PolicySource, PolicyError> {
    let rules = match document {
        Value::String(text) => from_turtle(text)?,
        other => without_our_members(other.clone()),
    };
    Ok(PolicySource { rules, ..PolicySource::default() })
}

/// Files for `hansa policy add`, and what it shows, have a title and times, which say nothing of the terms.
fn without_our_members(mut document: Value) -> Value {
    if let Value::Object(members) = &mut document {
        for name in ["title", "createdAt", "updatedAt"] {
            members.shift_remove(name);
        }
    }
    document
}

/// Why a policy decides as it does in a situation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explained {
    /// The decision as a tree.
    pub explanation: policy::Explanation,
    /// The tree as text.
    pub text: String,
    /// The facts that it was decided by.
    pub facts: Value,
}

/// What a compiled policy decides by these facts, and why.
///
/// # Errors
/// When the policy cannot be evaluated, which a decision takes as a refusal.
pub(crate) fn told(
    policy: &Policy,
    scope: Scope,
    action: Option<&str>,
    facts: &policy::Facts,
) -> ServiceResult<Explained> {
    let explanation = policy
        .explain(scope, action.unwrap_or(USE), facts)
        .ok_or_else(|| ServiceError::internal("a policy could not be evaluated"))?;
    Ok(Explained { text: explanation.text(), facts: json!(facts), explanation })
}

/// What a policy that is told would decide in a situation.
///
/// # Errors
/// `policy_not_understood`, or what is wrong with the situation.
pub(crate) fn simulate_document(document: &Value, situation: &Situation, now: i64) -> ServiceResult<Explained> {
    let source = situation.about(source(document).map_err(not_understood)?)?;
    let policy = Policy::compile(&source).map_err(not_understood)?;
    told(&policy, situation.scope()?, situation.action.as_deref(), &situation.facts(now)?)
}
