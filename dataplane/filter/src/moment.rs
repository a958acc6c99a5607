//! Which moments of an attribute are shown (`time` of a selection), and which instance of a period stands for it.

use std::collections::HashMap;

use policy_plan::{Stretch, Window, instant_ms, instant_text};

use crate::scan::{Scan, Scanner};

/// What tells an instance's series from others, and its moment where it is known.
pub(crate) type Dated = (Vec<u8>, Option<i64>);

/// The moments that one answer may show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments<'f> {
    window: &'f Window,
    stretch: Stretch,
}

impl<'f> Moments<'f> {
    pub(crate) fn new(window: &'f Window, stretch: Stretch) -> Self {
        Self { window, stretch }
    }

    /// The moment that a text names, when it is shown.
    pub(crate) fn shown(&self, text: &[u8]) -> Option<i64> {
        moment(text).filter(|ms| self.stretch.holds(*ms))
    }

    /// Whether a moment of an entity is shown; both ends of an interval (`a/b`) must be.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let offset = self.window.assumed_offset.as_deref();
        text.split('/').all(|part| {
            self.shown(part.as_bytes()).is_some()
                || offset.is_some_and(|offset| self.shown(format!("{part}{offset}").as_bytes()).is_some())
        })
    }

    /// Whether each value must have a moment of its own, since the entity has none.
    pub(crate) fn each(&self) -> bool {
        self.window.attribute.is_none()
    }

    /// Whether each period shows one instance only.
    pub(crate) fn is_coarse(&self) -> bool {
        self.window.resolution_seconds.is_some()
    }

    /// Writes a moment between quotes, as exactly as it is shown.
    pub(crate) fn write(&self, ms: i64, raw: &[u8], out: &mut Vec<u8>) {
        if self.is_coarse() {
            out.push(b'"');
            out.extend_from_slice(instant_text(self.window.floor(ms)).as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(raw);
        }
    }

    /// Of instances with what tells series apart and with their moments, those that are shown, by their places.
    pub(crate) fn chosen(&self, instances: &[Dated]) -> Vec<bool> {
        let mut last: HashMap<(&[u8], i64), (i64, usize)> = HashMap::new();
        let mut chosen = vec![false; instances.len()];
        for (place, (series, ms)) in instances.iter().enumerate() {
            let Some(ms) = ms.filter(|ms| self.stretch.holds(*ms)) else { continue };
            if !self.is_coarse() {
                if let Some(shown) = chosen.get_mut(place) {
                    *shown = true;
                }
                continue;
            }
            let period = last.entry((series, self.window.floor(ms))).or_insert((ms, place));
            if ms >= period.0 {
                *period = (ms, place);
            }
        }
        for (_, place) in last.into_values() {
            if let Some(shown) = chosen.get_mut(place) {
                *shown = true;
            }
        }
        chosen
    }
}

/// The moment that a text names. Brokers write them in UTC, which is read here without detours.
pub(crate) fn moment(text: &[u8]) -> Option<i64> {
    quick(text).or_else(|| instant_ms(std::str::from_utf8(text).ok()?))
}

/// `2026-11-21T03:00:00Z`, with up to nine digits of a fraction.
fn quick(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let digits = |from: usize, count: usize| {
        head.get(from..from + count)?
            .iter()
            .try_fold(0_i32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i32::from(*byte - b'0')))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(place, mark)| head.get(*place) != Some(mark)) {
        return None;
    }
    let fraction = match rest.split_last()? {
        (b'Z', []) => 0,
        (b'Z', [b'.', digits @ ..]) if !digits.is_empty() && digits.len() <= 9 => {
            if !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(3);
            padded.fold(0_i64, |sum, byte| sum * 10 + i64::from(byte - b'0'))
        }
        _ => return None,
    };
    let month = time::Month::try_from(u8::try_from(digits(5, 2)?).ok()?).ok()?;
    let date = time::Date::from_calendar_date(digits(0, 4)?, month, u8::try_from(digits(8, 2)?).ok()?).ok()?;
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = i64::from(date.to_julian_day()) - 2_440_588;
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * 1000 + fraction)
}

/// The series and the moment of each instance in an array, without taking it.
pub(crate) fn instances(mut probe: Scanner<'_>) -> Scan<Vec<Dated>> {
    let mut found = Vec::new();
    probe.array(|probe| {
        if probe.peek()? != b'{' {
            found.push((Vec::new(), None));
            return probe.value().map(|_| ());
        }
        let (mut series, mut ms, mut times) = (Vec::new(), None, 0_usize);
        probe.object(|probe, key| {
            let name = key.decoded()?;
            match &*name {
                b"observedAt" if probe.peek()? == b'"' => {
                    times += 1;
                    ms = moment(&probe.string()?.decoded()?);
                }
                b"datasetId" if probe.peek()? == b'"' => series = probe.string()?.decoded()?.into_owned(),
                _ => {
                    probe.value()?;
                }
            }
            Ok(())
        })?;
        // Said twice: either may be meant.
        found.push((series, ms.filter(|_| times == 1)));
        Ok(())
    })?;
    Ok(found)
}

/// The moments of a list of pairs of a value and its time, without taking it; `None` when it is anything else.
pub(crate) fn pairs(mut probe: Scanner<'_>) -> Scan<Option<Vec<Dated>>> {
    let mut found = Vec::new();
    let mut right = probe.peek()? == b'[';
    if !right {
        return Ok(None);
    }
    probe.array(|probe| {
        if probe.peek()? != b'[' {
            right = false;
            return probe.value().map(|_| ());
        }
        let (mut place, mut ms) = (0_usize, None);
        probe.array(|probe| {
            place += 1;
            if place == 2 && probe.peek()? == b'"' {
                ms = moment(&probe.string()?.decoded()?);
                return Ok(());
            }
            right &= place == 1;
            probe.value().map(|_| ())
        })?;
        right &= place == 2;
        found.push((Vec::new(), ms));
        Ok(())
    })?;
    Ok(right.then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_the_library_reads_them() {
        for text in [
            "2026-11-21T03:00:00Z",
            "2026-11-21T03:00:00.5Z",
            "2026-11-21T03:00:00.123456789Z",
            "1969-12-31T23:59:59.999Z",
            "2024-02-29T23:59:59Z",
            "2026-11-21T03:00:00+01:00",
            "2026-02-29T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T03:60:00Z",
            "2026-11-21T03:00:00",
            "2026-11-21T03:00:00.Z",
            "2026-11-21T03:00:00.xZ",
            "2026-11-21",
            "t",
            "",
        ] {
            assert_eq!(moment(text.as_bytes()), instant_ms(text), "{text}");
            assert!(quick(text.as_bytes()).is_none_or(|ms| Some(ms) == instant_ms(text)), "{text}");
        }
        assert!(quick(b"2026-11-21T03:00:00.123Z").is_some());
    }
}
