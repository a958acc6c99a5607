//! Key sets (RFC 7517) that sign tokens.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

/// Keys of a set that are looked at.
const MAX_KEYS: usize = 32;

/// Why a key set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is no JSON Web Key set.
    #[error("must be a JSON Web Key set")]
    NoSet,
    /// None of its keys can check a signature here.
    #[error("has no usable key: ES256, ES384, EdDSA (Ed25519), RS256 to RS512 or PS256 to PS512")]
    NoKey,
}

/// A public key that may have signed tokens, with the algorithms that it may be used with.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl Key {
    pub(super) fn signs_with(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// `None` for a key that is secret, of another kind, or for another use.
    fn of(given: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(given.clone()).ok()?;
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![Algorithm::ES256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => vec![Algorithm::ES384],
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            _ => return None,
        };
        if let Some(named) = given.get("alg") {
            let named: Algorithm = named.as_str()?.parse().ok()?;
            algorithms.retain(|algorithm| *algorithm == named);
        }
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { kid: jwk.common.key_id, key, algorithms })
    }
}

/// The public keys of a set that can check signatures: elliptic curves, Ed25519 and RSA; others are passed over.
#[derive(Clone, Debug)]
pub struct KeySet {
    pub(super) keys: Vec<Key>,
}

impl KeySet {
    /// Takes the usable keys of a set; its first 32 are looked at.
    ///
    /// # Errors
    /// [`KeyError`] when it is no key set or no key of it is usable.
    pub fn from_jwks(set: &Value) -> Result<Self, KeyError> {
        let list = set.get("keys").and_then(Value::as_array).ok_or(KeyError::NoSet)?;
        let keys: Vec<Key> = list.iter().take(MAX_KEYS).filter_map(Key::of).collect();
        if keys.is_empty() { Err(KeyError::NoKey) } else { Ok(Self { keys }) }
    }
}
