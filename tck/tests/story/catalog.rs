use std::collections::BTreeSet;

use serde_json::{Value, json};
use tck::management::text;
use tck::pair::{PROVIDER, Pair};
use tck::peer::messages;

use super::{only_for, open};

/// Enough for several pages.
const MANY: usize = 130;

/// Every dataset that the consumer sees at the provider, page by page, and how many pages that took.
async fn seen(pair: &Pair) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = pair.consumer.api().get(&format!("/partners/{PROVIDER}/catalog{cursor}")).await.unwrap();
        pages += 1;
        assert_eq!(text(&page, "participantId"), PROVIDER);
        ids.extend(page["datasets"].as_array().unwrap().iter().map(|dataset| text(dataset, "id").to_owned()));
        match page["next"].as_str() {
            Some(next) => {
                let url = reqwest::Url::parse_with_params("http://x/", [("cursor", next)]).unwrap();
                cursor = format!("?{}", url.query().unwrap());
            }
            None => return (ids, pages),
        }
    }
}

pub async fn a_long_catalog_comes_in_pages(pair: &Pair) {
    let api = pair.provider.api();
    api.post("/policies", json!({"id": "policy-pages", "permission": open()})).await.unwrap();
    let mut published = BTreeSet::new();
    for number in 0..MANY {
        let id = format!("page-{number:03}");
        api.post("/datasets", pair.http_dataset(&id)).await.unwrap();
        let offer = json!({"id": format!("offer-{id}"), "datasetId": id, "policyId": "policy-pages"});
        api.post("/offers", offer).await.unwrap();
        published.insert(id);
    }
    let (ids, pages) = seen(pair).await;
    let found: BTreeSet<_> = ids.iter().filter(|id| id.starts_with("page-")).cloned().collect();
    assert_eq!(found, published);
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "a dataset came twice");
    assert!(pages > 1, "{MANY} datasets came in one page");

    let answers: Vec<_> = pair.recorders()[0]
        .exchanges()
        .into_iter()
        .filter(|exchange| exchange.request.path().starts_with("/dsp/2025-1/catalog/request"))
        .collect();
    let link = |answer: &tck::recorder::Exchange| -> String {
        let headers = &answer.answer.headers;
        headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.clone()).collect()
    };
    let (first, last) = (link(answers.first().unwrap()), link(answers.last().unwrap()));
    assert!(first.contains("next") && !first.contains("previous"), "first page: {first}");
    assert!(last.contains("previous") && !last.contains("next"), "last page: {last}");
}

pub async fn a_catalog_shows_what_the_caller_may_see(pair: &Pair) {
    let api = pair.provider.api();
    api.post("/policies", json!({"id": "for-active", "permission": only_for("active")})).await.unwrap();
    let access = json!({"accessPolicyId": "for-active"});
    pair.publish("for-members", &open(), &access).await.unwrap();
    assert!(seen(pair).await.0.contains(&"for-members".to_owned()));

    // The third participant has no membership: it finds neither the dataset in the catalog nor the dataset by its id.
    let base = format!("{}/dsp/2025-1", pair.provider.control.root());
    let request = messages::plain("CatalogRequestMessage");
    let (status, catalog) = pair.third.post(&format!("{base}/catalog/request"), &request).await.unwrap();
    assert_eq!(status, 200);
    let listed = catalog["dataset"].as_array().cloned().unwrap_or_default();
    assert!(!listed.iter().any(|dataset| text(dataset, "@id") == "for-members"), "{catalog}");
    let (status, error) = pair.third.get(&format!("{base}/catalog/datasets/for-members")).await.unwrap();
    assert_eq!((status, text(&error, "@type")), (404, "CatalogError"));

    let dataset = pair.consumer.api().get(&format!("/partners/{PROVIDER}/catalog/datasets/for-members")).await.unwrap();
    let formats: Vec<_> = dataset["distributions"].as_array().unwrap().iter().map(|d| text(d, "format")).collect();
    assert_eq!(formats, ["HttpData-PULL"]);
    let offers: Vec<&Value> = dataset["offers"].as_array().unwrap().iter().collect();
    assert_eq!(offers.len(), 1, "{dataset}");
    assert_eq!(text(offers[0], "id"), "offer-for-members");
}
