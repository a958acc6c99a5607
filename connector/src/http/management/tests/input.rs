//! Bad input: a clear 4xx each time, never a 5xx, and nothing stored.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::{Api, TOKEN, request};

const WRITES: &[(&str, &str)] = &[
    ("POST", "/datasets"),
    ("POST", "/policies"),
    ("POST", "/offers"),
    ("POST", "/partners"),
    ("POST", "/webhooks"),
    ("POST", "/negotiations"),
    ("POST", "/transfers"),
    ("PUT", "/data-planes/dp"),
    ("POST", "/negotiations/n/offer"),
    ("POST", "/transfers/t/suspend"),
    ("POST", "/identity/rotate"),
    ("POST", "/identity/keys/k/revoke"),
    ("POST", "/credentials/verify"),
    ("POST", "/credentials/c/accept"),
    ("POST", "/credential-requests"),
    ("POST", "/issuances/i/approve"),
    ("POST", "/issuances/i/reject"),
    ("POST", "/issued-credentials/c/revoke"),
    ("PUT", "/trusted-issuers/did%3Aweb%3Ax"),
];

#[actix_web::test]
async fn bodies_that_cannot_be_read() {
    let api = Api::new().await;
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let json = "application/json";
    let table: Vec<(&str, Vec<u8>, &str, StatusCode)> = vec![
        (json, b"{".to_vec(), "not_json", StatusCode::BAD_REQUEST),
        (json, b"{\"id\": }".to_vec(), "not_json", StatusCode::BAD_REQUEST),
        (json, b"{} {}".to_vec(), "not_json", StatusCode::BAD_REQUEST),
        (json, b"{\"title\": \"\xff\"}".to_vec(), "not_utf8", StatusCode::BAD_REQUEST),
        (json, b"{\"title\": \"a\\u0000b\"}".to_vec(), "bad_body", StatusCode::BAD_REQUEST),
        (json, b"{\"a\\u0000\": [{}]}".to_vec(), "bad_body", StatusCode::BAD_REQUEST),
        (json, b"[]".to_vec(), "bad_body", StatusCode::BAD_REQUEST),
        (json, b"null".to_vec(), "bad_body", StatusCode::BAD_REQUEST),
        (json, b"5".to_vec(), "bad_body", StatusCode::BAD_REQUEST),
        (json, deep.into_bytes(), "too_deep", StatusCode::BAD_REQUEST),
        (json, vec![b' '; 1024 * 1024 + 1], "too_large", StatusCode::PAYLOAD_TOO_LARGE),
        ("text/plain", b"{}".to_vec(), "bad_content_type", StatusCode::BAD_REQUEST),
        ("application/x-www-form-urlencoded", b"id=1".to_vec(), "bad_content_type", StatusCode::BAD_REQUEST),
        (json, b"{\"zzz\": 1}".to_vec(), "unknown_member", StatusCode::BAD_REQUEST),
    ];
    for (method, path) in WRITES {
        for (kind, body, code, status) in &table {
            let request = request(method, path)
                .insert_header(("Authorization", format!("Bearer {TOKEN}")))
                .insert_header(("Content-Type", *kind))
                .set_payload(body.clone());
            let (found, detail) = api.send(request).await.problem(*status);
            assert_eq!(found, *code, "{method} {path} {kind}: {detail}");
        }
    }
    assert_eq!(api.get("/events").await.expect(200)["items"], json!([]));
}

