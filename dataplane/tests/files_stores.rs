//! Files of every store, as source and as destination: a folder, an S3-compatible store, an SFTP server, a web server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy_plan::Source;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::parts::{self, Web};
use support::{Flow, World, write};

fn content() -> Vec<u8> {
    (0..3_000_017_u32).map(|number| (number % 251) as u8).collect()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)))
}

async fn pull(world: &World, process: &str, root: &str, path: &str) -> Flow {
    let source = Source::Files { root: root.into(), path: path.into(), standing: false };
    world.pull(&world.plan(process, Some(source))).await
}

/// What every source has to do with a file `set/large file.bin` of [`content`] in it.
async fn serves(world: &World, root: &str) {
    let single = pull(world, &format!("tp-{root}-single"), root, "set/large file.bin").await;
    let first = single.get(&world.client, "", &[]).await;
    assert_eq!((first.status, first.body.len()), (200, 3_000_017), "{root}");
    assert_eq!(first.body, content(), "{root}");
    let etag = first.header("etag").unwrap().to_owned();
    let again = single.ask(&world.client, "HEAD", "", &[]).await;
    assert_eq!(again.header("content-length"), Some("3000017"), "{root}");
    assert_eq!(again.header("repr-digest"), Some(digest(&content()).as_str()), "{root}: known since it was read");
    assert_eq!(again.header("etag"), Some(etag.as_str()), "{root}");
    let part = single.get(&world.client, "", &[("range", "bytes=1000000-2999999"), ("if-range", &etag)]).await;
    assert_eq!(part.status, 206, "{root}");
    assert_eq!(part.body, &content()[1_000_000..3_000_000], "{root}");
    assert_eq!(part.header("content-range"), Some("bytes 1000000-2999999/3000017"), "{root}");
    assert_eq!(single.get(&world.client, "", &[("range", "bytes=9000000-")]).await.status, 416, "{root}");
    assert_eq!(single.get(&world.client, "", &[("if-none-match", &etag)]).await.status, 304, "{root}");
    let folder = pull(world, &format!("tp-{root}-folder"), root, if root == "web" { "" } else { "set" }).await;
    let prefix = if root == "web" { "/set" } else { "" };
    let tail = folder.get(&world.client, &format!("{prefix}/large%20file.bin"), &[("range", "bytes=-17")]).await;
    assert_eq!((tail.status, tail.body.as_slice()), (206, &content()[3_000_000..]), "{root}");
    let missing = folder.get(&world.client, &format!("{prefix}/none"), &[]).await;
    assert_eq!((missing.status, missing.json()["code"].as_str()), (404, Some("unknown_file")), "{root}");
    let list = folder.get(&world.client, "/", &[]).await;
    if root == "web" {
        assert_eq!((list.status, list.json()["code"].as_str()), (404, Some("list_not_supported")));
        return;
    }
    let names: Vec<Value> =
        list.json()["entries"].as_array().unwrap().iter().map(|entry| entry["name"].clone()).collect();
    assert_eq!(names, [json!("deep"), json!("large file.bin")], "{root}");
    assert_eq!(folder.get(&world.client, "/deep/a.csv", &[]).await.text(), "a,b", "{root}");
    assert_eq!(folder.get(&world.client, "/deep/", &[]).await.json()["entries"][0]["size"], 3, "{root}");
}

fn fill(folder: &std::path::Path) {
    write(folder, "set/large file.bin", &content());
    write(folder, "set/deep/a.csv", b"a,b");
    write(folder, "set/.hidden", b"canary");
}

#[actix_web::test]
async fn every_store_serves_files_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let (sftp, sftp_settings) = parts::sftp(folder.path(), "sftp");
    let (s3, s3_settings) = parts::s3(folder.path(), "s3");
    let (web, web_settings) = Web::start("web");
    let world = World::new(&format!("{sftp_settings}{s3_settings}{web_settings}")).await;
    for files in [&world.shared(), &sftp.files, &s3.files] {
        fill(files);
    }
    web.0.lock().unwrap().insert("set/large%20file.bin".into(), content().into());
    for root in ["shared", "sftp", "s3", "web"] {
        serves(&world, root).await;
    }
}

async fn prepare(world: &World, process: &str) -> Flow {
    let mut prepare = world.message(process, String::new(), Some(json!({"x": 1})), "did:web:prov.example");
    prepare.as_object_mut().unwrap().remove("dataAddress");
    let (status, body) = world.signal("POST", "/dataflows/prepare", &prepare).await;
    assert_eq!(status, 200, "{body}");
    Flow::of(&body)
}

