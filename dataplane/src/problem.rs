//! Answers that say no: RFC 9457 problem details with a code, and whose fault it is.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use dps_signaling::{Illegal, SignalError};
use policy_plan::Refusal;
use serde_json::{Map, Value};

/// Who has to change something before the same request can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The one who sent the request.
    Caller,
    /// The source behind us.
    Source,
    /// The partner behind us.
    Peer,
    /// This program.
    Us,
    /// Whoever configured this data plane.
    Operator,
}

impl Fault {
    fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Source => "source",
            Self::Peer => "peer",
            Self::Us => "us",
            Self::Operator => "operator",
        }
    }
}

/// A refusal or failure as it leaves the data plane. It never holds secrets or addresses behind the data plane.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    fault: Fault,
    rule: Option<String>,
    fact: Option<String>,
    header: Option<(header::HeaderName, header::HeaderValue)>,
    ngsi_ld: bool,
}

impl Problem {
    /// A problem with a stable code and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, fault: Fault, detail: impl Into<String>) -> Self {
        let (detail, rule, fact, header) = (detail.into(), None, None, None);
        Self(Box::new(Parts { status, code, detail, fault, rule, fact, header, ngsi_ld: false }))
    }

    /// 400: the request cannot be read or does not fit.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, Fault::Caller, detail)
    }

    /// 401: no token, or one that is not valid here. Both look the same from outside.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "token_not_valid", Fault::Caller, detail);
        problem.0.header = Some((header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer")));
        problem
    }

    /// 404: there is no such thing.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, Fault::Caller, detail)
    }

    /// 405 with the methods that are admitted.
    pub fn method_not_allowed(allow: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_admitted", Fault::Caller, detail);
        problem.0.header = header::HeaderValue::from_str(allow).ok().map(|value| (header::ALLOW, value));
        problem
    }

    /// 500 without detail for the caller; the reason goes to the log.
    pub fn internal(reason: &dyn fmt::Display) -> Self {
        tracing::error!(%reason, "request failed inside the data plane");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", Fault::Us, "the data plane failed; see its log")
    }

    /// What a failure to write means: 507 where there is no room, which the operator makes, else 500.
    pub fn not_written(error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if !matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            return Self::internal(error);
        }
        Self::no_room(error)
    }

    /// 507: the disk is full.
    pub fn no_room(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "there is no room to write");
        let detail = "there is no room to keep this";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "no_room", Fault::Operator, detail)
    }

    /// 502: an answer cannot be filtered, so nothing of it passes. A context that is not listed is for the operator to list.
    pub fn unreadable(fault: &ngsi_ld_filter::Fault) -> Self {
        let whose = if fault.code.starts_with("context_") { Fault::Operator } else { Fault::Source };
        Self::new(StatusCode::BAD_GATEWAY, fault.code, whose, fault.message.clone())
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Says more.
    pub fn with_detail(mut self, more: &str) -> Self {
        self.0.detail = format!("{}; {more}", self.0.detail);
        self
    }

    /// Adds a response header.
    pub fn with_header(mut self, name: header::HeaderName, value: header::HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// The same in the form that NGSI-LD gives to errors (ETSI GS CIM 009, 5.5.3 and 6.3.2).
    #[must_use]
    pub fn of_ngsi_ld(mut self) -> Self {
        self.0.ngsi_ld = true;
        self
    }

    /// The kind of error: our own, or the nearest of NGSI-LD, whose clients know no others.
    fn kind(&self) -> String {
        if !self.0.ngsi_ld {
            return format!("urn:hansa:problem:{}", self.0.code);
        }
        let name = match (self.0.status.as_u16(), self.0.code) {
            (_, "context_not_admitted" | "context_unknown") => "LdContextNotAvailable",
            (_, "too_many_entities" | "page_too_large") => "TooManyResults",
            (404, "unknown_transfer" | "no_running_transfer") => "NonexistentTenant",
            (404, _) => "ResourceNotFound",
            (409, "entity_exists") => "AlreadyExists",
            (400, "path_not_safe" | "query_not_safe") | (411 | 413 | 414 | 415, _) => "InvalidRequest",
            (400, _) => "BadRequestData",
            (500.., _) => "InternalError",
            _ => "OperationNotSupported",
        };
        format!("https://uri.etsi.org/ngsi-ld/errors/{name}")
    }

    fn body(&self) -> Value {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
        put("type", self.kind().into());
        put("title", self.0.status.canonical_reason().unwrap_or("error").into());
        put("status", self.0.status.as_u16().into());
        put("detail", self.0.detail.clone().into());
        put("code", self.0.code.into());
        if let Some(rule) = &self.0.rule {
            put("rule", rule.clone().into());
        }
        if let Some(fact) = &self.0.fact {
            put("fact", fact.clone().into());
        }
        put("fault", self.0.fault.as_str().into());
        Value::Object(map)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.code, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut builder = HttpResponse::build(self.0.status);
        let media = if self.0.ngsi_ld { "application/json" } else { "application/problem+json" };
        builder.insert_header((header::CONTENT_TYPE, media));
        builder.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(pair) = &self.0.header {
            builder.insert_header(pair.clone());
        }
        builder.body(self.body().to_string())
    }
}

/// What the plan refuses: 405 for the method, 400 for what cannot be read, else 403.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            "method_not_admitted" => StatusCode::METHOD_NOT_ALLOWED,
            "path_not_safe" | "query_not_safe" | "body_not_readable" | "context_misplaced" => StatusCode::BAD_REQUEST,
            "content_type_not_admitted" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "body_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_long" => StatusCode::URI_TOO_LONG,
            _ => StatusCode::FORBIDDEN,
        };
        let mut problem = Self::new(status, refusal.code, Fault::Caller, refusal.message);
        problem.0.rule = refusal.rule;
        problem.0.fact = refusal.fact;
        problem
    }
}

