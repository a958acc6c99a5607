//! Running streams: cut within a second, readers see an error, slow readers cost no memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dps_signaling::{DataFlowState, StatusMessage};
use http_body_util::BodyExt;
use policy_plan::Source;
use serde_json::json;
use support::{Flow, World, before, broker, now_ms};

/// Reads a stream until it ends; gives the time from `mark` to the end, and whether the end was an error.
async fn read_out(
    flow: &Flow,
    world: &World,
    path: &str,
    mark: tokio::sync::oneshot::Receiver<Instant>,
) -> (Duration, bool) {
    let url = format!("{}{path}", flow.endpoint);
    let authorization = format!("Bearer {}", flow.token);
    let reply = world.client.open("GET", &url, &[("authorization", &authorization)], "").await;
    assert_eq!(reply.status(), 200);
    let mut body = reply.into_body();
    let mut broken = false;
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            broken = true;
            break;
        }
    }
    let end = Instant::now();
    (end.saturating_duration_since(mark.await.unwrap()), broken)
}

#[actix_web::test]
async fn suspend_and_terminate_cut_running_streams_within_a_second() {
    let source = broker();
    let world = World::new("").await;
    for signal in ["suspend", "terminate", "completed"] {
        let flow = world.pull_http(&format!("tp-{signal}"), &source.url).await;
        let (mark, marked) = tokio::sync::oneshot::channel();
        let reading = read_out(&flow, &world, "/endless", marked);
        let signalling = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let begin = Instant::now();
            let (status, _) =
                world.signal("POST", &format!("/dataflows/{}/{signal}", flow.id), &json!({"messageId": "m"})).await;
            assert_eq!(status, 200);
            mark.send(begin).unwrap();
        };
        let ((elapsed, broken), ()) = tokio::join!(reading, signalling);
        assert!(broken, "{signal}: a cut must not look like a regular end");
        assert!(elapsed < Duration::from_secs(1), "{signal}: {elapsed:?}");
        let reply = flow.get(&world.client, "/x", &[]).await;
        assert_eq!(reply.status, 403);
        let code = if signal == "suspend" { "flow_suspended" } else { "flow_ended" };
        assert_eq!(reply.json()["code"], code);
    }
}

#[actix_web::test]
async fn the_end_of_the_agreement_cuts_running_streams() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.rules = before(now_ms() + 1500);
    let flow = world.pull(&plan).await;
    let (mark, marked) = tokio::sync::oneshot::channel();
    mark.send(Instant::now() + Duration::from_millis(1500)).unwrap();
    let (elapsed, broken) = read_out(&flow, &world, "/endless", marked).await;
    assert!(broken && elapsed < Duration::from_secs(1), "{elapsed:?}");
    assert_eq!(flow.get(&world.client, "/x", &[]).await.json()["code"], "policy_denies");
}

#[actix_web::test]
async fn a_reader_that_does_not_read_is_cut_too_and_a_resumed_flow_has_a_new_token() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    let mut reader = TcpStream::connect(world.public.trim_start_matches("http://")).unwrap();
    write!(reader, "GET /flows/{}/fast HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", flow.id, flow.token).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (status, _) =
        world.signal("POST", &format!("/dataflows/{}/suspend", flow.id), &json!({"messageId": "m1"})).await;
    assert_eq!(status, 200);
    // What lay in the sockets' buffers may still come; then the stream breaks off without its last chunk.
    let rest = actix_web::web::block(move || {
        reader.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all);
        all
    });
    let rest = rest.await.unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200"));
    assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 64 * 1024 * 1024, "{}", rest.len());
    let (status, body) =
        world.signal("POST", &format!("/dataflows/{}/resume", flow.id), &json!({"messageId": "m2"})).await;
    assert_eq!(status, 200);
    assert_eq!(StatusMessage::decode(&body).unwrap().state, DataFlowState::Started);
    let resumed = Flow::of(&body);
    assert_ne!(resumed.token, flow.token);
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 401, "the old token is dead");
    assert_eq!(resumed.get(&world.client, "/x", &[]).await.status, 200);
}

#[actix_web::test]
async fn a_slow_reader_does_not_grow_memory() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    let mut readers = Vec::new();
    let before = resident();
    for _ in 0..16 {
        let mut reader = TcpStream::connect(world.public.trim_start_matches("http://")).unwrap();
        write!(reader, "GET /flows/{}/fast HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", flow.id, flow.token)
            .unwrap();
        readers.push(reader);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    // 16 streams of 1 GiB wait. The source runs in this process too, so its buffers count as well.
    let grown = resident().saturating_sub(before);
    assert!(grown < 48 * 1024, "grown by {grown} KiB");
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
