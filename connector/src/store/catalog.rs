//! The queries behind the DSP catalog: which datasets a caller may see, a page at a time.

use sea_orm::sea_query::Order;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{dataset, offer, policy};
use super::{Store, StoreResult};

/// Where a page of the catalog starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At the beginning.
    Start,
    /// After this dataset id.
    After(String),
    /// Before this dataset id, going backwards.
    Before(String),
}

/// The access policies that offers name, empty string for none: as many as there are policies, never as many as offers.
pub(crate) async fn access_policies(store: &Store, context: &str) -> StoreResult<Vec<String>> {
    let ids = offer::Entity::find()
        .select_only()
        .column(offer::Column::AccessPolicyId)
        .filter(offer::Column::Context.eq(context))
        .distinct()
        .into_tuple()
        .all(store.reads())
        .await?;
    Ok(ids)
}

/// A page of datasets that have an offer under one of the `visible` access policies, in the order of their ids; one
/// more than `limit` when there are more.
pub(crate) async fn page(
    store: &Store,
    context: &str,
    visible: &[String],
    from: &From,
    limit: u64,
) -> StoreResult<Vec<dataset::Model>> {
    let mut ids = offer::Entity::find()
        .select_only()
        .column(offer::Column::DatasetId)
        .filter(offer::Column::Context.eq(context))
        .filter(offer::Column::AccessPolicyId.is_in(visible))
        .distinct();
    let mut order = Order::Asc;
    match from {
        From::Start => {}
        From::After(id) => ids = ids.filter(offer::Column::DatasetId.gt(id)),
        From::Before(id) => {
            ids = ids.filter(offer::Column::DatasetId.lt(id));
            order = Order::Desc;
        }
    }
    let ids: Vec<String> =
        ids.order_by(offer::Column::DatasetId, order).limit(limit + 1).into_tuple().all(store.reads()).await?;
    let rows = dataset::Entity::find()
        .filter(dataset::Column::Context.eq(context))
        .filter(dataset::Column::Id.is_in(ids))
        .order_by_asc(dataset::Column::Id)
        .all(store.reads())
        .await?;
    Ok(rows)
}

/// The offers of these datasets under the `visible` access policies.
pub(crate) async fn offers(
    store: &Store,
    context: &str,
    visible: &[String],
    datasets: &[String],
) -> StoreResult<Vec<offer::Model>> {
    let rows = offer::Entity::find()
        .filter(offer::Column::Context.eq(context))
        .filter(offer::Column::DatasetId.is_in(datasets))
        .filter(offer::Column::AccessPolicyId.is_in(visible))
        // By dataset first: the index has that order, while the order of the ids alone would read every offer.
        .order_by_asc(offer::Column::DatasetId)
        .order_by_asc(offer::Column::Id)
        .all(store.reads())
        .await?;
    Ok(rows)
}

/// The policies with these ids.
pub(crate) async fn policies(store: &Store, context: &str, ids: &[String]) -> StoreResult<Vec<policy::Model>> {
    let rows = policy::Entity::find()
        .filter(policy::Column::Context.eq(context))
        .filter(policy::Column::Id.is_in(ids))
        .all(store.reads())
        .await?;
    Ok(rows)
}
