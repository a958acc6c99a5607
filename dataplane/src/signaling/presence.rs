//! The connection by which the control plane knows that we are there, see [`dps_signaling::presence`].
//!
//! It begins with the flows that we have. Those that the control plane answers are not ours any more: their transfer has ended, or another
//! data plane carries them, while we were away. They are ended before anything else, and after a restart nobody is served before that
//! ([`fence`]).

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::StatusCode;
use bytes::Bytes;
use dps_signaling::DataFlowState;
use dps_signaling::presence::{Ended, MAX_LINE, PERIOD, Presented, PresentedFlow, SILENCE, leave_path, presence_path};
use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::callback::{jittered, tell};
use crate::clock::now_ms;
use crate::flow::{Flow, FlowRecord, Live, Role, moves};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::store::{Change, Kind};

/// Pause before we come again, when the connection has ended.
const PAUSE: Duration = Duration::from_millis(100);
/// Lines that may wait to be sent.
const LINES: usize = 4;
/// How long partners wait after a restart for the control plane to say which flows are still ours. While it is away, flows go on.
const FENCE: Duration = Duration::from_secs(2);

/// Longest time that we wait for our flows to move before we stop.
const LEAVE: Duration = Duration::from_secs(20);

/// Keeps one connection until it ends; then registration begins anew.
pub(crate) async fn keep(plane: Arc<Plane>) {
    let over = plane.over.clone();
    tokio::select! {
        ended = connect(&plane) => {
            let reason = ended.err().unwrap_or_default();
            tracing::info!(control_plane = %plane.config.control_plane_url, reason, "the control plane does not see us");
        }
        () = over.cancelled() => return,
    }
    tokio::time::sleep(jittered(PAUSE)).await;
    plane.forgotten.notify_one();
}

/// Waits until the control plane has said which of the kept flows are still ours; not long, and only where there are any that partners
/// could read.
pub(crate) async fn fence(plane: &Plane) {
    let serves = |flow: &Flow| {
        let terms = &flow.terms;
        terms.role == Role::Provider && moves(terms.role, terms.direction, flow.live().state)
    };
    if !plane.flows.select(serves).is_empty() {
        // Either way it is time to serve.
        let _ = tokio::time::timeout(FENCE, plane.compared.notified()).await;
    }
}

/// Says that we are about to stop, and waits until our pulls have gone to others, as long as the control plane takes for that.
pub(crate) async fn leave(plane: &Plane) {
    if !plane.is_seen() {
        return;
    }
    let base = plane.config.control_plane_url.as_str().trim_end_matches('/');
    let url = format!("{base}{}", leave_path(&plane.config.id));
    match tokio::time::timeout(LEAVE, tell(plane, Method::POST, &url, &Value::Null)).await {
        Ok(Ok(answer)) if answer.status().is_success() => {}
        Ok(Ok(answer)) => {
            tracing::info!(status = answer.status().as_u16(), "the control plane does not know that we stop")
        }
        Ok(Err(reason)) => tracing::info!(reason, "the control plane does not know that we stop"),
        Err(_) => tracing::info!("some flows have not moved in time"),
    }
}

async fn connect(plane: &Arc<Plane>) -> Result<(), String> {
    let (lines, waiting) = mpsc::channel(LINES);
    let body = stream::unfold(waiting, |mut waiting| async move {
        let line: Bytes = waiting.recv().await?;
        Some((Ok::<_, io::Error>(Frame::data(line)), waiting))
    });
    let base = plane.config.control_plane_url.as_str().trim_end_matches('/');
    let url = format!("{base}{}", presence_path(&plane.config.id));
    let trust = plane.trust_at(&url);
    let authorization = trust.header().await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(&url)
        .header(AUTHORIZATION, authorization.clone())
        .header(CONTENT_TYPE, "application/x-ndjson")
        .body(StreamBody::new(body).boxed_unsync())
        .map_err(|error| error.to_string())?;
    let gone = || "the connection broke off".to_owned();
    lines.send(present(plane).encode().into()).await.map_err(|_| gone())?;
    let response = plane.control.send(request).await.map_err(|error| error.to_string())?;
    if response.status() == http::StatusCode::UNAUTHORIZED {
        // The next registration gets another token.
        trust.refused(&authorization);
    }
    if !response.status().is_success() {
        return Err(format!("the control plane answered {}", response.status()));
    }
    let mut answer = response.into_body();
    let first = tokio::time::timeout(SILENCE, first_line(&mut answer)).await.map_err(|_| "no answer in time")??;
    let ended = Ended::decode(&first).map_err(|error| error.to_string())?;
    end(plane, &ended.flows).await?;
    plane.compared.notify_one();
    let mut signs = tokio::time::interval(PERIOD);
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            _ = signs.tick() => lines.send(Bytes::from_static(b"\n")).await.map_err(|_| gone())?,
            frame = answer.frame() => match frame {
                Some(Ok(_)) => heard = tokio::time::Instant::now(),
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the control plane has ended it".to_owned()),
            },
            () = tokio::time::sleep_until(heard + SILENCE) => return Err("the control plane is silent".to_owned()),
        }
    }
}

