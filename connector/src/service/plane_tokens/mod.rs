//! Tokens between us and data planes that authenticate by OAuth 2.0 (DPS profiles, Authorization): we get one at a token endpoint
//! for our signals, and verify those that come with the plane's callbacks.
//!
//! Token endpoints and key sets are named by operators, or by a plane that has authenticated itself. Both may lie in our own
//! network, so they are called by the client for addresses of operators; a token endpoint gets our secret, and is therefore
//! called by TLS or on loopback only.

mod agreed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_signaling::token::{
    Claims, Exchange, Expected, KeySet, LEEWAY_S, TokenFault, claims_without_signature, client_credentials_form, given,
    verify,
};
use moka::Expiry;
use moka::future::Cache;
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub(crate) use self::agreed::{ClientCredentials, TokenExchange, of_registration};
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::fetch::FetchError;
use crate::store::{data_plane, now_ms, tokens};

/// Authorization by client credentials, as rows name it.
pub(crate) const OAUTH2: &str = "oauth2";
/// Authorization by token exchange, as rows name it.
pub(crate) const EXCHANGE: &str = "exchange";
/// How long a key set is believed.
const KEYS_KEPT: Duration = Duration::from_secs(60);
/// How long it is still believed while its address does not answer.
const KEYS_KEPT_WITHOUT_ANSWER: Duration = Duration::from_secs(3600);
/// Shortest time between two reads of a key set.
const KEYS_PAUSE: Duration = Duration::from_secs(5);
/// Largest token of our platform, in bytes.
const MAX_SUBJECT_TOKEN: usize = 16 * 1024;

/// Fetched tokens and key sets.
pub(crate) struct PlaneTokens {
    /// By the digest of what they were fetched with: a changed secret fetches anew.
    ours: Cache<[u8; 32], Kept>,
    /// Key sets by their address, with the time of their reading.
    known: Cache<String, (Arc<KeySet>, Instant)>,
    /// What the last reading of each address brought.
    read: Cache<String, Result<Arc<KeySet>, String>>,
}

/// A token and for how long it is kept.
#[derive(Clone)]
struct Kept {
    token: SecretString,
    usable: Duration,
}

struct UntilItsEnd;

impl Expiry<[u8; 32], Kept> for UntilItsEnd {
    fn expire_after_create(&self, _key: &[u8; 32], kept: &Kept, _now: Instant) -> Option<Duration> {
        Some(kept.usable)
    }
}

impl Default for PlaneTokens {
    fn default() -> Self {
        let small = || Cache::builder().max_capacity(1000);
        Self {
            ours: Cache::builder().max_capacity(1000).expire_after(UntilItsEnd).build(),
            known: small().time_to_live(KEYS_KEPT_WITHOUT_ANSWER).build(),
            read: Cache::builder().max_capacity(1000).time_to_live(KEYS_PAUSE).build(),
        }
    }
}

/// Whether we and this data plane show tokens to each other.
pub(crate) fn are_used(plane: &data_plane::Model) -> bool {
    matches!(plane.authorization.as_str(), OAUTH2 | EXCHANGE)
}

fn agreed<T: serde::de::DeserializeOwned>(plane: &data_plane::Model) -> ServiceResult<T> {
    serde_json::from_str(&plane.authorization_value).map_err(ServiceError::internal)
}

