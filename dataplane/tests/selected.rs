//! Pull from an NGSI-LD broker under a selection: a canary in everything that the agreement hides never comes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use policy_plan::{Selection, Source, Window};
use serde_json::{Value, json};
use support::{Flow, Played, Reply, World};

const CONTEXT: &str = "https://city.example/context.jsonld";
const CANARY: &str = "CANARY";

fn selection() -> Selection {
    serde_json::from_value(json!({
        "types": ["https://m/Air"],
        "ids": ["urn:ngsi-ld:Air:open:*"],
        "attributes": [{"name": "https://m/no2"}, {"name": "https://uri.etsi.org/ngsi-ld/location"}],
        "contexts": [{"url": CONTEXT, "terms": {"Air": "https://m/Air", "no2": "https://m/no2", "plate": "https://m/plate"}}],
        "coordinateDecimals": 2,
    }))
    .unwrap()
}

fn entity(number: u32, kind: &str) -> Value {
    json!({"id": format!("urn:ngsi-ld:{kind}:open:{number}"), "type": kind, "scope": "/CANARY",
        "plate": {"type": "Property", "value": CANARY},
        "no2": {"type": "Property", "value": number, "operator": {"type": "Property", "value": CANARY}},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [16.8765432, 41.1]}}})
}

/// A broker that tells all it has, whatever it is asked.
fn broker() -> Played {
    Played::start(|request: &HttpRequest| {
        let host = request.headers().get("host").unwrap().to_str().unwrap().to_owned();
        let link = format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
        let mut answer = HttpResponse::Ok();
        answer
            .insert_header(("link", link))
            .append_header(("link", format!("<http://{host}/ngsi-ld/v1/entities?offset=9&type=Air>; rel=\"next\"")))
            .append_header(("link", "<https://CANARY.example>; rel=\"license\""))
            .insert_header(("etag", "\"CANARY\""))
            .insert_header(("ngsild-results-count", "77"))
            .insert_header(("ngsild-tenant", CANARY))
            .insert_header(("ngsild-warning", format!("199 {CANARY}")))
            .insert_header(("x-debug", CANARY));
        let json = "application/json";
        let path = request.path().trim_start_matches("/ngsi-ld/v1/entities").trim_start_matches('/');
        let kind = request.headers().get("accept").unwrap().to_str().unwrap().to_owned();
        match path {
            "" if kind == "application/geo+json" => {
                let feature = json!({"type": "Feature", "id": "urn:ngsi-ld:Air:open:1", "bbox": [16.8765432, 41.1, 1, 1],
                    "geometry": {"type": "Point", "coordinates": [16.8765432, 41.1]}, "properties": entity(1, "Air")});
                let features = if request.query_string().contains("offset=") { vec![] } else { vec![feature] };
                answer.content_type(kind).body(json!({"type": "FeatureCollection", "features": features}).to_string())
            }
            "" if request.query_string().contains("offset=") => HttpResponse::Ok().content_type(json).body("[]"),
            "" => {
                let all = json!([entity(1, "Air"), entity(2, "CANARYCar"), entity(3, "Air")]).to_string();
                let chunks: Vec<_> =
                    all.as_bytes().chunks(11).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
                answer.content_type(json).streaming(futures_util::stream::iter(chunks))
            }
            "urn:ngsi-ld:Air:open:1" => answer.content_type(json).body(entity(1, "Air").to_string()),
            "urn:ngsi-ld:Air:open:car" => answer.content_type(json).body(entity(1, "CANARYCar").to_string()),
            "urn:ngsi-ld:Air:open:gone" => HttpResponse::NotFound().body(CANARY),
            "urn:ngsi-ld:Air:open:bad" => HttpResponse::BadRequest().body(CANARY),
            "urn:ngsi-ld:Air:open:sick" => HttpResponse::InternalServerError().body(CANARY),
            "urn:ngsi-ld:Air:open:locked" => HttpResponse::Forbidden().body(CANARY),
            "urn:ngsi-ld:Air:open:moved" => {
                HttpResponse::Found().insert_header(("location", format!("http://{host}/CANARY"))).finish()
            }
            "urn:ngsi-ld:Air:open:html" => answer.content_type("text/html").body(CANARY),
            "urn:ngsi-ld:Air:open:zip" => {
                answer.content_type(json).insert_header(("content-encoding", "gzip")).body(CANARY)
            }
            "urn:ngsi-ld:Air:open:array" => answer.content_type(json).body(json!([entity(1, "Air")]).to_string()),
            "urn:ngsi-ld:Air:open:renamed" => {
                let mut renamed = entity(1, "Air");
                renamed["@context"] = json!({"no2": "https://m/plate"});
                renamed["no2"]["value"] = CANARY.into();
                answer.content_type("application/ld+json").body(renamed.to_string())
            }
            "urn:ngsi-ld:Air:open:cut" => answer.content_type(json).body("{\"id\":\"urn:ngsi-ld:Air:open:1\","),
            other => panic!("asked for {other}"),
        }
    })
}

async fn start(source: &Played) -> (World, Flow) {
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.selection = Some(selection());
    let flow = world.pull(&plan).await;
    (world, flow)
}

fn assert_clean(reply: &Reply) {
    assert!(!format!("{} {:?}", reply.text(), reply.headers).contains(CANARY), "{reply:?} {}", reply.text());
    for name in ["etag", "ngsild-tenant", "ngsild-warning", "x-debug", "content-encoding"] {
        assert!(reply.header(name).is_none(), "{name}");
    }
    // Where there is a length, it is that of our answer.
    assert!(reply.header("content-length").is_none_or(|length| length == reply.body.len().to_string()));
}

