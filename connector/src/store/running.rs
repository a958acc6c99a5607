//! Transfers that run, for what watches over them.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::transfer;
use super::{Store, StoreResult};

/// Rows of one page.
const PAGE: u64 = 1000;

/// Ids, counter-parties and claims of the running transfers with an id after `after`, in the order of their ids; an empty page
/// ends the list.
pub(crate) async fn page(store: &Store, context: &str, after: &str) -> StoreResult<Vec<(String, String, String)>> {
    Ok(transfer::Entity::find()
        .select_only()
        .columns([transfer::Column::Id, transfer::Column::CounterParty, transfer::Column::Claims])
        .filter(transfer::Column::Context.eq(context))
        .filter(transfer::Column::State.eq("STARTED"))
        .filter(transfer::Column::Id.gt(after))
        .order_by_asc(transfer::Column::Id)
        .limit(PAGE)
        .into_tuple()
        .all(store.reads())
        .await?)
}
