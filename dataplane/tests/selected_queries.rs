//! Queries by POST, types and attributes under a selection, and errors in the form of NGSI-LD with and without one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use policy_plan::{Selection, Source};
use serde_json::{Value, json};
use support::{Flow, Played, Reply, World};

const CONTEXT: &str = "https://city.example/context.jsonld";
const CANARY: &str = "CANARY";
const QUERY: &str = "/ngsi-ld/v1/entityOperations/query";

fn selection() -> Selection {
    serde_json::from_value(json!({
        "types": ["https://m/Air"],
        "attributes": [{"name": "https://m/no2"}],
        "contexts": [{"url": CONTEXT, "terms":
            {"Air": "https://m/Air", "no2": "https://m/no2", "state": "https://m/state", "plate": "https://m/plate"}}],
        "rows": {"q": "https://m/state==\"public\""},
    }))
    .unwrap()
}

fn entity(number: u32, state: &str) -> Value {
    let value = if state == "public" { json!(number) } else { json!(CANARY) };
    json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air", "no2": {"type": "Property", "value": value},
        "state": {"type": "Property", "value": state}, "plate": {"type": "Property", "value": CANARY}})
}

/// Of these each third is shown.
fn all() -> Vec<Value> {
    (1..=70).map(|number| entity(number, if number % 3 == 0 { "public" } else { "secret" })).collect()
}

/// A broker that pages, twenty at once and no more, and tells all it has, whatever it is asked.
fn broker() -> Played {
    Played::start(|request: &HttpRequest| {
        let link = format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
        let query = request.query_string();
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.parse::<usize>().ok());
        let from = value("offset=").unwrap_or_default();
        let page: Vec<Value> = all().into_iter().skip(from).take(value("limit=").unwrap_or(2).min(20)).collect();
        let mut answer = HttpResponse::Ok();
        if from + page.len() < all().len() {
            let next = format!("<http://gateway{}?offset={}>; rel=\"next\"", request.path(), from + page.len());
            answer.append_header(("link", next));
        }
        answer
            .append_header(("link", link))
            .insert_header(("ngsild-results-count", "77"))
            .content_type("application/json")
            .body(Value::Array(page).to_string())
    })
}

async fn start(source: &Played, world: &World) -> Flow {
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.admission.methods = vec!["GET".into()];
    plan.selection = Some(selection());
    world.pull(&plan).await
}

async fn post(world: &World, flow: &Flow, path: &str, body: &Value) -> Reply {
    let authorization = format!("Bearer {}", flow.token);
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    world.client.send("POST", &format!("{}{path}", flow.endpoint), &headers, body.to_string()).await
}

fn assert_clean(reply: &Reply) {
    assert!(!format!("{} {:?}", reply.text(), reply.headers).contains(CANARY), "{reply:?} {}", reply.text());
}

