//! Counted uses and limited rates, with a control plane that is played by the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use dps_signaling::{DataAddress, HTTP_PUSH, UsageGrant, UsageRequest, block};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use policy_plan::{EnforcementPlan, Expr, Limits, Meter, Source, TimeOperator};
use serde_json::{Value, json};
use support::{Flow, Http, Played, World, broker, now_ms, rule, write};

/// A control plane that grants as ours does, and can be away.
#[derive(Clone, Default)]
struct Granter(Arc<Mutex<Ledger>>);

#[derive(Default)]
struct Ledger {
    limit: u64,
    given: BTreeMap<String, u64>,
    first_use: Option<i64>,
    away: bool,
    questions: usize,
}

impl Granter {
    fn new(limit: u64) -> Self {
        let granter = Self::default();
        granter.0.lock().unwrap().limit = limit;
        granter
    }

    fn play(&self) -> Played {
        let shared = self.0.clone();
        Played::reading(move |request, body| {
            if !request.path().ends_with("/usage") {
                return HttpResponse::Ok().json(json!({}));
            }
            let mut ledger = shared.lock().unwrap();
            ledger.questions += 1;
            if ledger.away {
                return HttpResponse::ServiceUnavailable().finish();
            }
            let question = UsageRequest::decode(&serde_json::from_slice(body).unwrap()).unwrap();
            let limit = ledger.limit;
            let first = *ledger.first_use.get_or_insert(now_ms());
            let given = ledger.given.entry(question.meter.as_wire().to_owned()).or_default();
            let from = *given;
            *given += block(question.meter, from, Some(limit), 1, question.wanted);
            let grant = UsageGrant { from, to: *given, first_use_ms: Some(first), last_use_ms: None };
            HttpResponse::Ok().json(grant.encode())
        })
    }

    fn given(&self, meter: &str) -> u64 {
        self.0.lock().unwrap().given.get(meter).copied().unwrap_or_default()
    }

    fn questions(&self) -> usize {
        self.0.lock().unwrap().questions
    }

    fn away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }
}

fn at_most(meter: Meter, limit: i64) -> Expr {
    Expr::Usage { meter, operator: TimeOperator::Lteq, limit }
}

fn plan(world: &World, process: &str, source: &Played, when: Expr) -> EnforcementPlan {
    let mut plan = world.plan(process, Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.rules = rule("so much and no more", when);
    plan
}

async fn statuses(client: &Http, flow: &Flow, requests: usize) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for reply in join_all((0..requests).map(|_| flow.get(client, "/x", &[]))).await {
        *counted.entry(reply.status).or_default() += 1;
    }
    counted
}

#[actix_web::test]
async fn so_many_requests_and_no_more() {
    let (source, granter) = (broker(), Granter::new(100));
    let world = World::under(granter.play(), "").await;
    let first = world.pull(&plan(&world, "tp-1", &source, at_most(Meter::Count, 100))).await;
    // Two flows of one agreement spend from one account.
    let second = world.pull(&plan(&world, "tp-2", &source, at_most(Meter::Count, 100))).await;
    let (a, b) = futures_util::join!(statuses(&world.client, &first, 80), statuses(&world.client, &second, 80));
    let total = |status: u16| a.get(&status).unwrap_or(&0) + b.get(&status).unwrap_or(&0);
    assert_eq!((total(200), total(403)), (100, 60), "{a:?} {b:?}");
    assert_eq!(source.all().len(), 100, "what was refused did not reach the source");
    assert!(granter.questions() < 60, "{} questions for 160 requests", granter.questions());
    let refused = first.get(&world.client, "/x", &[]).await;
    assert_eq!(refused.status, 403);
    let body = refused.json();
    assert_eq!(body["code"], "policy_denies");
    assert_eq!((body["rule"].as_str(), body["fact"].as_str()), (Some("so much and no more"), Some("count = 101")));
}

