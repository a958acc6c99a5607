//! The purpose that a consumer declares with a request: a member of our own, because DSP 2025-1 has none. Connectors that do not know
//! it pass it over.

use serde_json::{Map, Value};

use crate::error::MessageError;
use crate::member::Node;

/// The member's name: an IRI, since the context of DSP has no term for it.
pub const PURPOSE: &str = "https://github.com/hansa-connector/hansa/ns/purpose";

/// The most purposes of one request.
pub const MOST: usize = 32;
/// The longest purpose, in bytes.
const LONGEST: usize = 2048;

/// The declared purposes, in their order; empty when nothing is declared.
pub(crate) fn parse(node: Node<'_>) -> Result<Vec<String>, MessageError> {
    let items = match node.get(PURPOSE) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if items.len() > MOST {
        return Err(MessageError::invalid(node.owner, PURPOSE, format!("it has more than {MOST} items")));
    }
    items
        .iter()
        .map(|item| {
            let text = item.get("@id").or_else(|| item.get("@value")).unwrap_or(item);
            let text = text.as_str().ok_or_else(|| MessageError::wrong_type(node.owner, PURPOSE, "a string", item))?;
            check(text).map_err(|why| MessageError::invalid(node.owner, PURPOSE, why))?;
            Ok(text.to_owned())
        })
        .collect()
}

/// Whether a text can be declared as a purpose.
///
/// # Errors
/// What is wrong with it.
pub fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err("a purpose is a text of at most 2048 bytes without control characters");
    }
    Ok(())
}

pub(crate) fn put(map: &mut Map<String, Value>, purpose: &[String]) {
    if !purpose.is_empty() {
        map.insert(PURPOSE.to_owned(), purpose.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Vec<String>, MessageError> {
        let message = json!({PURPOSE: value});
        parse(Node::new("Message", &message).unwrap())
    }

    #[test]
    fn a_purpose_comes_alone_or_as_a_list_in_every_shape_of_a_value() {
        assert!(read(Value::Null).unwrap().is_empty());
        assert_eq!(read(json!("research")).unwrap(), ["research"]);
        let list = json!(["research", {"@id": "https://w3id.org/dpv#ResearchAndDevelopment"}, {"@value": "x"}]);
        assert_eq!(read(list).unwrap(), ["research", "https://w3id.org/dpv#ResearchAndDevelopment", "x"]);
    }

    #[test]
    fn what_is_no_purpose_is_refused() {
        for wrong in [json!(5), json!([5]), json!(""), json!({}), json!("a\nb"), json!(vec!["a"; 33])] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_is_not_written() {
        let mut map = Map::new();
        put(&mut map, &[]);
        assert!(map.is_empty());
        put(&mut map, &["a".to_owned(), "b".to_owned()]);
        assert_eq!(parse(Node::new("Message", &Value::Object(map)).unwrap()).unwrap(), ["a", "b"]);
    }
}
