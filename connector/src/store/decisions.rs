//! Rows of `decision_record`: written with the step that they decided, and removed when they are old.

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use super::entity::decision_record::{Column, Entity, Model};
use super::{StoreResult, Unit};

/// Rows removed in one unit of work.
const BATCH: u64 = 1000;

/// Adds a record.
pub(crate) async fn insert(unit: &Unit, row: Model) -> StoreResult<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(unit.db()).await?;
    Ok(())
}

/// Removes records from before `before`, not all at once; how many.
pub(crate) async fn forget(unit: &Unit, context: &str, before: i64) -> StoreResult<u64> {
    let old: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Context.eq(context))
        .filter(Column::CreatedAt.lt(before))
        .limit(BATCH)
        .into_tuple()
        .all(unit.db())
        .await?;
    if old.is_empty() {
        return Ok(0);
    }
    let removed =
        Entity::delete_many().filter(Column::Context.eq(context)).filter(Column::Id.is_in(old)).exec(unit.db()).await?;
    Ok(removed.rows_affected)
}
