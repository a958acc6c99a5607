//! Data planes, which move the data.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, put};
use policy_plan::instant_text;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown};
use super::query::{ListBody, ListParams};
use super::stored;
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::registry::{DataPlaneInput, DialectName};
use crate::store::data_plane;

/// A data plane.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DataPlane)]
pub(super) struct DataPlaneView {
    /// Id.
    id: String,
    /// Base URL of its signaling interface.
    endpoint: String,
    /// Transfer profiles that it serves.
    profiles: Vec<String>,
    /// Which draft of Data Plane Signaling it speaks.
    #[schema(value_type = DialectName)]
    dialect: String,
    /// Labels, as `name=value`.
    labels: Vec<String>,
    /// How we authenticate to it: `shared` (the signaling token), `header` (its own), `oauth2` (client credentials), `exchange` (token
    /// exchange) or `none`.
    authorization: String,
    /// Whether it is there, as it says itself: `present`, `leaving` (about to stop) or `absent`; null for one that does not say so.
    presence: Option<String>,
    /// Since when.
    presence_since: Option<String>,
    /// When it was added.
    created_at: String,
    /// When it was last changed or registered itself.
    updated_at: String,
}

impl Shown for data_plane::Entity {
    type View = DataPlaneView;
    const PATH: &'static str = "/data-planes";
    const FILTERS: &'static [&'static str] = &["dialect"];

    fn view(row: data_plane::Model) -> ServiceResult<DataPlaneView> {
        Ok(DataPlaneView {
            id: row.id,
            endpoint: row.endpoint,
            profiles: stored(&row.profiles)?,
            dialect: row.dialect,
            labels: stored(&row.labels)?,
            authorization: row.authorization,
            presence: row.presence,
            presence_since: row.presence_since.map(instant_text),
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists data planes.
#[utoipa::path(
    tag = "data planes",
    params(ListParams, ("dialect" = Option<String>, Query, description = "Only with this dialect")),
    responses((status = 200, description = "A page of data planes", body = ListBody<DataPlaneView>))
)]
#[get("/data-planes")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<data_plane::Entity>(&app, &request).await
}

/// Shows one data plane.
#[utoipa::path(
    tag = "data planes",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The data plane", body = DataPlaneView))
)]
#[get("/data-planes/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<data_plane::Entity>(&app, &id).await
}

/// Replaces a data plane whole, or adds it under this id.
#[utoipa::path(
    tag = "data planes",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = DataPlaneInput,
    responses(
        (status = 200, description = "Replaced", body = DataPlaneView),
        (status = 201, description = "Added", body = DataPlaneView)
    )
)]
#[put("/data-planes/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<DataPlaneInput>) -> Answer {
    crud::put::<data_plane::Entity>(&app, &id, input).await
}

/// Removes a data plane that nothing refers to any more.
#[utoipa::path(
    tag = "data planes",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/data-planes/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<data_plane::Entity>(&app, &id).await
}
