//! Writing from the operator's hand to the broker: an agreement that names `modify` lets a partner's program write what the dataset
//! names, one without it does not and says which rule is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tck::management::text;
use tck::pair::Pair;
use tck::{ports, wait};

const PATIENCE: Duration = Duration::from_secs(30);
const DEFAULT: &str = "https://uri.etsi.org/ngsi-ld/default-context/";
const ENTITIES: &str = "/ngsi-ld/v1/entities";

/// The source of the samples.
struct Source {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Source {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let air = |number: u32, state: &str| json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air", "no2": number, "state": state, "plate": "CANARY"});
        let data = folder.path().join("data.json");
        std::fs::write(&data, json!([air(1, "public"), air(2, "secret")]).to_string()).unwrap();
        let program = std::path::PathBuf::from(std::env::var_os("HANSA_BIN_DIR").unwrap()).join("ngsi-ld-source");
        let listen = format!("127.0.0.1:{}", ports::free().unwrap());
        let mut command = Command::new(program);
        command.args(["--listen", &listen, "--data"]).arg(&data).stdout(Stdio::null());
        let source = Self { child: command.spawn().unwrap(), url: format!("http://{listen}"), _folder: folder };
        wait::until("the source answers", PATIENCE, || async {
            reqwest::get(format!("{}/health", source.url)).await.ok()
        })
        .await
        .unwrap();
        source
    }

    async fn held(&self, id: &str) -> Value {
        let answer = reqwest::get(format!("{}{ENTITIES}/{id}", self.url)).await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }
}

fn dataset(id: &str, source: &Source) -> Value {
    json!({
        "id": id, "title": id, "source": {"http": {"baseUrl": source.url}},
        "selection": {
            "types": [format!("{DEFAULT}Air")],
            "attributes": [{"name": format!("{DEFAULT}no2")}],
            "rows": {"q": format!("{DEFAULT}state==\"public\"|{DEFAULT}state==\"ours\"")},
        },
        "writing": {
            "operations": ["create", "append", "patch"],
            "types": [format!("{DEFAULT}Air")],
            "ids": ["urn:ngsi-ld:Air:*"],
            "attributes": [{"name": format!("{DEFAULT}no2")}, {"name": format!("{DEFAULT}state")}],
        },
    })
}

