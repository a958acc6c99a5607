//! Which moments a selection shows, and how exactly.

use serde::{Deserialize, Serialize};

use crate::query::instant_ms;
use crate::selection::is_iri;

/// Longest age or period in seconds: a hundred years.
const MAX_SECONDS: u64 = 100 * 366 * 24 * 3600;

/// Moments that are shown. A value is judged by its `observedAt`; one without is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// The first moment (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The moment before which a value must be observed (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// A value must be at least so old when it is asked for: nothing live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age_seconds: Option<u64>,
    /// A value must be at most so old when it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// One value of each attribute in each period of so many seconds, the last one, once the period is over. Periods
    /// begin at the epoch; times are those of their beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_seconds: Option<u64>,
    /// The expanded name of an attribute whose value is the moment of the whole entity, for models that do not use
    /// `observedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The offset from UTC (`Z`, `+01:00`) of values of `attribute` that have none. Without it such values are no moments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_offset: Option<String>,
}

/// A stretch of time in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first moment.
    pub from: i64,
    /// The first moment after it.
    pub until: i64,
}

impl Stretch {
    /// All of time.
    pub const ALWAYS: Self = Self { from: i64::MIN, until: i64::MAX };

    /// Whether the moment lies within.
    #[must_use]
    pub fn holds(self, ms: i64) -> bool {
        self.from <= ms && ms < self.until
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Whether no moment lies within.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.from >= self.until
    }
}

impl Window {
    /// The stretch that is shown to who asks now. A period that is not over yet is not in it.
    #[must_use]
    pub fn stretch(&self, now_ms: i64) -> Stretch {
        let before = |seconds: u64| now_ms.saturating_sub(milliseconds(seconds));
        let moment = |text: &Option<String>| text.as_deref().and_then(instant_ms);
        let from = moment(&self.from).unwrap_or(i64::MIN).max(self.max_age_seconds.map_or(i64::MIN, before));
        let mut until = moment(&self.to).unwrap_or(i64::MAX);
        if let Some(age) = self.min_age_seconds {
            until = until.min(before(age).saturating_add(1));
        }
        if self.resolution_seconds.is_some() {
            until = self.floor(until.min(now_ms));
        }
        Stretch { from, until }
    }

    /// The beginning of the period in which a moment lies; the moment itself without a resolution.
    #[must_use]
    pub fn floor(&self, ms: i64) -> i64 {
        match self.resolution_seconds.map(milliseconds) {
            Some(period) if period > 0 => ms.div_euclid(period).saturating_mul(period),
            _ => ms,
        }
    }

    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        for (member, text) in [("time.from", &self.from), ("time.to", &self.to)] {
            if text.as_deref().is_some_and(|text| instant_ms(text).is_none()) {
                return Err((member, "must be a moment with its zone, such as `2026-01-01T00:00:00Z`".to_owned()));
            }
        }
        for (member, seconds) in [
            ("time.minAgeSeconds", self.min_age_seconds),
            ("time.maxAgeSeconds", self.max_age_seconds),
            ("time.resolutionSeconds", self.resolution_seconds),
        ] {
            if seconds.is_some_and(|seconds| seconds == 0 || seconds > MAX_SECONDS) {
                return Err((member, format!("must be between 1 and {MAX_SECONDS}")));
            }
        }
        if (Self { attribute: None, assumed_offset: None, ..self.clone() }) == Self::default() {
            return Err(("time", "must say which moments are shown".to_owned()));
        }
        if self.attribute.as_deref().is_some_and(|name| !is_iri(name)) {
            return Err(("time.attribute", "is no expanded name".to_owned()));
        }
        let offset = self.assumed_offset.as_deref();
        if offset.is_some_and(|offset| self.attribute.is_none() || instant_ms(&with_offset(offset)).is_none()) {
            let why = "must be an offset from UTC such as `Z` or `+01:00`, and goes with `attribute`";
            return Err(("time.assumedOffset", why.to_owned()));
        }
        if self.attribute.is_some() && self.resolution_seconds.is_some() {
            return Err(("time.resolutionSeconds", "needs values with `observedAt`, not `attribute`".to_owned()));
        }
        let ages = self.min_age_seconds.zip(self.max_age_seconds);
        let moments = self.from.as_deref().and_then(instant_ms).zip(self.to.as_deref().and_then(instant_ms));
        if ages.is_some_and(|(least, most)| least > most) || moments.is_some_and(|(from, to)| from >= to) {
            return Err(("time", "leaves no moment that could be shown".to_owned()));
        }
        Ok(())
    }
}

fn with_offset(offset: &str) -> String {
    format!("2026-01-01T00:00:00{offset}")
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn stretches() {
        let now = 1_000_000_000;
        let none = Window::default();
        let cases = [
            (Window { min_age_seconds: Some(900), ..none.clone() }, (i64::MIN, now - 900_000 + 1)),
            (Window { max_age_seconds: Some(60), ..none.clone() }, (now - 60_000, i64::MAX)),
            (
                Window { from: text("1970-01-01T00:00:01Z"), to: text("1970-01-01T01:00:02+01:00"), ..none.clone() },
                (1000, 2000),
            ),
            (Window { resolution_seconds: Some(300), ..none.clone() }, (i64::MIN, 999_900_000)),
            (
                Window { resolution_seconds: Some(300), min_age_seconds: Some(1000), ..none.clone() },
                (i64::MIN, 999_000_000),
            ),
        ];
        for (window, (from, until)) in cases {
            assert_eq!(window.stretch(now), Stretch { from, until }, "{window:?}");
        }
        let hourly = Window { resolution_seconds: Some(3600), ..none };
        assert_eq!((hourly.floor(7_199_999), hourly.floor(-1)), (3_600_000, -3_600_000));
    }

    #[test]
    fn windows_that_mean_nothing_are_refused() {
        let none = Window::default();
        for window in [
            none.clone(),
            Window { attribute: text("https://m/a"), ..none.clone() },
            Window { assumed_offset: text("Z"), min_age_seconds: Some(5), ..none.clone() },
            Window {
                assumed_offset: text("Rome"),
                attribute: text("https://m/a"),
                min_age_seconds: Some(5),
                ..none.clone()
            },
            Window { attribute: text("a"), min_age_seconds: Some(5), ..none.clone() },
            Window { attribute: text("https://m/a"), resolution_seconds: Some(5), ..none.clone() },
            Window { from: text("2026-01-01"), ..none.clone() },
            Window { to: text("2026-01-01T00:00:00"), ..none.clone() },
            Window { resolution_seconds: Some(0), ..none.clone() },
            Window { min_age_seconds: Some(u64::MAX), ..none.clone() },
            Window { min_age_seconds: Some(10), max_age_seconds: Some(5), ..none.clone() },
            Window { from: text("2026-01-02T00:00:00Z"), to: text("2026-01-01T00:00:00Z"), ..none },
        ] {
            assert!(window.check().is_err(), "{window:?}");
        }
    }
}
