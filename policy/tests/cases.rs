//! Runs the tables in `tests/cases`: one file for each feature of ODRL.
//!
//! A file is an object with `feature`, optional defaults for every case (`policy`, `facts`, `scope`, `action`, `source`) and
//! the list `cases`. A case says what comes out: `allow` with optional `text` (part of the decision's sentences),
//! `validUntil`, `obligations`, `duties` and `terms` (all that may have to be done), or `error` with `code`, `rule`, `member` and optional `pointer`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use policy::{Facts, Policy, PolicySource, Scope, Used};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NOW: &str = "2026-06-15T12:00:00Z";

#[test]
fn all_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for file in files {
        let table: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(table["feature"].is_string(), "{}", file.display());
        for case in table["cases"].as_array().unwrap() {
            let mut whole = table.as_object().unwrap().clone();
            whole.extend(case.as_object().unwrap().clone());
            count += 1;
            if let Err(what) = run(&whole) {
                failures.push(format!("{} / {}: {what}", file.file_name().unwrap().display(), case["name"]));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 100, "only {count} cases were found");
}

fn run(case: &Map<String, Value>) -> Result<(), String> {
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
    let source = case.get("source").cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let compiled = Policy::compile(&PolicySource {
        rules: case["policy"].clone(),
        target: text(&source, "target"),
        assigner: text(&source, "assigner"),
        assignee: text(&source, "assignee"),
        profile: text(&source, "profile"),
        conflict: text(&source, "conflict"),
        agreed_at_ms: text(&source, "agreedAt").map(|at| epoch_ms(&at)),
        areas: source.get("areas").map(|areas| serde_json::from_value(areas.clone()).unwrap()).unwrap_or_default(),
        any_facts: source.get("anyFacts") == Some(&Value::Bool(true)),
    });
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
    let given = case.get("facts").cloned().unwrap_or_default();
    let facts = Facts {
        now_ms: epoch_ms(&text(&given, "now").unwrap_or_else(|| NOW.to_owned())),
        participant: text(&given, "participant").unwrap_or_else(|| "did:web:consumer.example".to_owned()),
        claims: given.get("claims").cloned().unwrap_or_default(),
        purpose: given.get("purpose").map(|list| serde_json::from_value(list.clone()).unwrap()),
        target: text(&given, "target"),
        part_of: given.get("partOf").map(|list| serde_json::from_value(list.clone()).unwrap()),
        asset: given.get("asset").cloned().unwrap_or_default(),
        operands: given.get("operands").cloned().unwrap_or_default(),
        duties: given.get("duties").map(|map| serde_json::from_value(map.clone()).unwrap()).unwrap_or_default(),
        events: given.get("events").map(|list| serde_json::from_value(list.clone()).unwrap()).unwrap_or_default(),
        consents: given.get("consents").map(|list| serde_json::from_value(list.clone()).unwrap()).unwrap_or_default(),
        usage: given.get("usage").map(used).unwrap_or_default(),
        transfers: given.get("transfers").and_then(Value::as_u64),
        channel: text(&given, "channel"),
        format: text(&given, "format"),
    };
    let scope = match case.get("scope").and_then(Value::as_str).unwrap_or("request") {
        "catalog" => Scope::Catalog,
        "negotiation" => Scope::Negotiation,
        "transfer" => Scope::Transfer,
        "request" => Scope::Request,
        other => return Err(format!("no scope {other}")),
    };
    let action = case.get("action").and_then(Value::as_str).unwrap_or("use");
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

/// What has been used; moments as text.
fn used(given: &Value) -> Used {
    let number = |name: &str| given.get(name).and_then(Value::as_u64);
    let moment = |name: &str| given.get(name).and_then(Value::as_str).map(epoch_ms);
    Used {
        count: number("count"),
        metered_ms: number("meteredMs"),
        volume_bytes: number("volumeBytes"),
        first_use_ms: moment("firstUse"),
        last_use_ms: moment("lastUse"),
    }
}

fn epoch_ms(text: &str) -> i64 {
    let instant = OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|error| panic!("{text}: {error}"));
    i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).unwrap()
}
