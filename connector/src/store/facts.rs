//! What decisions rest on beside policies and claims: declared events, consents, duties. A few queries, however many decisions
//! they are for.

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use super::entity::{consent, dataset, declared_event, duty, usage_counter};
use super::{StoreResult, Unit};

/// The meter of transfers that were begun.
pub(crate) const TRANSFERS: &str = "transfers";

/// The declared events that have not ended at `now`, those to come included.
pub(crate) async fn events(
    db: &impl ConnectionTrait,
    context: &str,
    now: i64,
) -> StoreResult<Vec<declared_event::Model>> {
    let open =
        Condition::any().add(declared_event::Column::EndsAt.is_null()).add(declared_event::Column::EndsAt.gt(now));
    let found = declared_event::Entity::find().filter(declared_event::Column::Context.eq(context)).filter(open);
    Ok(found.all(db).await?)
}

/// Those of the consents that exist.
pub(crate) async fn consents(
    db: &impl ConnectionTrait,
    context: &str,
    ids: impl IntoIterator<Item = &str>,
) -> StoreResult<Vec<consent::Model>> {
    let found = consent::Entity::find()
        .filter(consent::Column::Context.eq(context))
        .filter(consent::Column::Id.is_in(ids.into_iter().map(str::to_owned)));
    Ok(found.all(db).await?)
}

/// These datasets, as far as they are there.
pub(crate) async fn datasets(
    db: &impl ConnectionTrait,
    context: &str,
    ids: impl IntoIterator<Item = &str>,
) -> StoreResult<Vec<dataset::Model>> {
    let found = dataset::Entity::find()
        .filter(dataset::Column::Context.eq(context))
        .filter(dataset::Column::Id.is_in(ids.into_iter().map(str::to_owned)));
    Ok(found.all(db).await?)
}

/// How far the duties of these agreements are, seen from one of our roles: agreement, name of the duty, state.
pub(crate) async fn duties(
    db: &impl ConnectionTrait,
    context: &str,
    role: &str,
    agreements: impl IntoIterator<Item = &str>,
) -> StoreResult<Vec<(String, String, String)>> {
    let found = duty::Entity::find()
        .select_only()
        .columns([duty::Column::AgreementId, duty::Column::Name, duty::Column::State])
        .filter(duty::Column::Context.eq(context))
        .filter(duty::Column::Role.eq(role))
        .filter(duty::Column::AgreementId.is_in(agreements.into_iter().map(str::to_owned)));
    Ok(found.into_tuple().all(db).await?)
}

/// How far these agreements have been used, by meter.
pub(crate) async fn usage(
    db: &impl ConnectionTrait,
    context: &str,
    agreements: impl IntoIterator<Item = &str>,
) -> StoreResult<Vec<usage_counter::Model>> {
    let found = usage_counter::Entity::find()
        .filter(usage_counter::Column::Context.eq(context))
        .filter(usage_counter::Column::AgreementId.is_in(agreements.into_iter().map(str::to_owned)));
    Ok(found.all(db).await?)
}

/// Begins the transfer number `ordinal` under an agreement; false when that is not the next one any more.
pub(crate) async fn take_transfer(unit: &Unit, context: &str, agreement: &str, ordinal: i64) -> StoreResult<bool> {
    use usage_counter::Column::{AgreementId, Context, Given, LastUseAt, Meter, UpdatedAt};
    let now = unit.now();
    let row = usage_counter::ActiveModel {
        context: Set(context.to_owned()),
        agreement_id: Set(agreement.to_owned()),
        meter: Set(TRANSFERS.to_owned()),
        given: Set(ordinal),
        first_use_at: Set(Some(now)),
        last_use_at: Set(Some(now)),
        updated_at: Set(now),
    };
    let follows = Expr::col((usage_counter::Entity, Given)).eq(ordinal.saturating_sub(1));
    let taken = usage_counter::Entity::insert(row)
        .on_conflict(
            OnConflict::columns([Context, AgreementId, Meter])
                .update_columns([Given, LastUseAt, UpdatedAt])
                .action_and_where(follows)
                .to_owned(),
        )
        .exec_without_returning(unit.db())
        .await?;
    Ok(taken == 1)
}
