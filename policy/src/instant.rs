//! Dates and times as ODRL policies write them (XML Schema Part 2, 3.2.7 and 3.2.9).

use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

/// A point in time, or a whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Milliseconds since the Unix epoch.
    Instant(i64),
    /// First millisecond of the day and of the next day.
    Day { start: i64, end: i64 },
}

const DAY_MS: i64 = 86_400_000;

/// Reads `xsd:dateTime` or `xsd:date`. Without a zone UTC is meant; seconds may be missing.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let date_text = text.get(..10)?;
    let rest = text.get(10..)?;
    let date = date(date_text)?;
    if let Some(time_text) = rest.strip_prefix('T') {
        let zone_at = time_text.find(['Z', '+', '-']).unwrap_or(time_text.len());
        let (clock, zone) = time_text.split_at(zone_at);
        return Some(Moment::Instant(epoch_ms(date, time(clock)?, offset(zone)?)));
    }
    let start = epoch_ms(date, Time::MIDNIGHT, offset(rest)?);
    Some(Moment::Day { start, end: start + DAY_MS })
}

fn epoch_ms(date: Date, time: Time, offset: UtcOffset) -> i64 {
    let instant = PrimitiveDateTime::new(date, time).assume_offset(offset);
    instant.unix_timestamp() * 1_000 + i64::from(instant.millisecond())
}

fn digits<T: std::str::FromStr>(text: &str, length: usize) -> Option<T> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let month = Month::try_from(digits::<u8>(month, 2)?).ok()?;
    Date::from_calendar_date(digits(year, 4)?, month, digits(day, 2)?).ok()
}

pub(crate) fn time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (second, fraction) = parts.next().map_or(("00", None), |seconds| {
        seconds.split_once('.').map_or((seconds, None), |(whole, fraction)| (whole, Some(fraction)))
    });
    if parts.next().is_some() {
        return None;
    }
    let milli = match fraction {
        None => 0,
        Some(fraction) if !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{fraction:0<3}").get(..3)?.parse().ok()?
        }
        Some(_) => return None,
    };
    Time::from_hms_milli(hour, minute, digits(second, 2)?, milli).ok()
}

pub(crate) fn offset(text: &str) -> Option<UtcOffset> {
    let (sign, rest) = match text {
        "" | "Z" => return Some(UtcOffset::UTC),
        _ => text.strip_prefix('+').map(|rest| (1, rest)).or_else(|| text.strip_prefix('-').map(|rest| (-1, rest)))?,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i8, i8) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 14 && minutes < 60).then(|| UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()).flatten()
}

/// `xsd:dayTimeDuration` in milliseconds, with weeks of ISO 8601 too. Months and years have no fixed length.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let rest = rest.strip_prefix('P')?;
    let (days, clock) = rest.split_once('T').unwrap_or((rest, ""));
    if rest.is_empty() || rest.ends_with('T') {
        return None;
    }
    let units: [(&str, &[(char, i64)]); 2] =
        [(days, &[('W', 7 * DAY_MS), ('D', DAY_MS)]), (clock, &[('H', 3_600_000), ('M', 60_000), ('S', 1_000)])];
    let mut total = 0_i64;
    for (mut part, units) in units {
        for (letter, unit_ms) in units {
            if let Some((number, rest)) = part.split_once(*letter) {
                let number = (number.len() <= 9).then(|| digits::<i64>(number, number.len())).flatten()?;
                total = total.checked_add(number.checked_mul(*unit_ms)?)?;
                part = rest;
            }
        }
        if !part.is_empty() {
            return None;
        }
    }
    Some(sign * total)
}

/// EDC's relative form of `inForceDate`: `contractAgreement+30d`; units s, m, h, d. Milliseconds after the agreement.
pub(crate) fn after_agreement(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("contractAgreement")?;
    let (sign, rest) =
        rest.strip_prefix('+').map(|rest| (1, rest)).or_else(|| rest.strip_prefix('-').map(|rest| (-1, rest)))?;
    let split = rest.len().checked_sub(1)?;
    let (number, unit) = (rest.get(..split)?, rest.get(split..)?);
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        _ => return None,
    };
    (number.len() <= 9).then(|| digits::<i64>(number, number.len())).flatten().map(|number| sign * number * unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_spellings() {
        let noon = Some(Moment::Instant(1_704_024_000_000));
        for text in [
            "2023-12-31T12:00:00Z",
            "2023-12-31T12:00Z",
            "2023-12-31T12:00:00",
            "2023-12-31T12:00",
            "2023-12-31T12:00:00.000Z",
            "2023-12-31T12:00:00.0009Z",
            "2023-12-31T13:00:00+01:00",
            "2023-12-31T02:00:00-10:00",
        ] {
            assert_eq!(moment(text), noon, "{text}");
        }
        assert_eq!(moment("2023-12-31T12:00:00.25Z"), Some(Moment::Instant(1_704_024_000_250)));
        assert_eq!(moment("1969-12-31T23:59:59.5Z"), Some(Moment::Instant(-500)));
        let day = |start| Some(Moment::Day { start, end: start + DAY_MS });
        assert_eq!(moment("2023-12-31"), day(1_703_980_800_000));
        assert_eq!(moment("2023-12-31Z"), day(1_703_980_800_000));
        assert_eq!(moment("2023-12-31+01:00"), day(1_703_977_200_000));
    }

    #[test]
    fn refused_spellings() {
        for text in [
            "",
            "2023",
            "2023-13-01",
            "2023-02-29",
            "2023-12-31T",
            "2023-12-31T24:00:00Z",
            "2023-12-31T12Z",
            "2023-12-31T12:00:00.Z",
            "2023-12-31T12:00:60Z",
            "2023-12-31T12:00:00+1:00",
            "2023-12-31T12:00:00+15:00",
            "2023-12-31T12:00:00ZZ",
            "2023-12-31 12:00:00Z",
            "2023-12-31t12:00:00Z",
            "2023-1-1",
            "20231231",
            "tomorrow",
            "2023-12-3\u{661}",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("P1D", DAY_MS),
            ("P2W", 14 * DAY_MS),
            ("PT1H30M", 5_400_000),
            ("P1DT1S", DAY_MS + 1_000),
            ("-PT5M", -300_000),
            ("PT0S", 0),
        ] {
            assert_eq!(duration(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "1D",
            "P1M",
            "P1Y",
            "P1DT",
            "PT1D",
            "PT1M1H",
            "PT1.5S",
            "P-1D",
            "P9999999999D",
            "PT1Mé",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn relative_to_the_agreement() {
        assert_eq!(after_agreement("contractAgreement+30d"), Some(30 * DAY_MS));
        assert_eq!(after_agreement("contractAgreement-5m"), Some(-300_000));
        assert_eq!(after_agreement("contractAgreement+0s"), Some(0));
        for text in [
            "contractAgreement",
            "contractAgreement+",
            "contractAgreement+d",
            "contractAgreement+5",
            "+5d",
            "contractAgreement+5w",
            "contractAgreement+9999999999d",
            "contractAgreement++5d",
            "contractAgreement+5é",
        ] {
            assert_eq!(after_agreement(text), None, "{text}");
        }
    }
}
