//! Where keys are kept.

use std::sync::{Mutex, PoisonError};

use super::{KeyError, KeyRing};

/// Keeps a [`KeyRing`]. It is asked when the program starts and when an operator changes keys, not while requests are served.
pub trait KeyStore: Send + Sync {
    /// The stored ring; `None` when none was stored yet.
    ///
    /// # Errors
    /// `bad_key_store`, `unsafe_key_file`, `key_store_unavailable`.
    fn load(&self) -> Result<Option<KeyRing>, KeyError>;

    /// Stores a ring in the place of the one before, wholly or not at all.
    ///
    /// # Errors
    /// As [`KeyStore::load`].
    fn save(&self, ring: &KeyRing) -> Result<(), KeyError>;
}

/// A [`KeyStore`] that is gone with the process, for tests and trials.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<Option<KeyRing>>);

impl KeyStore for MemoryKeyStore {
    fn load(&self) -> Result<Option<KeyRing>, KeyError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save(&self, ring: &KeyRing) -> Result<(), KeyError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ring.clone());
        Ok(())
    }
}
