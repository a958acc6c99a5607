//! Mirrors: a partner's entities, copied into a broker of ours and kept up to date there.
//!
//! One task for each flow does everything in order ([`run`]): it subscribes to changes where the partner offers that, reads all
//! that the flow shows page by page ([`pass`]), writes changes as they are told, and from time to time compares again. It reads
//! the next page when the broker has taken the one before. An entity is written, changed and removed only when no other hand
//! has put it there ([`write`]): which ones these are is kept in the store before the broker hears of them.
//! See `docs/decisions/0014-what-is-delivered-to-a-broker.md`.

mod end;
mod pass;
mod record;
mod run;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_signaling::{DataFlowState, Delivery, OnEnd};
use policy_plan::instant_text;
use serde_json::{Value, json};

use self::record::{Phase, Record};
use crate::flow::{Flow, Role};
use crate::plane::Plane;
use crate::problem::Problem;
use crate::store::{Kind, Store, StoreError};

/// What an operator wants to know beside what is kept; since this program started.
#[derive(Debug, Default, Clone)]
struct Seen {
    /// Whether changes are told, once that is known.
    subscribed: Option<bool>,
    /// Notifications that wait to be written.
    waiting: usize,
    /// Entities that are left alone, since they are not ours, in the last pass.
    foreign: u64,
    /// Entities that our broker did not take, in the last pass.
    refused: u64,
    /// When something was written last, in milliseconds since the epoch.
    written_ms: Option<i64>,
    /// What hinders it.
    fault: Option<String>,
}

/// One mirror.
struct Mirror {
    record: Mutex<Record>,
    seen: Mutex<Seen>,
}

impl Mirror {
    fn new(record: Record) -> Self {
        Self { record: Mutex::new(record), seen: Mutex::default() }
    }

    fn record(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, record: Record) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the record as it is now.
    async fn keep(&self, plane: &Plane, record: Record) -> Result<(), Problem> {
        plane.write(vec![record.change()]).await?;
        self.set(record);
        Ok(())
    }
}

#[derive(Default)]
struct Inner {
    /// By flow.
    all: HashMap<String, Arc<Mirror>>,
    /// Flows whose mirrors are being worked on.
    busy: HashSet<String>,
}

/// All mirrors.
#[derive(Default)]
pub(crate) struct Mirrors {
    inner: Mutex<Inner>,
}

impl Mirrors {
    /// Takes up what the store holds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn restore(&self, store: &Store) -> Result<(), StoreError> {
        let mut inner = self.inner();
        for (flow, record) in store.load::<Record>(Kind::Mirror)? {
            inner.all.insert(flow, Arc::new(Mirror::new(record)));
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, flow: &str) -> Option<Arc<Mirror>> {
        self.inner().all.get(flow).cloned()
    }

    /// What an operator wants to know of a flow's mirror.
    pub(crate) fn shown(&self, flow: &Flow) -> Option<Value> {
        let mirror = self.of(&flow.terms.id)?;
        let (record, seen) = (mirror.record(), mirror.seen().clone());
        let phase = match (&record.phase, record.passed_ms) {
            _ if flow.live().state == DataFlowState::Suspended => "paused",
            _ if is_over(flow) => "ending",
            (Phase::Following, Some(_)) if !record.due => "following",
            (_, None) => "loading",
            (_, Some(_)) => "reconciling",
        };
        let instant = |moment: Option<i64>| moment.map(instant_text);
        Some(json!({"mirror": {
            "broker": record.broker,
            "onEnd": if record.delete_at_end { "delete" } else { "keep" },
            "phase": phase,
            "passes": record.pass,
            "entities": record.seen,
            "lastPass": instant(record.passed_ms),
            "lastWritten": instant(seen.written_ms),
            "changes": match seen.subscribed {
                Some(true) => "subscription",
                Some(false) => "passes",
                None => "unknown",
            },
            "waiting": seen.waiting,
            "leftAlone": seen.foreign,
            "notTaken": seen.refused,
            "fault": seen.fault,
        }}))
    }
}

/// Begins what has to run and ends what is over.
pub(crate) async fn look(plane: &Arc<Plane>) {
    let wanted = plane.flows.select(|flow| {
        flow.terms.role == Role::Consumer && matches!(flow.terms.delivery, Some(Delivery::Mirror { .. }))
    });
    for flow in wanted {
        if flow.live().state == DataFlowState::Started {
            start(plane, &flow);
        }
    }
    let all: Vec<Arc<Mirror>> = plane.mirrors.inner().all.values().cloned().collect();
    for mirror in all {
        match plane.flows.by_id(&mirror.record().flow) {
            Some(flow) if !is_over(&flow) => {
                if flow.live().state == DataFlowState::Suspended {
                    pause(plane, &mirror).await;
                }
            }
            _ => finish(plane, &mirror),
        }
    }
}

fn is_over(flow: &Flow) -> bool {
    matches!(flow.live().state, DataFlowState::Completed | DataFlowState::Terminated)
}

fn start(plane: &Arc<Plane>, flow: &Arc<Flow>) {
    let Some(Delivery::Mirror { broker, on_end }) = &flow.terms.delivery else { return };
    let id = &flow.terms.id;
    let mirror = {
        let mut inner = plane.mirrors.inner();
        if !inner.busy.insert(id.clone()) {
            return;
        }
        let record = || Record::new(id, &flow.terms.process_id, broker, *on_end == OnEnd::Delete);
        Arc::clone(inner.all.entry(id.clone()).or_insert_with(|| Arc::new(Mirror::new(record()))))
    };
    let (plane, flow) = (Arc::clone(plane), Arc::clone(flow));
    tokio::spawn(async move {
        run::run(&plane, &flow, &mirror).await;
        leave(&plane, &flow.terms.id);
    });
}

/// What changes while a flow stands is not told.
async fn pause(plane: &Plane, mirror: &Mirror) {
    let record = mirror.record();
    if record.due || plane.mirrors.inner().busy.contains(&record.flow) {
        return;
    }
    if let Err(problem) = mirror.keep(plane, Record { due: true, ..record }).await {
        tracing::error!(%problem, "the state of a mirror could not be kept");
    }
}

fn finish(plane: &Arc<Plane>, mirror: &Arc<Mirror>) {
    let flow = mirror.record().flow;
    if !plane.mirrors.inner().busy.insert(flow.clone()) {
        return;
    }
    let (plane, mirror) = (Arc::clone(plane), Arc::clone(mirror));
    tokio::spawn(async move {
        if end::end(&plane, &mirror).await {
            plane.mirrors.inner().all.remove(&flow);
        }
        leave(&plane, &flow);
    });
}

/// The flow may have moved meanwhile.
fn leave(plane: &Plane, flow: &str) {
    plane.mirrors.inner().busy.remove(flow);
    if !plane.over.is_cancelled() {
        plane.deliveries.notify_one();
    }
}
