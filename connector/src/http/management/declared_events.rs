//! Events that policies speak of, as operators declare them.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, post, put};
use policy_plan::instant_text;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown, ok};
use super::identity::NothingInput;
use super::query::{ListBody, ListParams};
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::registry::{self, DeclaredEventInput};
use crate::store::{declared_event, now_ms};

/// A declared event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeclaredEvent)]
pub(super) struct DeclaredEventView {
    /// IRI of the event, as policies name it.
    id: String,
    /// Title for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    title: String,
    /// When it begins to be in force.
    starts_at: String,
    /// From when on it is in force no more; open when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// Whether it is in force now.
    in_force: bool,
    /// When it was declared.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl Shown for declared_event::Entity {
    type View = DeclaredEventView;
    const PATH: &'static str = "/declared-events";
    const FILTERS: &'static [&'static str] = &[];

    fn view(row: declared_event::Model) -> ServiceResult<DeclaredEventView> {
        Ok(DeclaredEventView {
            in_force: row.is_in_force(now_ms()),
            id: row.id,
            title: row.title,
            starts_at: instant_text(row.starts_at),
            ends_at: row.ends_at.map(instant_text),
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists declared events, those that have ended included.
#[utoipa::path(
    tag = "declared events",
    params(ListParams),
    responses((status = 200, description = "A page of declared events", body = ListBody<DeclaredEventView>))
)]
#[get("/declared-events")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<declared_event::Entity>(&app, &request).await
}

/// Shows one declared event.
#[utoipa::path(
    tag = "declared events",
    params(("id" = String, Path, description = "Its IRI, percent-encoded")),
    responses((status = 200, description = "The declared event", body = DeclaredEventView))
)]
#[get("/declared-events/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<declared_event::Entity>(&app, &id).await
}

/// Declares an event. Decisions and running transfers that rest on it follow at once.
#[utoipa::path(
    tag = "declared events",
    request_body = DeclaredEventInput,
    responses((
        status = 201,
        description = "Declared",
        body = DeclaredEventView,
        headers(("Location" = String, description = "Its address"))
    ))
)]
#[post("/declared-events")]
pub(super) async fn create(app: Data<App>, Json(input): Json<DeclaredEventInput>) -> Answer {
    crud::create::<declared_event::Entity>(&app, input).await
}

/// Replaces a declared event whole, or declares it under this IRI.
#[utoipa::path(
    tag = "declared events",
    params(("id" = String, Path, description = "Its IRI, percent-encoded")),
    request_body = DeclaredEventInput,
    responses(
        (status = 200, description = "Replaced", body = DeclaredEventView),
        (status = 201, description = "Declared", body = DeclaredEventView)
    )
)]
#[put("/declared-events/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<DeclaredEventInput>) -> Answer {
    crud::put::<declared_event::Entity>(&app, &id, input).await
}

/// Ends an event now.
#[utoipa::path(
    tag = "declared events",
    params(("id" = String, Path, description = "Its IRI, percent-encoded")),
    request_body = NothingInput,
    responses((status = 200, description = "Ended", body = DeclaredEventView))
)]
#[post("/declared-events/{id}/end")]
pub(super) async fn end(app: Data<App>, id: Path<String>, Json(NothingInput {}): Json<NothingInput>) -> Answer {
    ok(&declared_event::Entity::view(registry::end(&app, &id).await?)?)
}

/// Removes a declared event; nothing tells any more that it was in force.
#[utoipa::path(
    tag = "declared events",
    params(("id" = String, Path, description = "Its IRI, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/declared-events/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<declared_event::Entity>(&app, &id).await
}
