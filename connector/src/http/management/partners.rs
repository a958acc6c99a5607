//! Partners and where their connectors answer.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, post, put};
use policy_plan::instant_text;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown};
use super::query::{ListBody, ListParams};
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::registry::{AddressInput, PartnerInput};
use crate::store::partner;

/// A partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Partner)]
pub(super) struct PartnerView {
    /// Participant id.
    id: String,
    /// Name for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    name: String,
    /// Where its connector answers.
    address: AddressInput,
    /// When it was added.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl Shown for partner::Entity {
    type View = PartnerView;
    const PATH: &'static str = "/partners";
    const FILTERS: &'static [&'static str] = &["name"];

    fn view(row: partner::Model) -> ServiceResult<PartnerView> {
        Ok(PartnerView {
            address: AddressInput::shown(&row),
            id: row.id,
            name: row.name,
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists partners.
#[utoipa::path(
    tag = "partners",
    params(ListParams, ("name" = Option<String>, Query, description = "Only with this name")),
    responses((status = 200, description = "A page of partners", body = ListBody<PartnerView>))
)]
#[get("/partners")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<partner::Entity>(&app, &request).await
}

/// Shows one partner.
#[utoipa::path(
    tag = "partners",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The partner", body = PartnerView))
)]
#[get("/partners/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<partner::Entity>(&app, &id).await
}

/// Adds a partner.
#[utoipa::path(
    tag = "partners",
    request_body = PartnerInput,
    responses((
        status = 201,
        description = "Added",
        body = PartnerView,
        headers(("Location" = String, description = "Its address"))
    ))
)]
#[post("/partners")]
pub(super) async fn create(app: Data<App>, Json(input): Json<PartnerInput>) -> Answer {
    crud::create::<partner::Entity>(&app, input).await
}

/// Replaces a partner whole, or adds it under this id.
#[utoipa::path(
    tag = "partners",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = PartnerInput,
    responses(
        (status = 200, description = "Replaced", body = PartnerView),
        (status = 201, description = "Added", body = PartnerView)
    )
)]
#[put("/partners/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<PartnerInput>) -> Answer {
    crud::put::<partner::Entity>(&app, &id, input).await
}

/// Removes a partner that nothing refers to any more.
#[utoipa::path(
    tag = "partners",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/partners/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<partner::Entity>(&app, &id).await
}
