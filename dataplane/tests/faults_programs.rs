//! Faults of the machine: a full disk, a clock that jumps, a control plane that is away. The data plane is a program of its own here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use dps_signaling::{DataAddress, HTTP_PUSH, UsageGrant, UsageRequest, block};
use http_body_util::BodyExt;
use policy_plan::{Expr, Meter, Source, TimeOperator};
use serde_json::{Value, json};
use support::program::{Clock, Program, SmallDisk, log_of};
use support::{Flow, Http, Played, World, broker, now_ms, rule, tune, write};

const PATIENCE: Duration = Duration::from_secs(60);
const BUILT: &str = env!("CARGO_BIN_EXE_hansa-dataplane");

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < PATIENCE, "{what}: waited in vain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn control() -> Played {
    Played::start(|_| HttpResponse::Ok().json(json!({})))
}

async fn prepare(world: &World, process: &str) -> Flow {
    let mut message = world.message(process, String::new(), Some(json!({"x": 1})), "did:web:prov.example");
    message.as_object_mut().unwrap().remove("dataAddress");
    let (status, body) = world.signal("POST", "/dataflows/prepare", &message).await;
    assert_eq!(status, 200, "{body}");
    Flow::of(&body)
}

/// Pushes a version of a file from `offset` on; gives the status, and what is said.
async fn push(world: &World, flow: &Flow, name: &str, bytes: &[u8], offset: usize) -> (u16, Value) {
    let url = format!("{}/{name}?version=1", flow.endpoint);
    let authorization = format!("Bearer {}", flow.token);
    let range = format!("bytes {offset}-{}/{}", bytes.len() - 1, bytes.len());
    let mut headers = vec![("authorization", authorization.as_str()), ("content-range", range.as_str())];
    if offset == 0 {
        headers.pop();
    }
    let reply = world.client.send("PUT", &url, &headers, bytes[offset..].to_vec()).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

async fn arrived(world: &World, flow: &Flow, name: &str) -> usize {
    let authorization = format!("Bearer {}", flow.token);
    let url = format!("{}/{name}?version=1", flow.endpoint);
    let reply = world.client.send("HEAD", &url, &[("authorization", &authorization)], "").await;
    reply.header("upload-offset").unwrap_or_default().parse().unwrap()
}

async fn read_local(world: &World, process: &str, name: &str) -> (u16, Vec<u8>) {
    let reply = world.client.send("GET", &format!("{}/flows/{process}/{name}", world.local), &[], "").await;
    (reply.status, reply.body)
}

#[actix_web::test]
async fn on_a_full_disk_what_was_acknowledged_stays_and_work_goes_on_when_there_is_room_again() {
    let world = World::without_plane(control(), "", |config| tune(&config, "idle_timeout_seconds = 60", ""));
    let Some(disk) = SmallDisk::new(&world.folder.path().join("data"), 16 << 20) else {
        println!("not run: this user may not make a small disk (unshare, mount)");
        return;
    };
    let program = Program::start(&world, BUILT, &disk.inside(), &[]).await;
    world.introduce().await;
    let source = broker();
    let flow = prepare(&world, "tp-c").await;
    let started = format!("/dataflows/{}/started", flow.id);
    assert_eq!(world.signal("POST", &started, &json!({"messageId": "started"})).await.0, 200);
    let (first, second) = (vec![1; 1 << 20], vec![2; 3 << 20]);
    assert_eq!(push(&world, &flow, "a.bin", &first, 0).await.0, 201);

    // Room for a part of the second file.
    disk.fill(1 << 20);
    let (status, told) = push(&world, &flow, "b.bin", &second, 0).await;
    assert_eq!((status, &told["code"], &told["fault"]), (507, &json!("no_room"), &json!("operator")), "{told}");
    assert_eq!(read_local(&world, "tp-c", "b.bin").await.0, 404, "what is not whole has no name");
    assert_eq!(read_local(&world, "tp-c", "a.bin").await, (200, first.clone()));

    // The store is on that disk, too. What it acknowledges is kept, the rest is refused.
    disk.empty();
    let mut kept = Vec::new();
    let refusal = loop {
        if kept.len() == 2 {
            disk.fill(0);
        }
        let process = format!("tp-{}", kept.len());
        assert!(kept.len() < 5000, "the disk does not become full");
        let mut plan = world.plan(&process, Some(Source::Http { base_url: source.url.clone(), credential: None }));
        plan.dataset_id = "d".repeat(2000);
        let mut message = world.start_message(&plan, None);
        message["datasetId"] = plan.dataset_id.clone().into();
        let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
        if status != 200 {
            break (status, body);
        }
        kept.push(Flow::of(&body));
    };
    assert_eq!((refusal.0, &refusal.1["code"]), (507, &json!("no_room")), "{}", refusal.1);
    assert_eq!(flow_status(&world, &flow.id).await, "STARTED", "signals that need no room are answered");
    let last = kept.last().unwrap();
    assert_eq!(last.get(&world.client, "/x", &[]).await.status, 200, "running transfers go on");
    // A suspension that cannot be kept holds all the same, and is given again by the control plane.
    let stream = Reading::begin(&world.client, last).await;
    stream.goes_on("a stream on a full disk").await;
    let suspend = async || {
        let path = format!("/dataflows/{}/suspend", last.id);
        world.signal("POST", &path, &json!({"messageId": "suspend"})).await.0
    };
    assert_eq!(suspend().await, 507);
    until("the stream is cut", async || stream.task.is_finished()).await;
    assert_eq!(last.get(&world.client, "/x", &[]).await.status, 403);

    // Room again: nobody restarts anything.
    disk.empty();
    let process = format!("tp-{}", kept.len());
    until("new transfers are taken", async || {
        let message = world.start_message(
            &world.plan(&process, Some(Source::Http { base_url: source.url.clone(), credential: None })),
            None,
        );
        world.signal("POST", "/dataflows/start", &message).await.0 == 200
    })
    .await;
    assert_eq!(suspend().await, 200);
    let offset = arrived(&world, &flow, "b.bin").await;
    assert!(offset > 0 && offset < second.len(), "{offset} bytes had arrived");
    let (status, told) = push(&world, &flow, "b.bin", &second, offset).await;
    assert!(matches!(status, 201 | 202), "{told}");
    if status == 202 {
        close(&world, &flow, "b.bin", &second).await;
    }
    assert_eq!(read_local(&world, "tp-c", "b.bin").await, (200, second.clone()));

    program.kill();
    let _program = Program::start(&world, BUILT, &disk.inside(), &[]).await;
    let (last, before) = kept.split_last().unwrap();
    assert_eq!(flow_status(&world, &last.id).await, "SUSPENDED", "acknowledged is kept");
    for flow in before {
        assert_eq!(flow_status(&world, &flow.id).await, "STARTED", "acknowledged is kept");
    }
    assert_eq!(read_local(&world, "tp-c", "a.bin").await, (200, first));
    assert_eq!(read_local(&world, "tp-c", "b.bin").await, (200, second));
}

/// Tells the digest of a file that has arrived in pieces.
async fn close(world: &World, flow: &Flow, name: &str, bytes: &[u8]) {
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(bytes));
    let authorization = format!("Bearer {}", flow.token);
    let headers = [
        ("authorization", authorization.clone()),
        ("content-range", format!("bytes */{}", bytes.len())),
        ("repr-digest", format!("sha-256=:{digest}:")),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let url = format!("{}/{name}?version=1", flow.endpoint);
    assert_eq!(world.client.send("PUT", &url, &headers, "").await.status, 201);
}

async fn flow_status(world: &World, id: &str) -> String {
    let (_, body) = world.signal("GET", &format!("/dataflows/{id}/status"), &json!({})).await;
    body["state"].as_str().unwrap_or_default().to_owned()
}

/// A stream that is being read: how many bytes came so far.
struct Reading {
    bytes: Arc<AtomicU64>,
    task: actix_web::rt::task::JoinHandle<()>,
}

impl Reading {
    async fn begin(client: &Http, flow: &Flow) -> Self {
        let authorization = format!("Bearer {}", flow.token);
        let url = format!("{}/endless", flow.endpoint);
        let reply = client.open("GET", &url, &[("authorization", &authorization)], "").await;
        assert_eq!(reply.status(), 200);
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        let task = actix_web::rt::spawn(async move {
            let mut body = reply.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                counted.fetch_add(frame.data_ref().map_or(0, |data| data.len() as u64), Ordering::SeqCst);
            }
        });
        Self { bytes, task }
    }

    async fn goes_on(&self, what: &str) {
        let before = self.bytes.load(Ordering::SeqCst);
        until(what, async || self.bytes.load(Ordering::SeqCst) > before + 10_000).await;
        assert!(!self.task.is_finished(), "{what}");
    }
}

