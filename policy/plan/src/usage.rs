//! How far an agreement has been used, and what of it a condition looks at.

use serde::{Deserialize, Serialize};

/// What is counted or measured of the uses of one agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Meter {
    /// The ordinal of the use that is asked for (ODRL left operand `count`).
    Count,
    /// Milliseconds of use so far (ODRL left operand `meteredTime`).
    MeteredTime,
    /// Bytes so far (left operand `volume` of the municipal profile).
    Volume,
    /// Milliseconds since the first use (ODRL left operand `elapsedTime`); zero before it.
    Elapsed,
    /// Milliseconds since the last use (ODRL left operand `timeInterval`); longer than everything before the first.
    Interval,
}

impl Meter {
    /// The left operand that reads it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::MeteredTime => "meteredTime",
            Self::Volume => "volume",
            Self::Elapsed => "elapsedTime",
            Self::Interval => "timeInterval",
        }
    }

    /// Whether it changes with the clock, too, and not with use alone.
    #[must_use]
    pub fn is_clock(self) -> bool {
        matches!(self, Self::Elapsed | Self::Interval)
    }
}

/// What is known of the uses of one agreement. What is `None` is not known, which denies wherever it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Used {
    /// The ordinal of the use that is asked for: 1 for the first, so that no moment of an earlier use can be missing then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Milliseconds of use before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered_ms: Option<u64>,
    /// Bytes of use before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_bytes: Option<u64>,
    /// When the first use was, in milliseconds since the Unix epoch. `None` means that there was none when
    /// [`count`](Self::count) is 1, and that it is not known otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_use_ms: Option<i64>,
    /// When the last use before this one was; `None` as for the first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use_ms: Option<i64>,
}

impl Used {
    /// What a meter shows at `now_ms`; `None` when that is not known.
    #[must_use]
    pub fn shows(&self, meter: Meter, now_ms: i64) -> Option<i64> {
        let whole = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        let since = |moment: Option<i64>| moment.map(|moment| now_ms.saturating_sub(moment).max(0));
        let is_first = self.count == Some(1);
        match meter {
            Meter::Count => whole(self.count),
            Meter::MeteredTime => whole(self.metered_ms),
            Meter::Volume => whole(self.volume_bytes),
            Meter::Elapsed => since(self.first_use_ms).or(is_first.then_some(0)),
            Meter::Interval => since(self.last_use_ms).or(is_first.then_some(i64::MAX)),
        }
    }

    /// The moment from which on the clock moves what a meter shows.
    pub(crate) fn start(&self, meter: Meter) -> Option<i64> {
        match meter {
            Meter::Elapsed => self.first_use_ms,
            Meter::Interval => self.last_use_ms,
            Meter::Count | Meter::MeteredTime | Meter::Volume => None,
        }
    }
}
