//! What only the control plane can do for a renewal, since it knows DIDs: verify a client's JWT, and make ours.

use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use dps_signaling::{RenewalQuestion, renewal_path};

use crate::flow::Flow;
use crate::plane::Plane;
use crate::signaling::callback::tell;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Why the control plane did not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoHelp {
    /// It says no, with this sentence.
    Refused(String),
    /// It cannot be asked, or cannot answer at the moment.
    Later(String),
}

/// Asks whether `client_token` is a JWT of the flow's partner, made for us, and gives back the access token that it names.
///
/// # Errors
/// [`NoHelp`].
pub(super) async fn verify(plane: &Plane, flow: &Flow, client_token: &str) -> Result<SecretString, NoHelp> {
    ask(plane, flow, RenewalQuestion::Verify, &json!({"clientToken": client_token}), "token").await
}

/// Asks for a JWT of ours for the flow's partner that names the access token.
///
/// # Errors
/// [`NoHelp`].
pub(super) async fn sign(plane: &Plane, flow: &Flow, access_token: &str) -> Result<SecretString, NoHelp> {
    ask(plane, flow, RenewalQuestion::Sign, &json!({"token": access_token}), "clientToken").await
}

async fn ask(
    plane: &Plane,
    flow: &Flow,
    question: RenewalQuestion,
    body: &Value,
    member: &str,
) -> Result<SecretString, NoHelp> {
    let url = format!("{}{}", plane.callback_base(flow), renewal_path(&flow.terms.process_id, question));
    let answer = tell(plane, Method::POST, &url, body).await.map_err(NoHelp::Later)?;
    let status = answer.status();
    let bytes = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| NoHelp::Later(format!("the answer broke off: {error}")))?
        .to_bytes();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() {
        let text = body.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
        return text.map(SecretString::from).ok_or_else(|| NoHelp::Later(format!("the answer has no `{member}`")));
    }
    let said = body.get("detail").and_then(Value::as_str).unwrap_or_default();
    let said = format!("the control plane answered {}: {said}", status.as_u16());
    // An Authorization header of ours that it does not know is a fault between the planes, not of the client.
    let ours = status == StatusCode::UNAUTHORIZED
        && body.get("code").and_then(Value::as_str).is_none_or(|code| code == "unknown_data_plane");
    let final_answer = status.is_client_error()
        && !ours
        && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    Err(if final_answer { NoHelp::Refused(said) } else { NoHelp::Later(said) })
}

/// For headers.
pub(super) fn bearer(token: &SecretString) -> Result<http::HeaderValue, String> {
    let mut value = http::HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        .map_err(|_| "a token cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
