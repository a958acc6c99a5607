//! Why a policy is not usable.

use serde::Serialize;

/// A policy, or one member of it, that is not understood.
///
/// A policy with such a member is not used at all: a provider does not publish it, a consumer does not accept it.
/// Leaving the member out would change what the other side meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct PolicyError {
    /// Stable code in snake case, for example `left_operand_unknown`.
    pub code: &'static str,
    /// The rule, for example `permission p0`; `None` when the policy as a whole is meant.
    pub rule: Option<String>,
    /// Path of the member inside the rule, for example `constraint[0].leftOperand`; empty for the whole.
    pub member: String,
    /// JSON pointer (RFC 6901) to the place in the document as it was given; empty for the whole.
    pub pointer: String,
    /// What is wrong with it; lower case, without a final period.
    pub message: String,
}

impl PolicyError {
    pub(crate) fn new(code: &'static str, at: &At, message: impl Into<String>) -> Self {
        let (rule, member, pointer) = (at.rule.clone(), at.path.clone(), at.pointer.clone());
        Self { code, rule, member, pointer, message: message.into() }
    }

    fn sentence(&self) -> String {
        let place = match (&self.rule, self.member.is_empty()) {
            (Some(rule), false) => format!("{rule}, `{}`: ", self.member),
            (Some(rule), true) => format!("{rule}: "),
            (None, false) => format!("policy, `{}`: ", self.member),
            (None, true) => "policy: ".to_owned(),
        };
        place + &self.message
    }
}

/// Where in a policy the parser is.
#[derive(Clone, Debug, Default)]
pub(crate) struct At {
    rule: Option<String>,
    path: String,
    pointer: String,
}

impl At {
    /// A rule, which stands at this pointer.
    pub(crate) fn rule(label: &str, pointer: String) -> Self {
        Self { rule: Some(label.to_owned()), path: String::new(), pointer }
    }

    /// A place of which only the pointer is known.
    pub(crate) fn pointer(pointer: &str) -> Self {
        Self { rule: None, path: String::new(), pointer: pointer.to_owned() }
    }

    /// This place under another name.
    pub(crate) fn named(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    pub(crate) fn as_pointer(&self) -> &str {
        &self.pointer
    }

    pub(crate) fn to_pointer(&self) -> String {
        self.pointer.clone()
    }

    pub(crate) fn member(&self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            rule: self.rule.clone(),
            path: format!("{}{dot}{name}", self.path),
            pointer: format!("{}/{}", self.pointer, pointer_step(name)),
        }
    }

    pub(crate) fn item(&self, index: usize) -> Self {
        Self {
            rule: self.rule.clone(),
            path: format!("{}[{index}]", self.path),
            pointer: format!("{}/{index}", self.pointer),
        }
    }
}

/// One step of a JSON pointer (RFC 6901, 3).
pub(crate) fn pointer_step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
