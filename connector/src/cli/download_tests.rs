use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::{HeaderName, HeaderValue};
use tokio::net::TcpListener;

use super::*;

const DATA: &[u8] = b"time;station;no2\n08:00;harbour;21\n09:00;harbour;24\n";

fn sha256(data: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(data)))
}

/// A server that gives each connection the next of the answers, and remembers the requests.
async fn server(answers: Vec<Vec<u8>>) -> (Url, Arc<tokio::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/flows/1", listener.local_addr().unwrap())).unwrap();
    let requests = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    let (seen, next) = (requests.clone(), AtomicUsize::new(0));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            seen.lock().await.push(String::from_utf8_lossy(&head[..read]).to_lowercase());
            let number = next.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            stream.write_all(&answers[number]).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (url, requests)
}

fn answer(status: &str, headers: &[(&str, String)], announced: usize, body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {announced}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn whole(headers: &[(&str, String)]) -> Vec<u8> {
    answer("200 OK", headers, DATA.len(), DATA)
}

async fn fetch(url: Url, output: &std::path::Path) -> Outcome<Fetched> {
    run(Download { url, token: Some("reader".into()), output: Some(output.to_owned()) }).await
}

#[tokio::test]
async fn a_file_arrives_and_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.csv");
    let (url, requests) = server(vec![whole(&[("Repr-Digest", sha256(DATA)), ("ETag", "\"1\"".into())])]).await;
    let fetched = fetch(url, &output).await.unwrap();
    assert!(fetched.verified && fetched.bytes == DATA.len() as u64);
    assert_eq!(fetched.sha256, hex::encode(Sha256::digest(DATA)));
    assert_eq!(std::fs::read(&output).unwrap(), DATA);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    assert!(requests.lock().await[0].contains("authorization: bearer reader"));
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.csv");
    let headers = [("ETag", "\"1\"".to_owned()), ("Repr-Digest", sha256(DATA))];
    let range = ("Content-Range", format!("bytes 10-{}/{}", DATA.len() - 1, DATA.len()));
    let rest =
        answer("206 Partial Content", &[headers[0].clone(), headers[1].clone(), range], DATA.len() - 10, &DATA[10..]);
    let (url, requests) = server(vec![answer("200 OK", &headers, DATA.len(), &DATA[..10]), rest]).await;
    let fetched = fetch(url, &output).await.unwrap();
    assert!(fetched.verified);
    assert_eq!(std::fs::read(&output).unwrap(), DATA);
    let requests = requests.lock().await;
    assert!(!requests[0].contains("range:"));
    assert!(requests[1].contains("range: bytes=10-") && requests[1].contains("if-range: \"1\""), "{}", requests[1]);
}

#[tokio::test]
async fn what_an_earlier_command_left_is_used_when_its_version_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.csv");
    let (part, version) = part_files(&output);
    std::fs::write(&part, &DATA[..20]).unwrap();
    std::fs::write(&version, "\"1\"").unwrap();
    // The file has changed meanwhile: the whole new one comes and replaces the part.
    let (url, requests) = server(vec![whole(&[("ETag", "\"2\"".into())])]).await;
    let fetched = fetch(url, &output).await.unwrap();
    assert!(requests.lock().await[0].contains("range: bytes=20-"));
    assert!(!fetched.verified);
    assert_eq!(std::fs::read(&output).unwrap(), DATA);
    // A part of no known version is not gone on with.
    std::fs::write(&part, b"something else entirely").unwrap();
    let (url, requests) = server(vec![whole(&[])]).await;
    fetch(url, &output).await.unwrap();
    assert!(!requests.lock().await[0].contains("range:"));
    assert_eq!(std::fs::read(&output).unwrap(), DATA);
}

