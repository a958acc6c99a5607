//! Left operands that read the clock of a place: the day of the week, the hour, the time of day.

use chrono::{DateTime, Offset as _, TimeZone as _};
use policy_plan::Weekly;

use crate::model::Scalar;
use crate::vocabulary::Operator;

const DAY_MS: i64 = 86_400_000;
const DAY_SECONDS: u32 = 86_400;
/// How long a plan knows the offsets of a zone: twenty years.
const PLAN_MS: i64 = 20 * 366 * DAY_MS;
/// The next border of a window is never further away.
const NEXT_MS: i64 = 9 * DAY_MS;
/// The most values that one such constraint compares with.
pub(crate) const MAX_VALUES: usize = 48;

/// What is read off the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dial {
    /// From 0, Monday, to 6, Sunday; as FIWARE's ODRL-PAP counts.
    DayOfWeek,
    /// From 0 to 23.
    HourOfDay,
    /// Seconds since midnight by the clock.
    TimeOfDay,
}

impl Dial {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DayOfWeek => "dayOfWeek",
            Self::HourOfDay => "hourOfDay",
            Self::TimeOfDay => "timeOfDay",
        }
    }
}

/// Where the clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// By its name in the IANA time zone database.
    Named(chrono_tz::Tz),
    /// Seconds ahead of UTC.
    Fixed(i32),
}

impl Zone {
    pub(crate) const UTC: Self = Self::Fixed(0);

    /// A zone of the IANA database, by its name or an IRI that ends with it: `Europe/Rome`, `urn:tz:Europe/Rome`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("urn:tz:").unwrap_or(name);
        name.parse().ok().map(Self::Named)
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::Named(zone) => zone.name().to_owned(),
            Self::Fixed(0) => "UTC".to_owned(),
            Self::Fixed(seconds) => {
                let minutes = seconds.abs() / 60;
                let sign = if seconds < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }

    fn offset(self, at_ms: i64) -> i32 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => DateTime::from_timestamp_millis(at_ms)
                .map_or(0, |at| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()),
        }
    }

    /// The offsets in a span of time, with the first millisecond of each.
    fn offsets(self, from_ms: i64, until_ms: i64) -> Vec<(i64, i32)> {
        let mut found = vec![(from_ms, self.offset(from_ms))];
        if let Self::Fixed(_) = self {
            return found;
        }
        let mut before = from_ms;
        while before < until_ms {
            let after = before.saturating_add(DAY_MS).min(until_ms);
            let known = self.offset(before);
            if self.offset(after) != known {
                let (mut same, mut other) = (before, after);
                while other - same > 1 {
                    let middle = same + (other - same) / 2;
                    if self.offset(middle) == known { same = middle } else { other = middle }
                }
                found.push((other, self.offset(other)));
            }
            before = after;
        }
        found
    }
}

/// A clock of one place, and what is read off it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) dial: Dial,
    pub(crate) zone: Zone,
    /// The name of the operand with its zone.
    pub(crate) label: String,
}

impl Clock {
    pub(crate) fn new(dial: Dial, zone: Zone) -> Self {
        Self { dial, zone, label: format!("{} in {}", dial.as_str(), zone.text()) }
    }

    /// What the clock shows.
    pub(crate) fn value(&self, at_ms: i64) -> i64 {
        let local = at_ms.div_euclid(1_000) + i64::from(self.zone.offset(at_ms));
        match self.dial {
            Dial::DayOfWeek => (local.div_euclid(i64::from(DAY_SECONDS)) + 3).rem_euclid(7),
            Dial::HourOfDay => local.rem_euclid(i64::from(DAY_SECONDS)) / 3_600,
            Dial::TimeOfDay => local.rem_euclid(i64::from(DAY_SECONDS)),
        }
    }

    /// What the clock shows, for people.
    pub(crate) fn shown(&self, value: i64) -> String {
        const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        match self.dial {
            Dial::DayOfWeek => {
                usize::try_from(value).ok().and_then(|day| DAYS.get(day)).map_or_else(String::new, ToString::to_string)
            }
            Dial::HourOfDay => value.to_string(),
            Dial::TimeOfDay => format!("{:02}:{:02}:{:02}", value / 3_600, value / 60 % 60, value % 60),
        }
    }

    /// The comparison as windows of the week, for the time after `now_ms` that a plan may live.
    pub(crate) fn plan(&self, operator: Operator, right: &[Scalar], now_ms: i64) -> Weekly {
        self.weekly(operator, right, now_ms, PLAN_MS)
    }

    /// The first moment after `now_ms` at which the comparison may have another answer.
    pub(crate) fn next_change(&self, operator: Operator, right: &[Scalar], now_ms: i64) -> Option<i64> {
        let weekly = self.weekly(operator, right, now_ms, NEXT_MS);
        let is_constant = matches!(weekly.windows.as_slice(), [] | [(0, policy_plan::WEEK_SECONDS)]);
        if is_constant { None } else { weekly.next_change(now_ms) }
    }

