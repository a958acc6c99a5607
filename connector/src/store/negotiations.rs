//! Rows of `negotiation`.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QuerySelect, SqlErr,
};

use super::entity::negotiation::{ActiveModel, Column, Entity, Model};
use super::page::{ListQuery, Listing, Page, list as list_rows};
use super::unit::LEASE_MS;
use super::{StepKind, Store, StoreError, StoreResult, Unit};

const LISTING: Listing<Column> = Listing {
    sort: &[("createdAt", Column::CreatedAt), ("updatedAt", Column::UpdatedAt)],
    filter: &[
        ("role", Column::Role),
        ("state", Column::State),
        ("counterPartyId", Column::CounterParty),
        ("datasetId", Column::DatasetId),
        ("agreementId", Column::AgreementId),
    ],
    id: Column::Id,
};

/// The row, for reading only.
pub(crate) async fn find(db: &impl ConnectionTrait, context: &str, id: &str) -> StoreResult<Option<Model>> {
    Ok(Entity::find_by_id(id).filter(Column::Context.eq(context)).one(db).await?)
}

/// The row, locked until the unit ends.
pub(crate) async fn lock(unit: &Unit, context: &str, id: &str) -> StoreResult<Option<Model>> {
    let row = Entity::find_by_id(id).filter(Column::Context.eq(context)).lock_exclusive().one(unit.db()).await?;
    Ok(row)
}

/// The process that a peer's initial message with this pid has created.
pub(crate) async fn by_counter_pid(
    db: &impl ConnectionTrait,
    context: &str,
    role: &str,
    counter_party: &str,
    counter_pid: &str,
) -> StoreResult<Option<Model>> {
    let found = Entity::find()
        .filter(Column::Context.eq(context))
        .filter(Column::Role.eq(role))
        .filter(Column::CounterParty.eq(counter_party))
        .filter(Column::CounterPid.eq(counter_pid))
        .one(db)
        .await?;
    Ok(found)
}

/// Our negotiation as provider that led to this agreement, while we still owe the consumer a message.
pub(crate) async fn owing_by_agreement(
    db: &impl ConnectionTrait,
    context: &str,
    consumer: &str,
    agreement_id: &str,
) -> StoreResult<Option<Model>> {
    let found = Entity::find()
        .filter(Column::Context.eq(context))
        .filter(Column::Role.eq("provider"))
        .filter(Column::CounterParty.eq(consumer))
        .filter(Column::AgreementId.eq(agreement_id))
        .filter(Column::Owed.is_not_null());
    Ok(found.one(db).await?)
}

/// Adds a new row; when it owes a message, this replica takes the lease and is woken after the commit.
pub(crate) async fn insert(unit: &mut Unit, mut row: Model) -> StoreResult<Model> {
    stamp(unit, &mut row);
    row.created_at = unit.now();
    match Entity::insert(row.clone().into_active_model()).exec_without_returning(unit.db()).await {
        Ok(_) => Ok(row),
        Err(error) => match error.sql_err() {
            // Two initial messages with one pid raced; the other was first.
            Some(SqlErr::UniqueConstraintViolation(_)) => Err(StoreError::Exists(row.id)),
            _ => Err(error.into()),
        },
    }
}

/// Saves a changed row, with the same care for the lease.
pub(crate) async fn update(unit: &mut Unit, mut row: Model) -> StoreResult<Model> {
    stamp(unit, &mut row);
    let changes: ActiveModel = row.clone().into_active_model().reset_all();
    changes.update_without_returning(unit.db()).await?;
    Ok(row)
}

fn stamp(unit: &mut Unit, row: &mut Model) {
    row.updated_at = unit.now();
    if row.owed.is_some() {
        row.lease_owner = Some(unit.owner().to_owned());
        row.lease_until = row.next_attempt_at.max(unit.now()) + LEASE_MS;
        unit.wake(StepKind::Negotiation, &row.id, row.next_attempt_at);
    } else {
        row.lease_owner = None;
        row.lease_until = 0;
        row.attempts = 0;
    }
}

/// Notes a failed attempt; the row comes back at `at`. Nothing happens when it owes something else meanwhile.
pub(crate) async fn postpone(store: &Store, row: &Model, owed_id: &str, at: i64, error: &str) -> StoreResult<()> {
    let (id, context, owed_id, error) = (row.id.clone(), row.context.clone(), owed_id.to_owned(), error.to_owned());
    store
        .write(move |unit| {
            Box::pin(async move {
                let Some(mut row) = lock(unit, &context, &id).await? else { return Ok(()) };
                if row.owed_id.as_deref().unwrap_or_default() != owed_id {
                    return Ok(());
                }
                row.attempts += 1;
                row.next_attempt_at = at;
                row.error = Some(error);
                update(unit, row).await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
}

/// A page of the list.
pub(crate) async fn list(store: &Store, context: &str, query: &ListQuery) -> StoreResult<Page<Model>> {
    list_rows(store.reads(), Entity::find().filter(Column::Context.eq(context)), &LISTING, query).await
}

/// How many there are.
pub(crate) async fn count(store: &Store, context: &str) -> StoreResult<u64> {
    Ok(Entity::find().filter(Column::Context.eq(context)).count(store.reads()).await?)
}
