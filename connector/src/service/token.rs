//! The bearer token of the management API: made at the first start, shown once, kept as a hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{ServiceError, ServiceResult};
use crate::store::{DEFAULT_CONTEXT, Store, secrets};

/// Name of the stored hash.
const SECRET_ID: &str = "management_token";
/// Randomness of a token that we make, in bytes.
const TOKEN_BYTES: usize = 32;
/// What our tokens start with, so that a leaked one is recognised.
const PREFIX: &str = "hansa_";

/// SHA-256 of the management token.
#[derive(Clone)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of this token.
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self(hex::decode(text).ok()?.try_into().ok()?))
    }

    fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Whether `token` is the token, found out in a time that does not depend on how much of it is right.
    pub(crate) fn admits(&self, token: &str) -> bool {
        Self::of(token).0.ct_eq(&self.0).into()
    }
}

/// Makes a token at the first start and stores its hash.
///
/// Answers the token itself when it was made now, to be shown once; `None` when there was one before.
///
/// # Errors
/// What the store brings.
pub(crate) async fn ensure_management_token(store: &Store) -> ServiceResult<Option<SecretString>> {
    if secrets::find(store, DEFAULT_CONTEXT, SECRET_ID).await?.is_some() {
        return Ok(None);
    }
    let token = new_token();
    let hash = TokenHash::of(&token).to_hex();
    let (_, new) = secrets::insert_if_absent(store, DEFAULT_CONTEXT, SECRET_ID, hash).await?;
    Ok(new.then(|| SecretString::from(token)))
}

/// The hash that requests are checked against: of the token in the settings when there is one, else the stored one.
///
/// # Errors
/// `no_management_token`, when there is neither.
pub(crate) async fn management_token(store: &Store, configured: Option<&SecretString>) -> ServiceResult<TokenHash> {
    if let Some(token) = configured {
        return Ok(TokenHash::of(token.expose_secret().trim()));
    }
    secrets::find(store, DEFAULT_CONTEXT, SECRET_ID).await?.and_then(|text| TokenHash::parse(&text)).ok_or_else(|| {
        ServiceError::operator("no_management_token", "there is no management token; start once to make one")
    })
}

fn new_token() -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &tempfile::TempDir) -> Store {
        let url = format!("sqlite://{}", folder.path().join("hansa.db").display());
        Store::open(&url, "test").await.unwrap().0
    }

    #[tokio::test]
    async fn the_token_is_shown_once_and_admits() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        assert_eq!(management_token(&store, None).await.err().unwrap().code, "no_management_token");
        let token = ensure_management_token(&store).await.unwrap().unwrap();
        assert!(ensure_management_token(&store).await.unwrap().is_none());
        let hash = management_token(&store, None).await.unwrap();
        assert!(hash.admits(token.expose_secret()));
        for wrong in ["", "hansa_", "x", &token.expose_secret()[1..], &format!("{}x", token.expose_secret())] {
            assert!(!hash.admits(wrong), "{wrong}");
        }
        let stored = secrets::find(&store, DEFAULT_CONTEXT, SECRET_ID).await.unwrap().unwrap();
        assert!(!stored.contains(token.expose_secret()));
    }

    #[tokio::test]
    async fn a_configured_token_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let made = ensure_management_token(&store).await.unwrap().unwrap();
        let configured = SecretString::from("from-a-file\n");
        let hash = management_token(&store, Some(&configured)).await.unwrap();
        assert!(hash.admits("from-a-file"));
        assert!(!hash.admits(made.expose_secret()));
    }

    #[test]
    fn new_tokens_differ() {
        assert_ne!(new_token(), new_token());
        assert!(new_token().len() > PREFIX.len() + TOKEN_BYTES);
    }
}
