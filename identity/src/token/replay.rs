//! Which tokens were used already.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::TokenUse;
use crate::IdentityError;

/// How many tokens are remembered when nothing else is set: at the default lifetime some hundred requests a second.
pub const DEFAULT_REPLAY_ENTRIES: usize = 200_000;

type Key = [u8; 32];

/// The most issuers that are remembered as proved.
const MAX_PROVED: u64 = 10_000;

/// Remembers the tokens that were used in this process until they have expired.
///
/// It is bounded. When it is full, tokens are refused and not forgotten. Identifiers cost nothing, so all issuers of whom no more
/// is known than a DID share a quarter of the room: they cannot keep out those that have presented a credential, see
/// [`ReplayMemory::prove`]. One of these has a quarter, too. Replicas share what was used through their database, see [`TokenUse`].
#[derive(Debug)]
pub struct ReplayMemory {
    most: usize,
    proved: Cache<Key, ()>,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    seen: HashSet<Key>,
    by_expiry: BTreeMap<i64, Vec<Entry>>,
    /// How many there are of each issuer that was proved.
    by_issuer: HashMap<Key, usize>,
    /// How many there are of all others.
    unproved: usize,
}

#[derive(Debug)]
struct Entry {
    token: Key,
    /// Who made it, if it was proved then.
    proved: Option<Key>,
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self::new(DEFAULT_REPLAY_ENTRIES)
    }
}

impl ReplayMemory {
    /// A memory for at most so many tokens.
    pub fn new(most: usize) -> Self {
        Self { most, proved: Cache::new(MAX_PROVED), used: Mutex::default() }
    }

    /// Notes that this issuer has presented a credential that was accepted.
    pub fn prove(&self, issuer: &str) {
        let issuer = digest(issuer);
        if !self.proved.contains_key(&issuer) {
            self.proved.insert(issuer, ());
        }
    }

    /// Notes the use of a token.
    ///
    /// # Errors
    /// `token_replayed` when it was used before; `too_many_tokens` (temporary) when the memory is full.
    pub fn remember(&self, token: &TokenUse, now: i64) -> Result<(), IdentityError> {
        let issuer = digest(&token.issuer);
        let mut hash = Sha256::new();
        hash.update(issuer);
        hash.update(token.jti.as_bytes());
        let key: Key = hash.finalize().into();
        let proved = self.proved.contains_key(&issuer).then_some(issuer);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget(now);
        if used.seen.contains(&key) {
            return Err(IdentityError::caller("token_replayed", "the ID token (`jti`) was used before"));
        }
        let quarter = self.most.div_ceil(4);
        let beside = match &proved {
            Some(issuer) => used.by_issuer.get(issuer).copied().unwrap_or_default(),
            None => used.unproved,
        };
        if beside >= quarter || used.seen.len() >= self.most {
            let message = "more unexpired ID tokens are in use than are remembered here";
            return Err(IdentityError::us("too_many_tokens", message).for_now());
        }
        used.seen.insert(key);
        used.by_expiry.entry(token.expires).or_default().push(Entry { token: key, proved });
        match proved {
            Some(issuer) => *used.by_issuer.entry(issuer).or_default() = beside.saturating_add(1),
            None => used.unproved = beside.saturating_add(1),
        }
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
            for Entry { token, proved } in entry.remove() {
                self.seen.remove(&token);
                let Some(issuer) = proved else {
                    self.unproved = self.unproved.saturating_sub(1);
                    continue;
                };
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

fn digest(text: &str) -> Key {
    Sha256::digest(text.as_bytes()).into()
}
