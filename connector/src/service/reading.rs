//! What operators read of negotiations, agreements, transfers and credentials.

use sea_orm::{ModelTrait, PrimaryKeyTrait};

use super::process::Process;
use super::registry::shown;
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::registry::Registered;
use crate::store::{
    ListQuery, Page, agreement, agreements, data_plane, dataset, issuance, issuances, negotiation, offer, processes,
    registry, transfer,
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
        negotiations: processes::count::<negotiation::Model>(store, context).await?,
        agreements: agreements::count(store, context).await?,
        transfers: processes::count::<transfer::Model>(store, context).await?,
    })
}

/// Every data plane.
pub(crate) async fn data_planes(app: &App) -> ServiceResult<Vec<data_plane::Model>> {
    Ok(registry::all::<data_plane::Entity>(&app.store, app.context()).await?)
}

/// A page of negotiations or transfers.
pub(crate) async fn processes<P: Process>(app: &App, query: &ListQuery) -> ServiceResult<Page<P>> {
    Ok(processes::list(&app.store, app.context(), query).await?)
}

/// One negotiation or transfer, or `not_found`.
pub(crate) async fn process<P: Process>(app: &App, id: &str) -> ServiceResult<P> {
    let row = processes::find(app.store.reads(), app.context(), id).await?;
    row.ok_or_else(|| missing(P::NAME, id))
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

/// A page of rows that the connector itself keeps, such as credentials.
pub(crate) async fn rows<E>(app: &App, query: &ListQuery) -> ServiceResult<Page<E::Model>>
where
    E: Registered,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    Ok(registry::list::<E>(&app.store, app.context(), query).await?)
}

/// One such row, or `not_found`; `what` is what it is called.
pub(crate) async fn row<E>(app: &App, what: &str, id: &str) -> ServiceResult<E::Model>
where
    E: Registered,
    E::PrimaryKey: PrimaryKeyTrait<ValueType = (String, String)>,
{
    let row = registry::find::<E>(app.store.reads(), app.context(), id).await?;
    row.ok_or_else(|| missing(what, id))
}

/// A page of requests for credentials that we issue.
pub(crate) async fn issuances(app: &App, query: &ListQuery) -> ServiceResult<Page<issuance::Model>> {
    Ok(issuances::list(&app.store, app.context(), query).await?)
}

/// One of them, or `not_found`.
pub(crate) async fn issuance(app: &App, id: &str) -> ServiceResult<issuance::Model> {
    let row = issuances::find(&app.store, app.context(), id).await?;
    row.ok_or_else(|| missing("request for credentials", id))
}

fn missing(what: &str, id: &str) -> ServiceError {
    ServiceError::not_found(format!("there is no {what} `{}`", shown(id)))
}
