//! Messages of the protocol (DCP 1.0.1, 5 and 6): read leniently, written exactly.

mod issuance;
mod offer;
mod presentation;
mod storage;
#[cfg(test)]
mod tests;

pub use issuance::{CredentialRequestMessage, CredentialStatus, IssuerMetadata, RequestStatus};
pub use offer::{CredentialObject, CredentialOfferMessage};
pub use presentation::{PresentationQuery, PresentationQueryMessage, PresentationResponseMessage};
pub use storage::{CredentialContainer, CredentialMessage, Outcome};

use serde_json::{Map, Value, json};

use super::DcpError;
use crate::printable;

/// The JSON-LD context of the protocol.
pub const CONTEXT: &str = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld";
/// Its namespace.
pub const NAMESPACE: &str = "https://w3id.org/dspace-dcp/v1.0/";

/// The most entries of a list in a message.
pub const MAX_ENTRIES: usize = 64;
/// Longest text that is an id, a name or a URL, in bytes.
const MAX_TEXT: usize = 4096;

/// The members of a message of the type wanted.
fn open<'a>(message: &'a Value, wanted: &str) -> Result<Reader<'a>, DcpError> {
    let Value::Object(members) = message else {
        return Err(DcpError::bad("malformed_message", "the message is not a JSON object"));
    };
    let reader = Reader { members, name: wanted.to_owned() };
    let names = |value: &Value, wanted: &str| match value {
        Value::String(one) => one == wanted,
        Value::Array(many) => many.len() <= MAX_ENTRIES && many.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    };
    if let Some(context) = reader.get("@context")
        && !names(context, CONTEXT)
    {
        return Err(reader.bad("@context", &format!("does not name `{CONTEXT}`")));
    }
    let found = reader.get("type").or_else(|| reader.get("@type"));
    let found = found.ok_or_else(|| reader.bad("type", "is missing"))?;
    if !names(found, wanted) && !names(found, &format!("{NAMESPACE}{wanted}")) {
        return Err(reader.bad("type", &format!("is not `{wanted}`")));
    }
    Ok(reader)
}

/// A message of this type, with nothing else in it yet.
fn start(name: &str) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("@context".to_owned(), json!([CONTEXT]));
    message.insert("type".to_owned(), json!(name));
    message
}

/// Reads members and says which one is wrong.
struct Reader<'a> {
    members: &'a Map<String, Value>,
    name: String,
}

impl<'a> Reader<'a> {
    /// A part of this message.
    fn part(&self, value: &'a Value, name: &str) -> Result<Self, DcpError> {
        match value {
            Value::Object(members) => Ok(Self { members, name: format!("{} of the {}", name, self.name) }),
            _ => Err(self.bad(name, "is not an object")),
        }
    }

    fn bad(&self, member: &str, what: &str) -> DcpError {
        DcpError::bad("malformed_message", format!("in the {}, `{}` {what}", self.name, printable(member)))
    }

    /// Null is the same as absent. A member may be written with its namespace, in a message that was expanded.
    fn get(&self, member: &str) -> Option<&'a Value> {
        self.members
            .get(member)
            .or_else(|| self.members.get(&format!("{NAMESPACE}{member}")))
            .filter(|value| !value.is_null())
    }

    fn text(&self, member: &str) -> Result<Option<&'a str>, DcpError> {
        match self.get(member) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_TEXT => Ok(Some(text)),
            Some(_) => Err(self.bad(member, &format!("is not a string of 1 to {MAX_TEXT} bytes"))),
        }
    }

    fn needed_text(&self, member: &str) -> Result<&'a str, DcpError> {
        self.text(member)?.ok_or_else(|| self.bad(member, "is missing"))
    }

    /// A list; one entry alone counts as a list of one.
    fn list(&self, member: &str) -> Result<Option<&'a [Value]>, DcpError> {
        match self.get(member) {
            None => Ok(None),
            Some(Value::Array(entries)) if entries.len() <= MAX_ENTRIES => Ok(Some(entries)),
            Some(Value::Array(_)) => Err(self.bad(member, &format!("has more than {MAX_ENTRIES} entries"))),
            Some(single) => Ok(Some(std::slice::from_ref(single))),
        }
    }

    fn texts(&self, member: &str) -> Result<Option<Vec<String>>, DcpError> {
        let Some(entries) = self.list(member)? else { return Ok(None) };
        let texts = entries.iter().map(|entry| match entry {
            Value::String(text) if !text.is_empty() && text.len() <= MAX_TEXT => Ok(text.clone()),
            _ => Err(self.bad(member, "has an entry that is not a string, or too long")),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }
}
