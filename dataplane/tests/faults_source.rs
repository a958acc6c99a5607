//! Sources that fail: what the reader sees, who is said to be at fault, what is tried again, and who is left alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use dps_signaling::{DataAddress, HTTP_PULL};
use http_body_util::BodyExt;
use policy_plan::{Selection, Source};
use serde_json::{Value, json};
use support::scripted::{Act, Scripted};
use support::{Flow, Reply, World, free_port};

const PATIENCE: Duration = Duration::from_secs(30);
const CONTEXT: &str = "https://city.example/context.jsonld";

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < PATIENCE, "{what}: waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads an answer as far as it goes: the status, what came, and whether its end was a regular one.
async fn drain(world: &World, url: &str, token: Option<&str>) -> (u16, Vec<u8>, bool) {
    let authorization = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
    let headers: &[(&str, &str)] = if token.is_some() { &[("authorization", &authorization)] } else { &[] };
    let reply = world.client.open("GET", url, headers, "").await;
    let status = reply.status().as_u16();
    let (mut body, mut all) = (reply.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => all.extend_from_slice(&data),
            Ok(Err(_)) => {}
            Err(_) => return (status, all, false),
        }
    }
    (status, all, true)
}

fn told(reply: &Reply) -> (u16, String, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (reply.status, text("code"), text("fault"))
}

fn proxies(reply: &Reply) -> Vec<&str> {
    reply.headers.get_all("proxy-status").iter().map(|value| value.to_str().unwrap()).collect()
}

#[actix_web::test]
async fn a_source_keeps_its_meaning_and_the_reader_learns_who_is_at_fault() {
    let world = World::tuned("head_timeout_seconds = 1\nrest_after_failures = 0\nretries = 0", "").await;
    let html = "<html>the source's own</html>";
    let answers: [(&str, Act, u16, &str, &str); 8] = [
        ("not found", Act::status(404, "application/json", "{\"own\":1}"), 404, "", "{\"own\":1}"),
        ("conflict", Act::status(409, "text/plain", "own"), 409, "", "own"),
        ("html", Act::status(500, "text/html", html), 500, "", html),
        ("not able", Act::status(503, "application/json", "{}"), 503, "", "{}"),
        ("nothing in time", Act::Hang(vec![]), 504, "source_timeout", ""),
        ("half a head in time", Act::Hang(b"HTTP/1.1 200 OK\r\nConte".to_vec()), 504, "source_timeout", ""),
        ("half a head", Act::Close(b"HTTP/1.1 200 OK\r\nConte".to_vec()), 502, "source_unreachable", ""),
        ("no HTTP", Act::Close(b"220 mail.example ESMTP\r\n\r\n".to_vec()), 502, "source_unreachable", ""),
    ];
    for (number, (name, act, status, code, body)) in answers.into_iter().enumerate() {
        let source = Scripted::start(move |_, _| act.clone()).await;
        let flow = world.pull_http(&format!("tp-p{number}"), &source.url).await;
        let process = format!("tp-c{number}");
        world.consume(&process, &flow.address, &[]).await;
        let at_provider = flow.get(&world.client, "/x", &[]).await;
        let local = format!("{}/flows/{process}/x", world.local);
        let at_consumer = world.client.send("GET", &local, &[], "").await;
        for reply in [&at_provider, &at_consumer] {
            assert_eq!(reply.status, status, "{name}");
            if code.is_empty() {
                assert_eq!(reply.text(), body, "{name}: the source's own words");
            } else {
                assert_eq!(told(reply), (status, code.to_owned(), "source".to_owned()), "{name}");
                assert!(!reply.text().contains(&source.port.to_string()), "{name}: its address stays inside");
            }
        }
        let provider = format!("hansa-provider; received-status={status}");
        let consumer = format!("hansa-consumer; received-status={status}");
        if code.is_empty() {
            assert_eq!(proxies(&at_provider), [&provider], "{name}");
            assert_eq!(proxies(&at_consumer), [&provider, &consumer], "{name}");
        } else {
            assert!(proxies(&at_provider).is_empty(), "{name}: these are our own words");
            assert_eq!(proxies(&at_consumer), [&consumer], "{name}");
        }
    }
    // The partner's data plane is another one to blame than its source.
    let nobody = format!("http://127.0.0.1:{}/flows/1", free_port());
    world.consume("tp-away", &DataAddress::bearer(HTTP_PULL, &nobody, "t", None).encode(), &[]).await;
    let reply = world.client.send("GET", &format!("{}/flows/tp-away/x", world.local), &[], "").await;
    assert_eq!(told(&reply), (502, "partner_unreachable".to_owned(), "peer".to_owned()));
}

