//! What a decision costs, on one core: `cargo run --release -p policy --example policy-bench`. An example rather than a Cargo
//! bench, so that it is built with the profile of the programs that ship.
//!
//! Counted is the CPU time of this process (`/proc/self/schedstat`), so that other programs on the machine matter little; the
//! best of several rounds is given. The program fails when a budget is missed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;

use policy::{Facts, Policy, PolicySource, Scope, Used};
use serde_json::{Value, json};

const ROUNDS: usize = 15;
/// Microseconds of CPU time.
const DECISION_BUDGET: f64 = 100.0;
const PLAN_BUDGET: f64 = 1.0;
const NOW_MS: i64 = 1_781_524_800_000;

fn main() {
    let source = agreement();
    let policy = Policy::compile(&source).unwrap();
    let facts = facts();
    let residual = policy.residual("use", &facts);
    let used = facts.usage;
    assert!(policy.decide(Scope::Request, "use", &facts).allow);
    assert!(residual.decide(NOW_MS, &used).allow);

    println!("agreement of five constraints, best of {ROUNDS} rounds, CPU time of one core");
    let decision = measure("decision, nothing remembered", 500, || policy.decide(Scope::Request, "use", &facts).allow);
    measure("refusal, nothing remembered", 500, || {
        let late = Facts { now_ms: NOW_MS * 2, ..facts.clone() };
        policy.decide(Scope::Request, "use", &late).allow
    });
    measure("the policy compiled", 200, || Policy::compile(&source).is_ok());
    measure("the plan of a data flow made", 500, || !policy.residual("use", &facts).permissions.is_empty());
    let plan = measure("decision by the plan in the data plane", 50_000, || residual.decide(NOW_MS, &used).allow);
    let mut is_met = true;
    for (name, found, budget) in [("decision", decision, DECISION_BUDGET), ("plan", plan, PLAN_BUDGET)] {
        if found > budget {
            eprintln!("{name}: {found:.1} µs, and the budget is {budget} µs");
            is_met = false;
        }
    }
    std::process::exit(i32::from(!is_met));
}

fn agreement() -> PolicySource {
    let constraint = json!([
        {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"},
        {"leftOperand": "spatial", "operator": "isPartOf", "rightOperand": "urn:iso:EU"},
        {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["traffic-planning", "research"]},
        {"leftOperand": "dateTime", "operator": "lt", "rightOperand": {"@value": "2027-01-01T00:00:00Z", "@type": "xsd:dateTime"}},
        {"leftOperand": "count", "operator": "lteq", "rightOperand": {"@value": "100000", "@type": "xsd:integer"}},
    ]);
    PolicySource {
        rules: json!({"permission": [{"action": "use", "constraint": constraint}]}),
        target: Some("urn:ds:traffic".to_owned()),
        assigner: Some("did:web:city.example".to_owned()),
        assignee: Some("did:web:partner.example".to_owned()),
        agreed_at_ms: Some(NOW_MS - 86_400_000),
        ..PolicySource::default()
    }
}

/// As an identity of three credentials has them.
fn facts() -> Facts {
    let credential = |name: &str| {
        json!({"type": [name], "issuer": "did:web:authority.example", "subject": "did:web:partner.example",
               "validUntil": "2027-01-01T00:00:00Z"})
    };
    let claims: Value = json!({
        "credentials": [credential("MembershipCredential"), credential("RoleCredential"), credential("SiteCredential")],
        "MembershipCredential": {"id": "did:web:partner.example", "memberOf": "Twins"},
        "RoleCredential": {"id": "did:web:partner.example", "role": "planner"},
        "SiteCredential": {"id": "did:web:partner.example", "spatial": "urn:iso:IT"},
        "membership": ["active"],
        "memberOf": ["Twins"],
        "role": ["planner"],
        "spatial": ["urn:iso:IT"],
    });
    Facts {
        claims,
        purpose: Some(vec!["research".to_owned()]),
        usage: Used { count: Some(17), ..Used::default() },
        channel: Some("HttpData-PULL".to_owned()),
        ..Facts::new(NOW_MS, "did:web:partner.example")
    }
}

/// Microseconds of each, in the best round.
fn measure(name: &str, times: u32, work: impl Fn() -> bool) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begin = cpu_ns();
        for _ in 0..times {
            black_box(work());
        }
        best = best.min((cpu_ns() - begin) as f64 / f64::from(times) / 1e3);
    }
    println!("{name:42} {best:8.2} µs");
    best
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
