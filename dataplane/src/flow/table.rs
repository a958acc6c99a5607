//! All flows of this data plane, in memory: by our name and by the control plane's.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{Flow, Role};

/// The flows, shared by all listeners.
#[derive(Debug, Default)]
pub(crate) struct FlowTable {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, Arc<Flow>>,
    by_process: HashMap<(Role, String), Arc<Flow>>,
}

impl FlowTable {
    /// Adds a flow. `false` when its name or its process is taken on this side; nothing is changed then.
    pub(crate) fn insert(&self, flow: &Arc<Flow>) -> bool {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let process = (flow.terms.role, flow.terms.process_id.clone());
        if inner.by_id.contains_key(&flow.terms.id) || inner.by_process.contains_key(&process) {
            return false;
        }
        inner.by_id.insert(flow.terms.id.clone(), Arc::clone(flow));
        inner.by_process.insert(process, Arc::clone(flow));
        true
    }

    /// Forgets a flow.
    pub(crate) fn remove(&self, flow: &Flow) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.by_id.remove(&flow.terms.id);
        inner.by_process.remove(&(flow.terms.role, flow.terms.process_id.clone()));
    }

    /// The flow with our name `id`.
    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<Flow>> {
        self.read().by_id.get(id).cloned()
    }

    /// The flow of a transfer process on one side.
    pub(crate) fn by_process(&self, role: Role, process_id: &str) -> Option<Arc<Flow>> {
        self.read().by_process.get(&(role, process_id.to_owned())).cloned()
    }

    /// Every flow that satisfies the condition.
    pub(crate) fn select(&self, condition: impl Fn(&Flow) -> bool) -> Vec<Arc<Flow>> {
        self.read().by_id.values().filter(|flow| condition(flow)).cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}
