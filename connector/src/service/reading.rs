//! What operators read of negotiations, agreements and transfers.

use super::registry::shown;
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{
    ListQuery, Page, agreement, agreements, data_plane, dataset, negotiation, negotiations, offer, registry, transfer,
    transfers,
};

/// How much there is of each kind.
pub(crate) struct Counts {
    /// Datasets.
    pub datasets: u64,
    /// Offers.
    pub offers: u64,
    /// Negotiations, ended ones included.
    pub negotiations: u64,
    /// Agreements.
    pub agreements: u64,
    /// Transfers, ended ones included.
    pub transfers: u64,
}

/// Counts what there is.
///
/// # Errors
/// What the database brings, as for all functions here.
pub(crate) async fn counts(app: &App) -> ServiceResult<Counts> {
    let (store, context) = (&app.store, app.context());
    Ok(Counts {
        datasets: registry::count::<dataset::Entity>(store, context).await?,
        offers: registry::count::<offer::Entity>(store, context).await?,
        negotiations: negotiations::count(store, context).await?,
        agreements: agreements::count(store, context).await?,
        transfers: transfers::count(store, context).await?,
    })
}

/// Every data plane.
pub(crate) async fn data_planes(app: &App) -> ServiceResult<Vec<data_plane::Model>> {
    Ok(registry::all::<data_plane::Entity>(&app.store, app.context()).await?)
}

/// A page of negotiations.
pub(crate) async fn negotiations(app: &App, query: &ListQuery) -> ServiceResult<Page<negotiation::Model>> {
    Ok(negotiations::list(&app.store, app.context(), query).await?)
}

/// One negotiation, or `not_found`.
pub(crate) async fn negotiation(app: &App, id: &str) -> ServiceResult<negotiation::Model> {
    let row = negotiations::find(app.store.reads(), app.context(), id).await?;
    row.ok_or_else(|| missing("negotiation", id))
}

/// A page of agreements.
pub(crate) async fn agreements(app: &App, query: &ListQuery) -> ServiceResult<Page<agreement::Model>> {
    Ok(agreements::list(&app.store, app.context(), query).await?)
}

/// One agreement in whichever role we have it, or `not_found`.
pub(crate) async fn agreement(app: &App, id: &str) -> ServiceResult<agreement::Model> {
    let row = agreements::find_any(app.store.reads(), app.context(), id).await?;
    row.ok_or_else(|| missing("agreement", id))
}

/// A page of transfers.
pub(crate) async fn transfers(app: &App, query: &ListQuery) -> ServiceResult<Page<transfer::Model>> {
    Ok(transfers::list(&app.store, app.context(), query).await?)
}

/// One transfer, or `not_found`.
pub(crate) async fn transfer(app: &App, id: &str) -> ServiceResult<transfer::Model> {
    let row = transfers::find(app.store.reads(), app.context(), id).await?;
    row.ok_or_else(|| missing("transfer", id))
}

fn missing(what: &str, id: &str) -> ServiceError {
    ServiceError::not_found(format!("there is no {what} `{}`", shown(id)))
}
