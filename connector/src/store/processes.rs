//! Rows of `negotiation` and `transfer`: one set of queries for both.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Select,
    SqlErr,
};

use super::entity::process::{ProcessRow, TableOf};
use super::page::{ListQuery, Page, list as list_rows};
use super::unit::LEASE_MS;
use super::{Store, StoreError, StoreResult, Unit};

fn within<P: ProcessRow>(context: &str) -> Select<TableOf<P>> {
    TableOf::<P>::find().filter(P::COLUMNS.context.eq(context))
}

/// The row, for reading only.
pub(crate) async fn find<P: ProcessRow>(db: &impl ConnectionTrait, context: &str, id: &str) -> StoreResult<Option<P>> {
    Ok(within::<P>(context).filter(P::COLUMNS.id.eq(id)).one(db).await?)
}

/// The row, locked until the unit ends.
pub(crate) async fn lock<P: ProcessRow>(unit: &Unit, context: &str, id: &str) -> StoreResult<Option<P>> {
    Ok(within::<P>(context).filter(P::COLUMNS.id.eq(id)).lock_exclusive().one(unit.db()).await?)
}

/// The process that a peer's initial message with this pid has created.
pub(crate) async fn by_counter_pid<P: ProcessRow>(
    db: &impl ConnectionTrait,
    context: &str,
    role: &str,
    counter_party: &str,
    counter_pid: &str,
) -> StoreResult<Option<P>> {
    let found = within::<P>(context)
        .filter(P::COLUMNS.role.eq(role))
        .filter(P::COLUMNS.counter_party.eq(counter_party))
        .filter(P::COLUMNS.counter_pid.eq(counter_pid));
    Ok(found.one(db).await?)
}

/// Adds a new row; when it owes something, this replica takes the lease and is woken after the commit.
pub(crate) async fn insert<P: ProcessRow>(unit: &mut Unit, mut row: P) -> StoreResult<P> {
    stamp(unit, &mut row);
    *row.common_mut().created_at = unit.now();
    match TableOf::<P>::insert(row.clone().into_active_model()).exec_without_returning(unit.db()).await {
        Ok(_) => Ok(row),
        Err(error) => match error.sql_err() {
            // Two initial messages with one pid raced; the other was first.
            Some(SqlErr::UniqueConstraintViolation(_)) => Err(StoreError::Exists(row.common().id.clone())),
            _ => Err(error.into()),
        },
    }
}

/// Saves a changed row, with the same care for the lease.
pub(crate) async fn update<P: ProcessRow>(unit: &mut Unit, mut row: P) -> StoreResult<P> {
    stamp(unit, &mut row);
    row.clone().into_active_model().reset_all().update_without_returning(unit.db()).await?;
    Ok(row)
}

fn stamp<P: ProcessRow>(unit: &mut Unit, row: &mut P) {
    let owes = row.owes();
    let common = row.common_mut();
    *common.updated_at = unit.now();
    if owes {
        *common.lease_owner = Some(unit.owner().to_owned());
        *common.lease_until = (*common.next_attempt_at).max(unit.now()) + LEASE_MS;
        unit.wake(P::KIND, common.id, *common.next_attempt_at);
    } else {
        *common.lease_owner = None;
        *common.lease_until = 0;
        *common.attempts = 0;
    }
}

/// Notes a failed attempt; the row comes back at `at`. Nothing happens when it owes something else meanwhile.
pub(crate) async fn postpone<P: ProcessRow>(
    store: &Store,
    row: &P,
    owed_id: &str,
    at: i64,
    error: &str,
) -> StoreResult<()> {
    let common = row.common();
    let (id, context) = (common.id.clone(), common.context.clone());
    let (owed_id, error) = (owed_id.to_owned(), error.to_owned());
    store
        .write(move |unit| {
            Box::pin(async move {
                let Some(mut row) = lock::<P>(unit, &context, &id).await? else { return Ok(()) };
                let common = row.common_mut();
                if common.owed_id.as_deref().unwrap_or_default() != owed_id {
                    return Ok(());
                }
                *common.attempts += 1;
                *common.next_attempt_at = at;
                *common.error = Some(error);
                update(unit, row).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
}

/// A page of the list.
pub(crate) async fn list<P: ProcessRow>(store: &Store, context: &str, query: &ListQuery) -> StoreResult<Page<P>> {
    list_rows(store.reads(), within::<P>(context), &P::LISTING, query).await
}

/// How many there are.
pub(crate) async fn count<P: ProcessRow>(store: &Store, context: &str) -> StoreResult<u64> {
    Ok(within::<P>(context).count(store.reads()).await?)
}