#[actix_web::test]
async fn entities_are_filtered_and_the_broker_is_asked_anew() {
    let source = broker();
    let (world, flow) = start(&source).await;
    let headers = [
        ("ngsild-tenant", "other"),
        ("if-none-match", "\"x\""),
        ("range", "bytes=0-9"),
        ("accept-encoding", "gzip"),
        ("traceparent", "00-a-b-01"),
    ];
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities?q=no2%3E0&limit=5", &headers).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_clean(&reply);
    let left = reply.json();
    assert_eq!(left.as_array().unwrap().len(), 2);
    assert_eq!(
        left[1],
        json!({"id": "urn:ngsi-ld:Air:open:3", "type": "Air", "no2": {"type": "Property", "value": 3},
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [16.88, 41.1]}}})
    );
    let links: Vec<&str> = reply.headers.get_all("link").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(links[0].starts_with(&format!("<{CONTEXT}>")), "{links:?}");
    assert_eq!(links.len(), 1, "there is no further page of what is shown: {links:?}");
    assert!(reply.header("ngsild-results-count").is_none());
    let seen = source.all().into_iter().next().unwrap();
    assert!(
        seen.target.starts_with("/ngsi-ld/v1/entities?q=no2%3E0&type=https%3A%2F%2Fm%2FAir&idPattern="),
        "{}",
        seen.target
    );
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("traceparent"), Some("00-a-b-01"));
    assert!(seen.header("link").unwrap().contains(CONTEXT));
    for name in ["ngsild-tenant", "if-none-match", "range"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities", &[("accept", "application/geo+json")]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_clean(&reply);
    assert!(!reply.text().contains("16.8765") && !reply.text().contains("bbox"));
    assert_eq!(reply.json()["features"][0]["geometry"]["coordinates"], json!([16.88, 41.1]));
    assert_eq!(source.last().header("prefer"), Some("body=json"));
}

#[actix_web::test]
async fn one_entity_is_shown_or_looks_as_if_it_were_not_there() {
    let source = broker();
    let (world, flow) = start(&source).await;
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities/urn:ngsi-ld:Air:open:1", &[]).await;
    assert_eq!((reply.status, &reply.json()["no2"]["value"]), (200, &json!(1)));
    assert_clean(&reply);
    let mut bodies = Vec::new();
    for id in ["urn:ngsi-ld:Air:open:car", "urn:ngsi-ld:Air:open:gone", "urn:ngsi-ld:Air:closed:1"] {
        let reply = flow.get(&world.client, &format!("/ngsi-ld/v1/entities/{id}"), &[]).await;
        assert_eq!(reply.status, 404, "{id}");
        assert_clean(&reply);
        bodies.push(reply.text());
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    for (id, status, code) in [
        ("bad", 400, "source_refused"),
        ("sick", 502, "source_failed"),
        ("locked", 502, "source_refuses_us"),
        ("moved", 502, "answer_not_understood"),
        ("html", 502, "content_type_not_understood"),
        ("zip", 502, "encoding_not_understood"),
        ("array", 502, "answer_not_understood"),
        ("renamed", 502, "context_inline"),
        ("cut", 502, "answer_broken_off"),
    ] {
        let reply = flow.get(&world.client, &format!("/ngsi-ld/v1/entities/urn:ngsi-ld:Air:open:{id}"), &[]).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{id}");
        assert_clean(&reply);
    }
}

#[actix_web::test]
async fn what_the_selection_does_not_admit_never_reaches_the_source() {
    let source = broker();
    let (world, flow) = start(&source).await;
    for (method, path, headers, status) in [
        ("GET", "/ngsi-ld/v1/jsonldContexts", vec![], 403),
        ("GET", "/ngsi-ld/v1/entities?q=plate", vec![], 403),
        ("GET", "/ngsi-ld/v1/entities?attrs=no2&attrs=plate", vec![], 403),
        ("GET", "/ngsi-ld/v1/entities?join=inline", vec![], 403),
        (
            "GET",
            "/ngsi-ld/v1/entities",
            vec![("link", "<https://evil/c>; rel=\"http://www.w3.org/ns/json-ld#context\"")],
            403,
        ),
        ("GET", "/ngsi-ld/v1/entities", vec![("accept", "text/html")], 403),
        ("GET", "/ngsi-ld/v1/entities/../types", vec![], 400),
        ("HEAD", "/ngsi-ld/v1/entities", vec![], 405),
        ("POST", "/ngsi-ld/v1/entities", vec![], 405),
        ("POST", "/ngsi-ld/v1/entityOperations/query", vec![], 415),
    ] {
        let reply = flow.ask(&world.client, method, path, &headers).await;
        assert_eq!(reply.status, status, "{method} {path} {}", reply.text());
    }
    assert!(source.all().is_empty());
}

#[actix_web::test]
async fn a_selection_that_cannot_be_enforced_refuses_the_start() {
    let world = World::new("").await;
    let http = || Some(Source::Http { base_url: "http://127.0.0.1:1".into(), credential: None });
    let mut files =
        world.plan("tp-1", Some(Source::Files { root: "shared".into(), path: String::new(), standing: false }));
    let hourly = Window { resolution_seconds: Some(3600), ..Window::default() };
    files.selection = Some(Selection { time: Some(hourly), ..selection() });
    let mut keyless = world.plan("tp-3", http());
    keyless.selection = Some(Selection { pseudonymous_ids: true, ..selection() });
    for (plan, code) in [(files, "selection_not_supported"), (keyless, "selection_not_usable")] {
        let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(&plan, None)).await;
        assert_eq!((status, body["code"].as_str()), (400, Some(code)), "{body}");
    }
}
