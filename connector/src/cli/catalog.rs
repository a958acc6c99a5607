//! `hansa catalog`: what a partner offers.

use serde_json::{Value, json};

use super::arguments::Catalog;
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::partner;
use super::policy;
use super::show::{Column, Printer};

const COLUMNS: [Column; 5] =
    [("dataset", "/id"), ("title", "/title"), ("formats", "/formats"), ("terms", "/terms"), ("offers", "/offerIds")];

/// Shows a partner's whole catalog, or one dataset of it.
///
/// # Errors
/// When the partner is unknown or cannot be reached.
pub(super) async fn show(client: &Client, print: Printer, options: &Catalog) -> Outcome {
    let id = partner::resolve(client, &options.partner).await?;
    if let Some(dataset) = &options.dataset {
        return print.item(&client.get(&["partners", &id, "catalog", "datasets", dataset]).await?);
    }
    let catalog = whole(client, &id).await?;
    if print.json {
        return print.value(&catalog);
    }
    let datasets = catalog.get("datasets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Value> = datasets.iter().map(row).collect();
    print.list(&json!({"items": rows}), &COLUMNS, "nothing is on offer for us")
}

/// All pages as one catalog.
async fn whole(client: &Client, partner: &str) -> Outcome<Value> {
    let mut catalog = client.get(&["partners", partner, "catalog"]).await?;
    let mut seen = 0;
    while let Some(cursor) = catalog.get("next").and_then(Value::as_str).map(str::to_owned) {
        let mut page = client.find(&["partners", partner, "catalog"], &[("cursor", &cursor)]).await?;
        let more = page.get_mut("datasets").map(Value::take);
        let (Some(Value::Array(all)), Some(Value::Array(more))) = (catalog.get_mut("datasets"), more) else {
            return Err(Failure::new("the control plane's answer has no datasets"));
        };
        all.extend(more);
        let grown = all.len() > seen;
        seen = all.len();
        let next = page.get("next").cloned().filter(|_| grown).unwrap_or_default();
        if let Some(object) = catalog.as_object_mut() {
            object.insert("next".to_owned(), next);
            // The untouched form exists for each page; several pages do not make one.
            object.remove("raw");
        }
    }
    Ok(catalog)
}

/// A dataset as a row of the table.
fn row(dataset: &Value) -> Value {
    let list = |name: &str| dataset.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts = |name: &str, member: &str| -> Vec<Value> {
        list(name).iter().filter_map(|item| item.get(member).cloned()).collect()
    };
    let terms: Vec<String> = list("offers").iter().map(policy::summary).collect();
    json!({
        "id": dataset.get("id"),
        "title": dataset.get("title"),
        "formats": texts("distributions", "format"),
        "terms": terms.join(" | "),
        "offerIds": texts("offers", "id"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_becomes_a_row() {
        let dataset = json!({
            "id": "urn:d", "title": "Air",
            "offers": [{"id": "urn:o", "permission": [{"action": "use"}]}],
            "distributions": [{"format": "HttpData-PULL"}, {"format": "HttpData-PUSH"}]
        });
        assert_eq!(
            row(&dataset),
            json!({"id": "urn:d", "title": "Air", "formats": ["HttpData-PULL", "HttpData-PUSH"], "terms": "use", "offerIds": ["urn:o"]})
        );
        assert_eq!(row(&json!({})), json!({"id": null, "title": null, "formats": [], "terms": "", "offerIds": []}));
    }
}
