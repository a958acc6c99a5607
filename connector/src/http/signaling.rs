//! The API that data planes call: registration and callbacks (Data Plane Signaling, Control plane API).

use std::convert::Infallible;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use dps_signaling::{Callback, RegistrationMessage, StatusMessage, UsageRequest, UsageReturn};
use futures_util::stream;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::body::read;
use super::problem::Problem;
use super::ready;
use crate::app::App;
use crate::service::data_plane::{self, Caller};
use crate::service::presence;
use crate::service::transfer;
use crate::service::usage;
use crate::service::{ServiceError, ServiceResult};

/// Lines to a data plane that may wait for it to read.
const LINES: usize = 8;

/// Adds the endpoints to a server.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/health", web::get().to(health))
        .route("/ready", web::get().to(ready::answer))
        .route("/dataplanes", web::put().to(register))
        .route("/dataplanes/{id}", web::delete().to(unregister))
        .route("/dataplanes/{id}/presence", web::post().to(present))
        .route("/dataplanes/{id}/leave", web::post().to(leave))
        .route("/transfers/{id}/dataflow/{event}", web::post().to(callback))
        .route("/transfers/{id}/renewal/verify", web::post().to(verify_client))
        .route("/transfers/{id}/renewal/sign", web::post().to(sign_for_renewal))
        .route("/transfers/{id}/agreement", web::get().to(agreement))
        .route("/transfers/{id}/usage", web::post().to(grant_usage))
        .route("/transfers/{id}/usage/return", web::post().to(take_back_usage))
        .route("/transfers/{id}/pin", web::put().to(pin));
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "up"}))
}

/// Our own data planes present the shared token; others what they are registered with.
async fn authenticate(app: &App, request: &HttpRequest) -> ServiceResult<Caller> {
    let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    let shared = format!("Bearer {}", app.signaling_token.expose_secret());
    if bool::from(given.as_slice().ct_eq(shared.as_bytes())) {
        return Ok(Caller::Ours);
    }
    data_plane::caller(app, &given).await?.ok_or_else(unknown_data_plane)
}

fn unknown_data_plane() -> ServiceError {
    ServiceError::unauthorized("unknown_data_plane", "the Authorization header is not that of a data plane of ours")
}

/// A data plane that may speak of this transfer.
async fn authenticate_for(app: &App, request: &HttpRequest, transfer: &str) -> ServiceResult<Caller> {
    let caller = authenticate(app, request).await?;
    data_plane::check_transfer(app, &caller, transfer).await?;
    Ok(caller)
}

/// The JSON body; `None` when there is none.
async fn json_body(app: &App, request: &HttpRequest, payload: &mut web::Payload) -> ServiceResult<Option<Value>> {
    let limits = &app.config.limits;
    let bytes = read(request, payload, limits.body_bytes).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    Ok(Some(dsp_protocol::context::parse_json(&bytes, limits.body_bytes, limits.json_depth)?))
}

async fn register(app: web::Data<App>, http: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let app = app.into_inner();
    let done = async {
        let caller = authenticate(&app, &http).await?;
        let body = json_body(&app, &http, &mut payload).await?.unwrap_or_default();
        let message = RegistrationMessage::decode(&body).map_err(bad_signal)?;
        data_plane::check_registration(&caller, &message.dataplane_id)?;
        data_plane::register(&app, message).await
    };
    match done.await {
        Ok(()) => HttpResponse::Ok().json(serde_json::json!({dps_signaling::presence::OFFER: true})),
        Err(error) => Problem::from(error).error_response(),
    }
}

/// The connection that a data plane keeps; both bodies stay open.
async fn present(
    app: web::Data<App>,
    stop: web::Data<CancellationToken>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let admitted = async { data_plane::check_registration(&authenticate(&app, &http).await?, &id) };
    if let Err(error) = admitted.await {
        return Problem::from(error).error_response();
    }
    let (answer, body) = mpsc::channel(LINES);
    let (app, stop) = (app.into_inner(), stop.as_ref().clone());
    actix_web::rt::spawn(presence::hold(app, id.into_inner(), payload, answer, stop));
    let lines = stream::unfold(body, |mut body| async move {
        let line: Bytes = body.recv().await?;
        Some((Ok::<_, Infallible>(line), body))
    });
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines)
}

async fn unregister(app: web::Data<App>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let done = async {
        data_plane::check_registration(&authenticate(&app, &http).await?, &id)?;
        data_plane::unregister(&app, &id).await
    };
    finish(done.await, StatusCode::NO_CONTENT)
}

/// A data plane is about to stop; answered when its pulls have moved.
async fn leave(app: web::Data<App>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let app = app.into_inner();
    let done = async {
        data_plane::check_registration(&authenticate(&app, &http).await?, &id)?;
        presence::leave(&app, &id).await
    };
    finish(done.await, StatusCode::NO_CONTENT)
}

