//! Why a body is refused.

use thiserror::Error;

/// A DPS body that cannot be read. The sender is at fault: a server answers 400.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SignalError {
    /// Stable code for machines: `not_an_object`, `missing_member`, `wrong_type`, `bad_value`.
    pub code: &'static str,
    /// A sentence for people that names the member.
    pub message: String,
}

impl SignalError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
