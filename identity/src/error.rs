//! Why a caller is not known, or why we cannot introduce ourselves.

use thiserror::Error;

use crate::credential::CredentialError;
use crate::did::DidError;

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

    /// A service of the caller's, or one that vouches for it, did not help; `temporary` when it may later.
    pub(crate) fn peer(code: &'static str, message: impl Into<String>, temporary: bool) -> Self {
        Self { code, message: message.into(), fault: Fault::Peer, temporary }
    }

    pub(crate) fn us(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fault: Fault::Us, temporary: false }
    }

    /// The same error, which may pass later.
    #[must_use]
    pub(crate) fn for_now(mut self) -> Self {
        self.temporary = true;
        self
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

/// Of a document that somebody else named. A temporary failure is one of the server that should have answered.
impl From<DidError> for IdentityError {
    fn from(error: DidError) -> Self {
        let fault = if error.is_temporary() { Fault::Peer } else { Fault::Caller };
        Self { code: error.code(), message: error.to_string(), fault, temporary: error.is_temporary() }
    }
}

impl From<CredentialError> for IdentityError {
    fn from(error: CredentialError) -> Self {
        Self { code: error.code(), message: error.to_string(), fault: error.fault(), temporary: error.is_temporary() }
    }
}
