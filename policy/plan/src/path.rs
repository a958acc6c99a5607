//! Request paths taken apart so that every server behind us must read them as we do.

use crate::Refusal;

/// The decoded segments of a raw request path. `/` gives one empty segment, `/a/` ends with an empty one.
///
/// Anything that two servers could read differently is refused instead of being cleaned up.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    let unsafe_path = |what: &str| Refusal::new("path_not_safe", format!("the path {what}"));
    let rest = path.strip_prefix('/').ok_or_else(|| unsafe_path("does not start with a slash"))?;
    if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(unsafe_path("contains a character that must be percent-encoded"));
    }
    if path.contains(['\\', ';', '?', '#']) {
        return Err(unsafe_path("contains a backslash, semicolon, question mark or hash sign"));
    }
    let raw: Vec<&str> = rest.split('/').collect();
    let last = raw.len() - 1;
    let mut decoded = Vec::with_capacity(raw.len());
    for (place, segment) in raw.into_iter().enumerate() {
        if segment.is_empty() && place != last {
            return Err(unsafe_path("contains an empty segment"));
        }
        let text = decode(segment).ok_or_else(|| unsafe_path("contains a broken percent-encoding"))?;
        if text == "." || text == ".." {
            return Err(unsafe_path("contains a dot segment"));
        }
        if text.contains(['/', '\\', ';']) || text.chars().any(char::is_control) {
            return Err(unsafe_path("contains an encoded slash, backslash, semicolon or control character"));
        }
        if has_escape(&text) {
            return Err(unsafe_path("is percent-encoded twice"));
        }
        decoded.push(text);
    }
    Ok(decoded)
}

/// Percent-decodes strictly: two hexadecimal digits after each `%`, and UTF-8 in the end.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Whether a decoded text still holds something that a second decoding would change.
fn has_escape(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|window| matches!(window, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

/// Whether the pattern covers the decoded segments.
///
/// `*` stands for one non-empty segment; `**`, only at the end, for anything below, and for the path before it itself.
pub(crate) fn matches(pattern: &str, segments: &[String]) -> bool {
    let Some(rest) = pattern.strip_prefix('/') else { return false };
    let mut have = segments.iter();
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        if part == "**" {
            return parts.peek().is_none();
        }
        let Some(segment) = have.next() else { return false };
        let covered = if part == "*" { !segment.is_empty() } else { part == segment };
        if !covered {
            return false;
        }
    }
    have.next().is_none()
}
