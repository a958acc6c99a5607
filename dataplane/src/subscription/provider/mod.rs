//! The provider's side: what partners subscribe to at our brokers.

mod arrival;
mod broker;
mod catch_up;
mod keep;
mod left;
mod serve;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};

pub(crate) use arrival::arrive;
pub(crate) use broker::ARRIVALS;
pub(crate) use keep::{keep_brokers, keep_states};
pub(crate) use serve::serve;

use super::narrow::{Narrowed, narrow};
use super::queue::{Kept, Notification, Queue, Room};
use crate::clock::now_ms;
use crate::flow::{Flow, FlowTable};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::signaling;
use crate::store::{Change, Kind, Store, StoreError};
use crate::token::{self, TokenHash};

/// A subscription of a partner, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    flow: String,
    /// The name that the partner's data plane gave it.
    id: String,
    /// As the partner wants it, with the `Link` header under which it is read.
    body: Map<String, Value>,
    link: Option<String>,
    /// The name that the broker knows.
    broker_id: String,
    /// Stands in the address at which the broker notifies us; nobody else knows it.
    secret: String,
}

impl Record {
    fn key(&self) -> String {
        format!("p/{}/{}", self.flow, self.id)
    }
}

/// A subscription at a broker that has to be removed there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stray {
    flow: String,
    broker_id: String,
}

impl Stray {
    fn key(broker_id: &str) -> String {
        format!("s/{broker_id}")
    }
}

/// What of a flow's notifications outlives them.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Head {
    /// The greatest number that was given.
    last: u64,
    dropped: u64,
}

/// A subscription of a partner, ready for use.
struct Offer {
    record: Record,
    flow: Arc<Flow>,
    narrowed: Narrowed,
    /// The flow ran when it was looked at the last time.
    running: AtomicBool,
    /// The broker has notified while nothing was taken.
    behind: AtomicBool,
}

impl Offer {
    /// `running` when nothing was missed until now.
    fn new(record: Record, flow: Arc<Flow>, running: bool) -> Result<Self, Problem> {
        let selection = flow.terms.plan.as_ref().and_then(|plan| plan.selection.as_ref());
        let (Some(filter), Some(selection)) = (flow.filter()?, selection) else {
            return Err(not_offered(
                "subscriptions need a dataset with a `selection`, which notifications are held to",
            ));
        };
        let narrowed = narrow(&filter, selection, &record.body, record.link.as_deref(), now_ms())?;
        Ok(Self { record, flow, narrowed, running: AtomicBool::new(running), behind: AtomicBool::new(false) })
    }
}

/// The notifications of one flow that its partner has not acknowledged.
struct Line {
    queue: Mutex<Queue>,
    /// The flow has ended; nothing is taken any more.
    closed: AtomicBool,
    /// The number of the latest that can be fetched.
    news: watch::Sender<u64>,
}

