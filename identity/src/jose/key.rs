//! Keys: public ones from JWK members, private ones from PEM.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcKeyPair;
use josekit::jwk::alg::ed::{EdCurve, EdKeyPair};
use josekit::jws::{self, JwsSigner, JwsVerifier};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Algorithm, JoseError};

/// The largest RSA modulus and smallest one, in bytes.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// What comes before the key itself in a SubjectPublicKeyInfo of P-256 with an uncompressed point (RFC 5480, 2).
const P256_INFO: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
/// The same of P-384.
const P384_INFO: &[u8] =
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04";
/// The same of Ed25519 (RFC 8410, 4).
const ED25519_INFO: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// A public key, ready to verify with. Cloning is cheap.
#[derive(Clone)]
pub struct PublicKey(Arc<Public>);

struct Public {
    jwk: Map<String, Value>,
    /// One for each algorithm that the key may be used with.
    verifiers: Vec<(Algorithm, Box<dyn JwsVerifier>)>,
}

impl PublicKey {
    /// Reads a public JWK (RFC 7517; 7518, 6; 8037, 2). Only the members of the public key are kept, so that what a document
    /// adds (`d`, of all things) goes no further.
    ///
    /// # Errors
    /// `unsupported_key` when the kind or curve is not known, a coordinate has the wrong length, or the point is not on the
    /// curve.
    pub fn from_jwk(jwk: &Value) -> Result<Self, JoseError> {
        let unsupported = |what: &str| JoseError::new("unsupported_key", format!("the key {what}"));
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let coordinate = |name: &str, lengths: std::ops::RangeInclusive<usize>| -> Result<Value, JoseError> {
            let value = text(name).ok_or_else(|| unsupported(&format!("has no `{name}`")))?;
            let bytes = (value.len() <= 2048).then(|| URL_SAFE_NO_PAD.decode(value).ok()).flatten();
            match bytes {
                Some(bytes) if lengths.contains(&bytes.len()) => Ok(Value::from(value)),
                _ => Err(unsupported(&format!("has a `{name}` of the wrong form or length"))),
            }
        };
        if matches!(text("use"), Some(other) if other != "sig") {
            return Err(unsupported("is not one for signatures (`use`)"));
        }
        let kty = text("kty").ok_or_else(|| unsupported("has no `kty`"))?;
        let mut public = Map::new();
        public.insert("kty".to_owned(), Value::from(kty));
        let algorithms: &[Algorithm] = match (kty, text("crv")) {
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let length = if curve == "P-256" { 32 } else { 48 };
                public.insert("crv".to_owned(), Value::from(curve));
                public.insert("x".to_owned(), coordinate("x", length..=length)?);
                public.insert("y".to_owned(), coordinate("y", length..=length)?);
                if curve == "P-256" { &[Algorithm::Es256] } else { &[Algorithm::Es384] }
            }
            ("OKP", Some("Ed25519")) => {
                public.insert("crv".to_owned(), Value::from("Ed25519"));
                public.insert("x".to_owned(), coordinate("x", 32..=32)?);
                &[Algorithm::EdDsa]
            }
            ("RSA", _) => {
                public.insert("n".to_owned(), coordinate("n", RSA_BYTES)?);
                public.insert("e".to_owned(), coordinate("e", 1..=4)?);
                &[Algorithm::Rs256, Algorithm::Ps256]
            }
            _ => return Err(unsupported("is of a kind or curve that is not supported here")),
        };
        let key = Jwk::from_map(public.clone()).map_err(|_error| unsupported("cannot be read"))?;
        let named = text("alg").map(str::parse::<Algorithm>).transpose()?;
        let mut verifiers = Vec::with_capacity(algorithms.len());
        for &algorithm in algorithms.iter().filter(|algorithm| named.is_none_or(|named| named == **algorithm)) {
            let verifier = verifier(algorithm, &key).map_err(|_error| unsupported("is not a point of its curve"))?;
            verifiers.push((algorithm, verifier));
        }
        Ok(Self(Arc::new(Public { jwk: public, verifiers })))
    }

    /// Reads a public key in PEM (`BEGIN PUBLIC KEY`, RFC 7468, 13): P-256 or P-384 with an uncompressed point, or Ed25519.
    ///
    /// # Errors
    /// `unsupported_key` for anything else.
    pub fn from_pem(pem: &str) -> Result<Self, JoseError> {
        let unsupported = || {
            JoseError::new(
                "unsupported_key",
                "the public key is not PEM (`BEGIN PUBLIC KEY`) of P-256, P-384 or Ed25519",
            )
        };
        let inner = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
        let inner = inner.and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----")).ok_or_else(unsupported)?;
        let base64: String = inner.split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).map_err(|_error| unsupported())?;
        let point = |curve: &str, bytes: &[u8]| {
            let (x, y) = bytes.split_at_checked(bytes.len() / 2)?;
            Some(json!({"kty": "EC", "crv": curve, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)}))
        };
        let jwk = if let Some(bytes) = der.strip_prefix(P256_INFO) {
            point("P-256", bytes)
        } else if let Some(bytes) = der.strip_prefix(P384_INFO) {
            point("P-384", bytes)
        } else {
            let bytes = der.strip_prefix(ED25519_INFO);
            bytes.map(|bytes| json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(bytes)}))
        };
        Self::from_jwk(&jwk.ok_or_else(unsupported)?)
    }

    /// The members of the public key: `kty`, `crv`, `x` and so on.
    pub fn jwk(&self) -> &Map<String, Value> {
        &self.0.jwk
    }

    /// The thumbprint, SHA-256 in base64url (RFC 7638).
    pub fn thumbprint(&self) -> String {
        // The required members in lexicographic order.
        let mut names: Vec<&String> = self.0.jwk.keys().collect();
        names.sort();
        let members: Vec<String> = names
            .into_iter()
            .filter_map(|name| Some(format!("{}:{}", Value::from(name.as_str()), self.0.jwk.get(name)?)))
            .collect();
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{}}}", members.join(","))))
    }

    /// The algorithms that it may be used with.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.0.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Checks a raw signature over bytes.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        let (_, verifier) = self.0.verifiers.iter().find(|(known, _)| *known == algorithm).ok_or_else(|| {
            JoseError::new("unsupported_algorithm", format!("the key is not one for the algorithm {algorithm}"))
        })?;
        verifier
            .verify(message, signature)
            .map_err(|_error| JoseError::new("bad_signature", "the signature does not fit the content and the key"))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.jwk == other.0.jwk
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PublicKey").field(&self.thumbprint()).finish()
    }
}

