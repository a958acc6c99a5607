//! The entry of a credential that says where its status is found.

use serde_json::{Map, Value, json};
use url::Url;

use crate::credential::CredentialError;

/// Which standard an entry and a list follow. The type of the entry decides, not the profile of the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusKind {
    /// Bitstring Status List 1.0.
    Bitstring,
    /// StatusList2021, working draft of 2023-04-27.
    StatusList2021,
}

impl StatusKind {
    /// The type of the entry in a credential.
    pub fn entry_type(self) -> &'static str {
        match self {
            Self::Bitstring => "BitstringStatusListEntry",
            Self::StatusList2021 => "StatusList2021Entry",
        }
    }

    /// The type of the credential that holds the list.
    pub fn credential_type(self) -> &'static str {
        match self {
            Self::Bitstring => "BitstringStatusListCredential",
            Self::StatusList2021 => "StatusList2021Credential",
        }
    }

    /// The type of the subject of that credential.
    pub fn subject_type(self) -> &'static str {
        match self {
            Self::Bitstring => "BitstringStatusList",
            Self::StatusList2021 => "StatusList2021",
        }
    }
}

/// A status entry (Bitstring Status List 1.0, 2.1; StatusList2021, 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEntry {
    /// The standard.
    pub kind: StatusKind,
    /// What a value other than 0 means: `revocation`, `suspension`, `message`, `refresh`.
    pub purpose: String,
    /// The place in the list, counted in entries.
    pub index: u64,
    /// Bits of one entry, 1 to 32; 1 unless the entry says otherwise.
    pub size: u8,
    /// Where the list is found.
    pub list: Url,
}

impl StatusEntry {
    /// Reads an entry.
    ///
    /// # Errors
    /// `unsupported_status` for a type, purpose or address that is not known here, `bad_status_entry` for members of the wrong form.
    pub fn parse(entry: &Value) -> Result<Self, CredentialError> {
        let bad = |what: &str| CredentialError::refused("bad_status_entry", format!("the status entry has {what}"));
        let unsupported = |what: String| CredentialError::refused("unsupported_status", what);
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let kind = match text("type") {
            Some("BitstringStatusListEntry") => StatusKind::Bitstring,
            Some("StatusList2021Entry") => StatusKind::StatusList2021,
            other => {
                let shown = crate::printable(other.unwrap_or_default());
                return Err(unsupported(format!("status entries of type `{shown}` are not supported here")));
            }
        };
        let purpose = text("statusPurpose").ok_or_else(|| bad("no `statusPurpose`"))?;
        if !["revocation", "suspension", "message", "refresh"].contains(&purpose) {
            let shown = crate::printable(purpose);
            return Err(unsupported(format!("the status purpose `{shown}` is not supported here")));
        }
        let index = match entry.get("statusListIndex") {
            // Digits only: no sign, no space.
            Some(Value::String(digits)) if (1..=15).contains(&digits.len()) => {
                if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
            }
            Some(number) => number.as_u64(),
            None => None,
        };
        let index = index.ok_or_else(|| bad("no `statusListIndex` that is a whole number from 0"))?;
        let size = match (kind, entry.get("statusSize")) {
            (StatusKind::StatusList2021, _) | (StatusKind::Bitstring, None | Some(Value::Null)) => 1,
            (StatusKind::Bitstring, Some(size)) => size
                .as_u64()
                .and_then(|size| u8::try_from(size).ok())
                .filter(|size| (1..=32).contains(size))
                .ok_or_else(|| bad("a `statusSize` that is not 1 to 32"))?,
        };
        let address = text("statusListCredential").ok_or_else(|| bad("no `statusListCredential`"))?;
        let mut list: Url = Some(address)
            .filter(|address| address.len() <= 2048)
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| bad("a `statusListCredential` that is not a URL"))?;
        let plain =
            matches!(list.scheme(), "https" | "http") && list.username().is_empty() && list.password().is_none();
        if !plain {
            return Err(unsupported("a status list is not fetched from anywhere but http(s) addresses".to_owned()));
        }
        list.set_fragment(None);
        Ok(Self { kind, purpose: purpose.to_owned(), index, size, list })
    }

    /// The entry as a credential holds it. Its id is the place in the list.
    pub fn to_value(&self) -> Value {
        let mut entry = Map::new();
        let mut add = |name: &str, value: Value| entry.insert(name.to_owned(), value);
        add("id", json!(format!("{}#{}", self.list, self.index)));
        add("type", json!(self.kind.entry_type()));
        add("statusPurpose", json!(self.purpose));
        add("statusListIndex", json!(self.index.to_string()));
        add("statusListCredential", json!(self.list.as_str()));
        if self.size != 1 {
            add("statusSize", json!(self.size));
        }
        Value::Object(entry)
    }
}
