//! The endpoints of the Decentralized Claims Protocol 1.0.1, beside those of DSP: our DID document, credential service, issuer
//! service and status lists.

mod document;
mod holder;
mod issuer;
mod sts;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use identity::token::{SelfIssued, bearer};
use serde_json::{Value, json};

use super::body::read_json;
use crate::app::App;
use crate::dcp::{CREDENTIAL_SERVICE, DcpServices, ISSUER_SERVICE, STATUS_LISTS};
use crate::service::{Kind, ServiceError, ServiceResult};

pub(crate) use sts::token;

/// Adds the endpoints to the listener for partners.
pub(crate) fn configure(config: &mut web::ServiceConfig, dcp: &DcpServices) {
    config.route(&document::path(&dcp.did), web::get().to(document::did));
    config.service(
        web::scope(CREDENTIAL_SERVICE)
            .route("/presentations/query", web::post().to(holder::query))
            .route("/credentials", web::post().to(holder::credentials))
            .route("/offers", web::post().to(holder::offers)),
    );
    if dcp.issuer.is_some() {
        config
            .service(
                web::scope(ISSUER_SERVICE)
                    .route("/metadata", web::get().to(issuer::metadata))
                    .route("/credentials", web::post().to(issuer::request))
                    .route("/requests/{id}", web::get().to(issuer::status)),
            )
            .route(&format!("{STATUS_LISTS}/{{id}}"), web::get().to(issuer::status_list));
    }
}

/// The parts of DCP; they are there wherever these routes are.
fn services(app: &App) -> ServiceResult<&Arc<DcpServices>> {
    app.dcp.as_ref().ok_or_else(|| ServiceError::not_found("verifiable credentials are not set up here"))
}

/// Who is calling, by its self-issued ID token; before anything else is read.
async fn caller(dcp: &DcpServices, request: &HttpRequest) -> ServiceResult<SelfIssued> {
    let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer(authorization).map_err(identity::dcp::DcpError::from)?;
    Ok(dcp.tokens.validate(token, &dcp.did).await.map_err(identity::dcp::DcpError::from)?)
}

/// The caller and its message, in that order.
async fn caller_and_message(
    app: &App,
    dcp: &DcpServices,
    request: &HttpRequest,
    payload: &mut web::Payload,
) -> ServiceResult<(SelfIssued, Value)> {
    let caller = caller(dcp, request).await?;
    let limits = &app.config.limits;
    let message = read_json(request, payload, limits.body_bytes, limits.json_depth).await?;
    Ok((caller, message))
}

fn answer(result: ServiceResult<HttpResponse>) -> HttpResponse {
    result.unwrap_or_else(|error| refusal(&error))
}

/// DCP leaves the body of errors open; ours says what an operator needs, as DSP's errors do.
fn refusal(error: &ServiceError) -> HttpResponse {
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if error.kind == Kind::Unauthorized {
        response.insert_header(("www-authenticate", "Bearer"));
    }
    response.json(json!({"code": error.code, "reason": [error.message]}))
}
