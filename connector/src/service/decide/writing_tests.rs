//! What of an agreement lets a flow write.
#![allow(clippy::unwrap_used)]

use policy_plan::{Residual, Used};
use serde_json::{Value, json};

use super::{Asking, policy_of_agreement, writing_residual};

const CONSUMER: &str = "did:web:c.example";

async fn left(rules: Value) -> Residual {
    let (_folder, app) = crate::testing::app().await;
    let mut body = json!({"@id": "urn:a", "@type": "Agreement", "target": "urn:d", "assigner": "did:web:us.example",
        "assignee": CONSUMER, "timestamp": "2026-11-21T08:00:00Z"});
    body.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    let policy = policy_of_agreement(&body.to_string()).unwrap();
    let claims = json!({"membership": "active"});
    writing_residual(&app, &policy, &Asking::of(CONSUMER, &claims, Some("urn:d"))).await.unwrap()
}

#[tokio::test]
async fn writing_is_permitted_by_name_and_together_with_use() {
    let member = json!([{"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}]);
    let stranger = json!([{"leftOperand": "membership", "operator": "eq", "rightOperand": "none"}]);
    let past = json!([{"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2020-01-01T00:00:00Z"}]);
    let count = |most: i64| json!([{"leftOperand": "count", "operator": "lteq", "rightOperand": most}]);
    let both = |using: &Value, modify: &Value| json!({"permission": [{"action": "use", "constraint": using}, {"action": "odrl:modify", "constraint": modify}]});
    for (rules, expected) in [
        (json!({"permission": [{"action": "use"}]}), Err("names the action `modify`")),
        (json!({"permission": [{"action": "odrl:modify"}]}), Err("must permit the action")),
        (both(&member, &member), Ok(())),
        (both(&member, &stranger), Err("membership")),
        (both(&stranger, &member), Err("membership")),
        (both(&past, &member), Err("dateTime")),
        (both(&member, &past), Err("dateTime")),
        (both(&member, &count(5)), Err("uses are not counted for `modify` alone")),
        (both(&count(5), &member), Ok(())),
        (both(&count(5), &count(2)), Ok(())),
        (
            json!({"permission": [{"action": "use"}, {"action": "odrl:modify"}], "prohibition": [{"action": "odrl:append"}]}),
            Err("prohibition x0"),
        ),
    ] {
        let used = Used { count: Some(2), ..Used::default() };
        let decision = left(rules.clone()).await.decide(1_795_262_400_000, &used);
        match expected {
            Ok(()) => assert!(decision.allow, "{rules}: {decision:?}"),
            Err(why) => {
                let told = decision.refusal();
                assert!(!decision.allow && told.message.contains(why), "{rules}: {told}");
            }
        }
    }
    let third = Used { count: Some(3), ..Used::default() };
    assert!(!left(both(&count(5), &count(2))).await.decide(0, &third).allow, "both count");
}
