//! Rows of `issuance` and `issued_credential`: what we issue.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use super::entity::{issuance, issued_credential};
use super::page::{ListQuery, Listing, Page, list as list_rows};
use super::unit::LEASE_MS;
use super::{Step, StepKind, Store, StoreResult, Unit, now_ms};

/// Rows taken in one sweep.
const SWEEP: u64 = 10_000;

const LISTING: Listing<issuance::Column> = Listing {
    sort: &[("createdAt", issuance::Column::CreatedAt), ("updatedAt", issuance::Column::UpdatedAt)],
    filter: &[("state", issuance::Column::State), ("holder", issuance::Column::Holder)],
    id: issuance::Column::Id,
};

/// One issuance.
pub(crate) async fn find(store: &Store, context: &str, id: &str) -> StoreResult<Option<issuance::Model>> {
    let found = issuance::Entity::find_by_id(id.to_owned()).one(store.reads()).await?;
    Ok(found.filter(|row| row.context == context))
}

/// The issuance that a holder knows by this pid.
pub(crate) async fn by_holder_pid(
    unit: &Unit,
    context: &str,
    holder: &str,
    holder_pid: &str,
) -> StoreResult<Option<issuance::Model>> {
    Ok(issuance::Entity::find()
        .filter(issuance::Column::Context.eq(context))
        .filter(issuance::Column::Holder.eq(holder))
        .filter(issuance::Column::HolderPid.eq(holder_pid))
        .one(unit.db())
        .await?)
}

/// One issuance, to be changed.
pub(crate) async fn lock(unit: &Unit, context: &str, id: &str) -> StoreResult<Option<issuance::Model>> {
    let found = issuance::Entity::find_by_id(id.to_owned()).lock_exclusive().one(unit.db()).await?;
    Ok(found.filter(|row| row.context == context))
}

/// A page of the list.
pub(crate) async fn list(store: &Store, context: &str, query: &ListQuery) -> StoreResult<Page<issuance::Model>> {
    let rows = issuance::Entity::find().filter(issuance::Column::Context.eq(context));
    list_rows(store.reads(), rows, &LISTING, query).await
}

/// Adds a row; the worker is woken when it owes a message.
pub(crate) async fn insert(unit: &mut Unit, row: issuance::Model) -> StoreResult<()> {
    wake(unit, &row);
    issuance::Entity::insert(row.into_active_model()).exec_without_returning(unit.db()).await?;
    Ok(())
}

/// Saves a row; the worker is woken when it owes a message.
pub(crate) async fn save(unit: &mut Unit, mut row: issuance::Model) -> StoreResult<()> {
    row.updated_at = unit.now();
    wake(unit, &row);
    row.into_active_model().reset_all().update(unit.db()).await?;
    Ok(())
}

fn wake(unit: &mut Unit, row: &issuance::Model) {
    if row.message.is_some() {
        unit.wake(StepKind::Issuance, &row.id, row.next_attempt_at);
    }
}

/// Issuances that owe a message and that nobody holds; with `own`, also those that this replica held before.
pub(crate) async fn due(store: &Store, own: bool) -> StoreResult<Vec<Step>> {
    let rows: Vec<(String, i64)> = issuance::Entity::find()
        .select_only()
        .columns([issuance::Column::Id, issuance::Column::NextAttemptAt])
        .filter(issuance::Column::Message.is_not_null())
        .filter(free(now_ms(), own.then(|| store.owner())))
        .limit(SWEEP)
        .into_tuple()
        .all(store.reads())
        .await?;
    Ok(rows.into_iter().map(|(id, not_before)| Step { kind: StepKind::Issuance, id, not_before }).collect())
}

/// Takes or renews the lease. `false`: another replica holds it, or nothing is owed any more.
pub(crate) async fn take(unit: &Unit, id: &str) -> StoreResult<bool> {
    let taken = issuance::Entity::update_many()
        .col_expr(issuance::Column::LeaseOwner, Expr::value(unit.owner()))
        .col_expr(issuance::Column::LeaseUntil, Expr::value(unit.now() + LEASE_MS))
        .filter(issuance::Column::Id.eq(id))
        .filter(issuance::Column::Message.is_not_null())
        .filter(free(unit.now(), Some(unit.owner())))
        .exec(unit.db())
        .await?;
    Ok(taken.rows_affected == 1)
}

fn free(now: i64, owner: Option<&str>) -> Condition {
    let free = Condition::any().add(issuance::Column::LeaseOwner.is_null()).add(issuance::Column::LeaseUntil.lt(now));
    match owner {
        Some(owner) => free.add(issuance::Column::LeaseOwner.eq(owner)),
        None => free,
    }
}

/// The indexes of a status list that are in this state.
pub(crate) async fn indexes(store: &Store, context: &str, list: &str, state: &str) -> StoreResult<Vec<i64>> {
    Ok(issued_credential::Entity::find()
        .select_only()
        .column(issued_credential::Column::ListIndex)
        .filter(issued_credential::Column::Context.eq(context))
        .filter(issued_credential::Column::ListId.eq(list))
        .filter(issued_credential::Column::State.eq(state))
        .into_tuple()
        .all(store.reads())
        .await?)
}

/// Whether an index of a list is given out already.
pub(crate) async fn is_taken(unit: &Unit, context: &str, list: &str, index: i64) -> StoreResult<bool> {
    let found = issued_credential::Entity::find()
        .filter(issued_credential::Column::Context.eq(context))
        .filter(issued_credential::Column::ListId.eq(list))
        .filter(issued_credential::Column::ListIndex.eq(index));
    Ok(found.one(unit.db()).await?.is_some())
}

/// The list with this prefix that was begun last, and how many of its places are given out; the first one when there is none.
pub(crate) async fn last_list(store: &Store, context: &str, prefix: &str) -> StoreResult<(String, u64)> {
    use sea_orm::{PaginatorTrait as _, QueryOrder as _};
    let newest = issued_credential::Entity::find()
        .filter(issued_credential::Column::Context.eq(context))
        .filter(issued_credential::Column::ListId.starts_with(prefix))
        .order_by_desc(issued_credential::Column::CreatedAt)
        .one(store.reads())
        .await?;
    let Some(newest) = newest else { return Ok((format!("{prefix}1"), 0)) };
    let taken = issued_credential::Entity::find()
        .filter(issued_credential::Column::Context.eq(context))
        .filter(issued_credential::Column::ListId.eq(&newest.list_id))
        .count(store.reads())
        .await?;
    Ok((newest.list_id, taken))
}

/// Whether a credential of ours points to this list.
pub(crate) async fn list_exists(store: &Store, context: &str, list: &str) -> StoreResult<bool> {
    let found = issued_credential::Entity::find()
        .filter(issued_credential::Column::Context.eq(context))
        .filter(issued_credential::Column::ListId.eq(list));
    Ok(found.one(store.reads()).await?.is_some())
}

/// When the last of the credentials that we issued expires, seconds since 1970.
pub(crate) async fn last_expiry(store: &Store, context: &str) -> StoreResult<Option<i64>> {
    let last: Option<Option<i64>> = issued_credential::Entity::find()
        .select_only()
        .column_as(issued_credential::Column::ValidUntil.max(), "last")
        .filter(issued_credential::Column::Context.eq(context))
        .into_tuple()
        .one(store.reads())
        .await?;
    Ok(last.flatten())
}
