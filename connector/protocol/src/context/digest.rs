//! A digest by which two messages with equal content are recognised.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The SHA-256 of a message's content: canonical JSON (members sorted by name, no white space) without the `@id` and
/// the `@context` of the message itself.
///
/// Meant for compacted messages: an initial request that is repeated with the same pid is answered with the existing
/// process when its content is equal, and refused when it differs. Senders may give a repeat a new message id and
/// may order members differently, therefore neither counts.
///
/// DSP 2025-1, "Transfer Process Protocol" (idempotency of the Transfer Request Message).
#[must_use]
pub fn content_digest(message: &Value) -> [u8; 32] {
    let mut text = String::new();
    write(message, true, &mut text);
    Sha256::digest(text.as_bytes()).into()
}

fn write(value: &Value, is_root: bool, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> =
                map.iter().filter(|(name, _)| !is_root || (*name != "@id" && *name != "@context")).collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, false, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, false, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn member_order_message_id_and_context_do_not_count() {
        let one = json!({"@context": ["a"], "@id": "1", "x": {"@id": "o", "b": [1, 2]}, "y": "q\"uote"});
        let two = json!({"y": "q\"uote", "x": {"b": [1, 2], "@id": "o"}, "@id": "2"});
        assert_eq!(content_digest(&one), content_digest(&two));
    }

    #[test]
    fn everything_else_counts() {
        let base = content_digest(&json!({"x": {"@id": "o"}, "y": ["1"]}));
        for other in [
            json!({"x": {"@id": "p"}, "y": ["1"]}),
            json!({"x": {"@id": "o"}, "y": [1]}),
            json!({"x": {"@id": "o"}, "y": ["1", "1"]}),
            json!({"x": {"@id": "o"}}),
            json!({"x": {"@id": "o", "y": ["1"]}}),
        ] {
            assert_ne!(base, content_digest(&other), "{other}");
        }
    }
}
