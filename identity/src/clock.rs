//! What time it is.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from, so that tests can choose it.
pub trait Clock: Send + Sync {
    /// Whole seconds since the Unix epoch.
    fn now(&self) -> i64;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|passed| i64::try_from(passed.as_secs()).ok())
            .unwrap_or(0)
    }
}
