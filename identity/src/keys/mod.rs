//! Our own keys: storage, rotation, revocation, and signing with the current one (DCP 1.0.1, A.3; DID Core 1.0, 5.2).

mod file_store;
mod ring;
mod signer;
mod store;
#[cfg(test)]
mod tests;

pub use file_store::FileKeyStore;
pub use ring::{KeyRing, KeyState, RingKey};
pub use signer::{KeySigner, Signer, SwitchableSigner, signing_input};
pub use store::{KeyStore, MemoryKeyStore};

use thiserror::Error;

use crate::jose::JoseError;

/// Why our keys cannot be used, stored or changed. The text holds no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct KeyError {
    code: &'static str,
    message: String,
}

impl KeyError {
    /// With a code of the list at [`KeyError::code`], and a sentence without the full stop.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A stable name: `no_key`, `unknown_key`, `key_in_use`, `bad_key_store`, `unsafe_key_file`, `key_store_unavailable`,
    /// `key_store_refused`, or a code of [`JoseError`].
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl From<JoseError> for KeyError {
    fn from(error: JoseError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
