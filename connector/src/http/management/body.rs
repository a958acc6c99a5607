//! Request bodies: JSON within limits, with every member known.

use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, dev, web};
use dsp_protocol::context::parse_json;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::body::read;
use crate::http::problem::Problem;
use crate::service::ServiceError;

/// Largest body that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// Deepest nesting of arrays and objects.
const MAX_DEPTH: usize = 32;

/// A JSON body read into `T`. No body stands for `{}`.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let (request, payload) = (request.clone(), web::Payload::from_request(request, payload).into_inner());
        async move {
            let lost = |error| ServiceError::bad_request("body_lost", format!("the body could not be read: {error}"));
            let bytes = read(&request, &mut payload.map_err(lost)?, MAX_BYTES).await?;
            let value = match bytes.is_empty() {
                true => Value::Object(Map::new()),
                false if is_json(&request) => parse(&bytes)?,
                false => {
                    let message = "the header `Content-Type` must be `application/json`";
                    return Err(ServiceError::bad_request("bad_content_type", message).into());
                }
            };
            Ok(Self(convert(&value)?))
        }
        .boxed_local()
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn parse(bytes: &[u8]) -> Result<Value, ServiceError> {
    let value = parse_json(bytes, MAX_BYTES, MAX_DEPTH);
    let value = value.map_err(|error| ServiceError::bad_request(error.code, error.message))?;
    if has_nul(&value) {
        return Err(ServiceError::bad_request("bad_body", "the body has a NUL character, which no text here can have"));
    }
    Ok(value)
}

/// Whether a text has a NUL character, which PostgreSQL cannot store.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// Reads a value into `T`; the refusal names the member.
fn convert<T: DeserializeOwned>(value: &Value) -> Result<T, ServiceError> {
    if !value.is_object() {
        return Err(ServiceError::bad_request("bad_body", "the body must be a JSON object"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let why = error.into_inner().to_string();
        let code = match why.split_whitespace().next() {
            Some("unknown") => "unknown_member",
            Some("missing") => "missing_member",
            _ => "bad_member",
        };
        let why = why.replace("unknown field", "unknown member").replace("missing field", "missing member");
        ServiceError::bad_request(code, if path == "." { why } else { format!("`{path}`: {why}") })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::registry::{DatasetInput, OfferInput, PartnerInput, PolicyInput, WebhookInput};

    fn refusal<T: DeserializeOwned>(value: &Value) -> (&'static str, String) {
        convert::<T>(value).err().map(|error| (error.code, error.message)).unwrap()
    }

    #[test]
    fn refusals_name_the_member() {
        let offer = |extra: Value| {
            let mut offer = json!({"datasetId": "d", "policyId": "p"});
            offer.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            refusal::<OfferInput>(&offer)
        };
        let dataset = |source: Value| refusal::<DatasetInput>(&json!({"title": "t", "source": source}));
        let table = [
            (refusal::<OfferInput>(&json!([])), "bad_body", "object"),
            (refusal::<OfferInput>(&json!({})), "missing_member", "datasetId"),
            (offer(json!({"state": "FINALIZED"})), "unknown_member", "`state`"),
            (offer(json!({"createdAt": 5})), "unknown_member", "`createdAt`"),
            (offer(json!({"context": "other"})), "unknown_member", "`context`"),
            (offer(json!({"id": 5})), "bad_member", "`id`"),
            (offer(json!({"datasetId": ["d"]})), "bad_member", "`datasetId`"),
            (offer(json!({"negotiation": "sometimes"})), "unknown_member", "`negotiation`"),
            (offer(json!({"negotiation": true})), "bad_member", "`negotiation`"),
            (dataset(json!({"http": {"baseUrl": 5}})), "bad_member", "`source.http.baseUrl`"),
            (dataset(json!({"http": {}})), "missing_member", "baseUrl"),
            (dataset(json!({"http": {"baseUrl": "http://a", "token": "x"}})), "unknown_member", "token"),
            (dataset(json!("http")), "bad_member", "source"),
            (refusal::<PolicyInput>(&json!({"permission": {"action": "use"}})), "bad_member", "`permission`"),
            (refusal::<PolicyInput>(&json!({"permission": ["use"]})), "bad_member", "`permission[0]`"),
            (refusal::<PartnerInput>(&json!({"id": "x"})), "missing_member", "address"),
            (refusal::<WebhookInput>(&json!({"url": "http://a", "events": "x"})), "bad_member", "`events`"),
        ];
        for ((code, message), expected, named) in table {
            assert_eq!(code, expected, "{message}");
            assert!(message.contains(named), "{message} should name {named}");
        }
    }
}
