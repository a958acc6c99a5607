//! Writing to an NGSI-LD broker through a flow: what reaches the broker, what does not, and what the writer hears.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use policy_plan::{EnforcementPlan, Expr, Limits, Residual, Selection, Source, Truth, Writing, WritingPlan};
use serde_json::{Value, json};
use support::{Flow, Played, Reply, World, always, before, now_ms, rule};

const DEFAULT: &str = "https://uri.etsi.org/ngsi-ld/default-context/";
const ENTITIES: &str = "/ngsi-ld/v1/entities";
const ATTRS: &str = "/ngsi-ld/v1/entities/urn:ngsi-ld:Air:1/attrs";
const CANARY: &str = "CANARY";

/// What the broker holds: the first is shown, the second is hidden by its state.
fn held() -> Vec<Value> {
    let air = |number: u32, state: &str| {
        json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air", "no2": {"type": "Property", "value": 1},
            "state": {"type": "Property", "value": state}, "plate": {"type": "Property", "value": CANARY}})
    };
    vec![air(1, "public"), air(2, "secret"), json!({"id": "urn:ngsi-ld:Air:car", "type": ["Air", "Car"]})]
}

fn broker() -> Played {
    Played::reading(|request: &HttpRequest, body: &[u8]| {
        if *request.method() == Method::GET {
            let query =
                percent_encoding::percent_decode_str(request.query_string()).decode_utf8().unwrap().into_owned();
            let ids: Vec<&str> =
                query.split('&').find_map(|part| part.strip_prefix("id=")).unwrap_or("").split(',').collect();
            let found: Vec<Value> =
                held().into_iter().filter(|entity| ids.contains(&entity["id"].as_str().unwrap())).collect();
            return HttpResponse::Ok().json(found);
        }
        let host = request.headers().get("host").unwrap().to_str().unwrap().to_owned();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match body["no2"]["value"].as_i64() {
            Some(409) => HttpResponse::Conflict().json(json!({"title": CANARY})),
            Some(400) => HttpResponse::BadRequest().body(CANARY),
            Some(500) => HttpResponse::InternalServerError().body(CANARY),
            Some(403) => HttpResponse::Forbidden().body(CANARY),
            Some(302) => HttpResponse::Found().insert_header(("location", "http://CANARY")).finish(),
            Some(504) => {
                // Longer than the data plane waits.
                std::thread::sleep(Duration::from_millis(2500));
                HttpResponse::NoContent().finish()
            }
            Some(207) => {
                HttpResponse::MultiStatus().json(json!({"updated": [CANARY], "notUpdated": [{"reason": CANARY}]}))
            }
            _ if request.path() == ENTITIES => HttpResponse::Created()
                .insert_header(("location", format!("http://{host}/CANARY")))
                .insert_header(("x-debug", CANARY))
                .finish(),
            _ if request.path().ends_with("/create") => HttpResponse::Created().json(["urn:ngsi-ld:Air:9", CANARY]),
            _ => HttpResponse::NoContent().insert_header(("x-debug", CANARY)).finish(),
        }
    })
}

fn writing(rules: Residual) -> WritingPlan {
    let what: Writing = serde_json::from_value(json!({
        "operations": ["create", "append", "patch", "merge", "upsert", "delete", "deleteEntity"],
        "types": [format!("{DEFAULT}Air")],
        "ids": ["urn:ngsi-ld:Air:*"],
        "attributes": [{"name": format!("{DEFAULT}no2")}],
    }))
    .unwrap();
    WritingPlan { what, rules }
}

fn selection() -> Selection {
    serde_json::from_value(json!({
        "types": [format!("{DEFAULT}Air")],
        "attributes": [{"name": format!("{DEFAULT}no2")}],
        "rows": {"q": format!("{DEFAULT}state==\"public\"")},
        "assumedContext": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld",
    }))
    .unwrap()
}

fn plan(world: &World, source: &Played) -> EnforcementPlan {
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.admission.methods = vec!["GET".into(), "POST".into(), "PATCH".into(), "PUT".into(), "DELETE".into()];
    plan.selection = Some(selection());
    plan.writing = Some(writing(always()));
    plan
}

async fn start(source: &Played) -> (World, Flow) {
    let world = World::new("").await;
    let flow = world.pull(&plan(&world, source)).await;
    (world, flow)
}