#[actix_web::test]
async fn a_clock_that_jumps_moves_windows_and_tokens_and_no_stream() {
    let world = World::without_plane(control(), "", |config| tune(&config, "idle_timeout_seconds = 5", ""));
    let Some(clock) = Clock::new(world.folder.path()) else {
        panic!("libfaketime is not installed: scripts/setup.sh test");
    };
    let _program = Program::start(&world, BUILT, &[], &clock.environment(false)).await;
    world.introduce().await;
    let source = broker();
    let hour = 3_600_000;
    let pull = async |process: &str, when: Option<Expr>, token_seconds: u32| {
        let mut plan = world.plan(process, Some(Source::Http { base_url: source.url.clone(), credential: None }));
        if let Some(when) = when {
            plan.rules = rule("in its window", when);
        }
        plan.max_token_seconds = token_seconds;
        world.pull(&plan).await
    };
    let at = |operator, epoch_ms| Some(Expr::DateTime { operator, epoch_ms });
    let free = pull("tp-free", None, 24 * 3600).await;
    let short = pull("tp-short", None, 600).await;
    let until_then = pull("tp-until", at(TimeOperator::Lt, now_ms() + hour), 24 * 3600).await;
    let from_then = pull("tp-from", at(TimeOperator::Gteq, now_ms() + hour), 24 * 3600).await;
    let told = async |flow: &Flow| {
        let reply = flow.get(&world.client, "/x", &[]).await;
        let code = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default()["code"].clone();
        (reply.status, code.as_str().unwrap_or_default().to_owned())
    };
    let refused = (403, "policy_denies".to_owned());
    let expired = (401, "token_not_valid".to_owned());
    assert_eq!((told(&free).await.0, told(&short).await.0, told(&until_then).await.0), (200, 200, 200));
    assert_eq!(told(&from_then).await, refused);
    let (endless, windowed) =
        (Reading::begin(&world.client, &free).await, Reading::begin(&world.client, &until_then).await);
    endless.goes_on("a stream").await;
    windowed.goes_on("another").await;

    clock.set("+3h");
    until("the window's end cuts its stream", async || windowed.task.is_finished()).await;
    assert_eq!(told(&until_then).await, refused);
    assert_eq!(told(&from_then).await.0, 200, "a window that has begun");
    assert_eq!(told(&short).await, expired, "a token of ten minutes");
    endless.goes_on("a stream without a window").await;
    assert_eq!(told(&free).await.0, 200);

    clock.set("-3h");
    until("the beginning of a window is not reached any more", async || told(&from_then).await == refused).await;
    assert_eq!(told(&until_then).await.0, 200, "nor its end");
    assert_eq!(told(&short).await.0, 200, "a token counts by the same clock");
    endless.goes_on("a stream without a window").await;
    // A plan of a control plane whose clock is right is from the future here.
    let plan = world.plan("tp-late", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(&plan, None)).await;
    assert_eq!((status, &body["code"]), (400, &json!("plan_from_the_future")));

    clock.set("+0");
    assert_eq!(world.signal("POST", "/dataflows/start", &world.start_message(&plan, None)).await.0, 200);
    assert_eq!((told(&until_then).await.0, told(&short).await.0), (200, 200));
    assert_eq!(told(&from_then).await, refused);
    endless.goes_on("a stream, after all").await;
    endless.task.abort();
}

