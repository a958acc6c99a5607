//! `/negotiations/…` (DSP 2025-1, Contract Negotiation Protocol).

use actix_web::{HttpRequest, HttpResponse, web};
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractAgreementVerificationMessage, ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage, ContractOfferMessage, ContractRequestMessage, NegotiationEvent,
};
use serde_json::Value;

use super::processes::{self, first, state, take};
use crate::app::App;
use crate::service::negotiation::{Incoming, receive_initial_offer, receive_initial_request};
use crate::service::{ServiceError, ServiceResult};
use crate::store::negotiation::Model;

type Parsed = ServiceResult<processes::Parsed<Model>>;

/// Adds the endpoints.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/negotiations/request", web::post().to(request))
        .route("/negotiations/offers", web::post().to(offers))
        .route("/negotiations/{id}", web::get().to(state::<Model>))
        .route("/negotiations/{id}/request", web::post().to(take::<Model>(counter_request)))
        .route("/negotiations/{id}/offers", web::post().to(take::<Model>(counter_offer)))
        .route("/negotiations/{id}/events", web::post().to(take::<Model>(event)))
        .route("/negotiations/{id}/agreement", web::post().to(take::<Model>(agreement)))
        .route("/negotiations/{id}/agreement/verification", web::post().to(take::<Model>(verification)))
        .route("/negotiations/{id}/termination", web::post().to(take::<Model>(termination)));
}

/// A consumer begins.
async fn request(app: web::Data<App>, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    first::<Model>(app, http, payload, async |app, participant, value, digest| {
        let message = ContractRequestMessage::parse(value)?;
        if message.provider_pid.is_some() {
            let text = "a first ContractRequestMessage has no `providerPid`; a counter-request goes to /negotiations/{providerPid}/request";
            return Err(ServiceError::bad_request("unexpected_pid", text));
        }
        receive_initial_request(app, participant, message, digest).await
    })
    .await
}

/// A provider begins.
async fn offers(app: web::Data<App>, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    first::<Model>(app, http, payload, async |app, participant, value, digest| {
        let message = ContractOfferMessage::parse(value)?;
        if message.consumer_pid.is_some() {
            let text = "a first ContractOfferMessage has no `consumerPid`; a counter-offer goes to /negotiations/{consumerPid}/offers";
            return Err(ServiceError::bad_request("unexpected_pid", text));
        }
        receive_initial_offer(app, participant, message, digest).await
    })
    .await
}

/// The consumer asks again.
fn counter_request(value: &Value) -> Parsed {
    let message = ContractRequestMessage::parse(value)?;
    let missing = || ServiceError::bad_request("missing_member", "a counter-request needs a `providerPid`");
    let provider = message.provider_pid.as_ref().ok_or_else(missing)?.to_string();
    Ok((provider, message.consumer_pid.to_string(), Incoming::ContractRequest(message)))
}

/// The provider offers again.
fn counter_offer(value: &Value) -> Parsed {
    let message = ContractOfferMessage::parse(value)?;
    let missing = || ServiceError::bad_request("missing_member", "a counter-offer needs a `consumerPid`");
    let consumer = message.consumer_pid.as_ref().ok_or_else(missing)?.to_string();
    Ok((message.provider_pid.to_string(), consumer, Incoming::ContractOffer(message)))
}

/// ACCEPTED by the consumer or FINALIZED by the provider.
fn event(value: &Value) -> Parsed {
    let message = ContractNegotiationEventMessage::parse(value)?;
    let incoming = match message.event {
        NegotiationEvent::Accepted => Incoming::Accepted,
        NegotiationEvent::Finalized => Incoming::Finalized,
    };
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), incoming))
}

/// The provider proposes the agreement.
fn agreement(value: &Value) -> Parsed {
    let message = ContractAgreementMessage::parse(value)?;
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Agreement(message)))
}

/// The consumer has verified it.
fn verification(value: &Value) -> Parsed {
    let message = ContractAgreementVerificationMessage::parse(value)?;
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Verification))
}

/// Either side ends it.
fn termination(value: &Value) -> Parsed {
    let message = ContractNegotiationTerminationMessage::parse(value)?;
    Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Termination(message)))
}
