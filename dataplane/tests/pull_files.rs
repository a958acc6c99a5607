//! Pull from files: ranges, conditions, digest, lists, and paths that lead nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use support::{World, write};

fn content() -> Vec<u8> {
    (0..1_000_003_u32).map(|number| (number % 251) as u8).collect()
}

#[actix_web::test]
async fn a_single_file_is_whole_described_and_verifiable() {
    let world = World::new("").await;
    write(&world.shared(), "traffic.csv", &content());
    let flow = world.pull_files("tp-1", "traffic.csv").await;
    let reply = flow.get(&world.client, "", &[]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body, content());
    assert_eq!(reply.header("content-length"), Some("1000003"));
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename*=UTF-8''traffic.csv"));
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(reply.header("last-modified").is_some() && reply.header("etag").is_some());
    let digest = STANDARD.encode(Sha256::digest(content()));
    assert_eq!(reply.header("repr-digest"), Some(format!("sha-256=:{digest}:").as_str()));
    assert_eq!(reply.header("digest"), Some(format!("SHA-256={digest}").as_str()));
    let head = flow.ask(&world.client, "HEAD", "", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("1000003"), 0));
    assert_eq!(flow.ask(&world.client, "POST", "", &[]).await.status, 405);
    assert_eq!(flow.get(&world.client, "/other", &[]).await.status, 404);
}

#[actix_web::test]
async fn rfc_9110_14_ranges() {
    let world = World::new("").await;
    write(&world.shared(), "a.bin", &content());
    let flow = world.pull_files("tp-1", "a.bin").await;
    for (range, status, first, length) in [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=1000000-", 206, 1_000_000, 3),
        ("bytes=-5", 206, 999_998, 5),
        ("bytes=500000-9999999", 206, 500_000, 500_003),
        ("bytes=0-1,4-5", 200, 0, 1_000_003),
        ("bytes=x", 200, 0, 1_000_003),
        ("bytes=1000003-", 416, 0, 0),
        ("bytes=9223372036854775808-18446744073709551616", 416, 0, 0),
    ] {
        let reply = flow.get(&world.client, "", &[("range", range)]).await;
        assert_eq!(reply.status, status, "{range}");
        match status {
            206 => {
                assert_eq!(reply.body, content()[first..first + length], "{range}");
                let expected = format!("bytes {first}-{}/1000003", first + length - 1);
                assert_eq!(reply.header("content-range"), Some(expected.as_str()));
            }
            416 => assert_eq!(reply.header("content-range"), Some("bytes */1000003")),
            _ => assert_eq!(reply.body.len(), length),
        }
    }
}

#[actix_web::test]
async fn rfc_9110_13_conditions() {
    let world = World::new("").await;
    write(&world.shared(), "a.bin", b"first");
    let flow = world.pull_files("tp-1", "a.bin").await;
    let first = flow.get(&world.client, "", &[]).await;
    let etag = first.header("etag").unwrap().to_owned();
    let same = flow.get(&world.client, "", &[("if-none-match", &etag)]).await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(etag.as_str())));
    assert_eq!(flow.get(&world.client, "", &[("if-match", "\"other\"")]).await.status, 412);
    assert_eq!(flow.get(&world.client, "", &[("range", "bytes=0-1"), ("if-range", &etag)]).await.status, 206);
    let modified = first.header("last-modified").unwrap();
    assert_eq!(flow.get(&world.client, "", &[("if-modified-since", modified)]).await.status, 304);
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    write(&world.shared(), "a.bin", b"second");
    let changed =
        flow.get(&world.client, "", &[("if-none-match", &etag), ("range", "bytes=0-1"), ("if-range", &etag)]).await;
    assert_eq!((changed.status, changed.text().as_str()), (200, "second"), "the old range would mix two versions");
    assert_ne!(changed.header("digest"), first.header("digest"));
}

#[actix_web::test]
async fn a_folder_is_listed_and_not_left() {
    let world = World::new("").await;
    write(world.folder.path(), "outside.txt", b"canary");
    write(&world.shared(), "set/a b.txt", b"a");
    write(&world.shared(), "set/deep/c.json", b"{}");
    write(&world.shared(), "set/.hidden", b"canary");
    write(&world.shared(), "other.txt", b"canary");
    std::os::unix::fs::symlink(world.folder.path(), world.shared().join("set/link")).unwrap();
    let flow = world.pull_files("tp-1", "set").await;
    for path in ["", "/"] {
        let list = flow.get(&world.client, path, &[]).await.json();
        let names: Vec<&str> =
            list["entries"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["a b.txt", "deep"]);
        assert_eq!(list["entries"][0]["size"], 1);
        assert_eq!(list["path"], "/");
    }
    assert_eq!(flow.get(&world.client, "/a%20b.txt", &[]).await.text(), "a");
    let json = flow.get(&world.client, "/deep/c.json", &[]).await;
    assert_eq!((json.text().as_str(), json.header("content-type")), ("{}", Some("application/json")));
    assert_eq!(flow.get(&world.client, "/deep/", &[]).await.json()["path"], "/deep/");
    for (path, status) in [
        ("/none", 404),
        ("/.hidden", 404),
        ("/link/outside.txt", 404),
        ("/link/", 404),
        ("/../other.txt", 400),
        ("/%2e%2e/other.txt", 400),
        ("/..%2fother.txt", 400),
        ("/deep/../../other.txt", 400),
        ("//etc/passwd", 400),
        ("/deep%5cc.json", 400),
        ("/a%00b", 400),
        ("/%ff", 400),
        ("/a%20b.txt/x", 404),
    ] {
        let reply = flow.get(&world.client, path, &[]).await;
        assert!(!reply.text().contains("canary"), "{path}");
        assert!(
            reply.status == status || (status == 400 && reply.status == 404),
            "{path}: {} {}",
            reply.status,
            reply.text()
        );
    }
}
