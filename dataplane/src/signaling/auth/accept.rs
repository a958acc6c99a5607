//! Whether a token is one of a control plane for us.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dps_signaling::token::{Claims, Expected, KeySet, LEEWAY_S, TokenFault, claims_without_signature, verify};
use sha2::{Digest, Sha256};

use super::Outside;
use super::keys::KeySource;
use crate::clock::now_ms;
use crate::config::{Acceptance, Keys};

/// Most used tokens that are remembered; when so many live, further ones are refused.
const MOST_USED: usize = 100_000;

/// Judges tokens of one control plane.
pub(crate) struct Acceptor {
    rules: Acceptance,
    source: Source,
    used: Option<Used>,
}

enum Source {
    Given(Arc<KeySet>),
    Read(Arc<KeySource>),
    DangerNone,
}

impl Acceptor {
    pub(super) fn new(rules: Acceptance, outside: &Outside) -> Self {
        let source = match &rules.keys {
            Keys::Set(set) => Source::Given(Arc::clone(set)),
            Keys::At(url) => Source::Read(KeySource::new(url.clone(), outside.clone())),
            Keys::DangerUnverified => Source::DangerNone,
        };
        let used = rules.single_use.then(|| Used::new(now_ms() / 1000));
        Self { rules, source, used }
    }

    /// Whether a value of `Authorization` is a good token. Why not is for the log alone.
    pub(super) async fn admits(&self, header: &[u8]) -> bool {
        let Some(token) = std::str::from_utf8(header).ok().and_then(|header| header.strip_prefix("Bearer ")) else {
            return false;
        };
        let checked = self.check(token).await.and_then(|claims| match &self.used {
            Some(used) => used.take(&claims, now_ms() / 1000),
            None => Ok(()),
        });
        if let Err(why) = &checked {
            tracing::info!(control_plane = self.rules.subject, why, "a token is not one of this control plane for us");
        }
        checked.is_ok()
    }

    async fn check(&self, token: &str) -> Result<Claims, String> {
        let rules = &self.rules;
        let expected = Expected {
            issuer: rules.issuer.as_deref(),
            subject: &rules.subject,
            audience: &rules.audience,
            scope: rules.scope.as_deref(),
            participant_context: rules.participant_context.as_deref(),
        };
        let judge = |set: &KeySet| verify(token, set, &expected, now_ms() / 1000);
        let judged = match &self.source {
            Source::Given(set) => judge(set),
            Source::DangerNone => claims_without_signature(token, &expected, now_ms() / 1000),
            Source::Read(source) => match judge(&*source.get(false).await?) {
                // The keys may have been changed since they were read.
                Err(TokenFault::UnknownKey | TokenFault::Signature) => judge(&*source.get(true).await?),
                judged => judged,
            },
        };
        judged.map_err(|fault| fault.to_string())
    }
}

/// Tokens that have counted, until their end.
struct Used {
    /// What was issued before we began may have counted already.
    since_s: i64,
    ends: Mutex<HashMap<[u8; 32], i64>>,
}

impl Used {
    fn new(since_s: i64) -> Self {
        Self { since_s, ends: Mutex::default() }
    }

    /// Lets a token count, once.
    fn take(&self, claims: &Claims, now_s: i64) -> Result<(), String> {
        let jti = claims.jti.as_deref().ok_or("`jti` is missing, and each token counts once")?;
        if claims.issued_s < self.since_s {
            return Err("it was issued before this program began, and each token counts once".to_owned());
        }
        let key: [u8; 32] = Sha256::digest(jti.as_bytes()).into();
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() >= MOST_USED {
            ends.retain(|_, end| end.saturating_add(LEEWAY_S) > now_s);
        }
        if ends.get(&key).is_some_and(|end| end.saturating_add(LEEWAY_S) > now_s) {
            return Err("it has counted already".to_owned());
        }
        if ends.len() >= MOST_USED {
            return Err("too many tokens that count once are alive".to_owned());
        }
        ends.insert(key, claims.expires_s);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(jti: &str, expires_s: i64) -> Claims {
        Claims { jti: Some(jti.to_owned()), issued_s: 1000, expires_s }
    }

    #[test]
    fn a_token_counts_once_until_its_end() {
        let used = Used::new(1000);
        assert_eq!(used.take(&claims("a", 1100), 1000), Ok(()));
        assert!(used.take(&claims("a", 1100), 1129).unwrap_err().contains("already"));
        assert_eq!(used.take(&claims("b", 1100), 1001), Ok(()));
        assert_eq!(used.take(&claims("a", 1300), 1130), Ok(()), "the first of this name has ended");
        assert!(used.take(&Claims { jti: None, ..claims("", 1100) }, 1001).unwrap_err().contains("jti"));
        assert!(used.take(&Claims { issued_s: 999, ..claims("c", 1100) }, 1001).unwrap_err().contains("before"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let used = Used::new(1000);
        for number in 0..MOST_USED {
            assert_eq!(used.take(&claims(&number.to_string(), 1100), 1001), Ok(()));
        }
        assert!(used.take(&claims("more", 1300), 1001).unwrap_err().contains("too many"));
        assert_eq!(used.take(&claims("more", 1300), 1200), Ok(()), "the others have ended");
        assert_eq!(used.ends.lock().unwrap().len(), 1);
    }
}
