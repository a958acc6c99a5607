//! Readers that do not read, and partners that want everything: memory and places are bounded, and nobody is starved.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use policy_plan::Source;
use serde_json::{Value, json};
use support::scripted::{Act, Scripted};
use support::{Flow, Played, World, write};

const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < PATIENCE, "{what}: waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn ask_and_never_read(world: &World, flow: &Flow) -> TcpStream {
    let mut reader = TcpStream::connect(world.public.trim_start_matches("http://")).unwrap();
    write!(reader, "GET /flows/{}/x HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n", flow.id, flow.token).unwrap();
    reader
}

#[actix_web::test]
async fn a_reader_that_takes_nothing_holds_up_the_source_and_is_cut_in_the_end() {
    let world = World::tuned("idle_timeout_seconds = 60", "stall_seconds = 2").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
    let source = Scripted::start(move |_, _| Act::Endless(head.into())).await;
    let flow = world.pull_http("tp-1", &source.url).await;
    let readers: Vec<TcpStream> = (0..4).map(|_| ask_and_never_read(&world, &flow)).collect();
    until("the source is read", async || source.sent.load(Ordering::SeqCst) > 0).await;
    until("the readers are cut, and the source with them", async || source.broken_off.load(Ordering::SeqCst) == 4)
        .await;
    let sent = source.sent.load(Ordering::SeqCst) >> 20;
    assert!(sent < 128, "of a tebibyte only what sockets hold was fetched: {sent} MiB");
    drop(readers);
    // A file is no different.
    write(&world.shared(), "big.bin", &vec![7; 64 << 20]);
    let flow = world.pull_files("tp-2", "big.bin").await;
    let mut reader = ask_and_never_read_file(&world, &flow);
    let read = actix_web::web::block(move || {
        reader.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut all = vec![0; 1];
        std::io::Read::read_exact(&mut reader, &mut all).unwrap();
        std::thread::sleep(Duration::from_secs(6));
        let _ = std::io::Read::read_to_end(&mut reader, &mut all);
        all.len()
    });
    let read = read.await.unwrap();
    assert!(read < 64 << 20, "the file is not whole for a reader that stood still: {read}");
}

fn ask_and_never_read_file(world: &World, flow: &Flow) -> TcpStream {
    let mut reader = TcpStream::connect(world.public.trim_start_matches("http://")).unwrap();
    write!(
        reader,
        "GET /flows/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\r\n",
        flow.id, flow.token
    )
    .unwrap();
    reader
}

