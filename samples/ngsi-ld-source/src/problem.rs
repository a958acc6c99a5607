//! Errors as NGSI-LD answers them (GS CIM 009, clause 5.5.2 and 6.3.2): RFC 7807 problem details with a fixed type.

use serde_json::{Value, json};

/// The error types of the standard that this source can answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request, its parameters or its body are wrong.
    BadRequestData,
    /// A parameter or one of its values is not known to this operation.
    InvalidRequest,
    /// The request names a context that this source does not hold; it never fetches one.
    LdContextNotAvailable,
    /// The entity, type or attribute does not exist.
    ResourceNotFound,
    /// There is an entity of this id.
    AlreadyExists,
    /// The tenant does not exist.
    NonexistentTenant,
    /// The operation is part of NGSI-LD, but not of this test source.
    OperationNotSupported,
    /// The credentials in `Authorization` are missing or wrong; not part of the standard.
    Unauthorized,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No media type of `Accept` can be served.
    NotAcceptable,
    /// The body's media type cannot be read.
    UnsupportedMediaType,
    /// The request came here before (clause 6.3.18).
    LoopDetected,
}

impl ProblemKind {
    /// The HTTP status of this kind.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequestData | Self::InvalidRequest => 400,
            Self::Unauthorized => 401,
            Self::ResourceNotFound | Self::NonexistentTenant => 404,
            Self::MethodNotAllowed => 405,
            Self::AlreadyExists => 409,
            Self::NotAcceptable => 406,
            Self::UnsupportedMediaType => 415,
            Self::OperationNotSupported => 422,
            Self::LdContextNotAvailable => 504,
            Self::LoopDetected => 508,
        }
    }

    /// The problem's `type`; HTTP-only errors have no URI in the standard.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::BadRequestData => "https://uri.etsi.org/ngsi-ld/errors/BadRequestData",
            Self::InvalidRequest => "https://uri.etsi.org/ngsi-ld/errors/InvalidRequest",
            Self::LdContextNotAvailable => "https://uri.etsi.org/ngsi-ld/errors/LdContextNotAvailable",
            Self::ResourceNotFound => "https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound",
            Self::AlreadyExists => "https://uri.etsi.org/ngsi-ld/errors/AlreadyExists",
            Self::NonexistentTenant => "https://uri.etsi.org/ngsi-ld/errors/NonexistentTenant",
            Self::OperationNotSupported => "https://uri.etsi.org/ngsi-ld/errors/OperationNotSupported",
            Self::Unauthorized
            | Self::MethodNotAllowed
            | Self::NotAcceptable
            | Self::UnsupportedMediaType
            | Self::LoopDetected => "about:blank",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::BadRequestData => "the request is not valid",
            Self::InvalidRequest => "the request has a parameter that this operation does not know",
            Self::LdContextNotAvailable => "the context is not available",
            Self::ResourceNotFound => "the resource does not exist",
            Self::AlreadyExists => "there is an entity of this id",
            Self::NonexistentTenant => "the tenant does not exist",
            Self::OperationNotSupported => "this test source does not support the operation",
            Self::Unauthorized => "the request is not authorised",
            Self::MethodNotAllowed => "the method is not allowed here",
            Self::NotAcceptable => "no media type of `Accept` can be served",
            Self::LoopDetected => "the request goes in a circle",
            Self::UnsupportedMediaType => "the media type of the body cannot be read",
        }
    }
}

/// An answer that says what is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
}

impl Problem {
    /// A problem of `kind`; `detail` is one sentence for people.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// A [`ProblemKind::BadRequestData`].
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::BadRequestData, detail)
    }

    /// A [`ProblemKind::OperationNotSupported`].
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::OperationNotSupported, detail)
    }

    /// The kind, which gives status and type.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The body: `type`, `title`, `detail`, `status`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({
            "type": self.kind.uri(),
            "title": self.kind.title(),
            "detail": self.detail,
            "status": self.kind.status(),
        })
    }
}
