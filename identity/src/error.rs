//! Why a caller is not known, or why we cannot introduce ourselves.

use thiserror::Error;

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sender of the request.
    Caller,
    /// A service that the caller named or that vouches for it.
    Peer,
    /// We: the configuration or the state of this installation.
    Us,
}

/// A request without a proof of who sent it, or a counter-party that we have no token for.
///
/// Neither the code nor the sentence holds a token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct IdentityError {
    code: &'static str,
    message: String,
    fault: Fault,
    temporary: bool,
}

impl IdentityError {
    pub(crate) fn caller(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fault: Fault::Caller, temporary: false }
    }

    pub(crate) fn us(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fault: Fault::Us, temporary: false }
    }

    /// A stable name of the kind of error, for programs.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Who has to change something.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether the same request may pass later without anybody changing anything, as when a service does not answer.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }
}
