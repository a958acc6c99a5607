//! Registration with the control plane (DPS, Registration): at start until it is taken, then from time to time, since a control
//! plane may lose what it knew.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::{BROKER_LABEL, HTTP_PULL, HTTP_PUSH, RegistrationMessage};
use http::Method;

use super::callback::{jittered, tell};
use crate::plane::Plane;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A registration is repeated after this time, or at once when a callback meets a control plane that does not know us.
const REPEAT: Duration = Duration::from_secs(60);

/// Registers again and again; never ends.
pub(crate) async fn keep_registered(plane: Arc<Plane>) {
    let mut pause = FIRST_PAUSE;
    let mut known = false;
    loop {
        match register(&plane).await {
            Ok(()) => {
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

async fn register(plane: &Plane) -> Result<(), String> {
    let message = RegistrationMessage {
        dataplane_id: plane.config.id.clone(),
        endpoint: plane.config.signaling.public_url.clone(),
        profiles: vec![HTTP_PULL.to_owned(), HTTP_PUSH.to_owned()],
        authorization: Some(plane.config.announced.encode()),
        labels: labels(plane),
    };
    let url = format!("{}/dataplanes", plane.config.control_plane_url.as_str().trim_end_matches('/'));
    let response = tell(plane, Method::PUT, &url, &message.encode(plane.config.control_plane_dialect)).await?;
    if response.status().is_success() {
        Ok(())
    } else {
        Err(format!("the control plane answered {}", response.status()))
    }
}

/// Where our programs read, and the brokers of ours that data can be delivered to.
fn labels(plane: &Plane) -> Vec<String> {
    let mut brokers: Vec<String> = plane.config.brokers.keys().map(|name| format!("{BROKER_LABEL}{name}")).collect();
    brokers.sort_unstable();
    std::iter::once(format!("local={}", plane.config.local.public_url)).chain(brokers).collect()
}
