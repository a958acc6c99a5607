//! Readable forms shared by rules and reasons.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant as RFC 3339 text in UTC; outside the years that RFC 3339 can write, the number of milliseconds.
#[must_use]
pub fn instant_text(epoch_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(epoch_ms) * 1_000_000)
        .ok()
        .and_then(|instant| instant.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{epoch_ms} ms"))
}
