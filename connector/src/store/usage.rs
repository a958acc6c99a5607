//! How far uses have been given out. What a unit of work gives is durable once the unit is; it is taken back only when the data plane says
//! that it has not spent it.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait as _, IntoActiveModel, QueryFilter, QuerySelect};

use super::entity::usage_counter;
use super::{StoreResult, Unit};

/// Gives more of a meter. `size` says how much, looking at the counter as it is; units that give of one counter come one after
/// the other. Answers the counter as it was, and how much was given.
pub(crate) async fn give(
    unit: &Unit,
    context: &str,
    agreement: &str,
    meter: &str,
    size: impl FnOnce(&usage_counter::Model) -> i64 + Send,
) -> StoreResult<(usage_counter::Model, i64)> {
    use usage_counter::{Column, Entity};
    let blank = usage_counter::Model {
        context: context.to_owned(),
        agreement_id: agreement.to_owned(),
        meter: meter.to_owned(),
        given: 0,
        first_use_at: None,
        last_use_at: None,
        updated_at: unit.now(),
    };
    let key = [Column::Context, Column::AgreementId, Column::Meter];
    Entity::insert(blank.clone().into_active_model())
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .exec_without_returning(unit.db())
        .await?;
    let id = (context.to_owned(), agreement.to_owned(), meter.to_owned());
    let counter = Entity::find_by_id(id).lock_exclusive().one(unit.db()).await?.unwrap_or(blank);
    let size = Ord::max(size(&counter), 0);
    if size == 0 {
        return Ok((counter, 0));
    }
    Entity::update_many()
        .col_expr(Column::Given, Expr::col(Column::Given).add(size))
        .col_expr(Column::FirstUseAt, Expr::value(counter.first_use_at.unwrap_or(unit.now())))
        .col_expr(Column::LastUseAt, Expr::value(unit.now()))
        .col_expr(Column::UpdatedAt, Expr::value(unit.now()))
        .filter(Column::Context.eq(context))
        .filter(Column::AgreementId.eq(agreement))
        .filter(Column::Meter.eq(meter))
        .exec(unit.db())
        .await?;
    Ok((counter, size))
}

/// Takes back what was given of a meter and not spent. `false`: so much was not given.
pub(crate) async fn take_back(
    unit: &Unit,
    context: &str,
    agreement: &str,
    meter: &str,
    size: i64,
) -> StoreResult<bool> {
    use usage_counter::{Column, Entity};
    let changed = Entity::update_many()
        .col_expr(Column::Given, Expr::col(Column::Given).sub(size))
        .col_expr(Column::UpdatedAt, Expr::value(unit.now()))
        .filter(Column::Context.eq(context))
        .filter(Column::AgreementId.eq(agreement))
        .filter(Column::Meter.eq(meter))
        .filter(Column::Given.gte(size))
        .exec(unit.db())
        .await?;
    Ok(size > 0 && changed.rows_affected == 1)
}