async fn ask(world: &World, flow: &Flow, method: &str, path: &str, body: &Value) -> Reply {
    let authorization = format!("Bearer {}", flow.token);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("ngsild-tenant", "other"),
        ("x-http-method-override", "PUT"),
    ];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = world.client.send(method, &format!("{}{path}", flow.endpoint), &headers, body).await;
    assert!(!format!("{} {:?}", reply.text(), reply.headers).contains(CANARY), "{} {:?}", reply.text(), reply.headers);
    reply
}

fn entity(id: &str, no2: i64) -> Value {
    json!({"id": id, "type": "Air", "no2": {"type": "Property", "value": no2}})
}

fn writes(source: &Played) -> usize {
    source.all().iter().filter(|seen| seen.method != "GET").count()
}

#[actix_web::test]
async fn what_may_be_written_reaches_the_broker_written_anew() {
    let source = broker();
    let (world, flow) = start(&source).await;
    let reply = ask(&world, &flow, "POST", ENTITIES, &entity("urn:ngsi-ld:Air:9", 1)).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("location"), Some(format!("{}{ENTITIES}/urn:ngsi-ld:Air:9", flow.endpoint).as_str()));
    let seen = source.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", ENTITIES));
    assert_eq!((seen.json(), seen.header("content-type")), (entity("urn:ngsi-ld:Air:9", 1), Some("application/json")));
    for name in ["ngsild-tenant", "x-http-method-override", "link"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    let one = |path: &str| format!("{ENTITIES}/urn:ngsi-ld:Air:1{path}");
    for (method, path, body) in [
        ("POST", one("/attrs"), json!({"no2": 2})),
        ("PATCH", one("/attrs"), json!({"no2": 2})),
        ("PATCH", one("/attrs/no2"), json!({"value": 2})),
        ("PATCH", one(""), json!({"no2": {"value": 2}})),
        ("DELETE", one("/attrs/no2"), Value::Null),
        ("DELETE", one(""), Value::Null),
    ] {
        let before = source.all().len();
        let reply = ask(&world, &flow, method, &path, &body).await;
        assert_eq!((reply.status, reply.text().as_str()), (204, ""), "{method} {path}");
        let seen = &source.all()[before..];
        assert_eq!(seen.len(), 2, "one look and one write: {seen:?}");
        assert!(
            seen[0].target.starts_with(&format!("{ENTITIES}?id=urn%3Angsi-ld%3AAir%3A1&type=")),
            "{}",
            seen[0].target
        );
        assert_eq!((seen[1].method.as_str(), seen[1].target.as_str()), (method, path.as_str()));
    }
    let upsert = json!([entity("urn:ngsi-ld:Air:1", 2), entity("urn:ngsi-ld:Air:9", 2)]);
    let reply = ask(&world, &flow, "POST", "/ngsi-ld/v1/entityOperations/upsert?options=update", &upsert).await;
    assert_eq!((reply.status, reply.json()), (201, json!(["urn:ngsi-ld:Air:9"])));
    let targets: Vec<String> = source.all().iter().rev().take(2).map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, ["/ngsi-ld/v1/entityOperations/create", "/ngsi-ld/v1/entityOperations/update"]);
}

#[actix_web::test]
async fn a_hidden_entity_is_like_one_that_is_not_there() {
    let source = broker();
    let (world, flow) = start(&source).await;
    for (method, path, body) in [
        ("PATCH", "/attrs", json!({"no2": 2})),
        ("POST", "/attrs", json!({"no2": 2})),
        ("PATCH", "/attrs/no2", json!({"value": 2})),
        ("PATCH", "", json!({"no2": {"value": 2}})),
        ("DELETE", "/attrs/no2", Value::Null),
        ("DELETE", "", Value::Null),
    ] {
        let mut told = Vec::new();
        // Absent; hidden by a row; of a type more than may be written; outside of the ids.
        for id in ["urn:ngsi-ld:Air:77", "urn:ngsi-ld:Air:2", "urn:ngsi-ld:Air:car", "urn:ngsi-ld:Bus:1"] {
            let reply = ask(&world, &flow, method, &format!("{ENTITIES}/{id}{path}"), &body).await;
            assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("no_such_entity")), "{method} {id}");
            told.push(reply.text());
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    }
    let batch = json!([entity("urn:ngsi-ld:Air:77", 2), entity("urn:ngsi-ld:Air:2", 2)]);
    for operation in ["update", "merge"] {
        let reply = ask(&world, &flow, "POST", &format!("/ngsi-ld/v1/entityOperations/{operation}"), &batch).await;
        assert_eq!(reply.status, 207);
        let errors = reply.json()["errors"].clone();
        assert_eq!((errors.as_array().unwrap().len(), &errors[0]["error"]), (2, &errors[1]["error"]));
    }
    assert_eq!(writes(&source), 0, "{:?}", source.all());
}

