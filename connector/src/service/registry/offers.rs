//! Offers, as operators write them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Resource, Stamp, check_id, check_reference, some};
use crate::app::App;
use crate::service::ServiceResult;
use crate::store::{Unit, dataset, offer, policy, registry};

/// Who decides: the policy at once, or an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DecisionMode {
    /// The policy decides and the next message is sent at once.
    #[default]
    Automatic,
    /// Nothing is sent until an operator gives the command.
    Manual,
}

impl DecisionMode {
    /// The word of the API and of the stored rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Manual => "manual",
        }
    }
}

/// A dataset offered under a policy.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "datasetId": "urn:city:bari:traffic",
    "policyId": "urn:city:bari:policy:region-only",
    "negotiation": "automatic",
    "transfer": "automatic"
}))]
pub(crate) struct OfferInput {
    /// Id of the offer in the catalog; made when left out.
    id: Option<String>,
    /// The dataset offered.
    dataset_id: String,
    /// The policy that becomes the contract.
    policy_id: String,
    /// The policy that says who may see the offer; everybody who is authenticated when left out.
    access_policy_id: Option<String>,
    /// Who decides on contract requests.
    #[serde(default)]
    negotiation: DecisionMode,
    /// Who decides on transfer requests under an agreement from this offer.
    #[serde(default)]
    transfer: DecisionMode,
}

#[async_trait]
impl Resource for offer::Entity {
    const NAME: &'static str = "offer";
    type Input = OfferInput;

    fn given_id(input: &OfferInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        _app: &App,
        input: OfferInput,
        stamp: Stamp,
        _before: Option<&offer::Model>,
    ) -> ServiceResult<offer::Model> {
        check_id("datasetId", &input.dataset_id)?;
        check_id("policyId", &input.policy_id)?;
        if let Some(access) = &input.access_policy_id {
            check_id("accessPolicyId", access)?;
        }
        Ok(offer::Model {
            context: stamp.context,
            id: stamp.id,
            dataset_id: input.dataset_id,
            policy_id: input.policy_id,
            access_policy_id: input.access_policy_id.unwrap_or_default(),
            negotiation: input.negotiation.as_str().to_owned(),
            transfer: input.transfer.as_str().to_owned(),
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut offer::Model) -> &mut i64 {
        &mut row.created_at
    }

    fn changed(app: &App) {
        app.decisions.forget_offers();
    }

    async fn check_references(unit: &Unit, row: &offer::Model) -> ServiceResult<()> {
        check_reference::<dataset::Entity>(unit, &row.context, "datasetId", &row.dataset_id).await?;
        check_reference::<policy::Entity>(unit, &row.context, "policyId", &row.policy_id).await?;
        if row.access_policy_id.is_empty() {
            return Ok(());
        }
        check_reference::<policy::Entity>(unit, &row.context, "accessPolicyId", &row.access_policy_id).await
    }

    async fn used_by(unit: &Unit, context: &str, id: &str) -> ServiceResult<Option<String>> {
        Ok(some(registry::open_about_offer(unit, context, id).await?, "open negotiation"))
    }
}
