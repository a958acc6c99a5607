//! The DSP 2025-1 endpoints, HTTPS binding.

mod answer;
mod catalog;
mod negotiations;
mod processes;
mod transfers;
mod version;

use std::sync::Arc;

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, web};
use identity::{IncomingRequest, Participant};
use serde_json::Value;

use super::body::read_json;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};

/// Path of the 2025-1 endpoints below the root.
pub(crate) const BASE_PATH: &str = "/dsp/2025-1";

/// Adds the endpoints to a server.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/.well-known/dspace-version", web::get().to(version::document))
        .route("/health", web::get().to(version::health))
        .service(
            web::scope(BASE_PATH)
                .route("/catalog/request", web::post().to(catalog::request))
                .route("/catalog/request", web::get().to(catalog::next_page))
                .route("/catalog/datasets/{id}", web::get().to(catalog::dataset))
                .configure(negotiations::configure)
                .configure(transfers::configure),
        )
        .default_service(web::route().to(version::nowhere));
}

/// Who is calling; before anything else is read.
async fn authenticate(app: &App, request: &HttpRequest) -> ServiceResult<Participant> {
    let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let incoming = IncomingRequest { authorization, audience: &app.participant };
    app.identity.authenticate(&incoming).await.map_err(|error| {
        if error.is_temporary() {
            return ServiceError::unavailable(error.code(), error.to_string());
        }
        ServiceError::unauthorized(error.code(), error.to_string())
    })
}

/// Who asks a question, which changes nothing: that its token was used is written down without waiting for it.
async fn asker(app: &App, request: &HttpRequest) -> ServiceResult<Participant> {
    let participant = authenticate(app, request).await?;
    remember(app, &participant);
    Ok(participant)
}

fn remember(app: &App, participant: &Participant) {
    if let Some(used) = participant.token_use() {
        app.remember_use(used.clone());
    }
}

/// The caller and the message, compacted. In that order: a stranger's body is not even read.
async fn caller_and_message(
    app: &Arc<App>,
    request: &HttpRequest,
    payload: &mut web::Payload,
) -> ServiceResult<(Participant, Value)> {
    let participant = authenticate(app, request).await?;
    let limits = &app.config.limits;
    let value = read_json(request, payload, limits.body_bytes, limits.json_depth).await?;
    let value =
        dsp_protocol::context::compact(value).map_err(|error| ServiceError::bad_request(error.code, error.message))?;
    Ok((participant, value))
}

/// What tells a copy of a message from another one: its `@id`, or a digest of its content when it has none.
fn message_key(message: &Value) -> String {
    match message.get("@id").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => hex::encode(dsp_protocol::context::content_digest(message)),
    }
}

impl From<dsp_protocol::error::MessageError> for ServiceError {
    fn from(error: dsp_protocol::error::MessageError) -> Self {
        Self::bad_request(error.code, error.message)
    }
}
