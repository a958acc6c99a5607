//! Webhooks, which events are posted to.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, post, put};
use policy_plan::instant_text;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown};
use super::query::{ListBody, ListParams};
use super::stored;
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::registry::WebhookInput;
use crate::store::webhook;

/// A webhook. Events come as `POST` with a body `{"events": [...]}`, in their order, until the receiver answers 2xx; an
/// event may come more than once. With a secret, the header `Hansa-Signature` is `sha256=` and the hexadecimal
/// HMAC-SHA-256 of the body.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    /// Id.
    id: String,
    /// Where events are posted.
    url: String,
    /// Which events.
    events: Vec<String>,
    /// Whether what is posted is signed.
    signed: bool,
    /// The last event that the receiver took.
    delivered: i64,
    /// When it was added.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl Shown for webhook::Entity {
    type View = WebhookView;
    const PATH: &'static str = "/webhooks";
    const FILTERS: &'static [&'static str] = &["url"];

    fn view(row: webhook::Model) -> ServiceResult<WebhookView> {
        Ok(WebhookView {
            id: row.id,
            url: row.url,
            events: stored(&row.events)?,
            signed: !row.secret.is_empty(),
            delivered: row.cursor,
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists webhooks.
#[utoipa::path(
    tag = "webhooks",
    params(ListParams, ("url" = Option<String>, Query, description = "Only with this url")),
    responses((status = 200, description = "A page of webhooks", body = ListBody<WebhookView>))
)]
#[get("/webhooks")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<webhook::Entity>(&app, &request).await
}

/// Shows one webhook.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The webhook", body = WebhookView))
)]
#[get("/webhooks/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<webhook::Entity>(&app, &id).await
}

/// Adds a webhook.
#[utoipa::path(
    tag = "webhooks",
    request_body = WebhookInput,
    responses((
        status = 201,
        description = "Added",
        body = WebhookView,
        headers(("Location" = String, description = "Its address"))
    ))
)]
#[post("/webhooks")]
pub(super) async fn create(app: Data<App>, Json(input): Json<WebhookInput>) -> Answer {
    crud::create::<webhook::Entity>(&app, input).await
}

/// Replaces a webhook whole, or adds it under this id.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = WebhookInput,
    responses(
        (status = 200, description = "Replaced", body = WebhookView),
        (status = 201, description = "Added", body = WebhookView)
    )
)]
#[put("/webhooks/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<WebhookInput>) -> Answer {
    crud::put::<webhook::Entity>(&app, &id, input).await
}

/// Removes a webhook that nothing refers to any more.
#[utoipa::path(
    tag = "webhooks",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/webhooks/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<webhook::Entity>(&app, &id).await
}
