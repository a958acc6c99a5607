//! The consumer's side: the local listener, and what partners push to us.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use actix_web::HttpResponse;
use dps_signaling::DataAddress;
use policy_plan::Source;
use serde_json::{Value, json};
use support::{Flow, Played, World, broker, write};

#[actix_web::test]
async fn a_local_reader_sees_the_providers_data_as_if_it_lay_here() {
    let source = broker();
    let world = World::new("").await;
    let provider = world.pull_http("tp-p", &source.url).await;
    let process = "urn:uuid:0b1f";
    world.consume(process, &provider.address, &["traffic"]).await;
    assert!(source.all().is_empty(), "nothing is called before somebody reads");
    let url = format!("{}/flows/{process}/ngsi-ld/v1/entities?type=A", world.local);
    let reply = world.client.send("GET", &url, &[("ngsild-tenant", "t"), ("if-none-match", "\"q\"")], "").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "GET /ngsi-ld/v1/entities?type=A"));
    assert_eq!(reply.header("ngsild-results-count"), Some("7"));
    let next = format!("<{}/flows/{process}/ngsi-ld/v1/entities?offset=2>; rel=\"next\"", world.local);
    assert_eq!(reply.header("link"), Some(next.as_str()));
    assert_eq!(source.last().header("ngsild-tenant"), Some("t"));
    assert_eq!(source.last().header("if-none-match"), Some("\"q\""));
    assert!(!format!("{reply:?}").contains(&provider.token), "the provider's token stays inside");
    let url = format!("{}/flows/urn%3Auuid%3A0b1f/x", world.local);
    assert_eq!(world.client.send("GET", &url, &[], "").await.status, 200);
    assert_eq!(world.client.send("GET", &format!("{}/flows/none/x", world.local), &[], "").await.status, 404);
}

#[actix_web::test]
async fn an_ngsi_ld_client_needs_no_change() {
    let source = broker();
    let world = World::new("").await;
    let url = format!("{}/ngsi-ld/v1/entities?type=A", world.local);
    assert_eq!(world.client.send("GET", &url, &[], "").await.status, 404);
    let broker = |process: &str| {
        let source = Source::Http { base_url: source.url.clone(), credential: None };
        let mut plan = world.plan(process, Some(source));
        plan.admission.paths = vec!["/ngsi-ld/v1/entities".into()];
        plan
    };
    let first = world.pull(&broker("tp-a")).await;
    let consumer = world.consume("tp-1", &first.address, &["traffic"]).await;
    let reply = world.client.send("GET", &url, &[], "").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "GET /ngsi-ld/v1/entities?type=A"));
    let next = format!("<{}/ngsi-ld/v1/entities?offset=2>; rel=\"next\"", world.local);
    assert_eq!(reply.header("link"), Some(next.as_str()));
    world.signal("POST", &format!("/dataflows/{consumer}/suspend"), &json!({"messageId": "s"})).await;
    let reply = world.client.send("GET", &url, &[], "").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("flow_suspended")));
    let again = json!({"messageId": "r", "dataAddress": first.address});
    assert_eq!(world.signal("POST", &format!("/dataflows/{consumer}/resume"), &again).await.0, 200);
    write(&world.shared(), "a.bin", b"x");
    let files = world.pull_files("tp-b", "a.bin").await;
    world.consume("tp-2", &files.address, &[]).await;
    assert_eq!(world.client.send("GET", &url, &[], "").await.status, 200, "the broker's flow is meant");
    let second = world.pull(&broker("tp-c")).await;
    world.consume("tp-3", &second.address, &["air"]).await;
    let reply = world.client.send("GET", &url, &[], "").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (409, Some("several_transfers")));
    for tenant in ["tp-3", "air", "traffic"] {
        let reply = world.client.send("GET", &url, &[("ngsild-tenant", tenant)], "").await;
        assert_eq!(reply.status, 200, "{tenant}");
        assert_eq!(source.last().header("ngsild-tenant"), None, "the name was for us");
    }
    assert_eq!(world.client.send("GET", &url, &[("ngsild-tenant", "none")], "").await.status, 404);
}

#[actix_web::test]
async fn ranges_and_refusals_pass_through() {
    let world = World::new("").await;
    write(&world.shared(), "a.bin", b"0123456789");
    let provider = world.pull_files("tp-p", "a.bin").await;
    let consumer = world.consume("tp-1", &provider.address, &[]).await;
    let url = format!("{}/flows/tp-1", world.local);
    let reply = world.client.send("GET", &url, &[("range", "bytes=-3")], "").await;
    assert_eq!((reply.status, reply.text().as_str()), (206, "789"));
    let head = world.client.send("HEAD", &url, &[], "").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    world.signal("POST", &format!("/dataflows/{}/suspend", provider.id), &json!({"messageId": "m"})).await;
    let reply = world.client.send("GET", &url, &[], "").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("flow_suspended")), "the provider's reason");
    let (_, resumed) =
        world.signal("POST", &format!("/dataflows/{}/resume", provider.id), &json!({"messageId": "n"})).await;
    world.signal("POST", &format!("/dataflows/{consumer}/suspend"), &json!({"messageId": "m"})).await;
    assert_eq!(world.client.send("GET", &url, &[], "").await.json()["code"], "flow_suspended", "our own");
    let again = json!({"messageId": "n", "dataAddress": resumed["dataAddress"]});
    assert_eq!(world.signal("POST", &format!("/dataflows/{consumer}/resume"), &again).await.0, 200);
    assert_eq!(world.client.send("GET", &url, &[], "").await.text(), "0123456789");
}

