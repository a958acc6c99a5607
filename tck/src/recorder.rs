//! A reverse proxy on loopback that keeps what goes through it: put in front of a connector, it sees every message that
//! the connector receives and every answer that it gives.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;

use crate::Result;
use crate::server::{Incoming, Outgoing, Server};

/// One request with its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What came in.
    pub request: Incoming,
    /// What went back.
    pub answer: Outgoing,
}

/// The running proxy.
pub struct Recorder {
    server: Server,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

/// Headers that belong to one connection, or that the server on our side writes itself.
const OWN: &[&str] =
    &["connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

impl Recorder {
    /// Listens on `port` and passes everything on to `target`, a base address without a path.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(port: u16, target: String) -> Result<Self> {
        let seen: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let http = reqwest::Client::new();
        let kept = seen.clone();
        let server = Server::start(
            port,
            Arc::new(move |request| {
                let (http, target, kept) = (http.clone(), target.clone(), kept.clone());
                async move {
                    // A target that is down is, for the caller, a gateway without a server behind it.
                    let answer = pass(&http, &target, &request).await.unwrap_or_else(|_| Outgoing::empty(502));
                    let exchange = Exchange { request, answer: answer.clone() };
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
                    answer
                }
                .boxed()
            }),
        )?;
        Ok(Self { server, seen })
    }

    /// The address that partners are given.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Everything so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn kept_headers(headers: &[(String, String)]) -> impl Iterator<Item = &(String, String)> {
    headers.iter().filter(|(name, _)| !OWN.contains(&name.as_str()))
}

async fn pass(
    http: &reqwest::Client,
    target: &str,
    request: &Incoming,
) -> std::result::Result<Outgoing, reqwest::Error> {
    let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap_or_default();
    let mut copy = http.request(method, format!("{target}{}", request.target)).body(request.body.clone());
    for (name, value) in kept_headers(&request.headers) {
        copy = copy.header(name, value);
    }
    let response = copy.send().await?;
    let status = response.status().as_u16();
    let headers: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let headers = kept_headers(&headers).cloned().collect();
    Ok(Outgoing { status, headers, body: response.bytes().await?.to_vec() })
}
