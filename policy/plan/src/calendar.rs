//! Times of the week in a time zone, without a time zone database: the plan carries the zone's offsets.

use serde::{Deserialize, Serialize};

use crate::Truth;

/// Seconds of a week.
pub const WEEK_SECONDS: u32 = 604_800;
/// The Unix epoch is a Thursday; weeks here begin on Monday.
const EPOCH_IN_WEEK_SECONDS: i64 = 3 * 86_400;

/// Some hours of each week by the clock of one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Weekly {
    /// From and to (not included), in seconds since Monday 00:00 by the local clock; at most [`WEEK_SECONDS`].
    pub windows: Vec<(u32, u32)>,
    /// From which millisecond since the Unix epoch on the local clock is so many seconds ahead of UTC, in order. The first holds
    /// before, too.
    pub offsets: Vec<(i64, i32)>,
    /// From this millisecond on the offset is not known.
    pub until_ms: i64,
}

impl Weekly {
    /// Whether `now_ms` lies in one of the windows.
    #[must_use]
    pub fn at(&self, now_ms: i64) -> Truth {
        let Some(second) = self.second_of_week(now_ms) else { return Truth::Unknown };
        self.windows.iter().any(|(from, to)| (i64::from(*from)..i64::from(*to)).contains(&second)).into()
    }

    /// The first millisecond after `now_ms` at which a window begins or ends, or the local clock is put forward or back.
    #[must_use]
    pub fn next_change(&self, now_ms: i64) -> Option<i64> {
        let second = self.second_of_week(now_ms)?;
        let second_now = now_ms.div_euclid(1_000);
        let borders = self.windows.iter().flat_map(|(from, to)| [i64::from(*from), i64::from(*to)]);
        let borders = borders.map(|border| {
            let ahead = (border - second).rem_euclid(i64::from(WEEK_SECONDS));
            let ahead = if ahead == 0 { i64::from(WEEK_SECONDS) } else { ahead };
            second_now.saturating_add(ahead).saturating_mul(1_000)
        });
        let shifts = self.offsets.iter().skip(1).map(|(from, _)| *from);
        borders.chain(shifts).chain([self.until_ms]).filter(|change| *change > now_ms).min()
    }

    fn second_of_week(&self, now_ms: i64) -> Option<i64> {
        if now_ms >= self.until_ms {
            return None;
        }
        let in_force = self.offsets.iter().rev().find(|(from, _)| *from <= now_ms).or_else(|| self.offsets.first());
        let local = now_ms.div_euclid(1_000).saturating_add(i64::from(in_force?.1));
        Some(local.saturating_add(EPOCH_IN_WEEK_SECONDS).rem_euclid(i64::from(WEEK_SECONDS)))
    }
}