async fn callback(
    app: web::Data<App>,
    http: HttpRequest,
    path: web::Path<(String, String)>,
    mut payload: web::Payload,
) -> HttpResponse {
    let app = app.into_inner();
    let done = async {
        let (id, event) = path.into_inner();
        authenticate_for(&app, &http, &id).await?;
        let event = Callback::parse(&event)
            .ok_or_else(|| ServiceError::not_found(format!("data planes cannot call back with `{event}`")))?;
        let body = json_body(&app, &http, &mut payload).await?;
        let status = match &body {
            Some(body) if *body != Value::Object(serde_json::Map::new()) => {
                Some(StatusMessage::decode(body).map_err(bad_signal)?)
            }
            _ => None,
        };
        transfer::callback(&app, &id, event, status).await
    };
    finish(done.await, StatusCode::OK)
}

async fn agreement(app: web::Data<App>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let found = async {
        authenticate_for(&app, &http, &id).await?;
        data_plane::agreement_of(&app, &id).await
    };
    match found.await {
        Ok(agreement) => HttpResponse::Ok().json(agreement),
        Err(error) => Problem::from(error).error_response(),
    }
}

async fn verify_client(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let app = app.into_inner();
    let done = async {
        let client = secret_member(&app, &http, &id, payload, "clientToken").await?;
        transfer::renewal::verify(&app, &id, client.expose_secret()).await
    };
    secret_answer(done.await, "token")
}

async fn sign_for_renewal(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let app = app.into_inner();
    let done = async {
        let token = secret_member(&app, &http, &id, payload, "token").await?;
        transfer::renewal::sign(&app, &id, &token).await
    };
    secret_answer(done.await, "clientToken")
}

/// The one member of a body. Nobody without credentials gets anything signed, whatever data planes there are.
async fn secret_member(
    app: &App,
    http: &HttpRequest,
    transfer: &str,
    mut payload: web::Payload,
    name: &str,
) -> ServiceResult<SecretString> {
    if authenticate_for(app, http, transfer).await? == Caller::Nobody {
        return Err(unknown_data_plane());
    }
    let body = json_body(app, http, &mut payload).await?.unwrap_or_default();
    let text = body.get(name).and_then(Value::as_str);
    let missing = || ServiceError::bad_request("bad_signal", format!("member `{name}` is missing or no string"));
    text.map(SecretString::from).ok_or_else(missing)
}

fn secret_answer(result: ServiceResult<SecretString>, name: &str) -> HttpResponse {
    match result {
        Ok(secret) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(serde_json::json!({name: secret.expose_secret()})),
        Err(error) => Problem::from(error).error_response(),
    }
}

/// The data plane keeps something of the flow that no other has.
async fn pin(app: web::Data<App>, http: HttpRequest, id: web::Path<String>, mut payload: web::Payload) -> HttpResponse {
    let app = app.into_inner();
    let done = async {
        authenticate_for(&app, &http, &id).await?;
        let body = json_body(&app, &http, &mut payload).await?.unwrap_or_default();
        let plane = body.get("dataplaneId").and_then(Value::as_str);
        let missing = || ServiceError::bad_request("bad_signal", "member `dataplaneId` is missing or no string");
        transfer::pin(&app, &id, plane.ok_or_else(missing)?).await
    };
    finish(done.await, StatusCode::NO_CONTENT)
}

async fn grant_usage(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    mut payload: web::Payload,
) -> HttpResponse {
    let app = app.into_inner();
    let granted = async {
        authenticate_for(&app, &http, &id).await?;
        let body = json_body(&app, &http, &mut payload).await?.unwrap_or_default();
        usage::grant(&app, &id, UsageRequest::decode(&body).map_err(bad_signal)?).await
    };
    match granted.await {
        Ok(grant) => HttpResponse::Ok().json(grant.encode()),
        Err(error) => Problem::from(error).error_response(),
    }
}

/// A data plane that stops gives back what it has not spent.
async fn take_back_usage(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    mut payload: web::Payload,
) -> HttpResponse {
    let app = app.into_inner();
    let done = async {
        authenticate_for(&app, &http, &id).await?;
        let body = json_body(&app, &http, &mut payload).await?.unwrap_or_default();
        usage::take_back(&app, &id, UsageReturn::decode(&body).map_err(bad_signal)?).await
    };
    finish(done.await, StatusCode::NO_CONTENT)
}

fn bad_signal(error: dps_signaling::SignalError) -> ServiceError {
    ServiceError::bad_request("bad_signal", error.to_string())
}

fn finish(result: ServiceResult<()>, success: StatusCode) -> HttpResponse {
    match result {
        Ok(()) => HttpResponse::new(success),
        Err(error) => Problem::from(error).error_response(),
    }
}
