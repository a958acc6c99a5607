//! Scopes: which credentials are asked for or granted (DCP 1.0.1, 5.4.1.2).

mod set;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

pub use set::{MAX_SCOPES, Scopes};

use thiserror::Error;

use crate::credential::Credential;

/// The alias for credentials of a type.
pub const TYPE_ALIAS: &str = "org.eclipse.dspace.dcp.vc.type";
/// The alias for one credential by its id.
pub const ID_ALIAS: &str = "org.eclipse.dspace.dcp.vc.id";
/// What peers older than DCP 1.0 write instead of [`TYPE_ALIAS`].
const OLD_TYPE_ALIAS: &str = "org.eclipse.edc.vc.type";

/// Longest scope, in bytes.
const MAX_SCOPE: usize = 1024;

/// Why a scope cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ScopeError {
    code: &'static str,
    message: String,
}

impl ScopeError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A stable name: `malformed_scope`, `unknown_scope_alias`, `too_many_scopes`.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// Which credentials a scope is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// All of a type; the name is compared as it is written.
    Type(String),
    /// The one with this id.
    Id(String),
}

/// What may be done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Have them presented. A scope without an operation means this one.
    Read,
    /// Store them with the holder.
    Write,
    /// Both.
    All,
}

impl Operation {
    fn suffix(self) -> &'static str {
        match self {
            Self::Read => ":read",
            Self::Write => ":write",
            Self::All => ":*",
        }
    }

    fn includes(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

/// A scope: `ALIAS:DISCRIMINATOR` or `ALIAS:DISCRIMINATOR:OPERATION`.
///
/// Scopes are equal when they mean the same, however they were written; they are printed as they were read.
#[derive(Clone, Debug)]
pub struct Scope {
    selector: Selector,
    operation: Operation,
    text: String,
}

impl Scope {
    /// The scope to read credentials of a type.
    ///
    /// # Errors
    /// `malformed_scope` when the name is empty, too long or has spaces.
    pub fn read_type(name: &str) -> Result<Self, ScopeError> {
        format!("{TYPE_ALIAS}:{name}{}", Operation::Read.suffix()).parse()
    }

    /// The scope to store credentials of a type.
    ///
    /// # Errors
    /// As [`Scope::read_type`].
    pub fn write_type(name: &str) -> Result<Self, ScopeError> {
        format!("{TYPE_ALIAS}:{name}{}", Operation::Write.suffix()).parse()
    }

    /// Which credentials it is about.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// What may be done with them.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The scope as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether who has this scope may do what the other one asks.
    pub fn covers(&self, other: &Self) -> bool {
        self.selector == other.selector && self.operation.includes(other.operation)
    }

    /// Whether it is about this credential.
    pub fn selects(&self, credential: &Credential) -> bool {
        match &self.selector {
            Selector::Type(name) => credential.types.contains(name),
            Selector::Id(id) => credential.id.as_ref() == Some(id),
        }
    }

    fn key(&self) -> (&Selector, Operation) {
        (&self.selector, self.operation)
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let shown = crate::printable(text);
        let malformed =
            || ScopeError::new("malformed_scope", format!("the scope `{shown}` is not an alias, `:` and a name"));
        if text.len() > MAX_SCOPE || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed());
        }
        let (alias, rest) = text.split_once(':').ok_or_else(malformed)?;
        // The name may be an IRI with colons of its own, so the operation is looked for at the end.
        let (name, operation) = [Operation::Read, Operation::Write, Operation::All]
            .into_iter()
            .find_map(|operation| Some((rest.strip_suffix(operation.suffix())?, operation)))
            .unwrap_or((rest, Operation::Read));
        if name.is_empty() {
            return Err(malformed());
        }
        let selector = match alias {
            TYPE_ALIAS | OLD_TYPE_ALIAS => Selector::Type(name.to_owned()),
            ID_ALIAS => Selector::Id(name.to_owned()),
            _ => {
                let text = format!(
                    "the scope `{shown}` has an alias that is not known here; known are `{TYPE_ALIAS}` and `{ID_ALIAS}`"
                );
                return Err(ScopeError::new("unknown_scope_alias", text));
            }
        };
        Ok(Self { selector, operation, text: text.to_owned() })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Scope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scope {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
