//! Offers: which dataset, under which policy, for whom.

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
use crate::service::registry::{DecisionMode, OfferInput};
use crate::store::offer;

/// An offer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Offer)]
pub(super) struct OfferView {
    /// Id in the catalog.
    id: String,
    /// The dataset offered.
    dataset_id: String,
    /// The policy that becomes the contract.
    policy_id: String,
    /// The policy that says who may see the offer; everybody who is authenticated when absent.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>)]
    access_policy_id: String,
    /// Who decides on contract requests.
    #[schema(value_type = DecisionMode)]
    negotiation: String,
    /// Who decides on transfer requests.
    #[schema(value_type = DecisionMode)]
    transfer: String,
    /// When it was added.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl Shown for offer::Entity {
    type View = OfferView;
    const PATH: &'static str = "/offers";
    const FILTERS: &'static [&'static str] = &["datasetId", "policyId", "accessPolicyId", "negotiation"];

    fn view(row: offer::Model) -> ServiceResult<OfferView> {
        Ok(OfferView {
            id: row.id,
            dataset_id: row.dataset_id,
            policy_id: row.policy_id,
            access_policy_id: row.access_policy_id,
            negotiation: row.negotiation,
            transfer: row.transfer,
            created_at: instant_text(row.created_at),
            updated_at: instant_text(row.updated_at),
        })
    }
}

/// Lists offers.
#[utoipa::path(
    tag = "offers",
    params(ListParams, ("datasetId" = Option<String>, Query, description = "Only with this datasetId"), ("policyId" = Option<String>, Query, description = "Only with this policyId"), ("accessPolicyId" = Option<String>, Query, description = "Only with this accessPolicyId"), ("negotiation" = Option<String>, Query, description = "Only with this negotiation")),
    responses((status = 200, description = "A page of offers", body = ListBody<OfferView>))
)]
#[get("/offers")]
pub(super) async fn list(app: Data<App>, request: HttpRequest) -> Answer {
    crud::list::<offer::Entity>(&app, &request).await
}

/// Shows one offer.
#[utoipa::path(
    tag = "offers",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 200, description = "The offer", body = OfferView))
)]
#[get("/offers/{id}")]
pub(super) async fn show(app: Data<App>, id: Path<String>) -> Answer {
    crud::get::<offer::Entity>(&app, &id).await
}

/// Adds an offer.
#[utoipa::path(
    tag = "offers",
    request_body = OfferInput,
    responses((
        status = 201,
        description = "Added",
        body = OfferView,
        headers(("Location" = String, description = "Its address"))
    ))
)]
#[post("/offers")]
pub(super) async fn create(app: Data<App>, Json(input): Json<OfferInput>) -> Answer {
    crud::create::<offer::Entity>(&app, input).await
}

/// Replaces an offer whole, or adds it under this id.
#[utoipa::path(
    tag = "offers",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    request_body = OfferInput,
    responses(
        (status = 200, description = "Replaced", body = OfferView),
        (status = 201, description = "Added", body = OfferView)
    )
)]
#[put("/offers/{id}")]
pub(super) async fn replace(app: Data<App>, id: Path<String>, Json(input): Json<OfferInput>) -> Answer {
    crud::put::<offer::Entity>(&app, &id, input).await
}

/// Removes an offer that nothing refers to any more.
#[utoipa::path(
    tag = "offers",
    params(("id" = String, Path, description = "Its id, percent-encoded")),
    responses((status = 204, description = "Removed"))
)]
#[delete("/offers/{id}")]
pub(super) async fn remove(app: Data<App>, id: Path<String>) -> Answer {
    crud::remove::<offer::Entity>(&app, &id).await
}
