//! Errors of the management API: RFC 9457 problem details.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::{Fault, Kind, ServiceError};

/// Media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Longest text in a problem, in characters.
const LONGEST_TEXT: usize = 500;

/// An error on its way to the caller.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: Box<ServiceError>,
    allow: Option<String>,
}

impl Problem {
    /// 405, with the methods that there are.
    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let message = format!("this resource knows only {allow}");
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            error: Box::new(ServiceError::bad_request("method_not_allowed", message)),
            allow: Some(allow),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, error: Box::new(error), allow: None }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.error.message)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        response.content_type(PROBLEM_JSON);
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        match self.error.kind {
            Kind::Unauthorized => {
                response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
            }
            Kind::Unavailable => {
                response.insert_header((header::RETRY_AFTER, HeaderValue::from_static("1")));
            }
            _ => {}
        }
        let document = ProblemDocument::new(self.status, &self.error);
        match serde_json::to_string(&document) {
            Ok(text) => response.body(text),
            Err(_) => response.finish(),
        }
    }
}

/// Why a request was refused (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:hansa:problem:unknown_reference",
    "title": "Bad Request",
    "status": 400,
    "detail": "`policyId`: there is no policy `open`",
    "code": "unknown_reference",
    "fault": "caller"
}))]
pub(crate) struct ProblemDocument {
    /// The kind of problem: `urn:hansa:problem:` and the code.
    #[serde(rename = "type")]
    problem_type: String,
    /// What the status means.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// One sentence for people.
    detail: String,
    /// Stable machine code.
    code: &'static str,
    /// The rule that decided, when a policy did.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The fact that it decided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<String>,
    /// Where in a policy that was sent: a JSON pointer (RFC 6901), empty for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// Who has to act.
    #[schema(inline)]
    fault: FaultName,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FaultName {
    Caller,
    Peer,
    Us,
    Operator,
}

impl From<Fault> for FaultName {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Caller => Self::Caller,
            Fault::Peer => Self::Peer,
            Fault::Us => Self::Us,
            Fault::Operator => Self::Operator,
        }
    }
}

impl ProblemDocument {
    fn new(status: StatusCode, error: &ServiceError) -> Self {
        Self {
            problem_type: format!("urn:hansa:problem:{}", error.code),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: shown(&error.message),
            code: error.code,
            rule: error.rule.as_deref().map(shown),
            fact: error.fact.as_deref().map(shown),
            pointer: error.pointer.as_deref().map(shown),
            fault: error.fault.into(),
        }
    }
}

/// A text of bounded length: sentences may repeat what the caller sent.
fn shown(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn shown(problem: Problem) -> (u16, Value, actix_web::http::header::HeaderMap) {
        let response = problem.error_response();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap(), headers)
    }

    #[actix_web::test]
    async fn a_problem_says_everything_once() {
        let error = ServiceError::bad_request("policy_denied", "no").because(Some("p0".into()), Some("x is y".into()));
        let (status, body, headers) = shown(error.into()).await;
        assert_eq!(status, 400);
        assert_eq!(headers.get(header::CONTENT_TYPE).unwrap(), PROBLEM_JSON);
        let expected = json!({
            "type": "urn:hansa:problem:policy_denied", "title": "Bad Request", "status": 400, "detail": "no",
            "code": "policy_denied", "rule": "p0", "fact": "x is y", "fault": "caller"
        });
        assert_eq!(body, expected);
    }

    #[actix_web::test]
    async fn headers_that_the_status_wants() {
        let (status, _, headers) = shown(ServiceError::unauthorized("no_token", "no").into()).await;
        assert_eq!((status, headers.get(header::WWW_AUTHENTICATE).unwrap().to_str().unwrap()), (401, "Bearer"));
        let (status, body, headers) = shown(ServiceError::unavailable("busy", "no").into()).await;
        assert_eq!((status, headers.get(header::RETRY_AFTER).unwrap().to_str().unwrap()), (503, "1"));
        assert_eq!(body["fault"], "us");
        let (status, _, headers) = shown(Problem::method_not_allowed("GET, PUT".into())).await;
        assert_eq!((status, headers.get(header::ALLOW).unwrap().to_str().unwrap()), (405, "GET, PUT"));
    }
}
