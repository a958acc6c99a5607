//! `/transfers/…` (DSP 2025-1, Transfer Process Protocol).

use actix_web::{HttpRequest, HttpResponse, web};
use dsp_protocol::transfer::{
    TransferCompletionMessage, TransferRequestMessage, TransferStartMessage, TransferSuspensionMessage,
    TransferTerminationMessage,
};
use serde_json::Value;

use super::processes::{self, first, state, take};
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::transfer::{Incoming, receive_request};
use crate::store::transfer::Model;

type Parsed = ServiceResult<processes::Parsed<Model>>;

/// Adds the endpoints.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/transfers/request", web::post().to(request))
        .route("/transfers/{id}", web::get().to(state::<Model>))
        .route("/transfers/{id}/start", web::post().to(take::<Model>(start)))
        .route("/transfers/{id}/completion", web::post().to(take::<Model>(completion)))
        .route("/transfers/{id}/suspension", web::post().to(take::<Model>(suspension)))
        .route("/transfers/{id}/termination", web::post().to(take::<Model>(termination)));
}

/// A consumer asks for a transfer.
async fn request(app: web::Data<App>, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    first::<Model>(app, http, payload, async |app, participant, value, digest| {
        receive_request(app, participant, TransferRequestMessage::parse(value)?, digest).await
    })
    .await
}

/// Data can flow, or flow again.
fn start(value: &Value) -> Parsed {
    let message = TransferStartMessage::parse(value)?;
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Start(message)))
}

/// All data has flowed.
fn completion(value: &Value) -> Parsed {
    let message = TransferCompletionMessage::parse(value)?;
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Completion))
}

/// The flow pauses.
fn suspension(value: &Value) -> Parsed {
    let message = TransferSuspensionMessage::parse(value)?;
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Suspension(message)))
}

/// The transfer ends.
fn termination(value: &Value) -> Parsed {
    let message = TransferTerminationMessage::parse(value)?;
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Termination(message)))
}
