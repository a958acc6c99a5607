//! JSON Web Signatures in compact form (RFC 7515) and the keys for them (RFC 7517), over `josekit`.
//!
//! Bounded before anything is decoded, with an allow-list of algorithms that belong to the key and not to the token.

mod algorithm;
mod compact;
mod key;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use compact::{Jws, MAX_JWS_BYTES};
pub(crate) use key::signing_input;
pub use key::{PrivateKey, PublicKey};

use thiserror::Error;

/// Why a token, a signature or a key cannot be used. The text holds no token and no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct JoseError {
    code: &'static str,
    message: String,
}

impl JoseError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// `cannot_sign`, for keys that lie elsewhere.
    pub fn cannot_sign(message: impl Into<String>) -> Self {
        Self::new("cannot_sign", message)
    }

    /// A stable name: `malformed_jws`, `unsupported_algorithm`, `unsupported_key`, `bad_signature`, `cannot_sign`.
    pub fn code(&self) -> &'static str {
        self.code
    }
}
