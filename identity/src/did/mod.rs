//! Decentralized Identifiers (W3C DID Core 1.0): names, documents, and how documents are found.

mod document;
mod key_methods;
mod own;
mod resolver;
#[cfg(test)]
mod tests;
mod web;

use std::fmt;
use std::str::FromStr;

pub use document::{DidDocument, Relationship, Service, VerificationMethod};
pub use own::{OwnService, own_document};
pub use resolver::{DidResolver, DidSettings};
pub use web::document_url;

use thiserror::Error;

/// Longest DID or DID URL, in bytes.
const MAX_DID: usize = 2048;

/// Why a DID or its document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DidError {
    code: &'static str,
    message: String,
    temporary: bool,
}

impl DidError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), temporary: false }
    }

    pub(crate) fn temporary(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), temporary: true }
    }

    /// A stable name: `malformed_did`, `unsupported_did_method`, `did_unreachable`, `did_not_found`, `bad_did_document`,
    /// `did_mismatch`, `forbidden_address`, `unknown_key`, `ambiguous_key`, `key_not_allowed`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Whether the same question may be answered later.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }
}

/// A DID without path, query and fragment: `did:METHOD:ID` (DID Core, 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did(String);

impl Did {
    /// The whole DID.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The method: `web`, `key`, `jwk`.
    pub fn method(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// What comes after the method.
    pub fn method_specific_id(&self) -> &str {
        self.0.splitn(3, ':').nth(2).unwrap_or_default()
    }
}

impl fmt::Display for Did {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Did {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let malformed = || DidError::new("malformed_did", format!("`{}` is not a DID", crate::printable(text)));
        if text.len() > MAX_DID {
            return Err(malformed());
        }
        let mut parts = text.splitn(3, ':');
        let (scheme, method, id) = (parts.next(), parts.next(), parts.next());
        let (Some("did"), Some(method), Some(id)) = (scheme, method, id) else { return Err(malformed()) };
        let method_ok =
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let id_ok = !id.is_empty()
            && !id.ends_with(':')
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte));
        if method_ok && id_ok { Ok(Self(text.to_owned())) } else { Err(malformed()) }
    }
}

/// A DID URL that names a part of a document: a DID and a fragment (DID Core, 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DidUrl {
    did: Did,
    fragment: String,
}

impl DidUrl {
    /// Reads an absolute DID URL with a fragment, and nothing else behind the DID.
    ///
    /// # Errors
    /// `malformed_did`.
    pub fn parse(text: &str) -> Result<Self, DidError> {
        let malformed = || {
            let shown = crate::printable(text);
            DidError::new("malformed_did", format!("`{shown}` is not a DID and `#` and the name of a key"))
        };
        let (did, fragment) = text.split_once('#').ok_or_else(malformed)?;
        let did = did.parse()?;
        let fits = (1..=1024).contains(&fragment.len()) && fragment.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self { did, fragment: fragment.to_owned() }) } else { Err(malformed()) }
    }

    /// Reads a DID URL, or a relative one (`#key-1`) below a DID.
    ///
    /// # Errors
    /// `malformed_did`.
    pub fn resolve(base: &Did, text: &str) -> Result<Self, DidError> {
        if text.starts_with('#') { Self::parse(&format!("{base}{text}")) } else { Self::parse(text) }
    }

    /// The DID part.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The part after `#`.
    pub fn fragment(&self) -> &str {
        &self.fragment
    }
}

impl fmt::Display for DidUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.did, self.fragment)
    }
}
