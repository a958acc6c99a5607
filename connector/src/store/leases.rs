//! Leases: which replica works on a process that owes a step.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::entity::{negotiation, transfer};
use super::unit::LEASE_MS;
use super::{Step, StepKind, Store, StoreResult, Unit, now_ms};

/// Rows taken in one sweep; the next sweep takes the rest.
const SWEEP: u64 = 10_000;

macro_rules! lease_queries {
    ($table:ident, $kind:expr, $owing:expr, $due:ident, $take:ident) => {
        async fn $due(store: &Store, own: bool) -> StoreResult<Vec<Step>> {
            use $table::{Column, Entity};
            let mut free = Condition::any().add(Column::LeaseOwner.is_null()).add(Column::LeaseUntil.lt(now_ms()));
            if own {
                free = free.add(Column::LeaseOwner.eq(store.owner()));
            }
            let rows: Vec<(String, i64)> = Entity::find()
                .select_only()
                .columns([Column::Id, Column::NextAttemptAt])
                .filter($owing)
                .filter(free)
                .limit(SWEEP)
                .into_tuple()
                .all(store.reads())
                .await?;
            Ok(rows.into_iter().map(|(id, not_before)| Step { kind: $kind, id, not_before }).collect())
        }

        async fn $take(unit: &Unit, id: &str) -> StoreResult<bool> {
            use $table::{Column, Entity};
            let free = Condition::any()
                .add(Column::LeaseOwner.is_null())
                .add(Column::LeaseOwner.eq(unit.owner()))
                .add(Column::LeaseUntil.lt(unit.now()));
            let taken = Entity::update_many()
                .col_expr(Column::LeaseOwner, Expr::value(unit.owner()))
                .col_expr(Column::LeaseUntil, Expr::value(unit.now() + LEASE_MS))
                .filter(Column::Id.eq(id))
                .filter($owing)
                .filter(free)
                .exec(unit.db())
                .await?;
            Ok(taken.rows_affected == 1)
        }
    };
}

lease_queries!(
    negotiation,
    StepKind::Negotiation,
    negotiation::Column::Owed.is_not_null(),
    due_negotiations,
    take_negotiation
);
lease_queries!(
    transfer,
    StepKind::Transfer,
    transfer::Column::Owed.is_not_null().or(transfer::Column::FlowTarget.is_not_null()),
    due_transfers,
    take_transfer
);

/// Processes that owe a step and that nobody holds. With `own`, also those that this replica held before it was
/// restarted.
pub(crate) async fn due(store: &Store, own: bool) -> StoreResult<Vec<Step>> {
    let mut steps = due_negotiations(store, own).await?;
    steps.extend(due_transfers(store, own).await?);
    Ok(steps)
}

/// Takes or renews the lease by one conditional update whose row count decides, so that it works on both databases.
/// `false`: another replica holds it, or nothing is owed any more.
pub(crate) async fn take(unit: &Unit, kind: StepKind, id: &str) -> StoreResult<bool> {
    match kind {
        StepKind::Negotiation => take_negotiation(unit, id).await,
        StepKind::Transfer => take_transfer(unit, id).await,
    }
}
