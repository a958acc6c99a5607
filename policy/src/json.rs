//! JSON-LD seen through the spellings that peers use.

use serde_json::{Map, Value};

use crate::error::{At, PolicyError};
use crate::vocabulary::{is_annotation, is_foreign, term};

/// The members of an object under their short ODRL names; annotations are left out.
pub(crate) fn members<'a>(value: &'a Value, at: &At) -> Result<Vec<(&'a str, &'a Value)>, PolicyError> {
    let object =
        value.as_object().ok_or_else(|| PolicyError::new("not_an_object", at, "an object is expected here"))?;
    if object.len() > MAX_MEMBERS {
        return Err(PolicyError::new("too_large", at, format!("an object has at most {MAX_MEMBERS} members")));
    }
    let mut found: Vec<(&str, &Value)> = Vec::with_capacity(object.len());
    for (name, value) in object {
        if is_annotation(name) {
            continue;
        }
        let short = match term(name) {
            "uid" | "id" => "@id",
            "type" => "@type",
            other => other,
        };
        if found.iter().any(|(known, _)| *known == short) {
            return Err(PolicyError::new("member_twice", &at.member(short), "this member is given twice"));
        }
        found.push((short, value));
    }
    Ok(found)
}

/// The most members of one object.
const MAX_MEMBERS: usize = 64;

/// A member that nothing here understands.
pub(crate) fn not_understood(name: &str, at: &At) -> PolicyError {
    let what = if is_foreign(name) { "a member of another vocabulary" } else { "this member" };
    PolicyError::new("member_not_understood", &at.member(name), format!("{what} is not understood here"))
}

/// One or many: an array, a JSON-LD list or set, or a single value.
pub(crate) fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(object) => match only_member(object) {
            Some(("@list" | "@set", inner)) => items(inner),
            _ => vec![value],
        },
        _ => vec![value],
    }
}

/// Whether the value is written as a list.
pub(crate) fn is_list(value: &Value) -> bool {
    value.is_array()
        || value.as_object().and_then(only_member).is_some_and(|(name, _)| name == "@list" || name == "@set")
}

fn only_member(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut members = object.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Some((name.as_str(), value)),
        _ => None,
    }
}

/// A name: a string, or an object or list of one that wraps it.
pub(crate) fn name(value: &Value, at: &At) -> Result<String, PolicyError> {
    // Two wrappers occur at most: `[{"@id": ..}]`, `{"rdf:value": {"@id": ..}}`.
    let inner = unwrapped(unwrapped(value));
    match inner {
        Value::String(text) if !text.is_empty() && text.len() <= MAX_NAME_BYTES => Ok(text.clone()),
        _ => Err(not_a_name(at)),
    }
}

fn unwrapped(value: &Value) -> &Value {
    match value {
        Value::Object(object) => match only_member(object) {
            Some((wrapper, inner)) if matches!(term(wrapper), "@id" | "@value" | "@type" | "type" | "rdf:value") => {
                inner
            }
            _ => value,
        },
        Value::Array(items) => match items.as_slice() {
            [only] => only,
            _ => value,
        },
        _ => value,
    }
}

fn not_a_name(at: &At) -> PolicyError {
    PolicyError::new("not_a_name", at, "a name is expected here: a string, or an object with nothing but `@id`")
}

/// The longest name or value, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 4 * 1024;
