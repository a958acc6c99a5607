//! The form that a secured document must have before JSON-LD is applied to it. JSON-LD can say the same thing in many ways; we
//! read members by their plain names, so other ways are refused. And its canonical form can take time without end, so what makes
//! it slow is refused too.

use serde_json::{Map, Value};

use super::CredentialError;
use super::contexts::{CREDENTIALS_V1, CREDENTIALS_V2, KNOWN};

type Members = Map<String, Value>;

/// Largest document, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 24;
/// The most contexts of one document.
const MAX_CONTEXTS: usize = 8;
/// The most work that naming the nodes without id may take, by [`Shape::cost`].
const MAX_COST: u64 = 20_000;

/// Splits a document into what was signed and its one proof.
///
/// # Errors
/// `bad_credential`, `unknown_context`, `bad_proof` when there is not exactly one proof.
pub(super) fn check(document: &Value) -> Result<(Members, &Members), CredentialError> {
    let Value::Object(members) = document else { return Err(bad("is not an object")) };
    let proof = match members.get("proof") {
        Some(Value::Object(proof)) => proof,
        Some(Value::Array(proofs)) => match proofs.as_slice() {
            [Value::Object(proof)] => proof,
            _ => return Err(no_proof("has not exactly one proof")),
        },
        _ => return Err(no_proof("has not exactly one proof")),
    };
    check_depth(document, 0)?;
    if document.to_string().len() > MAX_BYTES {
        return Err(bad(&format!("is larger than {MAX_BYTES} bytes")));
    }
    let mut unsecured = members.clone();
    unsecured.remove("proof");
    let shape = Shape { id: members.get("id").and_then(Value::as_str) };
    shape.secured(&unsecured)?;
    shape.object(proof, true)?;
    if shape.cost(&unsecured) > MAX_COST {
        return Err(bad("has too many parts without an `id` that look alike"));
    }
    Ok((unsecured, proof))
}

/// Before anything else walks the document.
fn check_depth(value: &Value, depth: usize) -> Result<(), CredentialError> {
    if depth > MAX_DEPTH {
        return Err(bad("is nested too deeply"));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_depth(item, depth + 1)),
        Value::Object(members) => members.values().try_for_each(|member| check_depth(member, depth + 1)),
        _ => Ok(()),
    }
}

struct Shape<'a> {
    /// The document's own id: a part with the same id could carry members away from their place.
    id: Option<&'a str>,
}

impl Shape<'_> {
    /// A document of its own: the outermost one, or a credential in a presentation.
    fn secured(&self, members: &Members) -> Result<(), CredentialError> {
        context(members.get("@context"))?;
        for (name, value) in members.iter().filter(|(name, _)| *name != "@context") {
            plain_name(name)?;
            match (name.as_str(), value) {
                ("id", value) => plain_id(value)?,
                ("verifiableCredential", value) => self.credentials(value)?,
                ("proof", Value::Object(proof)) => self.object(proof, true)?,
                (_, value) => self.value(value)?,
            }
        }
        Ok(())
    }

    fn credentials(&self, value: &Value) -> Result<(), CredentialError> {
        match value {
            Value::Array(credentials) if credentials.is_empty() => Err(bad("has an empty list")),
            Value::Array(credentials) => credentials.iter().try_for_each(|credential| self.credentials(credential)),
            Value::Object(credential) => {
                self.other_id(credential)?;
                self.secured(credential)
            }
            _ => Err(bad("has a `verifiableCredential` that is not an object")),
        }
    }

    fn value(&self, value: &Value) -> Result<(), CredentialError> {
        match value {
            Value::Object(members) => self.object(members, false),
            // JSON-LD drops these, so that no signature covers them.
            Value::Null => Err(bad("has a member that is null")),
            Value::Array(items) if items.is_empty() => Err(bad("has an empty list")),
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item)),
            Value::String(text) if text.starts_with("_:") => Err(bad("names a blank node")),
            Value::Number(number) if number.as_f64().is_none_or(|value| !value.is_finite()) => {
                Err(bad("has a number that is out of range"))
            }
            _ => Ok(()),
        }
    }

    /// A part of a document; that of a proof may say its contexts.
    fn object(&self, members: &Members, is_proof: bool) -> Result<(), CredentialError> {
        if is_text_of_a_language(members) {
            return Ok(());
        }
        self.other_id(members)?;
        for (name, value) in members {
            if is_proof && name == "@context" {
                contexts(value)?;
                continue;
            }
            plain_name(name)?;
            if name == "id" {
                plain_id(value)?;
            }
            self.value(value)?;
        }
        Ok(())
    }

    fn other_id(&self, members: &Members) -> Result<(), CredentialError> {
        let id = members.get("id").and_then(Value::as_str);
        if id.is_some() && id == self.id { Err(bad("repeats its own `id` in a part")) } else { Ok(()) }
    }

    /// An estimate of the steps that canonical names take: every order of parts that could look alike is tried, from above and
    /// from below, at each level (RDFC-1.0, 4.8).
    fn cost(&self, members: &Members) -> u64 {
        members
            .iter()
            .map(|(name, value)| {
                let in_graphs = name == "verifiableCredential";
                let items = match value {
                    Value::Array(items) => items.as_slice(),
                    single => std::slice::from_ref(single),
                };
                let parts = items.iter().filter_map(Value::as_object);
                let (named, unnamed): (Vec<_>, Vec<_>) = parts.partition(|part| part.contains_key("id") && !in_graphs);
                let inside =
                    |parts: &[&Members]| parts.iter().fold(0_u64, |sum, part| sum.saturating_add(self.cost(part)));
                let of_two = if unnamed.len() > 1 { 2 } else { 1_u64 };
                let orders = (2..=unnamed.len())
                    .fold(of_two, |product, n| product.saturating_mul(u64::try_from(n).unwrap_or(u64::MAX)));
                inside(&named).saturating_add(orders.saturating_mul(inside(&unnamed)))
            })
            .fold(1_u64, u64::saturating_add)
    }
}

