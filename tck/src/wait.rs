//! Waiting for something to become true.

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long a test waits for something that takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks `question` every few milliseconds until it has an answer.
///
/// # Errors
/// When there is none after `patience`; the sentence names `what` was awaited.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: impl Display,
    patience: Duration,
    mut question: impl FnMut() -> F,
) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = question().await {
            return Ok(answer);
        }
        if began.elapsed() > patience {
            return Err(Error::new(format!("{what}: not within {} s", patience.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
