//! What operators keep in lists: datasets, policies, offers, partners, data planes, webhooks. They have the same shape
//! (context, id, fields), so one set of queries serves them all.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable, ModelTrait, PaginatorTrait,
    PrimaryKeyTrait, QueryFilter, Select,
};

use super::entity::{
    consent, credential, credential_offer, credential_request, data_plane, dataset, decision_record, declared_event,
    duty, issued_credential, negotiation, offer, partner, policy, transfer, trusted_issuer, webhook,
};
use super::page::{ListQuery, Listing, Page, list as list_rows};
use super::{Store, StoreError, StoreResult, Unit};

/// A table of operator-made rows, keyed by (context, id).
pub(crate) trait Registered: EntityTrait<Column: ColumnTrait + Copy> {
    /// How the table is listed.
    const LISTING: Listing<Self::Column>;
    /// Its column `context`.
    const CONTEXT: Self::Column;
    /// Columns that an update leaves alone.
    const KEPT: &'static [Self::Column];
    /// Id of a row.
    fn id(row: &Self::Model) -> &str;
}

macro_rules! registered {
    (
        $table:ident,
        [$($sort:literal => $sort_column:ident),+],
        [$($filter:literal => $filter_column:ident),*]
        $(, kept: [$($kept:ident),+])?
    ) => {
        impl Registered for $table::Entity {
            const LISTING: Listing<$table::Column> = Listing {
                sort: &[$(($sort, $table::Column::$sort_column)),+],
                filter: &[$(($filter, $table::Column::$filter_column)),*],
                id: $table::Column::Id,
            };
            const CONTEXT: $table::Column = $table::Column::Context;
            const KEPT: &'static [$table::Column] = &[
                $table::Column::Context,
                $table::Column::Id,
                $table::Column::CreatedAt,
                $($($table::Column::$kept),+)?
            ];
            fn id(row: &$table::Model) -> &str {
                &row.id
            }
        }
    };
}

registered!(dataset, ["id" => Id, "title" => Title, "createdAt" => CreatedAt, "updatedAt" => UpdatedAt], ["title" => Title]);
registered!(policy, ["id" => Id, "title" => Title, "createdAt" => CreatedAt], ["title" => Title]);
registered!(
    offer,
    ["id" => Id, "datasetId" => DatasetId, "createdAt" => CreatedAt],
    ["datasetId" => DatasetId, "policyId" => PolicyId, "accessPolicyId" => AccessPolicyId, "negotiation" => Negotiation]
);
registered!(partner, ["id" => Id, "name" => Name, "createdAt" => CreatedAt], ["name" => Name]);
registered!(
    credential,
    ["createdAt" => CreatedAt, "id" => Id, "type" => Kind],
    ["type" => Kind, "issuer" => Issuer, "state" => State]
);
registered!(credential_request, ["createdAt" => CreatedAt, "id" => Id], ["issuer" => Issuer, "state" => State]);
registered!(credential_offer, ["createdAt" => CreatedAt, "id" => Id], ["issuer" => Issuer]);
registered!(
    issued_credential,
    ["createdAt" => CreatedAt, "id" => Id],
    ["holder" => Holder, "type" => Kind, "state" => State]
);
registered!(declared_event, ["id" => Id, "startsAt" => StartsAt, "createdAt" => CreatedAt], []);
registered!(
    decision_record,
    ["createdAt" => CreatedAt, "id" => Id],
    [
        "scope" => Scope,
        "processId" => ProcessId,
        "agreementId" => AgreementId,
        "datasetId" => DatasetId,
        "participantId" => Participant,
        "policyHash" => PolicyHash
    ]
);
registered!(consent, ["createdAt" => CreatedAt, "id" => Id], ["subject" => Subject]);
registered!(
    duty,
    ["createdAt" => CreatedAt, "id" => Id],
    [
        "agreementId" => AgreementId,
        "role" => Role,
        "counterPartyId" => CounterParty,
        "datasetId" => DatasetId,
        "state" => State,
        "action" => Action
    ]
);
registered!(trusted_issuer, ["id" => Id, "createdAt" => CreatedAt], []);
registered!(
    data_plane,
    ["id" => Id, "createdAt" => CreatedAt],
    ["dialect" => Dialect],
    kept: [Presence, PresenceSince, PresentUntil, Connection]
);
registered!(webhook, ["id" => Id, "createdAt" => CreatedAt], ["url" => Url]);

/// One row.
pub(crate) async fn find<E>(db: &impl ConnectionTrait, context: &str, id: &str) -> StoreResult<Option<E::Model>>
where
    E: Registered,
    E::PrimaryKey: PrimaryKeyTrait<ValueType = (String, String)>,
{
    Ok(E::find_by_id((context.to_owned(), id.to_owned())).one(db).await?)
}