/// A control plane that grants uses.
fn granting(port: u16, given: &Arc<AtomicU64>) -> Played {
    let given = Arc::clone(given);
    Played::reading_at(port, move |request, body| {
        if !request.path().ends_with("/usage") {
            return HttpResponse::Ok().json(json!({}));
        }
        let question = UsageRequest::decode(&serde_json::from_slice(body).unwrap()).unwrap();
        let from = given.load(Ordering::SeqCst);
        let to = from + block(question.meter, from, Some(1000), 1, question.wanted);
        given.store(to, Ordering::SeqCst);
        let grant = UsageGrant { from, to, first_use_ms: Some(now_ms()), last_use_ms: None };
        HttpResponse::Ok().json(grant.encode())
    })
}

/// Waits until all that waited for a time has noticed that it is over, such as connections that nobody used, and takes new ones.
async fn settled(world: &mut World) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for url in [&world.public, &world.signaling, &world.local] {
        let answered = async || {
            let mut stream = tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.ok()?;
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            answer.starts_with("HTTP/1.1 ").then_some(())
        };
        let in_a_row = std::cell::Cell::new(0);
        until("new connections are served", async || {
            in_a_row.set(if answered().await.is_some() { in_a_row.get() + 1 } else { 0 });
            in_a_row.get() == 10
        })
        .await;
    }
    world.client = Http::new();
}

