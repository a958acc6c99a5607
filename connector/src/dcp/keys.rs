//! Our keys while the program runs: rotation and revocation take effect at once, on disk first.

use std::sync::{Arc, Mutex, PoisonError};

use identity::Clock;
use identity::did::{Did, DidDocument, DidResolver, OwnService, own_document};
use identity::jose::Algorithm;
use identity::keys::{FileKeyStore, KeyError, KeyRing, KeyStore as _, Signer, SwitchableSigner};
use serde_json::Value;

use super::KeyHome;

/// The key ring of this installation, its file, and what signs with it.
pub(crate) struct OwnKeys {
    did: Did,
    services: Vec<OwnService>,
    store: FileKeyStore,
    home: KeyHome,
    ring: Mutex<KeyRing>,
    /// Held while the ring is changed, which may wait for others.
    changing: tokio::sync::Mutex<()>,
    signer: Arc<SwitchableSigner>,
    clock: Arc<dyn Clock>,
}

impl OwnKeys {
    /// Reads the keys from their folder; when there is none, makes one, for ES256 unless a secret store has one already.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the folder, or with the secret store.
    pub(crate) async fn open(
        did: Did,
        services: Vec<OwnService>,
        store: FileKeyStore,
        home: KeyHome,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let ring = store.load().map_err(|error| error.to_string())?;
        let ring = match ring {
            Some(ring) => ring,
            None => first(&store, &home, clock.now()).await.map_err(|error| error.to_string())?,
        };
        let signer = home.signer(&ring, &did).await.map_err(|error| error.to_string())?;
        if !home.is_folder() && ring.current().is_ok_and(|key| !key.is_held_elsewhere()) {
            tracing::warn!(
                "the current key is still in its folder; `hansa identity rotate` goes over to the secret store"
            );
        }
        let signer = Arc::new(SwitchableSigner::new(signer));
        let changing = tokio::sync::Mutex::new(());
        Ok(Self { did, services, store, home, ring: Mutex::new(ring), changing, signer, clock })
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
    /// When the folder cannot be written, or a secret store gives no key; then the key before is still the current one.
    pub(crate) async fn rotate(&self, algorithm: Algorithm, keep_until: i64) -> Result<String, KeyError> {
        let _one_after_another = self.changing.lock().await;
        let now = self.clock.now();
        let new = self.home.next(algorithm, now).await?;
        let mut ring = self.ring();
        let id = ring.rotate_to(new, now, keep_until)?;
        let signer = self.home.signer(&ring, &self.did).await?;
        self.keep(&ring).await?;
        self.signer.replace(signer);
        self.home.close_former(&ring).await;
        Ok(id)
    }

    /// Gives a key up at once: everything that it signed becomes invalid.
    ///
    /// # Errors
    /// `unknown_key`, `key_in_use`, and those of the folder.
    pub(crate) async fn revoke(&self, id: &str) -> Result<(), KeyError> {
        let _one_after_another = self.changing.lock().await;
        let mut ring = self.ring();
        ring.revoke(id, self.clock.now())?;
        self.keep(&ring).await
    }

    /// Writes the changed ring where waiting for a disk holds nobody up; it counts from then on.
    async fn keep(&self, ring: &KeyRing) -> Result<(), KeyError> {
        let (store, saved) = (self.store.clone(), ring.clone());
        let written = tokio::task::spawn_blocking(move || store.save(&saved)).await;
        written.map_err(|error| KeyError::new("key_store_unavailable", error.to_string()))??;
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = ring.clone();
        Ok(())
    }
}

async fn first(store: &FileKeyStore, home: &KeyHome, now: i64) -> Result<KeyRing, KeyError> {
    let ring = KeyRing::from_keys(vec![home.first(Algorithm::Es256, now).await?])?;
    store.save(&ring)?;
    tracing::info!(key = %ring.current()?.id, "the first key of our DID is there");
    Ok(ring)
}