/// A document starts with the context of its data model; all others are known too.
fn context(value: Option<&Value>) -> Result<(), CredentialError> {
    let value = value.ok_or_else(|| bad("has no `@context`"))?;
    let first = match value {
        Value::Array(names) => names.first(),
        name => Some(name),
    };
    if first.is_none_or(|name| name != CREDENTIALS_V1 && name != CREDENTIALS_V2) {
        return Err(unknown("the first context must be the one of a credential data model"));
    }
    contexts(value)
}

fn contexts(value: &Value) -> Result<(), CredentialError> {
    match value {
        Value::Array(names) if names.len() > MAX_CONTEXTS => Err(unknown("there are too many contexts")),
        Value::Array(names) => names.iter().try_for_each(known),
        name => known(name),
    }
}

fn known(name: &Value) -> Result<(), CredentialError> {
    match name.as_str() {
        Some(name) if KNOWN.contains(&name) => Ok(()),
        Some(name) => Err(unknown(&format!("the context `{}` is not known", crate::printable(name)))),
        None => Err(unknown("a context is written out; only the names of known ones are accepted")),
    }
}

/// Neither a keyword nor an IRI: the contexts would make it another member, or none.
fn plain_name(name: &str) -> Result<(), CredentialError> {
    if name.is_empty() || name.starts_with('@') || name.contains(':') {
        return Err(bad(&format!("has a member `{}`; only plain names are accepted", crate::printable(name))));
    }
    Ok(())
}

fn plain_id(value: &Value) -> Result<(), CredentialError> {
    match value.as_str() {
        Some(id) if !id.starts_with("_:") => Ok(()),
        _ => Err(bad("has an `id` that is not one")),
    }
}

/// `{"@value": "Lyon", "@language": "fr"}`, as names and descriptions may have it.
fn is_text_of_a_language(members: &Members) -> bool {
    !members.is_empty()
        && members
            .iter()
            .all(|(name, value)| matches!(name.as_str(), "@value" | "@language" | "@direction") && value.is_string())
        && members.contains_key("@value")
}

fn bad(what: &str) -> CredentialError {
    CredentialError::refused("bad_credential", format!("the JSON-LD document {what}"))
}

fn no_proof(what: &str) -> CredentialError {
    CredentialError::refused("bad_proof", format!("the JSON-LD document {what}"))
}

fn unknown(what: &str) -> CredentialError {
    CredentialError::refused("unknown_context", what)
}
