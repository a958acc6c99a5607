//! Points in time as NGSI-LD writes them: ISO 8601 in UTC with `Z`, 0 to 9 digits of fraction.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads a date-time such as `2026-11-21T03:00:00Z`; `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Writes a date-time with whole seconds, such as `2026-11-21T03:00:00Z`.
#[must_use]
pub fn format(instant: OffsetDateTime) -> String {
    let utc = instant.to_offset(time::UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        utc.year(),
        u8::from(utc.month()),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second()
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_fractions_and_offsets_and_writes_seconds() {
        for (text, expected) in [
            ("2026-11-21T03:00:00Z", Some("2026-11-21T03:00:00Z")),
            ("2026-11-21T03:00:00.123456789Z", Some("2026-11-21T03:00:00Z")),
            ("2026-11-21T03:00:00+01:00", Some("2026-11-21T02:00:00Z")),
            ("2026-11-21", None),
            ("yesterday", None),
        ] {
            assert_eq!(super::parse(text).map(super::format).as_deref(), expected, "for {text}");
        }
    }
}
