//! Who may use the management API: whoever has the token. Checked before anything of the request is parsed or its body
//! is read.

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::Data;
use percent_encoding::percent_decode_str;

use crate::http::problem::Problem;
use crate::service::ServiceError;
use crate::service::token::TokenHash;

/// Middleware that lets a request pass only with the token.
pub(super) async fn authenticate<B: MessageBody + 'static>(
    token: Data<TokenHash>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match check(&token, &request) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(error) => {
            tracing::warn!(
                code = error.code,
                peer = request.peer_addr().map(tracing::field::display),
                method = %request.method(),
                path = request.path(),
                "a management request was refused"
            );
            Ok(request.error_response(Problem::from(error)).map_into_right_body())
        }
    }
}

fn check(token: &TokenHash, request: &ServiceRequest) -> Result<(), ServiceError> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (headers.next(), headers.next()) else {
        return Err(ServiceError::unauthorized(
            "no_token",
            "one `Authorization` header with the management token is needed",
        ));
    };
    let given = value.to_str().ok().and_then(|text| text.split_once(' '));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") && token.admits(given.trim()) => Ok(()),
        _ => Err(ServiceError::unauthorized("bad_token", "this is not the management token")),
    }
}

/// Middleware that refuses a path whose decoded form no id can have.
pub(super) async fn check_path<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let sound = percent_decode_str(request.uri().path())
        .decode_utf8()
        .is_ok_and(|path| !path.chars().any(|c| c.is_control() || c == '\u{fffd}'));
    if sound {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let error = ServiceError::bad_request("bad_path", "the path has characters that no id can have");
    Ok(request.error_response(Problem::from(error)).map_into_right_body())
}
