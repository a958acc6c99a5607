//! Bodies within limits.

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use serde_json::Value;

use crate::service::{ServiceError, ServiceResult};

/// Reads the body, at most `limit` bytes, without holding more.
///
/// # Errors
/// `too_large`, or `body_lost` when the connection ends early.
pub(crate) async fn read(request: &HttpRequest, payload: &mut web::Payload, limit: usize) -> ServiceResult<Vec<u8>> {
    let too_large = || ServiceError::too_large(format!("the body is larger than {limit} bytes"));
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(declared.unwrap_or(0).min(limit));
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| ServiceError::bad_request("body_lost", "the body could not be read to its end"))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads a body and parses it as JSON of bounded depth.
///
/// # Errors
/// As [`read`], or the parser's, which names what is wrong.
pub(crate) async fn read_json(
    request: &HttpRequest,
    payload: &mut web::Payload,
    limit: usize,
    depth: usize,
) -> ServiceResult<Value> {
    let bytes = read(request, payload, limit).await?;
    dsp_protocol::context::parse_json(&bytes, limit, depth)
        .map_err(|error| ServiceError::bad_request(error.code, error.message))
}