fn verifier(algorithm: Algorithm, key: &Jwk) -> Result<Box<dyn JwsVerifier>, josekit::JoseError> {
    Ok(match algorithm {
        Algorithm::Es256 => Box::new(jws::ES256.verifier_from_jwk(key)?),
        Algorithm::Es384 => Box::new(jws::ES384.verifier_from_jwk(key)?),
        Algorithm::EdDsa => Box::new(jws::EdDSA.verifier_from_jwk(key)?),
        Algorithm::Rs256 => Box::new(jws::RS256.verifier_from_jwk(key)?),
        Algorithm::Ps256 => Box::new(jws::PS256.verifier_from_jwk(key)?),
    })
}

/// A private key of ours. Its debug form shows nothing of it; the PEM is wiped when dropped.
#[derive(Clone)]
pub struct PrivateKey(Arc<Private>);

struct Private {
    algorithm: Algorithm,
    signer: Box<dyn JwsSigner>,
    public: PublicKey,
    pem: SecretString,
}

impl PrivateKey {
    /// A new key for ES256, ES384 or EdDSA.
    ///
    /// # Errors
    /// `unsupported_algorithm` for RSA, which is only verified here.
    pub fn generate(algorithm: Algorithm) -> Result<Self, JoseError> {
        let failed = |_error| JoseError::new("cannot_sign", "the key cannot be made");
        let pem = match algorithm {
            Algorithm::Es256 => jws::ES256.generate_key_pair().map_err(failed)?.to_pem_private_key(),
            Algorithm::Es384 => jws::ES384.generate_key_pair().map_err(failed)?.to_pem_private_key(),
            Algorithm::EdDsa => jws::EdDSA.generate_key_pair(EdCurve::Ed25519).map_err(failed)?.to_pem_private_key(),
            Algorithm::Rs256 | Algorithm::Ps256 => {
                return Err(JoseError::new("unsupported_algorithm", "RSA keys are verified with, not made"));
            }
        };
        let pem = String::from_utf8(pem).map_err(|_error| JoseError::new("cannot_sign", "the key cannot be made"))?;
        Self::from_pem(&SecretString::from(pem))
    }

