//! A dataset's selection from the operator's hand to the partner's program: what is hidden is hidden on every road.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{FILES, Pair, read};
use tck::ports;
use tck::server::{Outgoing, Server};
use tck::wait;

const CONTEXT: &str = "https://city.example/context.jsonld";
const CANARY: &str = "CANARY";
const PATIENCE: Duration = Duration::from_secs(20);

fn selection() -> Value {
    let names = ["Air", "no2", "owner", "state"];
    let terms: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), format!("https://m/{name}").into())).collect();
    json!({
        "types": ["https://m/Air"],
        "attributes": [{"name": "https://m/no2"}, {"name": "https://m/owner"}],
        "contexts": [{"url": CONTEXT, "terms": terms}],
        "assumedContext": CONTEXT,
        "rows": {
            "q": "https://m/state==\"public\"",
            "geo": {"georel": "near", "maxDistanceMeters": 2000,
                "geometry": {"type": "Point", "coordinates": [16.87, 41.12]}},
        },
        "time": {"to": "2026-02-01T00:00:00Z"},
        "personal": {"mode": "pseudonymise", "marking": {"https://m/Air": {"personal": ["https://m/owner"]}}},
    })
}

fn entity(number: u32, state: &str, longitude: f64, moment: &str) -> Value {
    let shown = state == "public" && longitude < 17.0 && moment < "2026-02";
    let value = if shown { json!(number) } else { json!(CANARY) };
    json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air",
        "no2": {"type": "Property", "value": value, "observedAt": moment},
        "owner": {"type": "Property", "value": CANARY, "observedAt": moment},
        "state": {"type": "Property", "value": state},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [longitude, 41.121]}}})
}

/// Of these the first is shown.
fn entities() -> Value {
    json!([
        entity(1, "public", 16.871, "2026-01-10T00:00:00Z"),
        entity(2, "secret", 16.871, "2026-01-10T00:00:00Z"),
        entity(3, "public", 17.871, "2026-01-10T00:00:00Z"),
        entity(4, "public", 16.871, "2026-03-10T00:00:00Z"),
    ])
}

fn assert_shown(text: &str) {
    assert!(!text.contains(CANARY) && !text.contains("location"), "{text}");
    let left: Value = serde_json::from_str(text).unwrap();
    assert_eq!(left.as_array().unwrap().len(), 1, "{text}");
    assert_eq!((&left[0]["id"], &left[0]["no2"]["value"]), (&json!("urn:ngsi-ld:Air:1"), &json!(1)));
    assert_eq!(left[0]["owner"]["value"].as_str().unwrap().len(), 32, "a pseudonym: {text}");
}

async fn reads(address: &str, wanted: u16) -> String {
    let answered = wait::until(format!("{address} answers {wanted}"), PATIENCE, || async {
        let (status, body) = read(address, &[]).await.ok()?;
        (status == wanted).then(|| String::from_utf8(body).unwrap())
    });
    answered.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_holds_from_the_dataset_to_the_reader() {
    let pair = Pair::start().await.unwrap();
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let source = Server::start(
        ports::free().unwrap(),
        Arc::new(move |request| {
            seen.lock().unwrap().push(request.target.clone());
            async { Outgoing::json(200, &entities()) }.boxed()
        }),
    )
    .unwrap();
    let api = pair.provider.api();
    let dataset = |id: &str, source: Value| json!({"id": id, "title": id, "source": source, "selection": selection()});
    let http = json!({"http": {"baseUrl": source.url()}});

    // What cannot be enforced is refused when it is written.
    for (member, value) in [
        ("rows", json!({"q": "state==\"public\""})),
        ("time", json!({"from": "yesterday"})),
        ("personal", json!({"mode": "remove", "marking": {}})),
    ] {
        let mut wrong = dataset("wrong", http.clone());
        wrong["selection"][member] = value;
        let refusal = api.post("/datasets", wrong).await.unwrap_err().to_string();
        assert!(refusal.contains(&format!("selection.{member}")), "{refusal}");
    }

    let agreement = pair.agreement(&dataset("air", http)).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let endpoint = text(&transfer, "localEndpoint").to_owned();
    assert_shown(&reads(&format!("{endpoint}/ngsi-ld/v1/entities?type=Air"), 200).await);
    let target = asked.lock().unwrap().last().unwrap().clone();
    assert!(target.contains("q=state") && target.contains("georel=near"), "the source is asked for less: {target}");
    for query in ["q=state==%22secret%22", "q=no2%3E1", "georel=within", "attrs=owner", "omit=location"] {
        let refusal = reads(&format!("{endpoint}/ngsi-ld/v1/entities?{query}"), 403).await;
        assert!(!refusal.contains(CANARY), "{refusal}");
    }

    // Files, read and pushed to the partner's inbox.
    pair.put_file("stations.json", entities().to_string().as_bytes()).unwrap();
    let files = json!({"files": {"root": FILES, "path": "stations.json"}});
    let mut both = dataset("files", files);
    both["distributions"] = json!([{"format": "HttpData-PULL"}, {"format": "HttpData-PUSH"}]);
    let agreement = pair.agreement(&both).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    assert_shown(&reads(text(&transfer, "localEndpoint"), 200).await);
    let consumer = pair.consumer.api();
    let pushed =
        consumer.post("/transfers", json!({"agreementId": agreement, "format": "HttpData-PUSH"})).await.unwrap();
    let pushed = consumer.reaches(Kind::Transfer, text(&pushed, "id"), &["COMPLETED"]).await.unwrap();
    assert_eq!(text(&pushed, "state"), "COMPLETED");
    let arrived = find(pair.consumer.data.folder(), "stations.json").expect("the file is in the inbox");
    assert_shown(&std::fs::read_to_string(arrived).unwrap());
}

/// A file of this name anywhere in a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, name) } else { (entry.file_name() == name).then_some(path) }
    })
}
