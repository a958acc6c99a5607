//! Whom we believe: the configuration, a file that is read again when it changes, what operators added, and a registry.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use identity::credential::CredentialError;
use identity::trust::{IssuerList, TrustedCredential, TrustedIssuer, TrustedIssuers, unavailable};

use crate::config;
use crate::store::{Store, registry, trusted_issuer};

/// How long the file and the rows are believed without looking: a change through another replica shows after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The entries of the configuration.
pub(crate) fn of_config(issuers: &[config::TrustedIssuer]) -> Vec<TrustedIssuer> {
    issuers.iter().map(|entry| issuer(&entry.issuer, &entry.types, &entry.claims)).collect()
}

/// An issuer that may issue each of the types, with these claims; no claims stands for all.
pub(crate) fn issuer(did: &str, types: &[String], claims: &[String]) -> TrustedIssuer {
    let claims = (!claims.is_empty()).then(|| claims.to_vec());
    let entry = |name: &String| TrustedCredential { credential_type: name.clone(), claims: claims.clone() };
    TrustedIssuer { did: did.to_owned(), credentials: types.iter().map(entry).collect() }
}

/// Where a list comes from.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// What tells one state of the list from another; a state without one is always read.
    type Version: Clone + PartialEq + Send + Sync;
    /// What it is called in an error.
    const NAME: &'static str;
    /// The state that it is in.
    ///
    /// # Errors
    /// What keeps it from being known.
    async fn version(&self) -> Result<Option<Self::Version>, String>;
    /// The list.
    ///
    /// # Errors
    /// What keeps it from being read.
    async fn read(&self) -> Result<Vec<TrustedIssuer>, String>;
}

/// A list that is read again from its source when that has changed. One that cannot be read trusts nobody.
pub(crate) struct Reread<S: Source> {
    source: S,
    list: IssuerList,
    seen: Mutex<Option<(Instant, Option<S::Version>)>>,
}

impl<S: Source> Reread<S> {
    /// The source is read when it is first asked.
    pub(crate) fn new(source: S) -> Self {
        Self { source, list: IssuerList::default(), seen: Mutex::new(None) }
    }

    /// Looks at the source at the next question, whenever it was seen last.
    pub(crate) fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn current(&self) -> Result<&IssuerList, CredentialError> {
        self.refresh().await.map_err(|what| {
            tracing::error!(%what, "{} cannot be used", S::NAME);
            unavailable(&format!("{} cannot be used", S::NAME))
        })?;
        Ok(&self.list)
    }

    async fn refresh(&self) -> Result<(), String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if seen.as_ref().is_some_and(|(at, _)| at.elapsed() < LOOK_AGAIN) {
            return Ok(());
        }
        let version = self.source.version().await?;
        if version.is_none() || seen.is_none_or(|(_, known)| known != version) {
            self.list.replace(self.source.read().await?).map_err(|error| error.to_string())?;
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), version));
        Ok(())
    }
}

#[async_trait]
impl<S: Source> TrustedIssuers for Reread<S> {
    async fn check(&self, issuer: &str, types: &[String]) -> Result<(), CredentialError> {
        self.current().await?.check(issuer, types).await
    }

    async fn claims(&self, issuer: &str, types: &[String]) -> Option<Vec<String>> {
        match self.current().await {
            Ok(list) => list.claims(issuer, types).await,
            Err(_said) => Some(Vec::new()),
        }
    }
}

/// The issuers of a file.
pub(crate) struct InFile(pub PathBuf);

#[async_trait]
impl Source for InFile {
    type Version = (SystemTime, u64);
    const NAME: &'static str = "the file of trusted issuers";

    async fn version(&self) -> Result<Option<Self::Version>, String> {
        let about = tokio::fs::metadata(&self.0).await.map_err(|error| format!("{}: {error}", self.0.display()))?;
        Ok(about.modified().ok().map(|modified| (modified, about.len())))
    }

    async fn read(&self) -> Result<Vec<TrustedIssuer>, String> {
        let bytes = tokio::fs::read(&self.0).await.map_err(|error| format!("{}: {error}", self.0.display()))?;
        TrustedIssuer::parse_list(&bytes).map_err(|error| format!("{}: {error}", self.0.display()))
    }
}

/// The issuers that operators added.
pub(crate) struct Stored {
    /// Where they are kept.
    pub store: Store,
    /// Whose they are.
    pub context: &'static str,
}

#[async_trait]
impl Source for Stored {
    type Version = ();
    const NAME: &'static str = "the stored list of trusted issuers";

    async fn version(&self) -> Result<Option<()>, String> {
        Ok(None)
    }

    async fn read(&self) -> Result<Vec<TrustedIssuer>, String> {
        let rows = registry::all::<trusted_issuer::Entity>(&self.store, self.context).await;
        let rows = rows.map_err(|error| error.to_string())?;
        let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(|error| error.to_string());
        rows.iter().map(|row| Ok(issuer(&row.id, &list(&row.types)?, &list(&row.claims)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    #[tokio::test]
    async fn a_file_of_issuers_is_read_again_when_it_changes_and_trusts_nobody_when_it_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("issuers.json");
        let write = |kind: &str| {
            let text = format!(
                r#"{{"issuers": [{{"did": "did:web:authority.example", "credentials": [{{"type": "{kind}"}}]}}]}}"#
            );
            std::fs::write(&path, text).unwrap();
        };
        let trust = Reread::new(InFile(path.clone()));
        let check = async |kind: &str| trust.check("did:web:authority.example", &names(kind)).await;
        assert_eq!(check("AType").await.unwrap_err().code(), "trust_unavailable", "there is no file yet");
        write("AType");
        check("AType").await.unwrap();
        write("LongerType");
        check("AType").await.unwrap();
        trust.forget();
        assert_eq!(check("AType").await.unwrap_err().code(), "untrusted_issuer", "it was read again");
        check("LongerType").await.unwrap();
        trust.forget();
        std::fs::write(&path, "{").unwrap();
        let error = check("LongerType").await.unwrap_err();
        assert_eq!((error.code(), error.is_temporary()), ("trust_unavailable", true));
        assert_eq!(trust.claims("did:web:authority.example", &names("LongerType")).await, Some(Vec::new()));
    }
}