/// Every flow that a control plane began and that has not ended.
fn present(plane: &Plane) -> Presented {
    let runs = |flow: &Flow| !flow.live().state.is_final();
    let flows = plane.flows.select(runs).into_iter().filter_map(|flow| {
        Some(PresentedFlow {
            id: flow.terms.id.clone(),
            process: flow.terms.process_id.clone(),
            control_plane: flow.terms.control_plane.clone()?,
        })
    });
    Presented { flows: flows.collect() }
}

async fn first_line(answer: &mut Incoming) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        line.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(line);
        }
        if line.len() > MAX_LINE {
            break;
        }
    }
    Err("the control plane has not said which flows are still ours".to_owned())
}

/// Ends flows that are not ours any more. A pull that keeps nothing is forgotten, so that it can come back; the others end as with their
/// transfer, which takes their subscriptions from the brokers.
async fn end(plane: &Arc<Plane>, flows: &[String]) -> Result<(), String> {
    let mut changes = Vec::new();
    for flow in flows.iter().filter_map(|id| plane.flows.by_id(id)) {
        let _gate = flow.gate.lock().await;
        let live = flow.live();
        let ended = Live {
            state: DataFlowState::Terminated,
            token: None,
            renewal: None,
            address: None,
            address_expires_ms: None,
            last_message: live.last_message.clone(),
            changed_ms: now_ms(),
            run: None,
        };
        tracing::info!(flow = flow.terms.id, "a flow that is not ours any more has ended");
        if flow.terms.role == Role::Provider && !plane.provided.has_any(&flow.terms.id) {
            changes.push(Ok(Change::forget(Kind::Flow, &flow.terms.id)));
            flow.publish(ended);
            plane.flows.remove(&flow);
        } else {
            changes.push(Change::flow(&FlowRecord::of(&flow.terms, &ended)));
            flow.publish(ended);
        }
    }
    plane.write(changes).await.map_err(|problem| problem.to_string())
}

/// Has the control plane know that we keep something of the flow that no other data plane has, so that it is not given away while we are gone.
///
/// # Errors
/// 503 while the control plane does not answer, or has given the flow away.
pub(crate) async fn pin(plane: &Plane, flow: &Flow) -> Result<(), Problem> {
    if !plane.is_seen() || flow.pinned.load(Ordering::Relaxed) {
        return Ok(());
    }
    let unavailable = |reason: String| {
        tracing::warn!(flow = flow.terms.id, reason, "the control plane has not noted that a flow stays here");
        let detail = "subscriptions are taken when the provider's control plane has noted them, and it does not answer";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_noted", Fault::Us, detail)
    };
    let process = utf8_percent_encode(&flow.terms.process_id, NON_ALPHANUMERIC);
    let url = format!("{}/transfers/{process}/pin", plane.callback_base(flow));
    let body = json!({"dataplaneId": plane.config.id});
    let answer = tell(plane, Method::PUT, &url, &body).await.map_err(unavailable)?;
    if !answer.status().is_success() {
        return Err(unavailable(format!("it answered {}", answer.status())));
    }
    flow.pinned.store(true, Ordering::Relaxed);
    Ok(())
}

/// The answer to a registration offers the connection.
pub(super) fn note_offer(plane: &Plane, answer: &Value) -> bool {
    let offered = answer.get(dps_signaling::presence::OFFER).and_then(Value::as_bool).unwrap_or_default();
    plane.seen.store(offered, Ordering::Relaxed);
    if !offered {
        // Nobody will say which flows are ours.
        plane.compared.notify_one();
    }
    offered
}
