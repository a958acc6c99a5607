//! What keeps our programs' subscriptions in step with their flows.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::DataFlowState;
use tokio::time::Instant;

use super::{Held, Order, State, cursor_key, fetch, forward, notification_key, partner};
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::store::{Change, Kind};

/// Time between two looks at the flows.
const PERIOD: Duration = Duration::from_millis(200);
/// Time between two tries to end a subscription at the partner.
const RETRY: Duration = Duration::from_secs(5);

/// Starts what has to run, and ends what is over with its flow; never ends.
pub(crate) async fn keep(plane: Arc<Plane>) {
    let mut next_try = Instant::now();
    loop {
        let flows: Vec<String> = plane.taken.inner().held.keys().cloned().collect();
        let retry = Instant::now() >= next_try;
        if retry {
            next_try = Instant::now() + RETRY;
        }
        for id in flows {
            let flow = plane.flows.by_id(&id);
            let state = flow.as_ref().map(|flow| flow.live().state);
            let over = matches!(state, Some(DataFlowState::Completed | DataFlowState::Terminated));
            match flow.filter(|_| !over) {
                Some(flow) => keep_one(&plane, &flow, retry && state == Some(DataFlowState::Started)),
                None => {
                    for held in plane.taken.of_flow(&id) {
                        if let Err(problem) = forget(&plane, &held).await {
                            tracing::error!(%problem, "a subscription that has ended could not be forgotten; tried again");
                        }
                    }
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = plane.taken.changed.notified() => next_try = Instant::now(),
        }
    }
}

/// Starts what has to run of one flow; with `retry` its partner is told once more what has ended.
fn keep_one(plane: &Arc<Plane>, flow: &Arc<Flow>, retry: bool) {
    fetch::start(plane, flow);
    for held in plane.taken.of_flow(&flow.terms.id) {
        let order = held.order();
        match order.state {
            State::Standing if !order.inward => forward::start(plane, flow, &held),
            State::Ending if retry => end_at_partner(plane, flow, &held),
            State::Standing | State::Ending | State::Making => {}
        }
    }
}

/// Ends a subscription for its program at once, and for the partner as soon as it can be told.
pub(super) async fn end(plane: &Plane, held: &Held) -> Result<(), Problem> {
    let order = Order { state: State::Ending, ..(*held.order()).clone() };
    held.set(order.clone());
    held.gone.cancel();
    let mut changes = dropped(held, &order);
    changes.push(order.change());
    plane.write(changes).await?;
    plane.taken.changed.notify_one();
    Ok(())
}

/// Forgets a subscription, with all that waits for its program; the flow's cursor goes with the flow's last one that ended.
pub(super) async fn forget(plane: &Plane, held: &Held) -> Result<(), Problem> {
    let order = held.order();
    held.gone.cancel();
    let mut changes = dropped(held, &order);
    changes.push(Ok(Change::forget(Kind::Subscription, &order.key())));
    let ended = plane
        .flows
        .by_id(&order.flow)
        .is_none_or(|flow| matches!(flow.live().state, DataFlowState::Completed | DataFlowState::Terminated));
    if ended {
        changes.push(Ok(Change::forget(Kind::Subscription, &cursor_key(&order.flow))));
    }
    plane.write(changes).await?;
    let mut inner = plane.taken.inner();
    if let Some(of_flow) = inner.held.get_mut(&order.flow) {
        of_flow.remove(&order.remote);
        if of_flow.is_empty() {
            inner.held.remove(&order.flow);
        }
    }
    if ended {
        inner.cursors.remove(&order.flow);
    }
    Ok(())
}

/// Drops what waits for the program.
fn dropped(held: &Held, order: &Order) -> Vec<Result<Change, crate::store::StoreError>> {
    let sequences = held.queue().sequences();
    let key = |sequence| notification_key(&order.flow, sequence);
    sequences.into_iter().map(|sequence| Ok(Change::forget(Kind::Notification, &key(sequence)))).collect()
}

fn end_at_partner(plane: &Arc<Plane>, flow: &Arc<Flow>, held: &Arc<Held>) {
    let (plane, flow, held) = (Arc::clone(plane), Arc::clone(flow), Arc::clone(held));
    tokio::spawn(async move {
        match partner::delete(&plane, &flow, &held.order().remote).await {
            Ok(answer) if answer.status.is_success() || answer.status == actix_web::http::StatusCode::NOT_FOUND => {
                if let Err(problem) = forget(&plane, &held).await {
                    tracing::error!(%problem, "a subscription that has ended could not be forgotten; tried again");
                }
            }
            Ok(answer) => {
                tracing::info!(status = answer.status.as_u16(), "a subscription is ended at the partner later")
            }
            Err(problem) => tracing::info!(%problem, "a subscription is ended at the partner later"),
        }
    });
}
