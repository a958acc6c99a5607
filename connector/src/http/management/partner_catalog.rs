//! Catalogs of partners, read for our operators.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, get};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::crud::{Answer, ok};
use super::query::Query;
use crate::app::App;
use crate::service::catalog;

/// A page of a partner's catalog.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerCatalog)]
pub(super) struct PartnerCatalogView {
    /// The participant that publishes it.
    participant_id: String,
    /// The datasets that we may see.
    datasets: Vec<PartnerDatasetView>,
    /// The `cursor` of the next page; null at the end.
    next: Option<String>,
    /// The Catalog message as it came, in compact form.
    #[schema(value_type = Object)]
    raw: Value,
}

/// A dataset of a partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerDataset)]
pub(super) struct PartnerDatasetView {
    /// Id.
    id: String,
    /// Title, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Description, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What we may ask for.
    offers: Vec<PartnerOfferView>,
    /// The ways in which it can be had.
    distributions: Vec<PartnerDistributionView>,
}

/// An offer of a partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerOffer)]
pub(super) struct PartnerOfferView {
    /// Id, to be named as `offerId` in a negotiation.
    id: String,
    /// Its rules: `permission`, `prohibition`, `obligation`, as far as there are.
    #[serde(flatten)]
    rules: Map<String, Value>,
}

/// A way in which a partner's dataset can be had.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerDistribution)]
pub(super) struct PartnerDistributionView {
    /// Format, to be named in a transfer.
    format: String,
}

/// A member as a list, whether it is one or a single value.
fn list<'a>(node: &'a Value, name: &str) -> &'a [Value] {
    match node.get(name) {
        Some(Value::Array(items)) => items,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

/// A text, whether it is one, wrapped, or the first of several.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(text),
        Value::Object(members) => members.get("@value").or_else(|| members.get("@id")).and_then(text),
        _ => None,
    }
}

fn named(node: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| node.get(*name).and_then(text))
}

fn dataset(node: &Value) -> PartnerDatasetView {
    let offers = list(node, "hasPolicy").iter().map(|offer| PartnerOfferView {
        id: named(offer, &["@id"]).unwrap_or_default(),
        rules: offer
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| matches!(name.as_str(), "permission" | "prohibition" | "obligation"))
            .map(|(name, rules)| (name.clone(), rules.clone()))
            .collect(),
    });
    let formats =
        list(node, "distribution").iter().filter_map(|distribution| named(distribution, &["format", "dct:format"]));
    PartnerDatasetView {
        id: named(node, &["@id"]).unwrap_or_default(),
        title: named(node, &["title", "dct:title", "name"]),
        description: named(node, &["description", "dct:description"]),
        offers: offers.collect(),
        distributions: formats.map(|format| PartnerDistributionView { format }).collect(),
    }
}

/// Reads a page of a partner's catalog, now and from the partner.
#[utoipa::path(
    tag = "partners",
    params(
        ("id" = String, Path, description = "Participant id of a registered partner, percent-encoded"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")
    ),
    responses(
        (status = 200, description = "What the partner offers us", body = PartnerCatalogView),
        (status = 502, description = "The partner cannot be reached, refuses, or answers with something else")
    )
)]
#[get("/partners/{id}/catalog")]
pub(super) async fn page(app: Data<App>, id: Path<String>, request: HttpRequest) -> Answer {
    let query = Query::read(&request, &["cursor"])?;
    let found = catalog::fetch_page(&app, &id, query.text("cursor")).await?;
    ok(&PartnerCatalogView {
        participant_id: found.participant_id,
        datasets: found.datasets.iter().map(dataset).collect(),
        next: found.next,
        raw: found.raw,
    })
}

/// Reads one dataset of a partner, now and from the partner.
#[utoipa::path(
    tag = "partners",
    params(
        ("id" = String, Path, description = "Participant id of a registered partner, percent-encoded"),
        ("datasetId" = String, Path, description = "Id of the dataset, percent-encoded")
    ),
    responses(
        (status = 200, description = "The dataset", body = PartnerDatasetView),
        (status = 502, description = "The partner cannot be reached, refuses, or answers with something else")
    )
)]
#[get("/partners/{id}/catalog/datasets/{datasetId}")]
pub(super) async fn show(app: Data<App>, path: Path<(String, String)>) -> Answer {
    let (partner, id) = path.into_inner();
    ok(&dataset(&catalog::fetch_dataset(&app, &partner, &id).await?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn datasets_are_read_in_every_shape() {
        let compact = json!({
            "@id": "urn:d", "title": "Air", "description": [{"@value": "quality", "@language": "en"}],
            "hasPolicy": [{"@id": "urn:o", "@type": "Offer", "permission": [{"action": "use"}], "target": "urn:d"}],
            "distribution": [{"@type": "Distribution", "format": "HttpData-PULL"}, {"format": {"@id": "HttpData-PUSH"}}]
        });
        let shown = serde_json::to_value(dataset(&compact)).unwrap();
        let expected = json!({
            "id": "urn:d", "title": "Air", "description": "quality",
            "offers": [{"id": "urn:o", "permission": [{"action": "use"}]}],
            "distributions": [{"format": "HttpData-PULL"}, {"format": "HttpData-PUSH"}]
        });
        assert_eq!(shown, expected);
        let single = json!({
            "@id": "urn:d", "dct:title": {"@value": "Air"}, "hasPolicy": {"@id": "urn:o"}, "distribution": {"dct:format": "X"}
        });
        let shown = serde_json::to_value(dataset(&single)).unwrap();
        assert_eq!(shown["title"], "Air");
        assert_eq!((&shown["offers"][0]["id"], &shown["distributions"][0]["format"]), (&json!("urn:o"), &json!("X")));
        assert_eq!(
            serde_json::to_value(dataset(&json!({}))).unwrap(),
            json!({"id": "", "offers": [], "distributions": []})
        );
    }
}
