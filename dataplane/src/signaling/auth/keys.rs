//! The keys that sign a control plane's tokens: given, or read at an address and kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dps_signaling::token::KeySet;
use http::Request;
use http::header::ACCEPT;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use url::Url;

use super::Outside;
use super::flight::Flight;
use crate::client;

/// How long a key set is believed.
const KEPT: Duration = Duration::from_secs(300);
/// How long it is still believed while its address does not answer.
const KEPT_WITHOUT_ANSWER: Duration = Duration::from_secs(3600);
/// Shortest time between two reads, whatever names of keys come.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a read may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest key set, in bytes.
const MAX_SET: usize = 256 * 1024;

/// A key set that is read at an address.
pub(super) struct KeySource {
    url: Url,
    outside: Outside,
    state: Mutex<State>,
    flight: Arc<Flight<()>>,
}

#[derive(Default)]
struct State {
    set: Option<(Arc<KeySet>, Instant)>,
    tried: Option<Instant>,
    /// What the last read ended with.
    fault: Option<String>,
}

impl KeySource {
    pub(super) fn new(url: Url, outside: Outside) -> Arc<Self> {
        Arc::new(Self { url, outside, state: Mutex::default(), flight: Flight::new() })
    }

    /// The keys. They are read anew when they are old, or, with `afresh`, when they do not fit a token; not more often than every
    /// five seconds.
    ///
    /// # Errors
    /// A sentence about the address, when there are no keys that may still be believed.
    pub(super) async fn get(self: &Arc<Self>, afresh: bool) -> Result<Arc<KeySet>, String> {
        if self.wants_read(afresh) {
            let this = Arc::clone(self);
            let read = || async move {
                let outcome = tokio::time::timeout(PATIENCE, this.read()).await;
                this.note(outcome.unwrap_or_else(|_| Err("no answer in time".to_owned())));
                Ok(())
            };
            // What came of it is in the state.
            let _ = self.flight.join(&self.outside.background, read).await;
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.set {
            Some((set, read)) if read.elapsed() < KEPT_WITHOUT_ANSWER => Ok(Arc::clone(set)),
            _ => Err(state.fault.clone().unwrap_or_else(|| "its keys were not read yet".to_owned())),
        }
    }

    fn wants_read(&self, afresh: bool) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let young = state.set.as_ref().is_some_and(|(_, read)| read.elapsed() < KEPT);
        (afresh || !young) && state.tried.is_none_or(|tried| tried.elapsed() >= PAUSE)
    }

    fn note(&self, outcome: Result<KeySet, String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.tried = Some(now);
        match outcome {
            Ok(set) => {
                state.set = Some((Arc::new(set), now));
                state.fault = None;
            }
            Err(fault) => {
                tracing::warn!(address = %self.url, fault, "a key set cannot be read");
                state.fault = Some(format!("its keys cannot be read at `{}`: {fault}", self.url));
            }
        }
    }

    async fn read(&self) -> Result<KeySet, String> {
        let request = Request::get(self.url.as_str()).header(ACCEPT, "application/json").body(client::empty());
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.outside.client.send(request).await.map_err(|error| error.to_string())?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("status {}", answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), MAX_SET).collect().await;
        let body = body.map_err(|_| "the answer broke off or is too large".to_owned())?.to_bytes();
        let set: Value = serde_json::from_slice(&body).map_err(|_| "the answer is not JSON".to_owned())?;
        KeySet::from_jwks(&set).map_err(|error| format!("the answer {error}"))
    }
}
