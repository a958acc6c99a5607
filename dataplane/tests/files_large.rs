//! A very large file through two data planes as programs of their own: pushed, cut by kill -9, taken up, read again in part; with
//! how much memory they took. Two gibibytes when the binaries that ship are there (`HANSA_BIN_DIR`), else a part of that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use http_body_util::BodyExt;
use policy_plan::Source;
use serde_json::json;
use support::{Played, World, parts};

/// Most memory that a data plane may take, in KiB.
const MOST_MEMORY: u64 = 96 * 1024;

/// A data plane as a program.
struct Program(Child);

impl Program {
    async fn start(world: &World) -> Self {
        let path = world.folder.path().join("plane.toml");
        fs::write(&path, &world.config).unwrap();
        let log = File::create(world.folder.path().join("plane.log")).unwrap();
        let child = Command::new(binary()).arg("--config").arg(path).stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let begin = Instant::now();
        let port = world.signaling.rsplit(':').next().unwrap().parse::<u16>().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the data plane does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self(child)
    }

    /// The most memory that it has taken so far, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// As a power failure would.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn released() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HANSA_BIN_DIR")?).join("hansa-dataplane")).filter(|path| path.exists())
}

fn binary() -> PathBuf {
    released().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_hansa-dataplane")))
}

async fn as_program(settings: &str) -> (World, Program) {
    let control = Played::start(|_| HttpResponse::Ok().json(json!({})));
    let world = World::without_plane(control, settings, |config| config);
    let program = Program::start(&world).await;
    world.introduce().await;
    (world, program)
}

/// How much of a file lies in a folder as a part.
fn arrived(folder: &Path) -> u64 {
    let parts = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    parts
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "part"))
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .max()
        .unwrap_or(0)
}