impl Line {
    fn new(queue: Queue) -> Self {
        Self { queue: Mutex::new(queue), closed: AtomicBool::new(false), news: watch::channel(0).0 }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn notification_key(flow: &str, sequence: u64) -> String {
    format!("p/{flow}/{sequence:020}")
}

fn head_key(flow: &str) -> String {
    format!("h/{flow}")
}

/// The change that keeps what must be known of a queue when its notifications are gone.
fn head(flow: &str, queue: &Queue) -> Result<Change, StoreError> {
    let head = Head { last: queue.next().saturating_sub(1), dropped: queue.dropped() };
    Change::put(Kind::Subscription, &head_key(flow), &head)
}

#[derive(Default)]
struct Inner {
    /// By flow and by the partner's name.
    offers: HashMap<String, HashMap<String, Arc<Offer>>>,
    /// By the hash of the secret in the broker's address for us.
    by_secret: HashMap<String, Arc<Offer>>,
    lines: HashMap<String, Arc<Line>>,
    strays: HashMap<String, Stray>,
}

impl Inner {
    fn insert(&mut self, offer: &Arc<Offer>) -> Option<Arc<Offer>> {
        let record = &offer.record;
        self.by_secret.insert(TokenHash::of(&record.secret).to_hex(), Arc::clone(offer));
        let of_flow = self.offers.entry(record.flow.clone()).or_default();
        let before = of_flow.insert(record.id.clone(), Arc::clone(offer));
        if let Some(before) = &before {
            self.by_secret.remove(&TokenHash::of(&before.record.secret).to_hex());
        }
        before
    }

    fn remove(&mut self, offer: &Offer) {
        self.by_secret.remove(&TokenHash::of(&offer.record.secret).to_hex());
        let Some(of_flow) = self.offers.get_mut(&offer.record.flow) else { return };
        if of_flow.get(&offer.record.id).is_some_and(|known| known.record.broker_id == offer.record.broker_id) {
            of_flow.remove(&offer.record.id);
        }
        if of_flow.is_empty() {
            self.offers.remove(&offer.record.flow);
        }
    }
}

/// All subscriptions that partners have at our brokers.
#[derive(Default)]
pub(crate) struct Provider {
    inner: Mutex<Inner>,
    /// Something has to be removed at a broker.
    strays: Notify,
    /// A flow runs again.
    resumed: Notify,
}

impl Provider {
    /// Takes up what the store holds. Flows are there already.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn restore(&self, store: &Store, flows: &FlowTable) -> Result<(), StoreError> {
        let mut inner = self.inner();
        for (key, record) in store.load_below::<Record>(Kind::Subscription, "p/")? {
            let offer = flows.by_id(&record.flow).map(|flow| Offer::new(record.clone(), flow, false));
            match offer {
                Some(Ok(offer)) => {
                    inner.insert(&Arc::new(offer));
                }
                Some(Err(problem)) => tracing::error!(key, %problem, "a stored subscription is not usable"),
                None => tracing::error!(key, "a stored subscription has no flow"),
            }
        }
        for (_, stray) in store.load_below::<Stray>(Kind::Subscription, "s/")? {
            inner.strays.insert(stray.broker_id.clone(), stray);
        }
        let heads: HashMap<String, Head> = store.load_below(Kind::Subscription, "h/")?.into_iter().collect();
        let mut kept: HashMap<String, Vec<Kept>> = HashMap::new();
        for (key, notification) in store.load_below::<Notification>(Kind::Notification, "p/")? {
            if let Some((flow, _)) = key.trim_start_matches("p/").rsplit_once('/') {
                kept.entry(flow.to_owned()).or_default().push(notification.kept()?);
            }
        }
        let flows: Vec<String> = kept
            .keys()
            .cloned()
            .chain(heads.keys().filter_map(|key| key.strip_prefix("h/")).map(str::to_owned))
            .collect();
        for flow in flows {
            let head = heads.get(&head_key(&flow)).copied().unwrap_or_default();
            let waiting = kept.remove(&flow).unwrap_or_default();
            inner
                .lines
                .entry(flow)
                .or_insert_with(|| Arc::new(Line::new(Queue::restored(waiting, head.last, head.dropped))));
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, flow: &str, id: &str) -> Option<Arc<Offer>> {
        self.inner().offers.get(flow)?.get(id).cloned()
    }

    fn offers(&self) -> Vec<Arc<Offer>> {
        self.inner().offers.values().flat_map(HashMap::values).cloned().collect()
    }

    fn of_flow(&self, flow: &str) -> Vec<Arc<Offer>> {
        self.inner().offers.get(flow).into_iter().flat_map(HashMap::values).cloned().collect()
    }

    fn count(&self, flow: &str) -> usize {
        self.inner().offers.get(flow).map_or(0, HashMap::len)
    }

    /// Whether anything is kept for the flow that no other data plane has.
    pub(crate) fn has_any(&self, flow: &str) -> bool {
        let inner = self.inner();
        let waiting = |line: &Arc<Line>| !line.queue().sequences().is_empty();
        inner.lines.get(flow).is_some_and(waiting) || inner.offers.get(flow).is_some_and(|offers| !offers.is_empty())
    }

    /// Has a subscription removed again that ended while the broker was making it.
    fn settle(&self, plane: &Plane, offer: &Offer) {
        let known = self.offer(&offer.record.flow, &offer.record.id);
        if known.is_none_or(|known| known.record.broker_id != offer.record.broker_id) {
            abandon(plane, offer);
        }
    }

    fn line(&self, flow: &str) -> Arc<Line> {
        Arc::clone(self.inner().lines.entry(flow.to_owned()).or_insert_with(|| Arc::new(Line::new(Queue::default()))))
    }
}

/// Makes the subscription under this name, or replaces it.
///
/// # Errors
/// What is not admitted; what the broker says.
async fn put(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    id: String,
    body: Map<String, Value>,
    link: Option<String>,
) -> Result<(), Problem> {
    let before = plane.provided.offer(&flow.terms.id, &id);
    if before.as_ref().is_some_and(|before| before.record.body == body && before.record.link == link) {
        return Ok(());
    }
    let most = plane.config.subscriptions.most_per_flow;
    if before.is_none() && plane.provided.count(&flow.terms.id) >= most {
        let detail = format!("there are {most} subscriptions of this transfer already");
        return Err(Problem::new(StatusCode::FORBIDDEN, "too_many_subscriptions", Fault::Caller, detail));
    }
    // Before anything is promised: a flow with subscriptions is not given to another data plane.
    signaling::presence::pin(plane, flow).await?;
    let (secret, _) = token::mint().map_err(|error| Problem::internal(&error))?;
    let broker_id = format!("urn:ngsi-ld:Subscription:{}", uuid::Uuid::new_v4());
    let record = Record { flow: flow.terms.id.clone(), id, body, link, broker_id, secret };
    let offer = Arc::new(Offer::new(record, Arc::clone(flow), true)?);
    let mut changes = vec![Change::put(Kind::Subscription, &offer.record.key(), &offer.record)];
    if let Some(before) = &before {
        changes.push(stray(before));
    }
    plane.write(changes).await?;
    // Before the broker knows it: what it tells at once must be understood.
    let replaced = plane.provided.inner().insert(&offer);
    if let Some(replaced) = replaced {
        abandon(plane, &replaced);
    }
    if let Err(problem) = broker::create(plane, &offer).await {
        withdraw(plane, &offer).await?;
        return Err(problem);
    }
    plane.provided.settle(plane, &offer);
    Ok(())
}

/// Ends a subscription: nothing of it is taken any more, and the broker is told as soon as it can be.
async fn withdraw(plane: &Plane, offer: &Arc<Offer>) -> Result<(), Problem> {
    let changes = vec![Ok(Change::forget(Kind::Subscription, &offer.record.key())), stray(offer)];
    plane.provided.inner().remove(offer);
    abandon(plane, offer);
    plane.write(changes).await
}

fn stray(offer: &Offer) -> Result<Change, StoreError> {
    let stray = Stray { flow: offer.record.flow.clone(), broker_id: offer.record.broker_id.clone() };
    Change::put(Kind::Subscription, &Stray::key(&stray.broker_id), &stray)
}

fn abandon(plane: &Plane, offer: &Offer) {
    let stray = Stray { flow: offer.record.flow.clone(), broker_id: offer.record.broker_id.clone() };
    plane.provided.inner().strays.insert(stray.broker_id.clone(), stray);
    plane.provided.strays.notify_one();
}

fn room(plane: &Plane) -> Room {
    let settings = &plane.config.subscriptions;
    Room { notifications: settings.keep_notifications, bytes: settings.keep_bytes }
}

fn not_offered(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "subscriptions_not_offered", Fault::Caller, detail)
}
