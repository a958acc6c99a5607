//! The token service: gives programs of our own organisation self-issued ID tokens of ours (DCP 1.0.1, 4.4; RFC 6749, 4.4).

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use thiserror::Error;

use super::access_token::mint_access_token;
use crate::did::Did;
use crate::keys::Signer;
use crate::scope::Scopes;
use crate::token::{IdToken, MAX_TOKEN_BYTES, mint};
use crate::{Clock, IdentityError};

/// Shortest client secret, in bytes.
const MIN_SECRET: usize = 8;
/// The most parameters of a request.
const MAX_PARAMETERS: usize = 32;

/// Who may have tokens.
#[derive(Clone)]
pub struct StsClient {
    /// Its id.
    pub id: String,
    /// Its secret, of at least eight bytes.
    pub secret: SecretString,
}

/// The secret stays out.
impl fmt::Debug for StsClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StsClient").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How long the tokens are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StsSettings {
    /// ID tokens, in seconds.
    pub token_lifetime_s: i64,
    /// The access tokens in them, in seconds.
    pub access_token_lifetime_s: i64,
}

impl Default for StsSettings {
    fn default() -> Self {
        Self { token_lifetime_s: 300, access_token_lifetime_s: 600 }
    }
}

/// An answer with a token.
#[derive(Clone)]
pub struct StsToken {
    /// The self-issued ID token.
    pub access_token: SecretString,
    /// How long it is valid, in seconds.
    pub expires_in: i64,
}

impl StsToken {
    /// The body of the answer. It holds the token.
    pub fn to_json(&self) -> Value {
        json!({
            "access_token": self.access_token.expose_secret(),
            "expires_in": self.expires_in,
            "token_type": "Bearer",
        })
    }
}

/// The token stays out.
impl fmt::Debug for StsToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StsToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A request that gets no token: 400 where the caller has to change it (RFC 6749, 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{description}")]
pub struct StsError {
    error: &'static str,
    description: String,
}

impl StsError {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { error, description: description.into() }
    }

    /// `invalid_request`, `invalid_client`, `unsupported_grant_type`, `invalid_scope`, `server_error`.
    pub fn code(&self) -> &'static str {
        self.error
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        if self.error == "server_error" { 500 } else { 400 }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Value {
        json!([{"error": self.error, "error_description": self.description}])
    }
}

/// The token service.
pub struct Sts {
    own: Did,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    clients: Vec<([u8; 32], [u8; 32])>,
    settings: StsSettings,
}

impl Sts {
    /// For these clients, tokens in the name of `own`.
    ///
    /// # Errors
    /// `bad_sts_client` when an id is empty or there twice, or a secret is too short.
    pub fn new(
        own: Did,
        signer: Arc<dyn Signer>,
        clock: Arc<dyn Clock>,
        clients: &[StsClient],
        settings: StsSettings,
    ) -> Result<Self, IdentityError> {
        let mut known: Vec<([u8; 32], [u8; 32])> = Vec::with_capacity(clients.len());
        for client in clients {
            let bad = |what: &str| {
                let id = crate::printable(&client.id);
                Err(IdentityError::us("bad_sts_client", format!("the client `{id}` of the token service {what}")))
            };
            let id = digest(&client.id);
            if client.id.is_empty() || known.iter().any(|(other, _)| *other == id) {
                return bad("has an id that is empty or there twice");
            }
            if client.secret.expose_secret().len() < MIN_SECRET {
                return bad(&format!("has a secret of less than {MIN_SECRET} bytes"));
            }
            known.push((id, digest(client.secret.expose_secret())));
        }
        Ok(Self { own, signer, clock, clients: known, settings })
    }

    /// Answers a token request; `form` are its decoded parameters.
    ///
    /// # Errors
    /// See [`StsError::code`].
    pub async fn token(&self, form: &[(String, String)]) -> Result<StsToken, StsError> {
        let invalid = |what: String| StsError::new("invalid_request", what);
        if form.len() > MAX_PARAMETERS {
            return Err(invalid(format!("the request has more than {MAX_PARAMETERS} parameters")));
        }
        let find = |name: &str| -> Result<Option<&str>, StsError> {
            let mut values = form.iter().filter(|(key, value)| key == name && !value.is_empty());
            match (values.next(), values.next()) {
                (found, None) => Ok(found.map(|(_, value)| value.as_str())),
                _ => Err(invalid(format!("the parameter `{name}` is there twice"))),
            }
        };
        let needed =
            |name: &str| find(name)?.ok_or_else(|| invalid(format!("the parameter `{name}` is missing or empty")));
        if needed("grant_type")? != "client_credentials" {
            return Err(StsError::new("unsupported_grant_type", "the grant type must be `client_credentials`"));
        }
        if !self.is_client(needed("client_id")?, needed("client_secret")?) {
            return Err(StsError::new("invalid_client", "the client is not known, or its secret is another one"));
        }
        let audience: Did =
            needed("audience")?.parse().map_err(|_error| invalid("the `audience` is not a DID".to_owned()))?;
        let given = find("token")?;
        let token = match (find("bearer_access_scope")?, given) {
            (Some(_), Some(_)) => {
                return Err(invalid("`bearer_access_scope` and `token` exclude each other".to_owned()));
            }
            (Some(scopes), None) => {
                let scopes =
                    Scopes::parse(scopes).map_err(|error| StsError::new("invalid_scope", error.to_string()))?;
                if scopes.is_empty() {
                    return Err(StsError::new("invalid_scope", "the `bearer_access_scope` has no scope"));
                }
                Some(self.access_token(&audience, &scopes).await?)
            }
            (None, Some(token)) if token.len() <= MAX_TOKEN_BYTES / 2 => Some(SecretString::from(token)),
            (None, Some(_)) => return Err(invalid("the `token` is too large".to_owned())),
            (None, None) => None,
        };
        let say = IdToken::new(&self.own, audience.as_str(), self.settings.token_lifetime_s).with_token(token.as_ref());
        let access_token = mint(&*self.signer, &*self.clock, &say).await.map_err(|error| failed(&error))?;
        Ok(StsToken { access_token, expires_in: self.settings.token_lifetime_s })
    }

    async fn access_token(&self, verifier: &Did, scopes: &Scopes) -> Result<SecretString, StsError> {
        let lifetime_s = self.settings.access_token_lifetime_s;
        mint_access_token(&*self.signer, &*self.clock, &self.own, verifier.as_str(), scopes, lifetime_s)
            .await
            .map_err(|error| failed(&error))
    }

    /// Looks at every client, so that the time tells nothing about which one it was or how much of the secret was right.
    fn is_client(&self, id: &str, secret: &str) -> bool {
        let (id, secret) = (digest(id), digest(secret));
        let mut found = Choice::from(0);
        for (known_id, known_secret) in &self.clients {
            found |= known_id.ct_eq(&id) & known_secret.ct_eq(&secret);
        }
        found.into()
    }
}

fn failed(error: &IdentityError) -> StsError {
    StsError::new("server_error", error.to_string())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
