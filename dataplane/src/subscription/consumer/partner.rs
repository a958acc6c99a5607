//! What we ask of the partner's data plane.

use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, LINK};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client;
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::unreachable;
use crate::push::partner_request;
use crate::subscription::queue::Notification;
use crate::subscription::{NOTIFICATIONS, SUBSCRIPTIONS};

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Longest that the partner is asked to wait for something to tell.
const WAIT: Duration = Duration::from_secs(20);

/// Notifications as the partner gives them.
#[derive(Debug, Deserialize)]
pub(super) struct Fetched {
    /// How many it has dropped of this flow, ever.
    #[serde(default)]
    pub(super) dropped: u64,
    pub(super) notifications: Vec<Notification>,
}

/// What the partner answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Makes a subscription at the partner, or replaces it.
///
/// # Errors
/// 502 and 504 when there is no answer.
pub(super) async fn put(
    plane: &Plane,
    flow: &Flow,
    remote: &str,
    body: Map<String, Value>,
    link: Option<&str>,
) -> Result<Answer, Problem> {
    let body = Value::Object(body).to_string();
    ask(plane, flow, Method::PUT, &below(remote), link, client::full(body)).await
}

/// Ends a subscription at the partner.
///
/// # Errors
/// 502 and 504 when there is no answer.
pub(super) async fn delete(plane: &Plane, flow: &Flow, remote: &str) -> Result<Answer, Problem> {
    ask(plane, flow, Method::DELETE, &below(remote), None, client::empty()).await
}

/// Acknowledges what has come, and waits for what comes after it.
///
/// # Errors
/// 502 and 504 when there is no answer, or one that is not understood.
pub(super) async fn fetch(plane: &Plane, flow: &Flow, after: u64) -> Result<Fetched, Problem> {
    // An answer must begin within the limit for heads.
    let wait = WAIT.min(plane.config.timeouts.head / 2).as_secs();
    let path = format!("{SUBSCRIPTIONS}/{NOTIFICATIONS}?after={after}&wait={wait}");
    let answer = ask(plane, flow, Method::GET, &path, None, client::empty()).await?;
    if answer.status != StatusCode::OK {
        return Err(failed(&format!("the partner's data plane answers {}", answer.status.as_u16())));
    }
    serde_json::from_slice(&answer.body).map_err(|_| failed("the partner's answer holds no notifications"))
}

fn below(remote: &str) -> String {
    format!("{SUBSCRIPTIONS}/{}", utf8_percent_encode(remote, NON_ALPHANUMERIC))
}

async fn ask(
    plane: &Plane,
    flow: &Flow,
    method: Method,
    below: &str,
    link: Option<&str>,
    body: client::Outgoing,
) -> Result<Answer, Problem> {
    let mut request = partner_request(plane, flow, method, below).map_err(|why| failed(&why))?;
    request = request.header(CONTENT_TYPE, "application/json");
    if let Some(link) = link {
        request = request.header(LINK, link);
    }
    let request = request.body(body).map_err(|error| Problem::internal(&error))?;
    let answer = plane.partners.send(request).await.map_err(|error| unreachable(&error))?;
    let status = StatusCode::from_u16(answer.status().as_u16()).map_err(|error| Problem::internal(&error))?;
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect();
    let body = tokio::time::timeout(plane.config.timeouts.idle, body).await;
    let body = body.ok().and_then(Result::ok).ok_or_else(|| failed("the partner's answer did not arrive"))?;
    Ok(Answer { status, body: body.to_bytes() })
}

fn failed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "partner_failed", Fault::Peer, detail)
}
