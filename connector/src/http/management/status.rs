//! The state of the installation at a glance.

use actix_web::get;
use actix_web::web::Data;
use policy_plan::instant_text;
use serde::Serialize;
use utoipa::ToSchema;

use super::crud::{Answer, Shown as _, ok};
use super::data_planes::DataPlaneView;
use crate::app::App;
use crate::service::{ServiceResult, reading};
use crate::store::data_plane;

/// The state of the installation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// Our participant id in the dataspace.
    participant_id: String,
    /// Version of this software.
    version: &'static str,
    /// When the process started.
    started_at: String,
    /// Base URL of our Dataspace Protocol endpoints, as peers see it.
    dsp_address: String,
    /// Where peers read which versions we speak.
    version_document: String,
    /// The data planes.
    data_planes: Vec<DataPlaneView>,
    /// How much there is.
    counts: Counts,
}

/// How much there is of each kind.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    /// Datasets.
    datasets: u64,
    /// Offers.
    offers: u64,
    /// Negotiations, ended ones included.
    negotiations: u64,
    /// Agreements.
    agreements: u64,
    /// Transfers, ended ones included.
    transfers: u64,
}

/// Shows the state of the installation.
#[utoipa::path(tag = "status", responses((status = 200, description = "The state", body = Status)))]
#[get("/status")]
pub(super) async fn show(app: Data<App>) -> Answer {
    ok(&status(&app).await?)
}

async fn status(app: &App) -> ServiceResult<Status> {
    let planes = reading::data_planes(app).await?;
    let counts = reading::counts(app).await?;
    Ok(Status {
        participant_id: app.participant.clone(),
        version: env!("CARGO_PKG_VERSION"),
        started_at: instant_text(app.started_at),
        dsp_address: app.dsp_address.clone(),
        version_document: version_document(app),
        data_planes: planes.into_iter().map(data_plane::Entity::view).collect::<ServiceResult<_>>()?,
        counts: Counts {
            datasets: counts.datasets,
            offers: counts.offers,
            negotiations: counts.negotiations,
            agreements: counts.agreements,
            transfers: counts.transfers,
        },
    })
}

fn version_document(app: &App) -> String {
    let root = app.dsp_address.trim_end_matches('/').trim_end_matches("/dsp/2025-1");
    format!("{root}/.well-known/dspace-version")
}
