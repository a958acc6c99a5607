//! Runs the tables in `tests/cases`: one file for each feature of ODRL.
//!
//! A file is an object with `feature`, optional defaults for every case (`policy`, `facts`, `scope`, `action`, `source`) and
//! the list `cases`. A case says what comes out: `allow` with optional `text` (part of the decision's sentences),
//! `validUntil`, `obligations`, `duties` and `terms` (all that may have to be done), or `error` with `code`, `rule`, `member` and optional `pointer`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod table;

use policy::{Facts, Policy, PolicySource, Scope, Used};
use serde_json::Value;
use table::{Case, epoch_ms};

#[test]
fn all_tables() {
    let cases = table::all();
    let failures: Vec<String> =
        cases.iter().filter_map(|case| run(case).err().map(|what| format!("{}: {what}", case.name))).collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(cases.len() > 800, "only {} cases were found", cases.len());
}

fn run(table: &Case) -> Result<(), String> {
    let case = &table.members;
    const KNOWN: &[&str] = &[
        "feature",
        "cases",
        "name",
        "policy",
        "source",
        "facts",
        "scope",
        "action",
        "allow",
        "text",
        "validUntil",
        "obligations",
        "duties",
        "terms",
        "error",
    ];
    if let Some(other) = case.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(format!("`{other}` has no meaning in a case"));
    }
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let compiled = Policy::compile(&table.source());
    let policy = match (compiled, case.get("error")) {
        (Ok(policy), None) => policy,
        (Ok(_), Some(_)) => return Err("it compiles".to_owned()),
        (Err(error), None) => return Err(format!("it does not compile: {error}")),
        (Err(error), Some(expected)) => {
            let found = (Some(error.code.to_owned()), error.rule.clone(), Some(error.member.clone()));
            let wanted = (text(expected, "code"), text(expected, "rule"), text(expected, "member"));
            let part = text(expected, "text").unwrap_or_default();
            let place = text(expected, "pointer");
            if place.as_ref().is_some_and(|place| *place != error.pointer) {
                return Err(format!("the place is {}", error.pointer));
            }
            return if found == wanted && error.to_string().contains(&part) {
                Ok(())
            } else {
                Err(format!("another error: {found:?} {error}"))
            };
        }
    };
    let (facts, scope, action) = (table.facts(), table.scope(), table.action());
    let decision = policy.decide(scope, action, &facts);
    if Some(decision.allow) != case.get("allow").and_then(Value::as_bool) {
        return Err(format!("allow is {}: {}", decision.allow, decision.refusal_text()));
    }
    let part = case.get("text").and_then(Value::as_str).unwrap_or_default();
    if !decision.refusal_text().contains(part) {
        return Err(format!("the text is: {}", decision.refusal_text()));
    }
    if let Some(until) = case.get("validUntil") {
        let wanted = until.as_str().map(epoch_ms);
        if decision.valid_until_ms != wanted {
            return Err(format!("valid until {:?}, not {wanted:?}", decision.valid_until_ms));
        }
    }
    let obligations = serde_json::to_value(&decision.obligations).unwrap();
    if case.get("obligations").is_some_and(|wanted| *wanted != obligations) {
        return Err(format!("the obligations are {obligations}"));
    }
    let duties: Vec<Value> = decision
        .duties
        .iter()
        .map(|duty| serde_json::json!([duty.text, duty.state, if duty.due { "due" } else { "not due" }]))
        .collect();
    if case.get("duties").is_some_and(|wanted| *wanted != Value::from(duties.clone())) {
        return Err(format!("the duties are {}", Value::from(duties)));
    }
    let terms: Vec<Value> = policy
        .duties()
        .into_iter()
        .map(|term| {
            let times = [term.due_from_ms, term.due_by_ms].map(|at| at.map(policy_plan::instant_text));
            serde_json::json!([term.id, term.rule, term.role, term.action, times[0], times[1], term.conditional])
        })
        .collect();
    if case.get("terms").is_some_and(|wanted| *wanted != Value::from(terms.clone())) {
        return Err(format!("the terms are {}", Value::from(terms)));
    }
    if scope == Scope::Request {
        let later = policy.residual(action, &facts).decide(facts.now_ms, &facts.usage);
        if later.allow != decision.allow {
            return Err(format!("the residual decides {}", later.allow));
        }
    }
    Ok(())
}
