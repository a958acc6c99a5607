//! Making tokens.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::did::Did;
use crate::keys::Signer;
use crate::{Clock, IdentityError};

/// What a token of ours shall say.
#[derive(Clone, Copy)]
pub struct IdToken<'a> {
    /// Who we are: `iss` and `sub`.
    pub issuer: &'a Did,
    /// Whom it is for: the receiver's DID.
    pub audience: &'a str,
    /// How long it is valid, in seconds.
    pub lifetime_s: i64,
    /// An access token that goes with it (claim `token`).
    pub token: Option<&'a SecretString>,
    /// The code that an issuer gave us for a credential request (claim `pre-authorized_code`).
    pub pre_authorized_code: Option<&'a SecretString>,
}

impl<'a> IdToken<'a> {
    /// A token with nothing in it but who and for whom.
    pub fn new(issuer: &'a Did, audience: &'a str, lifetime_s: i64) -> Self {
        Self { issuer, audience, lifetime_s, token: None, pre_authorized_code: None }
    }

    /// With an access token.
    #[must_use]
    pub fn with_token(mut self, token: Option<&'a SecretString>) -> Self {
        self.token = token;
        self
    }
}

/// The tokens inside are secrets.
impl fmt::Debug for IdToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IdToken")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("lifetime_s", &self.lifetime_s)
            .finish_non_exhaustive()
    }
}

/// Makes a self-issued ID token with a fresh `jti` (DCP 1.0.1, 4.3.1).
///
/// # Errors
/// `cannot_sign` when the key does not sign.
pub async fn mint(signer: &dyn Signer, clock: &dyn Clock, say: &IdToken<'_>) -> Result<SecretString, IdentityError> {
    let now = clock.now();
    let mut claims = Map::new();
    let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    claim("iss", json!(say.issuer.as_str()));
    claim("sub", json!(say.issuer.as_str()));
    claim("aud", json!(say.audience));
    claim("jti", json!(Uuid::new_v4().to_string()));
    claim("iat", json!(now));
    claim("exp", json!(now.saturating_add(say.lifetime_s)));
    if let Some(token) = say.token {
        claim("token", json!(token.expose_secret()));
    }
    if let Some(code) = say.pre_authorized_code {
        claim("pre-authorized_code", json!(code.expose_secret()));
    }
    let token = sign(signer, "JWT", &Value::Object(claims)).await?;
    Ok(SecretString::from(token))
}

/// A compact JWS by our current key, with its `kid`.
pub(crate) async fn sign(signer: &dyn Signer, typ: &str, payload: &Value) -> Result<String, IdentityError> {
    signer
        .sign_compact(&json!({"typ": typ}), payload)
        .await
        // What signs may lie in a secret store, which comes back.
        .map_err(|error| {
            IdentityError::us(error.code(), format!("a token of ours cannot be signed: {error}")).for_now()
        })
}
