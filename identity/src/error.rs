//! Why somebody is not believed.

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sender of the request.
    Caller,
    /// A service that the sender's proof depends on.
    Peer,
    /// Our own configuration.
    Us,
}

/// Why a sender is not believed, or why we cannot introduce ourselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IdentityError {
    code: &'static str,
    message: String,
    fault: Fault,
    temporary: bool,
}

impl IdentityError {
    pub(crate) fn new(code: &'static str, fault: Fault, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fault, temporary: false }
    }

    /// Stable machine code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Who has to act.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }
}
