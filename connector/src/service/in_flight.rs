//! Which owed messages have gone out at least once from this process.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Ids of owed messages that were sent and are not settled yet.
///
/// A message that a peer can send only after having processed ours acknowledges ours, if ours went out at least once
/// (DSP sheet: implied acknowledgement). A commit before each send would be needed to know that from the database
/// alone; memory is enough while the process lives, and a row from before the start counts as sent.
#[derive(Default)]
pub(crate) struct InFlight(Mutex<HashSet<String>>);

impl InFlight {
    /// Notes that the message with this id is going out.
    pub(crate) fn sending(&self, owed_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(owed_id.to_owned());
    }

    /// Forgets a message that is settled.
    pub(crate) fn settled(&self, owed_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(owed_id);
    }

    /// Whether the message has gone out.
    pub(crate) fn contains(&self, owed_id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(owed_id)
    }
}
