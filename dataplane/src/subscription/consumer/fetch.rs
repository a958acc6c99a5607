//! Fetching notifications from the partner: one request after the other for each flow, waiting for the next notification.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::DataFlowState;

use super::{Cursor, Held, cursor_key, notification_key, partner};
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::signaling::callback::jittered;
use crate::store::{Change, Kind};
use crate::subscription::queue::{Notification, Room};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Begins to fetch a flow's notifications, unless that is being done.
pub(super) fn start(plane: &Arc<Plane>, flow: &Arc<Flow>) {
    if !is_wanted(plane, flow) || !plane.taken.inner().fetching.insert(flow.terms.id.clone()) {
        return;
    }
    let (plane, flow) = (Arc::clone(plane), Arc::clone(flow));
    tokio::spawn(async move {
        tokio::select! {
            () = run(&plane, &flow) => {}
            () = plane.over.cancelled() => {}
        }
        plane.taken.inner().fetching.remove(&flow.terms.id);
    });
}

fn is_wanted(plane: &Plane, flow: &Flow) -> bool {
    flow.live().state == DataFlowState::Started && plane.taken.is_wanted(&flow.terms.id)
}

async fn run(plane: &Arc<Plane>, flow: &Arc<Flow>) {
    let mut pause = FIRST_PAUSE;
    while is_wanted(plane, flow) {
        let Some(run) = flow.live().run.clone() else { return };
        let cursor = plane.taken.inner().cursors.get(&flow.terms.id).copied().unwrap_or_default();
        let ended = run.ended();
        let fetched = tokio::select! {
            fetched = partner::fetch(plane, flow, cursor.last) => fetched,
            () = ended.cancelled() => return,
        };
        let outcome = match fetched {
            Ok(fetched) => take(plane, flow, cursor, fetched).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(()) => pause = FIRST_PAUSE,
            Err(problem) => {
                tracing::info!(flow = flow.terms.id, %problem, "notifications are fetched later");
                tokio::time::sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Keeps what has come; it is acknowledged with the next request, when it is on disk.
async fn take(plane: &Plane, flow: &Flow, before: Cursor, fetched: partner::Fetched) -> Result<(), Problem> {
    if fetched.dropped > before.dropped {
        let count = fetched.dropped - before.dropped;
        tracing::warn!(
            flow = flow.terms.id,
            count,
            "the partner has dropped notifications that were not fetched in time"
        );
    }
    let flow_id = &flow.terms.id;
    let settings = &plane.config.subscriptions;
    let room = Room { notifications: settings.keep_notifications, bytes: settings.keep_bytes };
    let mut cursor = Cursor { dropped: fetched.dropped, ..before };
    let mut changes = Vec::new();
    let mut given: Vec<(Arc<Held>, u64)> = Vec::new();
    let texts = fetched.notifications.iter().map(Notification::kept).collect::<Result<Vec<_>, _>>();
    let texts = texts.map_err(|error| Problem::internal(&error))?;
    for (notification, kept) in fetched.notifications.into_iter().zip(texts) {
        // What an answer brings once more was kept already.
        if notification.sequence <= cursor.last {
            continue;
        }
        let sequence = notification.sequence;
        cursor.last = sequence;
        let Some(held) = held_for(plane, flow_id, &notification) else { continue };
        let key = |sequence| notification_key(flow_id, sequence);
        changes.push(Ok(Change::text(Kind::Notification, &key(sequence), kept.text.clone())));
        let gone = held.queue().add(kept, room);
        if !gone.is_empty() {
            tracing::warn!(flow = flow_id, count = gone.len(), "notifications that a program did not take are dropped");
        }
        changes.extend(gone.into_iter().map(|sequence| Ok(Change::forget(Kind::Notification, &key(sequence)))));
        given.push((held, sequence));
    }
    if cursor.last == before.last && cursor.dropped == before.dropped {
        return Ok(());
    }
    changes.push(Change::put(Kind::Subscription, &cursor_key(flow_id), &cursor));
    let outcome = plane.write(changes).await;
    for (held, sequence) in given {
        match outcome {
            Ok(()) => {
                held.queue().keep(sequence);
                held.news.send_replace(sequence);
            }
            Err(_) => held.queue().withdraw(sequence),
        }
    }
    outcome?;
    plane.taken.inner().cursors.insert(flow_id.clone(), cursor);
    Ok(())
}

fn held_for(plane: &Plane, flow: &str, notification: &Notification) -> Option<Arc<Held>> {
    let held = plane.taken.inner().held.get(flow).and_then(|held| held.get(&notification.subscription)).cloned();
    held.filter(|held| held.order().state != super::State::Ending)
}
