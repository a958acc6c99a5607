//! Rows of `duty`: the ledger of what agreements oblige to.

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use super::entity::duty::{Column, Entity, Model};
use super::{Store, StoreResult, Unit};

/// Rows that are taken at once.
const BATCH: u64 = 500;

/// Adds the duties of a new agreement.
pub(crate) async fn insert(unit: &Unit, rows: Vec<Model>) -> StoreResult<()> {
    if !rows.is_empty() {
        let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
        Entity::insert_many(rows).exec_without_returning(unit.db()).await?;
    }
    Ok(())
}

/// The row, locked until the unit ends.
pub(crate) async fn lock(unit: &Unit, context: &str, id: &str) -> StoreResult<Option<Model>> {
    let found = Entity::find().filter(Column::Context.eq(context)).filter(Column::Id.eq(id));
    Ok(found.lock_exclusive().one(unit.db()).await?)
}

/// The consequences in the ledger of an agreement that nothing has been said about yet.
pub(crate) async fn consequences(unit: &Unit, of: &Model) -> StoreResult<Vec<Model>> {
    let found = Entity::find()
        .filter(Column::Context.eq(&of.context))
        .filter(Column::Role.eq(&of.role))
        .filter(Column::AgreementId.eq(&of.agreement_id))
        .filter(Column::Kind.eq("consequence"))
        .filter(Column::State.eq("unset"));
    Ok(found.lock_exclusive().all(unit.db()).await?)
}

/// Saves a changed row.
pub(crate) async fn save(unit: &Unit, row: Model) -> StoreResult<()> {
    row.into_active_model().reset_all().update_without_returning(unit.db()).await?;
    Ok(())
}

/// Rows whose state changes by itself at `now` or has had to before, locked until the unit ends.
pub(crate) async fn due(unit: &Unit, context: &str, now: i64) -> StoreResult<Vec<Model>> {
    let found = Entity::find().filter(Column::Context.eq(context)).filter(Column::NextAt.lte(now));
    Ok(found.order_by_asc(Column::NextAt).limit(BATCH).lock_exclusive().all(unit.db()).await?)
}

/// When the first state changes by itself.
pub(crate) async fn next_at(store: &Store, context: &str) -> StoreResult<Option<i64>> {
    let found = Entity::find()
        .select_only()
        .column(Column::NextAt)
        .filter(Column::Context.eq(context))
        .filter(Column::NextAt.is_not_null())
        .order_by_asc(Column::NextAt);
    Ok(found.into_tuple::<Option<i64>>().one(store.reads()).await?.flatten())
}
