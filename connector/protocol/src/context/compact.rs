//! Any accepted form of a message to the form of the official schemas.

use serde_json::{Map, Value};

use super::DSP_CONTEXT;
use super::names::{Names, is_operator_term, local_name, odrl_local};
use super::terms::{self, Shape};
use crate::error::MessageError;
use crate::member::{kind, shorten};

/// Brings a message into the compact form of the official schemas.
///
/// Accepted: `@context` as a string, as an array, with further contexts and with inline objects; or no DSP context at
/// all when `@type` is a full IRI. Keys without prefix, with `dspace:`, `odrl:`, `dcat:`, `dct:` or a prefix that the
/// message defines, and full IRIs. Scalars wrapped in `{"@id": …}` or `{"@value": …}`, single values in place of
/// arrays and arrays around single values. Members that the context does not know are kept; null members are dropped.
///
/// In the result `@context` is an array of strings that starts with [`DSP_CONTEXT`].
///
/// # Errors
/// `not_object`, `missing_context`, `unknown_context`, `invalid_context`, `context_conflict`, `duplicate_member`,
/// `wrong_type`.
pub fn compact(message: Value) -> Result<Value, MessageError> {
    let Value::Object(map) = message else {
        let message = format!("a message must be an object, but it is {}", kind(&message));
        return Err(MessageError::new("not_object", message));
    };
    let nothing = Names::default();
    let names = match map.get("@context") {
        Some(context) => nothing.with(context)?,
        None => Names::default(),
    };
    if !names.dsp && !typed_by_iri(&map, &names) {
        return Err(match map.get("@context") {
            None => {
                MessageError::new("missing_context", format!("the member `@context` with `{DSP_CONTEXT}` is missing"))
            }
            Some(_) => {
                MessageError::new("unknown_context", format!("the member `@context` does not list `{DSP_CONTEXT}`"))
            }
        });
    }
    let mut contexts = vec![Value::from(DSP_CONTEXT)];
    let listed = match map.get("@context") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    contexts.extend(listed.iter().filter(|item| item.is_string() && item.as_str() != Some(DSP_CONTEXT)).cloned());
    let mut compacted = Map::new();
    compacted.insert("@context".to_owned(), Value::Array(contexts));
    object(map, &names, compacted).map(Value::Object)
}

/// Brings a part of a message that comes without `@context`, such as a policy from our own operator, into the compact
/// form, as if the DSP context were listed.
///
/// # Errors
/// As [`compact`], except for the context itself.
pub fn compact_fragment(part: Value) -> Result<Value, MessageError> {
    any(part, &Names::dsp())
}

fn typed_by_iri(map: &Map<String, Value>, names: &Names) -> bool {
    let types = map.iter().find(|(key, _)| *key == "@type" || names.key(key) == "@type").map(|(_, value)| value);
    match types {
        Some(Value::String(name)) => names.is_protocol_iri(name),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).any(|name| names.is_protocol_iri(name)),
        _ => false,
    }
}

fn object(
    map: Map<String, Value>,
    outer: &Names,
    mut into: Map<String, Value>,
) -> Result<Map<String, Value>, MessageError> {
    let inner;
    // The context of the message itself has been read already and is in `into`.
    let names = match map.get("@context") {
        Some(context) if !into.contains_key("@context") => {
            inner = outer.with(context)?;
            &inner
        }
        _ => outer,
    };
    for (key, value) in map {
        if key == "@context" {
            continue;
        }
        let name = names.key(&key);
        let shape = terms::shape(&name);
        if value.is_null() && (shape.is_some() || name.starts_with('@')) {
            continue;
        }
        let value = match (name.as_str(), shape) {
            ("@type", _) => types(value, names),
            ("@id", _) => match value {
                Value::String(id) => Value::String(names.absolute(&id)),
                other => other,
            },
            (_, Some(shape)) => member(&name, shape, value, names)?,
            (keyword, None) if keyword.starts_with('@') => value,
            (_, None) => any(value, names)?,
        };
        if into.insert(name.clone(), value).is_some() {
            let message = format!("the member `{}` is given twice, under two spellings", shorten(&name));
            return Err(MessageError::new("duplicate_member", message));
        }
    }
    Ok(into)
}

