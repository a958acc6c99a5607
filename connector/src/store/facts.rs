//! What decisions rest on beside policies and claims: declared events, consents, duties. A few queries, however many decisions
//! they are for.

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use super::StoreResult;
use super::entity::{consent, declared_event, duty};

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