impl From<SignalError> for Problem {
    fn from(error: SignalError) -> Self {
        Self::bad_request(error.code, error.message)
    }
}

impl From<Illegal> for Problem {
    fn from(illegal: Illegal) -> Self {
        match illegal.state {
            Some(_) => Self::bad_request("wrong_state", illegal.to_string()),
            None => Self::not_found("unknown_flow", illegal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_code_fault_rule_and_fact() {
        let refusal = Refusal {
            code: "policy_denies",
            message: "the agreement does not allow this".into(),
            rule: Some("before noon".into()),
            fact: Some("13:00".into()),
        };
        let problem = Problem::from(refusal);
        assert_eq!(problem.status(), StatusCode::FORBIDDEN);
        let body = problem.body();
        assert_eq!(body["code"], "policy_denies");
        assert_eq!(body["rule"], "before noon");
        assert_eq!(body["fact"], "13:00");
        assert_eq!(body["fault"], "caller");
        assert_eq!(body["status"], 403);
    }

    #[test]
    fn errors_on_roads_of_ngsi_ld_have_its_form() {
        for (status, code, kind) in [
            (404, "no_such_entity", "ResourceNotFound"),
            (404, "no_running_transfer", "NonexistentTenant"),
            (400, "body_not_readable", "BadRequestData"),
            (409, "entity_exists", "AlreadyExists"),
            (400, "query_not_safe", "InvalidRequest"),
            (415, "content_type_not_admitted", "InvalidRequest"),
            (403, "context_not_admitted", "LdContextNotAvailable"),
            (403, "policy_denies", "OperationNotSupported"),
            (405, "method_not_admitted", "OperationNotSupported"),
            (502, "source_failed", "InternalError"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let problem = Problem::new(status, code, Fault::Caller, "x").of_ngsi_ld();
            assert_eq!(problem.body()["type"], format!("https://uri.etsi.org/ngsi-ld/errors/{kind}"), "{code}");
            assert_eq!(problem.body()["code"], code);
            let response = problem.error_response();
            assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "application/json");
        }
    }

    #[test]
    fn statuses_of_refusals() {
        for (code, status) in [
            ("method_not_admitted", 405),
            ("path_not_safe", 400),
            ("path_not_admitted", 403),
            ("query_not_safe", 400),
            ("query_not_admitted", 403),
            ("request_too_long", 414),
        ] {
            let refusal = Refusal { code, message: String::new(), rule: None, fact: None };
            assert_eq!(Problem::from(refusal).status().as_u16(), status, "{code}");
        }
    }
}