fn any(value: Value, names: &Names) -> Result<Value, MessageError> {
    match value {
        Value::Object(map) => object(map, names, Map::new()).map(Value::Object),
        Value::Array(items) => {
            items.into_iter().map(|item| any(item, names)).collect::<Result<_, _>>().map(Value::Array)
        }
        scalar => Ok(scalar),
    }
}

fn member(name: &str, shape: Shape, value: Value, names: &Names) -> Result<Value, MessageError> {
    match shape {
        Shape::Text => any(unwrap_text(value, names), names),
        Shape::Token => map_text(unwrap_text(value, names), names, |text| local_name(&text).to_owned()),
        Shape::Name => map_text(unwrap_text(value, names), names, |text| names.absolute(&text)),
        Shape::Action => map_text(unwrap_text(value, names), names, |text| match odrl_local(&text) {
            "use" => "use".to_owned(),
            _ => names.absolute(&text),
        }),
        Shape::Operator => map_text(unwrap_text(value, names), names, |text| operator(&text)),
        Shape::Operand => operand(value, names),
        Shape::Verbatim => Ok(Value::Array(list(value))),
        Shape::Node => any(single(value), names),
        Shape::TextOrNode => any(unwrap_text(single(value), names), names),
        // In a DatasetRequestMessage the dataset is an id.
        Shape::Nodes if name == "dataset" && value.is_string() => Ok(value),
        Shape::Nodes => {
            list(value).into_iter().map(|item| any(item, names)).collect::<Result<_, _>>().map(Value::Array)
        }
    }
}

fn map_text(value: Value, names: &Names, change: impl FnOnce(String) -> String) -> Result<Value, MessageError> {
    match value {
        Value::String(text) => Ok(Value::String(change(text))),
        other => any(other, names),
    }
}

/// The schema's spelling of an operator; unknown operators stay.
fn operator(text: &str) -> String {
    let local = odrl_local(text);
    if is_operator_term(local) {
        return local.to_owned();
    }
    // Version 0.8 wrote operators in capitals.
    let lower = local.to_lowercase();
    if is_operator_term(&lower) { lower } else { text.to_owned() }
}

/// The string inside `{"@id": …}`, `{"@value": …}` and arrays of one; anything else as it is.
fn unwrap_text(value: Value, names: &Names) -> Value {
    let value = single(value);
    let Value::Object(map) = &value else { return value };
    if map.keys().any(|key| !matches!(key.as_str(), "@id" | "@value" | "@type" | "@language")) {
        return value;
    }
    match (map.get("@id"), map.get("@value")) {
        (Some(Value::String(id)), None) => Value::String(names.absolute(id)),
        (None, Some(Value::String(text))) => Value::String(text.clone()),
        _ => value,
    }
}

fn operand(value: Value, names: &Names) -> Result<Value, MessageError> {
    match value {
        Value::Array(items) => {
            items.into_iter().map(|item| operand(item, names)).collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Object(mut map) if map.len() == 1 && (map.contains_key("@list") || map.contains_key("@set")) => {
            let inner = map.remove("@list").or_else(|| map.remove("@set")).unwrap_or_default();
            operand(inner, names)
        }
        Value::Object(mut map)
            if map.len() == 1 && map.get("@value").is_some_and(|inner| !inner.is_object() && !inner.is_array()) =>
        {
            Ok(map.remove("@value").unwrap_or_default())
        }
        other => any(other, names),
    }
}

/// The value inside an array of one; anything else as it is.
fn single(value: Value) -> Value {
    match value {
        Value::Array(mut items) if items.len() == 1 => single(items.pop().unwrap_or_default()),
        other => other,
    }
}

/// The items of an array, `@set` or `@list`; a single value as the only item.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Object(mut map) if map.len() == 1 && (map.contains_key("@list") || map.contains_key("@set")) => {
            list(map.remove("@list").or_else(|| map.remove("@set")).unwrap_or_default())
        }
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

fn types(value: Value, names: &Names) -> Value {
    match single(value) {
        Value::String(name) => Value::String(names.kind(&name)),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(name) => Value::String(names.kind(&name)),
                other => other,
            })
            .collect(),
        other => other,
    }
}