/// What every inbox has to do; `names` lists the files that are seen in the store, `read` gives one.
async fn receives(world: &World, names: impl Fn() -> Vec<String>, read: impl Fn(&str) -> Vec<u8>) {
    let flow = prepare(world, "tp-1").await;
    let token = format!("Bearer {}", flow.token);
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)], bytes: &[u8]| {
        let mut all = vec![("authorization", token.as_str())];
        all.extend_from_slice(headers);
        world.client.send(method, &format!("{}{path}", flow.endpoint), &all, bytes.to_vec()).await
    };
    let whole = content();
    let told = digest(&whole);
    let file = "/counts/2026/all%20of%20it.bin?version=v1";
    assert_eq!(ask("HEAD", file, &[], b"").await.header("upload-offset"), Some("0"));
    let first = ask("PUT", file, &[("content-range", "bytes 0-1999999/3000017")], &whole[..2_000_000]).await;
    assert_eq!((first.status, first.header("upload-offset")), (202, Some("2000000")), "{}", first.text());
    assert_eq!(names(), Vec::<String>::new(), "a part is not seen");
    assert_eq!(ask("HEAD", file, &[], b"").await.header("upload-offset"), Some("2000000"));
    let gap = ask("PUT", file, &[("content-range", "bytes 2500000-3000016/3000017")], &whole[2_500_000..]).await;
    assert_eq!((gap.status, gap.json()["code"].as_str()), (409, Some("offset_mismatch")));
    assert_eq!(gap.header("upload-offset"), Some("2000000"));
    let rest = ask("PUT", file, &[("content-range", "bytes 2000000-3000016/3000017")], &whole[2_000_000..]).await;
    assert_eq!(rest.status, 202, "the digest is not told yet: {}", rest.text());
    assert_eq!(names(), Vec::<String>::new(), "what nobody vouches for is not seen");
    let closed = ask("PUT", file, &[("content-range", "bytes */3000017"), ("repr-digest", &told)], b"").await;
    assert_eq!((closed.status, closed.json()["size"].as_u64()), (201, Some(3_000_017)), "{}", closed.text());
    assert_eq!(names(), ["counts/2026/all of it.bin"]);
    assert_eq!(read("counts/2026/all of it.bin"), whole);
    // Another content under an announced digest has no name, and replaces nothing.
    let wrong = ask("PUT", "/counts/2026/all%20of%20it.bin?version=v2", &[("repr-digest", &told)], b"other").await;
    assert_eq!((wrong.status, wrong.json()["code"].as_str()), (400, Some("digest_mismatch")));
    assert_eq!(read("counts/2026/all of it.bin"), whole);
    // A new version replaces the old one as a whole.
    let next =
        ask("PUT", "/counts/2026/all%20of%20it.bin?version=v3", &[("repr-digest", &digest(b"other"))], b"other").await;
    assert_eq!(next.status, 201, "{}", next.text());
    assert_eq!(read("counts/2026/all of it.bin"), b"other");
    let empty = ask("PUT", "/empty?version=v1", &[("repr-digest", &digest(b""))], b"").await;
    assert_eq!(empty.status, 201, "{}", empty.text());
    assert_eq!(read("empty"), b"");
    for path in ["/../x", "/.hidden", "/a%2fb", "/%2e%2e/x"] {
        let reply = ask("PUT", path, &[], b"x").await;
        assert!(matches!(reply.status, 400 | 401 | 404), "{path}: {} {}", reply.status, reply.text());
    }
    let plain = ask("POST", "", &[("content-type", "text/csv"), ("digest", "SHA-256=AAAA")], b"x").await;
    assert_eq!(plain.json()["code"], "digest_not_readable");
    let plain = ask("POST", "", &[("content-type", "text/csv"), ("content-digest", &digest(b"y"))], b"x").await;
    assert_eq!(plain.json()["code"], "digest_mismatch");
    let plain = ask("POST", "", &[("content-type", "text/csv"), ("content-digest", &digest(b"x"))], b"x").await;
    assert_eq!(plain.status, 201, "{}", plain.text());
    let name = plain.json()["name"].as_str().unwrap().to_owned();
    assert_eq!(read(&name), b"x");
    let local = world.client.send("GET", &format!("{}/flows/tp-1/{name}", world.local), &[], "").await;
    assert_eq!((local.status, local.text().as_str()), (403, local.text().as_str()), "the flow has not started");
    world.signal("POST", &format!("/dataflows/{}/started", flow.id), &json!({"messageId": "b"})).await;
    let local = world.client.send("GET", &format!("{}/flows/tp-1/{name}", world.local), &[], "").await;
    assert_eq!((local.status, local.text().as_str()), (200, "x"));
}

