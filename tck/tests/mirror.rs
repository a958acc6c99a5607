//! A mirror with the programs that ship: what a partner's broker holds and changes is in ours, although data planes are killed,
//! and is gone when the agreement's transfer has ended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{Pair, counterpart};
use tck::process::Process;
use tck::{ports, wait};

const PATIENCE: Duration = Duration::from_secs(90);

/// A broker, as far as `ngsi-ld-source` is one.
struct Broker {
    _process: Process,
    url: String,
}

impl Broker {
    async fn start(folder: &Path, name: &str, entities: &Value) -> Self {
        let (port, data) = (ports::free().unwrap(), folder.join(format!("{name}.json")));
        std::fs::write(&data, entities.to_string()).unwrap();
        let program = Path::new(&std::env::var_os("HANSA_BIN_DIR").expect("HANSA_BIN_DIR")).join("ngsi-ld-source");
        let mut command = Command::new(program);
        command.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--data").arg(&data);
        let process = Process::start(name, command, &folder.join(format!("{name}.log"))).unwrap();
        let broker = Self { _process: process, url: format!("http://127.0.0.1:{port}") };
        wait::until("the broker listens", PATIENCE, || async { broker.held().await }).await.unwrap();
        broker
    }

    /// The values of all entities by id.
    async fn held(&self) -> Option<BTreeMap<String, Value>> {
        let url = format!("{}/ngsi-ld/v1/entities?type=Air&limit=1000&options=keyValues", self.url);
        let all: Vec<Value> = reqwest::get(url).await.ok()?.json().await.ok()?;
        Some(all.into_iter().map(|one| (text(&one, "id").to_owned(), one)).collect())
    }

    async fn batch(&self, operation: &str, body: Value) {
        let url = format!("{}/ngsi-ld/v1/entityOperations/{operation}", self.url);
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

fn air(number: u32, value: u32) -> Value {
    json!({"id": format!("urn:ngsi-ld:Air:{number:03}"), "type": "Air", "no2": {"type": "Property", "value": value},
        "operator": {"type": "Property", "value": "CANARY"}})
}

fn dataset(broker: &Broker) -> Value {
    json!({
        "id": "air", "title": "air quality", "source": {"http": {"baseUrl": broker.url}},
        "admission": {"methods": ["GET"], "paths": ["/ngsi-ld/v1/entities", "/ngsi-ld/v1/subscriptions"]},
        "selection": {
            "types": ["https://uri.etsi.org/ngsi-ld/default-context/Air"],
            "attributes": [{"name": "https://uri.etsi.org/ngsi-ld/default-context/no2"}]
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_follows_its_partner_over_kills_and_goes_with_the_transfer() {
    let folder = tempfile::tempdir().unwrap();
    let first: Value = (0..150).map(|number| air(number, number)).collect();
    let source = Broker::start(folder.path(), "source", &first).await;
    let own = json!([{"id": "urn:ngsi-ld:Air:own", "type": "Air", "no2": {"type": "Property", "value": "ours"}}]);
    let twin = Broker::start(folder.path(), "twin", &own).await;
    let mut pair = Pair::start().await.unwrap();
    let agreement = pair.agreement(&dataset(&source)).await.unwrap();

    let wish = |broker: &str| json!({"agreementId": agreement, "delivery": {"mirror": {"broker": broker}}});
    let refusal = pair.consumer.api().post("/transfers", wish("twin")).await.unwrap_err().to_string();
    assert!(refusal.contains("unknown_broker"), "{refusal}");
    assert!(pair.consumer.api().all("/transfers").await.unwrap().is_empty(), "nothing has begun");

    let settings = pair.consumer.data.folder().join("hansa-dataplane.toml");
    let before = std::fs::read_to_string(&settings).unwrap();
    let more = format!("[brokers.twin]\nurl = \"{}\"\nreconcile_seconds = 2\n", twin.url);
    std::fs::write(&settings, format!("{before}\n{more}")).unwrap();
    pair.consumer.data.restart().await.unwrap();
    let begun = wait::until("the broker is known", PATIENCE, || async {
        pair.consumer.api().post("/transfers", wish("twin")).await.ok()
    });
    let transfer = begun.await.unwrap();
    let id = text(&transfer, "id").to_owned();
    assert_eq!(transfer["delivery"], json!({"mirror": {"broker": "twin", "onEnd": "delete"}}));

    for round in 0..4_u32 {
        source.batch("upsert", (round * 10..round * 10 + 30).map(|number| air(number, 1_000 + round)).collect()).await;
        source.batch("delete", json!([format!("urn:ngsi-ld:Air:{:03}", 100 + round)])).await;
        let data = if round % 2 == 0 { &mut pair.consumer.data } else { &mut pair.provider.data };
        data.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        data.restart().await.unwrap();
    }
    let same = wait::until("the twin is as the source", PATIENCE, || async {
        let (source, mut twin) = (source.held().await?, twin.held().await?);
        twin.remove("urn:ngsi-ld:Air:own")?;
        let values = |held: &BTreeMap<String, Value>| -> Vec<(String, Value)> {
            held.iter().map(|(id, entity)| (id.clone(), entity["no2"].clone())).collect()
        };
        (values(&source) == values(&twin)).then_some(twin)
    });
    let held = same.await.unwrap();
    assert_eq!(held.len(), 146);
    assert!(!format!("{held:?}").contains("CANARY"));

    let state = reqwest::get(format!("{}/transfers/{id}/delivery", pair.consumer.data.local())).await.unwrap();
    let state: Value = state.json().await.unwrap();
    assert_eq!(
        (&state["mirror"]["broker"], &state["mirror"]["changes"]),
        (&json!("twin"), &json!("subscription")),
        "{state}"
    );

    let theirs = counterpart(pair.provider.api(), Kind::Transfer, &id).await.unwrap();
    assert!(theirs.get("delivery").is_none(), "the partner does not hear of it: {theirs}");
    pair.provider.api().command(Kind::Transfer, text(&theirs, "id"), "terminate", json!({})).await.unwrap();
    let cleared = wait::until("the copies are gone", PATIENCE, || async {
        let held = twin.held().await?;
        (held.len() == 1).then_some(held)
    });
    assert_eq!(cleared.await.unwrap()["urn:ngsi-ld:Air:own"]["no2"], "ours");
    for recorder in pair.recorders() {
        let told = format!("{:?}", recorder.exchanges());
        assert!(!told.contains("twin"), "nothing of it leaves the city");
    }
}
