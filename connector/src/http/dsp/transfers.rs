//! `/transfers/…` (DSP 2025-1, Transfer Process Protocol), for both roles: the pid in the path is ours.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use dsp_protocol::context::content_digest;
use dsp_protocol::transfer::{
    TransferCompletionMessage, TransferRequestMessage, TransferStartMessage, TransferSuspensionMessage,
    TransferTerminationMessage,
};
use serde_json::Value;

use super::answer::{self, Family, Pids};
use super::{authenticate, caller_and_message, message_key};
use crate::app::App;
use crate::service::negotiation::Sender;
use crate::service::transfer::{Incoming, find_for_peer, receive, receive_request, transfer_object};
use crate::service::{ServiceError, ServiceResult};

/// A consumer asks for a transfer.
pub(super) async fn request(app: web::Data<App>, http: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let app = app.into_inner();
    let (participant, value) = match caller_and_message(&app, &http, &mut payload).await {
        Ok(read) => read,
        Err(error) => return answer::error(Family::Transfer, &Pids::default(), &error),
    };
    let begun = async {
        let message = TransferRequestMessage::parse(&value)?;
        receive_request(&app, &participant, message, hex::encode(content_digest(&value))).await
    };
    match begun.await {
        Ok(object) => answer::json(StatusCode::CREATED, &object),
        Err(error) => answer::error(Family::Transfer, &Pids::of(Some(&value), None), &error),
    }
}

/// The state, for the counter-party in either role.
pub(super) async fn state(app: web::Data<App>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let found = async {
        let participant = authenticate(&app, &http).await?;
        transfer_object(&app, &find_for_peer(&app, &participant, &id).await?)
    };
    match found.await {
        Ok(object) => answer::json(StatusCode::OK, &object),
        Err(error) => answer::error(Family::Transfer, &Pids::of(None, Some(&id)), &error),
    }
}

/// (provider's pid, consumer's pid, what it says)
type Parsed = (String, String, Incoming);

async fn take(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    mut payload: web::Payload,
    parse: impl FnOnce(&Value) -> ServiceResult<Parsed>,
) -> HttpResponse {
    let app = app.into_inner();
    let mut seen = None;
    let taken = async {
        let (participant, value) = caller_and_message(&app, &http, &mut payload).await?;
        let value = seen.insert(value);
        let (provider, consumer, message) = parse(value)?;
        let theirs = if provider == *id {
            consumer
        } else if consumer == *id {
            provider
        } else {
            // Whose transfer it is comes first: a foreign one looks like an unknown one.
            find_for_peer(&app, &participant, &id).await?;
            return Err(ServiceError::bad_request("wrong_pid", "neither pid in the message is the one in the path"));
        };
        let from = Sender { pid: theirs, key: message_key(value) };
        receive(&app, &participant, &id, from, message).await
    };
    let result = taken.await;
    match result {
        Ok(()) => answer::taken(),
        Err(error) => answer::error(Family::Transfer, &Pids::of(seen.as_ref(), Some(&id)), &error),
    }
}

/// Data can flow, or flow again.
pub(super) async fn start(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = TransferStartMessage::parse(value)?;
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Start(message)))
    })
    .await
}

/// All data has flowed.
pub(super) async fn completion(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = TransferCompletionMessage::parse(value)?;
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Completion))
    })
    .await
}

/// The flow pauses.
pub(super) async fn suspension(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = TransferSuspensionMessage::parse(value)?;
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Suspension(message)))
    })
    .await
}

/// The transfer ends.
pub(super) async fn termination(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = TransferTerminationMessage::parse(value)?;
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Termination(message)))
    })
    .await
}
