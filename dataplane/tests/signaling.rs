//! The signaling listener: transitions, repeats, bad input, registration, restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::HttpResponse;
use dps_signaling::{HTTP_PULL, HTTP_PUSH, RegistrationMessage};
use policy_plan::{PlanSigner, Source, sign};
use serde_json::{Value, json};
use support::{Flow, Played, SECRET, World, broker, now_ms};

#[actix_web::test]
async fn section_7_the_plane_registers_until_it_is_taken() {
    let refusals = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&refusals);
    let world = World::with_control("", move |request| {
        if request.path() == "/dataplanes" && counter.fetch_add(1, Ordering::SeqCst) < 2 {
            return HttpResponse::ServiceUnavailable().finish();
        }
        HttpResponse::Ok().json(json!({}))
    })
    .await;
    world.control.wait(|_| refusals.load(Ordering::SeqCst) >= 3).await;
    let seen = world.control.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/dataplanes"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    let message = RegistrationMessage::decode(&seen.json()).unwrap();
    assert_eq!(message.dataplane_id, "dp-test");
    assert_eq!(message.endpoint, world.signaling);
    assert_eq!(message.profiles, [HTTP_PULL, HTTP_PUSH]);
    assert_eq!(message.labels, [format!("local={}", world.local)]);
}

#[actix_web::test]
async fn a_plane_is_ready_when_it_can_take_flows() {
    async fn ready(world: &World) -> (u16, Value) {
        let answer = world.client.send("GET", &format!("{}/ready", world.signaling), &[], "").await;
        (answer.status, answer.json()["missing"].clone())
    }
    let refused = Played::start(|_| HttpResponse::ServiceUnavailable().finish());
    let mut world = World::without_plane(refused, "", |config| config);
    world.start().await;
    assert_eq!(ready(&world).await, (503, json!(["no control plane has taken our registration yet"])));
    let health = world.client.send("GET", &format!("{}/health", world.signaling), &[], "").await;
    assert_eq!(health.status, 200, "it lives all the same");
    world.introduce().await;
    assert_eq!(ready(&world).await, (200, json!([])));

    // The control plane stays away over a restart: what it told is kept, and flows go on.
    world.plane.take().unwrap().kill().await;
    world.start().await;
    assert_eq!(ready(&world).await, (200, json!([])));
}

#[actix_web::test]
async fn everything_but_health_needs_the_shared_secret() {
    let world = World::new("").await;
    let health = world.client.send("GET", &format!("{}/health", world.signaling), &[], "").await;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("up")));
    for value in ["", "Bearer wrong", SECRET, "Bearer "] {
        let url = format!("{}/dataflows/x/status", world.signaling);
        assert_eq!(world.client.send("GET", &url, &[("authorization", value)], "").await.status, 401, "{value}");
    }
    assert_eq!(world.signal("GET", "/dataflows/x/status", &json!({})).await.0, 404);
}

#[actix_web::test]
async fn section_2_signals_on_a_provider_flow() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    let path = |signal: &str| format!("/dataflows/{}/{signal}", flow.id);
    for (number, (signal, status, state)) in [
        ("resume", 400, "STARTED"),
        ("started", 400, "STARTED"),
        ("suspend", 200, "SUSPENDED"),
        ("suspend", 400, "SUSPENDED"),
        ("completed", 400, "SUSPENDED"),
        ("resume", 200, "STARTED"),
        ("completed", 200, "COMPLETED"),
        ("completed", 400, "COMPLETED"),
        ("terminate", 400, "COMPLETED"),
        ("resume", 400, "COMPLETED"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = if signal == "completed" { json!({}) } else { json!({"messageId": format!("m{number}")}) };
        let (found, answer) = world.signal("POST", &path(signal), &body).await;
        assert_eq!(found, status, "{number} {signal}: {answer}");
        let (_, status) = world.signal("GET", &path("status"), &json!({})).await;
        assert_eq!(status["state"], state, "{number} {signal}");
        assert!(status.get("dataAddress").is_none());
    }
}

