//! Whether a token is one of the other plane for us: signature first, then claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{AlgorithmFamily, Header};
use serde_json::{Map, Value};

use super::KeySet;
use super::keys::Key;

/// How far clocks may be apart, seconds.
pub const LEEWAY_S: i64 = 30;
/// Longest life of a token, seconds.
pub const MAX_LIFE_S: i64 = 24 * 3600;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// Longest id of a token, in bytes.
const MAX_JTI: usize = 512;

const NO_JWS: TokenFault = TokenFault::Envelope("it is no compact JWS, or its `alg` is not known");

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `iss`, where it is known; otherwise any.
    pub issuer: Option<&'a str>,
    /// `sub`: the sender.
    pub subject: &'a str,
    /// One of `aud`: the receiver.
    pub audience: &'a str,
    /// Each must be in `scope`; separated by spaces.
    pub scope: Option<&'a str>,
    /// `participant_context`, where it matters.
    pub participant_context: Option<&'a str>,
}

/// What is left of a token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The token's id, where it has one of at most 512 bytes.
    pub jti: Option<String>,
    /// When it was issued, seconds since 1970.
    pub issued_s: i64,
    /// When it ends, seconds since 1970; it is accepted [`LEEWAY_S`] longer.
    pub expires_s: i64,
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is no JWT, or asks for what is not done here.
    #[error("it is not an acceptable JWT: {0}")]
    Envelope(&'static str),
    /// No key of the set has its `kid` and algorithm: the set may be an old one.
    #[error("no key of the set has its `kid` and algorithm")]
    UnknownKey,
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// A claim is missing or has the wrong form.
    #[error("`{0}` is missing or has another form")]
    Missing(&'static str),
    /// A claim is not the expected one.
    #[error("`{0}` is another one")]
    Other(&'static str),
    /// `scope` lacks something.
    #[error("`scope` lacks `{0}`")]
    Scope(String),
    /// It has ended.
    #[error("it has expired")]
    Expired,
    /// It counts later only: `iat` or `nbf` is ahead of our clock.
    #[error("it is from the future")]
    Future,
    /// Its life is longer than [`MAX_LIFE_S`].
    #[error("it is valid for longer than a day")]
    TooLong,
}

/// Checks a token: its envelope, then its signature by a key of the set (by `kid`; without one any key is tried), then its claims.
/// Symmetric algorithms and `none` are refused.
///
/// # Errors
/// The first rule that it does not keep.
pub fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>, now_s: i64) -> Result<Claims, TokenFault> {
    let header = header(token)?;
    let mut named = keys
        .keys
        .iter()
        .filter(|key| header.kid.is_none() || key.kid == header.kid)
        .filter(|key| key.signs_with(header.alg))
        .peekable();
    if named.peek().is_none() {
        return Err(TokenFault::UnknownKey);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(NO_JWS)?;
    let fits =
        |key: &Key| jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, header.alg).unwrap_or(false);
    if !named.any(fits) {
        return Err(TokenFault::Signature);
    }
    read(&content(token)?, expected, now_s)
}

/// Checks the claims alone, for a receiver whose operator has said that signatures do not matter.
///
/// # Errors
/// The first rule that it does not keep.
pub fn claims_without_signature(token: &str, expected: &Expected<'_>, now_s: i64) -> Result<Claims, TokenFault> {
    header(token)?;
    read(&content(token)?, expected, now_s)
}

/// The claims, unchecked.
fn content(token: &str) -> Result<Map<String, Value>, TokenFault> {
    let bytes = token.split('.').nth(1).and_then(|content| URL_SAFE_NO_PAD.decode(content).ok());
    let claims = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    claims.ok_or(TokenFault::Envelope("its content is no JSON object"))
}

fn header(token: &str) -> Result<Header, TokenFault> {
    if token.len() > MAX_TOKEN {
        return Err(TokenFault::Envelope("it is too long"));
    }
    if token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return Err(NO_JWS);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| NO_JWS)?;
    if header.alg.family() == AlgorithmFamily::Hmac {
        return Err(TokenFault::Envelope("its `alg` is symmetric"));
    }
    let usual = |kind: &str| ["jwt", "at+jwt", "application/at+jwt"].contains(&kind.to_ascii_lowercase().as_str());
    if !header.typ.as_deref().is_none_or(usual) {
        return Err(TokenFault::Envelope("its `typ` is another one"));
    }
    if header.crit.is_some()
        || header.enc.is_some()
        || header.zip.is_some()
        || header.extras.inner().contains_key("b64")
    {
        return Err(TokenFault::Envelope("the header asks for an extension"));
    }
    Ok(header)
}

fn read(claims: &Map<String, Value>, expected: &Expected<'_>, now_s: i64) -> Result<Claims, TokenFault> {
    let text = |name: &'static str| claims.get(name).and_then(Value::as_str).ok_or(TokenFault::Missing(name));
    let is =
        |name: &'static str, wanted: &str| if text(name)? == wanted { Ok(()) } else { Err(TokenFault::Other(name)) };
    let issuer = text("iss")?;
    is("iss", expected.issuer.unwrap_or(issuer))?;
    is("sub", expected.subject)?;
    let meant = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.audience,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(expected.audience)),
        _ => return Err(TokenFault::Missing("aud")),
    };
    if !meant {
        return Err(TokenFault::Other("aud"));
    }
    let (issued_s, expires_s) = times(claims, now_s)?;
    if let Some(wanted) = expected.scope {
        let granted = claims.get("scope");
        let has = |name: &str| match granted {
            Some(Value::String(text)) => text.split(' ').any(|one| one == name),
            Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(name)),
            _ => false,
        };
        if let Some(lacking) = wanted.split_whitespace().find(|name| !has(name)) {
            return Err(TokenFault::Scope(lacking.to_owned()));
        }
    }
    if let Some(context) = expected.participant_context {
        is("participant_context", context)?;
    }
    let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI);
    Ok(Claims { jti: jti.map(str::to_owned), issued_s, expires_s })
}

/// `iat` and `exp`, and `nbf` where there is one.
fn times(claims: &Map<String, Value>, now_s: i64) -> Result<(i64, i64), TokenFault> {
    let time = |name: &'static str| claims.get(name).and_then(whole_seconds).ok_or(TokenFault::Missing(name));
    let (issued_s, expires_s) = (time("iat")?, time("exp")?);
    if expires_s.saturating_add(LEEWAY_S) <= now_s {
        return Err(TokenFault::Expired);
    }
    let starts_s = if claims.contains_key("nbf") { time("nbf")?.max(issued_s) } else { issued_s };
    if starts_s > now_s.saturating_add(LEEWAY_S) {
        return Err(TokenFault::Future);
    }
    if expires_s.saturating_sub(issued_s) > MAX_LIFE_S {
        return Err(TokenFault::TooLong);
    }
    Ok((issued_s, expires_s))
}

/// A NumericDate, which may have a fraction (RFC 7519, 2).
fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_number()?.as_str().split('.').next()?.parse().ok())
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
