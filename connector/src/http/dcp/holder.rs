//! Our credential service (DCP 1.0.1, 5.4, 6.5 and 6.6).

use actix_web::{HttpRequest, HttpResponse, web};
use identity::dcp::message::{CredentialMessage, CredentialOfferMessage, PresentationQueryMessage};

use super::{answer, caller_and_message, services};
use crate::app::App;
use crate::dcp::holder;

/// `POST /presentations/query`.
pub(super) async fn query(app: web::Data<App>, request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let answered = async {
        let dcp = services(&app)?;
        let (caller, message) = caller_and_message(&app, dcp, &request, &mut payload).await?;
        let query = PresentationQueryMessage::parse(&message)?;
        let response = holder::answer(&app, dcp, &caller, &query).await?;
        app.remember_use(caller.token_use);
        Ok(HttpResponse::Ok().json(response))
    };
    answer(answered.await)
}

/// `POST /credentials`.
pub(super) async fn credentials(app: web::Data<App>, request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let taken = async {
        let dcp = services(&app)?;
        let (caller, message) = caller_and_message(&app, dcp, &request, &mut payload).await?;
        let message = CredentialMessage::parse(&message)?;
        holder::receive(&app, dcp, &caller, &message).await?;
        Ok(HttpResponse::Ok().finish())
    };
    answer(taken.await)
}

/// `POST /offers`.
pub(super) async fn offers(app: web::Data<App>, request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let taken = async {
        let dcp = services(&app)?;
        let (caller, message) = caller_and_message(&app, dcp, &request, &mut payload).await?;
        let message = CredentialOfferMessage::parse(&message)?;
        holder::offered(&app, dcp, &caller, &message).await?;
        Ok(HttpResponse::Ok().finish())
    };
    answer(taken.await)
}
