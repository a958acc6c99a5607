//! How far uses have been given out. What a unit of work gives is durable once the unit is; it is never taken back.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait as _, IntoActiveModel, QueryFilter, QuerySelect,
};

use super::entity::{transfer_number, usage_counter};
use super::{StoreResult, Unit};

/// The meter of started transfers.
pub(crate) const TRANSFERS: &str = "transfers";

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

/// The counters of these agreements.
pub(crate) async fn counters(
    db: &impl ConnectionTrait,
    context: &str,
    agreements: impl IntoIterator<Item = &str>,
) -> StoreResult<Vec<usage_counter::Model>> {
    use usage_counter::{Column, Entity};
    let found = Entity::find()
        .filter(Column::Context.eq(context))
        .filter(Column::AgreementId.is_in(agreements.into_iter().map(str::to_owned)));
    Ok(found.all(db).await?)
}

/// The number of a transfer under its agreement; it gets the next one when it has none yet.
pub(crate) async fn number_transfer(unit: &Unit, context: &str, agreement: &str, transfer: &str) -> StoreResult<i64> {
    let id = (context.to_owned(), transfer.to_owned());
    if let Some(known) = transfer_number::Entity::find_by_id(id).one(unit.db()).await? {
        return Ok(known.number);
    }
    let (before, given) = give(unit, context, agreement, TRANSFERS, |_| 1).await?;
    let row = transfer_number::ActiveModel {
        context: ActiveValue::Set(context.to_owned()),
        transfer_id: ActiveValue::Set(transfer.to_owned()),
        agreement_id: ActiveValue::Set(agreement.to_owned()),
        number: ActiveValue::Set(before.given + given),
    };
    transfer_number::Entity::insert(row).exec_without_returning(unit.db()).await?;
    Ok(before.given + given)
}

/// The transfers of these agreements that have a number, and the number.
pub(crate) async fn numbers(
    db: &impl ConnectionTrait,
    context: &str,
    agreements: impl IntoIterator<Item = &str>,
) -> StoreResult<Vec<(String, i64)>> {
    use transfer_number::{Column, Entity};
    let found = Entity::find()
        .select_only()
        .columns([Column::TransferId, Column::Number])
        .filter(Column::Context.eq(context))
        .filter(Column::AgreementId.is_in(agreements.into_iter().map(str::to_owned)));
    Ok(found.into_tuple().all(db).await?)
}
