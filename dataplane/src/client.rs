//! The HTTP client: HTTP/1.1 over pooled connections, no redirects, no proxies, no decompression.
//!
//! It is built on hyper-util, which lets the size of the read buffer be set: that bounds the memory of a stream. Each worker
//! thread has clients of its own, so that a request and its upstream connection live on one thread.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use thiserror::Error;
use tower_service::Service;

use crate::address::Guard;
use crate::config::Timeouts;

/// Bytes read from a connection at once; the most that one stream keeps in the client.
pub(crate) const READ_BUFFER: usize = 32 * 1024;
/// Idle connections kept for each host and thread.
const IDLE_CONNECTIONS: usize = 64;
/// How long an idle connection is kept.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// Body of a request of ours.
pub(crate) type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// A body without bytes.
pub(crate) fn empty() -> Outgoing {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there as a whole.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Outgoing {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    #[error("no answer in time")]
    TimedOut,
    #[error("not reachable: {0}")]
    Unreachable(String),
}

/// TLS towards sources, partners and the control plane: the platform's authorities and those of the configuration.
///
/// # Errors
/// The platform's verifier cannot be set up.
pub(crate) fn tls(authorities: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities.iter().cloned(), Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// A pool of connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Outgoing>,
    head_timeout: Duration,
}

impl Client {
    /// A client. With a guard, names that lead to addresses it does not admit are not connected to.
    pub(crate) fn new(tls: &ClientConfig, guard: Option<Guard>, timeouts: Timeouts) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver { guard });
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeouts.connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(READ_BUFFER)
            .build(connector);
        Self { inner, head_timeout: timeouts.head }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// [`ClientError`]; the answer's status is never an error.
    pub(crate) async fn send(&self, request: Request<Outgoing>) -> Result<Response<Incoming>, ClientError> {
        match tokio::time::timeout(self.head_timeout, self.inner.request(request)).await {
            Err(_) => Err(ClientError::TimedOut),
            Ok(answer) => answer.map_err(|error| failure(&error)),
        }
    }

    /// Sends a request with a large body: it may take any time as long as bytes move.
    ///
    /// # Errors
    /// [`ClientError`], after a pause of the time limit for heads too.
    pub(crate) async fn send_while_moving(
        &self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, ClientError> {
        let moved = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&moved);
        let request = request.map(|body| {
            let counted = body.map_frame(move |frame| {
                counter.fetch_add(1, Ordering::Relaxed);
                frame
            });
            counted.boxed_unsync()
        });
        let mut answer = std::pin::pin!(self.inner.request(request));
        loop {
            let before = moved.load(Ordering::Relaxed);
            match tokio::time::timeout(self.head_timeout, answer.as_mut()).await {
                Ok(answer) => return answer.map_err(|error| failure(&error)),
                Err(_) if moved.load(Ordering::Relaxed) == before => return Err(ClientError::TimedOut),
                Err(_) => {}
            }
        }
    }
}

fn failure(error: &legacy::Error) -> ClientError {
    if is_timeout(error) { ClientError::TimedOut } else { ClientError::Unreachable(chain(error)) }
}

fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Resolves names; the connection goes to exactly the addresses that were checked.
#[derive(Debug, Clone)]
struct Resolver {
    guard: Option<Guard>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.guard;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> =
                found.filter(|address| guard.is_none_or(|guard| guard.admits(address.ip()))).collect();
            if admitted.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the name leads to no admitted address"));
            }
            Ok(admitted.into_iter())
        })
    }
}