#[actix_web::test]
async fn a_query_by_post_shows_what_reading_shows() {
    let (source, world) = (broker(), World::new("").await);
    let flow = start(&source, &world).await;
    let body = json!({"type": "Query", "entities": [{"type": "Air"}], "q": "no2>0"});
    let authorization = format!("Bearer {}", flow.token);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("ngsild-tenant", "other"),
        ("accept", "application/json"),
    ];
    // Neither is what stands in the address sent on in the body, nor the other way round.
    let url = format!("{}{QUERY}?limit=2", flow.endpoint);
    let reply = world.client.send("POST", &url, &headers, body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_clean(&reply);
    assert_eq!(reply.json().as_array().unwrap().len(), 2);
    assert_eq!(reply.json()[0]["id"], "urn:ngsi-ld:Air:3");
    assert!(reply.json()[0].get("state").is_none());
    let seen = source.last();
    assert_eq!((seen.method.as_str(), seen.header("ngsild-tenant")), ("POST", None));
    assert_eq!(seen.json()["q"], "state==\"public\";no2>0");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(seen.header("link").unwrap().contains(CONTEXT));
    assert!(reply.header("ngsild-results-count").is_none());
    let links: Vec<&str> = reply.headers.get_all("link").iter().filter_map(|link| link.to_str().ok()).collect();
    assert!(links.iter().any(|link| link.contains(&format!("{}{QUERY}?", flow.endpoint))), "{links:?}");
    let before = source.all().len();
    for body in [
        json!({"type": "Query", "entities": [{"type": "Car"}]}),
        json!({"type": "Query", "entities": [{"type": "Air"}], "q": "plate"}),
        json!({"type": "Query", "entities": [{"type": "Air"}], "join": "inline"}),
        json!({"type": "Query", "entities": [{"type": "Air"}], "@context": {"no2": "https://m/plate"}}),
        json!([]),
    ] {
        let reply = post(&world, &flow, QUERY, &body).await;
        assert!(matches!(reply.status, 400 | 403), "{body} {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(reply.json()["type"].as_str().unwrap().starts_with("https://uri.etsi.org/ngsi-ld/errors/"));
    }
    let long = json!({"type": "Query", "q": "x".repeat(300_000)});
    assert_eq!(post(&world, &flow, QUERY, &long).await.status, 413);
    let temporal = "/ngsi-ld/v1/temporal/entityOperations/query";
    assert_eq!(post(&world, &flow, temporal, &json!({"type": "Query", "q": "no2>0"})).await.status, 400);
    for path in ["/ngsi-ld/v1/entities", "/ngsi-ld/v1/entityOperations/upsert", "/ngsi-ld/v1/entityOperations/delete"] {
        assert_eq!(post(&world, &flow, path, &json!([])).await.status, 405, "{path}");
    }
    assert_eq!(source.all().len(), before, "nothing of it reached the source");
}

#[actix_web::test]
async fn pages_hold_what_is_shown_and_the_count_is_of_that() {
    let (source, world) = (broker(), World::new("").await);
    let flow = start(&source, &world).await;
    let shown: Vec<u64> = (1..=70).filter(|number| number % 3 == 0).collect();
    let numbers = |reply: &Reply| -> Vec<u64> {
        let value = reply.json();
        let items = value.as_array().cloned().unwrap_or_else(|| value["features"].as_array().unwrap().clone());
        items.iter().map(|item| item["no2"]["value"].as_u64().unwrap()).collect()
    };
    let body = json!({"type": "Query", "entities": [{"type": "Air"}]});
    for by_post in [false, true] {
        let ask = async |query: &str| match by_post {
            true => post(&world, &flow, &format!("{QUERY}?{query}"), &body).await,
            false => flow.get(&world.client, &format!("/ngsi-ld/v1/entities?{query}"), &[]).await,
        };
        let count = ask("limit=0&count=true").await;
        assert_eq!((count.status, count.header("ngsild-results-count")), (200, Some("23")), "{}", count.text());
        assert_eq!(count.text(), "[]");
        // By offsets, as clients count them, and by the links.
        let mut found = Vec::new();
        for page in 0..5 {
            let reply = ask(&format!("limit=5&offset={}", page * 5)).await;
            assert_clean(&reply);
            found.extend(numbers(&reply));
        }
        assert_eq!(found, shown);
        let mut next = Some("limit=10".to_owned());
        let mut found = Vec::new();
        while let Some(query) = next.take() {
            let reply = ask(&query).await;
            found.extend(numbers(&reply));
            let links: Vec<&str> = reply.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
            let link = links.into_iter().find(|link| link.contains("rel=\"next\""));
            next = link.map(|link| link.split(['?', '>']).nth(1).unwrap().to_owned());
        }
        assert_eq!(found, shown);
        // From one page to the next the source is not read from the beginning again.
        let before = source.all().len();
        for page in 0..12 {
            assert_eq!(ask(&format!("limit=2&offset={}", page * 2)).await.status, 200);
        }
        assert!(source.all().len() - before <= 24, "{}", source.all().len() - before);
        assert_eq!(ask("limit=1000").await.json().as_array().unwrap().len(), 23);
        assert_eq!(ask("offset=23").await.text(), "[]");
        assert!(matches!(ask("limit=1001").await.status, 400 | 403));
    }
    let asked = source.all();
    assert!(asked.iter().all(|seen| !seen.target.contains("count")), "the source counts others, too");
}

#[actix_web::test]
async fn a_source_whose_pages_have_no_end_is_given_up() {
    let source = Played::start(|request| {
        let link = format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
        HttpResponse::Ok()
            .append_header(("link", format!("<{}>; rel=\"next\"", request.path())))
            .append_header(("link", link))
            .content_type("application/json")
            .body(json!([entity(1, "secret")]).to_string())
    });
    let world = World::new("").await;
    let flow = start(&source, &world).await;
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities", &[]).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("too_many_entities")), "{}", reply.text());
    assert_eq!(reply.json()["type"], "https://uri.etsi.org/ngsi-ld/errors/TooManyResults");
}

#[actix_web::test]
async fn types_and_attributes_are_told_without_the_source() {
    let (source, world) = (broker(), World::new("").await);
    let flow = start(&source, &world).await;
    let link = format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
    let get = async |path: &str| flow.get(&world.client, path, &[("link", &link)]).await;
    let types = get("/ngsi-ld/v1/types").await;
    assert_eq!((types.status, &types.json()["typeList"]), (200, &json!(["Air"])));
    assert!(types.header("link").unwrap().contains(CONTEXT));
    let attributes = get("/ngsi-ld/v1/attributes?details=true").await;
    assert_eq!(attributes.json().as_array().unwrap().len(), 1);
    assert_eq!(attributes.json()[0]["attributeName"], "no2");
    let none = get("/ngsi-ld/v1/entities?type=None&limit=0&count=true").await;
    assert_eq!((none.status, none.header("ngsild-results-count")), (200, Some("0")));
    let bodies = [get("/ngsi-ld/v1/attributes/plate").await, get("/ngsi-ld/v1/attributes/nowhere").await];
    assert_eq!((bodies[0].status, bodies[0].text()), (404, bodies[1].text()));
    assert_eq!(bodies[0].json()["type"], "https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound");
    assert!(source.all().is_empty());
}

/// A proxy before a broker that has its own pages, by the number in the id.
fn proxy() -> Played {
    Played::start(|request: &HttpRequest| {
        let (path, query) = (request.path(), request.query_string());
        let status = path.rsplit(':').next().and_then(|code| code.parse().ok()).unwrap_or(200);
        let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap());
        answer.insert_header(("retry-after", "7"));
        match query {
            "json" => answer.content_type("application/json").body(json!({"type": "own", "detail": "own"}).to_string()),
            "problem" => answer.content_type("application/problem+json").body("{}"),
            "text" => answer.content_type("text/plain").body(CANARY),
            "none" => answer.finish(),
            _ => answer.content_type("text/html; charset=utf-8").body(format!("<h1>{CANARY}</h1>")),
        }
    })
}

