//! Who gets in, and what is there.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::{Api, TOKEN, request};
use crate::http::management::document;

/// (method, path with sample ids) of every described operation but the description itself.
fn operations() -> Vec<(String, String)> {
    let description = serde_json::to_value(document::document()).unwrap();
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        if path == "/openapi.json" {
            continue;
        }
        let parts = path.split('/').map(|part| if part.starts_with('{') { "terminate" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        all.extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    all
}

#[actix_web::test]
async fn every_operation_needs_the_token_before_anything_is_read() {
    let api = Api::new().await;
    assert!(operations().len() > 40);
    for (method, path) in operations() {
        let answer = api.send(request(&method, &path).set_payload("{".repeat(2_000_000))).await;
        assert_eq!(answer.headers.get("www-authenticate").unwrap(), "Bearer");
        assert_eq!(answer.problem(StatusCode::UNAUTHORIZED).0, "no_token", "{method} {path}");
    }
    let answer = api.send(request("GET", "/nothing")).await;
    answer.problem(StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn every_described_operation_is_there() {
    let api = Api::new().await;
    for (method, path) in operations() {
        let body = (method != "GET" && method != "DELETE").then(|| json!({}));
        let answer = api.call(&method, &path, body).await;
        assert_ne!(answer.status, 405, "{method} {path}");
        assert_ne!(answer.body["detail"], "there is nothing at this path", "{method} {path}");
        assert!(answer.status < 500, "{method} {path}: {}", answer.body);
    }
}

#[actix_web::test]
async fn only_the_token_opens() {
    let api = Api::new().await;
    let wrong = [
        "Bearer wrong".to_owned(),
        "Bearer ".to_owned(),
        "Bearer".to_owned(),
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {TOKEN} {TOKEN}"),
    ];
    for value in wrong {
        let answer = api.send(request("GET", "/status").insert_header(("Authorization", value.clone()))).await;
        assert_eq!(answer.problem(StatusCode::UNAUTHORIZED).0, "bad_token", "{value}");
    }
    let twice = request("GET", "/status")
        .append_header(("Authorization", "Bearer wrong"))
        .append_header(("Authorization", format!("Bearer {TOKEN}")));
    assert_eq!(api.send(twice).await.problem(StatusCode::UNAUTHORIZED).0, "no_token");
    for value in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}")] {
        let answer = api.send(request("GET", "/status").insert_header(("Authorization", value))).await;
        answer.expect(200);
    }
    let in_query = api.send(request("GET", &format!("/status?access_token={TOKEN}"))).await;
    in_query.problem(StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn the_description_and_the_page_are_open_and_hold_no_secret() {
    let api = Api::new().await;
    let description = api.send(request("GET", "/openapi.json")).await.expect(200);
    assert_eq!(description["openapi"].as_str().map(|version| &version[..2]), Some("3."));
    assert!(!description.to_string().contains(TOKEN));
    for path in ["/../docs/", "/../docs/swagger-ui.css"] {
        let path = path.replace("/..", "");
        let answer = api.send(actix_web::test::TestRequest::get().uri(&format!("/api{path}"))).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.headers.get("content-security-policy").unwrap().to_str().unwrap().contains("frame-ancestors 'none'")
        );
    }
    let answer = api.send(actix_web::test::TestRequest::get().uri("/api/docs")).await;
    assert_eq!((answer.status, answer.headers.get("location").unwrap().to_str().unwrap()), (307, "/api/docs/"));
}

#[actix_web::test]
async fn unknown_paths_and_methods() {
    let api = Api::new().await;
    for path in ["/nothing", "/datasets/", "/datasets/a/b", "/negotiations/a/b/c", "/"] {
        assert_eq!(api.get(path).await.problem(StatusCode::NOT_FOUND).0, "not_found", "{path}");
    }
    for (method, path, allow) in [
        ("DELETE", "/datasets", "GET, POST"),
        ("PATCH", "/datasets/a", "GET, PUT, DELETE"),
        ("TRACE", "/status", "GET"),
        ("DELETE", "/agreements/a", "GET"),
        ("PUT", "/events", "GET"),
        ("GET", "/negotiations/a/accept", "POST"),
    ] {
        let answer = api.call(method, path, None).await;
        assert_eq!(answer.headers.get("allow").unwrap(), allow, "{method} {path}");
        assert_eq!(answer.problem(StatusCode::METHOD_NOT_ALLOWED).0, "method_not_allowed");
    }
    let answer = api.send(actix_web::test::TestRequest::get().uri("/")).await;
    answer.problem(StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn every_answer_has_the_protecting_headers() {
    let api = Api::new().await;
    for answer in [api.get("/status").await, api.send(request("GET", "/status")).await, api.get("/nothing").await] {
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(header("referrer-policy"), Some("no-referrer"));
        assert!(header("content-type").unwrap().starts_with("application/"));
    }
}

#[actix_web::test]
async fn reading_changes_nothing() {
    let api = Api::new().await;
    let before = api.get("/events").await.expect(200);
    for (method, path) in operations() {
        if method == "GET" && !path.contains("catalog") {
            assert!(api.get(&path).await.status < 500, "{path}");
        }
    }
    assert_eq!(api.get("/events").await.expect(200), before);
    let status = api.get("/status").await.expect(200);
    assert_eq!(status["participantId"], "did:web:us.example");
    assert_eq!(status["versionDocument"], "https://us.example/.well-known/dspace-version");
    assert!(status["counts"].as_object().unwrap().values().all(|count| *count == json!(0)));
    assert_eq!(status["dataPlanes"], Value::Array(Vec::new()));
}
