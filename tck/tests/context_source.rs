//! A context source with the programs that ship: our broker answers with what lies at the partner, as long as the transfer runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{Pair, counterpart, readable};
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
        wait::until("the broker listens", PATIENCE, || async { broker.get("entities?type=Air").await }).await.unwrap();
        broker
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let answer = reqwest::get(format!("{}/ngsi-ld/v1/{path}", self.url)).await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// The ids of the entities that a query of a program finds.
    async fn ids(&self) -> Vec<String> {
        let found = self.get("entities?type=Air&q=no2%3E0&options=keyValues").await.unwrap_or_default();
        let mut ids: Vec<String> =
            found.as_array().into_iter().flatten().map(|one| text(one, "id").to_owned()).collect();
        ids.sort_unstable();
        ids
    }

    async fn shows(&self, ids: &[&str]) {
        let shown =
            wait::until(format!("{ids:?} are shown"), PATIENCE, || async { (self.ids().await == ids).then_some(()) });
        if let Err(error) = shown.await {
            panic!("{error}: {:?}", self.ids().await);
        }
    }
}

fn air(name: &str, value: u32) -> Value {
    json!({"id": format!("urn:ngsi-ld:Air:{name}"), "type": "Air", "no2": {"type": "Property", "value": value},
        "operator": {"type": "Property", "value": "CANARY"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_reaches_a_partner_as_long_as_the_transfer_runs() {
    const OURS: &str = "urn:ngsi-ld:Air:ours";
    const THEIRS: &str = "urn:ngsi-ld:Air:theirs";
    let folder = tempfile::tempdir().unwrap();
    let source = Broker::start(folder.path(), "source", &json!([air("theirs", 1), air("zero", 0)])).await;
    let own = Broker::start(folder.path(), "own", &json!([air("ours", 2)])).await;
    let mut pair = Pair::start().await.unwrap();
    let settings = pair.consumer.data.folder().join("hansa-dataplane.toml");
    let before = std::fs::read_to_string(&settings).unwrap();
    let more = format!("[brokers.own]\nurl = \"{}\"\nreconcile_seconds = 1\n", own.url);
    std::fs::write(&settings, format!("{before}\n{more}")).unwrap();
    pair.consumer.data.restart().await.unwrap();
    let dataset = json!({
        "id": "air", "title": "air quality", "source": {"http": {"baseUrl": source.url}},
        "admission": {"methods": ["GET"], "paths": ["/ngsi-ld/v1/entities", "/ngsi-ld/v1/entities/*"]},
        "selection": {
            "types": ["https://uri.etsi.org/ngsi-ld/default-context/Air"],
            "attributes": [{"name": "https://uri.etsi.org/ngsi-ld/default-context/no2"}]
        }
    });
    let agreement = pair.agreement(&dataset).await.unwrap();
    let wish = json!({"agreementId": agreement, "delivery": {"contextSource": {"broker": "own"}}});
    let begun = wait::until("the broker is known", PATIENCE, || async {
        pair.consumer.api().post("/transfers", wish.clone()).await.ok()
    });
    let id = text(&begun.await.unwrap(), "id").to_owned();
    readable(pair.consumer.api(), &id, PATIENCE).await.unwrap();
    own.shows(&[OURS, THEIRS]).await;
    let one = own.get(&format!("entities/{THEIRS}")).await.unwrap();
    assert_eq!(one["no2"]["value"], 1);
    assert!(one.get("operator").is_none(), "{one}");

    // Either data plane may be killed; the provider's is away for a moment then.
    pair.consumer.data.restart().await.unwrap();
    own.shows(&[OURS, THEIRS]).await;
    pair.provider.data.restart().await.unwrap();
    own.shows(&[OURS, THEIRS]).await;
    assert_eq!(own.get("csourceRegistrations").await.unwrap().as_array().unwrap().len(), 1);

    pair.consumer.api().command(Kind::Transfer, &id, "suspend", json!({})).await.unwrap();
    own.shows(&[OURS]).await;
    pair.consumer.api().command(Kind::Transfer, &id, "resume", json!({})).await.unwrap();
    own.shows(&[OURS, THEIRS]).await;

    let theirs = counterpart(pair.provider.api(), Kind::Transfer, &id).await.unwrap();
    pair.provider.api().command(Kind::Transfer, text(&theirs, "id"), "terminate", json!({})).await.unwrap();
    own.shows(&[OURS]).await;
    wait::until("the registration is withdrawn", PATIENCE, || async {
        (own.get("csourceRegistrations").await? == json!([])).then_some(())
    })
    .await
    .unwrap();
}