#[actix_web::test]
async fn a_page_for_people_becomes_an_error_of_ngsi_ld() {
    let (source, world) = (proxy(), World::new("").await);
    let provider = world.pull_http("tp-p", &source.url).await;
    world.consume("tp-1", &provider.address, &["ngsi-ld"]).await;
    for (status, expected, code, fault) in [
        (200, 502, "answer_not_understood", "peer"),
        (302, 502, "answer_not_understood", "peer"),
        (401, 502, "source_refuses_us", "operator"),
        (403, 502, "source_refuses_us", "operator"),
        (404, 404, "source_refused", "peer"),
        (429, 429, "source_refused", "peer"),
        (500, 500, "source_failed", "peer"),
        (502, 502, "source_failed", "peer"),
        (503, 503, "source_failed", "peer"),
        (504, 504, "source_failed", "peer"),
    ] {
        let path = format!("/ngsi-ld/v1/entities/urn:a:{status}");
        let local = format!("{}{path}", world.local);
        for reply in [provider.get(&world.client, &path, &[]).await, world.client.send("GET", &local, &[], "").await] {
            assert_eq!(reply.status, expected, "{status}");
            assert_eq!(reply.header("content-type"), Some("application/json"), "{status}");
            assert!(!reply.text().contains(CANARY) && !reply.text().contains("<h1>"), "{}", reply.text());
            let problem = reply.json();
            assert_eq!((&problem["code"], &problem["fault"]), (&json!(code), &json!(fault)), "{problem}");
            assert!(problem["type"].as_str().unwrap().starts_with("https://uri.etsi.org/ngsi-ld/errors/"));
            assert!(problem["detail"].as_str().unwrap().contains("or a proxy before it"), "{problem}");
            assert_eq!(reply.header("retry-after"), Some("7"));
        }
        // So that nobody takes the source for broken as a whole.
        assert_eq!(provider.get(&world.client, "/ngsi-ld/v1/entities/urn:a:200?json", &[]).await.status, 200);
    }
    // What is no page keeps its body; other paths than those of NGSI-LD are no matter of it.
    for (path, status, body) in [
        ("/ngsi-ld/v1/entities/urn:a:404?json", 404, "own"),
        ("/ngsi-ld/v1/entities/urn:a:503?problem", 503, "{}"),
        ("/ngsi-ld/v1/entities/urn:a:503?none", 503, ""),
        ("/ngsi-ld/v1/entities/urn:a:200?text", 200, CANARY),
        ("/pages/urn:a:503", 503, CANARY),
    ] {
        let reply = provider.get(&world.client, path, &[]).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.text().contains(body), "{path} {}", reply.text());
    }
    let text = provider.get(&world.client, "/ngsi-ld/v1/entities/urn:a:503?text", &[]).await;
    assert_eq!((text.status, text.json()["code"].as_str()), (503, Some("source_failed")));
    // Under a selection, too.
    let flow = {
        let mut plan = world.plan("tp-2", Some(Source::Http { base_url: source.url.clone(), credential: None }));
        plan.selection = Some(selection());
        world.pull(&plan).await
    };
    for status in [200, 302, 400, 403, 404, 500, 503] {
        let reply = flow.get(&world.client, &format!("/ngsi-ld/v1/entities/urn:a:{status}"), &[]).await;
        assert_clean(&reply);
        assert_eq!(reply.header("content-type"), Some("application/json"), "{status}");
        assert!(reply.json()["type"].as_str().unwrap().starts_with("https://uri.etsi.org/ngsi-ld/errors/"));
    }
}

