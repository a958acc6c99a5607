//! Whom we believe: the configuration, a file that is read again when it changes, what operators added, and a registry.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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

/// A list that is read again from its source from time to time.
struct Reread<T> {
    list: IssuerList,
    seen: Mutex<Option<(Instant, T)>>,
}

impl<T: Clone + PartialEq> Reread<T> {
    fn new() -> Self {
        Self { list: IssuerList::default(), seen: Mutex::new(None) }
    }

    /// What was seen last, unless it is time to look again.
    fn fresh(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().is_some_and(|(at, _)| at.elapsed() < LOOK_AGAIN)
    }

    fn is(&self, now: &T) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().is_some_and(|(_, known)| known == now)
    }

    fn saw(&self, what: T) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), what));
    }

    fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The issuers of a file.
pub(crate) struct FileTrust {
    path: PathBuf,
    kept: Reread<Option<(SystemTime, u64)>>,
}

impl FileTrust {
    /// The file is read when it is first asked.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, kept: Reread::new() }
    }

    async fn current(&self) -> Result<&IssuerList, CredentialError> {
        if self.kept.fresh() {
            return Ok(&self.kept.list);
        }
        let failed = |what: &dyn std::fmt::Display| {
            tracing::error!(file = %self.path.display(), %what, "the file of trusted issuers cannot be used");
            unavailable("the file of trusted issuers cannot be used")
        };
        let about = tokio::fs::metadata(&self.path).await.map_err(|error| failed(&error))?;
        let version = about.modified().ok().map(|modified| (modified, about.len()));
        if version.is_none() || !self.kept.is(&version) {
            let bytes = tokio::fs::read(&self.path).await.map_err(|error| failed(&error))?;
            let issuers = TrustedIssuer::parse_list(&bytes).map_err(|error| failed(&error))?;
            self.kept.list.replace(issuers).map_err(|error| failed(&error))?;
        }
        self.kept.saw(version);
        Ok(&self.kept.list)
    }
}

#[async_trait]
impl TrustedIssuers for FileTrust {
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

/// The issuers that operators added.
pub(crate) struct StoredTrust {
    store: Store,
    context: &'static str,
    kept: Reread<()>,
}

impl StoredTrust {
    /// The rows are read when they are first asked for.
    pub(crate) fn new(store: Store, context: &'static str) -> Arc<Self> {
        Arc::new(Self { store, context, kept: Reread::new() })
    }

    /// Reads the rows again at the next question.
    pub(crate) fn forget(&self) {
        self.kept.forget();
    }

    async fn current(&self) -> Result<&IssuerList, CredentialError> {
        if self.kept.fresh() {
            return Ok(&self.kept.list);
        }
        let failed = |what: &dyn std::fmt::Display| {
            tracing::error!(%what, "the stored trusted issuers cannot be used");
            unavailable("the stored trusted issuers cannot be used")
        };
        let rows = registry::all::<trusted_issuer::Entity>(&self.store, self.context).await;
        let rows = rows.map_err(|error| failed(&error))?;
        let list = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap_or_default();
        let issuers = rows.iter().map(|row| issuer(&row.id, &list(&row.types), &list(&row.claims))).collect();
        self.kept.list.replace(issuers).map_err(|error| failed(&error))?;
        self.kept.saw(());
        Ok(&self.kept.list)
    }
}

#[async_trait]
impl TrustedIssuers for StoredTrust {
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
