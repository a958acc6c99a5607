//! Places where policies and cases from outside are read, with what has to hold for any bytes. Tests feed them on stable, fuzz
//! targets with cargo-fuzz.

use policy::{Facts, Policy, PolicySource, Scope, Severity, evaluate, from_turtle, lint};
use serde_json::Value;

/// 2026-06-15T12:00:00Z
const NOW_MS: i64 = 1_781_524_800_000;

/// A policy as JSON-LD.
pub fn policy(bytes: &[u8]) {
    if let Ok(rules) = serde_json::from_slice::<Value>(bytes) {
        any_policy(rules);
    }
}

/// A policy in Turtle.
pub fn turtle(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match from_turtle(text) {
        Ok(rules) => any_policy(rules),
        Err(error) => assert!(!error.code.is_empty() && !error.message.is_empty()),
    }
}

/// A case that stands for itself.
pub fn evaluation(bytes: &[u8]) {
    let Ok(case) = serde_json::from_slice::<Value>(bytes) else { return };
    match evaluate(&case, NOW_MS) {
        Ok(report) => {
            assert!(!report.decision.allow || !report.decision.permits.is_empty(), "nothing permits: {case}");
            assert!(!report.decision.reasons.is_empty());
        }
        Err(error) => assert!(!error.code.is_empty() && !error.to_string().is_empty()),
    }
}

/// What compiles is decided, explained and folded alike; what does not is told as an error.
fn any_policy(rules: Value) {
    let source = PolicySource { rules, ..PolicySource::default() };
    let findings = lint(&source, NOW_MS);
    let is_refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    let Ok(policy) = Policy::compile(&source) else {
        assert!(is_refused, "{}", source.rules);
        return;
    };
    assert!(!is_refused, "{}", source.rules);
    let nobody = Facts::new(NOW_MS, "did:web:nobody.example");
    for scope in [Scope::Catalog, Scope::Negotiation, Scope::Transfer, Scope::Request] {
        let decision = policy.decide(scope, "use", &nobody);
        let Some(explanation) = policy.explain(scope, "use", &nobody) else {
            assert!(!decision.allow);
            continue;
        };
        assert_eq!((explanation.allow, &explanation.reasons), (decision.allow, &decision.reasons));
        assert!(!explanation.text().is_empty());
    }
}
