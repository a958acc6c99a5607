//! Tools for policies, and templates.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Api;

fn members() -> Value {
    json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"},
        {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01"}
    ]}]})
}

#[actix_web::test]
async fn an_error_names_the_place_in_the_policy_as_it_was_sent() {
    let api = Api::new().await;
    // Rules are put in order when they are kept; the place is that of the body.
    let moon = json!({"leftOperand": "phaseOfTheMoon", "operator": "eq", "rightOperand": "full"});
    let body = json!({"id": "p", "permission": [{"action": "use"}, {"action": "use", "constraint": moon}]});
    let answer = api.post("/policies", body).await;
    assert_eq!(answer.body["pointer"], "/permission/1/constraint/leftOperand");
    assert_eq!(answer.problem(StatusCode::BAD_REQUEST).0, "policy_not_understood");
}

#[actix_web::test]
async fn a_policy_is_looked_over() {
    let api = Api::new().await;
    let found = api.post("/policies/check", json!({"policy": members()})).await.expect(200);
    assert_eq!((&found["usable"], &found["findings"][0]["code"]), (&json!(true), &json!("profile_not_named")));
    let wrong = json!({"policy": {"permission": [{"action": "fly"}]}});
    let found = api.post("/policies/check", wrong).await.expect(200);
    assert_eq!(found["usable"], false);
    assert_eq!(found["findings"][0]["pointer"], "/permission/0/action");
    let turtle = json!({"policy": "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . [] odrl:permission [ odrl:action odrl:use ] ."});
    assert_eq!(api.post("/policies/check", turtle).await.expect(200)["usable"], true);
    let found = api.post("/policies/check", json!({"policy": "no turtle"})).await.expect(200);
    assert_eq!(found["findings"][0]["code"], "turtle");
    let (code, _) = api.post("/policies/check", json!({})).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!(code, "missing_member");
}

