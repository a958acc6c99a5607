//! The access token that a holder gives to a verifier, so that it may query (DCP 1.0.1, 4.3.1, claim `token`). Its form is the
//! holder's own affair: a JWT by the holder for itself that names the verifier and the scopes.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{DcpError, Refusal};
use crate::did::{Did, DidResolver, DidUrl, Relationship};
use crate::jose::Jws;
use crate::keys::Signer;
use crate::scope::Scopes;
use crate::token::{self, MAX_TOKEN_BYTES};
use crate::{Clock, IdentityError};

/// The `typ` header parameter, so that no other token of ours can pass for one (RFC 9068, 2.1).
const TYP: &str = "at+jwt";

/// What a verifier was allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessGrant {
    /// The DID that may use it.
    pub verifier: String,
    /// What it may ask for.
    pub scopes: Scopes,
    /// Until when, seconds since the epoch.
    pub expires: i64,
}

/// Makes an access token of `holder` for `verifier`.
///
/// # Errors
/// `cannot_sign` when the key does not sign.
pub async fn mint_access_token(
    signer: &dyn Signer,
    clock: &dyn Clock,
    holder: &Did,
    verifier: &str,
    scopes: &Scopes,
    lifetime_s: i64,
) -> Result<SecretString, IdentityError> {
    let now = clock.now();
    let claims = json!({
        "iss": holder.as_str(),
        "aud": holder.as_str(),
        "verifier": verifier,
        "scope": scopes.to_string(),
        "jti": Uuid::new_v4().to_string(),
        "iat": now,
        "exp": now.saturating_add(lifetime_s),
    });
    Ok(SecretString::from(token::sign(signer, TYP, &claims).await?))
}

/// Checks access tokens that this holder made.
pub struct AccessTokens {
    holder: Did,
    resolver: Arc<DidResolver>,
    clock: Arc<dyn Clock>,
}

impl AccessTokens {
    /// For the tokens of `holder`; the resolver answers for its DID.
    pub fn new(holder: Did, resolver: Arc<DidResolver>, clock: Arc<dyn Clock>) -> Self {
        Self { holder, resolver, clock }
    }

    /// What the token allows the verifier that presents it. There is no leeway: the clock is the one it was made by.
    ///
    /// # Errors
    /// 401: `malformed_access_token`, `bad_access_token_signature`, `access_token_expired`, `access_token_of_another`, or the
    /// reason why our own key is not found.
    pub async fn validate(&self, token: &str, verifier: &Did) -> Result<AccessGrant, DcpError> {
        let refuse = |code, what: &str| {
            DcpError::new(Refusal::Unauthorized, code, format!("the access token (claim `token`) {what}"))
        };
        let malformed = |what: &str| refuse("malformed_access_token", what);
        if token.len() > MAX_TOKEN_BYTES {
            return Err(malformed("is too large"));
        }
        let jws = Jws::parse(token).map_err(|_error| malformed("is not one of this credential service"))?;
        let text = |members: &Map<String, Value>, name: &str| {
            members.get(name).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let ours = text(jws.header(), "typ") == TYP
            && ["iss", "aud"].iter().all(|name| text(jws.payload(), name) == self.holder.as_str());
        let method = jws.kid().and_then(|kid| DidUrl::parse(kid).ok()).filter(|method| *method.did() == self.holder);
        let (true, Some(method)) = (ours, method) else {
            return Err(malformed("is not one of this credential service"));
        };
        // As with credentials, a key that was rotated out still stands for what it signed.
        let key = self.resolver.key(&method, Relationship::AssertionMethod).await.map_err(IdentityError::from)?;
        jws.verify(&key).map_err(|_error| refuse("bad_access_token_signature", "was not signed here"))?;

        let expires = jws.payload().get("exp").and_then(Value::as_i64).ok_or_else(|| malformed("has no `exp`"))?;
        if expires <= self.clock.now() {
            return Err(refuse("access_token_expired", "has expired"));
        }
        let named = text(jws.payload(), "verifier");
        if named != verifier.as_str() {
            return Err(refuse("access_token_of_another", "was made for another verifier"));
        }
        let scopes = Scopes::parse(&text(jws.payload(), "scope"))?;
        Ok(AccessGrant { verifier: named, scopes, expires })
    }
}
