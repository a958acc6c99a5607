//! Transfers that run, for what watches over them.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::transfer::{Column, Entity, Model};
use super::{Store, StoreResult};

/// Rows of one page.
const PAGE: u64 = 1000;

/// Ids, counter-parties and claims of the running transfers with an id after `after`, in the order of their ids; an empty page
/// ends the list.
pub(crate) async fn page(store: &Store, context: &str, after: &str) -> StoreResult<Vec<(String, String, String)>> {
    Ok(Entity::find()
        .select_only()
        .columns([Column::Id, Column::CounterParty, Column::Claims])
        .filter(Column::Context.eq(context))
        .filter(Column::State.eq("STARTED"))
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(PAGE)
        .into_tuple()
        .all(store.reads())
        .await?)
}

/// Which of the watched transfers are looked at.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Those under these agreements.
    Agreements(Vec<String>),
    /// These.
    Ids(Vec<String>),
}

/// Transfers in which we are the provider that run, or that the monitor keeps suspended, with an id after `after`, in the order
/// of their ids; an empty page ends the list.
pub(crate) async fn watched(store: &Store, context: &str, which: &Which, after: &str) -> StoreResult<Vec<Model>> {
    let held = Condition::all().add(Column::State.eq("SUSPENDED")).add(Column::HeldFor.is_not_null());
    let watched = Condition::any().add(Column::State.eq("STARTED")).add(held);
    let mut found = Entity::find()
        .filter(Column::Context.eq(context))
        .filter(Column::Role.eq("provider"))
        .filter(watched)
        .filter(Column::Id.gt(after));
    found = match which {
        Which::All => found,
        Which::Agreements(ids) => found.filter(Column::AgreementId.is_in(ids)),
        Which::Ids(ids) => found.filter(Column::Id.is_in(ids)),
    };
    Ok(found.order_by_asc(Column::Id).limit(PAGE).all(store.reads()).await?)
}