    fn weekly(&self, operator: Operator, right: &[Scalar], now_ms: i64, span_ms: i64) -> Weekly {
        let until_ms = now_ms.saturating_add(span_ms);
        Weekly { windows: self.windows(operator, right), offsets: self.zone.offsets(now_ms, until_ms), until_ms }
    }

    fn windows(&self, operator: Operator, right: &[Scalar]) -> Vec<(u32, u32)> {
        let right: Vec<i64> = right
            .iter()
            .filter_map(|value| if let Scalar::Integer(value) = value { Some(*value) } else { None })
            .collect();
        // The moments of a day at which the dial may answer differently.
        let mut steps: Vec<u32> = match self.dial {
            Dial::DayOfWeek => vec![0],
            Dial::HourOfDay => (0..24).map(|hour| hour * 3_600).collect(),
            Dial::TimeOfDay => {
                let moments = right.iter().flat_map(|second| [*second, second + 1]);
                std::iter::once(0).chain(moments.filter_map(|second| u32::try_from(second).ok())).collect()
            }
        };
        steps.retain(|step| *step < DAY_SECONDS);
        steps.sort_unstable();
        steps.dedup();
        let mut windows: Vec<(u32, u32)> = Vec::new();
        for day in 0..7_u32 {
            for (index, step) in steps.iter().enumerate() {
                let next = steps.get(index + 1).copied().unwrap_or(DAY_SECONDS);
                let value = match self.dial {
                    Dial::DayOfWeek => i64::from(day),
                    Dial::HourOfDay => i64::from(step / 3_600),
                    Dial::TimeOfDay => i64::from(*step),
                };
                if !holds(operator, value, &right) {
                    continue;
                }
                let (from, to) = (day * DAY_SECONDS + step, day * DAY_SECONDS + next);
                match windows.last_mut() {
                    Some((_, end)) if *end == from => *end = to,
                    _ => windows.push((from, to)),
                }
            }
        }
        windows
    }
}

/// As the evaluator compares one number with one or several.
fn holds(operator: Operator, left: i64, right: &[i64]) -> bool {
    let any = right.contains(&left);
    let only = any && right.iter().all(|value| *value == left);
    match (operator, right) {
        (Operator::Eq, _) | (Operator::IsAllOf, _) => only,
        (Operator::Neq, _) => !only,
        (Operator::IsAnyOf, _) => any,
        (Operator::IsNoneOf, _) => !any,
        (Operator::Lt, [right]) => left < *right,
        (Operator::Lteq, [right]) => left <= *right,
        (Operator::Gt, [right]) => left > *right,
        (Operator::Gteq, [right]) => left >= *right,
        _ => false,
    }
}

/// Reads a value to compare with: its number, and the zone that it names.
///
/// # Errors
/// A sentence, when the clock never shows it.
pub(crate) fn value(text: &str, dial: Dial) -> Result<(i64, Option<Zone>), String> {
    let unknown_zone = |name: &str| format!("the time zone `{name}` is not in the IANA database");
    let (text, mut zone) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((text, name)) => (text, Some(Zone::named(name).ok_or_else(|| unknown_zone(name))?)),
        None => (text, None),
    };
    let number = match dial {
        Dial::DayOfWeek => {
            day(text).ok_or_else(|| format!("`{text}` is not a day of the week: Monday to Sunday, or 0 to 6"))?
        }
        Dial::HourOfDay => text
            .parse()
            .ok()
            .filter(|hour| (0..=24).contains(hour))
            .ok_or_else(|| format!("`{text}` is not an hour of the day from 0 to 24"))?,
        Dial::TimeOfDay => {
            let wrong = || format!("`{text}` is not a time of day such as 08:00 or 08:00[Europe/Rome]");
            let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
            let (clock, offset) = text.split_at(at);
            if !offset.is_empty() {
                let seconds = crate::instant::offset(offset).ok_or_else(wrong)?.whole_seconds();
                if zone.replace(Zone::Fixed(seconds)).is_some() {
                    return Err(wrong());
                }
            }
            let time = if matches!(clock, "24:00" | "24:00:00") {
                None
            } else {
                Some(crate::instant::time(clock).ok_or_else(wrong)?)
            };
            time.map_or(i64::from(DAY_SECONDS), |time| {
                i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second())
            })
        }
    };
    Ok((number, zone))
}

/// A day by its English name, the first three letters of it, an IRI that ends with it, or its number from 0, Monday.
fn day(text: &str) -> Option<i64> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    if let Some(number) = text.parse::<i64>().ok().filter(|number| (0..7).contains(number)) {
        return Some(number);
    }
    let name = text.rsplit(['/', '#', ':']).next().unwrap_or(text).to_ascii_lowercase();
    let place = DAYS.iter().position(|day| *day == name || day.get(..3) == Some(name.as_str()))?;
    i64::try_from(place).ok()
}
