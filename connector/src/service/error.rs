//! Why a call was refused or failed: a machine code, a sentence, who is at fault, and the rule and the fact if a policy
//! decided. The HTTP layers turn it into a DSP error object or an RFC 9457 problem.

use identity::dcp::{DcpError, Refusal};

use crate::store::StoreError;

/// What kind of failure it is; decides the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request is malformed or not allowed in the present state of a DSP process.
    BadRequest,
    /// No valid credentials.
    Unauthorized,
    /// Known, but not allowed.
    Forbidden,
    /// Nothing like that for this caller.
    NotFound,
    /// A command that the present state does not allow, or an id that is taken.
    Conflict,
    /// More than a limit allows.
    TooLarge,
    /// A peer or another service answered badly or not at all.
    BadGateway,
    /// We cannot do it at the moment.
    Unavailable,
    /// A fault of ours.
    Internal,
    /// An optional part of a protocol that is not there.
    NotImplemented,
}

impl Kind {
    /// HTTP status code.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
        }
    }
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The caller of this request.
    Caller,
    /// The counter-party or its connector.
    Peer,
    /// This installation.
    Us,
    /// Its operator's settings.
    Operator,
}

impl Fault {
    /// The word used in problems.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Peer => "peer",
            Self::Us => "us",
            Self::Operator => "operator",
        }
    }
}

/// Code of a failure that passes: the step is tried again.
pub(crate) const RETRYING: &str = "delivery_retrying";

/// Code of a refusal that leaves the process where it was: it stands until the next step succeeds.
pub(crate) const REFUSED: &str = "step_refused";

/// A refusal or failure, ready to be shown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ServiceError {
    /// Kind, for the HTTP status.
    pub kind: Kind,
    /// Who has to act.
    pub fault: Fault,
    /// Stable machine code.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
    /// The rule that decided, when one did.
    pub rule: Option<String>,
    /// The fact that it decided by.
    pub fact: Option<String>,
    /// Where in what the caller sent: a JSON pointer.
    pub pointer: Option<String>,
}

impl ServiceError {
    fn new(kind: Kind, fault: Fault, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, fault, code, message: message.into(), rule: None, fact: None, pointer: None }
    }

    /// 400, the caller's fault.
    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, Fault::Caller, code, message)
    }

    /// 404, the caller's fault.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, Fault::Caller, "not_found", message)
    }

    /// 409, the caller's fault.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, Fault::Caller, code, message)
    }

    /// 401, the caller's fault.
    pub(crate) fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthorized, Fault::Caller, code, message)
    }

    /// 413, the caller's fault.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, Fault::Caller, "too_large", message)
    }

    /// 502: the peer answered badly or not at all.
    pub(crate) fn peer(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::BadGateway, Fault::Peer, code, message)
    }

    /// 409 because a setting is missing or wrong.
    pub(crate) fn operator(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, Fault::Operator, code, message)
    }

    /// 503: we cannot at the moment.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, Fault::Us, code, message)
    }

    /// 500: a fault of ours. The details go to the log, not to the caller.
    pub(crate) fn internal(detail: impl std::fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new(Kind::Internal, Fault::Us, "internal", "an internal error; the log has the details")
    }

    /// The same failure as a passing one, shown while it is tried again.
    #[must_use]
    pub(crate) fn retrying(mut self) -> Self {
        self.message = format!("{}; it is tried again", self.message);
        self.code = RETRYING;
        self
    }

    /// Adds the place in what the caller sent, as a JSON pointer.
    #[must_use]
    pub(crate) fn at(mut self, pointer: String) -> Self {
        self.pointer = Some(pointer);
        self
    }

    /// Adds the rule and the fact that decided.
    #[must_use]
    pub(crate) fn because(mut self, rule: Option<String>, fact: Option<String>) -> Self {
        self.rule = rule;
        self.fact = fact;
        self
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadQuery(message) => Self::bad_request("bad_query", message),
            StoreError::Exists(id) => Self::conflict("exists", format!("`{id}` exists already")),
            StoreError::Closed => Self::unavailable("stopping", "the connector is stopping"),
            StoreError::Database(detail) => Self::internal(detail),
        }
    }
}

impl From<DcpError> for ServiceError {
    fn from(error: DcpError) -> Self {
        let (kind, fault) = match error.refusal() {
            Refusal::BadRequest => (Kind::BadRequest, Fault::Caller),
            Refusal::Unauthorized => (Kind::Unauthorized, Fault::Caller),
            Refusal::Forbidden => (Kind::Forbidden, Fault::Caller),
            Refusal::NotFound => (Kind::NotFound, Fault::Caller),
            Refusal::Conflict => (Kind::Conflict, Fault::Caller),
            Refusal::NotImplemented => (Kind::NotImplemented, Fault::Us),
            Refusal::Unavailable => (Kind::Unavailable, Fault::Us),
            Refusal::Internal => (Kind::Internal, Fault::Us),
        };
        Self::new(kind, fault, error.code(), error.to_string())
    }
}

impl From<sea_orm::DbErr> for ServiceError {
    fn from(error: sea_orm::DbErr) -> Self {
        StoreError::from(error).into()
    }
}

/// Result of a service call.
pub(crate) type ServiceResult<T> = Result<T, ServiceError>;
