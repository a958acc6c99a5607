//! Values on their way: as they are, coarser, or as pseudonyms.

use crate::rules::Filter;
use crate::scan::{Scan, Scanner, fault, is_number};

/// Deepest nesting of a value that is changed.
const MAX_DEPTH: u32 = 64;

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It stays.
    Same,
    /// Coordinates keep so many decimals.
    Coarse(u8),
    /// The same for what must be a place: a text cannot be made coarse and is not shown.
    Place(u8),
    /// Each text, number and truth value becomes a pseudonym.
    Pseudonym,
    /// Each text is an entity id and becomes its pseudonym.
    Id,
}

impl Filter {
    /// Writes a value. `false` when it cannot be shown; what was written is to be removed then.
    pub(crate) fn value(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, how: How) -> Scan<bool> {
        self.nested(scanner, out, how, 0)
    }

    fn nested(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, how: How, depth: u32) -> Scan<bool> {
        if how == How::Same {
            out.extend_from_slice(scanner.value()?);
            return Ok(true);
        }
        if depth > MAX_DEPTH {
            return fault("answer_too_deep", "the answer is nested too deeply");
        }
        match scanner.peek()? {
            b'{' => self.object(scanner, out, how, depth),
            b'[' => {
                let mut shown = true;
                out.push(b'[');
                let mut first = true;
                scanner.array(|scanner| {
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    shown &= self.nested(scanner, out, how, depth + 1)?;
                    Ok(())
                })?;
                out.push(b']');
                Ok(shown)
            }
            b'"' => {
                let text = scanner.string()?;
                match how {
                    How::Pseudonym => put_text(out, &self.pseudonym(&text.decoded()?)),
                    How::Id => put_text(out, &self.pseudonymous_id(&text.decoded()?)),
                    How::Place(_) => return Ok(false),
                    How::Same | How::Coarse(_) => text.write(out),
                }
                Ok(true)
            }
            _ => {
                let raw = scanner.value()?;
                match how {
                    How::Pseudonym => put_text(out, &self.pseudonym(raw)),
                    How::Id => return Ok(false),
                    How::Same | How::Coarse(_) | How::Place(_) => out.extend_from_slice(raw),
                }
                Ok(true)
            }
        }
    }

    fn object(&self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>, how: How, depth: u32) -> Scan<bool> {
        let mut shown = true;
        out.push(b'{');
        let mut first = true;
        scanner.object(|scanner, key| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            key.write(out);
            out.push(b':');
            let name = key.decoded()?;
            match how {
                How::Coarse(decimals) | How::Place(decimals) if matches!(&*name, b"coordinates" | b"bbox") => {
                    shown &= coarse(scanner, out, decimals, 0)?;
                }
                How::Coarse(decimals) | How::Place(decimals) => {
                    shown &= self.nested(scanner, out, How::Coarse(decimals), depth + 1)?;
                }
                // A list relationship: `{"object": "urn:…"}`.
                How::Id if &*name == b"object" => shown &= self.nested(scanner, out, how, depth + 1)?,
                // Keys may be data, and nobody said what they mean.
                _ => {
                    scanner.value()?;
                    shown = false;
                }
            }
            Ok(())
        })?;
        out.push(b'}');
        Ok(shown)
    }
}

/// Writes coordinates with fewer decimals; `false` when they are anything but numbers within arrays.
fn coarse(scanner: &mut Scanner<'_>, out: &mut Vec<u8>, decimals: u8, depth: u32) -> Scan<bool> {
    if scanner.peek()? == b'[' && depth < 8 {
        let mut shown = true;
        out.push(b'[');
        let mut first = true;
        scanner.array(|scanner| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            shown &= coarse(scanner, out, decimals, depth + 1)?;
            Ok(())
        })?;
        out.push(b']');
        return Ok(shown);
    }
    let raw = scanner.value()?;
    let text = if raw == b"null" { Some("null".to_owned()) } else { rounded(raw, decimals) };
    out.extend(text.iter().flat_map(|text| text.bytes()));
    Ok(text.is_some())
}

/// A number with at most so many decimals; one that has no more stays as it is written. `None` for what is no coordinate.
fn rounded(raw: &[u8], decimals: u8) -> Option<String> {
    let text = std::str::from_utf8(raw).ok().filter(|_| is_number(raw))?;
    let plain = !text.contains(['e', 'E']);
    let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if plain && fraction <= usize::from(decimals) {
        return Some(text.to_owned());
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite() && number.abs() < 1e9)?;
    let mut text = format!("{number:.*}", usize::from(decimals));
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    if text == "-0" {
        text = "0".to_owned();
    }
    Some(text)
}

/// Writes a text of plain characters.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    match serde_json::to_writer(&mut *out, text) {
        Ok(()) => {}
        // Memory takes every write.
        Err(_) => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_decimals() {
        for (text, decimals, expected) in [
            ("16.8719", 2, "16.87"),
            ("16.8", 2, "16.8"),
            ("16.999", 2, "17"),
            ("-0.001", 2, "0"),
            ("-41.12555", 0, "-41"),
            ("168719e-4", 2, "16.87"),
            ("16.870", 2, "16.87"),
            ("7", 0, "7"),
        ] {
            assert_eq!(rounded(text.as_bytes(), decimals).unwrap(), expected, "{text}");
        }
        assert_eq!((rounded(b"1e300", 2), rounded(b"true", 2)), (None, None));
    }
}
