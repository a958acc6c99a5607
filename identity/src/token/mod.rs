//! Self-issued ID tokens (DCP 1.0.1, 4.3): who sends a request, proved by a key of its DID document.

mod mint;
mod replay;
#[cfg(test)]
mod tests;
mod validate;

use std::fmt;

use secrecy::SecretString;
use serde_json::{Map, Value};

pub(crate) use mint::sign;
pub use mint::{IdToken, mint};
pub use replay::{DEFAULT_REPLAY_ENTRIES, ReplayMemory};
pub use validate::{DEFAULT_LEEWAY_S, DEFAULT_MAX_LIFETIME_S, TokenValidator};

use crate::IdentityError;
use crate::did::Did;

/// Longest token, in bytes: it carries an access token of somebody else's making.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// That a token was used: to be remembered until nobody can use it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenUse {
    /// Who made the token.
    pub issuer: String,
    /// Its `jti`, unique among the tokens of this issuer.
    pub jti: String,
    /// From when on it is refused anyway, seconds since the epoch; leeway is in it.
    pub expires: i64,
}

/// What a valid token says.
#[derive(Clone)]
pub struct SelfIssued {
    /// Who sent it.
    pub did: Did,
    /// When it was made, seconds since the epoch.
    pub issued: i64,
    /// When it ends, seconds since the epoch.
    pub expires: i64,
    /// The access token for the sender's credential service (claim `token`).
    pub token: Option<SecretString>,
    /// The code of a pre-authorised credential request (claim `pre-authorized_code`).
    pub pre_authorized_code: Option<SecretString>,
    /// The one use that was made of it.
    pub token_use: TokenUse,
    /// All other claims.
    pub extra: Map<String, Value>,
}

/// The tokens inside are secrets.
impl fmt::Debug for SelfIssued {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SelfIssued")
            .field("did", &self.did)
            .field("expires", &self.expires)
            .field("has_token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

/// What the token says by which a consumer renews an access token (DPS profiles, Token renewal).
#[derive(Clone, Debug)]
pub struct ClientToken {
    /// The access token that it holds.
    pub access_token: SecretString,
    /// The one use that was made of it.
    pub token_use: TokenUse,
}

/// The token of a header `Authorization: Bearer TOKEN` (DCP 1.0.1, 5.3), the scheme written exactly so.
///
/// # Errors
/// `no_token`, `wrong_scheme`, `malformed_token`.
pub fn bearer(authorization: Option<&str>) -> Result<&str, IdentityError> {
    let header = authorization.map(str::trim).filter(|header| !header.is_empty()).ok_or_else(|| {
        IdentityError::caller("no_token", "the request has no Authorization header with a self-issued ID token")
    })?;
    let token = header.strip_prefix("Bearer ").map(str::trim).ok_or_else(|| {
        IdentityError::caller("wrong_scheme", "the Authorization header must be `Bearer` and a token")
    })?;
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("after `Bearer` there must be one token of at most {MAX_TOKEN_BYTES} visible characters");
        return Err(IdentityError::caller("malformed_token", message));
    }
    Ok(token)
}