#[actix_web::test]
async fn while_the_control_plane_is_away_what_is_held_is_spent_and_then_nothing() {
    let (source, granter) = (broker(), Granter::new(1_000));
    let world = World::under(granter.play(), "").await;
    let flow = world.pull(&plan(&world, "tp-1", &source, at_most(Meter::Count, 1_000))).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    granter.away(true);
    let held = granter.given("count") as usize - 1;
    let counted = statuses(&world.client, &flow, held + 20).await;
    assert_eq!((counted[&200], counted[&503]), (held, 20), "{counted:?}");
    let reply = flow.get(&world.client, "/x", &[]).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.json()["code"], "usage_not_granted");
    assert_eq!(reply.json()["fault"], "us");
    assert!(granter.questions() < 6, "a control plane that is away is not asked for each request");
    granter.away(false);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    assert_eq!(source.all().len(), held + 2);
}

#[actix_web::test]
async fn what_a_crash_loses_counts_as_used() {
    let (source, granter) = (broker(), Granter::new(40));
    let mut world = World::under(granter.play(), "").await;
    let flow = world.pull(&plan(&world, "tp-1", &source, at_most(Meter::Count, 40))).await;
    let mut served = statuses(&world.client, &flow, 10).await[&200];
    world.plane.take().unwrap().kill().await;
    world.start().await;
    // Connections to the dead one are not used again.
    let client = Http::new();
    loop {
        let counted = statuses(&client, &flow, 10).await;
        served += counted.get(&200).unwrap_or(&0);
        if counted.contains_key(&403) {
            break;
        }
    }
    assert!((30..=40).contains(&served), "{served}");
    assert_eq!(granter.given("count"), 40);
}

#[actix_web::test]
async fn the_bytes_of_bodies_are_counted_and_the_limit_cuts() {
    let limit = 1_000_000_u64;
    let (source, granter) = (broker(), Granter::new(limit));
    let world = World::under(granter.play(), "").await;
    let flow = world.pull(&plan(&world, "tp-1", &source, at_most(Meter::Volume, limit as i64))).await;
    let authorization = format!("Bearer {}", flow.token);
    let url = format!("{}/fast", flow.endpoint);
    let answer = world.client.open("GET", &url, &[("authorization", &authorization)], "").await;
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let (mut read, mut broken) = (0, false);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => read += frame.into_data().map_or(0, |data| data.len() as u64),
            Err(_) => broken = true,
        }
    }
    assert!(broken, "a stream that is cut does not look complete");
    assert!((900_000..=limit).contains(&read), "{read}");
    // What is left is too little for a piece, and enough for a small answer.
    let mut last = flow.get(&world.client, "/x", &[]).await;
    for _ in 0..20_000 {
        if last.status != 200 {
            break;
        }
        last = flow.get(&world.client, "/x", &[]).await;
    }
    let fact = last.json()["fact"].as_str().unwrap().to_owned();
    assert!(last.status == 403 && fact.starts_with("volume = 10000"), "{}", last.text());
}

#[actix_web::test]
async fn metered_time_runs_while_data_is_read() {
    let (source, granter) = (broker(), Granter::new(2_000));
    let world = World::under(granter.play(), "").await;
    let flow = world.pull(&plan(&world, "tp-1", &source, at_most(Meter::MeteredTime, 2_000))).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    let begin = Instant::now();
    let authorization = format!("Bearer {}", flow.token);
    let url = format!("{}/endless", flow.endpoint);
    let answer = world.client.open("GET", &url, &[("authorization", &authorization)], "").await;
    assert!(answer.into_body().collect().await.is_err(), "it is cut");
    let took = begin.elapsed();
    assert!((Duration::from_millis(1_500)..Duration::from_millis(3_000)).contains(&took), "{took:?}");
    let reply = flow.get(&world.client, "/x", &[]).await;
    assert_eq!((reply.status, reply.json()["fact"].as_str()), (403, Some("meteredTime = 3 s")));
}

#[actix_web::test]
async fn the_time_since_the_first_use_ends_the_flow() {
    let (source, granter) = (broker(), Granter::new(9));
    let world = World::under(granter.play(), "").await;
    let flow = world.pull(&plan(&world, "tp-1", &source, at_most(Meter::Elapsed, 1_500))).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 403);
    assert_eq!(granter.questions(), 1);
}

