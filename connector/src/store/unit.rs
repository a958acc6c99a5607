//! One unit of work: a transaction, and what to hand out after its commit.

use std::sync::Arc;

use sea_orm::{ActiveValue, DatabaseTransaction, EntityTrait};
use serde_json::Value;

use super::{StoreResult, entity::event, now_ms};

/// How long a lease holds before another replica may take the row, ms.
pub(crate) const LEASE_MS: i64 = 30_000;

/// Which kind of process owes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StepKind {
    /// A row of `negotiation`.
    Negotiation,
    /// A row of `transfer`.
    Transfer,
    /// A row of `issuance`.
    Issuance,
}

/// A process that owes a message or a signal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    /// Kind of process.
    pub kind: StepKind,
    /// Its id.
    pub id: String,
    /// Not to be tried before, ms.
    pub not_before: i64,
}

/// The transaction of one unit of work, with what it will hand out after the commit.
pub(crate) struct Unit {
    transaction: DatabaseTransaction,
    owner: Arc<str>,
    now: i64,
    pub(super) events: Vec<Arc<event::Model>>,
    pub(super) steps: Vec<Step>,
}

impl Unit {
    pub(super) fn new(transaction: DatabaseTransaction, owner: Arc<str>) -> Self {
        Self { transaction, owner, now: now_ms(), events: Vec::new(), steps: Vec::new() }
    }

    /// The transaction, for queries.
    pub(crate) fn db(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// The time of this unit, ms.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// The replica that runs this unit.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn into_parts(self) -> (DatabaseTransaction, Vec<Arc<event::Model>>, Vec<Step>) {
        (self.transaction, self.events, self.steps)
    }

    /// Appends an event; subscribers see it after the commit.
    pub(crate) async fn event(&mut self, context: &str, kind: String, subject: &str, data: &Value) -> StoreResult<()> {
        let row = event::ActiveModel {
            seq: ActiveValue::NotSet,
            context: ActiveValue::Set(context.to_owned()),
            time: ActiveValue::Set(self.now),
            kind: ActiveValue::Set(kind),
            subject: ActiveValue::Set(subject.to_owned()),
            data: ActiveValue::Set(data.to_string()),
        };
        let saved = event::Entity::insert(row).exec_with_returning(&self.transaction).await?;
        self.events.push(Arc::new(saved));
        Ok(())
    }

    /// Says that a process owes a step; the worker is woken after the commit.
    pub(crate) fn wake(&mut self, kind: StepKind, id: &str, not_before: i64) {
        self.steps.push(Step { kind, id: id.to_owned(), not_before });
    }
}