#[actix_web::test]
async fn a_repeated_message_gets_its_answer_again() {
    let source = broker();
    let world = World::new("").await;
    let plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    let message = world.start_message(&plan, None);
    let (_, first) = world.signal("POST", "/dataflows/start", &message).await;
    let (status, second) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!(status, 200);
    let (first, second) = (Flow::of(&first), Flow::of(&second));
    assert_eq!(first.id, second.id);
    assert_eq!(first.get(&world.client, "/x", &[]).await.status, 401, "the lost answer's token is dead");
    assert_eq!(second.get(&world.client, "/x", &[]).await.status, 200);
    let mut other = message.clone();
    other["messageId"] = json!("another");
    let (status, body) = world.signal("POST", "/dataflows/start", &other).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("wrong_state")));
    let suspend = json!({"messageId": "s"});
    let path = format!("/dataflows/{}/suspend", second.id);
    for _ in 0..2 {
        let (status, body) = world.signal("POST", &path, &suspend).await;
        assert_eq!((status, body["state"].as_str()), (200, Some("SUSPENDED")));
    }
}

#[actix_web::test]
async fn bad_input_is_the_callers_fault() {
    let source = broker();
    let world = World::new("").await;
    let named = || Some(Source::Http { base_url: source.url.clone(), credential: None });
    let good = world.start_message(&world.plan("tp-1", named()), None);
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let plan = |change: fn(&mut policy_plan::EnforcementPlan)| {
        let mut plan = world.plan("tp-1", named());
        change(&mut plan);
        with("metadata", json!({"plan": sign(&plan, &world.signer).unwrap()}))
    };
    let stranger = sign(&world.plan("tp-1", named()), &PlanSigner::generate().unwrap()).unwrap();
    let foreign_root = Source::Files { root: "nowhere".into(), path: String::new(), standing: false };
    for (name, body, code) in [
        ("no object", json!([]), "not_an_object"),
        ("no id", with("messageId", Value::Null), "missing_member"),
        ("wrong type", with("processId", json!(5)), "wrong_type"),
        ("profile", with("profile", json!("carrier-pigeon")), "unsupported_profile"),
        ("address in pull", with("dataAddress", json!({"endpoint": "http://x"})), "address_not_expected"),
        ("no plan", with("metadata", json!({})), "plan_missing"),
        ("plan no text", with("metadata", json!({"plan": 5})), "wrong_type"),
        ("plan no jws", with("metadata", json!({"plan": "a.b"})), "plan_envelope"),
        ("plan of a stranger", with("metadata", json!({"plan": stranger})), "plan_unknown_key"),
        ("plan of another process", plan(|plan| plan.process_id = "tp-9".into()), "plan_does_not_fit"),
        ("plan of another agreement", plan(|plan| plan.agreement_id = "x".into()), "plan_does_not_fit"),
        ("plan of another partner", plan(|plan| plan.consumer = "x".into()), "plan_does_not_fit"),
        ("plan of tomorrow", plan(|plan| plan.issued_at = now_ms() + 3_600_000), "plan_from_the_future"),
        ("plan without source", plan(|plan| plan.source = None), "plan_without_source"),
        ("unknown root", world.start_message(&world.plan("tp-1", Some(foreign_root)), None), "file_root_unknown"),
    ] {
        let (status, answer) = world.signal("POST", "/dataflows/start", &body).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some(code)), "{name}: {answer}");
    }
    let url = format!("{}/dataflows/start", world.signaling);
    let authorization = format!("Bearer {SECRET}");
    let headers = [("authorization", authorization.as_str())];
    for (body, status) in [
        (b"{".to_vec(), 400),
        (b"\xff\xfe".to_vec(), 400),
        (b"{\"messageId\": \"\\ud800\"}".to_vec(), 400),
        ("[".repeat(100_000).into_bytes(), 400),
        (vec![b' '; 2 * 1024 * 1024], 413),
        (Vec::new(), 400),
    ] {
        let reply = world.client.send("POST", &url, &headers, body.clone()).await;
        assert_eq!(reply.status, status, "{:?}", String::from_utf8_lossy(&body[..body.len().min(20)]));
    }
    for (method, path, status) in [
        ("GET", "/dataflows/start", 405),
        ("POST", "/dataflows/none/suspend", 404),
        ("POST", "/dataflows/none/explode", 404),
        ("GET", "/dataflows/%ff/status", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/controlplanes/none", 404),
        ("POST", "/controlplanes", 405),
    ] {
        assert_eq!(world.signal(method, path, &json!({"messageId": "m"})).await.0, status, "{method} {path}");
    }
    assert_eq!(world.signal("POST", "/dataflows/start", &good).await.0, 200, "after all that the good one still works");
}

