//! Signing in the name of a DID.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::did::DidUrl;
use crate::jose::{Algorithm, JoseError, PrivateKey};

/// Signs with the current key of one DID. The key may lie elsewhere, so signing is asynchronous.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The verification method that the signatures are checked with: their `kid`.
    fn key_id(&self) -> DidUrl;

    /// The algorithm of the signatures.
    fn algorithm(&self) -> Algorithm;

    /// A compact JWS (RFC 7515, 7.1) over a JSON payload. The implementation says `alg` and `kid` itself, so that they belong to
    /// the key that signed; other header members are taken from `header`, an object.
    ///
    /// # Errors
    /// `cannot_sign`.
    async fn sign_compact(&self, header: &Value, payload: &Value) -> Result<String, JoseError>;
}

/// A [`Signer`] with a private key in this process.
#[derive(Clone)]
pub struct KeySigner {
    method: DidUrl,
    key: PrivateKey,
}

impl KeySigner {
    /// Signs with `key`, which the document of the DID names `method`.
    pub fn new(method: DidUrl, key: PrivateKey) -> Self {
        Self { method, key }
    }
}

#[async_trait]
impl Signer for KeySigner {
    fn key_id(&self) -> DidUrl {
        self.method.clone()
    }

    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    async fn sign_compact(&self, header: &Value, payload: &Value) -> Result<String, JoseError> {
        self.key.sign_compact(&named(&self.method, header), payload)
    }
}

/// What a compact JWS in the name of `method` signs (RFC 7515, 5.1), for keys that lie elsewhere: a dot and the raw signature in
/// base64url complete it. `alg` and `kid` are those of the key, whatever `header` says.
pub fn signing_input(method: &DidUrl, algorithm: Algorithm, header: &Value, payload: &Value) -> String {
    crate::jose::signing_input(algorithm, &named(method, header), payload)
}

/// The header without `alg`, which belongs to the key, and with the name of the key.
fn named(method: &DidUrl, header: &Value) -> Value {
    let mut full: Map<String, Value> = header.as_object().cloned().unwrap_or_default();
    full.remove("alg");
    full.insert("kid".to_owned(), Value::from(method.to_string()));
    Value::Object(full)
}

impl fmt::Debug for KeySigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeySigner").field("method", &self.method.to_string()).finish_non_exhaustive()
    }
}

/// A [`Signer`] whose key can be changed while others hold it: rotation without a restart.
pub struct SwitchableSigner(RwLock<Arc<dyn Signer>>);

impl SwitchableSigner {
    /// Signs with `signer` until another one is given.
    pub fn new(signer: Arc<dyn Signer>) -> Self {
        Self(RwLock::new(signer))
    }

    /// Signs with `signer` from now on.
    pub fn replace(&self, signer: Arc<dyn Signer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = signer;
    }

    fn current(&self) -> Arc<dyn Signer> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Signer for SwitchableSigner {
    fn key_id(&self) -> DidUrl {
        self.current().key_id()
    }

    fn algorithm(&self) -> Algorithm {
        self.current().algorithm()
    }

    async fn sign_compact(&self, header: &Value, payload: &Value) -> Result<String, JoseError> {
        self.current().sign_compact(header, payload).await
    }
}

impl fmt::Debug for SwitchableSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SwitchableSigner").field("method", &self.key_id().to_string()).finish_non_exhaustive()
    }
}
