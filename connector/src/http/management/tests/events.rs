//! Events as a list and as a stream.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::{App as ActixApp, test};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Api, TOKEN, configure, request};
use crate::service::events::{Interest, Pattern, Reader};
use crate::service::token::TokenHash;

async fn happen(api: &Api, kind: &str, subject: &str) {
    let (kind, subject) = (kind.to_owned(), subject.to_owned());
    let context = api.app.context();
    let write = api.app.store.write(move |unit| {
        Box::pin(async move { unit.event(context, kind, &subject, &json!({"state": "REQUESTED"})).await })
    });
    write.await.unwrap();
}

/// The events of a stream, until `count` have come.
async fn stream(api: &Api, path: &str, last: Option<&str>, count: usize, then: &[(&str, &str)]) -> Vec<Value> {
    let stop = CancellationToken::new();
    let configured = configure(api.app.clone(), TokenHash::of(TOKEN), stop.clone());
    let service = test::init_service(ActixApp::new().configure(configured)).await;
    let mut request = request("GET", path)
        .insert_header(("Authorization", format!("Bearer {TOKEN}")))
        .insert_header(("Accept", "text/event-stream"));
    if let Some(last) = last {
        request = request.insert_header(("Last-Event-ID", last));
    }
    let response = test::call_service(&service, request.to_request()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
    assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
    for (kind, subject) in then {
        happen(api, kind, subject).await;
    }
    let mut body = Box::pin(response.into_body());
    let (mut text, mut events) = (String::new(), Vec::new());
    while events.len() < count {
        let chunk = std::future::poll_fn(|context| body.as_mut().poll_next(context));
        let chunk = tokio::time::timeout(Duration::from_secs(10), chunk).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        events = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
    }
    stop.cancel();
    loop {
        let chunk = std::future::poll_fn(|context| body.as_mut().poll_next(context));
        if tokio::time::timeout(Duration::from_secs(1), chunk).await.unwrap().is_none() {
            return events;
        }
    }
}

fn subjects(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["subject"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn events_are_listed_in_order_and_paged() {
    let api = Api::new().await;
    for number in 0..5 {
        let kind = if number % 2 == 0 { "negotiation.requested" } else { "transfer.started" };
        happen(&api, kind, &format!("urn:{number}")).await;
    }
    let page = api.get("/events?after=0&limit=2").await.expect(200);
    assert_eq!(subjects(page["items"].as_array().unwrap()), ["urn:0", "urn:1"]);
    let next = page["next"].as_str().unwrap();
    let page = api.get(&format!("/events?after={next}")).await.expect(200);
    assert_eq!(subjects(page["items"].as_array().unwrap()), ["urn:2", "urn:3", "urn:4"]);
    assert_eq!(page["next"], Value::Null);
    let page = api.get("/events?type=transfer.*").await.expect(200);
    assert_eq!(subjects(page["items"].as_array().unwrap()), ["urn:1", "urn:3"]);
    let page = api.get("/events?type=negotiation.requested&subject=urn:4").await.expect(200);
    let event = &page["items"][0];
    assert_eq!((&event["id"], &event["data"]), (&json!(5), &json!({"state": "REQUESTED"})));
}

#[actix_web::test]
async fn without_a_place_the_latest_events_are_listed() {
    let api = Api::new().await;
    for number in 0..7 {
        happen(&api, if number == 3 { "a.b" } else { "transfer.started" }, &format!("urn:{number}")).await;
    }
    for (query, found) in [
        ("limit=2", vec!["urn:5", "urn:6"]),
        ("limit=2&type=transfer.*&before=6", vec!["urn:2", "urn:4"]),
        ("before=3", vec!["urn:0", "urn:1"]),
        ("before=0", vec![]),
    ] {
        let page = api.get(&format!("/events?{query}")).await.expect(200);
        assert_eq!(subjects(page["items"].as_array().unwrap()), found, "{query}");
        assert_eq!(page["next"], Value::Null);
    }
    let (code, detail) = api.get("/events?before=3&after=1").await.problem(StatusCode::BAD_REQUEST);
    assert!(code == "bad_parameter" && detail.contains("before"), "{code} {detail}");
}

#[actix_web::test]
async fn a_stream_replays_and_goes_on_without_gap_or_repeat() {
    let api = Api::new().await;
    for number in 0..600 {
        happen(&api, "transfer.started", &format!("urn:{number}")).await;
    }
    let events = stream(&api, "/events?after=1", None, 602, &[("a.b", "x"), ("c.d", "y"), ("e.f", "z")]).await;
    let ids: Vec<i64> = events.iter().map(|event| event["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (2..=603).collect::<Vec<_>>());
    let events = stream(&api, "/events?after=1", Some("601"), 2, &[]).await;
    assert_eq!(subjects(&events), ["y", "z"]);
}

#[actix_web::test]
async fn a_stream_without_a_place_begins_now() {
    let api = Api::new().await;
    happen(&api, "transfer.started", "before").await;
    let then = [("negotiation.offered", "no"), ("transfer.completed", "after")];
    let events = stream(&api, "/events?type=transfer.*", None, 1, &then).await;
    assert_eq!(subjects(&events), ["after"]);
}

#[actix_web::test]
async fn a_reader_that_falls_behind_reads_the_store() {
    let api = Api::new().await;
    let interest = Interest { patterns: vec![Pattern::All], subject: None };
    let mut reader = Reader::from_now(&api.app, interest).await.unwrap();
    for number in 0..1500 {
        happen(&api, "transfer.started", &number.to_string()).await;
    }
    for number in 0..1500 {
        let event = tokio::time::timeout(Duration::from_secs(10), reader.next()).await.unwrap().unwrap();
        assert_eq!(event.subject, number.to_string());
    }
    assert_eq!(reader.resume_at(), 1500);
    assert!(tokio::time::timeout(Duration::from_millis(50), reader.next()).await.is_err());
}
