//! Leases: which replica works on a process that owes a step.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::entity::process::{ProcessRow, TableOf};
use super::entity::{negotiation, transfer};
use super::unit::LEASE_MS;
use super::{Step, StepKind, Store, StoreResult, Unit, issuances, now_ms};

/// Rows taken in one sweep; the next sweep takes the rest.
const SWEEP: u64 = 10_000;

/// Processes that owe a step and that nobody holds. With `own`, also those that this replica held before it was
/// restarted.
pub(crate) async fn due(store: &Store, own: bool) -> StoreResult<Vec<Step>> {
    let mut steps = due_of::<negotiation::Model>(store, own).await?;
    steps.extend(due_of::<transfer::Model>(store, own).await?);
    steps.extend(issuances::due(store, own).await?);
    Ok(steps)
}

/// Takes or renews the lease by one conditional update whose row count decides, so that it works on both databases.
/// `false`: another replica holds it, or nothing is owed any more.
pub(crate) async fn take(unit: &Unit, kind: StepKind, id: &str) -> StoreResult<bool> {
    match kind {
        StepKind::Negotiation => take_of::<negotiation::Model>(unit, id).await,
        StepKind::Transfer => take_of::<transfer::Model>(unit, id).await,
        StepKind::Issuance => issuances::take(unit, id).await,
    }
}

fn free<P: ProcessRow>(now: i64, owner: Option<&str>) -> Condition {
    let columns = P::COLUMNS;
    let free = Condition::any().add(columns.lease_owner.is_null()).add(columns.lease_until.lt(now));
    match owner {
        Some(owner) => free.add(columns.lease_owner.eq(owner)),
        None => free,
    }
}

async fn due_of<P: ProcessRow>(store: &Store, own: bool) -> StoreResult<Vec<Step>> {
    let rows: Vec<(String, i64)> = TableOf::<P>::find()
        .select_only()
        .columns([P::COLUMNS.id, P::COLUMNS.next_attempt_at])
        .filter(P::owing())
        .filter(free::<P>(now_ms(), own.then(|| store.owner())))
        .limit(SWEEP)
        .into_tuple()
        .all(store.reads())
        .await?;
    Ok(rows.into_iter().map(|(id, not_before)| Step { kind: P::KIND, id, not_before }).collect())
}

async fn take_of<P: ProcessRow>(unit: &Unit, id: &str) -> StoreResult<bool> {
    let taken = TableOf::<P>::update_many()
        .col_expr(P::COLUMNS.lease_owner, Expr::value(unit.owner()))
        .col_expr(P::COLUMNS.lease_until, Expr::value(unit.now() + LEASE_MS))
        .filter(P::COLUMNS.id.eq(id))
        .filter(P::owing())
        .filter(free::<P>(unit.now(), Some(unit.owner())))
        .exec(unit.db())
        .await?;
    Ok(taken.rows_affected == 1)
}
