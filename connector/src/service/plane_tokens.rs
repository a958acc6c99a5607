//! Tokens between us and data planes that authenticate by OAuth 2.0 client credentials (DPS profiles, Authorization): we fetch one at
//! the plane's token endpoint for our signals, and verify those that come with its callbacks.
//!
//! Token endpoints and key sets are named by operators, or by a plane that registered with the shared secret. Both may lie in
//! our own network, so they are called by the client for addresses of operators; a token endpoint gets our secret, and is
//! therefore called by TLS or on loopback only.

use std::sync::Arc;
use std::time::Duration;

use identity::jose::{Jws, PublicKey};
use moka::future::Cache;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::{Host, Url, form_urlencoded};

use super::dataset::{bad, check_length, check_url};
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::fetch::FetchError;
use crate::store::{data_plane, now_ms, tokens};

/// The kind of authorization, as rows name it.
pub(crate) const OAUTH2: &str = "oauth2";
/// The profile's name in registrations.
pub(crate) const PROFILE: &str = "oauth2_client_credentials";
/// A token is fetched anew when less than this is left of its life, ms.
const EARLY_MS: i64 = 30_000;
/// Life of a token whose endpoint does not say it, seconds.
const UNSAID_LIFE_S: i64 = 60;
/// How long a key set is believed.
const KEYS_KEPT: Duration = Duration::from_secs(60);
/// Longest life of a plane's token, seconds.
const MAX_LIFE_S: i64 = 24 * 3600;
/// How far clocks may be apart, seconds.
const LEEWAY_S: i64 = 30;
/// Longest id of a token, in bytes.
const MAX_JTI: usize = 512;
/// Keys of a set that are looked at.
const MAX_KEYS: usize = 32;

/// What is agreed with one data plane; kept as JSON beside its registration.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientCredentials {
    /// Where we get tokens for the plane.
    pub token_endpoint: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: String,
    /// The keys that sign the plane's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where those keys are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The plane's tokens are believed without a look at their signature.
    #[serde(default)]
    pub danger_unverified_tokens: bool,
    /// Each of the plane's tokens counts once.
    #[serde(default)]
    pub single_use: bool,
}

impl ClientCredentials {
    /// Checks the members and makes the stored form.
    ///
    /// # Errors
    /// `bad_member`.
    pub(crate) fn stored(&self) -> ServiceResult<String> {
        let endpoint = check_url("tokenEndpoint", &self.token_endpoint)?;
        if endpoint.scheme() != "https" && !is_loopback(&endpoint) {
            return Err(bad("tokenEndpoint", "gets a secret: it must be https, or on loopback"));
        }
        for (name, text) in [("clientId", &self.client_id), ("clientSecret", &self.client_secret)] {
            if text.is_empty() {
                return Err(bad(name, "must not be empty"));
            }
            check_length(name, text, 4096)?;
        }
        match (&self.jwks, &self.jwks_uri) {
            (Some(_), Some(_)) => return Err(bad("jwksUri", "and `jwks` exclude each other")),
            (Some(jwks), None) => {
                keys_of(jwks).map_err(|why| bad("jwks", why))?;
            }
            (None, Some(uri)) => {
                check_url("jwksUri", uri)?;
            }
            (None, None) if !self.danger_unverified_tokens => {
                let text =
                    "or `jwks` is needed to verify the plane's tokens; only `dangerUnverifiedTokens` does without";
                return Err(bad("jwksUri", text));
            }
            (None, None) => {}
        }
        serde_json::to_string(self).map_err(ServiceError::internal)
    }