    /// Reads a private key in PKCS#8 PEM (`BEGIN PRIVATE KEY`): P-256, P-384 or Ed25519.
    ///
    /// # Errors
    /// `unsupported_key` for anything else.
    pub fn from_pem(pem: &SecretString) -> Result<Self, JoseError> {
        let bytes = pem.expose_secret().as_bytes();
        for algorithm in [Algorithm::Es256, Algorithm::Es384] {
            let ecdsa = if algorithm == Algorithm::Es256 { jws::ES256 } else { jws::ES384 };
            if let Ok(pair) = ecdsa.key_pair_from_pem(bytes) {
                return Self::new(
                    algorithm,
                    ec_public(&pair)?,
                    Box::new(signer_of(ecdsa.signer_from_pem(bytes))?),
                    pem,
                );
            }
        }
        if let Ok(pair) = jws::EdDSA.key_pair_from_pem(bytes)
            && pair.curve() == EdCurve::Ed25519
        {
            let signer = signer_of(jws::EdDSA.signer_from_pem(bytes))?;
            return Self::new(Algorithm::EdDsa, ed_public(&pair)?, Box::new(signer), pem);
        }
        Err(JoseError::new("unsupported_key", "the private key is not PKCS#8 PEM of P-256, P-384 or Ed25519"))
    }

    fn new(
        algorithm: Algorithm,
        public: PublicKey,
        signer: Box<dyn JwsSigner>,
        pem: &SecretString,
    ) -> Result<Self, JoseError> {
        Ok(Self(Arc::new(Private { algorithm, signer, public, pem: pem.clone() })))
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// PKCS#8 PEM, to be stored.
    pub fn to_pem(&self) -> &SecretString {
        &self.0.pem
    }

    /// Signs bytes; the result is the raw JWS signature (for ECDSA, R and S one after the other).
    ///
    /// # Errors
    /// `cannot_sign` when the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        self.0.signer.sign(message).map_err(|_error| JoseError::new("cannot_sign", "the signature cannot be made"))
    }

    /// A compact JWS over a JSON payload. `alg` is added to the header members given.
    ///
    /// # Errors
    /// As [`PrivateKey::sign`].
    pub fn sign_compact(&self, header: &Value, payload: &Value) -> Result<String, JoseError> {
        let input = signing_input(self.algorithm(), header, payload);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(input.as_bytes())?);
        Ok(format!("{input}.{signature}"))
    }
}

/// What a compact JWS signs (RFC 7515, 5.1); `alg` is added to the header members given.
pub(crate) fn signing_input(algorithm: Algorithm, header: &Value, payload: &Value) -> String {
    let mut full = Map::new();
    full.insert("alg".to_owned(), json!(algorithm.name()));
    if let Value::Object(members) = header {
        full.extend(members.clone());
    }
    let encode = |value: String| URL_SAFE_NO_PAD.encode(value);
    format!("{}.{}", encode(Value::Object(full).to_string()), encode(payload.to_string()))
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PrivateKey").field(&self.0.public.thumbprint()).finish()
    }
}

fn signer_of<T>(made: Result<T, josekit::JoseError>) -> Result<T, JoseError> {
    made.map_err(|_error| JoseError::new("unsupported_key", "the private key cannot be read"))
}

fn ec_public(pair: &EcKeyPair) -> Result<PublicKey, JoseError> {
    PublicKey::from_jwk(&Value::Object(pair.to_jwk_public_key().as_ref().clone()))
}

fn ed_public(pair: &EdKeyPair) -> Result<PublicKey, JoseError> {
    PublicKey::from_jwk(&Value::Object(pair.to_jwk_public_key().as_ref().clone()))
}