#[actix_web::test]
async fn each_file_that_is_pushed_is_a_use() {
    let granter = Granter::new(2);
    let world = World::under(granter.play(), "").await;
    let sink = Played::start(|_| HttpResponse::Created().finish());
    for name in ["a", "b", "c"] {
        write(&world.shared(), &format!("set/{name}.csv"), b"1,2");
    }
    let mut plan =
        world.plan("tp-1", Some(Source::Files { root: "shared".into(), path: "set".into(), standing: false }));
    plan.rules = rule("two uses", at_most(Meter::Count, 2));
    let address = DataAddress::bearer(HTTP_PUSH, &format!("{}/in", sink.url), "SINK-TOKEN", None).encode();
    let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(&plan, Some(address))).await;
    assert_eq!(status, 200, "{body}");
    let told = world.control.wait(|seen| seen.target == "/transfers/tp-1/dataflow/errored").await;
    assert!(told.json()["error"].as_str().unwrap().contains("count = 3"), "{}", told.json());
    assert_eq!(sink.all().len(), 2);
}

#[actix_web::test]
async fn volume_and_pace_hold_for_pushes() {
    let granter = Granter::new(300_000);
    let world = World::under(granter.play(), "").await;
    let sink = Played::start(|_| HttpResponse::Created().finish());
    write(&world.shared(), "set/a.bin", &vec![1; 200_000]);
    write(&world.shared(), "set/b.bin", &vec![2; 200_000]);
    let mut plan =
        world.plan("tp-1", Some(Source::Files { root: "shared".into(), path: "set".into(), standing: false }));
    plan.rules = rule("so many bytes", at_most(Meter::Volume, 300_000));
    plan.limits = limits(json!({"bytesPerSecond": 200_000}));
    let begin = Instant::now();
    let address = DataAddress::bearer(HTTP_PUSH, &format!("{}/in", sink.url), "SINK-TOKEN", None).encode();
    let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(&plan, Some(address))).await;
    assert_eq!(status, 200, "{body}");
    world.control.wait(|seen| seen.target == "/transfers/tp-1/dataflow/errored").await;
    assert_eq!(sink.all().len(), 1, "the second file was cut");
    assert!(begin.elapsed() > Duration::from_millis(1_000), "{:?}", begin.elapsed());
}

fn limits(value: Value) -> Limits {
    serde_json::from_value(value).unwrap()
}

#[actix_web::test]
async fn too_many_requests_are_told_to_come_later() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.limits = limits(json!({"requestsPerSecond": 5}));
    let flow = world.pull(&plan).await;
    let counted = statuses(&world.client, &flow, 20).await;
    assert!((5..=7).contains(&counted[&200]) && counted[&429] >= 13, "{counted:?}");
    let reply = flow.get(&world.client, "/x", &[]).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")));
    assert_eq!(reply.json()["code"], "too_many_requests");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
}

#[actix_web::test]
async fn so_many_answers_at_once() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.limits = limits(json!({"concurrent": 2}));
    let flow = world.pull(&plan).await;
    let authorization = format!("Bearer {}", flow.token);
    let url = format!("{}/endless", flow.endpoint);
    let headers = [("authorization", authorization.as_str())];
    let first = world.client.open("GET", &url, &headers, "").await;
    let _second = world.client.open("GET", &url, &headers, "").await;
    let reply = flow.get(&world.client, "/x", &[]).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (429, Some("too_many_at_once")));
    drop(first);
    let begin = Instant::now();
    while flow.get(&world.client, "/x", &[]).await.status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(5), "a place that was left is free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn bodies_keep_their_pace_and_their_bytes() {
    let world = World::new("").await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    write(&world.shared(), "large.bin", &bytes);
    let mut plan =
        world.plan("tp-1", Some(Source::Files { root: "shared".into(), path: String::new(), standing: false }));
    plan.limits = limits(json!({"bytesPerSecond": 200_000}));
    let flow = world.pull(&plan).await;
    let begin = Instant::now();
    let reply = flow.get(&world.client, "/large.bin", &[]).await;
    let took = begin.elapsed();
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("300000")));
    assert_eq!(reply.body, bytes);
    assert!((Duration::from_millis(1_000)..Duration::from_millis(2_500)).contains(&took), "{took:?}");
}
