//! What is left of a policy for writing: `modify` has to be named, and whatever forbids it or a part of it counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use policy::{Facts, Policy, PolicySource};
use policy_plan::Used;
use serde_json::{Value, json};

const NOON: i64 = 1_795_262_400_000;

fn allows(rules: &Value, now_ms: i64) -> bool {
    let policy = Policy::compile(&PolicySource { rules: rules.clone(), ..PolicySource::default() }).unwrap();
    let facts = Facts { now_ms: NOON, participant: "did:web:c.example".into(), ..Facts::default() };
    policy.residual_by_name("modify", &facts).decide(now_ms, &Used::default()).allow
}

#[test]
fn an_action_that_has_to_be_named() {
    let until = json!([{"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2026-11-22T00:00:00Z"}]);
    let theirs = json!([{"leftOperand": "recipient", "operator": "eq", "rightOperand": "did:web:other.example"}]);
    for (rules, allowed) in [
        (json!({"permission": [{"action": "use"}]}), false),
        (json!({"permission": [{"action": "modify"}]}), true),
        (json!({"permission": [{"action": "http://www.w3.org/ns/odrl/2/modify"}]}), true),
        (json!({"permission": [{"action": "use"}, {"action": "odrl:modify"}]}), true),
        (json!({"permission": [{"action": ["use", "modify"]}]}), true),
        // What was taken out of use in the vocabulary permits nothing, and a part of it is not the whole.
        (json!({"permission": [{"action": "write"}]}), false),
        (json!({"permission": [{"action": "append"}]}), false),
        (json!({"permission": [{"action": "read"}]}), false),
        (json!({"permission": [{"action": "modify", "constraint": until}]}), true),
        (json!({"permission": [{"action": "modify", "constraint": theirs}]}), false),
        (json!({"permission": [{"action": "modify", "assignee": "did:web:other.example"}]}), false),
        (json!({"permission": [{"action": "modify"}], "prohibition": [{"action": "modify"}]}), false),
        (json!({"permission": [{"action": "modify"}], "prohibition": [{"action": "use"}]}), false),
        (json!({"permission": [{"action": "modify"}], "prohibition": [{"action": "write"}]}), false),
        (json!({"permission": [{"action": "modify"}], "prohibition": [{"action": "append"}]}), false),
        (
            json!({"permission": [{"action": "modify"}], "prohibition": [{"action": "write", "constraint": theirs}]}),
            true,
        ),
        (json!({"permission": [{"action": "modify"}], "prohibition": [{"action": "distribute"}]}), true),
    ] {
        assert_eq!(allows(&rules, NOON), allowed, "{rules}");
    }
    let ends = json!({"permission": [{"action": "modify", "constraint": until}]});
    assert!(allows(&ends, NOON) && !allows(&ends, NOON + 24 * 3_600_000));
}
