//! Why a request to our credential service or issuer service is refused.

use thiserror::Error;

use crate::IdentityError;
use crate::scope::ScopeError;

/// What the HTTP status of a refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 400: the message is not one of the protocol.
    BadRequest,
    /// 401: who asks is not known.
    Unauthorized,
    /// 403: who asks may not.
    Forbidden,
    /// 404: there is no such thing, or none that the one who asks may know of.
    NotFound,
    /// 409: the message does not fit what happened before.
    Conflict,
    /// 501: an optional part of the protocol that is not there.
    NotImplemented,
    /// 503: may be answered later.
    Unavailable,
    /// 500: our fault.
    Internal,
}

impl Refusal {
    /// The HTTP status code.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// A refusal with a stable code and a sentence that holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DcpError {
    refusal: Refusal,
    code: &'static str,
    message: String,
}

impl DcpError {
    pub(crate) fn new(refusal: Refusal, code: &'static str, message: impl Into<String>) -> Self {
        Self { refusal, code, message: message.into() }
    }

    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Refusal::BadRequest, code, message)
    }

    pub(crate) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Refusal::Forbidden, code, message)
    }

    /// The kind of refusal.
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// A stable name of the rule that was not kept.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// Of the token of a request: who asks is not known.
impl From<IdentityError> for DcpError {
    fn from(error: IdentityError) -> Self {
        let refusal = match (error.fault(), error.is_temporary()) {
            (crate::Fault::Us, false) => Refusal::Internal,
            (_, true) => Refusal::Unavailable,
            _ => Refusal::Unauthorized,
        };
        Self::new(refusal, error.code(), error.to_string())
    }
}

impl From<ScopeError> for DcpError {
    fn from(error: ScopeError) -> Self {
        Self::bad(error.code(), error.to_string())
    }
}
