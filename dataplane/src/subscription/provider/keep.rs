//! What keeps subscriptions in step with their flows and their brokers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dps_signaling::DataFlowState;
use policy_plan::Source;
use tokio::time::Instant;

use super::catch_up::catch_up;
use super::{Offer, abandon, broker, head_key, notification_key, stray};
use crate::flow::Flow;
use crate::plane::Plane;
use crate::store::{Change, Kind};
use crate::subscription::provider::Stray;

/// Time between two looks at the flows.
const PERIOD: Duration = Duration::from_millis(200);
/// Time between two looks whether a broker still has what it was given.
const LOOK: Duration = Duration::from_secs(60);
/// So many subscriptions of ours are worth one page of the broker's list, which may hold those of others.
const WORTH_A_PAGE: usize = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Whether nothing can move over the flow any more.
fn has_ended(flow: Option<&Arc<Flow>>) -> bool {
    flow.is_none_or(|flow| matches!(flow.live().state, DataFlowState::Completed | DataFlowState::Terminated))
}

/// Ends subscriptions with their flows, and notices which flows run again; never ends itself.
pub(crate) async fn keep_states(plane: Arc<Plane>) {
    let mut looks = tokio::time::interval(PERIOD);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        looks.tick().await;
        let flows: HashSet<String> = {
            let inner = plane.provided.inner();
            inner.offers.keys().chain(inner.lines.keys()).cloned().collect()
        };
        for id in flows {
            let flow = plane.flows.by_id(&id);
            if has_ended(flow.as_ref()) {
                end(&plane, &id).await;
                continue;
            }
            let running = flow.is_some_and(|flow| flow.live().state == DataFlowState::Started);
            for offer in plane.provided.of_flow(&id) {
                if !offer.running.swap(running, Ordering::AcqRel) && running {
                    offer.behind.store(true, Ordering::Release);
                    plane.provided.resumed.notify_one();
                }
            }
        }
    }
}

/// Drops what waits for the partner, and leaves the subscriptions of the flow to be removed at the broker.
async fn end(plane: &Plane, flow: &str) {
    let offers = plane.provided.of_flow(flow);
    let mut changes = vec![Ok(Change::forget(Kind::Subscription, &head_key(flow)))];
    for offer in &offers {
        changes.push(Ok(Change::forget(Kind::Subscription, &offer.record.key())));
        changes.push(stray(offer));
    }
    let line = plane.provided.line(flow);
    let sequences = {
        let queue = line.queue();
        line.closed.store(true, Ordering::Release);
        queue.sequences()
    };
    changes.extend(
        sequences.iter().map(|sequence| Ok(Change::forget(Kind::Notification, &notification_key(flow, *sequence)))),
    );
    if let Err(problem) = plane.write(changes).await {
        tracing::error!(flow, %problem, "the subscriptions of a flow that has ended could not be forgotten; tried again");
        return;
    }
    for offer in &offers {
        plane.provided.inner().remove(offer);
        abandon(plane, offer);
    }
    plane.provided.inner().lines.remove(flow);
    tracing::info!(
        flow,
        subscriptions = offers.len(),
        dropped = sequences.len(),
        "subscriptions have ended with their flow"
    );
}

/// Removes at the brokers what has ended, and makes anew what they have lost; never ends.
pub(crate) async fn keep_brokers(plane: Arc<Plane>) {
    let mut pauses: HashMap<String, (Instant, Duration)> = HashMap::new();
    let mut next_look = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next_look {
            next_look = now + LOOK;
            look(&plane).await;
        }
        let strays = plane.provided.inner().strays.clone();
        pauses.retain(|id, _| strays.contains_key(id));
        for stray in strays.into_values() {
            if pauses.get(&stray.broker_id).is_some_and(|(due, _)| *due > Instant::now()) {
                continue;
            }
            if !remove(&plane, &stray).await {
                let before = pauses.get(&stray.broker_id).map(|(_, pause)| *pause);
                let pause = before.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
                pauses.insert(stray.broker_id.clone(), (Instant::now() + pause, pause));
            }
        }
        let due = pauses.values().map(|(due, _)| *due).chain([next_look]).min().unwrap_or(next_look);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = plane.provided.strays.notified() => {}
            () = plane.provided.resumed.notified() => next_look = Instant::now(),
        }
    }
}

/// Removes one at its broker; `false` when it has to be tried again.
async fn remove(plane: &Plane, stray: &Stray) -> bool {
    match plane.flows.by_id(&stray.flow) {
        Some(flow) => {
            if let Err(problem) = broker::remove(plane, &flow, &stray.broker_id).await {
                tracing::warn!(flow = stray.flow, %problem, "a subscription is still at the broker; tried again");
                return false;
            }
        }
        None => tracing::error!(
            flow = stray.flow,
            id = stray.broker_id,
            "a subscription stays at a broker whose flow is forgotten"
        ),
    }
    let change = Change::forget(Kind::Subscription, &Stray::key(&stray.broker_id));
    if plane.write(vec![Ok(change)]).await.is_err() {
        return false;
    }
    plane.provided.inner().strays.remove(&stray.broker_id);
    true
}

/// Looks whether the brokers have what they were given, and gives it again where not.
async fn look(plane: &Arc<Plane>) {
    let mut brokers: HashMap<(String, Option<String>), Vec<Arc<Offer>>> = HashMap::new();
    for offer in plane.provided.offers() {
        let source = offer.flow.terms.plan.as_ref().and_then(|plan| plan.source.as_ref());
        if let (Some(Source::Http { base_url, credential }), DataFlowState::Started) = (source, offer.flow.live().state)
        {
            brokers.entry((base_url.clone(), credential.clone())).or_default().push(offer);
        }
    }
    for offers in brokers.into_values() {
        look_at_one(plane, offers).await;
    }
}

/// Looks whether one broker has these. What stands in its list is there; the rest is asked for one by one, all of it when that is
/// less work.
async fn look_at_one(plane: &Arc<Plane>, offers: Vec<Arc<Offer>>) {
    let listed = match offers.first() {
        Some(first) => broker::listed(plane, &first.flow, offers.len() / WORTH_A_PAGE).await,
        None => return,
    };
    for offer in offers {
        let there = match listed.contains(&offer.record.broker_id) {
            true => Ok(true),
            false => broker::is_there(plane, &offer).await,
        };
        let made = match there {
            Ok(true) => Ok(()),
            Ok(false) if plane.provided.offer(&offer.record.flow, &offer.record.id).is_none() => Ok(()),
            Ok(false) => {
                tracing::warn!(flow = offer.record.flow, "a broker has lost a subscription; it is made anew");
                offer.behind.store(true, Ordering::Release);
                broker::create(plane, &offer).await
            }
            Err(problem) => {
                tracing::warn!(flow = offer.record.flow, %problem, "a broker could not be asked for its subscriptions");
                return;
            }
        };
        match made {
            Ok(()) => {
                plane.provided.settle(plane, &offer);
                if offer.behind.swap(false, Ordering::AcqRel)
                    && let Err(problem) = catch_up(plane, &offer).await
                {
                    offer.behind.store(true, Ordering::Release);
                    tracing::warn!(flow = offer.record.flow, %problem, "what was missed could not be read; tried again");
                }
            }
            Err(problem) => {
                tracing::warn!(flow = offer.record.flow, %problem, "a broker did not take a subscription");
            }
        }
    }
}