#[actix_web::test]
async fn the_later_draft_names_the_flow_itself() {
    let source = broker();
    let world = World::new("").await;
    let mut message = world.start_message(
        &world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None })),
        None,
    );
    let id = message.as_object_mut().unwrap().remove("processId").unwrap();
    message["dataFlowId"] = id;
    let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!((status, body["dataFlowId"].as_str()), (200, Some("tp-1")));
    let flow = Flow::of(&body);
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    message["dataFlowId"] = json!("../x");
    assert_eq!(world.signal("POST", "/dataflows/start", &message).await.0, 400);
}

#[actix_web::test]
async fn section_4_an_asynchronous_start_is_202_and_a_callback() {
    let source = broker();
    let mut world = World::new("").await;
    world.plane.take().unwrap().stop().await;
    world.config = world.config.replace("answer_within_ms = 5000", "answer_within_ms = 0");
    world.start().await;
    let plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(&plan, None)).await;
    assert_eq!(status, 202);
    assert!(body.get("dataAddress").is_none());
    let callback = world.control.wait(|seen| seen.target == "/transfers/tp-1/dataflow/started").await;
    assert_eq!(callback.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    let flow = Flow::of(&callback.json());
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    let source = Source::Files { root: "shared".into(), path: "missing".into(), standing: false };
    let plan = world.plan("tp-2", Some(source));
    world.signal("POST", "/dataflows/start", &world.start_message(&plan, None)).await;
    let callback = world.control.wait(|seen| seen.target == "/transfers/tp-2/dataflow/errored").await;
    assert!(callback.json()["error"].as_str().unwrap().starts_with("source_not_usable"));
}

#[actix_web::test]
async fn flows_control_planes_and_tokens_survive_a_restart() {
    let source = broker();
    let mut world = World::new("").await;
    let running = world.pull_http("tp-1", &source.url).await;
    let suspended = world.pull_http("tp-2", &source.url).await;
    world.signal("POST", &format!("/dataflows/{}/suspend", suspended.id), &json!({"messageId": "m"})).await;
    world.consume("tp-3", &running.address, &[]).await;
    world.plane.take().unwrap().kill().await;
    world.start().await;
    assert_eq!(running.get(&world.client, "/x", &[]).await.status, 200, "the token is still good");
    assert_eq!(suspended.get(&world.client, "/x", &[]).await.json()["code"], "flow_suspended");
    let local = format!("{}/flows/tp-3/y", world.local);
    assert_eq!(world.client.send("GET", &local, &[], "").await.text(), "GET /y");
    let other = world.pull_http("tp-4", &source.url).await;
    assert_eq!(other.get(&world.client, "/x", &[]).await.status, 200, "the plan key is still known");
    let stored = std::fs::read(world.folder.path().join("data/flows.redb")).unwrap();
    let token = suspended.token.as_bytes();
    assert!(!stored.windows(token.len()).any(|window| window == token), "only the hash of our token is kept");
}
