//! A JSON scanner over bytes in memory. It is strict about the grammar, keeps the bytes as they are and copies nothing.

use std::borrow::Cow;

use crate::Fault;

/// Deepest nesting that is read.
const MAX_DEPTH: u32 = 120;

/// Why scanning stopped.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The bytes end within a value.
    Incomplete,
    /// The bytes are not what they must be.
    Fault(Box<Fault>),
}

pub(crate) type Scan<T> = Result<T, Halt>;

/// Ends the scan with a reason.
pub(crate) fn fault<T>(code: &'static str, message: impl Into<String>) -> Scan<T> {
    Err(Halt::Fault(Box::new(Fault { code, message: message.into() })))
}

fn not_json<T>(at: usize, what: &str) -> Scan<T> {
    fault("answer_not_json", format!("the answer is not JSON: {what}, {at} bytes into an entity"))
}

/// A string between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    /// The bytes as they stand, escapes included.
    pub(crate) raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The string's meaning.
    pub(crate) fn decoded(self) -> Scan<Cow<'a, [u8]>> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut quoted = Vec::with_capacity(self.raw.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(self.raw);
        quoted.push(b'"');
        match serde_json::from_slice::<String>(&quoted) {
            Ok(text) => Ok(Cow::Owned(text.into_bytes())),
            Err(_) => fault("answer_not_json", "the answer is not JSON: a string has a broken escape"),
        }
    }

    /// Writes the string with its quotes.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.raw);
        out.push(b'"');
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were taken.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is no white space; it stays.
    #[inline]
    pub(crate) fn peek(&mut self) -> Scan<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return Ok(byte),
                None => return Err(Halt::Incomplete),
            }
        }
    }

    /// Takes the next byte that is no white space.
    #[inline]
    pub(crate) fn next(&mut self) -> Scan<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn expect(&mut self, wanted: u8) -> Scan<()> {
        if self.next()? == wanted {
            return Ok(());
        }
        not_json(self.at, &format!("`{}` is missing", char::from(wanted)))
    }

    /// Takes a string.
    #[inline]
    pub(crate) fn string(&mut self) -> Scan<Text<'a>> {
        self.expect(b'"')?;
        let from = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some((skipped, byte)) = special(rest) else { return Err(Halt::Incomplete) };
            self.at += skipped + 1;
            match byte {
                b'"' => {
                    let raw = self.bytes.get(from..self.at - 1).unwrap_or_default();
                    return Ok(Text { raw, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return not_json(self.at, "a string holds a control character"),
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        let Some(byte) = self.bytes.get(self.at) else { return Err(Halt::Incomplete) };
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let Some(digits) = self.bytes.get(self.at..self.at + 4) else { return Err(Halt::Incomplete) };
                self.at += 4;
                if digits.iter().all(u8::is_ascii_hexdigit) {
                    return Ok(());
                }
                not_json(self.at, "a string has a broken escape")
            }
            _ => not_json(self.at, "a string has a broken escape"),
        }
    }

    /// Takes a value of any kind and gives its bytes.
    pub(crate) fn value(&mut self) -> Scan<&'a [u8]> {
        self.peek()?;
        let from = self.at;
        // One bit for each open bracket: whether it is that of an object.
        let (mut objects, mut depth) = (0_u128, 0_u32);
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let object = open == b'{';
                    if self.peek()? == if object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        depth += 1;
                        if depth > MAX_DEPTH {
                            return fault("answer_too_deep", "the answer is nested too deeply");
                        }
                        objects = objects << 1 | u128::from(object);
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            loop {
                if depth == 0 {
                    return Ok(self.bytes.get(from..self.at).unwrap_or_default());
                }
                let object = objects & 1 == 1;
                match self.next()? {
                    b',' => {
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return not_json(self.at, "a comma or a closing bracket is missing"),
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    fn key(&mut self) -> Scan<()> {
        self.string()?;
        self.expect(b':')
    }

    /// Whether no object in the value names a key twice. What cannot be read does not.
    pub(crate) fn has_single_keys(mut self) -> bool {
        let mut single = true;
        self.keys(&mut single, 0).is_ok() && single
    }

    fn keys(&mut self, single: &mut bool, depth: u32) -> Scan<()> {
        if depth > MAX_DEPTH {
            return fault("answer_too_deep", "the answer is nested too deeply");
        }
        match self.peek()? {
            b'{' => {
                let mut seen: Vec<Cow<'a, [u8]>> = Vec::new();
                self.object(|scanner, key| {
                    let key = key.decoded()?;
                    *single &= !seen.contains(&key);
                    seen.push(key);
                    scanner.keys(single, depth + 1)
                })
            }
            b'[' => self.array(|scanner| scanner.keys(single, depth + 1)),
            _ => {
                // A number at the end of the bytes is whole, and `value` waits for what ends it.
                let rest = self.bytes.get(self.at..).unwrap_or_default();
                if rest.iter().all(|byte| !matches!(byte, b'"' | b',' | b'}' | b']')) {
                    self.at = self.bytes.len();
                    return Ok(());
                }
                self.value().map(|_| ())
            }
        }
    }

    /// Takes a number or a literal.
    fn scalar(&mut self) -> Scan<()> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'+' | b'.' | b'E'));
        let Some(end) = end else { return Err(Halt::Incomplete) };
        let word = rest.get(..end).unwrap_or_default();
        self.at += end;
        if matches!(word, b"true" | b"false" | b"null") || is_number(word) {
            return Ok(());
        }
        not_json(self.at, "a value is neither string, number, literal, object nor array")
    }

    /// Takes an object, member by member. `each` must take the member's value.
    #[inline]
    pub(crate) fn object(&mut self, mut each: impl FnMut(&mut Self, Text<'a>) -> Scan<()>) -> Scan<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            each(self, key)?;
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return not_json(self.at, "a comma or a closing brace is missing"),
            }
        }
    }

    /// Takes an array, item by item. `each` must take the item.
    pub(crate) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Scan<()>) -> Scan<()> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self)?;
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                _ => return not_json(self.at, "a comma or a closing bracket is missing"),
            }
        }
    }
}

