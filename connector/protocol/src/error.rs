//! Why a body was refused, and the three error bodies of the protocol.
//!
//! DSP 2025-1, "Catalog Error", "Contract Negotiation Error" and "Transfer Error".

use serde_json::{Map, Value};

use crate::context::root;
use crate::member;

/// Why a body that a peer sent was refused. The peer is at fault.
///
/// The code is stable and meant for programs; the message is one sentence for people and names the member.
///
/// | code | meaning |
/// |---|---|
/// | `too_big`, `too_deep`, `not_utf8`, `not_json` | the bytes are not an acceptable JSON text |
/// | `not_object` | the message is not a JSON object |
/// | `missing_context`, `unknown_context`, `invalid_context`, `context_conflict` | `@context` does not lead to DSP 2025-1 |
/// | `duplicate_member` | one member is given under two spellings |
/// | `unexpected_type` | `@type` names another message |
/// | `missing_member`, `conflicting_members` | a member is missing, or two exclude each other |
/// | `wrong_type`, `invalid_value` | a member has the wrong JSON type or a value that is not allowed |
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MessageError {
    /// The machine code, see the table above.
    pub code: &'static str,
    /// One sentence that names the member at fault.
    pub message: String,
}

impl MessageError {
    /// An error with this code and sentence.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn missing(owner: &str, name: &str) -> Self {
        Self::new("missing_member", format!("the member `{name}` of {owner} is missing"))
    }

    pub(crate) fn wrong_type(owner: &str, name: &str, expected: &str, found: &Value) -> Self {
        let kind = member::kind(found);
        Self::new("wrong_type", format!("the member `{name}` of {owner} must be {expected}, but it is {kind}"))
    }

    pub(crate) fn invalid(owner: &str, name: &str, why: impl std::fmt::Display) -> Self {
        Self::new("invalid_value", format!("the member `{name}` of {owner} is not acceptable: {why}"))
    }
}

/// A CatalogError body. `code` is our stable code, `reasons` are sentences; none means that the member is left out.
///
/// DSP 2025-1, "Catalog Error".
#[must_use]
pub fn catalog_error(code: &str, reasons: &[String]) -> Value {
    let mut body = root("CatalogError");
    code_and_reasons(&mut body, code, reasons);
    Value::Object(body)
}

/// A ContractNegotiationError body. The schema wants both pids: fill an unknown one with the known one.
///
/// DSP 2025-1, "Contract Negotiation Error".
#[must_use]
pub fn negotiation_error(provider_pid: &str, consumer_pid: &str, code: &str, reasons: &[String]) -> Value {
    process_error("ContractNegotiationError", provider_pid, consumer_pid, code, reasons)
}

/// A TransferError body. The schema wants both pids: fill an unknown one with the known one.
///
/// DSP 2025-1, "Transfer Error".
#[must_use]
pub fn transfer_error(provider_pid: &str, consumer_pid: &str, code: &str, reasons: &[String]) -> Value {
    process_error("TransferError", provider_pid, consumer_pid, code, reasons)
}

fn process_error(kind: &str, provider_pid: &str, consumer_pid: &str, code: &str, reasons: &[String]) -> Value {
    let mut body = root(kind);
    body.insert("providerPid".to_owned(), Value::from(provider_pid));
    body.insert("consumerPid".to_owned(), Value::from(consumer_pid));
    code_and_reasons(&mut body, code, reasons);
    Value::Object(body)
}

fn code_and_reasons(body: &mut Map<String, Value>, code: &str, reasons: &[String]) {
    body.insert("code".to_owned(), Value::from(code));
    if !reasons.is_empty() {
        body.insert("reason".to_owned(), reasons.iter().map(String::as_str).map(Value::from).collect());
    }
}

/// What could be read of the error body of a peer. Peers are free in it, so every part is optional.
///
/// DSP 2025-1, "Catalog Error", "Contract Negotiation Error", "Transfer Error".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerError {
    /// The peer's code, such as `400`; a number is written as text.
    pub code: Option<String>,
    /// The peer's reasons as text: strings as they are, anything else as JSON.
    pub reasons: Vec<String>,
}

impl PeerError {
    /// Reads an error body; a body that says nothing gives an empty value, never a failure.
    #[must_use]
    pub fn read(body: &Value) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Object(object) => match object.get("@value") {
                Some(Value::String(text)) => text.clone(),
                _ => value.to_string(),
            },
            other => other.to_string(),
        };
        let find = |name: &str| {
            let prefixed = format!("dspace:{name}");
            let full = format!("{}{name}", crate::context::DSPACE);
            body.get(name).or_else(|| body.get(&prefixed)).or_else(|| body.get(&full)).filter(|value| !value.is_null())
        };
        let reasons = match find("reason") {
            Some(Value::Array(items)) => items.iter().map(text).collect(),
            Some(other) => vec![text(other)],
            None => Vec::new(),
        };
        Self { code: find("code").map(text), reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_have_both_pids_and_no_empty_reason() {
        let body = negotiation_error("p", "c", "wrong_state", &[]);
        assert_eq!(
            body,
            json!({"@context": [crate::context::DSP_CONTEXT], "@type": "ContractNegotiationError",
                "providerPid": "p", "consumerPid": "c", "code": "wrong_state"})
        );
        let body = transfer_error("p", "c", "x", &["why".to_owned()]);
        assert_eq!(body.get("reason"), Some(&json!(["why"])));
        assert_eq!(catalog_error("not_found", &[]).get("@type"), Some(&json!("CatalogError")));
    }

    #[test]
    fn a_peers_error_is_read_in_any_form() {
        let read =
            PeerError::read(&json!({"code": 409, "reason": ["a", {"@value": "b", "@language": "en"}, {"c": 1}]}));
        assert_eq!(read.code.as_deref(), Some("409"));
        assert_eq!(read.reasons, ["a", "b", r#"{"c":1}"#]);
        assert_eq!(PeerError::read(&json!({"dspace:reason": "x"})).reasons, ["x"]);
        assert_eq!(PeerError::read(&json!([])), PeerError::default());
    }
}
