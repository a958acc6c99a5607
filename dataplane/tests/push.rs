//! Push from our sources to a partner's address.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use actix_web::HttpResponse;
use dps_signaling::{DataAddress, HTTP_PUSH};
use policy_plan::Source;
use serde_json::{Value, json};
use support::{Played, World, before, now_ms, write};

fn sink() -> Played {
    Played::start(|_| HttpResponse::Created().finish())
}

fn address(url: &str) -> Value {
    DataAddress::bearer(HTTP_PUSH, url, "SINK-TOKEN", None).encode()
}

async fn push(world: &World, process: &str, source: Source, to: &str) -> Value {
    let plan = world.plan(process, Some(source));
    let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(&plan, Some(address(to)))).await;
    assert_eq!((status, body["state"].as_str()), (200, Some("STARTED")), "{body}");
    assert!(body.get("dataAddress").is_none());
    body
}

#[actix_web::test]
async fn section_3_files_are_sent_and_completed_is_told() {
    let (world, sink) = (World::new("").await, sink());
    let large = vec![7; 5_000_000];
    write(&world.shared(), "set/a.csv", b"a,b");
    write(&world.shared(), "set/deep/b.bin", &large);
    let source = Source::Files { root: "shared".into(), path: "set".into(), standing: false };
    let flow = push(&world, "tp-1", source, &format!("{}/in?x=1", sink.url)).await;
    let callback = world.control.wait(|seen| seen.target == "/transfers/tp-1/dataflow/completed").await;
    assert_eq!(callback.json()["state"], "COMPLETED");
    let seen = sink.all();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].target.as_str(), seen[0].body.as_slice()), ("/in?x=1", b"a,b".as_slice()));
    assert_eq!(seen[0].header("authorization"), Some("Bearer SINK-TOKEN"));
    assert_eq!(seen[0].header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(seen[1].body, large);
    let path = format!("/dataflows/{}/status", flow["dataFlowId"].as_str().unwrap());
    assert_eq!(world.signal("GET", &path, &json!({})).await.1["state"], "COMPLETED");
}

#[actix_web::test]
async fn pages_of_a_broker_are_followed() {
    let (world, sink) = (World::new("").await, sink());
    let broker = Played::start(|request| {
        let mut answer = HttpResponse::Ok();
        answer.insert_header(("content-type", "application/json"));
        if !request.query_string().contains("offset") {
            answer.insert_header(("link", "<http://gateway.internal/ngsi-ld/v1/entities?offset=1>; rel=\"next\""));
        }
        answer.body(request.uri().to_string())
    });
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: broker.url.clone(), credential: None }));
    plan.admission.paths = vec!["/ngsi-ld/v1/entities".into(), "/ngsi-ld/v1/entities/**".into()];
    let message = world.start_message(&plan, Some(address(&sink.url)));
    assert_eq!(world.signal("POST", "/dataflows/start", &message).await.0, 200);
    world.control.wait(|seen| seen.target.ends_with("/completed")).await;
    let bodies: Vec<String> = sink.all().iter().map(|seen| String::from_utf8(seen.body.clone()).unwrap()).collect();
    assert_eq!(bodies, ["/ngsi-ld/v1/entities", "/ngsi-ld/v1/entities?offset=1"]);
}

#[actix_web::test]
async fn what_goes_wrong_is_told_as_errored_and_changes_no_state() {
    let world = World::new("").await;
    write(&world.shared(), "a.csv", b"a");
    let refusing = Played::start(|_| HttpResponse::Forbidden().finish());
    let source = || Source::Files { root: "shared".into(), path: "a.csv".into(), standing: false };
    let flow = push(&world, "tp-1", source(), &refusing.url).await;
    let callback = world.control.wait(|seen| seen.target == "/transfers/tp-1/dataflow/errored").await;
    assert_eq!(callback.json()["error"], "the partner answered 403");
    assert_eq!(callback.json()["state"], "STARTED");
    let id = flow["dataFlowId"].as_str().unwrap();
    assert_eq!(world.signal("POST", &format!("/dataflows/{id}/terminate"), &json!({"messageId": "m"})).await.0, 200);
    push(&world, "tp-2", source(), &format!("http://127.0.0.1:{}", support::free_port())).await;
    world.control.wait(|seen| seen.target == "/transfers/tp-2/dataflow/errored").await;
    let mut plan = world.plan("tp-3", Some(source()));
    plan.rules = before(now_ms() - 1);
    let message = world.start_message(&plan, Some(address(&refusing.url)));
    world.signal("POST", "/dataflows/start", &message).await;
    let callback = world.control.wait(|seen| seen.target == "/transfers/tp-3/dataflow/errored").await;
    assert!(callback.json()["error"].as_str().unwrap().contains("dateTime lt the end of the contract"));
}

#[actix_web::test]
async fn a_push_needs_an_address_that_may_be_called() {
    let mut world = World::new("").await;
    world.plane.take().unwrap().stop().await;
    world.config = world.config.replace("danger_allow_private_addresses = true", "");
    world.start().await;
    write(&world.shared(), "a.csv", b"a");
    let plan = world.plan("tp-1", Some(Source::Files { root: "shared".into(), path: "a.csv".into(), standing: false }));
    let message = world.start_message(&plan, Some(address("http://127.0.0.1:9/x")));
    let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("bad_address")));
    let mut without = message.clone();
    without.as_object_mut().unwrap().remove("dataAddress");
    let (status, body) = world.signal("POST", "/dataflows/start", &without).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("address_missing")));
}

#[actix_web::test]
async fn a_push_that_a_restart_interrupted_begins_anew() {
    let mut world = World::new("").await;
    write(&world.shared(), "a.csv", b"a");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}", silent.local_addr().unwrap());
    push(&world, "tp-1", Source::Files { root: "shared".into(), path: "a.csv".into(), standing: false }, &to).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    world.plane.take().unwrap().kill().await;
    drop(silent);
    let sink = Played::start(|_| HttpResponse::Ok().finish());
    // The partner's address is the same; behind it somebody answers now.
    let port = to.rsplit(':').next().unwrap().to_owned();
    let forward = std::net::TcpListener::bind(format!("127.0.0.1:{port}"));
    if let Ok(listener) = forward {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let target = sink.url.trim_start_matches("http://").to_owned();
        actix_web::rt::spawn(async move {
            while let Ok((mut inward, _)) = listener.accept().await {
                let mut outward = tokio::net::TcpStream::connect(&target).await.unwrap();
                actix_web::rt::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut inward, &mut outward).await;
                });
            }
        });
        world.start().await;
        sink.wait(|seen| seen.body == b"a").await;
        world.control.wait(|seen| seen.target == "/transfers/tp-1/dataflow/completed").await;
    }
}
