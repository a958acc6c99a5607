//! ODRL policies, which offers refer to.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, post, put};
use policy_plan::instant_text;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown};
use super::query::{ListBody, ListParams};
use super::stored;
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::registry::PolicyInput;
use crate::store::policy;

/// A policy.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Policy)]
pub(super) struct PolicyView {
    /// Id.
    id: String,
    /// Title for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    /// `permission`, `prohibition`, `obligation` and `profile`, as far as there are.
    #[serde(flatten)]
    #[schema(inline)]
    rules: Map<String, Value>,
    /// When it was added.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl Shown for policy::Entity {
    type View = PolicyView;
    const PATH: &'static str = "/policies";
    const FILTERS: &'static [&'static str] = &["title"];

    fn view(row: policy::Model) -> ServiceResult<PolicyView> {
        Ok(PolicyView {
            id: row.id,
            title: row.title,
            rules: stored(&row.body)?,
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists policies.
#[utoipa::path(
    tag = "policies",
    params(ListParams, ("title" = Option<String>, Query, description = "Only with this title")),
    responses((status = 200, description = "A page of policies", body = ListBody<PolicyView>))
)]
#[get("/policies")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<policy::Entity>(&app, &request).await
}

/// Shows one policy.
#[utoipa::path(
    tag = "policies",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The policy", body = PolicyView))
)]
#[get("/policies/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<policy::Entity>(&app, &id).await
}

/// Adds a policy.
#[utoipa::path(
    tag = "policies",
    request_body = PolicyInput,
    responses((
        status = 201,
        description = "Added",
        body = PolicyView,
        headers(("Location" = String, description = "Its address"))
    ))
)]
#[post("/policies")]
pub(super) async fn create(app: Data<App>, Json(input): Json<PolicyInput>) -> Answer {
    crud::create::<policy::Entity>(&app, input).await
}

/// Replaces a policy whole, or adds it under this id.
#[utoipa::path(
    tag = "policies",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = PolicyInput,
    responses(
        (status = 200, description = "Replaced", body = PolicyView),
        (status = 201, description = "Added", body = PolicyView)
    )
)]
#[put("/policies/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<PolicyInput>) -> Answer {
    crud::put::<policy::Entity>(&app, &id, input).await
}

/// Removes a policy that nothing refers to any more.
#[utoipa::path(
    tag = "policies",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/policies/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<policy::Entity>(&app, &id).await
}
