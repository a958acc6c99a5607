//! The moments of a day and how a city breathes over it.

use time::OffsetDateTime;

use super::earlier;
use crate::instant;

/// Minutes between two observations.
const STEP: i64 = 30;
/// Observations in 24 hours.
const COUNT: i64 = 48;

/// The moments at which everything is observed, oldest first.
pub(super) struct Moments {
    hours: Vec<f64>,
    written: Vec<String>,
}

impl Moments {
    /// The 24 hours that end at `end`.
    pub(super) fn ending(end: OffsetDateTime) -> Self {
        let all: Vec<OffsetDateTime> = (0..COUNT).rev().map(|back| earlier(end, back * STEP)).collect();
        Self {
            hours: all.iter().map(|at| hour_of(*at)).collect(),
            written: all.iter().map(|at| instant::format(*at)).collect(),
        }
    }

    /// The hour of the day of each moment, with its fraction.
    pub(super) fn hours(&self) -> impl Iterator<Item = f64> {
        self.hours.iter().copied()
    }

    /// Each moment as a date-time.
    pub(super) fn written(&self) -> &[String] {
        &self.written
    }
}

/// The hour of the day in UTC, with its fraction.
pub(super) fn hour_of(at: OffsetDateTime) -> f64 {
    f64::from(at.hour()) + f64::from(at.minute()) / 60.0
}

/// How busy the streets are, 0 to 1: peaks at 8 and at 17:30, quiet at night.
pub(super) fn rush(hour: f64) -> f64 {
    let peak = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
    0.06 + 0.34 * peak(13.0, 4.5) + 0.6 * peak(8.0, 1.3) + 0.55 * peak(17.5, 1.8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_48_moments_and_two_peaks() {
        let end = instant::parse("2026-03-02T00:00:00Z").unwrap();
        let moments = Moments::ending(end);
        assert_eq!(moments.written().first().map(String::as_str), Some("2026-03-01T00:30:00Z"));
        assert_eq!(moments.written().last().map(String::as_str), Some("2026-03-02T00:00:00Z"));
        assert_eq!(moments.hours().count(), 48);
        assert!(rush(8.0) > 2.0 * rush(11.0) / 1.5 && rush(17.5) > rush(14.0) && rush(3.0) < 0.1);
        assert!((0..24).all(|hour| (0.0..=1.0).contains(&rush(f64::from(hour)))));
    }
}