    /// The authorization entry of a registration.
    ///
    /// # Errors
    /// `bad_member` when a member is missing or has another form.
    pub(crate) fn of_registration(entry: &Value) -> ServiceResult<Self> {
        let text = |name: &'static str| {
            let found = entry.get(name).and_then(Value::as_str).map(str::to_owned);
            found.ok_or_else(|| bad(name, "is missing in `authorization`, or no string"))
        };
        Ok(Self {
            token_endpoint: text("tokenEndpoint")?,
            client_id: text("clientId")?,
            client_secret: text("clientSecret")?,
            jwks: entry.get("jwks").filter(|jwks| !jwks.is_null()).cloned(),
            jwks_uri: entry.get("jwksUri").and_then(Value::as_str).map(str::to_owned),
            danger_unverified_tokens: false,
            single_use: false,
        })
    }

    fn of(plane: &data_plane::Model) -> ServiceResult<Self> {
        serde_json::from_str(&plane.authorization_value).map_err(ServiceError::internal)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Fetched tokens and key sets.
pub(crate) struct PlaneTokens {
    /// By the digest of what they were fetched with: a changed secret fetches anew.
    ours: Cache<[u8; 32], (SecretString, i64)>,
    keys: Cache<String, Arc<Vec<Key>>>,
}

/// A key and its name.
type Key = (Option<String>, PublicKey);

impl Default for PlaneTokens {
    fn default() -> Self {
        Self {
            ours: Cache::builder().max_capacity(1000).build(),
            keys: Cache::builder().max_capacity(1000).time_to_live(KEYS_KEPT).build(),
        }
    }
}

/// A token of ours for a data plane's signaling interface, from the cache while it lives.
///
/// # Errors
/// `token_endpoint_failed`.
pub(crate) async fn ours(app: &App, plane: &data_plane::Model) -> ServiceResult<SecretString> {
    let key: [u8; 32] = Sha256::digest(plane.authorization_value.as_bytes()).into();
    if let Some((token, until)) = app.plane_tokens.ours.get(&key).await
        && now_ms() < until
    {
        return Ok(token);
    }
    let credentials = ClientCredentials::of(plane)?;
    let failed = |why: String| {
        let text = format!("the token endpoint of data plane `{}` gives no token: {why}", plane.id);
        ServiceError::unavailable("token_endpoint_failed", text)
    };
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &credentials.client_id)
        .append_pair("client_secret", &credentials.client_secret)
        .finish();
    let answer = app.internal.post_form(&credentials.token_endpoint, form).await;
    let answer = answer.map_err(|error: FetchError| failed(error.to_string()))?;
    if answer.status != 200 {
        return Err(failed(format!("it answered with status {}", answer.status)));
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|_error| failed("its answer is not JSON".into()))?;
    let token = body.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| failed("its answer has no `access_token`".to_owned()))?;
    let life_s = body.get("expires_in").and_then(Value::as_i64).unwrap_or(UNSAID_LIFE_S).clamp(0, MAX_LIFE_S);
    let token = SecretString::from(format!("Bearer {token}"));
    let until = now_ms().saturating_add(life_s * 1000).saturating_sub(EARLY_MS.min(life_s * 500));
    app.plane_tokens.ours.insert(key, (token.clone(), until)).await;
    Ok(token)
}

/// Forgets our token for a data plane that has refused it; the next signal fetches another.
pub(crate) async fn forget(app: &App, plane: &data_plane::Model) {
    let key: [u8; 32] = Sha256::digest(plane.authorization_value.as_bytes()).into();
    app.plane_tokens.ours.invalidate(&key).await;
}

/// Whether `header` is a token of this data plane for us.
///
/// # Errors
/// Only what the database brings; a token that is not good is `false`.
pub(crate) async fn is_theirs(app: &App, plane: &data_plane::Model, header: &[u8]) -> ServiceResult<bool> {
    let Some(token) = std::str::from_utf8(header).ok().and_then(|header| header.strip_prefix("Bearer ")) else {
        return Ok(false);
    };
    let credentials = ClientCredentials::of(plane)?;
    let checked = check(app, plane, &credentials, token).await;
    let (jti, expires) = match checked {
        Ok(claims) => claims,
        Err(why) => {
            tracing::info!(data_plane = %plane.id, why, "a token is not one of this data plane");
            return Ok(false);
        }
    };
    if !credentials.single_use {
        return Ok(true);
    }
    let Some(jti) = jti else { return Ok(false) };
    let (context, issuer) = (app.context(), format!("dataplane:{}", plane.id));
    app.store
        .write(move |unit| {
            Box::pin(async move {
                Ok::<_, ServiceError>(tokens::use_once(unit, context, &issuer, &jti, expires + LEEWAY_S + 1).await?)
            })
        })
        .await
}