#[actix_web::test]
async fn no_body_is_an_empty_one() {
    let api = Api::new().await;
    let (code, detail) = api.call("POST", "/datasets", None).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!((code.as_str(), detail.contains("title")), ("missing_member", true));
    api.call("POST", "/negotiations/nothing/accept", None).await.problem(StatusCode::NOT_FOUND);
    api.call("POST", "/transfers/nothing/start", None).await.problem(StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn what_the_connector_sets_cannot_be_set() {
    let api = Api::new().await;
    let (dataset, partner) = (json!({"title": "t", "source": {"files": {"root": "r", "path": ""}}}), "did:web:b");
    let table = [
        ("/datasets", dataset, vec!["context", "createdAt", "updatedAt", "body"]),
        ("/policies", json!({"permission": [{"action": "use"}]}), vec!["context", "body", "hash"]),
        ("/offers", json!({"datasetId": "d", "policyId": "p"}), vec!["context", "createdAt"]),
        ("/webhooks", json!({"url": "http://127.0.0.1:1", "events": ["*"]}), vec!["cursor", "delivered", "context"]),
        (
            "/negotiations",
            json!({"partner": partner, "datasetId": "d"}),
            vec!["state", "agreementId", "id", "counterPid"],
        ),
        ("/transfers", json!({"agreementId": "a"}), vec!["state", "id", "dataPlaneId", "localEndpoint"]),
    ];
    for (path, good, members) in table {
        for member in members {
            let mut body = good.clone();
            body[member] = json!("x");
            let (code, detail) = api.post(path, body).await.problem(StatusCode::BAD_REQUEST);
            assert_eq!(code, "unknown_member", "{path} {member}: {detail}");
            assert!(detail.contains(&format!("`{member}`")), "{detail}");
        }
    }
}

#[actix_web::test]
async fn queries_that_cannot_be_used() {
    let api = Api::new().await;
    let lists = [
        "/datasets",
        "/policies",
        "/offers",
        "/partners",
        "/data-planes",
        "/webhooks",
        "/negotiations",
        "/agreements",
        "/transfers",
    ];
    for list in lists {
        for (query, code) in [
            ("limit=0", "bad_parameter"),
            ("limit=x", "bad_parameter"),
            ("limit=1&limit=2", "repeated_parameter"),
            ("colour=red", "unknown_parameter"),
            ("sort=body", "bad_query"),
            ("sort=id%3B--", "bad_query"),
            ("cursor=x", "bad_query"),
            ("cursor=WzEsMiwzXQ", "bad_query"),
        ] {
            let (found, detail) = api.get(&format!("{list}?{query}")).await.problem(StatusCode::BAD_REQUEST);
            assert_eq!(found, code, "{list}?{query}: {detail}");
        }
    }
    for (query, code) in [
        ("after=-1", "bad_parameter"),
        ("after=9223372036854775808", "bad_parameter"),
        ("type=%25", "bad_parameter"),
        ("type=negotiation.%2A.x", "bad_parameter"),
        ("limit=1000", "bad_parameter"),
        ("sort=id", "unknown_parameter"),
    ] {
        assert_eq!(api.get(&format!("/events?{query}")).await.problem(StatusCode::BAD_REQUEST).0, code, "{query}");
    }
    api.get("/events?after=9223372036854775807").await.expect(200);
}

#[actix_web::test]
async fn filters_and_ids_are_values_and_nothing_else() {
    let api = Api::new().await;
    let strange = ["a'; DROP TABLE dataset; --", "100%", "a_b", "\"", "x\\", "${jndi:x}", "ü", "' OR '1'='1"];
    for id in strange {
        let encoded = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        for list in ["/negotiations?state=", "/offers?datasetId=", "/agreements?counterPartyId=", "/datasets?title="] {
            assert_eq!(api.get(&format!("{list}{encoded}")).await.expect(200)["items"], json!([]), "{list}{id}");
        }
        assert_eq!(api.get(&format!("/datasets/{encoded}")).await.problem(StatusCode::NOT_FOUND).0, "not_found");
    }
    for path in ["/datasets/a%00b", "/datasets/%ff", "/negotiations/%0a/accept"] {
        let method = if path.ends_with("accept") { "POST" } else { "GET" };
        assert_eq!(api.call(method, path, None).await.problem(StatusCode::BAD_REQUEST).0, "bad_path", "{path}");
    }
}

#[actix_web::test]
async fn ids_with_every_character_come_back() {
    let api = Api::new().await;
    let source = json!({"files": {"root": "open", "path": ""}});
    for id in ["https://city.example/a/b?c=d#e", "urn:x:100%25", "a;b,c", "Straße", "..", "a+b"] {
        let made = api.post("/datasets", json!({"id": id, "title": id, "source": source})).await;
        let location = made.headers.get("location").unwrap().to_str().unwrap().to_owned();
        assert_eq!(made.expect(201)["id"], id);
        let path = location.strip_prefix("/api/v1").unwrap();
        assert_eq!(api.get(path).await.expect(200)["id"], id);
        assert_eq!(api.delete(path).await.expect(204), Value::Null);
    }
    for id in ["", "a b", "a\nb", "a\u{7}", &"x".repeat(513)] {
        let (code, detail) = api
            .post("/datasets", json!({"id": id, "title": "t", "source": source}))
            .await
            .problem(StatusCode::BAD_REQUEST);
        assert_eq!((code.as_str(), detail.contains("`id`")), ("bad_member", true), "{id:?}: {detail}");
    }
}

/// Every place in a value, outermost first.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), all)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), all));
        }
        _ => {}
    }
}

