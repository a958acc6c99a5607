//! Datasets, policies, offers, partners, data planes and webhooks over their lives.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::Api;

fn dataset(id: &str, title: &str) -> Value {
    json!({"id": id, "title": title, "source": {"http": {"baseUrl": "http://127.0.0.1:1026"}}})
}

fn policy(id: &str) -> Value {
    json!({"id": id, "permission": [{"action": "use"}]})
}

async fn kinds(api: &Api) -> Vec<String> {
    let events = api.get("/events?limit=500").await.expect(200);
    events["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn the_life_of_a_dataset() {
    let api = Api::new().await;
    let made = api.post("/datasets", dataset("urn:d", "Traffic")).await.expect(201);
    assert_eq!(made["distributions"], json!([{"format": "HttpData-PULL"}]));
    assert_eq!(made["admission"]["methods"], json!(["GET", "HEAD"]));
    assert!(made["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(api.get("/datasets/urn%3Ad").await.expect(200), made);
    let (code, _) = api.post("/datasets", dataset("urn:d", "Again")).await.problem(StatusCode::CONFLICT);
    assert_eq!(code, "exists");

    let mut changed = dataset("urn:d", "Traffic, new");
    changed["distributions"] = json!([{"format": "HttpData-PUSH"}]);
    let replaced = api.put("/datasets/urn%3Ad", changed).await.expect(200);
    assert_eq!((&replaced["title"], &replaced["createdAt"]), (&json!("Traffic, new"), &made["createdAt"]));
    let (code, detail) = api.put("/datasets/other", dataset("urn:d", "t")).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!((code.as_str(), detail.contains("`id`")), ("bad_member", true));
    let mut unnamed = dataset("", "By its path");
    unnamed.as_object_mut().unwrap().remove("id");
    assert_eq!(api.put("/datasets/new", unnamed.clone()).await.expect(201)["id"], "new");
    let generated = api.post("/datasets", unnamed).await.expect(201);
    assert!(generated["id"].as_str().unwrap().starts_with("urn:uuid:"));

    api.delete("/datasets/urn%3Ad").await.expect(204);
    api.delete("/datasets/urn%3Ad").await.problem(StatusCode::NOT_FOUND);
    api.get("/datasets/urn%3Ad").await.problem(StatusCode::NOT_FOUND);
    let expected = ["dataset.created", "dataset.updated", "dataset.created", "dataset.created", "dataset.removed"];
    assert_eq!(kinds(&api).await, expected);
}

#[actix_web::test]
async fn lists_are_paged_sorted_and_filtered() {
    let api = Api::new().await;
    for number in 0..7 {
        api.post("/datasets", dataset(&format!("d{number}"), if number % 2 == 0 { "even" } else { "odd" }))
            .await
            .expect(201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/datasets?limit=3&sort=-id{cursor}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["d6", "d5", "d4", "d3", "d2", "d1", "d0"]);
    let odd = api.get("/datasets?title=odd").await.expect(200);
    assert_eq!(odd["items"].as_array().unwrap().len(), 3);
    assert_eq!(odd["next"], Value::Null);
}

#[actix_web::test]
async fn a_policy_that_is_not_understood_is_refused_with_rule_and_member() {
    let api = Api::new().await;
    let constraint = json!({"leftOperand": "phaseOfTheMoon", "operator": "eq", "rightOperand": "full"});
    let body = json!({"id": "p", "permission": [{"action": "use", "constraint": [constraint]}]});
    let answer = api.post("/policies", body).await;
    assert!(answer.body["rule"].as_str().unwrap().contains("permission"), "{}", answer.body);
    assert!(answer.body["fact"].as_str().unwrap().contains("leftOperand"), "{}", answer.body);
    let (code, detail) = answer.problem(StatusCode::BAD_REQUEST);
    assert_eq!((code.as_str(), detail.contains("phaseOfTheMoon")), ("policy_not_understood", true), "{detail}");
    for empty in [json!({"id": "p"}), json!({"id": "p", "permission": [], "prohibition": []})] {
        assert_eq!(api.post("/policies", empty).await.problem(StatusCode::BAD_REQUEST).0, "bad_member");
    }
    api.get("/policies/p").await.problem(StatusCode::NOT_FOUND);
    let good = api.post("/policies", policy("p")).await.expect(201);
    assert_eq!(good["permission"], json!([{"action": "use"}]));
    assert!(good.get("prohibition").is_none());
    assert_eq!(api.get("/policies").await.expect(200)["items"], json!([good]));
}

#[actix_web::test]
async fn an_offer_names_what_is_there_and_keeps_it_there() {
    let api = Api::new().await;
    let offer = json!({"id": "o", "datasetId": "d", "policyId": "p", "accessPolicyId": "a", "negotiation": "manual"});
    for (member, made, path) in [
        ("datasetId", dataset("d", "t"), "/datasets"),
        ("policyId", policy("p"), "/policies"),
        ("accessPolicyId", policy("a"), "/policies"),
    ] {
        let (code, detail) = api.post("/offers", offer.clone()).await.problem(StatusCode::BAD_REQUEST);
        assert_eq!((code.as_str(), detail.contains(member)), ("unknown_reference", true), "{detail}");
        api.post(path, made).await.expect(201);
    }
    let made = api.post("/offers", offer.clone()).await.expect(201);
    assert_eq!((&made["negotiation"], &made["transfer"]), (&json!("manual"), &json!("automatic")));
    for path in ["/datasets/d", "/policies/p", "/policies/a"] {
        let (code, detail) = api.delete(path).await.problem(StatusCode::CONFLICT);
        assert_eq!((code.as_str(), detail.contains("one offer")), ("in_use", true), "{detail}");
    }
    assert_eq!(api.get("/offers?datasetId=d&negotiation=manual").await.expect(200)["items"], json!([made]));
    let mut open = offer;
    open.as_object_mut().unwrap().remove("accessPolicyId");
    assert!(api.put("/offers/o", open).await.expect(200).get("accessPolicyId").is_none());
    api.delete("/policies/a").await.expect(204);
    api.delete("/offers/o").await.expect(204);
    for path in ["/datasets/d", "/policies/p"] {
        api.delete(path).await.expect(204);
    }
}

#[actix_web::test]
async fn partners_have_one_address() {
    let api = Api::new().await;
    let partner = |address: Value| json!({"id": "did:web:b", "name": "B", "address": address});
    for (address, named) in [
        (json!({}), "address"),
        (json!({"root": "https://b", "base": "https://b"}), "address"),
        (json!({"root": "ftp://b"}), "address.root"),
        (json!({"root": "https://u:p@b"}), "address.root"),
        (json!({"base": "https://b/dsp?x=y"}), "address.base"),
        (json!({"base": "https://b", "version": "2024-1"}), "address.version"),
        (json!({"base": 5}), "address.base"),
        (json!("https://b"), "address"),
    ] {
        let (_, detail) = api.post("/partners", partner(address.clone())).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(named), "{address}: {detail}");
    }
    let unnamed = json!({"address": {"root": "https://b"}});
    assert!(api.post("/partners", unnamed).await.problem(StatusCode::BAD_REQUEST).1.contains("`id`"));
    let root = api.post("/partners", partner(json!({"root": "https://b.example/"}))).await.expect(201);
    assert_eq!(root["address"], json!({"root": "https://b.example"}));
    let base = api.put("/partners/did%3Aweb%3Ab", partner(json!({"base": "https://b.example/dsp"}))).await.expect(200);
    assert_eq!(base["address"], json!({"base": "https://b.example/dsp", "version": "2025-1"}));
    let (code, _) = api.get("/partners/nobody/catalog").await.problem(StatusCode::BAD_REQUEST);
    assert_eq!(code, "unknown_partner");
}

#[actix_web::test]
async fn credentials_of_data_planes_are_kept_and_never_shown() {
    let api = Api::new().await;
    let plane = |extra: Value| {
        let mut body = json!({"endpoint": "http://127.0.0.1:8291/", "profiles": ["p"]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let made = api.put("/data-planes/dp", plane(json!({"authorization": "Bearer s3cret-of-dp"}))).await.expect(201);
    assert_eq!((&made["authorization"], &made["dialect"]), (&json!("header"), &json!("rc3")));
    assert_eq!(made["endpoint"], "http://127.0.0.1:8291");
    let replaced = api.put("/data-planes/dp", plane(json!({"labels": ["a=b"], "dialect": "rc4"}))).await.expect(200);
    assert_eq!(replaced["authorization"], "header");
    let row = crate::service::registry::get::<crate::store::data_plane::Entity>(&api.app, "dp").await.unwrap();
    assert_eq!(row.authorization_value, "Bearer s3cret-of-dp");
    for path in ["/data-planes", "/data-planes/dp", "/status", "/events"] {
        assert!(!api.get(path).await.expect(200).to_string().contains("s3cret"), "{path}");
    }
    let none = api.put("/data-planes/dp", plane(json!({"dangerNoAuthorization": true}))).await.expect(200);
    assert_eq!(none["authorization"], "none");
    assert_eq!(api.put("/data-planes/new", plane(json!({}))).await.expect(201)["authorization"], "shared");
    for (extra, named) in [
        (json!({"authorization": "x", "dangerNoAuthorization": true}), "authorization"),
        (json!({"authorization": "a\r\nb: c"}), "authorization"),
        (json!({"dialect": "rc9"}), "dialect"),
        (json!({"profiles": []}), "profiles"),
        (json!({"endpoint": "file:///x"}), "endpoint"),
    ] {
        let (_, detail) = api.put("/data-planes/dp", plane(extra)).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(named), "{detail}");
    }
    api.delete("/data-planes/dp").await.expect(204);
    assert!(kinds(&api).await.contains(&"data_plane.removed".to_owned()));
}

#[actix_web::test]
async fn secrets_of_webhooks_are_kept_and_never_shown() {
    let api = Api::new().await;
    let hook =
        |secret: Value| json!({"id": "w", "url": "https://a.example/x", "events": ["transfer.*"], "secret": secret});
    let made = api.post("/webhooks", hook(json!("a-very-long-s3cret"))).await.expect(201);
    assert_eq!((&made["signed"], made.get("secret")), (&json!(true), None));
    assert_eq!(api.put("/webhooks/w", hook(Value::Null)).await.expect(200)["signed"], true);
    assert_eq!(api.put("/webhooks/w", hook(json!(""))).await.expect(200)["signed"], false);
    for path in ["/webhooks", "/events"] {
        assert!(!api.get(path).await.expect(200).to_string().contains("s3cret"), "{path}");
    }
    for (body, named) in [
        (json!({"url": "ftp://a", "events": ["*"]}), "url"),
        (json!({"url": "http://a", "events": []}), "events"),
        (json!({"url": "http://a", "events": ["**"]}), "events"),
        (json!({"url": "http://a", "events": ["*"], "secret": "short"}), "secret"),
    ] {
        let (_, detail) = api.post("/webhooks", body).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(named), "{detail}");
    }
}
