//! What this crate asks of an HTTP client. It opens no connection itself.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;
use thiserror::Error;
use url::Url;

/// An answer within the limits of the client: redirects are answers, not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if there was one.
    pub content_type: Option<String>,
    /// `Location`, if there was one.
    pub location: Option<String>,
    /// Seconds that the answer may be kept, by its `Cache-Control: max-age`; 0 for `no-store` and `no-cache`.
    pub max_age: Option<u64>,
    /// The body, no larger than asked for.
    pub body: Vec<u8>,
}

impl Fetched {
    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct FetchError {
    /// What happened, in words; it holds no secret.
    pub message: String,
    /// Whether our own rules forbid the request, so that no connection was made.
    pub forbidden: bool,
    /// Whether the same request may succeed later.
    pub temporary: bool,
}

/// An HTTP client for addresses that others named. Implementations refuse addresses that are not public (unless a setting with
/// `danger` in its name allows them) and plain http (likewise), follow no redirect, and bound time and size.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// GET with an `Accept` header and, where given, an `Authorization` header; the body has at most `max_bytes`.
    ///
    /// # Errors
    /// When there is no answer, or none within the limits.
    async fn get(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&SecretString>,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError>;

    /// POST of a JSON body.
    ///
    /// # Errors
    /// As [`Fetch::get`].
    async fn post_json(
        &self,
        url: &Url,
        authorization: Option<&SecretString>,
        body: &Value,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError>;
}
