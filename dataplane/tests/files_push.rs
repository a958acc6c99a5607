//! Push of files between two data planes: by name, verified, taken up where it was cut; and a push that stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use policy_plan::Source;
use serde_json::{Value, json};
use support::parts;
use support::{World, write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Prepares the consumer's side and gives the address that its partner pushes to.
async fn prepare(world: &World, process: &str) -> (String, Value) {
    let mut prepare = world.message(process, String::new(), Some(json!({"x": 1})), "did:web:prov.example");
    prepare.as_object_mut().unwrap().remove("dataAddress");
    let (status, body) = world.signal("POST", "/dataflows/prepare", &prepare).await;
    assert_eq!(status, 200, "{body}");
    (body["dataFlowId"].as_str().unwrap().to_owned(), body["dataAddress"].clone())
}

async fn push(world: &World, process: &str, root: &str, path: &str, standing: bool, to: Value) -> String {
    let plan = world.plan(process, Some(Source::Files { root: root.into(), path: path.into(), standing }));
    let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(&plan, Some(to))).await;
    assert_eq!((status, body["state"].as_str()), (200, Some("STARTED")), "{body}");
    body["dataFlowId"].as_str().unwrap().to_owned()
}

async fn completed(world: &World, process: &str) {
    let begin = Instant::now();
    let target = format!("/transfers/{process}/dataflow/completed");
    while !world.control.all().iter().any(|seen| seen.target == target) {
        assert!(begin.elapsed() < Duration::from_secs(60), "not completed: {:?}", world.control.all().last());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn inbox(world: &World, process: &str) -> PathBuf {
    world.folder.path().join("data/inbox").join(process)
}

/// Waits until a file is there and holds `bytes`.
async fn arrives(path: &Path, bytes: &[u8]) {
    let begin = Instant::now();
    while std::fs::read(path).ok().as_deref() != Some(bytes) {
        assert!(begin.elapsed() < Duration::from_secs(20), "{} has not arrived", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A way to a server that is cut after so many bytes; and how many bytes have passed.
async fn relay(to: &str, cut_after: u64) -> (u16, Arc<AtomicU64>) {
    let (to, passed) = (to.to_owned(), Arc::new(AtomicU64::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (counter, cut) = (Arc::clone(&passed), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    actix_web::rt::spawn(async move {
        while let Ok((inward, _)) = listener.accept().await {
            let outward = TcpStream::connect(&to).await.unwrap();
            let (mut from_client, mut to_client) = inward.into_split();
            let (mut from_server, mut to_server) = outward.into_split();
            let (counter, cut) = (Arc::clone(&counter), Arc::clone(&cut));
            actix_web::rt::spawn(async move {
                let mut block = vec![0; 64 * 1024];
                while let Ok(read) = from_client.read(&mut block).await {
                    if read == 0 || to_server.write_all(&block[..read]).await.is_err() {
                        return;
                    }
                    let total = counter.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
                    if total > cut_after && !cut.swap(true, Ordering::Relaxed) {
                        return;
                    }
                }
            });
            actix_web::rt::spawn(async move {
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            });
        }
    });
    (port, passed)
}

fn by_way_of(address: &Value, server: &str, port: u16) -> Value {
    let text = address.to_string().replace(server, &format!("http://127.0.0.1:{port}"));
    serde_json::from_str(&text).unwrap()
}

#[actix_web::test]
async fn files_keep_their_names_and_both_sides_are_told_of_the_end() {
    let (provider, consumer) = (World::new("").await, World::new("").await);
    write(&provider.shared(), "set/a b.csv", b"a,b");
    write(&provider.shared(), "set/deep/c.json", b"{}");
    write(&provider.shared(), "set/empty", b"");
    let (flow, address) = prepare(&consumer, "tp-1").await;
    push(&provider, "tp-1", "shared", "set", false, address).await;
    completed(&provider, "tp-1").await;
    let there = inbox(&consumer, "tp-1");
    for (name, bytes) in [("a b.csv", b"a,b".as_slice()), ("deep/c.json", b"{}"), ("empty", b"")] {
        assert_eq!(std::fs::read(there.join(name)).unwrap(), bytes, "{name}");
    }
    for (signal, body) in [("started", json!({"messageId": "s"})), ("completed", json!({}))] {
        let (status, body) = consumer.signal("POST", &format!("/dataflows/{flow}/{signal}"), &body).await;
        assert_eq!(status, 200, "{signal}: {body}");
    }
    // A single file keeps its own name.
    let (_, address) = prepare(&consumer, "tp-2").await;
    push(&provider, "tp-2", "shared", "set/deep/c.json", false, address).await;
    completed(&provider, "tp-2").await;
    assert_eq!(std::fs::read(inbox(&consumer, "tp-2").join("c.json")).unwrap(), b"{}");
}

#[actix_web::test]
async fn a_push_that_was_cut_goes_on_where_it_was_cut() {
    let (provider, mut consumer) = (World::new("").await, World::new("").await);
    let bytes: Vec<u8> = (0..8_000_000_u32).map(|number| (number % 253) as u8).collect();
    write(&provider.shared(), "large.bin", &bytes);
    let (_, address) = prepare(&consumer, "tp-1").await;
    let (port, passed) = relay(consumer.public.trim_start_matches("http://"), 5_000_000).await;
    push(&provider, "tp-1", "shared", "large.bin", false, by_way_of(&address, &consumer.public, port)).await;
    completed(&provider, "tp-1").await;
    assert_eq!(std::fs::read(inbox(&consumer, "tp-1").join("large.bin")).unwrap(), bytes);
    let passed = passed.load(Ordering::Relaxed);
    assert!(passed < 11_500_000, "not all of it was sent again: {passed}");
    // The same when it is the receiver that ends in between, as by a power failure.
    let (_, address) = prepare(&consumer, "tp-2").await;
    let (port, passed) = relay(consumer.public.trim_start_matches("http://"), u64::MAX).await;
    push(&provider, "tp-2", "shared", "large.bin", false, by_way_of(&address, &consumer.public, port)).await;
    let begin = Instant::now();
    while passed.load(Ordering::Relaxed) < 2_000_000 {
        assert!(begin.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    consumer.plane.take().unwrap().kill().await;
    consumer.start().await;
    completed(&provider, "tp-2").await;
    assert_eq!(std::fs::read(inbox(&consumer, "tp-2").join("large.bin")).unwrap(), bytes);
}

#[actix_web::test]
async fn a_restart_of_the_sender_goes_on_with_the_files_that_are_left() {
    let (mut provider, consumer) = (World::new("").await, World::new("").await);
    for number in 0..40 {
        write(&provider.shared(), &format!("set/{number:02}.bin"), &vec![number; 300_000]);
    }
    let (_, address) = prepare(&consumer, "tp-1").await;
    let (port, passed) = relay(consumer.public.trim_start_matches("http://"), u64::MAX).await;
    push(&provider, "tp-1", "shared", "set", false, by_way_of(&address, &consumer.public, port)).await;
    while passed.load(Ordering::Relaxed) < 3_000_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    provider.plane.take().unwrap().kill().await;
    provider.start().await;
    completed(&provider, "tp-1").await;
    for number in 0..40 {
        let path = inbox(&consumer, "tp-1").join(format!("{number:02}.bin"));
        assert_eq!(std::fs::read(path).unwrap(), vec![number; 300_000]);
    }
    let passed = passed.load(Ordering::Relaxed);
    assert!(passed < 16_000_000, "what had arrived was not sent again: {passed}");
}

/// What a standing push has to do over a store whose files lie in `folder`.
async fn stands_over(provider: &mut World, root: &str, folder: &Path) {
    let consumer = World::new("").await;
    write(folder, "set/first.csv", b"1");
    let (_, address) = prepare(&consumer, "tp-1").await;
    let (port, passed) = relay(consumer.public.trim_start_matches("http://"), u64::MAX).await;
    let flow = push(provider, "tp-1", root, "set", true, by_way_of(&address, &consumer.public, port)).await;
    let there = inbox(&consumer, "tp-1");
    arrives(&there.join("first.csv"), b"1").await;
    write(folder, "set/deep/second.csv", b"2");
    arrives(&there.join("deep/second.csv"), b"2").await;
    write(folder, "set/first.csv", b"one, anew");
    arrives(&there.join("first.csv"), b"one, anew").await;
    let quiet = passed.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(passed.load(Ordering::Relaxed), quiet, "{root}: nothing is sent twice");
    provider.plane.take().unwrap().kill().await;
    write(folder, "set/meanwhile.csv", b"3");
    provider.start().await;
    arrives(&there.join("meanwhile.csv"), b"3").await;
    assert!(passed.load(Ordering::Relaxed) - quiet < 2_000, "{root}: only the new one was sent after the restart");
    let (_, status) = provider.signal("GET", &format!("/dataflows/{flow}/status"), &json!({})).await;
    assert_eq!(status["state"], "STARTED", "it does not end by itself");
    let (status, _) =
        provider.signal("POST", &format!("/dataflows/{flow}/terminate"), &json!({"messageId": "t"})).await;
    assert_eq!(status, 200);
    write(folder, "set/late.csv", b"4");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!there.join("late.csv").exists(), "it has ended");
}

const QUICK: &str = "\n[files]\nlook_every_seconds = 0\n";

#[actix_web::test]
async fn a_standing_push_of_a_folder_sends_what_comes_later() {
    let mut provider = World::new("").await;
    let folder = provider.shared();
    // The folder's changes are told: no look is waited for.
    stands_over(&mut provider, "shared", &folder).await;
}

#[actix_web::test]
async fn a_standing_push_of_an_s3_store_sends_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let (server, settings) = parts::s3(folder.path(), "s3");
    let mut provider = World::new(&format!("{settings}{QUICK}")).await;
    stands_over(&mut provider, "s3", &server.files.clone()).await;
}

#[actix_web::test]
async fn a_standing_push_of_an_sftp_folder_sends_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let (server, settings) = parts::sftp(folder.path(), "sftp");
    let mut provider = World::new(&format!("{settings}{QUICK}")).await;
    stands_over(&mut provider, "sftp", &server.files.clone()).await;
}

#[actix_web::test]
async fn a_file_that_is_still_written_waits() {
    use std::io::Write;
    let (provider, consumer) = (World::new("").await, World::new("").await);
    write(&provider.shared(), "set/first.csv", b"1");
    let (_, address) = prepare(&consumer, "tp-1").await;
    push(&provider, "tp-1", "shared", "set", true, address).await;
    let there = inbox(&consumer, "tp-1");
    arrives(&there.join("first.csv"), b"1").await;
    let mut file = std::fs::File::create(provider.shared().join("set/slow.csv")).unwrap();
    file.write_all(b"half").unwrap();
    tokio::time::sleep(Duration::from_millis(3000)).await;
    assert!(!there.join("slow.csv").exists(), "its writer has not closed it");
    file.write_all(b" and half").unwrap();
    drop(file);
    arrives(&there.join("slow.csv"), b"half and half").await;
}
