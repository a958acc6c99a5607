//! Messages of the issuer service (DCP 1.0.1, 6.4, 6.7 and 6.8).

use serde_json::{Value, json};

use super::{CredentialObject, DcpError, open, start};

/// `CredentialRequestMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequestMessage {
    /// The holder's id of the request.
    pub holder_pid: String,
    /// The ids of the credentials wanted, as in the issuer's metadata; at least one.
    pub credentials: Vec<String>,
}

impl CredentialRequestMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed_message`.
    pub fn parse(message: &Value) -> Result<Self, DcpError> {
        let reader = open(message, "CredentialRequestMessage")?;
        let holder_pid = reader.needed_text("holderPid")?.to_owned();
        let entries = reader.list("credentials")?.unwrap_or_default();
        if entries.is_empty() {
            return Err(reader.bad("credentials", "is missing or empty"));
        }
        let ids = entries.iter().map(|entry| CredentialObject::read(&reader, entry, "credentials").map(|it| it.id));
        Ok(Self { holder_pid, credentials: ids.collect::<Result<_, _>>()? })
    }

    /// The message.
    pub fn to_json(&self) -> Value {
        let mut message = start("CredentialRequestMessage");
        message.insert("holderPid".to_owned(), json!(self.holder_pid));
        message.insert("credentials".to_owned(), self.credentials.iter().map(|id| json!({"id": id})).collect());
        Value::Object(message)
    }
}

/// `IssuerMetadata`.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerMetadata {
    /// The issuer's DID.
    pub issuer: String,
    /// What it can issue.
    pub credentials_supported: Vec<CredentialObject>,
}

impl IssuerMetadata {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed_message`.
    pub fn parse(message: &Value) -> Result<Self, DcpError> {
        let reader = open(message, "IssuerMetadata")?;
        let issuer = reader.needed_text("issuer")?.to_owned();
        let entries = reader.list("credentialsSupported")?.unwrap_or_default();
        let supported = entries.iter().map(|entry| CredentialObject::read(&reader, entry, "credentialsSupported"));
        Ok(Self { issuer, credentials_supported: supported.collect::<Result<_, _>>()? })
    }

    /// The message.
    pub fn to_json(&self) -> Value {
        let mut message = start("IssuerMetadata");
        let supported = self.credentials_supported.iter().map(CredentialObject::to_json).collect();
        message.insert("issuer".to_owned(), json!(self.issuer));
        message.insert("credentialsSupported".to_owned(), supported);
        Value::Object(message)
    }
}

/// Where a credential request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestStatus {
    /// Not decided, or not delivered.
    Received,
    /// Decided against.
    Rejected,
    /// Delivered.
    Issued,
}

impl RequestStatus {
    /// As it is written in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Rejected => "REJECTED",
            Self::Issued => "ISSUED",
        }
    }
}

/// `CredentialStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialStatus {
    /// The issuer's id of the request.
    pub issuer_pid: String,
    /// The holder's id of the request.
    pub holder_pid: String,
    /// Where it is.
    pub status: RequestStatus,
}

impl CredentialStatus {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed_message`, `unknown_status`.
    pub fn parse(message: &Value) -> Result<Self, DcpError> {
        let reader = open(message, "CredentialStatus")?;
        let status = match reader.needed_text("status")? {
            "RECEIVED" => RequestStatus::Received,
            "REJECTED" => RequestStatus::Rejected,
            "ISSUED" => RequestStatus::Issued,
            other => {
                let shown = crate::printable(other);
                let text = format!("the status `{shown}` is none of `RECEIVED`, `REJECTED`, `ISSUED`");
                return Err(DcpError::bad("unknown_status", text));
            }
        };
        Ok(Self {
            issuer_pid: reader.needed_text("issuerPid")?.to_owned(),
            holder_pid: reader.needed_text("holderPid")?.to_owned(),
            status,
        })
    }

    /// The message.
    pub fn to_json(&self) -> Value {
        let mut message = start("CredentialStatus");
        message.insert("issuerPid".to_owned(), json!(self.issuer_pid));
        message.insert("holderPid".to_owned(), json!(self.holder_pid));
        message.insert("status".to_owned(), json!(self.status.name()));
        Value::Object(message)
    }
}
