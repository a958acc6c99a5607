//! What the control plane is told of its own accord (DPS, Control Plane API): kept until it has been taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dps_signaling::{Callback as Told, Dialect, StatusMessage, callback_path};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use crate::client;
use crate::plane::Plane;
use crate::store::{Change, Kind, StoreError};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// 404 and 409 may come of a race with the control plane's own writing; after so many tries they are final.
const RACE_TRIES: u32 = 8;
/// After so many tries, about a day, the control plane has to ask for the status itself.
const MAX_TRIES: u32 = 3_000;

/// A callback that is owed. `Debug` is left out: the body may hold a token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Callback {
    id: String,
    url: String,
    body: Value,
}

impl Callback {
    /// A callback for a process below `base`.
    pub(crate) fn new(base: String, process_id: &str, told: Told, message: &StatusMessage) -> Self {
        Self {
            // In the order of time, so that a restart sends them in order.
            id: Uuid::now_v7().to_string(),
            url: format!("{base}{}", callback_path(process_id, told)),
            body: message.encode(Dialect::Rc3),
        }
    }

    /// The change that keeps it.
    pub(crate) fn keep(&self) -> Result<Change, StoreError> {
        Change::put(Kind::Callback, &self.id, self)
    }
}

/// Sends callbacks as they come; each has its own tries.
pub(crate) async fn deliver_all(plane: Arc<Plane>, mut waiting: UnboundedReceiver<Callback>) {
    while let Some(callback) = waiting.recv().await {
        let plane = Arc::clone(&plane);
        tokio::spawn(async move {
            deliver(&plane, &callback).await;
            if let Err(error) = plane.store.write(vec![Change::forget(Kind::Callback, &callback.id)]).await {
                tracing::error!(%error, "a callback that is done could not be forgotten; it will come once more");
            }
        });
    }
}

async fn deliver(plane: &Plane, callback: &Callback) {
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=MAX_TRIES {
        match attempt_once(plane, callback).await {
            Ok(status) if status.is_success() => return,
            Ok(status) if is_final(status, attempt) => {
                tracing::warn!(url = callback.url, status = status.as_u16(), "the control plane refused a callback");
                if status == StatusCode::NOT_FOUND {
                    plane.forgotten.notify_one();
                }
                return;
            }
            Ok(status) => tracing::info!(url = callback.url, status = status.as_u16(), "a callback is tried again"),
            Err(error) => tracing::info!(url = callback.url, error, "a callback is tried again"),
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    tracing::error!(url = callback.url, "a callback is given up");
}

async fn attempt_once(plane: &Plane, callback: &Callback) -> Result<StatusCode, String> {
    Ok(tell(plane, Method::POST, &callback.url, &callback.body).await?.status())
}

/// Sends a request to the control plane at `url`, with what it knows us by. A token that it refuses is replaced once.
///
/// # Errors
/// A sentence: no token for it, or no answer.
pub(crate) async fn tell(plane: &Plane, method: Method, url: &str, body: &Value) -> Result<Response<Incoming>, String> {
    let trust = plane.trust_at(url);
    let body = Bytes::from(body.to_string());
    let mut again = true;
    loop {
        let authorization = trust.header().await?;
        let request = Request::builder()
            .method(method.clone())
            .uri(url)
            .header(AUTHORIZATION, authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(client::full(body.clone()))
            .map_err(|error| error.to_string())?;
        let response = plane.control.send(request).await.map_err(|error| error.to_string())?;
        let refused = response.status() == StatusCode::UNAUTHORIZED && trust.refused(&authorization);
        if !refused || !std::mem::take(&mut again) {
            return Ok(response);
        }
    }
}

fn is_final(status: StatusCode, attempt: u32) -> bool {
    match status {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => attempt >= RACE_TRIES,
        StatusCode::UNAUTHORIZED
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => false,
        status => status.is_client_error(),
    }
}

/// Between one half and one and a half of the pause, so that many waiters do not come together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..1.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_answers_are_final() {
        for (status, attempt, expected) in [
            (400, 1, true),
            (404, 1, false),
            (404, 8, true),
            (409, 2, false),
            (401, 99, false),
            (429, 9, false),
            (503, 9, false),
        ] {
            assert_eq!(is_final(StatusCode::from_u16(status).unwrap(), attempt), expected, "{status} {attempt}");
        }
    }
}