#[actix_web::test]
async fn nothing_is_written_without_an_agreement_about_it() {
    let source = broker();
    let world = World::new("").await;
    let closed = rule("writing needs a permission that names the action `modify`", Expr::Known(Truth::False));
    for (process, writing, status, code, rule) in [
        ("tp-none", None, 405, "method_not_admitted", None),
        ("tp-use", Some(writing(closed)), 403, "policy_denies", Some("names the action `modify`")),
        ("tp-over", Some(writing(before(now_ms() - 1))), 403, "policy_denies", Some("the end of the contract")),
    ] {
        for selection in [None, Some(selection())] {
            let process = format!("{process}-{}", selection.is_some());
            let mut plan = plan(&world, &source);
            (plan.process_id, plan.selection, plan.writing) = (process, selection, writing.clone());
            let flow = world.pull(&plan).await;
            for (method, path) in [("POST", ENTITIES), ("PATCH", ATTRS), ("DELETE", ATTRS), ("PUT", ATTRS)] {
                let reply = ask(&world, &flow, method, path, &entity("urn:ngsi-ld:Air:9", 1)).await;
                let told = reply.json();
                assert_eq!((reply.status, told["code"].as_str()), (status, Some(code)), "{method} {told}");
                assert!(rule.is_none_or(|rule| told["rule"].as_str().unwrap().contains(rule)), "{told}");
            }
        }
    }
    assert!(source.all().is_empty(), "{:?}", source.all());
}

#[actix_web::test]
async fn what_may_not_be_written_never_reaches_the_broker() {
    let source = broker();
    let (world, flow) = start(&source).await;
    let batch = "/ngsi-ld/v1/entityOperations";
    for (method, path, body, status, code) in [
        ("PUT", format!("{ENTITIES}/urn:ngsi-ld:Air:1"), entity("urn:ngsi-ld:Air:1", 1), 405, "method_not_admitted"),
        ("DELETE", format!("{ENTITIES}?type=Air"), Value::Null, 405, "method_not_admitted"),
        ("POST", format!("{batch}/upsert"), json!([entity("urn:ngsi-ld:Air:1", 1)]), 403, "query_not_admitted"),
        ("POST", "/ngsi-ld/v1/temporal/entities".into(), entity("urn:ngsi-ld:Air:1", 1), 403, "path_not_admitted"),
        ("POST", "/ngsi-ld/v1/csourceRegistrations".into(), json!({}), 403, "path_not_admitted"),
        ("POST", "/ngsi-ld/v1/jsonldContexts".into(), json!({}), 403, "path_not_admitted"),
        ("PATCH", ATTRS.into(), json!({"plate": 1}), 403, "name_not_admitted"),
        ("PATCH", ATTRS.into(), json!({"no2": {"value": 1, "scope": "/x"}}), 403, "name_not_admitted"),
        ("PATCH", ATTRS.into(), json!({"no2": 1, "@context": {"no2": "https://m/plate"}}), 400, "context_misplaced"),
        ("PATCH", ATTRS.into(), json!(null), 415, "content_type_not_admitted"),
        ("PATCH", ATTRS.into(), json!([]), 400, "body_not_readable"),
        ("POST", ENTITIES.into(), entity("urn:ngsi-ld:Bus:1", 1), 403, "name_not_admitted"),
        ("POST", ENTITIES.into(), json!({"id": "urn:ngsi-ld:Air:1", "type": "Bus"}), 403, "name_not_admitted"),
        (
            "POST",
            ENTITIES.into(),
            json!({"id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": "x".repeat(70_000)}),
            413,
            "body_too_large",
        ),
        ("POST", ENTITIES.into(), json!("x".repeat(5 << 20)), 413, "body_too_large"),
    ] {
        let reply = match body.is_null() && method == "PATCH" {
            true => flow.ask(&world.client, method, &path, &[]).await,
            false => ask(&world, &flow, method, &path, &body).await,
        };
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (status, Some(code)),
            "{method} {path} {}",
            reply.text()
        );
    }
    assert!(source.all().is_empty(), "{:?}", source.all());
}

