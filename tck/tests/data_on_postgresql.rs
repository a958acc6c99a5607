//! Every kind of exchange with both control planes on PostgreSQL: pull, push, subscription, and uses that are counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::{FILES, Pair, counterpart, read};
use tck::postgres::Postgres;
use tck::server::{Incoming, Outgoing, Server};
use tck::{ports, wait};

const SUBSCRIPTIONS: &str = "/ngsi-ld/v1/subscriptions";

type Seen = Arc<Mutex<Vec<Incoming>>>;

/// A server that remembers what it was sent.
fn played(status: impl Fn(&Incoming) -> u16 + Send + Sync + 'static) -> (Server, Seen) {
    let (seen, status) = (Seen::default(), Arc::new(status));
    let kept = Arc::clone(&seen);
    let handler = Arc::new(move |request: Incoming| {
        let status = status(&request);
        kept.lock().unwrap().push(request);
        async move { Outgoing::empty(status) }.boxed()
    });
    (Server::start(ports::free().unwrap(), handler).unwrap(), seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pull_push_subscription_and_counted_uses_with_control_planes_on_postgresql() {
    let server = Postgres::start().unwrap();
    let databases = ["provider", "consumer"].map(|name| Some(server.database(name).unwrap()));
    let mut pair = Pair::start_on(databases).await.unwrap();
    counted_pull(&pair).await;
    push(&pair).await;
    subscription(&mut pair).await;
}

/// Three uses and no more.
async fn counted_pull(pair: &Pair) {
    let permission = json!([{"action": "use", "constraint": [{"leftOperand": "count", "operator": "lteq",
        "rightOperand": {"@value": "3", "@type": "xsd:integer"}}]}]);
    pair.publish("counted", &permission, &json!({})).await.unwrap();
    let negotiation = pair.negotiate("counted", "automatic").await.unwrap();
    let agreement = pair.consumer.api().agreed(&negotiation).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let address = format!("{}/ngsi-ld/v1/entities", text(&transfer, "localEndpoint"));
    for _ in 0..3 {
        assert_eq!(read(&address, &[]).await.unwrap().0, 200);
    }
    let (status, body) = read(&address, &[]).await.unwrap();
    let refusal: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, text(&refusal, "fact")), (403, "count = 4"), "{refusal}");
}

/// A finite push completes by itself, and both sides say so.
async fn push(pair: &Pair) {
    pair.put_file("counts.csv", b"station,count\n1,20\n").unwrap();
    let dataset = json!({"id": "counts", "title": "counts", "source": {"files": {"root": FILES, "path": "counts.csv"}},
        "distributions": [{"format": "HttpData-PUSH"}]});
    let agreement = pair.agreement(&dataset).await.unwrap();
    let wanted = json!({"agreementId": agreement, "format": "HttpData-PUSH"});
    let pushed = pair.consumer.api().post("/transfers", wanted).await.unwrap();
    let pushed = pair.consumer.api().reaches(Kind::Transfer, text(&pushed, "id"), &["COMPLETED"]).await.unwrap();
    let theirs = counterpart(pair.provider.api(), Kind::Transfer, text(&pushed, "consumerPid")).await.unwrap();
    pair.provider.api().reaches(Kind::Transfer, text(&theirs, "id"), &["COMPLETED"]).await.unwrap();
    let arrived = find(pair.consumer.data.folder(), "counts.csv").expect("the file is in the inbox");
    assert_eq!(std::fs::read(arrived).unwrap(), b"station,count\n1,20\n");
}

/// A file of this name anywhere in a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, name) } else { (entry.file_name() == name).then_some(path) }
    })
}

/// A notification arrives, also after the control plane on PostgreSQL was killed; the subscription goes with the transfer.
async fn subscription(pair: &mut Pair) {
    let (broker, asked) = played(|request| if request.method == "POST" { 201 } else { 204 });
    let (program, taken) = played(|_| 200);
    let context = "https://uri.etsi.org/ngsi-ld/default-context";
    let dataset = json!({"id": "air", "title": "air quality", "source": {"http": {"baseUrl": broker.url()}},
        "admission": {"methods": ["GET"], "paths": ["/ngsi-ld/v1/entities", SUBSCRIPTIONS]},
        "selection": {"types": [format!("{context}/Air")], "attributes": [{"name": format!("{context}/no2")}],
            "assumedContext": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"}});
    let agreement = pair.agreement(&dataset).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let body = json!({"type": "Subscription", "entities": [{"type": "Air"}],
        "notification": {"endpoint": {"uri": format!("{}/in", program.url())}}});
    let client = reqwest::Client::new();
    let local = format!("{}{SUBSCRIPTIONS}", text(&transfer, "localEndpoint"));
    assert_eq!(client.post(&local).json(&body).send().await.unwrap().status().as_u16(), 201);
    let made = asked.lock().unwrap().iter().rev().find(|seen| seen.method == "POST").unwrap().json();
    let address = made["notification"]["endpoint"]["uri"].as_str().unwrap().to_owned();
    pair.provider.control.restart().await.unwrap();
    let notification = json!({"id": "urn:ngsi-ld:Notification:1", "type": "Notification", "data": [{
        "id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": {"type": "Property", "value": 7}}]});
    assert!(client.post(&address).json(&notification).send().await.unwrap().status().is_success());
    wait::until("the notification arrives", wait::PATIENCE, || async {
        taken.lock().unwrap().iter().any(|seen| seen.json()["data"][0]["no2"]["value"] == 7).then_some(())
    })
    .await
    .unwrap();
    pair.consumer.api().command(Kind::Transfer, text(&transfer, "id"), "terminate", json!({})).await.unwrap();
    wait::until("the broker's subscription is removed", wait::PATIENCE, || async {
        asked.lock().unwrap().iter().any(|seen| seen.method == "DELETE").then_some(())
    })
    .await
    .unwrap();
}
