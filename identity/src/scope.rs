//! Scopes: which credentials are asked for or granted (DCP 1.0.1, 5.4.1.2).

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

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
/// The most scopes of one set.
pub const MAX_SCOPES: usize = 64;

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

/// A set of scopes, at most [`MAX_SCOPES`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// The set of these.
    ///
    /// # Errors
    /// `too_many_scopes`.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ScopeError> {
        let mut set = BTreeSet::new();
        for scope in scopes {
            set.insert(scope);
            if set.len() > MAX_SCOPES {
                return Err(ScopeError::new("too_many_scopes", format!("more than {MAX_SCOPES} scopes at once")));
            }
        }
        Ok(Self(set))
    }

    /// Reads a list of scopes.
    ///
    /// # Errors
    /// `too_many_scopes`, or the error of the first scope that cannot be read.
    pub fn parse_each<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        // One more than allowed is enough to see that they are too many, however often one is repeated.
        let texts: Vec<&str> = texts.into_iter().take(MAX_SCOPES.saturating_add(1)).collect();
        if texts.len() > MAX_SCOPES {
            return Err(ScopeError::new("too_many_scopes", format!("more than {MAX_SCOPES} scopes at once")));
        }
        Self::new(texts.into_iter().map(str::parse).collect::<Result<Vec<Scope>, _>>()?)
    }

    /// Reads scopes with spaces between them (RFC 6749, 3.3).
    ///
    /// # Errors
    /// As [`Scopes::parse_each`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::parse_each(text.split_ascii_whitespace())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The scopes, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether one of them covers this scope.
    pub fn covers(&self, scope: &Scope) -> bool {
        self.0.iter().any(|granted| granted.covers(scope))
    }

    /// Those that no scope of the other set covers.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|scope| !other.covers(scope)).cloned().collect())
    }

    /// Those of both sets.
    ///
    /// # Errors
    /// `too_many_scopes`.
    pub fn union(&self, other: &Self) -> Result<Self, ScopeError> {
        Self::new(self.0.union(&other.0).cloned())
    }

    /// Whether one of them with this operation is about the credential.
    pub fn select(&self, credential: &Credential, operation: Operation) -> bool {
        self.0.iter().any(|scope| scope.operation.includes(operation) && scope.selects(credential))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(formatter, "{space}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let table = [
            ("org.eclipse.dspace.dcp.vc.type:Member", Selector::Type("Member".into()), Operation::Read),
            ("org.eclipse.dspace.dcp.vc.type:Member:read", Selector::Type("Member".into()), Operation::Read),
            ("org.eclipse.dspace.dcp.vc.type:Member:write", Selector::Type("Member".into()), Operation::Write),
            ("org.eclipse.dspace.dcp.vc.type:Member:*", Selector::Type("Member".into()), Operation::All),
            ("org.eclipse.edc.vc.type:Member:read", Selector::Type("Member".into()), Operation::Read),
            ("org.eclipse.dspace.dcp.vc.id:urn:uuid:1:read", Selector::Id("urn:uuid:1".into()), Operation::Read),
            (
                "org.eclipse.dspace.dcp.vc.type:https://x.example/v#Member",
                Selector::Type("https://x.example/v#Member".into()),
                Operation::Read,
            ),
        ];
        for (text, selector, operation) in table {
            let scope: Scope = text.parse().unwrap();
            assert_eq!((scope.selector(), scope.operation()), (&selector, operation), "{text}");
            assert_eq!(scope.to_string(), text);
        }
    }

    #[test]
    fn refuses() {
        let long = format!("{TYPE_ALIAS}:{}", "x".repeat(MAX_SCOPE));
        let table = [
            ("", "malformed_scope"),
            ("Member", "malformed_scope"),
            ("org.eclipse.dspace.dcp.vc.type:", "malformed_scope"),
            ("org.eclipse.dspace.dcp.vc.type::read", "malformed_scope"),
            ("org.eclipse.dspace.dcp.vc.type:a b", "malformed_scope"),
            ("org.eclipse.dspace.dcp.vc.type:a\n", "malformed_scope"),
            (long.as_str(), "malformed_scope"),
            ("org.example.alias:Member", "unknown_scope_alias"),
        ];
        for (text, code) in table {
            assert_eq!(text.parse::<Scope>().unwrap_err().code(), code, "{text}");
        }
        let same = vec![format!("{TYPE_ALIAS}:A"); MAX_SCOPES + 1].join(" ");
        assert_eq!(Scopes::parse(&same).unwrap_err().code(), "too_many_scopes");
        let half = |prefix: &str| {
            Scopes::new((0..40).map(|number| Scope::read_type(&format!("{prefix}{number}")).unwrap())).unwrap()
        };
        assert_eq!(half("a").union(&half("b")).unwrap_err().code(), "too_many_scopes");
    }

    #[test]
    fn covering_and_sets() {
        let scopes = |text: &str| Scopes::parse(text).unwrap();
        let read = Scope::read_type("A").unwrap();
        let write = Scope::write_type("A").unwrap();
        assert!(!read.covers(&write) && !write.covers(&read));
        assert!(scopes("org.eclipse.edc.vc.type:A:*").covers(&read));
        assert!(!scopes("org.eclipse.dspace.dcp.vc.id:A").covers(&read));
        assert_eq!(scopes("org.eclipse.edc.vc.type:A"), scopes("org.eclipse.dspace.dcp.vc.type:A:read"));
        let both = scopes("org.eclipse.edc.vc.type:A org.eclipse.edc.vc.type:B");
        let one = scopes("org.eclipse.edc.vc.type:B:*");
        assert_eq!(both.without(&one), scopes("org.eclipse.edc.vc.type:A"));
        assert_eq!(both.union(&one).unwrap().len(), 3);
        assert_eq!(scopes("").to_string(), "");
        assert_eq!(both.to_string(), "org.eclipse.edc.vc.type:A org.eclipse.edc.vc.type:B");
    }
}