/// RFC 8259, section 6.
pub(crate) fn is_number(word: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (base, exponent) = match word.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (word.get(..at).unwrap_or_default(), word.get(at + 1..)),
        None => (word, None),
    };
    let (whole, fraction) = match base.iter().position(|byte| *byte == b'.') {
        Some(at) => (base.get(..at).unwrap_or_default(), base.get(at + 1..)),
        None => (base, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text));
    digits(whole)
        && (whole.len() == 1 || whole.first() != Some(&b'0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// The first quote, backslash or control character, and how many bytes stand before it.
#[inline]
fn special(bytes: &[u8]) -> Option<(usize, u8)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (mut rest, mut skipped) = (bytes, 0);
    while let Some((eight, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        // Borrows reach upwards only, so the lowest mark is right.
        let marks =
            zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        if marks != 0 {
            let place = (marks.trailing_zeros() / 8) as usize;
            return eight.get(place).map(|byte| (skipped + place, *byte));
        }
        rest = tail;
        skipped += 8;
    }
    let place = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    rest.get(place).map(|byte| (skipped + place, *byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specials_are_found_wherever_they_stand() {
        for length in 0..40 {
            for place in 0..length {
                for byte in [b'"', b'\\', 0, 0x1f, b'\n'] {
                    let mut text = vec![b'a'; length];
                    text[place] = byte;
                    assert_eq!(special(&text), Some((place, byte)));
                    text.fill(0xc3);
                    text[place] = byte;
                    assert_eq!(special(&text), Some((place, byte)));
                }
            }
            assert_eq!(special(&vec![b'~'; length]), None);
        }
        assert_eq!(special(b"\x7f\x80\xff !#[]\"x"), Some((8, b'"')));
    }

    #[test]
    fn a_value_is_taken_when_serde_json_takes_it() {
        let texts = [
            "{}",
            "[]",
            "[1,2]",
            "{\"a\":[{}]}",
            "\"\"",
            "\"\\u00e9\"",
            "[-0.5e+3,1E2,0]",
            "{\"a\":1,}",
            "[1,]",
            "[,]",
            "{\"a\"}",
            "{a:1}",
            "[01]",
            "[1.]",
            "[.5]",
            "[1e]",
            "[+1]",
            "[tru]",
            "[nulll]",
            "{\"a\":1]",
            "[1}",
            "[\"\n\"]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[--1]",
            "[NaN]",
            "[true false]",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            " [ 1 , 2 ] ",
        ];
        for text in texts {
            let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok();
            let padded = format!("{text} ");
            let ours = Scanner::new(padded.as_bytes()).value().is_ok();
            assert_eq!(ours, theirs, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = "[".repeat(1000);
        assert!(matches!(Scanner::new(text.as_bytes()).value(), Err(Halt::Fault(_))));
    }
}
