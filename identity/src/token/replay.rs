//! Which tokens were used already.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::TokenUse;
use crate::IdentityError;

/// How many tokens are remembered when nothing else is set: at the default lifetime some hundred requests a second.
pub const DEFAULT_REPLAY_ENTRIES: usize = 200_000;

type Key = [u8; 32];

/// Remembers the tokens that were used in this process until they have expired.
///
/// It is bounded. When it is full, or one issuer fills more than a quarter of it, tokens are refused and not forgotten. Replicas
/// share what was used through their database, see [`TokenUse`].
#[derive(Debug)]
pub struct ReplayMemory {
    most: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    seen: HashSet<Key>,
    by_expiry: BTreeMap<i64, Vec<(Key, Key)>>,
    by_issuer: HashMap<Key, usize>,
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self::new(DEFAULT_REPLAY_ENTRIES)
    }
}

impl ReplayMemory {
    /// A memory for at most so many tokens.
    pub fn new(most: usize) -> Self {
        Self { most, used: Mutex::default() }
    }

    /// Notes the use of a token.
    ///
    /// # Errors
    /// `token_replayed` when it was used before; `too_many_tokens` (temporary) when the memory is full.
    pub fn remember(&self, token: &TokenUse, now: i64) -> Result<(), IdentityError> {
        let issuer: Key = Sha256::digest(token.issuer.as_bytes()).into();
        let mut hash = Sha256::new();
        hash.update(issuer);
        hash.update(token.jti.as_bytes());
        let key: Key = hash.finalize().into();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget(now);
        if used.seen.contains(&key) {
            return Err(IdentityError::caller("token_replayed", "the ID token (`jti`) was used before"));
        }
        let of_issuer = used.by_issuer.get(&issuer).copied().unwrap_or_default();
        if of_issuer >= self.most.div_ceil(4) {
            let message = "the sender has more unexpired ID tokens in use than are remembered here";
            return Err(IdentityError::caller("too_many_tokens", message).for_now());
        }
        if used.seen.len() >= self.most {
            let message = "more unexpired ID tokens are in use than are remembered here";
            return Err(IdentityError::us("too_many_tokens", message).for_now());
        }
        used.seen.insert(key);
        used.by_expiry.entry(token.expires).or_default().push((issuer, key));
        used.by_issuer.insert(issuer, of_issuer.saturating_add(1));
        Ok(())
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).seen.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Used {
    fn forget(&mut self, now: i64) {
        while let Some(entry) = self.by_expiry.first_entry() {
            if *entry.key() > now {
                break;
            }
            for (issuer, key) in entry.remove() {
                self.seen.remove(&key);
                if let Some(count) = self.by_issuer.get_mut(&issuer) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.by_issuer.remove(&issuer);
                    }
                }
            }
        }
    }
}
