//! Reading members of a JSON object with errors that name them.

use serde_json::{Map, Value};

use crate::SignalError;

/// Longest text that a member may hold, in bytes.
const MAX_TEXT: usize = 4096;

pub(crate) fn object(value: &Value) -> Result<&Map<String, Value>, SignalError> {
    value.as_object().ok_or_else(|| SignalError::new("not_an_object", "the body must be a JSON object"))
}

/// A text member, or `None` when it is absent or null.
pub(crate) fn optional(map: &Map<String, Value>, name: &str) -> Result<Option<String>, SignalError> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > MAX_TEXT => {
            Err(SignalError::new("bad_value", format!("member `{name}` is longer than {MAX_TEXT} bytes")))
        }
        Some(Value::String(text)) if text.chars().any(char::is_control) => {
            Err(SignalError::new("bad_value", format!("member `{name}` holds a control character")))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(SignalError::new("wrong_type", format!("member `{name}` must be a string"))),
    }
}

/// A text member that must be there and not empty. Several names may be given: the first present one counts.
pub(crate) fn required(map: &Map<String, Value>, names: &[&str]) -> Result<String, SignalError> {
    for name in names {
        match optional(map, name)? {
            Some(text) if text.is_empty() => {
                return Err(SignalError::new("bad_value", format!("member `{name}` is empty")));
            }
            Some(text) => return Ok(text),
            None => {}
        }
    }
    Err(SignalError::new("missing_member", format!("member `{}` is missing", names.join("` or `"))))
}

/// A list of texts under the first present name; absent is empty.
pub(crate) fn texts(map: &Map<String, Value>, names: &[&str]) -> Result<Vec<String>, SignalError> {
    let Some((name, value)) = names.iter().find_map(|name| map.get(*name).map(|value| (name, value))) else {
        return Ok(Vec::new());
    };
    let wrong = || SignalError::new("wrong_type", format!("member `{name}` must be an array of strings"));
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>()
        }
        _ => Err(wrong()),
    }
}

/// An object member; absent or null is an empty object.
pub(crate) fn object_member(map: &Map<String, Value>, name: &str) -> Result<Value, SignalError> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(value @ Value::Object(_)) => Ok(value.clone()),
        Some(_) => Err(SignalError::new("wrong_type", format!("member `{name}` must be an object"))),
    }
}

/// The data address; absent, null and `{}` are none.
pub(crate) fn address(map: &Map<String, Value>) -> Result<Option<Value>, SignalError> {
    match object_member(map, "dataAddress")? {
        Value::Object(members) if members.is_empty() => Ok(None),
        value => Ok(Some(value)),
    }
}

/// Puts a text member where there is a text.
pub(crate) fn put(map: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(text) = value {
        map.insert(name.to_owned(), Value::String(text.to_owned()));
    }
}