#[actix_web::test]
async fn our_own_refusals_have_the_form_of_ngsi_ld() {
    let world = World::new("").await;
    let gone = format!("http://127.0.0.1:{}", support::free_port());
    let flow = world.pull_http("tp-1", &gone).await;
    let entities = "/ngsi-ld/v1/entities";
    let unreachable = flow.get(&world.client, entities, &[]).await;
    let unsafe_path = flow.get(&world.client, "/ngsi-ld/v1//entities", &[]).await;
    let token = world.client.send("GET", &format!("{}{entities}", flow.endpoint), &[], "").await;
    let nowhere = world.client.send("GET", &format!("{}{entities}", world.local), &[], "").await;
    let web = [("origin", "https://evil.example")];
    let page = world.client.send("POST", &format!("{}{entities}", world.local), &web, "").await;
    for (reply, status, kind) in [
        (unreachable, 502, "InternalError"),
        (unsafe_path, 400, "InvalidRequest"),
        (token, 401, "OperationNotSupported"),
        (nowhere, 404, "NonexistentTenant"),
        (page, 403, "OperationNotSupported"),
    ] {
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.json()["type"], format!("https://uri.etsi.org/ngsi-ld/errors/{kind}"));
        for member in ["title", "detail", "status", "code", "fault"] {
            assert!(!reply.json()[member].is_null(), "{member}");
        }
    }
    let other = world.client.send("GET", &format!("{}/flows/none/x", world.local), &[], "").await;
    assert_eq!(other.header("content-type"), Some("application/problem+json"));
}

#[actix_web::test]
async fn a_slash_at_the_end_is_no_other_resource() {
    let (source, world) = (broker(), World::new("").await);
    let flow = start(&source, &world).await;
    world.consume("tp-c", &flow.address, &["ngsi-ld"]).await;
    for path in ["/ngsi-ld/v1/entities/?type=Air", "/flows/tp-c/ngsi-ld/v1/entities/?type=Air"] {
        let reply = world.client.send("GET", &format!("{}{path}", world.local), &[], "").await;
        assert_eq!(reply.status, 200, "{path} {}", reply.text());
    }
}