#[actix_web::test]
async fn whatever_stands_anywhere_is_taken_or_refused_clearly() {
    let api = super::identity::api().await;
    let description = serde_json::to_value(crate::http::management::document::document()).unwrap();
    let odd = [
        Value::Null,
        json!(true),
        json!(-1),
        serde_json::from_str("1e400").unwrap(),
        serde_json::from_str("123456789012345678901234567890").unwrap(),
        json!(""),
        json!("\u{202e}\n\u{7f} \"><img src=x>"),
        json!("x".repeat(10_000)),
        json!([]),
        json!({}),
        json!([[[[[{"a": [null]}]]]]]),
        json!({"@id": "x", "@value": 5}),
    ];
    let writes = [
        ("POST", "/datasets", "DatasetInput"),
        ("POST", "/policies", "PolicyInput"),
        ("POST", "/offers", "OfferInput"),
        ("POST", "/partners", "PartnerInput"),
        ("PUT", "/data-planes/dp", "DataPlaneInput"),
        ("POST", "/webhooks", "WebhookInput"),
        ("POST", "/negotiations", "NegotiationInput"),
        ("POST", "/transfers", "TransferInput"),
        ("POST", "/negotiations/x/terminate", "Command"),
        ("POST", "/identity/rotate", "Rotation"),
        ("POST", "/credentials/verify", "Verification"),
        ("POST", "/credential-requests", "NewCredentialRequest"),
        ("POST", "/issuances/x/reject", "Reason"),
        ("PUT", "/trusted-issuers/did%3Aweb%3Ax", "TrustedIssuerInput"),
    ];
    let mut refused = 0;
    for (method, path, schema) in writes {
        let example = &description["components"]["schemas"][schema]["example"];
        let mut pointers = Vec::new();
        places(example, "", &mut pointers);
        assert!(pointers.len() > 1, "{schema} has no example");
        for (pointer, value) in pointers.iter().flat_map(|pointer| odd.iter().map(move |value| (pointer, value))) {
            let mut body = example.clone();
            *body.pointer_mut(pointer).unwrap() = value.clone();
            let answer = api.call(method, path, Some(body)).await;
            let of_partner = answer.status == 502 && answer.body["fault"] == "peer";
            assert!(answer.status < 500 || of_partner, "{method} {path} {pointer} = {value}: {}", answer.body);
            if answer.status >= 400 {
                refused += 1;
                assert!(answer.body["code"].is_string() && answer.body["detail"].is_string(), "{path} {pointer}");
                assert!(answer.body.to_string().len() < 2500, "{path} {pointer} repeats what was sent");
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