/// A page of the list.
pub(crate) async fn list<E>(store: &Store, context: &str, query: &ListQuery) -> StoreResult<Page<E::Model>>
where
    E: Registered,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    list_rows(store.reads(), E::find().filter(E::CONTEXT.eq(context)), &E::LISTING, query).await
}

/// Every row of a table that is small by nature (data planes, webhooks).
pub(crate) async fn all<E: Registered>(store: &Store, context: &str) -> StoreResult<Vec<E::Model>> {
    Ok(E::find().filter(E::CONTEXT.eq(context)).all(store.reads()).await?)
}

/// How many rows there are.
pub(crate) async fn count<E>(store: &Store, context: &str) -> StoreResult<u64>
where
    E: Registered,
    E::Model: Send + Sync,
{
    Ok(E::find().filter(E::CONTEXT.eq(context)).count(store.reads()).await?)
}

/// Adds a row.
///
/// # Errors
/// [`StoreError::Exists`] when the id is taken.
pub(crate) async fn insert<E>(unit: &Unit, context: &str, row: E::Model) -> StoreResult<()>
where
    E: Registered,
    E::PrimaryKey: PrimaryKeyTrait<ValueType = (String, String)>,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let id = E::id(&row).to_owned();
    if find::<E>(unit.db(), context, &id).await?.is_some() {
        return Err(StoreError::Exists(id));
    }
    E::insert(row.into_active_model()).exec_without_returning(unit.db()).await?;
    Ok(())
}

/// Adds a row or replaces it whole; the time of creation stays.
pub(crate) async fn put<E>(unit: &Unit, row: E::Model) -> StoreResult<()>
where
    E: Registered,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let key = E::PrimaryKey::iter();
    let columns =
        E::Column::iter().filter(|column| !E::KEPT.iter().any(|kept| format!("{kept:?}") == format!("{column:?}")));
    E::insert(row.into_active_model().reset_all())
        .on_conflict(OnConflict::columns(key).update_columns(columns).to_owned())
        .exec_without_returning(unit.db())
        .await?;
    Ok(())
}

/// Removes a row; `false` when there is none.
pub(crate) async fn remove<E>(unit: &Unit, context: &str, id: &str) -> StoreResult<bool>
where
    E: Registered,
    E::PrimaryKey: PrimaryKeyTrait<ValueType = (String, String)>,
{
    let removed = E::delete_by_id((context.to_owned(), id.to_owned())).exec(unit.db()).await?;
    Ok(removed.rows_affected > 0)
}

/// Offers that refer to a dataset or to a policy, as contract or as access policy: those must go first.
pub(crate) async fn offers_using(unit: &Unit, context: &str, column: offer::Column, id: &str) -> StoreResult<u64> {
    let using = offer::Entity::find().filter(offer::Column::Context.eq(context)).filter(column.eq(id));
    Ok(using.count(unit.db()).await?)
}

/// Negotiations and transfers about one of our datasets that have not ended.
pub(crate) async fn open_about_dataset(unit: &Unit, context: &str, dataset: &str) -> StoreResult<u64> {
    let negotiations = open_negotiations(context).filter(negotiation::Column::DatasetId.eq(dataset));
    let transfers = open_transfers(context)
        .filter(transfer::Column::Role.eq("provider"))
        .filter(transfer::Column::DatasetId.eq(dataset));
    Ok(negotiations.count(unit.db()).await? + transfers.count(unit.db()).await?)
}

/// Negotiations about one of our offers that have not ended.
pub(crate) async fn open_about_offer(unit: &Unit, context: &str, offer: &str) -> StoreResult<u64> {
    Ok(open_negotiations(context).filter(negotiation::Column::OfferId.eq(offer)).count(unit.db()).await?)
}

/// Transfers through a data plane that have not ended.
pub(crate) async fn open_on_data_plane(unit: &Unit, context: &str, data_plane: &str) -> StoreResult<u64> {
    Ok(open_transfers(context).filter(transfer::Column::DataPlaneId.eq(data_plane)).count(unit.db()).await?)
}

fn open_negotiations(context: &str) -> Select<negotiation::Entity> {
    negotiation::Entity::find()
        .filter(negotiation::Column::Context.eq(context))
        .filter(negotiation::Column::Role.eq("provider"))
        .filter(negotiation::Column::State.is_not_in(["FINALIZED", "TERMINATED"]))
}

fn open_transfers(context: &str) -> Select<transfer::Entity> {
    transfer::Entity::find()
        .filter(transfer::Column::Context.eq(context))
        .filter(transfer::Column::State.is_not_in(["COMPLETED", "TERMINATED"]))
}