/// What our token for a data plane depends on.
fn cache_key(plane: &data_plane::Model) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [&plane.id, &plane.endpoint, &plane.authorization, &plane.authorization_value] {
        digest.update(part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}

/// A token of ours for a data plane's signaling interface, from the cache while it lives. Those who need one at the same time
/// wait for one request.
///
/// # Errors
/// `token_endpoint_failed`.
pub(crate) async fn ours(app: &App, plane: &data_plane::Model) -> ServiceResult<SecretString> {
    let failed = |why: &str| {
        let text = format!("the token endpoint of data plane `{}` gives no token: {why}", plane.id);
        ServiceError::unavailable("token_endpoint_failed", text)
    };
    if plane.authorization == OAUTH2 && agreed::<ClientCredentials>(plane)?.single_use {
        return fetch(app, plane).await.map(|kept| kept.token).map_err(|why| failed(&why));
    }
    let kept = app.plane_tokens.ours.try_get_with(cache_key(plane), fetch(app, plane)).await;
    kept.map(|kept| kept.token).map_err(|why| failed(&why))
}

async fn fetch(app: &App, plane: &data_plane::Model) -> Result<Kept, String> {
    let unreadable = |error: ServiceError| error.message;
    let (endpoint, form) = if plane.authorization == OAUTH2 {
        let credentials: ClientCredentials = agreed(plane).map_err(unreadable)?;
        let form = client_credentials_form(&credentials.client_id, &credentials.client_secret, None);
        (credentials.token_endpoint, form)
    } else {
        let exchange: TokenExchange = agreed(plane).map_err(unreadable)?;
        let broker = app.config.broker.as_ref().ok_or("`token_exchange` is not configured any more")?;
        let subject = tokio::fs::read_to_string(&broker.subject_token_file).await;
        let file = broker.subject_token_file.display();
        let subject = subject.map_err(|error| format!("`{file}` cannot be read: {error}"))?;
        let subject_token = subject.trim();
        if subject_token.is_empty() || subject_token.len() > MAX_SUBJECT_TOKEN {
            return Err(format!("`{file}` holds no token"));
        }
        let form = Exchange {
            subject_token,
            resource: Some(exchange.resource.as_deref().unwrap_or(&plane.endpoint)),
            audience: Some(exchange.audience.as_deref().unwrap_or(&plane.id)),
            scope: exchange.scope.as_deref(),
        };
        (broker.endpoint.to_string(), form.form())
    };
    let answer = app.internal.post_form(&endpoint, form).await.map_err(|error: FetchError| error.to_string())?;
    let given = given(answer.status, &answer.body)?;
    let usable = Duration::from_secs(u64::try_from(given.usable_s).unwrap_or_default());
    Ok(Kept { token: SecretString::from(format!("Bearer {}", given.token)), usable })
}

/// Forgets our token for a data plane that has refused it; the next signal fetches another.
pub(crate) async fn forget(app: &App, plane: &data_plane::Model) {
    app.plane_tokens.ours.invalidate(&cache_key(plane)).await;
}

/// Whether `header` is a token of this data plane for us.
///
/// # Errors
/// Only what the database brings; a token that is not good is `false`.
pub(crate) async fn is_theirs(app: &App, plane: &data_plane::Model, header: &[u8]) -> ServiceResult<bool> {
    let Some(token) = std::str::from_utf8(header).ok().and_then(|header| header.strip_prefix("Bearer ")) else {
        return Ok(false);
    };
    let (checked, single_use) = if plane.authorization == OAUTH2 {
        let credentials: ClientCredentials = agreed(plane)?;
        (check(app, plane, &credentials, token).await, credentials.single_use)
    } else {
        (check_exchanged(app, plane, &agreed(plane)?, token).await, false)
    };
    let claims = match checked {
        Ok(claims) => claims,
        Err(why) => {
            tracing::info!(data_plane = %plane.id, why, "a token is not one of this data plane");
            return Ok(false);
        }
    };
    if !single_use {
        return Ok(true);
    }
    let Some(jti) = claims.jti else { return Ok(false) };
    let (context, issuer, until) = (app.context(), format!("dataplane:{}", plane.id), claims.expires_s + LEEWAY_S + 1);
    app.store
        .write(move |unit| {
            Box::pin(async move { Ok::<_, ServiceError>(tokens::use_once(unit, context, &issuer, &jti, until).await?) })
        })
        .await
}

/// What is left of a plane's own token that keeps all rules, or the rule that it does not keep.
async fn check(
    app: &App,
    plane: &data_plane::Model,
    credentials: &ClientCredentials,
    token: &str,
) -> Result<Claims, String> {
    let expected = Expected {
        issuer: None,
        subject: &plane.id,
        audience: &app.participant,
        scope: None,
        participant_context: None,
    };
    match (&credentials.jwks, &credentials.jwks_uri) {
        (Some(jwks), _) => {
            let keys = KeySet::from_jwks(jwks).map_err(|error| error.to_string())?;
            verify(token, &keys, &expected, now_ms() / 1000).map_err(|fault| fault.to_string())
        }
        (None, Some(uri)) => judge(app, uri, token, &expected).await,
        (None, None) if credentials.danger_unverified_tokens => {
            claims_without_signature(token, &expected, now_ms() / 1000).map_err(|fault| fault.to_string())
        }
        (None, None) => Err("there are no keys for it".to_owned()),
    }
}

/// The same for a token that the broker has made for the plane.
async fn check_exchanged(
    app: &App,
    plane: &data_plane::Model,
    agreed: &TokenExchange,
    token: &str,
) -> Result<Claims, String> {
    let broker = app.config.broker.as_ref().ok_or("`token_exchange` is not configured any more")?;
    let expected = Expected {
        issuer: Some(&broker.issuer),
        subject: agreed.accept_subject.as_deref().unwrap_or(&plane.id),
        audience: &app.participant,
        scope: agreed.accept_scope.as_deref(),
        participant_context: agreed.accept_participant_context.as_deref(),
    };
    judge(app, broker.jwks_uri.as_str(), token, &expected).await
}

/// Verifies by the keys at `uri`; they are read anew when they do not fit.
async fn judge(app: &App, uri: &str, token: &str, expected: &Expected<'_>) -> Result<Claims, String> {
    let now_s = now_ms() / 1000;
    let judged = match verify(token, &*keys(app, uri, false).await?, expected, now_s) {
        Err(TokenFault::UnknownKey | TokenFault::Signature) => {
            verify(token, &*keys(app, uri, true).await?, expected, now_s)
        }
        judged => judged,
    };
    judged.map_err(|fault| fault.to_string())
}

/// The keys at an address, not read more often than every five seconds, and believed for an hour while it does not answer.
async fn keys(app: &App, uri: &str, afresh: bool) -> Result<Arc<KeySet>, String> {
    let caches = &app.plane_tokens;
    let known = caches.known.get(uri).await;
    if let Some((set, read)) = &known
        && !afresh
        && read.elapsed() < KEYS_KEPT
    {
        return Ok(set.clone());
    }
    let read = caches.read.get_with(uri.to_owned(), async {
        let read = read_keys(app, uri).await.map(Arc::new);
        match &read {
            Ok(set) => caches.known.insert(uri.to_owned(), (set.clone(), Instant::now())).await,
            Err(why) => tracing::warn!(address = uri, why, "a key set cannot be read"),
        }
        read
    });
    read.await.or_else(|why| known.map(|(set, _)| set).ok_or_else(|| format!("its keys cannot be read: {why}")))
}

async fn read_keys(app: &App, uri: &str) -> Result<KeySet, String> {
    let answer = app.internal.get_json(uri, None).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    let set: Value = serde_json::from_slice(&answer.body).map_err(|_error| "the answer is not JSON".to_owned())?;
    KeySet::from_jwks(&set).map_err(|error| format!("the answer {error}"))
}

#[cfg(test)]
mod tests;
