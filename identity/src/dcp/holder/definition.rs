//! Queries by a simple presentation definition (DIF Presentation Exchange 2.1; DCP 1.0.1, 5.4.1): each input descriptor asks for a
//! credential type and for nothing else. Everything beyond that is not supported and said to be so.

use serde_json::{Map, Value, json};

use super::StoredCredential;
use crate::credential::Format;
use crate::dcp::{DcpError, Refusal};
use crate::scope::{Scope, Scopes};

/// The most input descriptors.
const MAX_DESCRIPTORS: usize = 16;
/// Where the types of a credential are.
const TYPE_PATHS: [&str; 4] = ["$.type", "$.vc.type", "$['type']", "$.type[*]"];

/// What a definition asks for.
#[derive(Debug)]
pub(super) struct Definition {
    id: String,
    /// Id of the descriptor and credential type.
    wanted: Vec<(String, String)>,
}

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    /// 400 `bad_definition`; 501 `unsupported_query`.
    pub(super) fn read(definition: &Value) -> Result<Self, DcpError> {
        let id = text(definition, "id").ok_or_else(|| bad("has no `id`"))?;
        if definition.get("submission_requirements").is_some() {
            return Err(unsupported("`submission_requirements`"));
        }
        let descriptors = match definition.get("input_descriptors") {
            Some(Value::Array(many)) if (1..=MAX_DESCRIPTORS).contains(&many.len()) => many,
            _ => return Err(bad(&format!("has not 1 to {MAX_DESCRIPTORS} `input_descriptors`"))),
        };
        let mut wanted: Vec<(String, String)> = Vec::with_capacity(descriptors.len());
        for descriptor in descriptors {
            let name = text(descriptor, "id").ok_or_else(|| bad("has an input descriptor without `id`"))?;
            if wanted.iter().any(|(known, _)| *known == name) {
                return Err(bad("has two input descriptors with the same `id`"));
            }
            wanted.push((name, wanted_type(descriptor)?));
        }
        Ok(Self { id, wanted })
    }

    /// The scopes that ask for the same.
    ///
    /// # Errors
    /// `malformed_scope` for a name that is none.
    pub(super) fn scopes(&self) -> Result<Scopes, DcpError> {
        let scopes = self.wanted.iter().map(|(_, name)| Scope::read_type(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Scopes::new(scopes)?)
    }

    /// Which presentation and which credential in it answers which descriptor (Presentation Exchange 2.1, 6). `presented` are the
    /// credentials in the order in which they were given to [`present`](crate::presentation::present).
    pub(super) fn submission(&self, presented: &[&StoredCredential]) -> Value {
        let mut formats: Vec<(Format, usize)> = Vec::new();
        let mut places = Vec::with_capacity(presented.len());
        for stored in presented {
            let format = stored.credential.format;
            let position = match formats.iter().position(|(known, _)| *known == format) {
                Some(position) => position,
                None => {
                    formats.push((format, 0));
                    formats.len().saturating_sub(1)
                }
            };
            let Some((_, count)) = formats.get_mut(position) else { continue };
            places.push((*stored, position, *count));
            *count = count.saturating_add(1);
        }
        let entry = |(descriptor, name): &(String, String)| {
            let answers = |stored: &StoredCredential| stored.credential.types.contains(name);
            let (stored, outer, inner) = places.iter().find(|(stored, _, _)| answers(stored))?;
            let prefix = if stored.credential.format == Format::Vc11Jwt { "$.vp" } else { "$" };
            Some(json!({
                "id": descriptor,
                "format": "jwt_vp",
                "path": format!("$.presentation[{outer}]"),
                "path_nested": {
                    "id": descriptor,
                    "format": "jwt_vc",
                    "path": format!("{prefix}.verifiableCredential[{inner}]"),
                },
            }))
        };
        json!({
            "id": uuid::Uuid::new_v4().to_string(),
            "definition_id": self.id,
            "descriptor_map": self.wanted.iter().filter_map(entry).collect::<Vec<Value>>(),
        })
    }
}

/// The one credential type that a descriptor asks for.
fn wanted_type(descriptor: &Value) -> Result<String, DcpError> {
    let constraints = descriptor.get("constraints").and_then(Value::as_object);
    let constraints = constraints.ok_or_else(|| bad("has an input descriptor without `constraints`"))?;
    if let Some(other) = constraints.keys().find(|name| *name != "fields") {
        return Err(unsupported(&format!("the constraint `{}`", crate::printable(other))));
    }
    // There are writers of one field that is not in a list.
    let fields = match constraints.get("fields") {
        Some(Value::Array(many)) => many.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => return Err(bad("has an input descriptor without `fields`")),
    };
    match fields {
        [Value::Object(field)] => of_field(field),
        _ => Err(unsupported("an input descriptor with other than one field")),
    }
}

fn of_field(field: &Map<String, Value>) -> Result<String, DcpError> {
    let paths = match field.get("path") {
        Some(Value::Array(many)) => many.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => return Err(bad("has a field without `path`")),
    };
    if paths.is_empty() || !paths.iter().all(|path| path.as_str().is_some_and(|path| TYPE_PATHS.contains(&path))) {
        return Err(unsupported("a field other than the type of the credential"));
    }
    let filter = field.get("filter").ok_or_else(|| unsupported("a field without `filter`"))?;
    // Types are a list: the filter may be about one of them.
    let filter = filter.get("contains").unwrap_or(filter);
    let name = match (text(filter, "const"), text(filter, "pattern")) {
        (Some(name), None) => name,
        (None, Some(pattern)) => pattern.trim_start_matches('^').trim_end_matches('$').to_owned(),
        _ => return Err(unsupported("a filter without exactly one of `const` and `pattern`")),
    };
    // What has no other meaning as a regular expression; a dot, at most, would mean more.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:/#.".contains(&byte)) {
        return Err(unsupported("a `pattern` that is not the name of a type"));
    }
    Ok(name)
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| (1..=1024).contains(&text.len())).map(str::to_owned)
}

fn bad(what: &str) -> DcpError {
    DcpError::bad("bad_definition", format!("the presentation definition {what}"))
}

fn unsupported(what: &str) -> DcpError {
    let text = format!("{what} in a presentation definition is not supported here; ask by `scope`");
    DcpError::new(Refusal::NotImplemented, "unsupported_query", text)
}
