//! Sets of scopes.

use std::collections::BTreeSet;
use std::fmt;

use super::{Operation, Scope, ScopeError};
use crate::credential::Credential;

/// The most scopes of one set.
pub const MAX_SCOPES: usize = 64;

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
        self.0.iter().any(|scope| scope.operation().includes(operation) && scope.selects(credential))
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