#[actix_web::test]
async fn a_source_that_dies_in_the_middle_leaves_a_broken_body() {
    let world = World::tuned("rest_after_failures = 0", "").await;
    let length = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec();
    let in_a_chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf".to_vec();
    for (number, head) in [length, chunked, in_a_chunk].into_iter().enumerate() {
        for (how, act) in
            [("close", Act::Close(head.clone())), ("reset", Act::Reset(head.clone())), ("hang", Act::Hang(head))]
        {
            let source = Scripted::start(move |_, _| act.clone()).await;
            let flow = world.pull_http(&format!("tp-p{number}-{how}"), &source.url).await;
            let process = format!("tp-c{number}-{how}");
            world.consume(&process, &flow.address, &[]).await;
            let (status, body, whole) = drain(&world, &format!("{}/x", flow.endpoint), Some(&flow.token)).await;
            assert_eq!((status, whole), (200, false), "{number} {how}: {}", String::from_utf8_lossy(&body));
            let (status, body, whole) = drain(&world, &format!("{}/flows/{process}/x", world.local), None).await;
            assert_eq!((status, whole), (200, false), "{number} {how}: {}", String::from_utf8_lossy(&body));
            assert_eq!(source.count(), 2, "nothing is asked for again after the first byte");
        }
    }
}

fn entities(count: usize) -> String {
    let entity = |number| json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "https://m/Air", "https://m/no2": {"type": "Property", "value": number}});
    Value::Array((0..count).map(entity).collect()).to_string()
}

#[actix_web::test]
async fn filtered_json_of_a_source_that_dies_is_not_closed_as_if_it_were_whole() {
    let world = World::tuned("rest_after_failures = 0", "").await;
    let selection: Selection = serde_json::from_value(
        json!({"types": ["https://m/Air"], "attributes": [{"name": "https://m/no2"}], "contexts": [{"url": CONTEXT, "terms": {"Air": "https://m/Air"}}]}),
    )
    .unwrap();
    let all = entities(500);
    let half = &all[..all.len() / 2];
    let link = format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
    let kind = format!("Content-Type: application/json\r\nLink: {link}\r\n");
    let sized = format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: {}\r\n\r\n{half}", all.len());
    let chunk = format!("HTTP/1.1 200 OK\r\n{kind}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n", half.len());
    // Here only the JSON tells that something is missing.
    let until_closed = format!("HTTP/1.0 200 OK\r\n{kind}\r\n{half}");
    let closed = format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: {}\r\n\r\n{half}", half.len());
    for (number, head) in [sized, chunk, until_closed, closed].into_iter().enumerate() {
        let source = Scripted::start(move |_, _| Act::Close(head.clone().into_bytes())).await;
        let named = Source::Http { base_url: source.url.clone(), credential: None };
        let mut plan = world.plan(&format!("tp-{number}"), Some(named));
        plan.selection = Some(selection.clone());
        let flow: Flow = world.pull(&plan).await;
        let url = format!("{}/ngsi-ld/v1/entities?type=https%3A%2F%2Fm%2FAir", flow.endpoint);
        let (status, body, whole) = drain(&world, &url, Some(&flow.token)).await;
        assert_eq!((status, whole), (200, false), "{number}: {}", String::from_utf8_lossy(&body));
        assert!(!body.is_empty() && serde_json::from_slice::<Value>(&body).is_err(), "{number}");
    }
}

