//! Datasets: what can be shared.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, post, put};
use policy_plan::{Admission, Limits, Selection, Source, Writing, instant_text};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown};
use super::query::{ListBody, ListParams};
use crate::app::App;
use crate::service::dataset::{DatasetBody, DistributionBody};
use crate::service::registry::DatasetInput;
use crate::service::{ServiceResult, schema};
use crate::store::dataset;

/// A dataset that can be offered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Dataset)]
pub(super) struct DatasetView {
    /// Id in the catalog.
    id: String,
    /// Title for people.
    title: String,
    /// Description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Keywords.
    keywords: Vec<String>,
    /// Further DCAT members.
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
    /// The ways in which it can be had.
    distributions: Vec<DistributionBody>,
    /// Where the data plane finds it.
    #[schema(schema_with = schema::source)]
    source: Source,
    /// Which requests are admitted.
    #[schema(schema_with = schema::admission)]
    admission: Admission,
    /// What of NGSI-LD entities is shown; everything when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::selection)]
    selection: Option<Selection>,
    /// What may be written to an NGSI-LD broker, where an agreement permits `modify`; nothing when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::writing)]
    writing: Option<Writing>,
    /// How fast each flow may be used.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    #[schema(schema_with = schema::limits)]
    limits: Limits,
    /// When it was added.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl Shown for dataset::Entity {
    type View = DatasetView;
    const PATH: &'static str = "/datasets";
    const FILTERS: &'static [&'static str] = &["title"];

    fn view(row: dataset::Model) -> ServiceResult<DatasetView> {
        let body = DatasetBody::parse(&row.body)?;
        Ok(DatasetView {
            id: row.id,
            title: row.title,
            description: body.description,
            keywords: body.keywords,
            properties: body.properties,
            distributions: body.distributions,
            source: body.source,
            admission: body.admission,
            selection: body.selection,
            writing: body.writing,
            limits: body.limits,
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists datasets.
#[utoipa::path(
    tag = "datasets",
    params(ListParams, ("title" = Option<String>, Query, description = "Only with this title")),
    responses((status = 200, description = "A page of datasets", body = ListBody<DatasetView>))
)]
#[get("/datasets")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<dataset::Entity>(&app, &request).await
}

/// Shows one dataset.
#[utoipa::path(
    tag = "datasets",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The dataset", body = DatasetView))
)]
#[get("/datasets/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<dataset::Entity>(&app, &id).await
}

/// Adds a dataset.
#[utoipa::path(
    tag = "datasets",
    request_body = DatasetInput,
    responses((
        status = 201,
        description = "Added",
        body = DatasetView,
        headers(("Location" = String, description = "Its address"))
    ))
)]
#[post("/datasets")]
pub(super) async fn create(app: Data<App>, Json(input): Json<DatasetInput>) -> Answer {
    crud::create::<dataset::Entity>(&app, input).await
}

/// Replaces a dataset whole, or adds it under this id.
#[utoipa::path(
    tag = "datasets",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = DatasetInput,
    responses(
        (status = 200, description = "Replaced", body = DatasetView),
        (status = 201, description = "Added", body = DatasetView)
    )
)]
#[put("/datasets/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<DatasetInput>) -> Answer {
    crud::put::<dataset::Entity>(&app, &id, input).await
}

/// Removes a dataset that nothing refers to any more.
#[utoipa::path(
    tag = "datasets",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/datasets/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<dataset::Entity>(&app, &id).await
}
