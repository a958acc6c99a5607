//! Reading the members of a compacted message.

use serde_json::{Map, Value};

use crate::error::MessageError;
use crate::pid;

/// The longest address accepted, in bytes.
const MAX_ADDRESS_BYTES: usize = 2048;

/// A JSON object together with the name it has in error sentences.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) owner: &'a str,
    pub(crate) map: &'a Map<String, Value>,
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl<'a> Node<'a> {
    /// A part of a message, without a look at its `@type`.
    pub(crate) fn new(owner: &'a str, value: &'a Value) -> Result<Self, MessageError> {
        match value {
            Value::Object(map) => Ok(Self { owner, map }),
            other => {
                Err(MessageError::new("wrong_type", format!("`{owner}` must be an object, but it is {}", kind(other))))
            }
        }
    }

    /// A part or a whole message, which must carry this `@type`.
    pub(crate) fn typed(expected: &'a str, value: &'a Value) -> Result<Self, MessageError> {
        let node = Self::new(expected, value)?;
        node.expect_type(expected)?;
        Ok(node)
    }

    /// The member, which must be an object.
    pub(crate) fn object(&self, name: &str) -> Result<&'a Value, MessageError> {
        match self.required(name)? {
            object @ Value::Object(_) => Ok(object),
            other => Err(MessageError::wrong_type(self.owner, name, "an object", other)),
        }
    }

    fn expect_type(&self, expected: &str) -> Result<(), MessageError> {
        let unexpected = |found: &str| {
            MessageError::new(
                "unexpected_type",
                format!("a `{expected}` is expected here, but `@type` is `{}`", shorten(found)),
            )
        };
        match self.map.get("@type") {
            None | Some(Value::Null) => Err(MessageError::missing(self.owner, "@type")),
            Some(Value::String(found)) if found == expected => Ok(()),
            Some(Value::String(found)) => Err(unexpected(found)),
            Some(Value::Array(found)) if found.iter().any(|item| item.as_str() == Some(expected)) => Ok(()),
            Some(Value::Array(found)) => {
                Err(unexpected(&found.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("`, `")))
            }
            Some(other) => Err(MessageError::wrong_type(self.owner, "@type", "a string", other)),
        }
    }

    /// The member, where null counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&'a Value, MessageError> {
        self.get(name).ok_or_else(|| MessageError::missing(self.owner, name))
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, MessageError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(MessageError::wrong_type(self.owner, name, "a string", other)),
        }
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, MessageError> {
        let text = self.optional_text(name)?.ok_or_else(|| MessageError::missing(self.owner, name))?;
        if text.is_empty() {
            return Err(MessageError::invalid(self.owner, name, "it is empty"));
        }
        Ok(text)
    }

    pub(crate) fn optional_id<T>(&self, name: &str) -> Result<Option<T>, MessageError>
    where
        T: TryFrom<String, Error = pid::IdError>,
    {
        self.optional_text(name)?
            .map(|text| T::try_from(text.to_owned()).map_err(|why| MessageError::invalid(self.owner, name, why)))
            .transpose()
    }

    pub(crate) fn id<T>(&self, name: &str) -> Result<T, MessageError>
    where
        T: TryFrom<String, Error = pid::IdError>,
    {
        self.optional_id(name)?.ok_or_else(|| MessageError::missing(self.owner, name))
    }

    /// An address: a non-empty string without white space or control characters. Whether it is a URL that we would
    /// call is for the caller to judge.
    pub(crate) fn optional_address(&self, name: &str) -> Result<Option<String>, MessageError> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        if text.is_empty()
            || text.len() > MAX_ADDRESS_BYTES
            || text.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(MessageError::invalid(
                self.owner,
                name,
                format!("an address has 1 to {MAX_ADDRESS_BYTES} bytes and no white space or control characters"),
            ));
        }
        Ok(Some(text.to_owned()))
    }

    /// The items of an array; none when the member is absent.
    pub(crate) fn items(&self, name: &str) -> Result<&'a [Value], MessageError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(MessageError::wrong_type(self.owner, name, "an array", other)),
        }
    }

    /// The members beyond those named.
    pub(crate) fn rest(&self, known: &[&str]) -> Map<String, Value> {
        self.map
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// The first characters of a text that came from outside, for use in a sentence.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 200;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MOST).collect();
    short.push('…');
    short
}

/// Adds a member unless the list is empty: the schemas refuse empty arrays.
pub(crate) fn put_list(map: &mut Map<String, Value>, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        map.insert(name.to_owned(), Value::Array(items));
    }
}

/// Adds a text member.
pub(crate) fn put(map: &mut Map<String, Value>, name: &str, text: &str) {
    map.insert(name.to_owned(), Value::from(text));
}

/// Adds a text member when there is one.
pub(crate) fn put_some<T: AsRef<str>>(map: &mut Map<String, Value>, name: &str, text: Option<&T>) {
    if let Some(text) = text {
        put(map, name, text.as_ref());
    }
}
