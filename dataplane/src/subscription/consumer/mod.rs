//! The consumer's side: what programs of ours subscribe to at partners' brokers.

mod fetch;
mod forward;
mod inward;
mod keep;
mod partner;
mod receiver;
mod serve;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use inward::{Opened, Tap};
pub(crate) use keep::keep;
pub(crate) use serve::serve;

use super::queue::{Kept, Notification, Queue};
use crate::store::{Change, Kind, Store, StoreError};

/// How far a subscription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// The partner is being asked; the program knows nothing of it yet.
    Making,
    /// The program has it.
    Standing,
    /// It is over, and the partner has to be told.
    Ending,
}

/// A subscription of a program of ours, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    flow: String,
    /// The name that the program knows.
    id: String,
    /// The name that the partner's data plane knows.
    remote: String,
    /// As the program wants it, with its own address.
    body: Map<String, Value>,
    /// The `Link` header under which it is read.
    link: Option<String>,
    state: State,
    /// It is a part of this program that takes what comes.
    #[serde(default)]
    inward: bool,
}

impl Order {
    fn key(&self) -> String {
        format!("c/{}/{}", self.flow, self.remote)
    }

    fn change(&self) -> Result<Change, StoreError> {
        Change::put(Kind::Subscription, &self.key(), self)
    }
}

/// What became of the notifications since this program started.
#[derive(Debug, Clone, Default)]
struct Told {
    sent: u64,
    failed: u64,
    last_notification: Option<String>,
    last_success: Option<String>,
    last_failure: Option<String>,
}

/// A subscription with what waits for the program.
struct Held {
    order: Mutex<Arc<Order>>,
    queue: Mutex<Queue>,
    /// The number of the latest that waits.
    news: watch::Sender<u64>,
    told: Mutex<Told>,
    /// The subscription is over.
    gone: CancellationToken,
    /// Its notifications are being handed on.
    forwarded: AtomicBool,
}

impl Held {
    fn new(order: Order, queue: Queue) -> Self {
        Self {
            order: Mutex::new(Arc::new(order)),
            queue: Mutex::new(queue),
            news: watch::channel(0).0,
            told: Mutex::default(),
            gone: CancellationToken::new(),
            forwarded: AtomicBool::new(false),
        }
    }

    fn order(&self) -> Arc<Order> {
        Arc::clone(&self.order.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, order: Order) {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(order);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a flow's notifications have come to us.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Cursor {
    /// The number of the last that is on our disk.
    last: u64,
    /// How many the partner has dropped.
    dropped: u64,
}

fn cursor_key(flow: &str) -> String {
    format!("k/{flow}")
}

fn notification_key(flow: &str, sequence: u64) -> String {
    format!("c/{flow}/{sequence:020}")
}

#[derive(Default)]
struct Inner {
    /// By flow and by the name that the partner knows.
    held: HashMap<String, HashMap<String, Arc<Held>>>,
    cursors: HashMap<String, Cursor>,
    /// Flows whose notifications are being fetched.
    fetching: HashSet<String>,
}

/// All subscriptions of our programs.
#[derive(Default)]
pub(crate) struct Consumer {
    inner: Mutex<Inner>,
    /// Something has changed.
    changed: Notify,
}

impl Consumer {
    /// Takes up what the store holds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn restore(&self, store: &Store) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let mut waiting: HashMap<(String, String), Vec<Kept>> = HashMap::new();
        for (key, notification) in store.load_below::<Notification>(Kind::Notification, "c/")? {
            if let Some((flow, _)) = key.trim_start_matches("c/").rsplit_once('/') {
                let key = (flow.to_owned(), notification.subscription.clone());
                waiting.entry(key).or_default().push(notification.kept()?);
            }
        }
        for (_, mut order) in store.load_below::<Order>(Kind::Subscription, "c/")? {
            let key = (order.flow.clone(), order.remote.clone());
            if order.state == State::Making {
                // Its program never heard of it.
                order.state = State::Ending;
            }
            let queue = Queue::restored(waiting.remove(&key).unwrap_or_default(), 0, 0);
            inner.held.entry(key.0).or_default().insert(key.1, Arc::new(Held::new(order, queue)));
        }
        // Those of subscriptions that ended while their last ones were on their way.
        let orphans = waiting.iter().flat_map(|((flow, _), waiting)| {
            waiting.iter().map(|notification| notification_key(flow, notification.sequence))
        });
        let orphans: Vec<Change> = orphans.map(|key| Change::forget(Kind::Notification, &key)).collect();
        drop(store.submit(orphans));
        for (key, cursor) in store.load_below::<Cursor>(Kind::Subscription, "k/")? {
            inner.cursors.insert(key.trim_start_matches("k/").to_owned(), cursor);
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The subscriptions of a flow that are made.
    fn standing(&self, flow: &str) -> Vec<Arc<Held>> {
        let standing = |held: &&Arc<Held>| held.order().state == State::Standing;
        self.inner().held.get(flow).into_iter().flat_map(HashMap::values).filter(standing).cloned().collect()
    }

    /// Whether any of a flow is made.
    fn is_wanted(&self, flow: &str) -> bool {
        let standing = |held: &Arc<Held>| held.order().state == State::Standing;
        self.inner().held.get(flow).is_some_and(|held| held.values().any(standing))
    }

    /// All of a flow, also those that are being made or ended.
    fn of_flow(&self, flow: &str) -> Vec<Arc<Held>> {
        self.inner().held.get(flow).into_iter().flat_map(HashMap::values).cloned().collect()
    }

    /// The subscriptions of a flow that programs made.
    fn of_programs(&self, flow: &str) -> Vec<Arc<Held>> {
        self.standing(flow).into_iter().filter(|held| !held.order().inward).collect()
    }

    fn by_id(&self, flow: &str, id: &str) -> Option<Arc<Held>> {
        self.of_programs(flow).into_iter().find(|held| held.order().id == id)
    }
}