/// The id and the end of a token that keeps all rules, or the rule that it does not keep.
async fn check(
    app: &App,
    plane: &data_plane::Model,
    credentials: &ClientCredentials,
    token: &str,
) -> Result<(Option<String>, i64), String> {
    let jws = Jws::parse(token).map_err(|error| error.to_string())?;
    let found = read(jws.payload(), &plane.id, &app.participant, now_ms() / 1000)?;
    if credentials.danger_unverified_tokens && credentials.jwks.is_none() && credentials.jwks_uri.is_none() {
        return Ok(found);
    }
    let keys = keys(app, credentials).await?;
    let named = |key: &&Key| jws.kid().is_none_or(|kid| key.0.as_deref() == Some(kid));
    let signed = keys.iter().filter(named).any(|(_, key)| jws.verify(key).is_ok());
    if signed { Ok(found) } else { Err("no key of its set has signed it".to_owned()) }
}

/// Reads the claims: `iss`, `sub` (the plane), `aud` (we), `iat`, `exp`, and `jti` where there is one.
fn read(claims: &Map<String, Value>, plane: &str, us: &str, now: i64) -> Result<(Option<String>, i64), String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` is missing"));
    let time = |name: &str| claims.get(name).and_then(Value::as_i64).ok_or_else(|| format!("`{name}` is missing"));
    text("iss")?;
    if text("sub")? != plane {
        return Err("`sub` is another one".to_owned());
    }
    let meant = match claims.get("aud") {
        Some(Value::String(one)) => one == us,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(us)),
        _ => return Err("`aud` is missing".to_owned()),
    };
    if !meant {
        return Err("`aud` is another one".to_owned());
    }
    let (issued, expires) = (time("iat")?, time("exp")?);
    if expires.saturating_add(LEEWAY_S) <= now {
        return Err("it has expired".to_owned());
    }
    if issued > now.saturating_add(LEEWAY_S) {
        return Err("it was issued in the future".to_owned());
    }
    if expires.saturating_sub(issued) > MAX_LIFE_S {
        return Err(format!("it is valid for longer than {MAX_LIFE_S} s"));
    }
    let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI);
    Ok((jti.map(str::to_owned), expires))
}

async fn keys(app: &App, credentials: &ClientCredentials) -> Result<Arc<Vec<Key>>, String> {
    if let Some(jwks) = &credentials.jwks {
        return keys_of(jwks).map(Arc::new);
    }
    let uri = credentials.jwks_uri.clone().unwrap_or_default();
    if let Some(known) = app.plane_tokens.keys.get(&uri).await {
        return Ok(known);
    }
    let answer =
        app.internal.get_json(&uri, None).await.map_err(|error| format!("its keys cannot be read: {error}"))?;
    if answer.status != 200 {
        return Err(format!("its keys cannot be read: status {}", answer.status));
    }
    let set: Value = serde_json::from_slice(&answer.body).map_err(|_error| "its key set is not JSON".to_owned())?;
    let keys = Arc::new(keys_of(&set)?);
    app.plane_tokens.keys.insert(uri, keys.clone()).await;
    Ok(keys)
}

/// The usable keys of a set (RFC 7517, 5); those of other kinds are passed over.
fn keys_of(set: &Value) -> Result<Vec<Key>, String> {
    let list = set.get("keys").and_then(Value::as_array).ok_or("must be a JSON Web Key set")?;
    let named = |jwk: &Value| jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
    let keys: Vec<Key> =
        list.iter().take(MAX_KEYS).filter_map(|jwk| Some((named(jwk), PublicKey::from_jwk(jwk).ok()?))).collect();
    if keys.is_empty() { Err("has no usable key".to_owned()) } else { Ok(keys) }
}

#[cfg(test)]
#[path = "plane_tokens_tests.rs"]
mod tests;