#[actix_web::test]
async fn an_edc_provider_gets_its_token_raw() {
    let edc =
        Played::start(|request| match request.headers().get("authorization").map(|value| value.to_str().unwrap()) {
            Some("EDC-TOKEN") => HttpResponse::Ok().body("data"),
            _ => HttpResponse::Forbidden().body("Failed to decode token"),
        });
    let namespace = "https://w3id.org/edc/v0.0.1/ns/";
    let address = json!({"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpointProperties": [
        {"name": format!("{namespace}endpoint"), "value": format!("{}/public", edc.url)},
        {"name": format!("{namespace}authType"), "value": "bearer"},
        {"name": format!("{namespace}authorization"), "value": "EDC-TOKEN"}]});
    let world = World::new("").await;
    world.consume("tp-1", &address, &[]).await;
    let url = format!("{}/flows/tp-1/x", world.local);
    assert_eq!(world.client.send("GET", &url, &[], "").await.text(), "data");
    assert_eq!(edc.all().len(), 2, "with Bearer first, then raw");
    assert_eq!(world.client.send("GET", &url, &[], "").await.text(), "data");
    assert_eq!(edc.all().len(), 3, "it is remembered");
}

#[actix_web::test]
async fn addresses_that_must_not_be_called_are_refused_when_they_come() {
    let mut world = World::new("").await;
    world.plane.take().unwrap().stop().await;
    world.config = world.config.replace("danger_allow_private_addresses = true", "");
    world.start().await;
    let prepare = world.message("tp-1", String::new(), None, "did:web:prov.example");
    let (_, body) = world.signal("POST", "/dataflows/prepare", &prepare).await;
    let path = format!("/dataflows/{}/started", body["dataFlowId"].as_str().unwrap());
    for endpoint in [
        "http://127.0.0.1:1/x",
        "https://169.254.169.254/x",
        "https://[::1]/x",
        "http://example.org/x",
        "ftp://x/y",
        "",
    ] {
        let message = json!({"messageId": endpoint, "dataAddress": {"endpoint": endpoint, "endpointType": "x"}});
        let (status, body) = world.signal("POST", &path, &message).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("bad_address")), "{endpoint}");
    }
    let (status, body) = world.signal("POST", &path, &json!({"messageId": "m"})).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("address_missing")));
}

#[actix_web::test]
async fn web_pages_cannot_use_the_local_listener() {
    let world = World::new("").await;
    let url = format!("{}/ngsi-ld/v1/entities", world.local);
    assert_eq!(world.client.send("GET", &url, &[("host", "evil.example")], "").await.status, 421);
    let reply = world.client.send("POST", &url, &[("origin", "https://evil.example")], "{}").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("cross_origin")));
}

async fn prepare_push(world: &World, process: &str) -> (Flow, Value) {
    let mut prepare = world.message(process, String::new(), Some(json!({"x": 1})), "did:web:prov.example");
    prepare.as_object_mut().unwrap().remove("dataAddress");
    let (status, body) = world.signal("POST", "/dataflows/prepare", &prepare).await;
    assert_eq!((status, body["state"].as_str()), (200, Some("PREPARED")), "{body}");
    (Flow::of(&body), body)
}

#[actix_web::test]
async fn section_2_a_consumer_receives_from_prepare_on() {
    let world = World::new("[inbox]\nmax_file_bytes = 1000\nmax_files = 3").await;
    let (flow, body) = prepare_push(&world, "tp-1").await;
    assert!(flow.endpoint.ends_with("/inbox"));
    assert_eq!(DataAddress::decode(&body["dataAddress"]).unwrap().property("authType"), Some("bearer"));
    let put = async |bytes: &[u8], token: &str, kind: &str| {
        let headers = [("authorization", token), ("content-type", kind)];
        world.client.send("POST", &flow.endpoint, &headers, bytes.to_vec()).await
    };
    let token = format!("Bearer {}", flow.token);
    let reply = put(b"{}", &token, "application/json; charset=utf-8").await;
    assert_eq!((reply.status, reply.json()["size"].as_u64()), (201, Some(2)));
    let inbox = world.folder.path().join("data/inbox/tp-1");
    let name = reply.json()["name"].as_str().unwrap().to_owned();
    assert!(name.ends_with(".json"));
    assert_eq!(std::fs::read(inbox.join(&name)).unwrap(), b"{}");
    let started = format!("/dataflows/{}/started", flow.id);
    let (status, body) =
        world.signal("POST", &started, &json!({"messageId": "a", "dataAddress": {"endpoint": "http://x"}})).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("address_not_expected")));
    assert_eq!(world.signal("POST", &started, &json!({"messageId": "b"})).await.0, 200);
    for (length, token, status) in [(1001, token.as_str(), 413), (10, "Bearer wrong", 401)] {
        assert_eq!(put(&vec![b'x'; length], token, "text/csv").await.status, status);
    }
    // The partner knows the address of `prepare`; `started` must not make another.
    assert_eq!(put(b"x", &token, "text/csv").await.status, 201);
    assert_eq!(std::fs::read_dir(&inbox).unwrap().count(), 2, "nothing is left of what was refused");
    let local = world.client.send("GET", &format!("{}/flows/tp-1/{name}", world.local), &[], "").await;
    assert_eq!((local.status, local.text().as_str()), (200, "{}"));
    assert_eq!(put(b"x", &token, "text/csv").await.status, 201);
    assert_eq!(put(b"x", &token, "text/csv").await.json()["code"], "inbox_full");
    let other = world.client.send("GET", &flow.endpoint, &[("authorization", &token)], "").await;
    assert_eq!(other.status, 405);
    world.signal("POST", &format!("/dataflows/{}/completed", flow.id), &json!({})).await;
    assert_eq!(put(b"x", &token, "text/csv").await.status, 403);
}
