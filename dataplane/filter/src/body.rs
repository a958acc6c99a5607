//! Bodies of requests: JSON that can be read in one way only, and the texts in it.

use std::collections::HashSet;
use std::fmt;

use policy_plan::Refusal;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::request::{refusal, shown};

/// Deepest nesting; a multi-polygon in a query takes six levels.
const MAX_DEPTH: usize = 16;
/// Most names in a list.
pub(crate) const MAX_ITEMS: usize = 100;

/// The object that the bytes are, see [`value`].
///
/// # Errors
/// `body_not_readable`.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match value(bytes, MAX_DEPTH)? {
        Value::Object(object) => Ok(object),
        _ => Err(not_readable("the body is no JSON object")),
    }
}

/// The value that the bytes are, nested at most so deeply, where no member of any object comes twice: readers differ in which of
/// the two they take.
///
/// # Errors
/// `body_not_readable`.
pub(crate) fn value(bytes: &[u8], depth: usize) -> Result<Value, Refusal> {
    let once = |bytes| -> serde_json::Result<()> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        reader.deserialize_any(Once(depth))?;
        reader.end()
    };
    let read = once(bytes).and_then(|()| serde_json::from_slice(bytes));
    read.map_err(|error| not_readable(&format!("the body is no JSON that is read in one way only: {error}")))
}

/// Visits a value whose objects have no member twice and that is nested at most so deeply.
#[derive(Clone, Copy)]
struct Once(usize);

impl Once {
    fn below<E: Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("it is nested too deeply"))
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Once {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while items.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    // Numbers, too, come as an object here, since they are kept as they are written.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if name.starts_with("$serde_json::") {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            members.next_value_seed(self.below()?)?;
            if seen.contains(&name) {
                return Err(A::Error::custom(format!("`{}` comes twice", shown(&name))));
            }
            seen.insert(name);
        }
        Ok(())
    }
}

/// Refuses members that are not understood.
pub(crate) fn known(place: &str, members: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            Err(refusal("query_not_admitted", &format!("the member `{place}{}` is not admitted", shown(name))))
        }
        None => Ok(()),
    }
}

pub(crate) fn member<'a>(
    name: &str,
    members: &'a Map<String, Value>,
) -> Result<Option<&'a Map<String, Value>>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(not_readable(&format!("`{name}` must be an object"))),
    }
}

pub(crate) fn text<'a>(name: &str, members: &'a Map<String, Value>) -> Result<Option<&'a str>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.chars().any(char::is_control) => Ok(Some(text)),
        Some(_) => Err(not_readable(&format!("`{name}` must be a text"))),
    }
}

/// One name or a list of names, each without what separates names in a query.
pub(crate) fn names<'a>(name: &str, members: &'a Map<String, Value>) -> Result<Option<Vec<&'a str>>, Refusal> {
    let wrong = || not_readable(&format!("`{name}` must be an array of 1 to {MAX_ITEMS} plain names"));
    let plain =
        |text: &str| !text.is_empty() && !text.contains([',', '|', '{', '}']) && !text.chars().any(char::is_control);
    let items: Vec<&str> = match members.get(name) {
        None => return Ok(None),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(items)) if !items.is_empty() && items.len() <= MAX_ITEMS => {
            items.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?
        }
        Some(_) => return Err(wrong()),
    };
    if items.iter().all(|item| plain(item)) { Ok(Some(items)) } else { Err(wrong()) }
}

pub(crate) fn not_readable(message: &str) -> Refusal {
    refusal("body_not_readable", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_in_one_way_only() {
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        for (text, readable) in [
            ("{}".to_owned(), true),
            ("{\"a\":{\"a\":[1,-2.5e3,true,null,\"x\"]},\"b\":{\"a\":1}}".to_owned(), true),
            ("{\"a\":1,\"a\":1}".to_owned(), false),
            ("{\"a\":1,\"\\u0061\":1}".to_owned(), false),
            ("{\"b\":[{\"a\":1,\"a\":2}]}".to_owned(), false),
            ("[]".to_owned(), false),
            ("{} {}".to_owned(), false),
            ("{\"a\":".to_owned(), false),
            (String::new(), false),
            (deep(14), true),
            (deep(17), false),
            (deep(5000), false),
        ] {
            assert_eq!(object(text.as_bytes()).is_ok(), readable, "{}", &text[..text.len().min(80)]);
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }
}
