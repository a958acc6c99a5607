//! Where the private halves of our keys are: in the folder of the list of keys, or in a secret store.

use std::sync::Arc;

use identity::did::Did;
use identity::jose::Algorithm;
use identity::keys::{KeyError, KeyRing, RingKey, Signer};

#[cfg(feature = "vault")]
use super::vault::Vault;
use crate::config::Config;

/// Where new keys are made, and what signs with them. The list of all keys is in the folder, whatever the home.
pub(crate) enum KeyHome {
    /// In the folder, beside the list.
    Folder,
    /// In the transit engine of Vault or OpenBao.
    #[cfg(feature = "vault")]
    Vault(Arc<Vault>),
}

impl KeyHome {
    /// What the settings say. Nothing is called.
    ///
    /// # Errors
    /// A sentence, when the client of a secret store cannot be made.
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        match &config.identity.vault {
            None => Ok(Self::Folder),
            #[cfg(feature = "vault")]
            Some(settings) => Ok(Self::Vault(Arc::new(Vault::new(settings, &config.outbound)?))),
            // The settings are refused before.
            #[cfg(not(feature = "vault"))]
            Some(_) => Err(crate::config::WITHOUT_VAULT.to_owned()),
        }
    }

    /// Whether keys are made in the folder.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self, Self::Folder)
    }

    /// The key to begin with: a new one, or the one that an administrator made for us in a secret store, whose algorithm counts
    /// then.
    ///
    /// # Errors
    /// `unsupported_algorithm`, and those of a secret store.
    pub(crate) async fn first(&self, algorithm: Algorithm, now: i64) -> Result<RingKey, KeyError> {
        match self {
            Self::Folder => RingKey::generate(algorithm, now),
            #[cfg(feature = "vault")]
            Self::Vault(vault) => vault.first(algorithm, now).await,
        }
    }

    /// A new key, to take the place of another.
    ///
    /// # Errors
    /// `unsupported_algorithm`, and those of a secret store.
    pub(crate) async fn next(&self, algorithm: Algorithm, now: i64) -> Result<RingKey, KeyError> {
        match self {
            Self::Folder => RingKey::generate(algorithm, now),
            #[cfg(feature = "vault")]
            Self::Vault(vault) => vault.next(algorithm, now).await,
        }
    }

    /// Signs with the current key, wherever it is. One in a secret store is tried, so that what is wrong with it is known now.
    ///
    /// # Errors
    /// `no_key` when it is in a secret store and the settings name none, and those of a secret store.
    pub(crate) async fn signer(&self, ring: &KeyRing, did: &Did) -> Result<Arc<dyn Signer>, KeyError> {
        let current = ring.current()?;
        if !current.is_held_elsewhere() {
            return Ok(Arc::new(ring.signer(did)?));
        }
        match self {
            Self::Folder => {
                let text = format!(
                    "the current key `{}` is in a secret store, but `identity.vault_url` is not set",
                    current.id
                );
                Err(KeyError::new("no_key", text))
            }
            #[cfg(feature = "vault")]
            Self::Vault(vault) => Ok(Arc::new(vault.signer(current, did).await?)),
        }
    }

    /// What came before the current key is to sign no more. In the folder its private half is gone already; a secret store is
    /// told, and what goes wrong there is logged, since the new key signs already.
    #[cfg_attr(not(feature = "vault"), expect(unused_variables))]
    pub(crate) async fn close_former(&self, ring: &KeyRing) {
        match self {
            Self::Folder => {}
            #[cfg(feature = "vault")]
            Self::Vault(vault) => vault.close_former(ring).await,
        }
    }
}
