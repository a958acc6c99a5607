//! Context sources: a broker of ours reaches a partner's data through our local listener, as long as the agreement's transfer runs.
//!
//! One task for each flow makes the registration and looks from time to time whether the broker still has it; when the flow stands or
//! has ended, another one takes it away, however long the broker is away. That there may be a registration is on disk before the
//! broker hears of it.

mod learn;
mod registration;
mod run;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_signaling::{DataFlowState, Delivery};
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::flow::{Flow, Role};
use crate::plane::Plane;
use crate::problem::Problem;
use crate::store::{Change, Kind, Store, StoreError};

/// A registration, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    flow: String,
    /// The broker's name in the configuration.
    broker: String,
    /// The registration's id there.
    id: String,
    /// The broker may have it.
    made: bool,
    /// Digest of what the broker took.
    digest: Option<String>,
}

impl Record {
    fn new(flow: &str, broker: &str) -> Self {
        Self {
            flow: flow.to_owned(),
            broker: broker.to_owned(),
            id: format!("urn:ngsi-ld:ContextSourceRegistration:{}", Uuid::new_v4()),
            made: false,
            digest: None,
        }
    }

    fn change(&self) -> Result<Change, StoreError> {
        Change::put(Kind::Registration, &self.flow, self)
    }
}

/// What an operator wants to know beside that; since this program started.
#[derive(Debug, Default, Clone)]
struct Seen {
    types: Vec<String>,
    /// When the broker was last seen to have it, in milliseconds since the epoch.
    there_ms: Option<i64>,
    fault: Option<String>,
}

struct ContextSource {
    record: Mutex<Record>,
    seen: Mutex<Seen>,
}

impl ContextSource {
    fn new(record: Record) -> Self {
        Self { record: Mutex::new(record), seen: Mutex::default() }
    }

    fn record(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keep(&self, plane: &Plane, record: Record) -> Result<(), Problem> {
        plane.write(vec![record.change()]).await?;
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
        Ok(())
    }
}

#[derive(Default)]
struct Inner {
    /// By flow.
    all: HashMap<String, Arc<ContextSource>>,
    /// Flows whose registrations are being worked on.
    busy: HashSet<String>,
}

/// All registrations.
#[derive(Default)]
pub(crate) struct ContextSources {
    inner: Mutex<Inner>,
}

impl ContextSources {
    /// Takes up what the store holds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn restore(&self, store: &Store) -> Result<(), StoreError> {
        let mut inner = self.inner();
        for (flow, record) in store.load::<Record>(Kind::Registration)? {
            inner.all.insert(flow, Arc::new(ContextSource::new(record)));
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an operator wants to know of a flow's registration.
    pub(crate) fn shown(&self, flow: &Flow) -> Option<Value> {
        let source = self.inner().all.get(&flow.terms.id).cloned()?;
        let (record, seen) = (source.record(), source.seen().clone());
        let runs = flow.live().state == DataFlowState::Started;
        let phase = match (runs, record.made, &record.digest) {
            (true, true, Some(_)) => "registered",
            (true, _, _) => "registering",
            (false, true, _) => "withdrawing",
            (false, false, _) => "withdrawn",
        };
        Some(json!({"contextSource": {
            "broker": record.broker,
            "registration": record.id,
            "phase": phase,
            "types": seen.types,
            "lastSeen": seen.there_ms.map(instant_text),
            "fault": seen.fault,
        }}))
    }
}

/// Begins what has to run and takes away what is over.
pub(crate) fn look(plane: &Arc<Plane>) {
    let wanted = plane.flows.select(|flow| {
        flow.terms.role == Role::Consumer && matches!(flow.terms.delivery, Some(Delivery::ContextSource { .. }))
    });
    for flow in wanted {
        if flow.live().state == DataFlowState::Started {
            start(plane, &flow);
        }
    }
    let all: Vec<Arc<ContextSource>> = plane.context_sources.inner().all.values().cloned().collect();
    for source in all {
        let flow = plane.flows.by_id(&source.record().flow);
        if !flow.is_some_and(|flow| flow.live().state == DataFlowState::Started) {
            withdraw(plane, &source);
        }
    }
}

fn start(plane: &Arc<Plane>, flow: &Arc<Flow>) {
    let Some(Delivery::ContextSource { broker }) = &flow.terms.delivery else { return };
    let id = &flow.terms.id;
    let source = {
        let mut inner = plane.context_sources.inner();
        if !inner.busy.insert(id.clone()) {
            return;
        }
        let made = || Arc::new(ContextSource::new(Record::new(id, broker)));
        Arc::clone(inner.all.entry(id.clone()).or_insert_with(made))
    };
    let (plane, flow) = (Arc::clone(plane), Arc::clone(flow));
    tokio::spawn(async move {
        run::register(&plane, &flow, &source).await;
        leave(&plane, &flow.terms.id);
    });
}

/// Takes a registration away; that of a flow that has ended is forgotten then.
fn withdraw(plane: &Arc<Plane>, source: &Arc<ContextSource>) {
    let record = source.record();
    let flow = plane.flows.by_id(&record.flow);
    let over =
        flow.is_none_or(|flow| matches!(flow.live().state, DataFlowState::Completed | DataFlowState::Terminated));
    if (!record.made && !over) || !plane.context_sources.inner().busy.insert(record.flow.clone()) {
        return;
    }
    let (plane, source) = (Arc::clone(plane), Arc::clone(source));
    tokio::spawn(async move {
        if run::withdraw(&plane, &source, over).await && over {
            plane.context_sources.inner().all.remove(&record.flow);
        }
        leave(&plane, &record.flow);
    });
}

/// The flow may have moved meanwhile.
fn leave(plane: &Plane, flow: &str) {
    plane.context_sources.inner().busy.remove(flow);
    if !plane.over.is_cancelled() {
        plane.deliveries.notify_one();
    }
}
