//! The signaling listener: Data Plane Signaling towards the control plane.

pub(crate) mod auth;
pub(crate) mod callback;
pub(crate) mod caller;
pub(crate) mod presence;
pub(crate) mod registration;

use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use dps_signaling::presence::SWAP;
use dps_signaling::{
    ControlPlaneRegistration, Dialect, FlowRequest, ResumeMessage, Signal, StartedMessage, SuspendMessage,
    TerminateMessage, flow_id_given,
};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use self::caller::Caller;
use crate::lifecycle::Answer;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::ready;

/// Largest body of a signal, in bytes. A plan may have 256 KiB.
const MAX_BODY: usize = 1024 * 1024;

/// Answers every request of the signaling listener.
///
/// # Errors
/// The problem that is answered.
pub(crate) async fn serve(request: HttpRequest, payload: Payload, plane: Data<Plane>) -> Result<HttpResponse, Problem> {
    let plane = plane.into_inner();
    let path = request.path().trim_end_matches('/').to_owned();
    if path == "/health" {
        return Ok(HttpResponse::Ok().json(json!({"status": "up", "targetsThatDoNotAnswer": plane.misses_any()})));
    }
    if path == "/ready" {
        return Ok(ready::answer(&plane).await);
    }
    let caller = authenticate(&plane, &request).await?;
    let mut segments = Vec::new();
    for segment in path.trim_start_matches('/').split('/') {
        let segment = percent_decode_str(segment).decode_utf8().map_err(|_| no_route())?;
        segments.push(segment.into_owned());
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method(), segments.as_slice()) {
        (&Method::POST, ["dataflows", "prepare"]) => open(&plane, &caller, Signal::Prepare, payload).await,
        (&Method::POST, ["dataflows", "start"]) => open(&plane, &caller, Signal::Start, payload).await,
        (&Method::POST, ["dataflows", id, signal]) => {
            plane.check_flow(&caller, id)?;
            signal_flow(&plane, id, signal, payload).await
        }
        (&Method::GET, ["dataflows", id, "status"]) => {
            plane.check_flow(&caller, id)?;
            Ok(ok(&plane.status(id)?.encode(Dialect::Rc3)))
        }
        // It tells of the sources of all flows.
        (&Method::GET, ["status"]) if caller == Caller::Configured => Ok(ok(&plane.describe())),
        (&Method::PUT, ["controlplanes"]) => {
            let message = ControlPlaneRegistration::decode(&body(payload).await?)?;
            plane.add_control_plane(&caller, message).await?;
            Ok(ok(&json!({})))
        }
        (&Method::DELETE, ["controlplanes", id]) => {
            caller.check_removal(id)?;
            plane.remove_control_plane(id).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        (_, ["dataflows", "prepare" | "start"]) => Err(wrong_method("POST")),
        (_, ["dataflows", _, "status"]) => Err(wrong_method("GET")),
        (_, ["dataflows", _, _]) => Err(wrong_method("POST")),
        (_, ["status"]) => Err(wrong_method("GET")),
        (_, ["controlplanes"]) => Err(wrong_method("PUT")),
        (_, ["controlplanes", _]) => Err(wrong_method("DELETE")),
        _ => Err(no_route()),
    }
}

async fn open(plane: &Arc<Plane>, caller: &Caller, signal: Signal, payload: Payload) -> Result<HttpResponse, Problem> {
    let body = body(payload).await?;
    let request = FlowRequest::decode(&body)?;
    let name = flow_id_given(&body);
    let answer = match signal {
        Signal::Prepare => plane.prepare(request, name, caller).await?,
        _ => plane.start(request, name, caller).await?,
    };
    Ok(respond(plane, &answer))
}

async fn signal_flow(plane: &Arc<Plane>, id: &str, signal: &str, payload: Payload) -> Result<HttpResponse, Problem> {
    let body = body(payload).await?;
    let answer = match signal {
        "started" => {
            let message = StartedMessage::decode(&body)?;
            plane.started(id, message.message_id, message.data_address.as_ref()).await?
        }
        "resume" => {
            let message = ResumeMessage::decode(&body)?;
            plane.resume(id, message.message_id, message.data_address.as_ref()).await?
        }
        "suspend" => {
            let swap = body.get(SWAP).and_then(Value::as_bool).unwrap_or_default();
            plane.suspend(id, SuspendMessage::decode(&body)?.message_id, swap).await?
        }
        "terminate" => plane.stop(id, Signal::Terminate, TerminateMessage::decode(&body)?.message_id).await?,
        "completed" => plane.stop(id, Signal::Completed, None).await?,
        "status" => return Err(wrong_method("GET")),
        _ => return Err(no_route()),
    };
    Ok(respond(plane, &answer))
}

fn respond(plane: &Plane, answer: &Answer) -> HttpResponse {
    let body = answer.status.encode(Dialect::Rc3);
    if !answer.accepted {
        return ok(&body);
    }
    let location = format!("{}/dataflows/{}/status", plane.config.signaling.public_url, answer.status.data_flow_id);
    HttpResponse::Accepted().insert_header((header::LOCATION, location)).json(body)
}

fn ok(body: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .json(body)
}

async fn authenticate(plane: &Plane, request: &HttpRequest) -> Result<Caller, Problem> {
    let given = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes).unwrap_or_default();
    if let Some(caller) = plane.caller(given).await {
        return Ok(caller);
    }
    tracing::warn!(path = request.path(), "a signal without authorization was refused");
    Err(Problem::unauthorized(
        "the signaling interface needs what was agreed with the control plane: a secret or a token",
    ))
}

/// Reads a JSON body; no body is an empty object.
async fn body(payload: Payload) -> Result<Value, Problem> {
    let bytes = match payload.to_bytes_limited(MAX_BODY).await {
        Ok(read) => read.map_err(|_| Problem::bad_request("body_not_readable", "the body broke off"))?,
        Err(_) => {
            let detail = format!("the body is larger than {MAX_BODY} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", Fault::Caller, detail));
        }
    };
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad_request("not_json", format!("the body is not JSON: {error}")))
}

fn wrong_method(allow: &str) -> Problem {
    Problem::method_not_allowed(allow, format!("this path takes {allow}"))
}

fn no_route() -> Problem {
    Problem::not_found("unknown_path", "there is nothing at this path")
}
