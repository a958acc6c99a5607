//! A source on bare sockets: it does with each request exactly what the test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// These bytes, then the connection is open for the next request.
    Keep(Vec<u8>),
    /// These bytes, then a regular close.
    Close(Vec<u8>),
    /// These bytes, then a reset.
    Reset(Vec<u8>),
    /// These bytes, then nothing.
    Hang(Vec<u8>),
    /// These bytes, then more and more.
    Endless(Vec<u8>),
}

impl Act {
    pub fn ok(body: &str) -> Self {
        Self::Keep(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }

    pub fn status(status: u16, kind: &str, body: &str) -> Self {
        let length = body.len();
        Self::Keep(
            format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}").into(),
        )
    }
}

pub struct Scripted {
    pub url: String,
    pub port: u16,
    /// First lines of the requests.
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Bytes that were sent in endless answers.
    pub sent: Arc<AtomicUsize>,
    /// Endless answers that nobody wanted any more.
    pub broken_off: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

type Script = Arc<dyn Fn(usize, &str) -> Act + Send + Sync>;

impl Scripted {
    /// `script` is given the number of the request and its head.
    pub async fn start(script: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        Self::start_at(0, script).await
    }

    pub async fn start_at(port: u16, script: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, sent, broken_off): (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>, Arc<AtomicUsize>) =
            Default::default();
        let script: Script = Arc::new(script);
        let kept = (Arc::clone(&asked), Arc::clone(&sent), Arc::clone(&broken_off));
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, Arc::clone(&script), kept.clone()));
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), port, asked, sent, broken_off, serving }
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Kept = (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>, Arc<AtomicUsize>);

async fn converse(mut stream: TcpStream, script: Script, (asked, sent, broken_off): Kept) {
    while let Some(head) = head(&mut stream).await {
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push(head.lines().next().unwrap_or_default().to_owned());
            asked.len() - 1
        };
        match script(number, &head) {
            Act::Keep(bytes) => {
                let _ = stream.write_all(&bytes).await;
            }
            Act::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Reset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // What was written gets there first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let _ = stream.set_zero_linger();
                return;
            }
            Act::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Until the other side goes.
                let _ = stream.read(&mut [0; 16]).await;
                return;
            }
            Act::Endless(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let chunk = vec![b'x'; 64 * 1024];
                while stream.write_all(&chunk).await.is_ok() {
                    sent.fetch_add(chunk.len(), Ordering::SeqCst);
                }
                broken_off.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// Reads the head of a request, and the body that a length announces.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}
