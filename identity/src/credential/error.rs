//! Why a credential or a presentation is refused.

use thiserror::Error;

use crate::Fault;

/// A refusal: a stable code, a sentence that names the rule and the fact, and whose fault it is. It holds no token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CredentialError {
    code: &'static str,
    message: String,
    fault: Fault,
    temporary: bool,
}

impl CredentialError {
    /// The holder presented something that cannot be accepted.
    pub(crate) fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fault: Fault::Caller, temporary: false }
    }

    /// A service that the credential depends on (a DID document, a status list, a schema) did not help; `temporary` when it may
    /// later.
    pub(crate) fn peer(code: &'static str, message: impl Into<String>, temporary: bool) -> Self {
        Self { code, message: message.into(), fault: Fault::Peer, temporary }
    }

    /// Our own fault: a key or a setting of this installation.
    pub(crate) fn ours(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fault: Fault::Us, temporary: false }
    }

    /// A stable name of the rule that was not kept.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Who has to change something.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether the same credential may pass later without anybody changing it.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// The same refusal with words in front, such as which credential it was.
    #[must_use]
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}