#[tokio::test]
async fn damaged_data_is_told_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.csv");
    let (url, _) = server(vec![whole(&[("Repr-Digest", sha256(b"other"))])]).await;
    let failure = fetch(url, &output).await.unwrap_err().to_string();
    assert!(failure.contains("damaged"), "{failure}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_refusal_is_told_with_rule_and_fact() {
    let folder = tempfile::tempdir().unwrap();
    let problem = br#"{"detail":"the agreement has ended","code":"policy_denied","rule":"dateTime lt x","fact":"y"}"#;
    let (url, requests) = server(vec![answer("403 Forbidden", &[], problem.len(), problem)]).await;
    let failure = fetch(url, &folder.path().join("a")).await.unwrap_err().to_string();
    assert_eq!(
        failure,
        "the data is refused with status 403: the agreement has ended (rule: dateTime lt x; fact: y) [policy_denied]"
    );
    assert_eq!(requests.lock().await.len(), 1, "it is not asked again");
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let range = ("Content-Range", "bytes 5-9/10".to_owned());
    let (url, _) = server(vec![answer("206 Partial Content", &[range], 5, b"56789")]).await;
    assert!(fetch(url, &folder.path().join("a")).await.unwrap_err().to_string().contains("another part"));
}

#[tokio::test]
async fn a_download_that_never_gets_on_is_given_up_and_its_part_kept() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a");
    let cut = answer("200 OK", &[("ETag", "\"1\"".into())], 100, b"0123456789");
    let nothing = answer("206 Partial Content", &[("Content-Range", "bytes 10-99/100".into())], 90, b"");
    let (url, requests) = server(vec![cut, nothing]).await;
    let failure = fetch(url, &output).await.unwrap_err().to_string();
    assert!(failure.contains("was cut"), "{failure}");
    assert_eq!(requests.lock().await.len(), 4);
    assert_eq!(std::fs::read(part_files(&output).0).unwrap(), b"0123456789");
}

#[test]
fn digests_in_both_headers() {
    let hash: [u8; 32] = Sha256::digest(DATA).into();
    let encoded = STANDARD.encode(hash);
    let table = [
        ("repr-digest", format!("sha-256=:{encoded}:"), true),
        ("repr-digest", format!("sha-512=:AA==:, SHA-256=:{encoded}:"), true),
        ("digest", format!("SHA-256={encoded}"), true),
        ("digest", format!("md5=x,sha-256={encoded}"), true),
        ("repr-digest", format!("sha-256={encoded}"), false),
        ("repr-digest", "sha-256=:AAAA:".to_owned(), false),
        ("digest", "sha-256=***".to_owned(), false),
    ];
    for (name, value, found) in table {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap())]);
        assert_eq!(digest(&headers), found.then_some(hash), "{name}: {value}");
    }
}

#[tokio::test]
async fn a_digest_that_is_known_late_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.csv");
    let etag = ("ETag", "\"1\"".to_owned());
    let later = answer("200 OK", &[etag.clone(), ("Retry-After", "1".into())], DATA.len(), b"");
    let known = answer("200 OK", &[etag.clone(), ("Repr-Digest", sha256(DATA))], DATA.len(), b"");
    let (url, requests) = server(vec![whole(std::slice::from_ref(&etag)), later, known]).await;
    assert!(fetch(url, &output).await.unwrap().verified);
    let requests = requests.lock().await;
    assert!(requests[2].starts_with("head ") && requests[2].contains("want-repr-digest: sha-256"), "{}", requests[2]);
    let wrong = answer("200 OK", &[etag.clone(), ("Repr-Digest", sha256(b"other"))], DATA.len(), b"");
    let (url, _) = server(vec![whole(std::slice::from_ref(&etag)), wrong]).await;
    let failure = fetch(url, &folder.path().join("b.csv")).await.unwrap_err();
    assert!(failure.to_string().contains("damaged"), "{failure}");
    let another = answer("200 OK", &[("ETag", "\"2\"".into()), ("Repr-Digest", sha256(b"other"))], DATA.len(), b"");
    let (url, _) = server(vec![whole(&[etag]), another]).await;
    assert!(!fetch(url, &folder.path().join("c.csv")).await.unwrap().verified, "that is another version's");
}
