//! The keys of one DID over time.

use crate::did::{Did, DidUrl};
use crate::jose::{Algorithm, PrivateKey, PublicKey};

use super::{KeyError, KeySigner};

/// The most keys in a ring: what a DID document can hold, and more than years of rotation leave behind.
pub(super) const MAX_KEYS: usize = 32;

/// What a key is used for now. Times are seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Signs.
    Current,
    /// Signs no more; what it signed stays valid until `drop_after`.
    Retired {
        /// Since when.
        retired_at: i64,
        /// When it leaves the DID document: after the last credential that it signed has expired.
        drop_after: i64,
    },
    /// Given up at once: out of the DID document, so that all that it signed is invalid.
    Revoked {
        /// Since when.
        revoked_at: i64,
    },
}

/// One key of a ring.
#[derive(Clone, Debug)]
pub struct RingKey {
    /// Its name: the fragment of the verification method and the name of its file.
    pub id: String,
    /// When it was made, seconds since the epoch.
    pub created: i64,
    /// What it is used for.
    pub state: KeyState,
    /// The public half.
    pub public: PublicKey,
    private: PrivateHalf,
}

/// Where the private half of a key is.
#[derive(Clone, Debug)]
enum PrivateHalf {
    /// With us, for the current key only.
    Here(PrivateKey),
    /// In a secret store, which signs.
    Elsewhere,
    /// Given up: what signs no more is better gone.
    Gone,
}

/// Our keys: one that signs, and older ones. A changed ring takes effect when it is stored and given to the signer.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
}

impl KeyRing {
    /// A ring with one new key.
    ///
    /// # Errors
    /// `unsupported_algorithm` for RSA; `cannot_sign` when the library fails.
    pub fn init(algorithm: Algorithm, now: i64) -> Result<Self, KeyError> {
        Self::from_keys(vec![RingKey::generate(algorithm, now)?])
    }

    /// A ring of stored keys.
    ///
    /// # Errors
    /// `bad_key_store` unless exactly one key is current, the names differ and can be the name of a file and a fragment, and
    /// there are no more than a DID document can hold.
    pub fn from_keys(keys: Vec<RingKey>) -> Result<Self, KeyError> {
        let bad = |what: &str| KeyError::new("bad_key_store", format!("among the stored keys {what}"));
        if keys.len() > MAX_KEYS {
            return Err(bad(&format!("are more than {MAX_KEYS}")));
        }
        let mut current = keys.iter().filter(|key| key.state == KeyState::Current);
        let (Some(key), None) = (current.next(), current.next()) else {
            return Err(bad("there is not exactly one current key"));
        };
        match &key.private {
            PrivateHalf::Elsewhere => {}
            PrivateHalf::Here(private) if *private.public() == key.public => {}
            PrivateHalf::Here(_) | PrivateHalf::Gone => {
                return Err(bad(&format!("`{}` has not its own private half", crate::printable(&key.id))));
            }
        }
        for (position, key) in keys.iter().enumerate() {
            if !is_key_id(&key.id) {
                return Err(bad(&format!("`{}` has a name that cannot be used", crate::printable(&key.id))));
            }
            if keys.iter().skip(position + 1).any(|other| other.id == key.id) {
                return Err(bad(&format!("`{}` stands twice", key.id)));
            }
        }
        Ok(Self { keys })
    }

    /// All keys, the revoked ones included.
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The key that signs.
    ///
    /// # Errors
    /// `no_key`, which a ring never is without.
    pub fn current(&self) -> Result<&RingKey, KeyError> {
        self.keys
            .iter()
            .find(|key| key.state == KeyState::Current)
            .ok_or_else(|| KeyError::new("no_key", "there is no current key"))
    }

    /// Signs with the current key in the name of `did`.
    ///
    /// # Errors
    /// As [`KeyRing::current`]; also when the private half is held elsewhere.
    pub fn signer(&self, did: &Did) -> Result<KeySigner, KeyError> {
        let current = self.current()?;
        let private = current.private().ok_or_else(|| {
            KeyError::new("no_key", format!("the private half of the current key `{}` is not here", current.id))
        })?;
        Ok(KeySigner::new(current.method(did)?, private.clone()))
    }

    /// Puts a new key in the place of the current one, which stays valid until `keep_until`; returns the new key's name. Keys
    /// whose time is over are dropped.
    ///
    /// # Errors
    /// As [`KeyRing::init`]; `bad_key_store` when there are too many keys already.
    pub fn rotate(&mut self, algorithm: Algorithm, now: i64, keep_until: i64) -> Result<String, KeyError> {
        self.rotate_to(RingKey::generate(algorithm, now)?, now, keep_until)
    }

