//! Looking up the status of credentials, over lists that are kept for a while.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::StatusEntry;
use super::list::{self, StatusList};
use crate::credential::CredentialError;
use crate::credential::kept::{Kept, RETRY_AFTER};
use crate::did::DidResolver;
use crate::jose::MAX_JWS_BYTES;
use crate::trust::TrustedIssuers;
use crate::{Clock, Fetch};

/// What is asked for: a JWT of either data model, or a document with a proof.
const ACCEPT: &str = "application/vc+jwt, application/jwt, application/vc+ld+json;q=0.9, application/vc;q=0.9, \
                      application/json;q=0.8, text/plain;q=0.5";
/// Bytes of unpacked lists that are kept.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Looks up the status of credentials.
pub struct StatusChecker {
    fetch: Arc<dyn Fetch>,
    resolver: Arc<DidResolver>,
    trust: Arc<dyn TrustedIssuers>,
    clock: Arc<dyn Clock>,
    ttl: i64,
    lists: Kept<StatusList>,
}

impl StatusChecker {
    /// Lists are read again after `ttl` seconds, or sooner where the answer or the list says so: within this time a revocation is
    /// noticed.
    pub fn new(
        fetch: Arc<dyn Fetch>,
        resolver: Arc<DidResolver>,
        trust: Arc<dyn TrustedIssuers>,
        clock: Arc<dyn Clock>,
        ttl: i64,
    ) -> Self {
        let lists = Kept::new(CACHE_BYTES, |list: &StatusList| list.bits.as_bytes().len());
        Self { fetch, resolver, trust, clock, ttl: ttl.max(0), lists }
    }

    /// Passes when none of the entries of a credential of `issuer` says that it is revoked or suspended; answers until when that is
    /// known, seconds since the epoch.
    ///
    /// # Errors
    /// `revoked`, `suspended`; `unsupported_status`, `bad_status_entry`; `status_unavailable`, `unsigned_status_list`,
    /// `bad_status_list`, `status_list_too_short`, `status_index_out_of_range`, `status_purpose_mismatch`, `untrusted_issuer`.
    pub async fn check(&self, entries: &[Value], issuer: &str) -> Result<i64, CredentialError> {
        let mut known_until = i64::MAX;
        for entry in entries {
            let entry = StatusEntry::parse(entry)?;
            let until = match entry.purpose.as_str() {
                "revocation" | "suspension" => {
                    let shown = crate::printable(entry.list.as_str());
                    self.look_up(&entry, issuer)
                        .await
                        .map_err(|error| error.within(&format!("status list `{shown}`")))?
                }
                // The others inform; nothing is decided by them.
                _ => continue,
            };
            known_until = known_until.min(until);
        }
        Ok(known_until)
    }

    async fn look_up(&self, entry: &StatusEntry, issuer: &str) -> Result<i64, CredentialError> {
        let now = self.clock.now();
        let (list, until) = self.lists.get(entry.list.as_str(), now, self.read(&entry.list, now)).await?;
        // An issuer speaks of its own credentials; another must be trusted to keep lists.
        if list.issuer != issuer {
            self.trust.check(&list.issuer, &list.types).await?;
        }
        if list.kind != entry.kind || !list.purposes.contains(&entry.purpose) {
            let text = format!(
                "the list is not a `{}` for the purpose `{}`",
                entry.kind.subject_type(),
                crate::printable(&entry.purpose),
            );
            return Err(CredentialError::peer("status_purpose_mismatch", text, false));
        }
        match (list.bits.get(entry.index, entry.size)?, entry.purpose.as_str()) {
            (0, _) => Ok(until),
            (_, "suspension") => Err(CredentialError::refused("suspended", "the credential is suspended")),
            _ => Err(CredentialError::refused("revoked", "the credential is revoked")),
        }
    }

    async fn read(&self, url: &Url, now: i64) -> Result<(StatusList, i64), CredentialError> {
        let unavailable = |text: String, temporary| CredentialError::peer("status_unavailable", text, temporary);
        let answer = self
            .fetch
            .get(url, ACCEPT, None, MAX_JWS_BYTES)
            .await
            .map_err(|error| unavailable(error.to_string(), error.temporary))?;
        if !answer.is_success() {
            let temporary = answer.status >= 500 || answer.status == 429;
            return Err(unavailable(format!("the server answers with status {}", answer.status), temporary));
        }
        let list = list::read(&answer.body, &self.resolver, now).await?;
        let served = answer.max_age.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(i64::MAX);
        // A server that forbids keeping is not asked by every request all the same.
        let kept = now.saturating_add(self.ttl.min(served.max(RETRY_AFTER)));
        let until = kept.min(list.valid_until.unwrap_or(i64::MAX));
        Ok((list, until))
    }
}
