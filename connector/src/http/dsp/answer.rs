//! Answers in the form that the binding wants.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use dsp_protocol::error::{catalog_error, negotiation_error, transfer_error};
use serde_json::Value;
use uuid::Uuid;

use crate::service::{Kind, ServiceError};

/// Which error object an endpoint answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Catalog,
    Negotiation,
    Transfer,
}

/// What is known of the process when an error is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Pids {
    pub provider: Option<String>,
    pub consumer: Option<String>,
}

impl Pids {
    /// What the message names, filled up with the id in the path.
    pub(super) fn of(message: Option<&Value>, path: Option<&str>) -> Self {
        let named =
            |name: &str| message.and_then(|value| value.get(name)).and_then(Value::as_str).or(path).map(str::to_owned);
        Self { provider: named("providerPid"), consumer: named("consumerPid") }
    }
}

/// A JSON body with this status.
pub(super) fn json(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(body.to_string())
}

/// 200 without a body: the specification leaves it open.
pub(super) fn taken() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").finish()
}

/// An error object of the family; the error schemas demand both pids, so an unknown one is filled in
/// (DSP 2025-1, Error - Contract Negotiation Error).
pub(super) fn error(family: Family, pids: &Pids, error: &ServiceError) -> HttpResponse {
    let mut reasons = vec![error.message.clone()];
    reasons.extend(error.rule.as_ref().map(|rule| format!("rule: {rule}")));
    reasons.extend(error.fact.as_ref().map(|fact| format!("fact: {fact}")));
    let fresh = || format!("urn:uuid:{}", Uuid::new_v4());
    let provider = pids.provider.clone().or_else(|| pids.consumer.clone()).unwrap_or_else(fresh);
    let consumer = pids.consumer.clone().or_else(|| pids.provider.clone()).unwrap_or_else(fresh);
    let body = match family {
        Family::Catalog => catalog_error(error.code, &reasons),
        Family::Negotiation => negotiation_error(&provider, &consumer, error.code, &reasons),
        Family::Transfer => transfer_error(&provider, &consumer, error.code, &reasons),
    };
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &body);
    if error.kind == Kind::Unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
