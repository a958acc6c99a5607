//! Our issuer service and the status lists of what we issued (DCP 1.0.1, 6.4, 6.7 and 6.8).

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use identity::dcp::message::CredentialRequestMessage;

use super::{answer, caller, caller_and_message, services};
use crate::app::App;
use crate::dcp::{ISSUER_SERVICE, issuer};

/// `GET /metadata`; open to everybody.
pub(super) async fn metadata(app: web::Data<App>) -> HttpResponse {
    let made = services(&app).and_then(|dcp| Ok(issuer::service(dcp)?.metadata().to_json()));
    answer(made.map(|metadata| HttpResponse::Ok().json(metadata)))
}

/// `POST /credentials`.
pub(super) async fn request(app: web::Data<App>, request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let taken = async {
        let dcp = services(&app)?;
        let (caller, message) = caller_and_message(&app, dcp, &request, &mut payload).await?;
        let message = CredentialRequestMessage::parse(&message)?;
        let id = issuer::accept(&app, dcp, &caller, &message).await?;
        let location = format!("{}{ISSUER_SERVICE}/requests/{id}", dcp.root);
        Ok(HttpResponse::Created().insert_header((LOCATION, location)).finish())
    };
    answer(taken.await)
}

/// `GET /requests/{id}`.
pub(super) async fn status(app: web::Data<App>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let asked = async {
        let dcp = services(&app)?;
        let caller = caller(dcp, &request).await?;
        let status = issuer::status(&app, dcp, &caller, &id).await?;
        app.remember_use(caller.token_use);
        Ok(HttpResponse::Ok().json(status))
    };
    answer(asked.await)
}

/// A status list, as a signed credential; open to everybody.
pub(super) async fn status_list(app: web::Data<App>, id: web::Path<String>) -> HttpResponse {
    let made = async { issuer::status_list(&app, services(&app)?, &id).await };
    answer(made.await.map(|list| {
        let media_type = if id.starts_with('b') { "application/vc+jwt" } else { "application/jwt" };
        HttpResponse::Ok()
            .content_type(media_type)
            .insert_header(("cache-control", "max-age=15"))
            .body(list.to_string())
    }))
}
