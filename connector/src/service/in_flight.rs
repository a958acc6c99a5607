//! Which owed messages have gone out at least once from this process.

use std::collections::HashSet;
use std::mem::take;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an id is remembered at least: longer than one attempt can take. After a failed one the row itself says that
/// there was an attempt.
const REMEMBERED: Duration = Duration::from_secs(120);

/// Ids of owed messages that were sent a short while ago.
///
/// A message that a peer can send only after having processed ours acknowledges ours, if ours went out at least once
/// (an implied acknowledgement). A commit before each send would be needed to know that from the database
/// alone; memory is enough while the process lives, and a row from before the start counts as sent.
///
/// An id is not taken out when its message is settled: a reader may still hold the row as it was before that commit. It
/// does no harm, since no other message ever gets the same id.
pub(crate) struct InFlight(Mutex<Generations>);

struct Generations {
    young: HashSet<String>,
    old: HashSet<String>,
    since: Instant,
}

impl Default for InFlight {
    fn default() -> Self {
        Self(Mutex::new(Generations { young: HashSet::new(), old: HashSet::new(), since: Instant::now() }))
    }
}

impl InFlight {
    /// Notes that the message with this id is going out.
    pub(crate) fn sending(&self, owed_id: &str) {
        self.sending_at(owed_id, Instant::now());
    }

    fn sending_at(&self, owed_id: &str, now: Instant) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(ids.since) >= REMEMBERED {
            ids.old = take(&mut ids.young);
            ids.since = now;
        }
        ids.young.insert(owed_id.to_owned());
    }

    /// Whether the message has gone out.
    pub(crate) fn contains(&self, owed_id: &str) -> bool {
        let ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.young.contains(owed_id) || ids.old.contains(owed_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_remembered_for_a_while_and_then_forgotten() {
        let ids = InFlight::default();
        let began = Instant::now();
        ids.sending_at("a", began);
        ids.sending_at("b", began + REMEMBERED);
        assert!(ids.contains("a") && ids.contains("b"));
        ids.sending_at("c", began + 2 * REMEMBERED);
        assert!(!ids.contains("a") && ids.contains("b") && ids.contains("c"));
    }
}
