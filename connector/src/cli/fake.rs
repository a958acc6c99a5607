//! A management API for the tests of commands: each request is answered by a function of its method and target.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::arguments::Connection;
use super::client::Client;

/// A running API, and what was asked of it.
pub(super) struct Fake {
    /// A client of it.
    pub client: Client,
    /// Heads and bodies of the requests.
    pub requests: Arc<Mutex<Vec<String>>>,
    _token: tempfile::TempDir,
}

impl Fake {
    /// Starts it. `answer` gets `GET /api/v1/...`, and how many requests there were before.
    pub(super) async fn start(answer: impl Fn(&str, usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 65536];
                let read = stream.read(&mut bytes).await.unwrap();
                let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
                let asked = request.split(" HTTP/").next().unwrap().to_owned();
                let before = seen.lock().unwrap().len();
                let stream_wanted = request.to_lowercase().contains("text/event-stream");
                seen.lock().unwrap().push(request);
                let (status, body) = answer(&asked, before);
                let (kind, body) = match (status, body) {
                    (200, Value::String(events)) if stream_wanted => ("text/event-stream", events),
                    (_, Value::Null) => ("application/json", String::new()),
                    (_, body) => ("application/json", body.to_string()),
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "the-management-token\n").unwrap();
        let connection = Connection { url, token_file: Some(token_file), ca_file: None, json: false };
        Self { client: Client::connect(&connection).unwrap(), requests, _token: folder }
    }

    /// Methods and targets of the requests.
    pub(super) fn asked(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|request| request.split(" HTTP/").next().unwrap().replace("/api/v1/", "")).collect()
    }
}

/// A problem as the API answers it.
pub(super) fn problem(status: u16, code: &str, detail: &str) -> (u16, Value) {
    (status, json!({"type": "about:blank", "status": status, "code": code, "detail": detail}))
}