    /// [`KeyRing::rotate`] to a key that was made already.
    ///
    /// # Errors
    /// `bad_key_store` when there are too many keys already, or one with that name.
    pub fn rotate_to(&mut self, new: RingKey, now: i64, keep_until: i64) -> Result<String, KeyError> {
        self.drop_expired(now);
        let id = new.id.clone();
        let mut keys = self.keys.clone();
        for key in &mut keys {
            if key.state == KeyState::Current {
                key.state = KeyState::Retired { retired_at: now, drop_after: keep_until };
                key.private = PrivateHalf::Gone;
            }
        }
        keys.push(new);
        *self = Self::from_keys(keys)?;
        Ok(id)
    }

    /// Gives a key up at once: everything that it signed becomes invalid. The current key has to be rotated away first.
    ///
    /// # Errors
    /// `unknown_key`; `key_in_use` for the current key.
    pub fn revoke(&mut self, id: &str, now: i64) -> Result<(), KeyError> {
        let key = self
            .keys
            .iter_mut()
            .find(|key| key.id == id)
            .ok_or_else(|| KeyError::new("unknown_key", format!("there is no key `{}`", crate::printable(id))))?;
        match key.state {
            KeyState::Current => Err(KeyError::new(
                "key_in_use",
                format!("`{}` is the current key; rotate first, then revoke it", key.id),
            )),
            KeyState::Revoked { .. } => Ok(()),
            KeyState::Retired { .. } => {
                key.state = KeyState::Revoked { revoked_at: now };
                Ok(())
            }
        }
    }

    /// Forgets retired keys whose time is over and revoked keys, and returns their names.
    pub fn drop_expired(&mut self, now: i64) -> Vec<String> {
        let over = |state: KeyState| match state {
            KeyState::Current => false,
            KeyState::Retired { drop_after, .. } => drop_after <= now,
            KeyState::Revoked { .. } => true,
        };
        let dropped = self.keys.iter().filter(|key| over(key.state)).map(|key| key.id.clone()).collect();
        self.keys.retain(|key| !over(key.state));
        dropped
    }
}

impl RingKey {
    /// A new key with a name of its own, to be the current one.
    ///
    /// # Errors
    /// As [`KeyRing::init`].
    pub fn generate(algorithm: Algorithm, now: i64) -> Result<Self, KeyError> {
        let key = PrivateKey::generate(algorithm)?;
        // The thumbprint is a name that no other key has, and that shows which key it is.
        let id = format!("key-{}", key.public().thumbprint().chars().take(16).collect::<String>());
        Ok(Self::current(id, now, key))
    }

    /// A current key that was stored, or made elsewhere.
    pub fn current(id: impl Into<String>, created: i64, key: PrivateKey) -> Self {
        let public = key.public().clone();
        Self { id: id.into(), created, state: KeyState::Current, public, private: PrivateHalf::Here(key) }
    }

    /// A current key whose private half never leaves a secret store.
    pub fn held_elsewhere(id: impl Into<String>, created: i64, public: PublicKey) -> Self {
        Self { id: id.into(), created, state: KeyState::Current, public, private: PrivateHalf::Elsewhere }
    }

    /// A key that signs no more.
    pub fn former(id: impl Into<String>, created: i64, state: KeyState, public: PublicKey) -> Self {
        Self { id: id.into(), created, state, public, private: PrivateHalf::Gone }
    }

    /// The private half, of the current key only, and only when it is here.
    pub fn private(&self) -> Option<&PrivateKey> {
        match &self.private {
            PrivateHalf::Here(private) => Some(private),
            PrivateHalf::Elsewhere | PrivateHalf::Gone => None,
        }
    }

    /// Whether it signs in a secret store.
    pub fn is_held_elsewhere(&self) -> bool {
        matches!(self.private, PrivateHalf::Elsewhere)
    }

    /// Its verification method in the document of `did`.
    ///
    /// # Errors
    /// `bad_key_store` when the name cannot be a fragment.
    pub fn method(&self, did: &Did) -> Result<DidUrl, KeyError> {
        DidUrl::resolve(did, &format!("#{}", self.id))
            .map_err(|error| KeyError::new("bad_key_store", error.to_string()))
    }
}

/// Fit for a file name and for a fragment.
pub(super) fn is_key_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