#[actix_web::test]
async fn failures_of_the_broker_are_told_in_our_words_and_nothing_is_tried_twice() {
    let source = broker();
    let (world, flow) = start(&source).await;
    for (no2, status, code) in [
        (409, 409, "entity_exists"),
        (400, 400, "source_refused"),
        (403, 502, "source_refuses_us"),
        (500, 502, "source_failed"),
        (302, 502, "source_failed"),
        (504, 504, "source_timeout"),
    ] {
        let before = writes(&source);
        let reply = ask(&world, &flow, "POST", ENTITIES, &entity("urn:ngsi-ld:Air:9", no2)).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{}", reply.text());
        assert_eq!(writes(&source) - before, 1, "{code}");
        if status > 500 && code != "source_refuses_us" {
            assert!(reply.json()["detail"].as_str().unwrap().contains("not known whether it was written"), "{code}");
        }
    }
    let reply = ask(&world, &flow, "PATCH", ATTRS, &json!({"no2": 207})).await;
    assert_eq!(reply.status, 207);
    assert_eq!(reply.json()["notUpdated"][0]["attributeName"], format!("{DEFAULT}no2"));
}

#[actix_web::test]
async fn limits_and_suspension_hold_for_writes() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = plan(&world, &source);
    plan.limits = Limits { requests_per_second: NonZeroU32::new(1), ..Limits::default() };
    let flow = world.pull(&plan).await;
    assert_eq!(ask(&world, &flow, "POST", ENTITIES, &entity("urn:ngsi-ld:Air:9", 1)).await.status, 201);
    let second = ask(&world, &flow, "POST", ENTITIES, &entity("urn:ngsi-ld:Air:9", 1)).await;
    assert_eq!((second.status, second.json()["code"].as_str()), (429, Some("too_many_requests")));
    let suspended = world
        .signal("POST", &format!("/dataflows/{}/suspend", flow.id), &json!({"messageId": "m1", "reason": "x"}))
        .await;
    assert_eq!(suspended.0, 200, "{}", suspended.1);
    let refused = ask(&world, &flow, "POST", ENTITIES, &entity("urn:ngsi-ld:Air:9", 1)).await;
    assert!(matches!(refused.status, 401 | 403), "{}", refused.text());
    assert_eq!(writes(&source), 1);
}

#[actix_web::test]
async fn programs_write_through_their_own_data_plane_and_web_pages_do_not() {
    let source = broker();
    let (world, flow) = start(&source).await;
    world.consume("tp-here", &flow.address, &["ngsi-ld"]).await;
    let send = |headers: Vec<(&'static str, &'static str)>| {
        let url = format!("{}{ENTITIES}", world.local);
        let (client, body) = (world.client.clone(), entity("urn:ngsi-ld:Air:9", 1).to_string());
        async move { client.send("POST", &url, &headers, body).await }
    };
    let reply = send(vec![("content-type", "application/json")]).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("location"), Some(format!("{}{ENTITIES}/urn:ngsi-ld:Air:9", world.local).as_str()));
    let before = writes(&source);
    let page = send(vec![("content-type", "application/json"), ("origin", "http://127.0.0.1:3000")]).await;
    assert_eq!((page.status, page.json()["code"].as_str()), (403, Some("cross_origin")));
    assert_eq!(writes(&source), before);
    let url = format!("{}{ATTRS}", world.local);
    let hidden = world
        .client
        .send("PATCH", &url, &[("content-type", "application/json")], json!({"plate": 1}).to_string())
        .await;
    assert_eq!((hidden.status, hidden.json()["code"].as_str()), (403, Some("name_not_admitted")));
}

#[actix_web::test]
async fn what_is_no_brokers_follows_admission_alone() {
    let source = support::broker();
    let (world, plain) = {
        let world = World::new("").await;
        let flow = world.pull_http("tp-plain", &source.url).await;
        (world, flow)
    };
    assert_eq!(plain.ask(&world.client, "POST", "/forms", &[]).await.status, 200);
    let refused = plain.ask(&world.client, "POST", ENTITIES, &[]).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (405, Some("method_not_admitted")));
    let asked = plain.ask(&world.client, "POST", "/ngsi-ld/v1/entityOperations/query", &[]).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
}
