//! A compact JWS, split and decoded, its signature not yet checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Algorithm, JoseError, PublicKey};

/// Largest token that is looked at, in bytes: a presentation with some tens of credentials.
pub const MAX_JWS_BYTES: usize = 256 * 1024;
/// Largest protected header, in base64url characters.
const MAX_HEADER: usize = 16 * 1024;

/// A decoded token. What it says may be used only after [`Jws::verify`], except to find the key.
#[derive(Clone)]
pub struct Jws<'a> {
    algorithm: Algorithm,
    header: Map<String, Value>,
    payload: Map<String, Value>,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Splits and decodes a token whose payload is a JSON object.
    ///
    /// # Errors
    /// `malformed_jws` when it is too large, has not three parts, is not base64url without padding or not JSON objects, or
    /// lists a `crit` extension (none is known here); `unsupported_algorithm` when `alg` is not in the allow-list.
    pub fn parse(token: &'a str) -> Result<Self, JoseError> {
        let malformed = |what: &str| JoseError::new("malformed_jws", format!("the token {what}"));
        if token.len() > MAX_JWS_BYTES {
            return Err(malformed(&format!("is larger than {MAX_JWS_BYTES} bytes")));
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(|| malformed("has not three parts"))?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(|| malformed("has not three parts"))?;
        if payload.contains('.') {
            return Err(malformed("has not three parts"));
        }
        if header.len() > MAX_HEADER {
            return Err(malformed("has too large a header"));
        }
        let object = |part: &str, name: &str| -> Result<Map<String, Value>, JoseError> {
            let bytes =
                URL_SAFE_NO_PAD.decode(part).map_err(|_error| malformed(&format!("has a {name} not in base64url")))?;
            serde_json::from_slice(&bytes).map_err(|_error| malformed(&format!("has a {name} that is no JSON object")))
        };
        let header = object(header, "header")?;
        if header.contains_key("crit") {
            return Err(malformed("demands an extension (`crit`) that is not known here"));
        }
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or_else(|| malformed("has no `alg`"))?.parse()?;
        let payload = object(payload, "payload")?;
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_error| malformed("has a signature not in base64url"))?;
        Ok(Self { algorithm, header, payload, signing_input, signature })
    }

    /// The algorithm that the header names.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The protected header.
    pub fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// The `kid` header parameter.
    pub fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// The payload.
    pub fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }

    /// Takes the payload out.
    pub fn into_payload(self) -> Map<String, Value> {
        self.payload
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// `bad_signature` when it was not made with this key over this content; `unsupported_algorithm` when the key is not one
    /// for the token's algorithm.
    pub fn verify(&self, key: &PublicKey) -> Result<(), JoseError> {
        key.verify(self.algorithm, self.signing_input.as_bytes(), &self.signature)
    }
}

/// The token is a secret.
impl std::fmt::Debug for Jws<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Jws").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