/// Files below a folder, without hidden ones and what a store keeps for itself.
fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            match entry.file_type().unwrap().is_dir() {
                true => waiting.push(entry.path()),
                false => found.push(entry.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned()),
            }
        }
    }
    found.sort();
    found
}

async fn receives_into(world: &World, folder: &std::path::Path) {
    let there = folder.join("tp-1");
    receives(world, || files_below(&there), |name| std::fs::read(there.join(name)).unwrap()).await;
}

#[actix_web::test]
async fn what_is_pushed_goes_to_a_folder() {
    let world = World::new("").await;
    let inbox = world.folder.path().join("data/inbox");
    receives_into(&world, &inbox).await;
    let hidden = std::fs::read_dir(inbox.join("tp-1/counts/2026")).unwrap().count();
    assert_eq!(hidden, 1, "no part is left");
}

#[actix_web::test]
async fn what_is_pushed_goes_to_an_s3_store() {
    let folder = tempfile::tempdir().unwrap();
    let (server, settings) = parts::s3(folder.path(), "drop");
    let world = World::new(&format!("{settings}\n[inbox]\nroot = \"drop\"")).await;
    receives_into(&world, &server.files).await;
}

#[actix_web::test]
async fn what_is_pushed_goes_to_an_sftp_server() {
    let folder = tempfile::tempdir().unwrap();
    let (server, settings) = parts::sftp(folder.path(), "drop");
    let world = World::new(&format!("{settings}\n[inbox]\nroot = \"drop\"")).await;
    receives_into(&world, &server.files).await;
}

#[actix_web::test]
async fn what_is_pushed_goes_to_a_web_server() {
    let (web, settings) = Web::start("drop");
    let world = World::new(&format!("{settings}\n[inbox]\nroot = \"drop\"")).await;
    let names = || {
        let mut names: Vec<String> = web.0.lock().unwrap().keys().map(|key| decoded(key)).collect();
        names.sort();
        names
    };
    let read = |name: &str| {
        let files = web.0.lock().unwrap();
        files.iter().find(|(key, _)| decoded(key) == name).unwrap().1.to_vec()
    };
    receives(&world, names, read).await;
}

fn decoded(key: &str) -> String {
    let text = percent_encoding::percent_decode_str(key).decode_utf8().unwrap().into_owned();
    text.trim_start_matches("tp-1/").to_owned()
}

#[actix_web::test]
async fn a_server_with_another_host_key_is_not_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let (server, settings) = parts::sftp(folder.path(), "sftp");
    let (other, _) = parts::sftp(folder.path(), "other");
    // The configuration names the key of another server under this address.
    let keys = std::fs::read_to_string(folder.path().join("sftp-other/known_hosts")).unwrap();
    let keys = keys.replace(&other.port.to_string(), &server.port.to_string());
    std::fs::write(folder.path().join("sftp-sftp/known_hosts"), keys).unwrap();
    let world = World::new(&settings).await;
    fill(&server.files);
    let source = Source::Files { root: "sftp".into(), path: "set".into(), standing: false };
    let message = world.start_message(&world.plan("tp-1", Some(source)), None);
    let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!((status, body["code"].as_str()), (502, Some("source_refuses_us")), "{body}");
}

#[actix_web::test]
async fn a_link_on_an_sftp_server_does_not_lead_out() {
    let folder = tempfile::tempdir().unwrap();
    let (server, settings) = parts::sftp(folder.path(), "sftp");
    let world = World::new(&settings).await;
    fill(&server.files);
    write(folder.path(), "secret", b"canary");
    std::os::unix::fs::symlink(folder.path(), server.files.join("set/out")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), server.files.join("set/link")).unwrap();
    let flow = pull(&world, "tp-1", "sftp", "set").await;
    for path in ["/out/secret", "/link", "/out/"] {
        let reply = flow.get(&world.client, path, &[]).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("unknown_file")), "{path}");
    }
    assert_eq!(flow.get(&world.client, "/", &[]).await.json()["entries"].as_array().unwrap().len(), 2);
}
