//! Rows of `credential`: what we hold. Other lists of this kind go through [`super::registry`].

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::entity::credential;
use super::{Store, StoreResult, Unit};

/// State of a credential that may be presented.
pub(crate) const HELD: &str = "held";
/// State of one that nobody asked for.
pub(crate) const PENDING: &str = "pending";
/// More credentials than any holder needs; the newest are taken.
const MOST: u64 = 1000;

/// The credentials that may be presented, newest first.
pub(crate) async fn held(store: &Store, context: &str) -> StoreResult<Vec<credential::Model>> {
    use sea_orm::QuerySelect as _;
    Ok(credential::Entity::find()
        .filter(credential::Column::Context.eq(context))
        .filter(credential::Column::State.eq(HELD))
        .order_by_desc(credential::Column::CreatedAt)
        .limit(MOST)
        .all(store.reads())
        .await?)
}

/// Removes what a newer credential of the same issuer, type and format replaces.
pub(crate) async fn replace_older(unit: &Unit, newer: &credential::Model) -> StoreResult<()> {
    credential::Entity::delete_many()
        .filter(credential::Column::Context.eq(&newer.context))
        .filter(credential::Column::State.eq(&newer.state))
        .filter(credential::Column::Issuer.eq(&newer.issuer))
        .filter(credential::Column::Kind.eq(&newer.kind))
        .filter(credential::Column::Format.eq(&newer.format))
        .filter(credential::Column::Id.ne(&newer.id))
        .exec(unit.db())
        .await?;
    Ok(())
}
