//! Byte ranges (RFC 9110, section 14).

/// What part of a representation is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range, one that cannot be read, or several, which we do not serve.
    Whole,
    /// From the first byte, so many bytes; at least one.
    Part { first: u64, length: u64 },
    /// No byte of the range exists.
    Nothing,
}

/// Reads a `Range` value for a representation of `size` bytes.
pub(crate) fn wanted(value: &str, size: u64) -> Wanted {
    let Some((unit, set)) = value.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Some(None), Some(Some(suffix))) => {
            let length = suffix.min(size);
            if length == 0 { Wanted::Nothing } else { Wanted::Part { first: size - length, length } }
        }
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return Wanted::Whole;
            }
            if first >= size {
                return Wanted::Nothing;
            }
            let last = last.map_or(size - 1, |last| last.min(size - 1));
            Wanted::Part { first, length: last - first + 1 }
        }
        _ => Wanted::Whole,
    }
}

/// `Some(None)` for an empty text, `None` for what is no number. A number beyond all files is as good as the largest.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_9110_14_1_2_table() {
        let part = |first, length| Wanted::Part { first, length };
        for (value, size, expected) in [
            ("bytes=0-0", 10, part(0, 1)),
            ("bytes=0-9", 10, part(0, 10)),
            ("bytes=0-99", 10, part(0, 10)),
            ("bytes=5-", 10, part(5, 5)),
            ("bytes=-3", 10, part(7, 3)),
            ("bytes=-99", 10, part(0, 10)),
            ("BYTES= 1-2", 10, part(1, 2)),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=-5", 0, Wanted::Nothing),
            ("bytes=99999999999999999999999-", 10, Wanted::Nothing),
            ("bytes=0-99999999999999999999999", 10, part(0, 10)),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=0-1,4-5", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("bytes=--1", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=+1-2", 10, Wanted::Whole),
            ("lines=0-1", 10, Wanted::Whole),
            ("bytes", 10, Wanted::Whole),
        ] {
            assert_eq!(wanted(value, size), expected, "{value} of {size}");
        }
    }
}
