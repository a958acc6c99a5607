//! Temporal queries (GS CIM 009, clause 4.11): `timerel`, `timeAt`, `endTimeAt`, `timeproperty`.

use serde_json::Value;
use time::OffsetDateTime;

use crate::instant;
use crate::problem::Problem;

/// The time range, half-open at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Before(OffsetDateTime),
    After(OffsetDateTime),
    Between(OffsetDateTime, OffsetDateTime),
}

/// A parsed temporal query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeQuery {
    range: Range,
    property: String,
}

impl TimeQuery {
    /// Reads the four parts.
    ///
    /// # Errors
    /// A `BadRequestData` that names the part.
    pub fn parse(
        timerel: &str,
        time_at: Option<&str>,
        end_time_at: Option<&str>,
        property: Option<&str>,
    ) -> Result<Self, Problem> {
        let at = date_time("timeAt", time_at)?;
        let range = match timerel {
            "before" => Range::Before(at),
            "after" => Range::After(at),
            "between" => {
                let end = date_time("endTimeAt", end_time_at)?;
                if end <= at {
                    return Err(Problem::bad("`endTimeAt` must be later than `timeAt`"));
                }
                Range::Between(at, end)
            }
            other => return Err(Problem::bad(format!("`timerel`: `{other}` is none of before, after, between"))),
        };
        if end_time_at.is_some() && timerel != "between" {
            return Err(Problem::bad("`endTimeAt` belongs to `timerel=between`"));
        }
        let property = property.unwrap_or("observedAt");
        if !["observedAt", "createdAt", "modifiedAt", "deletedAt"].contains(&property) {
            return Err(Problem::bad(format!(
                "`timeproperty`: `{property}` is none of observedAt, createdAt, modifiedAt, deletedAt"
            )));
        }
        Ok(Self { range, property: property.to_owned() })
    }

    /// Whether an attribute instance lies in the range; one without the time property never does.
    #[must_use]
    pub fn matches(&self, instance: &Value) -> bool {
        let Some(at) = instance.get(&self.property).and_then(Value::as_str).and_then(instant::parse) else {
            return false;
        };
        match self.range {
            Range::Before(end) => at < end,
            Range::After(start) => at >= start,
            Range::Between(start, end) => start <= at && at < end,
        }
    }

    /// The member that holds the time, `observedAt` unless asked otherwise.
    #[must_use]
    pub fn property(&self) -> &str {
        &self.property
    }
}

fn date_time(name: &str, text: Option<&str>) -> Result<OffsetDateTime, Problem> {
    let text = text.ok_or_else(|| Problem::bad(format!("`{name}` is missing")))?;
    instant::parse(text).ok_or_else(|| Problem::bad(format!("`{name}`: `{text}` is not a date-time in UTC")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_range_is_half_open() {
        let noon = Some("2026-03-01T12:00:00Z");
        let one = Some("2026-03-01T13:00:00Z");
        for (timerel, end, at, expected) in [
            ("before", None, "2026-03-01T11:59:59Z", true),
            ("before", None, "2026-03-01T12:00:00Z", false),
            ("after", None, "2026-03-01T12:00:00Z", true),
            ("after", None, "2026-03-01T11:59:59Z", false),
            ("between", one, "2026-03-01T12:00:00.000Z", true),
            ("between", one, "2026-03-01T13:00:00Z", false),
        ] {
            let query = TimeQuery::parse(timerel, noon, end, None).unwrap();
            assert_eq!(query.matches(&json!({"observedAt": at})), expected, "{timerel} {at}");
            assert!(!query.matches(&json!({"createdAt": at})));
        }
    }

    #[test]
    fn malformed_parts_are_refused() {
        let noon = Some("2026-03-01T12:00:00Z");
        for (timerel, at, end, property) in [
            ("around", noon, None, None),
            ("before", None, None, None),
            ("before", Some("noon"), None, None),
            ("before", noon, noon, None),
            ("between", noon, None, None),
            ("between", noon, noon, None),
            ("before", noon, None, Some("seenAt")),
        ] {
            assert!(TimeQuery::parse(timerel, at, end, property).is_err(), "{timerel} {at:?} {end:?} {property:?}");
        }
    }
}
