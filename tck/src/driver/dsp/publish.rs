//! What the connector under test has to offer.

use serde_json::json;

use super::scripts::{Part, SCRIPTS};
use crate::Result;
use crate::management::Management;

/// The dataset that the kit looks for in the catalog.
pub(super) const LISTED: &str = "CAT0101";
/// The dataset that the kit reads by its id.
pub(super) const SHOWN: &str = "CAT0102";
/// The dataset that the kit must not find.
pub(super) const UNKNOWN: &str = "CAT0103";

/// Publishes the datasets of the catalog tests, of the negotiation tests and of the agreements for the transfer tests,
/// all under the same open policy.
///
/// Negotiations about the second kind wait for the operator; about the third kind only transfers do.
pub(super) async fn all(api: &Management, source: &str) -> Result<()> {
    let policy = json!({"id": "open", "title": "use without further terms", "permission": [{"action": "use"}]});
    api.post("/policies", policy).await?;
    for dataset in [LISTED, SHOWN] {
        one(api, source, dataset, "manual").await?;
    }
    for script in SCRIPTS {
        match script.part() {
            Part::ProviderNegotiation => one(api, source, script.subject, "manual").await?,
            Part::ProviderTransfer => one(api, source, script.subject, "automatic").await?,
            Part::ConsumerNegotiation | Part::ConsumerTransfer => {}
        }
    }
    Ok(())
}

async fn one(api: &Management, source: &str, id: &str, negotiation: &str) -> Result<()> {
    let dataset = json!({
        "id": id, "title": format!("dataset {id} of the kit"), "source": {"http": {"baseUrl": source}}
    });
    api.post("/datasets", dataset).await?;
    let offer = json!({
        "id": format!("CD123:{id}:456"), "datasetId": id, "policyId": "open", "negotiation": negotiation,
        "transfer": "manual"
    });
    api.post("/offers", offer).await?;
    Ok(())
}