#[actix_web::test]
async fn a_case_is_judged() {
    let api = Api::new().await;
    let case = json!({
        "policy": {"permission": [{"action": "use", "assignee": "urn:x:alice", "target": "urn:x:d"}]},
        "request": {"party": "urn:x:alice", "action": "read", "target": "urn:x:d"}, "facts": {"partOf": []}
    });
    let report = api.post("/policies/evaluate", case.clone()).await.expect(200);
    assert_eq!(
        (&report["decision"]["allow"], &report["rules"][0]["premises"]["party"]),
        (&json!(true), &json!("satisfied"))
    );
    let mut other = case;
    other["facts"] = json!({"when": "now"});
    let answer = api.post("/policies/evaluate", other).await;
    assert_eq!(answer.body["pointer"], "/facts");
    answer.problem(StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn decisions_are_simulated_and_explained() {
    let api = Api::new().await;
    let mut kept = members();
    kept["id"] = json!("urn:p");
    api.post("/policies", kept).await.expect(201);
    let situation =
        json!({"participant": "did:web:b", "claims": {"membership": "active"}, "at": "2026-06-15T12:00:00Z"});
    for input in
        [json!({"policyId": "urn:p", "situation": situation}), json!({"policy": members(), "situation": situation})]
    {
        let told = api.post("/policies/simulate", input).await.expect(200);
        assert_eq!((&told["allow"], &told["explanation"]["rules"][0]["effect"]), (&json!(true), &json!("permits")));
        assert_eq!(told["facts"]["participant"], "did:web:b");
        assert!(told["text"].as_str().unwrap().starts_with("allowed: `use` at 2026-06-15T12:00:00Z"));
    }
    let late =
        json!({"policyId": "urn:p", "situation": {"claims": {"membership": "active"}, "at": "2027-01-01T00:00:00Z"}});
    let told = api.post("/policies/simulate", late).await.expect(200);
    assert_eq!(told["explanation"]["rules"][0]["condition"]["parts"][1]["decides"], true);
    // Of a participant that never asked nothing is known.
    let asked = json!({"policyId": "urn:p", "situation": {"participant": "did:web:b"}});
    let told = api.post("/policies/explain", asked).await.expect(200);
    assert_eq!((&told["allow"], &told["facts"]["claims"]), (&json!(false), &Value::Null));
    for (path, input) in [
        ("/policies/simulate", json!({})),
        ("/policies/simulate", json!({"policyId": "urn:p", "policy": {}})),
        ("/policies/simulate", json!({"policyId": "urn:p", "situation": {"at": "noon"}})),
        ("/policies/explain", json!({"policyId": "urn:p"})),
        ("/policies/explain", json!({"policyId": "urn:p", "agreementId": "x"})),
    ] {
        api.post(path, input).await.problem(StatusCode::BAD_REQUEST);
    }
    api.post("/policies/simulate", json!({"policyId": "urn:q"})).await.problem(StatusCode::NOT_FOUND);
    api.post("/policies/explain", json!({"agreementId": "urn:a"})).await.problem(StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn an_agreement_is_explained_by_what_is_known() {
    let api = Api::new().await;
    let body = json!({
        "@id": "urn:a", "@type": "Agreement", "target": "urn:d", "assigner": "did:web:us.example",
        "assignee": "did:web:them.example", "timestamp": "2026-01-01T00:00:00Z", "permission": [{"action": "use", "constraint": [
            {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"},
            {"leftOperand": "event", "operator": "eq", "rightOperand": "urn:flood"},
            {"leftOperand": "purpose", "operator": "eq", "rightOperand": "urn:rescue"}
        ]}]
    });
    let agreement = crate::store::agreement::Model {
        id: "urn:a".to_owned(),
        context: api.app.context().to_owned(),
        role: "provider".to_owned(),
        negotiation_id: "urn:n".to_owned(),
        counter_party: "did:web:them.example".to_owned(),
        counter_address: "http://127.0.0.1:1".to_owned(),
        dataset_id: "urn:d".to_owned(),
        body: body.to_string(),
        purpose: json!(["urn:rescue"]).to_string(),
        transfer_decision: "automatic".to_owned(),
        created_at: 1,
    };
    let transfer = crate::store::transfer::Model {
        agreement_id: "urn:a".to_owned(),
        claims: json!({"membership": "active"}).to_string(),
        ..crate::testing::transfer_row("urn:t", "provider", "STARTED")
    };
    let write = api.app.store.write(move |unit| {
        Box::pin(async move {
            crate::store::agreements::insert(unit, agreement).await?;
            crate::store::processes::insert(unit, transfer).await?;
            Ok::<_, crate::service::ServiceError>(())
        })
    });
    write.await.unwrap();
    let asked = json!({"agreementId": "urn:a"});
    let told = api.post("/policies/explain", asked.clone()).await.expect(200);
    let truths = |told: &Value| {
        let parts = told["explanation"]["rules"][0]["condition"]["parts"].as_array().unwrap().clone();
        parts.iter().map(|part| (part["leftOperand"].clone(), part["truth"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(told["allow"], false, "{told}");
    assert!(truths(&told).contains(&(json!("event"), json!("false"))), "{told}");
    assert!(truths(&told).contains(&(json!("membership"), json!("true"))), "{told}");
    // With the event it is allowed, whether it is thought up or declared.
    let flood = json!({"agreementId": "urn:a", "situation": {"events": ["urn:flood"]}});
    assert_eq!(api.post("/policies/explain", flood).await.expect(200)["allow"], true);
    api.post("/declared-events", json!({"id": "urn:flood", "title": "Flood"})).await.expect(201);
    let told = api.post("/policies/explain", asked).await.expect(200);
    assert_eq!((&told["allow"], &told["facts"]["participant"]), (&json!(true), &json!("did:web:them.example")));
}

#[actix_web::test]
async fn other_terms_are_tried_on_what_was_decided() {
    let api = Api::new().await;
    let decided = |id: &str, claims: Value, allow: bool| crate::store::decision_record::Model {
        context: api.app.context().to_owned(),
        id: id.to_owned(),
        scope: "negotiation".to_owned(),
        process_id: "urn:n".to_owned(),
        agreement_id: String::new(),
        dataset_id: "urn:d".to_owned(),
        participant: "did:web:b".to_owned(),
        policy_hash: String::new(),
        facts: serde_json::to_string(&policy::Facts {
            claims,
            ..policy::Facts::new(crate::store::now_ms(), "did:web:b")
        })
        .unwrap(),
        allow,
        reasons: "[]".to_owned(),
        created_at: crate::store::now_ms(),
    };
    let rows = [decided("urn:1", json!({"membership": "active"}), true), decided("urn:2", json!({}), false)];
    for row in rows {
        let write = api.app.store.write(move |unit| {
            Box::pin(
                async move { Ok::<_, crate::service::ServiceError>(crate::store::decisions::insert(unit, row).await?) },
            )
        });
        write.await.unwrap();
    }
    let member = json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}
    ]}]});
    let open = json!({"permission": [{"action": "use"}]});
    let closed = json!({"permission": [{"action": "read"}]});
    let diff = async |old: &Value, new: &Value| {
        api.post("/policies/diff", json!({"old": {"policy": old}, "new": {"policy": new}})).await.expect(200)
    };
    let opened = diff(&member, &open).await;
    assert_eq!((&opened["tried"], &opened["opened"], &opened["closed"]), (&json!(2), &json!(1), &json!(0)));
    assert_eq!(
        (&opened["changes"][0]["decisionId"], &opened["changes"][0]["newAllows"]),
        (&json!("urn:2"), &json!(true))
    );
    let shut = diff(&member, &closed).await;
    assert_eq!((&shut["closed"], &shut["changes"][0]["decisionId"]), (&json!(1), &json!("urn:1")));
    assert!(shut["changes"][0]["why"].as_str().unwrap().contains("no permission"));
    assert_eq!(diff(&member, &member).await["changes"], json!([]));
    // Of a policy that nothing is offered under nothing was decided.
    let mut kept = member.clone();
    kept["id"] = json!("urn:p");
    api.post("/policies", kept).await.expect(201);
    let input = json!({"old": {"policyId": "urn:p"}, "new": {"policy": open}, "since": "2020-01-01T00:00:00Z"});
    assert_eq!(api.post("/policies/diff", input).await.expect(200)["tried"], 0);
    for input in [
        json!({"old": {}, "new": {"policy": {}}}),
        json!({"old": {"policy": member}, "new": {"policy": {"permission": [{"action": "fly"}]}}}),
        json!({"old": {"policy": member}, "new": {"policy": member}, "since": "30d"}),
    ] {
        api.post("/policies/diff", input).await.problem(StatusCode::BAD_REQUEST);
    }
}

#[actix_web::test]
async fn templates_make_policies_that_can_be_added() {
    let api = Api::new().await;
    let list = api.get("/policy-templates?language=en").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), policy::templates().len());
    for template in policy::templates() {
        let path = format!("/policy-templates/{}", template.id);
        let shown = api.get(&path).await.expect(200);
        assert_eq!(shown["parameters"].as_array().unwrap().len(), template.parameters.len());
        let values: serde_json::Map<_, _> =
            template.parameters.iter().filter_map(|known| Some((known.name.clone(), known.example.clone()?))).collect();
        let made = api.post(&format!("{path}/use"), json!({"parameters": values})).await.expect(200);
        let mut kept = made["policy"].clone();
        kept["id"] = json!(template.id);
        kept["title"] = made["title"].clone();
        api.post("/policies", kept).await.expect(201);
    }
    let (code, detail) = api.post("/policy-templates/until-date/use", json!({})).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!((code.as_str(), detail.contains("`until`")), ("parameter_missing", true));
    api.get("/policy-templates/nothing").await.problem(StatusCode::NOT_FOUND);
}
