//! Negotiations and transfers as operators begin and steer them. No worker runs here, so nothing is sent.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Api;

/// An installation with the offer `o` of the dataset `d` under the policy `p`.
async fn offering() -> Api {
    let api = Api::new().await;
    let dataset = json!({"id": "d", "title": "t", "source": {"files": {"root": "open", "path": ""}}});
    api.post("/datasets", dataset).await.expect(201);
    api.post("/policies", json!({"id": "p", "permission": [{"action": "use"}]})).await.expect(201);
    api.post("/offers", json!({"id": "o", "datasetId": "d", "policyId": "p"})).await.expect(201);
    api
}

fn counter_party() -> Value {
    json!({"id": "did:web:them.example", "address": {"base": "http://127.0.0.1:9/dsp", "version": "2025-1"}})
}

fn path(process: &Value, rest: &str) -> String {
    let id = process["id"].as_str().unwrap();
    let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    format!("/negotiations/{id}{rest}")
}

#[actix_web::test]
async fn a_negotiation_begun_as_provider() {
    let api = offering().await;
    let input = json!({"counterParty": counter_party(), "role": "provider", "offerId": "o", "decision": "manual"});
    let answer = api.post("/negotiations", input).await;
    let location = answer.headers.get("location").unwrap().to_str().unwrap().to_owned();
    let begun = answer.expect(201);
    for (member, value) in [
        ("role", json!("provider")),
        ("state", json!("OFFERING")),
        ("decision", json!("manual")),
        ("counterPartyId", json!("did:web:them.example")),
        ("counterPartyAddress", json!("http://127.0.0.1:9/dsp")),
        ("providerPid", begun["id"].clone()),
        ("consumerPid", Value::Null),
        ("datasetId", json!("d")),
        ("offerId", json!("o")),
        ("next", json!(["terminate"])),
    ] {
        assert_eq!(begun[member], value, "{member}");
    }
    assert_eq!(begun["offer"]["permission"][0]["action"], "use");
    assert_eq!(location, format!("/api/v1{}", path(&begun, "")));
    assert_eq!(api.get(&path(&begun, "")).await.expect(200), begun);
    for (query, found) in [
        ("state=OFFERING", 1),
        ("role=provider&datasetId=d", 1),
        ("counterPartyId=did:web:them.example&sort=-updatedAt", 1),
        ("role=consumer", 0),
        ("state=offering", 0),
    ] {
        let list = api.get(&format!("/negotiations?{query}")).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{query}");
    }
    assert_eq!(api.get("/status").await.expect(200)["counts"]["negotiations"], 1);
}

#[actix_web::test]
async fn what_an_open_negotiation_is_about_stays() {
    let api = offering().await;
    let input = json!({"counterParty": counter_party(), "role": "provider", "offerId": "o", "decision": "manual"});
    let begun = api.post("/negotiations", input).await.expect(201);
    let (code, detail) = api.delete("/offers/o").await.problem(StatusCode::CONFLICT);
    assert_eq!((code.as_str(), detail.contains("open negotiation")), ("in_use", true), "{detail}");
    api.delete("/datasets/d").await.problem(StatusCode::CONFLICT);

    for (command, body) in
        [("accept", json!({})), ("agree", json!({})), ("finalize", json!({})), ("counter", json!({}))]
    {
        let answer = api.post(&path(&begun, &format!("/{command}")), body).await;
        answer.problem(StatusCode::CONFLICT);
    }
    assert_eq!(api.get(&path(&begun, "")).await.expect(200), begun, "a refused command changes nothing");
    api.post(&path(&begun, "/vanish"), json!({})).await.problem(StatusCode::NOT_FOUND);

    let reason = json!({"code": "changed_mind", "reason": "no longer offered"});
    let ending = api.post(&path(&begun, "/terminate"), reason).await.expect(202);
    assert!(["TERMINATING", "TERMINATED"].contains(&ending["state"].as_str().unwrap()), "{ending}");
    assert_eq!(ending["termination"]["code"], "changed_mind");
    let events = api.get("/events?type=negotiation.*").await.expect(200);
    let events = events["items"].as_array().unwrap();
    assert!(events.iter().all(|event| event["subject"] == begun["id"]) && events.len() >= 2, "{events:?}");
}

#[actix_web::test]
async fn what_is_not_there_cannot_be_negotiated_or_transferred() {
    let api = offering().await;
    let provider = json!({"counterParty": counter_party(), "role": "provider", "offerId": "other"});
    assert!((400..500).contains(&api.post("/negotiations", provider).await.status));
    let stranger = json!({"partner": "did:web:nobody", "datasetId": "d"});
    assert_eq!(api.post("/negotiations", stranger).await.problem(StatusCode::BAD_REQUEST).0, "unknown_partner");
    let transfer = api.post("/transfers", json!({"agreementId": "urn:nothing"})).await;
    assert_eq!(transfer.body["code"], "unknown_agreement");
    assert!((400..500).contains(&transfer.status));
    for list in ["/negotiations", "/transfers", "/agreements"] {
        assert_eq!(api.get(list).await.expect(200)["items"], json!([]), "{list}");
    }
    for path in ["/negotiations/x", "/transfers/x", "/agreements/x"] {
        assert_eq!(api.get(path).await.problem(StatusCode::NOT_FOUND).0, "not_found");
    }
}
