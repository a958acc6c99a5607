//! What decisions rest on: declared events, consents; and what follows from agreements: duties, decisions.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Api;

#[actix_web::test]
async fn the_life_of_a_declared_event() {
    let api = Api::new().await;
    let flood = json!({"id": "urn:event:flood", "title": "Flood"});
    let made = api.post("/declared-events", flood.clone()).await.expect(201);
    assert_eq!((&made["inForce"], made.get("endsAt")), (&json!(true), None));
    let ended = api.post("/declared-events/urn%3Aevent%3Aflood/end", json!({})).await.expect(200);
    assert_eq!((&ended["inForce"], ended["endsAt"].is_string()), (&json!(false), true));
    let (code, _) = api.post("/declared-events/urn%3Aevent%3Aflood/end", json!({})).await.problem(StatusCode::CONFLICT);
    assert_eq!(code, "already_ended");
    let again = api.put("/declared-events/urn%3Aevent%3Aflood", json!({"startsAt": "2099-01-01T00:00:00Z"})).await;
    assert_eq!(again.expect(200)["inForce"], false, "declared anew, for later");
    api.post("/declared-events/urn%3Aevent%3Anone/end", json!({})).await.problem(StatusCode::NOT_FOUND);
    for (body, named) in [
        (json!({}), "`id`"),
        (json!({"id": "flood"}), "IRI"),
        (json!({"id": "urn:e", "startsAt": "tomorrow"}), "startsAt"),
        (json!({"id": "urn:e", "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}), "endsAt"),
        (json!({"id": "urn:e", "until": "2026-01-01T00:00:00Z"}), "until"),
    ] {
        let (_, detail) = api.post("/declared-events", body.clone()).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(named), "{body}: {detail}");
    }
    api.delete("/declared-events/urn%3Aevent%3Aflood").await.expect(204);
    let events = api.get("/events?type=declared_event.*").await.expect(200);
    let kinds: Vec<&Value> = events["items"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    let expected = ["created", "ended", "updated", "removed"].map(|what| json!(format!("declared_event.{what}")));
    assert_eq!(kinds, expected.iter().collect::<Vec<_>>());
}

#[actix_web::test]
async fn the_life_of_a_consent() {
    let api = Api::new().await;
    let consent =
        json!({"id": "urn:consent:1", "subject": "p-4711", "datasets": ["d"], "expiresAt": "2099-01-01T00:00:00Z"});
    let made = api.post("/consents", consent.clone()).await.expect(201);
    assert_eq!((&made["holds"], &made["recipients"]), (&json!(true), &json!([])));
    api.post("/consents", consent).await.problem(StatusCode::CONFLICT);
    let other = api.post("/consents", json!({"subject": "p-2"})).await.expect(201);
    assert!(other["id"].as_str().unwrap().starts_with("urn:uuid:"));
    let list = api.get("/consents?subject=p-4711").await.expect(200);
    assert_eq!(list["items"], json!([made]));
    let withdrawn = api.post("/consents/urn%3Aconsent%3A1/withdraw", json!({})).await.expect(200);
    assert_eq!((&withdrawn["holds"], withdrawn["withdrawnAt"].is_string()), (&json!(false), true));
    let (code, _) = api.post("/consents/urn%3Aconsent%3A1/withdraw", json!({})).await.problem(StatusCode::CONFLICT);
    assert_eq!(code, "already_withdrawn");
    assert_eq!(api.get("/consents/urn%3Aconsent%3A1").await.expect(200), withdrawn);
    for (body, named) in [
        (json!({}), "subject"),
        (json!({"subject": " "}), "subject"),
        (json!({"subject": "p", "datasets": ["d", "d"]}), "datasets"),
        (json!({"subject": "p", "expiresAt": "2020-01-01T00:00:00Z"}), "expiresAt"),
    ] {
        let (_, detail) = api.post("/consents", body.clone()).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(named), "{body}: {detail}");
    }
    api.delete("/consents/urn%3Aconsent%3A1").await.expect(204);
}

#[actix_web::test]
async fn lists_of_duties_and_decisions_begin_empty() {
    let api = Api::new().await;
    for path in ["/duties?state=due&role=consumer", "/decisions?scope=monitor&sort=-createdAt"] {
        assert_eq!(api.get(path).await.expect(200), json!({"items": [], "next": null}), "{path}");
    }
    for path in ["/duties/x", "/decisions/x"] {
        api.get(path).await.problem(StatusCode::NOT_FOUND);
    }
    for command in ["fulfil", "violate"] {
        api.post(&format!("/duties/x/{command}"), json!({})).await.problem(StatusCode::NOT_FOUND);
    }
}