async fn send(method: &str, address: &str, body: &Value) -> (u16, String, Value) {
    let request = reqwest::Client::new().request(method.parse().unwrap(), address).json(body);
    let answer = request.send().await.unwrap();
    let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = answer.status().as_u16();
    (status, location, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

/// Publishes under these permissions, and gives the address at which the consumer's programs find the data.
async fn endpoint(pair: &Pair, dataset: &Value, permission: &Value) -> String {
    pair.publish_dataset(dataset, permission, &json!({})).await.unwrap();
    let negotiation = pair.negotiate(text(dataset, "id"), "automatic").await.unwrap();
    let agreement = pair.consumer.api().agreed(&negotiation).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    text(&transfer, "localEndpoint").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agreement_says_is_written_and_nothing_without_it() {
    let pair = Pair::start().await.unwrap();
    let source = Source::start().await;
    let api = pair.provider.api();
    for (pointer, value, named) in [
        ("/writing/operations", json!(["replace"]), "replace"),
        ("/writing/ids", Value::Null, "writing.ids"),
        ("/writing/types", json!(["Air"]), "writing.types"),
        ("/selection/pseudonymousIds", json!(true), "writing"),
        ("/selection/coordinateDecimals", json!(2), "writing"),
        ("/source", json!({"files": {"root": "files", "path": ""}}), "writing"),
    ] {
        let mut wrong = dataset("wrong", &source);
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        wrong.pointer_mut(parent).unwrap()[member] = value;
        let refusal = api.post("/datasets", wrong).await.unwrap_err().to_string();
        assert!(refusal.contains(named), "{pointer}: {refusal}");
    }

    let new = json!({"id": "urn:ngsi-ld:Air:9", "type": "Air", "no2": 7, "state": "ours"});
    let one = format!("{ENTITIES}/urn:ngsi-ld:Air:1/attrs");
    let reads_only = endpoint(&pair, &dataset("read", &source), &json!([{"action": "use"}])).await;
    for (method, path) in [("POST", ENTITIES), ("PATCH", one.as_str())] {
        let (status, _, told) = send(method, &format!("{reads_only}{path}"), &new).await;
        assert_eq!((status, text(&told, "code")), (403, "policy_denies"), "{told}");
        assert!(text(&told, "rule").contains("a permission that names the action `modify`"), "{told}");
    }
    let read = reqwest::get(format!("{reads_only}{ENTITIES}?type=Air")).await.unwrap();
    assert_eq!(read.status().as_u16(), 200);

    let both = json!([{"action": "use"}, {"action": "odrl:modify"}]);
    let writes = endpoint(&pair, &dataset("write", &source), &both).await;
    let made = send("POST", &format!("{writes}{ENTITIES}"), &new).await;
    assert_eq!((made.0, made.1), (201, format!("{writes}{ENTITIES}/urn:ngsi-ld:Air:9")), "{}", made.2);
    assert_eq!(source.held("urn:ngsi-ld:Air:9").await["no2"]["value"], 7);
    let changed = send("PATCH", &format!("{writes}{one}"), &json!({"no2": {"type": "Property", "value": 40}})).await;
    assert_eq!(changed.0, 204, "{}", changed.2);
    let held = source.held("urn:ngsi-ld:Air:1").await;
    assert_eq!((&held["no2"]["value"], &held["plate"]["value"]), (&json!(40), &json!("CANARY")));
    // What the writer reads back is what it wrote.
    let back: Value =
        reqwest::get(format!("{writes}{ENTITIES}/urn:ngsi-ld:Air:9")).await.unwrap().json().await.unwrap();
    assert_eq!(back["no2"]["value"], 7);

    // Hidden and absent are alike, and nothing else is touched.
    let hidden = send("PATCH", &format!("{writes}{ENTITIES}/urn:ngsi-ld:Air:2/attrs"), &json!({"no2": 1})).await;
    let absent = send("PATCH", &format!("{writes}{ENTITIES}/urn:ngsi-ld:Air:77/attrs"), &json!({"no2": 1})).await;
    assert_eq!((hidden.0, &hidden.2), (404, &absent.2));
    assert_eq!(source.held("urn:ngsi-ld:Air:2").await["no2"]["value"], 2);
    for (method, path, body, status) in [
        ("PATCH", one.clone(), json!({"plate": "x"}), 403),
        ("DELETE", format!("{one}/no2"), Value::Null, 403),
        ("PATCH", format!("{ENTITIES}/urn:ngsi-ld:Air:1"), json!({"no2": 1}), 403),
        ("PUT", format!("{ENTITIES}/urn:ngsi-ld:Air:1"), new.clone(), 405),
        ("DELETE", format!("{ENTITIES}/urn:ngsi-ld:Air:1"), Value::Null, 403),
    ] {
        let answer = send(method, &format!("{writes}{path}"), &body).await;
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.2);
    }

    // A prohibition of a part of it closes writing, and leaves reading open.
    let policy = json!({"id": "policy-closed", "permission": both, "prohibition": [{"action": "odrl:write"}]});
    let closed = dataset("closed", &source);
    let published = pair.provider.api().publish(&closed, &policy, &json!({"id": "offer-closed"})).await;
    published.unwrap();
    let negotiation = pair.negotiate("closed", "automatic").await.unwrap();
    let agreement = pair.consumer.api().agreed(&negotiation).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let (status, _, told) = send("POST", &format!("{}{ENTITIES}", text(&transfer, "localEndpoint")), &new).await;
    assert_eq!((status, text(&told, "code")), (403, "policy_denies"), "{told}");
}
