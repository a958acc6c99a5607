//! Bytes to JSON under limits.

use serde_json::Value;

use crate::error::MessageError;

/// The depth limit for messages: arrays and objects inside each other.
///
/// serde_json itself stops at 128, so a larger limit has no effect.
pub const MAX_DEPTH: usize = 64;

/// Parses a body that came from outside.
///
/// `max_bytes` limits the length of the text, `max_depth` how deep arrays and objects may be nested (a scalar has
/// depth 0, `[]` has depth 1).
///
/// # Errors
/// `too_big`, `not_utf8`, `too_deep`, `not_json`, in this order.
pub fn parse_json(bytes: &[u8], max_bytes: usize, max_depth: usize) -> Result<Value, MessageError> {
    if bytes.len() > max_bytes {
        let message = format!("the body has {} bytes, more than the limit of {max_bytes}", bytes.len());
        return Err(MessageError::new("too_big", message));
    }
    let text = std::str::from_utf8(bytes).map_err(|why| {
        MessageError::new("not_utf8", format!("the body is not UTF-8 from byte {} on", why.valid_up_to()))
    })?;
    let depth = depth(bytes);
    if depth > max_depth {
        let message = format!("the body nests arrays and objects {depth} deep, more than the limit of {max_depth}");
        return Err(MessageError::new("too_deep", message));
    }
    serde_json::from_str(text).map_err(|why| {
        let message = format!("the body is not JSON: {}", crate::member::shorten(&why.to_string()));
        MessageError::new("not_json", message)
    })
}

/// The deepest nesting of brackets outside strings. Exact for valid JSON, an upper bound for anything else.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8], max_bytes: usize, max_depth: usize) -> &'static str {
        parse_json(bytes, max_bytes, max_depth).unwrap_err().code
    }

    #[test]
    fn limits_are_exact() {
        assert!(parse_json(b"[[1]]", 5, 2).is_ok());
        assert_eq!(code(b"[[1]]", 4, 2), "too_big");
        assert_eq!(code(b"[[1]]", 5, 1), "too_deep");
        assert!(parse_json(br#"["[[[[\"[["]"#, 100, 1).is_ok(), "brackets in strings do not count");
        assert!(parse_json(b"1", 1, 0).is_ok());
    }

    #[test]
    fn broken_texts_are_refused() {
        assert_eq!(code(b"\xff", 10, 10), "not_utf8");
        assert_eq!(code(b"", 10, 10), "not_json");
        assert_eq!(code(b"{\"a\":1}x", 10, 10), "not_json");
        let deep = "[".repeat(1_000_000);
        assert_eq!(code(deep.as_bytes(), 2_000_000, MAX_DEPTH), "too_deep");
        assert_eq!(code(deep.as_bytes(), 2_000_000, usize::MAX), "not_json", "serde_json has a limit of its own");
    }
}
