//! Credentials on their way from issuer to holder (DCP 1.0.1, 6.5).

use serde_json::{Map, Value, json};

use super::{DcpError, Reader, open, start};

/// Whether the issuer made what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All credentials were issued and are in the message.
    Issued,
    /// None was.
    Rejected,
}

/// One credential of a [`CredentialMessage`].
#[derive(Clone, PartialEq)]
pub struct CredentialContainer {
    /// Its type as the issuer's metadata names it.
    pub credential_type: String,
    /// The credential: a JWT, or JSON-LD as a string or an object.
    pub payload: Value,
    /// What the sender calls the form: `VC1_0_JWT`, a profile (`vc11-sl2021/jwt`), `jwt`, `json-ld`. The content decides.
    pub format: String,
}

/// `CredentialMessage`.
#[derive(Clone, PartialEq, Debug)]
pub struct CredentialMessage {
    /// The issuer's id of the request.
    pub issuer_pid: Option<String>,
    /// The holder's id of the request.
    pub holder_pid: Option<String>,
    /// What became of the request.
    pub outcome: Outcome,
    /// The credentials; none when rejected.
    pub credentials: Vec<CredentialContainer>,
    /// Why it was rejected, in words.
    pub rejection_reason: Option<String>,
}

impl CredentialMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed_message`; `unknown_status` when the status is neither `ISSUED` nor `REJECTED`.
    pub fn parse(message: &Value) -> Result<Self, DcpError> {
        let reader = open(message, "CredentialMessage")?;
        let outcome = match reader.needed_text("status")? {
            "ISSUED" => Outcome::Issued,
            "REJECTED" => Outcome::Rejected,
            other => {
                let shown = crate::printable(other);
                let text = format!("the status `{shown}` of the CredentialMessage is neither `ISSUED` nor `REJECTED`");
                return Err(DcpError::bad("unknown_status", text));
            }
        };
        let credentials = reader.list("credentials")?.unwrap_or_default();
        let credentials =
            credentials.iter().map(|entry| read_container(&reader, entry)).collect::<Result<Vec<_>, _>>()?;
        if outcome == Outcome::Issued && credentials.is_empty() {
            return Err(reader.bad("credentials", "is empty though the status is `ISSUED`"));
        }
        let holder_pid = reader.text("holderPid")?.or(reader.text("requestId")?).map(str::to_owned);
        let issuer_pid = reader.text("issuerPid")?.map(str::to_owned);
        // The schema demands issuerPid; peers that leave it out still say which request they mean.
        if issuer_pid.is_none() && holder_pid.is_none() {
            return Err(reader.bad("issuerPid", "is missing"));
        }
        Ok(Self {
            issuer_pid,
            holder_pid,
            outcome,
            credentials,
            rejection_reason: reader.text("rejectionReason")?.map(str::to_owned),
        })
    }

    /// The message.
    pub fn to_json(&self) -> Value {
        let mut message = start("CredentialMessage");
        let mut member = |name: &str, value: Value| message.insert(name.to_owned(), value);
        if let Some(pid) = &self.issuer_pid {
            member("issuerPid", json!(pid));
        }
        if let Some(pid) = &self.holder_pid {
            member("holderPid", json!(pid));
        }
        let status = match self.outcome {
            Outcome::Issued => "ISSUED",
            Outcome::Rejected => "REJECTED",
        };
        member("status", json!(status));
        if !self.credentials.is_empty() {
            member("credentials", self.credentials.iter().map(CredentialContainer::to_json).collect());
        }
        if let Some(reason) = &self.rejection_reason {
            member("rejectionReason", json!(reason));
        }
        Value::Object(message)
    }
}

impl CredentialContainer {
    fn to_json(&self) -> Value {
        let mut container = Map::new();
        container.insert("credentialType".to_owned(), json!(self.credential_type));
        container.insert("payload".to_owned(), self.payload.clone());
        container.insert("format".to_owned(), json!(self.format));
        Value::Object(container)
    }
}

/// A credential is personal data.
impl std::fmt::Debug for CredentialContainer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CredentialContainer")
            .field("credential_type", &self.credential_type)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

fn read_container<'a>(message: &Reader<'a>, entry: &'a Value) -> Result<CredentialContainer, DcpError> {
    let reader = message.part(entry, "credentials")?;
    let payload = match reader.get("payload") {
        // JSON-LD may come as text.
        Some(Value::String(text)) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).map_err(|_error| reader.bad("payload", "begins like JSON and is none"))?
        }
        Some(payload @ (Value::String(_) | Value::Object(_))) => payload.clone(),
        Some(_) => return Err(reader.bad("payload", "is neither a string nor an object")),
        None => return Err(reader.bad("payload", "is missing")),
    };
    Ok(CredentialContainer {
        credential_type: reader.needed_text("credentialType")?.to_owned(),
        payload,
        format: reader.needed_text("format")?.to_owned(),
    })
}
