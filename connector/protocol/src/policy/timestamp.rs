//! `xsd:dateTime` to milliseconds.

use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

/// The moment of an `xsd:dateTime` in milliseconds since 1970. Seconds may be missing, as in examples of the
/// specification, and so may the zone, which counts as UTC.
///
/// None when the text is no such date.
///
/// DSP 2025-1, "Contract Agreement Message": `timestamp`.
#[must_use]
pub fn date_time_ms(text: &str) -> Option<i64> {
    if !text.is_ascii() || text.len() > 64 {
        return None;
    }
    let (date, rest) = text.split_once('T')?;
    let date = date_of(date)?;
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let (day_end, clock) = clock_of(clock)?;
    let offset = offset_of(zone)?;
    let moment = PrimitiveDateTime::new(if day_end { date.next_day()? } else { date }, clock).assume_offset(offset);
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

fn date_of(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 {
        return None;
    }
    Date::from_calendar_date(digits(year)?.into(), Month::try_from(two(month)?).ok()?, two(day)?).ok()
}

/// The time of day; `24:00:00` is the end of the day.
fn clock_of(text: &str) -> Option<(bool, Time)> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.splitn(3, ':');
    let (hour, minute) = (two(parts.next()?)?, two(parts.next()?)?);
    let second = match parts.next() {
        Some(second) => two(second)?,
        None if fraction.is_none() => 0,
        None => return None,
    };
    let nanos = match fraction {
        None => 0,
        Some(fraction) if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) => return None,
        Some(fraction) => fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0_u32, |sum, byte| sum.saturating_mul(10).saturating_add(u32::from(byte.saturating_sub(b'0')))),
    };
    if (hour, minute, second, nanos) == (24, 0, 0, 0) {
        return Some((true, Time::MIDNIGHT));
    }
    Some((false, Time::from_hms_nano(hour, minute, second, nanos).ok()?))
}

fn offset_of(text: &str) -> Option<UtcOffset> {
    let (sign, rest) = match text.split_at_checked(1) {
        None => return Some(UtcOffset::UTC),
        Some(("Z", "")) => return Some(UtcOffset::UTC),
        Some(("+", rest)) => (1_i8, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hour, minute) = rest.split_once(':')?;
    let (hour, minute) = (i8::try_from(two(hour)?).ok()?, i8::try_from(two(minute)?).ok()?);
    if hour > 14 || minute > 59 || (hour == 14 && minute > 0) {
        return None;
    }
    UtcOffset::from_hms(sign * hour, sign * minute, 0).ok()
}

fn two(text: &str) -> Option<u8> {
    if text.len() != 2 { None } else { u8::try_from(digits(text)?).ok() }
}

fn digits(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::date_time_ms;

    #[test]
    fn moments_are_exact() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00", 0),
            ("1970-01-01T00:00Z", 0),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T00:00:00.1234567Z", 123),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1969-12-31T24:00:00Z", 0),
            ("2023-01-01T01:00:00.000+02:00", 1_672_527_600_000),
            ("1969-12-31T19:00:00-05:00", 0),
        ] {
            assert_eq!(date_time_ms(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_moments() {
        for text in [
            "",
            "T",
            "2023-01-01",
            "2023-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2023-01-01T25:00:00Z",
            "2023-01-01T00:60:00Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00+15:00",
            "2023-1-01T00:00:00Z",
            "2023-01-01T00:00:00z",
            "2023-01-01T00:00:00ZZ",
            "2023-01-01T00:00:00 Z",
            "2023-01-01T24:00:01Z",
            "+023-01-01T00:00:00Z",
            "2023-01-01T00:00:00.1.2Z",
            "2023-01-01T٠٠:00:00Z",
            "9999-12-31T24:00:00Z",
        ] {
            assert_eq!(date_time_ms(text), None, "{text}");
        }
    }
}