#[actix_web::test]
async fn a_page_of_a_source_that_dies_is_not_kept_by_the_receiver() {
    let world = World::tuned("rest_after_failures = 0", "").await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[{\"id\":".to_vec();
    let source = Scripted::start(move |_, _| Act::Close(head.clone())).await;
    let mut prepare = world.message("tp-c", String::new(), Some(json!({"x": 1})), "did:web:prov.example");
    prepare.as_object_mut().unwrap().remove("dataAddress");
    let (_, prepared) = world.signal("POST", "/dataflows/prepare", &prepare).await;
    let named = Source::Http { base_url: source.url.clone(), credential: None };
    let message = world.start_message(&world.plan("tp-p", Some(named)), Some(prepared["dataAddress"].clone()));
    assert_eq!(world.signal("POST", "/dataflows/start", &message).await.0, 200);
    let callback = world.control.wait(|seen| seen.target == "/transfers/tp-p/dataflow/errored").await;
    assert_eq!(callback.json()["state"], "STARTED", "it can be taken up");
    let inbox = world.folder.path().join("data/inbox/tp-c");
    until("the part is thrown away", async || {
        std::fs::read_dir(&inbox).map(|found| found.count()).unwrap_or_default() == 0
    })
    .await;
}

#[actix_web::test]
async fn what_nobody_has_taken_is_sent_again_and_nothing_else() {
    let world = World::tuned("rest_after_failures = 0\nretries = 2\nhead_timeout_seconds = 10", "").await;
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec();
    let cases: [(&str, &str, Act, usize, u16); 8] = [
        ("closed before the answer", "GET", Act::Close(vec![]), 2, 200),
        ("reset before the answer", "GET", Act::Reset(vec![]), 1, 200),
        ("HEAD", "HEAD", Act::Close(vec![]), 2, 200),
        ("too often", "GET", Act::Close(vec![]), 3, 502),
        ("a write", "POST", Act::Close(vec![]), 1, 502),
        ("an answer is an answer", "GET", Act::status(503, "text/plain", ""), 1, 503),
        ("after the first byte", "GET", Act::Close(begun), 1, 200),
        ("no HTTP", "GET", Act::Close(b"no HTTP\r\n\r\n".to_vec()), 1, 502),
    ];
    for (number, (name, method, act, failures, status)) in cases.into_iter().enumerate() {
        let source = Scripted::start(
            move |number, _| {
                if number < failures { act.clone() } else { Act::Close(ok_without_body()) }
            },
        )
        .await;
        let flow = world.pull_http(&format!("tp-{number}"), &source.url).await;
        let authorization = format!("Bearer {}", flow.token);
        let url = format!("{}/x", flow.endpoint);
        let reply = world.client.open(method, &url, &[("authorization", &authorization)], "").await;
        assert_eq!(reply.status(), status, "{name}");
        let asked = source.count();
        match name {
            "closed before the answer" | "HEAD" | "too often" => assert_eq!(asked, 3, "{name}"),
            "reset before the answer" => assert_eq!(asked, 2, "{name}"),
            _ => assert_eq!(asked, 1, "{name}"),
        }
    }
}

fn ok_without_body() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()
}

#[actix_web::test]
async fn a_source_that_does_not_answer_is_left_alone_until_one_request_gets_through() {
    let world = World::tuned("rest_after_failures = 3\nrest_seconds = 2\nretries = 0", "").await;
    let (healthy, other) = (Scripted::start(|_, _| Act::ok("fine")).await, free_port());
    let source = Scripted::start(|number, _| match number {
        0..3 => Act::status(503, "text/plain", "own"),
        _ => Act::ok("back"),
    })
    .await;
    // Two flows of one source share what is known of it.
    let first = world.pull_http("tp-1", &format!("{}/a", source.url)).await;
    let second = world.pull_http("tp-2", &format!("{}/b", source.url)).await;
    let well = world.pull_http("tp-3", &healthy.url).await;
    let away = world.pull_http("tp-4", &format!("http://127.0.0.1:{other}")).await;
    for flow in [&first, &second, &first] {
        let reply = flow.get(&world.client, "/x", &[]).await;
        assert_eq!((reply.status, reply.text().as_str()), (503, "own"));
    }
    let reply = second.get(&world.client, "/x", &[]).await;
    assert_eq!(told(&reply), (503, "source_resting".to_owned(), "source".to_owned()));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert!(reply.json()["detail"].as_str().unwrap().contains("has not answered since 20"), "{}", reply.text());
    assert_eq!(source.count(), 3, "it is not asked");
    assert_eq!(well.get(&world.client, "/x", &[]).await.status, 200, "others are");
    // Operators see it.
    let (_, status) = world.signal("GET", "/status", &json!({})).await;
    assert_eq!(status["sources"][0]["authority"], source.url.trim_start_matches("http://"));
    assert_eq!((&status["sources"][0]["state"], &status["sources"][0]["failuresInARow"]), (&json!("open"), &json!(3)));
    let health = world.client.send("GET", &format!("{}/health", world.signaling), &[], "").await;
    assert_eq!(health.json(), json!({"status": "up", "targetsThatDoNotAnswer": true}));
    // It closes by itself: a reader that comes again is let through.
    until("the source is asked again", async || first.get(&world.client, "/x", &[]).await.status == 200).await;
    assert_eq!(second.get(&world.client, "/x", &[]).await.text(), "back");
    let (_, status) = world.signal("GET", "/status", &json!({})).await;
    assert_eq!(status["sources"], json!([]));
    // One that is not reachable at all.
    for _ in 0..3 {
        assert_eq!(told(&away.get(&world.client, "/x", &[]).await).1, "source_unreachable");
    }
    assert_eq!(told(&away.get(&world.client, "/x", &[]).await).1, "source_resting");
}

#[actix_web::test]
async fn a_partner_that_cannot_be_reached_is_left_alone_and_its_failing_source_is_not_held_against_it() {
    let world = World::tuned("rest_after_failures = 2\nrest_seconds = 60\nretries = 0", "").await;
    let nobody = format!("http://127.0.0.1:{}/flows/1", free_port());
    world.consume("tp-away", &DataAddress::bearer(HTTP_PULL, &nobody, "t", None).encode(), &[]).await;
    let read = async |process: &str| {
        let url = format!("{}/flows/{process}/x", world.local);
        told(&world.client.send("GET", &url, &[], "").await)
    };
    for expected in ["partner_unreachable", "partner_unreachable", "partner_resting"] {
        assert_eq!(read("tp-away").await.1, expected);
    }
    let sick = world.pull_http("tp-sick", &format!("http://127.0.0.1:{}", free_port())).await;
    let well = Scripted::start(|_, _| Act::ok("fine")).await;
    let well = world.pull_http("tp-well", &well.url).await;
    world.consume("tp-c-sick", &sick.address, &[]).await;
    world.consume("tp-c-well", &well.address, &[]).await;
    for _ in 0..4 {
        let (_, code, fault) = read("tp-c-sick").await;
        assert!(code.starts_with("source_") && fault == "source", "{code}");
    }
    assert_eq!(read("tp-c-well").await.0, 200, "the partner's other sources are read");
}

#[actix_web::test]
async fn a_source_that_is_started_anew_is_read_again_without_anybody_doing_anything() {
    let world = World::tuned("rest_after_failures = 2\nrest_seconds = 1\nretries = 2", "").await;
    let port = free_port();
    let source = Scripted::start_at(port, |_, _| Act::ok("before")).await;
    let flow = world.pull_http("tp-1", &source.url).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.text(), "before");
    drop(source);
    until("it is away", async || {
        let (status, code, _) = told(&flow.get(&world.client, "/x", &[]).await);
        matches!((status, code.as_str()), (502, "source_unreachable") | (503, "source_resting"))
    })
    .await;
    let _source = Scripted::start_at(port, |_, _| Act::ok("after")).await;
    until("it is back", async || flow.get(&world.client, "/x", &[]).await.text() == "after").await;
}
