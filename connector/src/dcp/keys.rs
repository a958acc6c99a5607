//! Our keys while the program runs: rotation and revocation take effect at once, on disk first.

use std::sync::{Arc, Mutex, PoisonError};

use identity::Clock;
use identity::did::{Did, DidDocument, DidResolver, OwnService, own_document};
use identity::jose::Algorithm;
use identity::keys::{FileKeyStore, KeyError, KeyRing, KeyStore as _, Signer, SwitchableSigner};
use serde_json::Value;

/// The key ring of this installation, its file, and what signs with it.
pub(crate) struct OwnKeys {
    did: Did,
    services: Vec<OwnService>,
    store: FileKeyStore,
    ring: Mutex<KeyRing>,
    signer: Arc<SwitchableSigner>,
    clock: Arc<dyn Clock>,
}

impl OwnKeys {
    /// Reads the keys from their folder; when there is none, makes one for ES256.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the folder.
    pub(crate) fn open(
        did: Did,
        services: Vec<OwnService>,
        store: FileKeyStore,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let ring = store.load().map_err(|error| error.to_string())?;
        let ring = match ring {
            Some(ring) => ring,
            None => first(&store, clock.now())?,
        };
        let signer = ring.signer(&did).map_err(|error| error.to_string())?;
        let signer = Arc::new(SwitchableSigner::new(Arc::new(signer)));
        Ok(Self { did, services, store, ring: Mutex::new(ring), signer, clock })
    }

    /// Signs with the current key, also after a rotation.
    pub(crate) fn signer(&self) -> Arc<dyn Signer> {
        self.signer.clone()
    }

    /// The keys as they are now.
    pub(crate) fn ring(&self) -> KeyRing {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The DID document as it is served now.
    ///
    /// # Errors
    /// When a key has a name that cannot stand in it.
    pub(crate) fn document(&self) -> Result<Value, KeyError> {
        own_document(&self.did, &self.ring(), &self.services, self.clock.now())
    }

    /// Tells the resolver our own document, so that we never ask ourselves over the network.
    ///
    /// # Errors
    /// As [`OwnKeys::document`].
    pub(crate) fn publish(&self, resolver: &DidResolver) -> Result<(), String> {
        let document = self.document().map_err(|error| error.to_string())?;
        resolver.set_own(DidDocument::parse(&document).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Makes a new current key; the one before keeps verifying until `keep_until`, seconds since 1970. Answers the new name.
    ///
    /// # Errors
    /// When the folder cannot be written; then nothing has changed.
    pub(crate) fn rotate(&self, algorithm: Algorithm, keep_until: i64) -> Result<String, KeyError> {
        let now = self.clock.now();
        self.change(|ring| ring.rotate(algorithm, now, keep_until))
    }

    /// Gives a key up at once: everything that it signed becomes invalid.
    ///
    /// # Errors
    /// `unknown_key`, `key_in_use`, and those of the folder.
    pub(crate) fn revoke(&self, id: &str) -> Result<(), KeyError> {
        let now = self.clock.now();
        self.change(|ring| ring.revoke(id, now))
    }

    fn change<T>(&self, change: impl FnOnce(&mut KeyRing) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let mut held = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ring = held.clone();
        let answer = change(&mut ring)?;
        let signer = ring.signer(&self.did)?;
        self.store.save(&ring)?;
        self.signer.replace(Arc::new(signer));
        *held = ring;
        Ok(answer)
    }
}

fn first(store: &FileKeyStore, now: i64) -> Result<KeyRing, String> {
    let ring = KeyRing::init(Algorithm::Es256, now).map_err(|error| error.to_string())?;
    store.save(&ring).map_err(|error| error.to_string())?;
    tracing::info!("the first key of our DID was made");
    Ok(ring)
}
