//! Consents of people.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, delete, get, post};
use policy_plan::instant_text;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{self, Answer, Shown, ok};
use super::identity::NothingInput;
use super::query::{ListBody, ListParams};
use super::stored;
use crate::app::App;
use crate::service::ServiceResult;
use crate::service::registry::{self, ConsentInput};
use crate::store::{consent, now_ms};

/// A consent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Consent)]
pub(super) struct ConsentView {
    /// Id, as policies name it.
    id: String,
    /// Whose consent it is: a pseudonym.
    subject: String,
    /// The datasets that it is for, all when empty.
    datasets: Vec<String>,
    /// The participants that may have them, all when empty.
    recipients: Vec<String>,
    /// The purposes, all when empty.
    purposes: Vec<String>,
    /// When it was given.
    given_at: String,
    /// From when on it holds no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn_at: Option<String>,
    /// Whether it holds now.
    holds: bool,
    /// When it was recorded.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl Shown for consent::Entity {
    type View = ConsentView;
    const PATH: &'static str = "/consents";
    const FILTERS: &'static [&'static str] = &["subject"];

    fn view(row: consent::Model) -> ServiceResult<ConsentView> {
        Ok(ConsentView {
            holds: row.holds_at(now_ms()),
            datasets: stored(&row.datasets)?,
            recipients: stored(&row.recipients)?,
            purposes: stored(&row.purposes)?,
            id: row.id,
            subject: row.subject,
            given_at: instant_text(row.given_at),
            expires_at: row.expires_at.map(instant_text),
            withdrawn_at: row.withdrawn_at.map(instant_text),
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists consents.
#[utoipa::path(
    tag = "consents",
    params(ListParams, ("subject" = Option<String>, Query, description = "Only of this subject")),
    responses((status = 200, description = "A page of consents", body = ListBody<ConsentView>))
)]
#[get("/consents")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<consent::Entity>(&app, &request).await
}

/// Shows one consent.
#[utoipa::path(
    tag = "consents",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The consent", body = ConsentView))
)]
#[get("/consents/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<consent::Entity>(&app, &id).await
}

/// Records a consent.
#[utoipa::path(
    tag = "consents",
    request_body = ConsentInput,
    responses((
        status = 201,
        description = "Recorded",
        body = ConsentView,
        headers(("Location" = String, description = "Its address"))
    ))
)]
#[post("/consents")]
pub(super) async fn create(app: Data<App>, Json(input): Json<ConsentInput>) -> Answer {
    crud::create::<consent::Entity>(&app, input).await
}

/// Withdraws a consent now. Running transfers that rest on it are suspended; the record stays.
#[utoipa::path(
    tag = "consents",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = NothingInput,
    responses((status = 200, description = "Withdrawn", body = ConsentView))
)]
#[post("/consents/{id}/withdraw")]
pub(super) async fn withdraw(app: Data<App>, id: Path<String>, Json(NothingInput {}): Json<NothingInput>) -> Answer {
    ok(&consent::Entity::view(registry::withdraw(&app, &id).await?)?)
}

/// Erases the record of a consent, which holds no more then.
#[utoipa::path(
    tag = "consents",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 204, description = "Erased"))
)]
#[delete("/consents/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<consent::Entity>(&app, &id).await
}
