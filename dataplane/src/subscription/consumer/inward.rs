//! Subscriptions of this program's own: what they bring is taken by a part of it, and goes to no program.

use std::sync::Arc;

use actix_web::http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Held, Order, State, notification_key, serve};
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::store::{Change, Kind};
use crate::subscription::queue::{Kept, Notification, Queue, Room};

/// How many notifications are taken at once.
const BATCH: Room = Room { notifications: 64, bytes: 4 * 1024 * 1024 };

/// A subscription of our own, with what waits.
pub(crate) struct Tap(Arc<Held>);

/// What the partner says to a subscription of our own.
pub(crate) enum Opened {
    Taken(Tap),
    Refused(StatusCode),
}

impl Tap {
    /// The flow's subscription of our own, made when there is none.
    ///
    /// # Errors
    /// The partner cannot be reached or fails; the store fails.
    pub(crate) async fn open(
        plane: &Arc<Plane>,
        flow: &Arc<Flow>,
        mut body: Map<String, Value>,
        link: String,
    ) -> Result<Opened, Problem> {
        let flow_id = &flow.terms.id;
        let own = |held: &&Arc<Held>| held.order().inward;
        if let Some(held) = plane.taken.standing(flow_id).iter().find(own) {
            return Ok(Opened::Taken(Self(Arc::clone(held))));
        }
        let remote = format!("urn:ngsi-ld:Subscription:{}", Uuid::new_v4());
        body.insert("id".to_owned(), remote.clone().into());
        let order = Order {
            flow: flow_id.clone(),
            id: remote.clone(),
            remote: remote.clone(),
            body,
            link: Some(link),
            state: State::Making,
            inward: true,
        };
        let held = Arc::new(Held::new(order.clone(), Queue::default()));
        plane.taken.inner().held.entry(flow_id.clone()).or_default().insert(remote, Arc::clone(&held));
        let (plane, flow, made) = (Arc::clone(plane), Arc::clone(flow), Arc::clone(&held));
        // Whoever gives up meanwhile does not leave half of it.
        let making = tokio::spawn(async move { serve::settle(&plane, &flow, &made, order).await });
        Ok(match making.await.map_err(|error| Problem::internal(&error))?? {
            None => Opened::Taken(Self(held)),
            Some(refusal) => Opened::Refused(refusal.status),
        })
    }

    /// The first that wait.
    pub(crate) fn waiting(&self) -> Vec<Notification> {
        self.0.queue().after(0, BATCH).iter().filter_map(Kept::read).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.queue().sequences().len()
    }

    /// Returns when there is something that waits.
    pub(crate) async fn news(&self) {
        let mut news = self.0.news.subscribe();
        while self.0.queue().after(0, BATCH).is_empty() {
            // The sender lives as long as the subscription.
            let _ = news.changed().await;
        }
    }

    /// Those up to this number have arrived. Should forgetting them fail, they come once more after a restart.
    pub(crate) async fn taken(&self, plane: &Plane, flow: &Flow, sequence: u64) {
        let gone = self.0.queue().acknowledge(sequence);
        let key = |sequence| notification_key(&flow.terms.id, sequence);
        let changes = gone.into_iter().map(|sequence| Ok(Change::forget(Kind::Notification, &key(sequence)))).collect();
        if let Err(problem) = plane.write(changes).await {
            tracing::error!(%problem, "notifications that have arrived could not be forgotten");
        }
    }

    /// How many were dropped on their way, at the partner's and here.
    pub(crate) fn dropped(&self, plane: &Plane) -> u64 {
        let order = self.0.order();
        let theirs = plane.taken.inner().cursors.get(&order.flow).map(|cursor| cursor.dropped).unwrap_or_default();
        theirs.saturating_add(self.0.queue().dropped())
    }
}
