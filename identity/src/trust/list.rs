//! A list of issuers, from the configuration or from a file.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ANY_TYPE, STATUS_LISTS, TrustedIssuers, asked, untrusted};
use crate::credential::CredentialError;
use crate::did::Did;
use crate::printable;

/// Largest file, in bytes.
const MAX_FILE: usize = 4 * 1024 * 1024;
/// The most issuers, and the most entries of one issuer.
const MAX_ISSUERS: usize = 100_000;
const MAX_CREDENTIALS: usize = 1_000;

/// An issuer and what it is trusted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// Its DID.
    pub did: String,
    /// The credentials that it may issue; none if the list is empty.
    pub credentials: Vec<TrustedCredential>,
}

/// A credential type that an issuer may issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedCredential {
    /// The type, or `*` for all that have no entry of their own.
    #[serde(rename = "type")]
    pub credential_type: String,
    /// The claims that it may make about the subject; all where there is no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<String>>,
}

/// Why a list is not taken. The old one stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the list of trusted issuers cannot be used: {0}")]
pub struct TrustListError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuers: Vec<TrustedIssuer>,
}

impl TrustedIssuer {
    /// Reads the content of a file: `{"issuers": [{"did": "did:…", "credentials": [{"type": "…", "claims": ["…"]}]}]}`.
    ///
    /// # Errors
    /// When it is too large, not JSON, or has members that are not known.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, TrustListError> {
        if bytes.len() > MAX_FILE {
            return Err(TrustListError(format!("it is larger than {MAX_FILE} bytes")));
        }
        let file: File =
            serde_json::from_slice(bytes).map_err(|error| TrustListError(printable(&error.to_string())))?;
        Ok(file.issuers)
    }
}

/// What one issuer is trusted for, by type.
type Types = HashMap<String, Option<Vec<String>>>;

/// Issuers by a list that can be replaced while it is in use.
#[derive(Debug, Default)]
pub struct IssuerList(RwLock<Arc<HashMap<String, Types>>>);

impl IssuerList {
    /// A list of these.
    ///
    /// # Errors
    /// As [`IssuerList::replace`].
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, TrustListError> {
        let list = Self::default();
        list.replace(issuers)?;
        Ok(list)
    }

    /// Takes these issuers instead of all that were in the list.
    ///
    /// # Errors
    /// When one is not a DID, stands there twice, has a type twice or an empty one, or there are too many. The list then stays
    /// as it was.
    pub fn replace(&self, issuers: Vec<TrustedIssuer>) -> Result<(), TrustListError> {
        if issuers.len() > MAX_ISSUERS {
            return Err(TrustListError(format!("it has more than {MAX_ISSUERS} issuers")));
        }
        let mut all = HashMap::with_capacity(issuers.len());
        for issuer in issuers {
            let shown = printable(&issuer.did);
            let bad = |what: &str| TrustListError(format!("the issuer `{shown}` {what}"));
            if issuer.did.parse::<Did>().is_err() {
                return Err(bad("is not a DID"));
            }
            if issuer.credentials.len() > MAX_CREDENTIALS {
                return Err(bad(&format!("has more than {MAX_CREDENTIALS} entries")));
            }
            let mut types = Types::with_capacity(issuer.credentials.len());
            for entry in issuer.credentials {
                let name = entry.credential_type;
                if name.is_empty() || name == ANY_TYPE {
                    return Err(bad(&format!("has an entry for the type `{name}`, which names no credential")));
                }
                if types.insert(name.clone(), entry.claims).is_some() {
                    return Err(bad(&format!("has two entries for the type `{}`", printable(&name))));
                }
            }
            if all.insert(issuer.did, types).is_some() {
                return Err(bad("stands there twice"));
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        Ok(())
    }

    /// The list, in the order of the DIDs.
    pub fn issuers(&self) -> Vec<TrustedIssuer> {
        let all = self.current();
        let mut issuers: Vec<TrustedIssuer> = all
            .iter()
            .map(|(did, types)| {
                let entry = |(name, claims): (&String, &Option<Vec<String>>)| TrustedCredential {
                    credential_type: name.clone(),
                    claims: claims.clone(),
                };
                let mut credentials: Vec<TrustedCredential> = types.iter().map(entry).collect();
                credentials.sort_by(|a, b| a.credential_type.cmp(&b.credential_type));
                TrustedIssuer { did: did.clone(), credentials }
            })
            .collect();
        issuers.sort_by(|a, b| a.did.cmp(&b.did));
        issuers
    }

    fn current(&self) -> Arc<HashMap<String, Types>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl TrustedIssuers for IssuerList {
    async fn check(&self, issuer: &str, types: &[String]) -> Result<(), CredentialError> {
        let asked = asked(types);
        let all = self.current();
        let Some(known) = all.get(issuer).filter(|known| !known.is_empty()) else {
            return Err(untrusted(issuer, &asked));
        };
        let trusted = |name: &&str| known.contains_key(*name) || known.contains_key("*") || STATUS_LISTS.contains(name);
        let others: Vec<&str> = asked.iter().copied().filter(|name| !trusted(name)).collect();
        let nameless = asked.is_empty() && !known.contains_key("*");
        if others.is_empty() && !nameless { Ok(()) } else { Err(untrusted(issuer, &others)) }
    }

    async fn claims(&self, issuer: &str, types: &[String]) -> Option<Vec<String>> {
        let all = self.current();
        let Some(known) = all.get(issuer) else { return Some(Vec::new()) };
        let mut names = Vec::new();
        for name in asked(types) {
            // An entry of its own goes before the one for all others.
            match known.get(name).or_else(|| known.get("*")) {
                Some(None) => return None,
                Some(Some(some)) => names.extend(some.iter().cloned()),
                None => {}
            }
        }
        Some(names)
    }
}
