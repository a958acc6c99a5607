//! Explanations tell what decisions tell, as a tree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use policy::{Effect, Explanation, Facts, Policy, PolicySource, Scope};
use serde_json::{Value, json};

/// 2026-06-15T12:00:00Z
const NOW_MS: i64 = 1_781_524_800_000;

fn explain(rules: Value, facts: Facts) -> Explanation {
    let policy = Policy::compile(&PolicySource { rules, ..PolicySource::default() }).unwrap();
    let explanation = policy.explain(Scope::Request, "use", &facts).unwrap();
    let decision = policy.decide(Scope::Request, "use", &facts);
    assert_eq!((explanation.allow, &explanation.reasons), (decision.allow, &decision.reasons));
    explanation
}

fn facts(claims: Value) -> Facts {
    Facts { claims, ..Facts::new(NOW_MS, "did:web:bari.example") }
}

fn office() -> Value {
    json!({
        "permission": [{
            "action": "use",
            "constraint": [
                {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"},
                {"or": [
                    {"leftOperand": "spatial", "operator": "isPartOf", "rightOperand": "urn:iso:IT"},
                    {"leftOperand": "role", "operator": "eq", "rightOperand": "auditor"}
                ]},
                {"leftOperand": "dateTime", "operator": "eq", "rightOperand": "2026-06-15"}
            ]
        }],
        "prohibition": [{"action": "sell"}]
    })
}

#[test]
fn a_permission_that_holds() {
    let told = explain(office(), facts(json!({"membership": "active", "spatial": "urn:iso:IT"})));
    assert_eq!((told.allow, told.rules.len()), (true, 2));
    let rule = &told.rules[0];
    assert_eq!((rule.effect, rule.decides, rule.pointer.as_str()), (Effect::Permits, true, "/permission/0"));
    assert_eq!((told.rules[1].effect, told.rules[1].decides), (Effect::SpeaksOfOther, false));
    let parts = json!(rule.condition.as_ref().unwrap().parts);
    assert_eq!(
        parts[0],
        json!({
            "truth": "true", "operator": "eq", "text": "membership eq active", "pointer": "/permission/0/constraint/0",
            "narrows": "rule", "leftOperand": "membership", "wanted": ["active"], "found": ["active"],
            "source": "credential", "fact": "membership = active", "decides": true
        })
    );
    assert_eq!(parts[1]["operator"], "or");
    assert_eq!(parts[1]["parts"][1]["truth"], "unknown");
    assert_eq!(parts[1]["parts"][1]["decides"], false);
    // One day, although it is compared by its two ends.
    assert_eq!(parts.as_array().unwrap().len(), 3);
    assert_eq!((&parts[2]["text"], &parts[2]["source"]), (&json!("dateTime eq 2026-06-15"), &json!("clock")));
}

#[test]
fn the_comparison_that_a_refusal_rests_on_is_marked() {
    let told = explain(office(), facts(json!({"membership": "active", "spatial": "urn:iso:AL", "role": "clerk"})));
    assert_eq!((told.allow, told.rules[0].effect), (false, Effect::DoesNotPermit));
    let parts = &told.rules[0].condition.as_ref().unwrap().parts;
    let marks: Vec<bool> = parts.iter().map(|part| part.decides).collect();
    assert_eq!(marks, [false, true, false]);
    assert!(parts[1].parts.iter().all(|part| part.decides));
    assert_eq!(
        told.text(),
        "denied: `use` at 2026-06-15T12:00:00Z, request\n\
         \n\
         permission p0 (use) does not permit  <-- decides\n\
         └─ all of: no\n   \
            ├─ membership eq active: yes  [membership = active; a verified credential]\n   \
            ├─ one of: no\n   \
            │  ├─ spatial isPartOf urn:iso:IT: no  [spatial = urn:iso:AL; a verified credential]  <--\n   \
            │  └─ role eq auditor: no  [role = clerk; a verified credential]  <--\n   \
            └─ dateTime eq 2026-06-15: yes  [dateTime = 2026-06-15T12:00:00Z; the clock]\n\
         \n\
         prohibition x0 (sell) speaks of something else\n\
         \n\
         because permission p0 requires spatial isPartOf urn:iso:IT, but spatial = urn:iso:AL\n\
         because permission p0 requires role eq auditor, but role = clerk\n\
         until 2026-06-16T00:00:00Z, when time changes it\n"
    );
}

#[test]
fn what_forbids_and_what_has_to_be_done() {
    let rules = json!({
        "permission": [{"action": "use", "duty": [{"uid": "urn:pay", "action": "compensate"}]}],
        "prohibition": [{"action": "use", "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "urn:ads"}]}],
        "obligation": [{"action": "attribute"}]
    });
    let asked = |purpose: &str| Facts { purpose: Some(vec![purpose.to_owned()]), ..facts(Value::Null) };
    let told = explain(rules.clone(), asked("urn:ads"));
    let effects: Vec<Effect> = told.rules.iter().map(|rule| rule.effect).collect();
    assert_eq!(effects, [Effect::DoesNotPermit, Effect::Forbids, Effect::Obliges]);
    assert_eq!(json!(told.rules[1].condition)["source"], "declared");
    assert!(told.rules[1].decides && !told.rules[0].decides);

    let told = explain(rules, asked("urn:health"));
    assert_eq!(told.rules[1].effect, Effect::DoesNotForbid);
    assert!(told.rules[0].decides);
    assert!(told.text().contains("└─ duty urn:pay: compensate (unset, due)\n"), "{}", told.text());
}

#[test]
fn facts_that_are_not_there_are_told_as_such() {
    let told = explain(office(), facts(Value::Null));
    let first = &told.rules[0].condition.as_ref().unwrap().parts[0];
    assert_eq!(json!(first.truth), "unknown");
    assert_eq!(first.found.as_deref(), Some(&[][..]));
    assert_eq!(first.fact.as_deref(), Some("membership is not known: no verified claim has it"));
}

#[test]
fn an_offer_does_not_claim_what_only_the_future_can_tell() {
    let rules = json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "count", "operator": "lteq", "rightOperand": 3}]}]});
    let policy = Policy::compile(&PolicySource { rules, ..PolicySource::default() }).unwrap();
    let told = policy.explain(Scope::Negotiation, "use", &facts(json!({}))).unwrap();
    let comparison = json!(told.rules[0].condition.as_ref().unwrap());
    assert!(told.allow);
    assert_eq!(comparison["truth"], "unknown");
    assert_eq!(comparison["fact"], "count is taken for granted: only the time after the agreement can tell it");
}