#[actix_web::test]
async fn two_gibibytes_are_pushed_through_a_kill_and_read_again_in_part() {
    let size: u64 = if released().is_some() { 2 << 30 } else { 96 << 20 };
    let (provider, sender) = as_program("").await;
    let (consumer, receiver) = as_program("").await;
    // Holes take no room; marks at its places tell whether what arrives lies where it should.
    let source = File::create(provider.shared().join("large.bin")).unwrap();
    source.set_len(size).unwrap();
    let marks: Vec<u64> = (0..64).map(|number| number * (size / 64) + number).collect();
    for mark in &marks {
        source.write_all_at(&mark.to_be_bytes(), *mark).unwrap();
    }
    let mut prepare = consumer.message("tp-1", String::new(), Some(json!({"x": 1})), "did:web:prov.example");
    prepare.as_object_mut().unwrap().remove("dataAddress");
    let (status, prepared) = consumer.signal("POST", "/dataflows/prepare", &prepare).await;
    assert_eq!(status, 200, "{prepared}");
    let named = Source::Files { root: "shared".into(), path: "large.bin".into(), standing: false };
    let plan = provider.plan("tp-1", Some(named));
    let message = provider.start_message(&plan, Some(prepared["dataAddress"].clone()));
    let began = Instant::now();
    assert_eq!(provider.signal("POST", "/dataflows/start", &message).await.0, 200);
    let inbox = consumer.folder.path().join("data/inbox/tp-1");
    while arrived(&inbox) < size / 4 {
        assert!(began.elapsed() < Duration::from_secs(120), "only {} bytes have arrived", arrived(&inbox));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let before = receiver.memory();
    receiver.kill();
    let there = arrived(&inbox);
    assert!(there >= size / 4 && !inbox.join("large.bin").exists());
    let receiver = Program::start(&consumer).await;
    let begin = Instant::now();
    while !provider.control.all().iter().any(|seen| seen.target == "/transfers/tp-1/dataflow/completed") {
        assert!(begin.elapsed() < Duration::from_secs(240), "seen: {:?}", provider.control.all().last());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let target = File::open(inbox.join("large.bin")).unwrap();
    assert_eq!(target.metadata().unwrap().len(), size);
    for mark in &marks {
        let mut found = [0; 8];
        target.read_exact_at(&mut found, *mark).unwrap();
        assert_eq!(u64::from_be_bytes(found), *mark);
    }
    // And by a pull, through both sides, from the middle on.
    let flow = provider.pull(&provider.plan("tp-2", plan.source.clone())).await;
    consumer.consume("tp-2", &flow.address, &[]).await;
    let url = format!("{}/flows/tp-2", consumer.local);
    let range = format!("bytes={}-", size / 2);
    let begin = Instant::now();
    let answer = consumer.client.open("GET", &url, &[("range", &range)], "").await;
    assert_eq!(answer.status(), 206);
    let (mut body, mut length) = (answer.into_body(), 0);
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
    }
    assert_eq!(length, size / 2);
    let pulled = begin.elapsed().as_secs_f64();
    let memory = [("sender", sender.memory()), ("receiver", before.max(receiver.memory()))];
    let rate = |bytes: u64, seconds: f64| bytes as f64 / 1e6 / seconds;
    println!(
        "{size} bytes: pushed at {:.0} MB/s with a kill in between, pulled at {:.0} MB/s; memory in KiB: {memory:?}",
        rate(size, seconds),
        rate(length, pulled)
    );
    for (name, most) in memory {
        assert!(most < MOST_MEMORY, "the {name} took {most} KiB");
    }
}

/// Pulls a file to nowhere; gives MB/s.
async fn pulled(world: &World, process: &str, root: &str, size: u64) -> f64 {
    let source = Source::Files { root: root.into(), path: "large.bin".into(), standing: false };
    let flow = world.pull(&world.plan(process, Some(source))).await;
    let authorization = format!("Bearer {}", flow.token);
    let begin = Instant::now();
    let answer = world.client.open("GET", &flow.endpoint, &[("authorization", &authorization)], "").await;
    assert_eq!(answer.status(), 200, "{root}");
    let (mut body, mut length) = (answer.into_body(), 0);
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
    }
    assert_eq!(length, size, "{root}");
    size as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

#[actix_web::test]
async fn large_files_take_no_more_memory_in_other_stores() {
    let size: u64 = if released().is_some() { 256 << 20 } else { 24 << 20 };
    let folder = tempfile::tempdir().unwrap();
    for (name, (server, settings)) in
        [("s3", parts::s3(folder.path(), "store")), ("sftp", parts::sftp(folder.path(), "store"))]
    {
        let (provider, sender) = as_program(&settings).await;
        let (consumer, receiver) = as_program(&format!("{settings}\n[inbox]\nroot = \"store\"")).await;
        for folder in [&provider.shared(), &server.files] {
            File::create(folder.join("large.bin")).unwrap().set_len(size).unwrap();
        }
        let read = pulled(&provider, &format!("tp-{name}"), "store", size).await;
        let mut prepare = consumer.message("tp-1", String::new(), Some(json!({"x": 1})), "did:web:prov.example");
        prepare.as_object_mut().unwrap().remove("dataAddress");
        let (_, prepared) = consumer.signal("POST", "/dataflows/prepare", &prepare).await;
        let named = Source::Files { root: "shared".into(), path: "large.bin".into(), standing: false };
        let plan = provider.plan("tp-1", Some(named));
        let begin = Instant::now();
        let message = provider.start_message(&plan, Some(prepared["dataAddress"].clone()));
        assert_eq!(provider.signal("POST", "/dataflows/start", &message).await.0, 200);
        while !provider.control.all().iter().any(|seen| seen.target == "/transfers/tp-1/dataflow/completed") {
            assert!(begin.elapsed() < Duration::from_secs(120), "seen: {:?}", provider.control.all().last());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let written = size as f64 / 1e6 / begin.elapsed().as_secs_f64();
        assert_eq!(fs::metadata(server.files.join("tp-1/large.bin")).unwrap().len(), size, "{name}");
        let memory = [("sender", sender.memory()), ("receiver", receiver.memory())];
        println!(
            "{name}: {size} bytes, read at {read:.0} MB/s, written at {written:.0} MB/s; memory in KiB: {memory:?}"
        );
        for (side, most) in memory {
            assert!(most < MOST_MEMORY, "{name}: the {side} took {most} KiB");
        }
    }
}
