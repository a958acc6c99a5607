//! A broker that keeps subscriptions and lists them by pages; it has no entities.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::SUBSCRIPTIONS;
use crate::support::process::wait_for;

#[derive(Default)]
struct Kept {
    subscriptions: BTreeMap<String, Value>,
    /// Requests of each kind, and when the last one came.
    counts: BTreeMap<String, usize>,
    last: Option<Instant>,
}

pub struct Broker {
    pub port: u16,
    kept: Arc<Mutex<Kept>>,
}

impl Broker {
    pub fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::clone(&kept);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&state)));
                }
            });
        });
        wait_for(port);
        Self { port, kept }
    }

    /// Where the subscriptions have their notifications sent: the paths.
    pub fn addresses(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let uri = |body: &Value| body["notification"]["endpoint"]["uri"].as_str().unwrap().to_owned();
        kept.subscriptions.values().map(uri).map(|uri| uri[uri.find("/notifications/").unwrap()..].to_owned()).collect()
    }

    pub fn forget_counts(&self) {
        let mut kept = self.kept.lock().unwrap();
        kept.counts.clear();
        kept.last = None;
    }

    pub fn counts(&self) -> String {
        let kept = self.kept.lock().unwrap();
        let counts: Vec<String> = kept.counts.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
        counts.join(", ")
    }

    /// Returns when no request has come for so long, or after the longest wait; gives the seconds until the last request.
    pub fn settled(&self, quiet: Duration, longest: Duration) -> f64 {
        let begin = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let last = self.kept.lock().unwrap().last;
            if last.is_some_and(|last| last.elapsed() > quiet) || begin.elapsed() > longest {
                return last.map_or(0.0, |last| last.saturating_duration_since(begin).as_secs_f64());
            }
        }
    }
}

async fn serve(mut stream: TcpStream, kept: Arc<Mutex<Kept>>) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            (stream.read_buf(&mut buffer).await.ok()? > 0).then_some(())?;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while buffer.len() < end + length {
            (stream.read_buf(&mut buffer).await.ok()? > 0).then_some(())?;
        }
        let (status, body) = answer(&head, &buffer[end..end + length], &kept);
        buffer.drain(..end + length);
        let answer = format!(
            "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn answer(head: &str, body: &[u8], kept: &Mutex<Kept>) -> (u16, String) {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let number = |name: &str| -> usize {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.map_or(20, |value| value.parse().unwrap())
    };
    let id = path.strip_prefix(SUBSCRIPTIONS).map(|rest| percent_decode_str(rest.trim_start_matches('/')));
    let id = id.map(|id| id.decode_utf8_lossy().into_owned());
    let mut kept = kept.lock().unwrap();
    kept.last = Some(Instant::now());
    let kind = match &id {
        None => "entities",
        Some(id) if id.is_empty() => "list",
        Some(_) => "one",
    };
    *kept.counts.entry(format!("{method} {kind}")).or_default() += 1;
    match (method, id.as_deref()) {
        ("GET", None) => (200, "[]".to_owned()),
        ("POST", Some("")) => {
            let body: Value = serde_json::from_slice(body).unwrap();
            kept.subscriptions.insert(body["id"].as_str().unwrap().to_owned(), body);
            (201, String::new())
        }
        ("GET", Some("")) => {
            let page: Vec<&Value> = kept.subscriptions.values().skip(number("offset")).take(number("limit")).collect();
            (200, json!(page).to_string())
        }
        ("GET", Some(id)) => match kept.subscriptions.get(id) {
            Some(body) => (200, body.to_string()),
            None => (404, "{}".to_owned()),
        },
        ("DELETE", Some(id)) => (if kept.subscriptions.remove(id).is_some() { 204 } else { 404 }, String::new()),
        _ => (405, "{}".to_owned()),
    }
}
