//! Handing notifications to the program: in order, each until it was taken.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::StatusCode;
use dps_signaling::DataFlowState;
use http::header::{CONTENT_TYPE, LINK};
use http::{Method, Request};
use ngsi_ld_filter::context_link;
use policy_plan::instant_text;
use serde_json::{Map, Value};

use super::receiver::Receiver;
use super::{Held, notification_key};
use crate::client;
use crate::clock::now_ms;
use crate::flow::Flow;
use crate::permit;
use crate::plane::Plane;
use crate::signaling::callback::jittered;
use crate::store::{Change, Kind};
use crate::subscription::queue::{Notification, Room};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long to wait for a flow that does not run, or rules that do not allow it.
const HELD_BACK: Duration = Duration::from_millis(500);
/// How many are taken from the queue at once.
const BATCH: Room = Room { notifications: 64, bytes: 1024 * 1024 };
/// After so many tries a notification is dropped that the program refuses as wrong, so that others get through.
const REFUSED_TRIES: u32 = 10;
/// The context of names that have no other.
const CORE: &str = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";

/// Begins to hand a subscription's notifications on, unless that is being done.
pub(super) fn start(plane: &Arc<Plane>, flow: &Arc<Flow>, held: &Arc<Held>) {
    if held.forwarded.swap(true, Ordering::AcqRel) {
        return;
    }
    let (plane, flow, held) = (Arc::clone(plane), Arc::clone(flow), Arc::clone(held));
    tokio::spawn(async move {
        let gone = held.gone.clone();
        tokio::select! {
            () = run(&plane, &flow, &held) => {}
            () = gone.cancelled() => {}
            () = plane.over.cancelled() => {}
        }
        held.forwarded.store(false, Ordering::Release);
    });
}

/// Never ends; the subscription's end ends it.
async fn run(plane: &Arc<Plane>, flow: &Arc<Flow>, held: &Arc<Held>) {
    let mut news = held.news.subscribe();
    loop {
        news.mark_unchanged();
        let batch = held.queue().after(0, BATCH);
        if batch.is_empty() {
            // The sender lives as long as the subscription.
            let _ = news.changed().await;
            continue;
        }
        let mut done = Vec::with_capacity(batch.len());
        for kept in batch {
            let sequence = kept.sequence;
            let Some(notification) = kept.read() else {
                held.queue().acknowledge(sequence);
                done.push(sequence);
                continue;
            };
            // What is done already is forgotten before a program that is away is waited for.
            let mut tried = 0;
            let mut paid = false;
            let mut pause = FIRST_PAUSE;
            while !deliver(plane, flow, held, &notification, &mut paid, &mut tried).await {
                forget(plane, flow, &mut done).await;
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            held.queue().acknowledge(sequence);
            done.push(sequence);
        }
        forget(plane, flow, &mut done).await;
    }
}

/// Forgets what has arrived. Should that fail, it arrives once more after a restart.
async fn forget(plane: &Plane, flow: &Flow, done: &mut Vec<u64>) {
    if done.is_empty() {
        return;
    }
    let key = |sequence| notification_key(&flow.terms.id, sequence);
    let changes = done.drain(..).map(|sequence| Ok(Change::forget(Kind::Notification, &key(sequence)))).collect();
    if let Err(problem) = plane.write(changes).await {
        tracing::error!(%problem, "notifications that have arrived could not be forgotten");
    }
}

/// Tries once; `true` when the notification is done with.
async fn deliver(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    held: &Held,
    notification: &Notification,
    paid: &mut bool,
    tried: &mut u32,
) -> bool {
    // One use, however many tries it takes; but no try while the flow stands.
    while flow.live().state != DataFlowState::Started || !*paid {
        match permit::notification(plane, flow).await {
            Ok(_permitted) => *paid = true,
            Err(_) => tokio::time::sleep(HELD_BACK).await,
        }
    }
    let now = instant_text(now_ms());
    held.told().last_notification = Some(now.clone());
    let status = send(plane, held, notification).await;
    let mut told = held.told();
    if status.as_ref().is_ok_and(StatusCode::is_success) {
        told.sent = told.sent.saturating_add(1);
        told.last_success = Some(now);
        return true;
    }
    *tried = tried.saturating_add(1);
    told.failed = told.failed.saturating_add(1);
    told.last_failure = Some(now);
    let refused = matches!(
        status,
        Ok(StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY)
    );
    let given_up = refused && *tried >= REFUSED_TRIES;
    if given_up {
        tracing::warn!(flow = flow.terms.id, "a notification is dropped that the program refuses as wrong");
    }
    given_up
}

async fn send(plane: &Plane, held: &Held, notification: &Notification) -> Result<StatusCode, String> {
    let order = held.order();
    let receiver =
        Receiver::of(&order.body, &plane.config.subscriptions.receivers).map_err(|problem| problem.to_string())?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("id", notification.id.clone().into());
    put("type", "Notification".into());
    put("subscriptionId", order.id.clone().into());
    put("notifiedAt", notification.notified_at.clone().into());
    put("data", notification.data.clone());
    let context = notification.context.as_deref().unwrap_or(CORE);
    let mut request = Request::builder().method(Method::POST).uri(receiver.url.as_str());
    if receiver.linked {
        put("@context", context.into());
        request = request.header(CONTENT_TYPE, "application/ld+json");
    } else {
        let media = if notification.data.is_array() { "application/json" } else { "application/geo+json" };
        request = request.header(CONTENT_TYPE, media).header(LINK, context_link(context));
    }
    for (name, value) in receiver.headers {
        request = request.header(name, value);
    }
    let request = request.body(client::full(Value::Object(body).to_string())).map_err(|error| error.to_string())?;
    let answer = plane.sources.send(request).await.map_err(|error| error.to_string())?;
    StatusCode::from_u16(answer.status().as_u16()).map_err(|error| error.to_string())
}
