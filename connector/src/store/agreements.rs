//! Rows of `agreement`: written once, when a negotiation is finalized.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::entity::agreement::{Column, Entity, Model};
use super::page::{ListQuery, Listing, Page, list as list_rows};
use super::{Store, StoreResult, Unit};

const LISTING: Listing<Column> = Listing {
    sort: &[("createdAt", Column::CreatedAt)],
    filter: &[
        ("role", Column::Role),
        ("counterPartyId", Column::CounterParty),
        ("datasetId", Column::DatasetId),
        ("negotiationId", Column::NegotiationId),
    ],
    id: Column::Id,
};

/// Writes a concluded agreement.
pub(crate) async fn insert(unit: &Unit, row: Model) -> StoreResult<()> {
    Entity::insert(row.into_active_model()).exec_without_returning(unit.db()).await?;
    Ok(())
}

/// The agreement in one of our roles.
pub(crate) async fn find(db: &impl ConnectionTrait, context: &str, role: &str, id: &str) -> StoreResult<Option<Model>> {
    let found = Entity::find()
        .filter(Column::Context.eq(context))
        .filter(Column::Role.eq(role))
        .filter(Column::Id.eq(id))
        .one(db)
        .await?;
    Ok(found)
}

/// The bodies of agreements in one of our roles, by their ids.
pub(crate) async fn bodies(
    db: &impl ConnectionTrait,
    context: &str,
    role: &str,
    ids: impl Iterator<Item = &str>,
) -> StoreResult<HashMap<String, String>> {
    let ids: BTreeSet<&str> = ids.collect();
    let found = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Body])
        .filter(Column::Context.eq(context))
        .filter(Column::Role.eq(role))
        .filter(Column::Id.is_in(ids));
    Ok(found.into_tuple::<(String, String)>().all(db).await?.into_iter().collect())
}

/// The agreement in whichever role we have it (consumer first, when both are here).
pub(crate) async fn find_any(db: &impl ConnectionTrait, context: &str, id: &str) -> StoreResult<Option<Model>> {
    let found = Entity::find()
        .filter(Column::Context.eq(context))
        .filter(Column::Id.eq(id))
        .order_by_asc(Column::Role)
        .one(db)
        .await?;
    Ok(found)
}

/// A page of the list.
pub(crate) async fn list(store: &Store, context: &str, query: &ListQuery) -> StoreResult<Page<Model>> {
    list_rows(store.reads(), Entity::find().filter(Column::Context.eq(context)), &LISTING, query).await
}

/// How many there are.
pub(crate) async fn count(store: &Store, context: &str) -> StoreResult<u64> {
    Ok(Entity::find().filter(Column::Context.eq(context)).count(store.reads()).await?)
}
