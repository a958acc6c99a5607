//! Our tokens: got at a token endpoint, kept until shortly before their end.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dps_signaling::token::{Exchange, Given, client_credentials_form, given};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Limited};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;

use super::flight::Flight;
use super::{Outside, bearer};
use crate::client;
use crate::config::{Grant, TokenRequest};

/// How long an exchange with a token endpoint may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer of a token endpoint, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Largest token of a workload, in bytes.
const MAX_SUBJECT_TOKEN: u64 = 16 * 1024;

/// The tokens by which we show ourselves to one control plane.
pub(crate) struct Tokens {
    request: TokenRequest,
    outside: Outside,
    kept: Mutex<Option<(HeaderValue, Instant)>>,
    flight: Arc<Flight<HeaderValue>>,
}

impl Tokens {
    pub(super) fn new(request: TokenRequest, outside: Outside) -> Self {
        Self { request, outside, kept: Mutex::new(None), flight: Flight::new() }
    }

    /// A token as the value of `Authorization`: the kept one while it lives. Those who ask at the same time wait for one answer.
    ///
    /// # Errors
    /// A sentence about the token endpoint.
    pub(super) async fn header(self: &Arc<Self>) -> Result<HeaderValue, String> {
        if self.request.single_use {
            return bearer(&self.fetch().await?.token);
        }
        if let Some(kept) = self.living() {
            return Ok(kept);
        }
        let this = Arc::clone(self);
        let fetch = || async move {
            let asked = Instant::now();
            let given = this.fetch().await?;
            let header = bearer(&given.token)?;
            let usable = Duration::from_secs(u64::try_from(given.usable_s).unwrap_or_default());
            *this.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((header.clone(), asked + usable));
            Ok(header)
        };
        self.flight.join(&self.outside.background, fetch).await
    }

    fn living(&self) -> Option<HeaderValue> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(header, _)| header.clone())
    }

    /// Forgets this token; another one that was fetched since stays.
    pub(super) fn forget(&self, header: &HeaderValue) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|(kept, _)| kept == header) {
            *kept = None;
            return true;
        }
        kept.is_some()
    }

    async fn fetch(&self) -> Result<Given, String> {
        let failed = |why: String| format!("the token endpoint `{}` gives no token: {why}", self.request.endpoint);
        let fetched = tokio::time::timeout(PATIENCE, self.ask()).await;
        fetched.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(failed)
    }

    async fn ask(&self) -> Result<Given, String> {
        let form = match &self.request.grant {
            Grant::ClientCredentials { id, secret, scope } => {
                client_credentials_form(id, secret.expose_secret(), scope.as_deref())
            }
            Grant::Exchange { subject_token_file, resource, audience, scope } => {
                let subject = subject_token(subject_token_file).await?;
                let exchange = Exchange {
                    subject_token: subject.expose_secret(),
                    resource: resource.as_deref(),
                    audience: audience.as_deref(),
                    scope: scope.as_deref(),
                };
                exchange.form()
            }
        };
        let request = Request::post(self.request.endpoint.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(client::full(form))
            .map_err(|error| error.to_string())?;
        let answer = self.outside.client.send(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|_| "its answer broke off or is too large".to_owned())?;
        given(status, &body.to_bytes())
    }
}

/// The token that the platform gave this workload, as it is now.
async fn subject_token(path: &Path) -> Result<SecretString, String> {
    let unreadable = |what: String| format!("`{}` {what}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    let mut text = String::new();
    let read = file.take(MAX_SUBJECT_TOKEN + 1).read_to_string(&mut text).await;
    read.map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    let token = text.trim();
    if token.is_empty() || token.len() as u64 > MAX_SUBJECT_TOKEN {
        return Err(unreadable("holds no token".to_owned()));
    }
    Ok(SecretString::from(token.to_owned()))
}