#[actix_web::test]
async fn a_slow_reader_that_reads_gets_everything() {
    let world = World::tuned("", "stall_seconds = 2").await;
    write(&world.shared(), "a.bin", &vec![7; 24 << 20]);
    let flow = world.pull_files("tp-1", "a.bin").await;
    let mut reader = ask_and_never_read_file(&world, &flow);
    let read = actix_web::web::block(move || {
        let (mut total, mut buffer) = (0, vec![0; 1 << 20]);
        reader.set_read_timeout(Some(PATIENCE)).unwrap();
        while total < 24 << 20 {
            match std::io::Read::read(&mut reader, &mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(read) => total += read,
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        total
    });
    assert!(read.await.unwrap() > 24 << 20, "longer than the limit in all, and never so long at once");
}

#[actix_web::test]
async fn a_sender_that_pauses_too_long_is_told_so_and_may_go_on() {
    let world = World::tuned("idle_timeout_seconds = 1", "").await;
    let mut prepare = world.message("tp-c", String::new(), Some(json!({"x": 1})), "did:web:prov.example");
    prepare.as_object_mut().unwrap().remove("dataAddress");
    let (_, prepared) = world.signal("POST", "/dataflows/prepare", &prepare).await;
    let flow = Flow::of(&prepared);
    let path = flow.endpoint.trim_start_matches(&world.public).to_owned();
    let address = world.public.trim_start_matches("http://").to_owned();
    let token = flow.token.clone();
    let answer = actix_web::web::block(move || {
        let mut sender = TcpStream::connect(address).unwrap();
        let head = format!(
            "PUT {path}/a.bin?version=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 10\r\n\r\nhalf"
        );
        sender.write_all(head.as_bytes()).unwrap();
        sender.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 4096];
        let read = std::io::Read::read(&mut sender, &mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let url = format!("{}/a.bin?version=1", flow.endpoint);
    let authorization = format!("Bearer {}", flow.token);
    let reply = world.client.send("HEAD", &url, &[("authorization", &authorization)], "").await;
    assert_eq!(reply.header("upload-offset"), Some("4"), "what arrived stays");
    let local = format!("{}/flows/tp-c/a.bin", world.local);
    assert_ne!(world.client.send("GET", &local, &[], "").await.status, 200, "and is not shown as a file");
}

/// A source that answers when the test says so, and remembers in which order it was asked.
#[derive(Clone)]
struct Gate {
    asked: Arc<Mutex<Vec<String>>>,
    open: Arc<tokio::sync::Semaphore>,
}

fn gate() -> (Gate, Played) {
    let gate = Gate { asked: Arc::default(), open: Arc::new(tokio::sync::Semaphore::new(0)) };
    let kept = gate.clone();
    let source = Played::start(move |request| {
        kept.asked.lock().unwrap().push(request.path().to_owned());
        let open = Arc::clone(&kept.open);
        HttpResponse::Ok().streaming(futures_util::stream::once(async move {
            open.acquire().await.unwrap().forget();
            Ok::<_, std::io::Error>(actix_web::web::Bytes::from_static(b"done"))
        }))
    });
    (gate, source)
}

async fn flow_of(world: &World, process: &str, partner: &str, source: &Played) -> Flow {
    let mut plan = world.plan(process, Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.consumer = partner.to_owned();
    let message = world.message(process, policy_plan::sign(&plan, &world.signer).unwrap(), None, partner);
    let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!(status, 200, "{body}");
    Flow::of(&body)
}

#[actix_web::test]
async fn a_greedy_partner_with_200_requests_does_not_starve_a_modest_one() {
    let world = World::tuned(
        "idle_timeout_seconds = 60\nhead_timeout_seconds = 60",
        "max_requests = 4\nqueue_per_partner = 1000\nqueue_seconds = 120",
    )
    .await;
    let (gate, source) = gate();
    let greedy = flow_of(&world, "tp-greedy", "did:web:greedy.example", &source).await;
    // The greedy one has two agreements, which changes nothing.
    let other = flow_of(&world, "tp-other", "did:web:greedy.example", &source).await;
    let modest = flow_of(&world, "tp-modest", "did:web:modest.example", &source).await;
    let mut reading = Vec::new();
    for number in 0..200 {
        let (flow, client) = (if number % 2 == 0 { greedy.clone() } else { other.clone() }, world.client.clone());
        reading.push(actix_web::rt::spawn(async move { flow.get(&client, "/greedy", &[]).await.status }));
    }
    let waiting = async || {
        let (_, status) = world.signal("GET", "/status", &json!({})).await;
        let partners = status["requests"]["partners"].as_array().cloned().unwrap_or_default();
        let of =
            |name: &str| partners.iter().find(|partner| partner["partner"] == name).cloned().unwrap_or(Value::Null);
        let waits = |name: &str| of(name)["waiting"].as_u64().unwrap_or(0);
        (waits("did:web:greedy.example"), waits("did:web:modest.example"), status["requests"]["answered"].clone())
    };
    until("the greedy one has all places", async || waiting().await == (196, 0, json!(4))).await;
    for round in 0..10 {
        let (flow, client) = (modest.clone(), world.client.clone());
        let asked = actix_web::rt::spawn(async move { flow.get(&client, "/modest", &[]).await.status });
        until("the modest one waits", async || waiting().await.1 == 1).await;
        let before = gate.asked.lock().unwrap().len();
        // Places become free one after the other; the modest one has one of the first two.
        let free_one = async || {
            let seen = gate.asked.lock().unwrap().len();
            gate.open.add_permits(1);
            until("a place is taken again", async || gate.asked.lock().unwrap().len() > seen).await;
        };
        free_one().await;
        free_one().await;
        let since = gate.asked.lock().unwrap()[before..].to_vec();
        assert!(since.iter().any(|path| path == "/modest"), "round {round}: {since:?}");
        // The source answers in the order in which it was asked: its place is free after four more at most.
        for _ in 0..4 {
            free_one().await;
        }
        until("the modest one has its answer", async || asked.is_finished()).await;
        assert_eq!(asked.await.unwrap(), 200);
    }
    gate.open.add_permits(1000);
    for reading in reading {
        assert_eq!(reading.await.unwrap(), 200, "nobody is refused who may wait");
    }
    until("all places are free again", async || waiting().await == (0, 0, json!(0))).await;
}

#[actix_web::test]
async fn one_partners_limits_are_its_own() {
    let public = "max_requests_per_partner = 1\nqueue_per_partner = 1\nqueue_seconds = 60";
    let world = World::tuned("idle_timeout_seconds = 60\nhead_timeout_seconds = 60", public).await;
    let (gate, source) = gate();
    let greedy = flow_of(&world, "tp-greedy", "did:web:greedy.example", &source).await;
    let modest = flow_of(&world, "tp-modest", "did:web:modest.example", &source).await;
    let ask = |flow: &Flow| {
        let (flow, client) = (flow.clone(), world.client.clone());
        actix_web::rt::spawn(async move {
            let reply = flow.get(&client, "/x", &[]).await;
            (reply.status, serde_json::from_slice::<Value>(&reply.body).unwrap_or_default()["code"].clone())
        })
    };
    let first = ask(&greedy);
    until("the first is being answered", async || gate.asked.lock().unwrap().len() == 1).await;
    let second = ask(&greedy);
    until("the second waits", async || {
        let (_, status) = world.signal("GET", "/status", &json!({})).await;
        status["requests"]["partners"][0]["waiting"] == 1
    })
    .await;
    let reply = greedy.get(&world.client, "/x", &[]).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")));
    assert_eq!((&reply.json()["code"], &reply.json()["fault"]), (&json!("too_many_at_once"), &json!("caller")));
    let other = ask(&modest);
    until("the other partner is answered", async || gate.asked.lock().unwrap().len() == 2).await;
    // The end of the flow ends the waiting.
    let (status, _) =
        world.signal("POST", &format!("/dataflows/{}/suspend", greedy.id), &json!({"messageId": "m"})).await;
    assert_eq!(status, 200);
    // It is told so, unless its connection was closed first, as those of all streams of the flow are.
    if let Ok((status, code)) = second.await {
        assert_eq!((status, code), (403, json!("flow_ended")));
    }
    gate.open.add_permits(10);
    assert_eq!(other.await.unwrap().0, 200);
    drop(first);
}