#[actix_web::test]
async fn without_its_control_plane_for_ten_minutes_a_data_plane_does_what_it_may_and_tells_the_rest_later() {
    let port = support::free_port();
    let given = Arc::default();
    let mut world = World::without_plane(granting(port, &given), "", |config| config);
    let Some(clock) = Clock::new(world.folder.path()) else {
        panic!("libfaketime is not installed: scripts/setup.sh test");
    };
    // Both clocks jump: what waits by either has waited.
    let _program = Program::start(&world, BUILT, &[], &clock.environment(true)).await;
    world.introduce().await;
    let (source, sink) = (broker(), Played::start(|_| HttpResponse::Created().finish()));
    let named = || Some(Source::Http { base_url: source.url.clone(), credential: None });
    let mut plan = world.plan("tp-free", named());
    plan.max_token_seconds = 24 * 3600;
    let free = world.pull(&plan).await;
    let mut plan = world.plan("tp-counted", named());
    plan.max_token_seconds = 24 * 3600;
    plan.agreement_id = "urn:uuid:agreement".to_owned();
    plan.rules = rule("a thousand", Expr::Usage { meter: Meter::Count, operator: TimeOperator::Lteq, limit: 1000 });
    let counted = world.pull(&plan).await;
    assert_eq!(counted.get(&world.client, "/x", &[]).await.status, 200);

    // Away: its port refuses connections.
    drop(std::mem::replace(&mut world.control, control()));
    until("it is away", async || std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()).await;
    assert_eq!(free.get(&world.client, "/x", &[]).await.status, 200);
    let mut spent = 0;
    let refusal = loop {
        let reply = counted.get(&world.client, "/x", &[]).await;
        if reply.status != 200 {
            break reply;
        }
        spent += 1;
        assert!(spent < 100, "what is held is spent in the end");
    };
    assert_eq!((refusal.status, &refusal.json()["code"]), (503, &json!("usage_not_granted")));
    assert!(refusal.header("retry-after").is_some());
    // A push ends meanwhile, and cannot be told.
    write(&world.shared(), "a.csv", b"a,b");
    let files = Source::Files { root: "shared".into(), path: "a.csv".into(), standing: false };
    let to = DataAddress::bearer(HTTP_PUSH, &sink.url, "SINK", None).encode();
    let message = world.start_message(&world.plan("tp-push", Some(files)), Some(to));
    let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!(status, 200, "{body}");
    let push = body["dataFlowId"].as_str().unwrap().to_owned();
    sink.wait(|seen| seen.body == b"a,b").await;
    until("the push is complete", async || flow_status(&world, &push).await == "COMPLETED").await;

    clock.set("+10m");
    settled(&mut world).await;
    assert_eq!(free.get(&world.client, "/x", &[]).await.status, 200, "uncounted transfers go on");
    assert_eq!(counted.get(&world.client, "/x", &[]).await.status, 503, "counted ones wait");
    assert!(!log_of(&world).contains("given up"));

    let back = granting(port, &given);
    back.wait(|seen| seen.target == "/transfers/tp-push/dataflow/completed").await;
    until("counted transfers go on", async || counted.get(&world.client, "/x", &[]).await.status == 200).await;
    assert_eq!(free.get(&world.client, "/x", &[]).await.status, 200);
}

#[actix_web::test]
async fn memory_of_the_program_stays_bounded_while_readers_stand_still() {
    let world = World::without_plane(control(), "", |config| tune(&config, "idle_timeout_seconds = 60", ""));
    let program = Program::start(&world, BUILT, &[], &[]).await;
    world.introduce().await;
    let source = broker();
    let flow = world.pull_http("tp-1", &source.url).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    let before = program.memory();
    let readers: Vec<std::net::TcpStream> = (0..64)
        .map(|_| {
            use std::io::Write;
            let mut reader = std::net::TcpStream::connect(world.public.trim_start_matches("http://")).unwrap();
            let head = "Host: x\r\nAuthorization";
            write!(reader, "GET /flows/{}/fast HTTP/1.1\r\n{head}: {}\r\n\r\n", flow.id, flow.token).unwrap();
            reader
        })
        .collect();
    until("all are being answered", async || source.all().len() == 65).await;
    // As much as sockets and one chunk each hold has come by then.
    let mut highest = 0;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        highest = highest.max(program.memory());
    }
    let grown = highest.saturating_sub(before);
    println!("64 readers of 1 GiB each that stand still: {grown} KiB more, {highest} KiB in all");
    assert!(grown < 32 * 1024, "grown by {grown} KiB");
    drop(readers);
}
