//! What `/negotiations/…` and `/transfers/…` have in common: the pid in the path is ours, in either role.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{Handler, HttpRequest, HttpResponse, web};
use dsp_protocol::context::content_digest;
use identity::Participant;
use serde_json::Value;

use super::answer::{self, Family, Pids};
use super::{asker, caller_and_message, message_key};
use crate::app::App;
use crate::service::process::{Process, Sender, find_for_peer, process_object};
use crate::service::{ServiceError, ServiceResult, negotiation, transfer};
use crate::store::{negotiation as negotiation_row, transfer as transfer_row};

/// A process on the wire.
pub(super) trait Endpoint: Process {
    /// The error object of its endpoints.
    const FAMILY: Family;
    /// A message about an existing one.
    type Incoming: 'static;
    /// Takes a message for the process with our pid `id`.
    ///
    /// # Errors
    /// Why it is refused.
    async fn receive(
        app: &Arc<App>,
        participant: &Participant,
        id: &str,
        from: Sender,
        message: Self::Incoming,
    ) -> ServiceResult<()>;
}

impl Endpoint for negotiation_row::Model {
    const FAMILY: Family = Family::Negotiation;
    type Incoming = negotiation::Incoming;

    async fn receive(
        app: &Arc<App>,
        participant: &Participant,
        id: &str,
        from: Sender,
        message: negotiation::Incoming,
    ) -> ServiceResult<()> {
        negotiation::receive(app, participant, id, from, message).await
    }
}

impl Endpoint for transfer_row::Model {
    const FAMILY: Family = Family::Transfer;
    type Incoming = transfer::Incoming;

    async fn receive(
        app: &Arc<App>,
        participant: &Participant,
        id: &str,
        from: Sender,
        message: transfer::Incoming,
    ) -> ServiceResult<()> {
        transfer::receive(app, participant, id, from, message).await
    }
}

/// (provider's pid, consumer's pid, what it says)
pub(super) type Parsed<P> = (String, String, <P as Endpoint>::Incoming);

/// A handler that answers with the state, for the counter-party.
pub(super) async fn state<P: Endpoint>(app: web::Data<App>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let found = async {
        let participant = asker(&app, &http).await?;
        process_object(&app, &find_for_peer::<P>(&app, &participant, &id).await?)
    };
    match found.await {
        Ok(object) => answer::json(StatusCode::OK, &object),
        Err(error) => answer::error(P::FAMILY, &Pids::of(None, Some(&id)), &error),
    }
}

/// A first message: `begin` gets who sent it, the message and its digest, and brings the object of the new process.
pub(super) async fn first<P: Endpoint>(
    app: web::Data<App>,
    http: HttpRequest,
    mut payload: web::Payload,
    begin: impl AsyncFnOnce(&Arc<App>, &Participant, &Value, String) -> ServiceResult<Value>,
) -> HttpResponse {
    let app = app.into_inner();
    let (participant, value) = match caller_and_message(&app, &http, &mut payload).await {
        Ok(read) => read,
        Err(error) => return answer::error(P::FAMILY, &Pids::default(), &error),
    };
    let digest = hex::encode(content_digest(&value));
    match begin(&app, &participant, &value, digest).await {
        Ok(object) => answer::json(StatusCode::CREATED, &object),
        Err(error) => answer::error(P::FAMILY, &Pids::of(Some(&value), None), &error),
    }
}

/// A handler of messages about an existing process, which `parse` reads.
pub(super) fn take<P: Endpoint>(
    parse: fn(&Value) -> ServiceResult<Parsed<P>>,
) -> impl Handler<(web::Data<App>, HttpRequest, web::Path<String>, web::Payload), Output = HttpResponse> {
    move |app: web::Data<App>, http: HttpRequest, id: web::Path<String>, mut payload: web::Payload| async move {
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
                // Whose process it is comes first: a foreign one looks like an unknown one.
                find_for_peer::<P>(&app, &participant, &id).await?;
                return Err(ServiceError::bad_request(
                    "wrong_pid",
                    "neither pid in the message is the one in the path",
                ));
            };
            let used = participant.token_use().cloned();
            let from = Sender { pid: theirs, key: message_key(value), used };
            P::receive(&app, &participant, &id, from, message).await
        };
        match taken.await {
            Ok(()) => answer::taken(),
            Err(error) => answer::error(P::FAMILY, &Pids::of(seen.as_ref(), Some(&id)), &error),
        }
    }
}
