//! `/negotiations/…` (DSP 2025-1, Contract Negotiation Protocol), for both roles: the pid in the path is ours.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use dsp_protocol::context::content_digest;
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractAgreementVerificationMessage, ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage, ContractOfferMessage, ContractRequestMessage, NegotiationEvent,
};
use serde_json::Value;

use super::answer::{self, Family, Pids};
use super::{authenticate, caller_and_message, message_key};
use crate::app::App;
use crate::service::negotiation::{
    Incoming, Sender, find_for_peer, negotiation_object, receive, receive_initial_offer, receive_initial_request,
};
use crate::service::{ServiceError, ServiceResult};

/// A consumer begins.
pub(super) async fn request(app: web::Data<App>, http: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let app = app.into_inner();
    let (participant, value) = match caller_and_message(&app, &http, &mut payload).await {
        Ok(read) => read,
        Err(error) => return answer::error(Family::Negotiation, &Pids::default(), &error),
    };
    let begun = async {
        let message = ContractRequestMessage::parse(&value)?;
        if message.provider_pid.is_some() {
            let text = "a first ContractRequestMessage has no `providerPid`; a counter-request goes to /negotiations/{providerPid}/request";
            return Err(ServiceError::bad_request("unexpected_pid", text));
        }
        receive_initial_request(&app, &participant, message, hex::encode(content_digest(&value))).await
    };
    created(begun.await, &value)
}

/// A provider begins.
pub(super) async fn offers(app: web::Data<App>, http: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let app = app.into_inner();
    let (participant, value) = match caller_and_message(&app, &http, &mut payload).await {
        Ok(read) => read,
        Err(error) => return answer::error(Family::Negotiation, &Pids::default(), &error),
    };
    let begun = async {
        let message = ContractOfferMessage::parse(&value)?;
        if message.consumer_pid.is_some() {
            let text = "a first ContractOfferMessage has no `consumerPid`; a counter-offer goes to /negotiations/{consumerPid}/offers";
            return Err(ServiceError::bad_request("unexpected_pid", text));
        }
        receive_initial_offer(&app, &participant, message, hex::encode(content_digest(&value))).await
    };
    created(begun.await, &value)
}

fn created(result: ServiceResult<Value>, message: &Value) -> HttpResponse {
    match result {
        Ok(object) => answer::json(StatusCode::CREATED, &object),
        Err(error) => answer::error(Family::Negotiation, &Pids::of(Some(message), None), &error),
    }
}

/// The state, for the counter-party.
pub(super) async fn state(app: web::Data<App>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let found = async {
        let participant = authenticate(&app, &http).await?;
        negotiation_object(&app, &find_for_peer(&app, &participant, &id).await?)
    };
    match found.await {
        Ok(object) => answer::json(StatusCode::OK, &object),
        Err(error) => answer::error(Family::Negotiation, &Pids::of(None, Some(&id)), &error),
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
            // Whose negotiation it is comes first: a foreign one looks like an unknown one.
            find_for_peer(&app, &participant, &id).await?;
            return Err(ServiceError::bad_request("wrong_pid", "neither pid in the message is the one in the path"));
        };
        let from = Sender { pid: theirs, key: message_key(value) };
        receive(&app, &participant, &id, from, message).await
    };
    let result = taken.await;
    match result {
        Ok(()) => answer::taken(),
        Err(error) => answer::error(Family::Negotiation, &Pids::of(seen.as_ref(), Some(&id)), &error),
    }
}

/// The consumer asks again.
pub(super) async fn counter_request(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = ContractRequestMessage::parse(value)?;
        let provider =
            message.provider_pid.as_ref().map(ToString::to_string).ok_or_else(|| {
                ServiceError::bad_request("missing_member", "a counter-request needs a `providerPid`")
            })?;
        Ok((provider, message.consumer_pid.to_string(), Incoming::ContractRequest(message)))
    })
    .await
}

/// The provider offers again.
pub(super) async fn counter_offer(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = ContractOfferMessage::parse(value)?;
        let consumer = message
            .consumer_pid
            .as_ref()
            .map(ToString::to_string)
            .ok_or_else(|| ServiceError::bad_request("missing_member", "a counter-offer needs a `consumerPid`"))?;
        Ok((message.provider_pid.to_string(), consumer, Incoming::ContractOffer(message)))
    })
    .await
}

/// ACCEPTED by the consumer or FINALIZED by the provider.
pub(super) async fn events(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = ContractNegotiationEventMessage::parse(value)?;
        let incoming = match message.event {
            NegotiationEvent::Accepted => Incoming::Accepted,
            NegotiationEvent::Finalized => Incoming::Finalized,
        };
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), incoming))
    })
    .await
}

/// The provider proposes the agreement.
pub(super) async fn agreement(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = ContractAgreementMessage::parse(value)?;
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Agreement(message)))
    })
    .await
}

/// The consumer has verified it.
pub(super) async fn verification(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = ContractAgreementVerificationMessage::parse(value)?;
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Verification))
    })
    .await
}

/// Either side ends it.
pub(super) async fn termination(
    app: web::Data<App>,
    http: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    take(app, http, id, payload, |value| {
        let message = ContractNegotiationTerminationMessage::parse(value)?;
        Ok((message.provider_pid.to_string(), message.consumer_pid.to_string(), Incoming::Termination(message)))
    })
    .await
}
