//! The token service for programs of our own organisation, on the listener for operators.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use url::form_urlencoded;

use super::{answer, services};
use crate::app::App;
use crate::http::body::read;
use crate::service::ServiceError;

/// Largest form, in bytes.
const MAX_FORM: usize = 32 * 1024;

/// `POST /sts/token` (RFC 6749, 4.4). The client authenticates in the form itself.
pub(crate) async fn token(app: web::Data<App>, request: HttpRequest, mut payload: web::Payload) -> HttpResponse {
    let asked = async {
        let dcp = services(&app)?;
        let sts = dcp.sts.as_ref().ok_or_else(|| ServiceError::not_found("there is no client of the token service"))?;
        let body = read(&request, &mut payload, MAX_FORM).await?;
        let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        Ok(match sts.token(&form).await {
            Ok(token) => HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(token.to_json()),
            Err(error) => {
                let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                HttpResponse::build(status).json(error.to_json())
            }
        })
    };
    answer(asked.await)
}
