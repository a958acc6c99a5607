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
use http::{Method, Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Incoming};
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
use crate::breaker::{Breakers, Outcome, Resting, Towards};
use crate::config::Timeouts;
use crate::signaling::callback::jittered;

/// Bytes read from a connection at once; the most that one stream keeps in the client.
pub(crate) const READ_BUFFER: usize = 16 * 1024;
/// Idle connections kept for each host and thread.
const IDLE_CONNECTIONS: usize = 64;
/// The first pause before a request is sent again; each is twice as long as the one before.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Most attempts after the first, whatever the settings say.
const MOST_RETRIES: u32 = 8;
/// How much longer than for a source of our own we wait for a partner's data plane.
const PARTNER_GRACE: Duration = Duration::from_secs(5);
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
    #[error("no answer of the {0} in time")]
    TimedOut(Towards),
    #[error("{0} not reachable: {1}")]
    Unreachable(Towards, String),
    /// Nothing was sent.
    #[error("{0} not asked, since it has not answered lately")]
    Resting(Towards, Resting),
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
    /// Who has not answered lately; `None` for a target that is asked whatever was before.
    breakers: Option<Arc<Breakers>>,
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
        Self { inner, head_timeout: timeouts.head, breakers: None }
    }

    /// Leaves those alone that do not answer, and tries again what may be tried again. A partner has a little more time, so that
    /// it is the one to say that its source gave no answer.
    pub(crate) fn with_breakers(self, breakers: &Arc<Breakers>) -> Self {
        let more = if breakers.towards == Towards::Partner { PARTNER_GRACE } else { Duration::ZERO };
        Self { breakers: Some(Arc::clone(breakers)), head_timeout: self.head_timeout + more, ..self }
    }

    /// Sends a request and waits for the head of the answer. A GET or HEAD that nobody has taken is sent again.
    ///
    /// # Errors
    /// [`ClientError`]; the answer's status is never an error.
    pub(crate) async fn send(&self, request: Request<Outgoing>) -> Result<Response<Incoming>, ClientError> {
        if !is_repeatable(&request) || self.retries() == 0 {
            let uri = request.uri().clone();
            return self.guarded(&uri, self.once(request, self.deadline())).await;
        }
        let (head, body) = request.into_parts();
        drop(body);
        self.send_again(|| Request::from_parts(head.clone(), empty())).await
    }

    /// The same for a GET or HEAD without a body, which is made anew for each attempt.
    ///
    /// # Errors
    /// [`ClientError`]; the answer's status is never an error.
    pub(crate) async fn send_again(
        &self,
        make: impl Fn() -> Request<Outgoing>,
    ) -> Result<Response<Incoming>, ClientError> {
        let request = make();
        let uri = request.uri().clone();
        let attempts = async {
            let deadline = self.deadline();
            let mut outcome = self.once(request, deadline).await;
            for attempt in 0..self.retries().min(MOST_RETRIES) {
                match &outcome {
                    Err(failure) if failure.again => {}
                    _ => break,
                }
                let pause = jittered(RETRY_PAUSE * (1 << attempt));
                if tokio::time::Instant::now() + pause >= deadline {
                    break;
                }
                tokio::time::sleep(pause).await;
                outcome = self.once(make(), deadline).await;
            }
            outcome
        };
        self.guarded(&uri, attempts).await
    }

    /// One attempt.
    async fn once(
        &self,
        request: Request<Outgoing>,
        deadline: tokio::time::Instant,
    ) -> Result<Response<Incoming>, Failure> {
        match tokio::time::timeout_at(deadline, self.inner.request(request)).await {
            Err(_) => Err(Failure { again: false, error: ClientError::TimedOut(self.towards()) }),
            Ok(answer) => answer.map_err(|error| self.failure(&error)),
        }
    }

    /// Asks the breaker before a request, and tells it what came of it.
    async fn guarded(
        &self,
        uri: &Uri,
        answer: impl Future<Output = Result<Response<Incoming>, Failure>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let Some(breakers) = &self.breakers else { return answer.await.map_err(|failure| failure.error) };
        breakers.ask(uri).map_err(|resting| ClientError::Resting(breakers.towards, resting))?;
        let answer = answer.await;
        let outcome = answer.as_ref().map_or(Outcome::Failed, |answer| breakers.judge(answer.status()));
        breakers.tell(uri, outcome);
        answer.map_err(|failure| failure.error)
    }

    fn deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.head_timeout
    }

    fn retries(&self) -> u32 {
        self.breakers.as_ref().map_or(0, |breakers| breakers.retries())
    }

    /// Who is behind; a source where nothing is said.
    pub(crate) fn towards(&self) -> Towards {
        self.breakers.as_ref().map_or(Towards::Source, |breakers| breakers.towards)
    }

    fn failure(&self, error: &legacy::Error) -> Failure {
        let towards = self.towards();
        let again = was_not_taken(error);
        let error = if is_timeout(error) {
            ClientError::TimedOut(towards)
        } else {
            ClientError::Unreachable(towards, chain(error))
        };
        Failure { again, error }
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
                Ok(answer) => return answer.map_err(|error| self.failure(&error).error),
                Err(_) if moved.load(Ordering::Relaxed) == before => return Err(ClientError::TimedOut(self.towards())),
                Err(_) => {}
            }
        }
    }
}

/// Why an attempt brought no answer.
struct Failure {
    /// Another one may bring it, and does no harm.
    again: bool,
    error: ClientError,
}

/// Sent twice it means the same as once (RFC 9110, 9.2.2), and there is nothing that would be used up.
fn is_repeatable(request: &Request<Outgoing>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_end_stream()
}

/// No connection came about, or it was closed before a byte of an answer: as a server does that is being started anew.
fn was_not_taken(error: &legacy::Error) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
            || cause.downcast_ref::<io::Error>().is_some_and(|error| {
                use io::ErrorKind::{
                    BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
                    NetworkUnreachable, TimedOut, UnexpectedEof,
                };
                let refused = matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable);
                let closed = matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof);
                refused || closed || error.kind() == TimedOut
            })
    })
}

fn is_timeout(error: &legacy::Error) -> bool {
    let timed_out = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
    causes(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(timed_out))
}

/// An error and what lies behind it.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
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
