//! Registration with the control plane (DPS, Registration): at start until it is taken, then from time to time, since a control
//! plane may lose what it knew.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::{BROKER_LABEL, HTTP_PULL, HTTP_PUSH, RegistrationMessage};
use http::Method;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use super::callback::{jittered, tell};
use super::presence::{keep, note_offer};
use crate::plane::Plane;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A registration is repeated after this time, or at once when a callback meets a control plane that does not know us.
const REPEAT: Duration = Duration::from_secs(60);

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Registers again and again; never ends.
pub(crate) async fn keep_registered(plane: Arc<Plane>) {
    let mut pause = FIRST_PAUSE;
    let mut known = false;
    let mut presence: Option<AbortOnDropHandle<()>> = None;
    loop {
        match register(&plane).await {
            Ok(answer) => {
                if note_offer(&plane, &answer) && presence.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
                    presence = Some(AbortOnDropHandle::new(tokio::spawn(keep(Arc::clone(&plane)))));
                }
                if !known {
                    tracing::info!(control_plane = %plane.config.control_plane_url, "registered with the control plane");
                }
                known = true;
                pause = FIRST_PAUSE;
                // Either reason is one to register again.
                let _ = tokio::time::timeout(jittered(REPEAT), plane.forgotten.notified()).await;
            }
            Err(reason) => {
                tracing::info!(control_plane = %plane.config.control_plane_url, reason, "not registered yet");
                known = false;
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Registers; gives what the control plane says in return.
async fn register(plane: &Plane) -> Result<Value, String> {
    let message = RegistrationMessage {
        dataplane_id: plane.config.id.clone(),
        endpoint: plane.config.signaling.public_url.clone(),
        profiles: vec![HTTP_PULL.to_owned(), HTTP_PUSH.to_owned()],
        authorization: Some(plane.config.announced.encode()),
        labels: labels(plane),
    };
    let url = format!("{}/dataplanes", plane.config.control_plane_url.as_str().trim_end_matches('/'));
    let response = tell(plane, Method::PUT, &url, &message.encode(plane.config.control_plane_dialect)).await?;
    if !response.status().is_success() {
        return Err(format!("the control plane answered {}", response.status()));
    }
    // The standard asks for no body.
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&body.to_bytes()).unwrap_or_default())
}

/// Where our programs read, and the brokers of ours that data can be delivered to.
fn labels(plane: &Plane) -> Vec<String> {
    let mut brokers: Vec<String> = plane.config.brokers.keys().map(|name| format!("{BROKER_LABEL}{name}")).collect();
    brokers.sort_unstable();
    std::iter::once(format!("local={}", plane.config.local.public_url)).chain(brokers).collect()
}
