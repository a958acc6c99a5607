//! An agreement's uses, counted by a control plane with two data planes: never more than the limit, whoever is killed, and all of
//! them while nobody is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::{Kind, text};
use tck::pair::{Pair, counterpart, read};
use tck::ports;
use tck::server::{Outgoing, Server};
use tck::service::{DataPlane, DataPlaneSettings};
use tck::wait;
use tempfile::TempDir;

const LIMIT: usize = 200;
/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A provider with two data planes, a consumer, and a source that counts what reaches it.
struct Scene {
    pair: Pair,
    second: DataPlane,
    source: Server,
    reached: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let pair = Pair::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let binaries = Binaries::from_environment().unwrap();
        let settings = DataPlaneSettings::default();
        let second = DataPlane::start(&binaries, folder.path(), &pair.provider.control, settings).await.unwrap();
        wait::until("both data planes are registered", wait::PATIENCE, || async {
            (pair.provider.api().all("/data-planes").await.ok()?.len() == 2).then_some(())
        })
        .await
        .unwrap();
        let reached = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&reached);
        let source = Server::start(
            ports::free().unwrap(),
            Arc::new(move |_| {
                counting.fetch_add(1, Ordering::Relaxed);
                async { Outgoing::json(200, &json!([])) }.boxed()
            }),
        )
        .unwrap();
        Self { pair, second, source, reached, _folder: folder }
    }

    /// An agreement about a dataset under this constraint.
    async fn agreement(&self, id: &str, constraint: Value) -> String {
        let dataset = json!({"id": id, "title": id, "source": {"http": {"baseUrl": self.source.url()}}});
        let permission = json!([{"action": "use", "constraint": [constraint]}]);
        self.pair.publish_dataset(&dataset, &permission, &json!({})).await.unwrap();
        let negotiation = self.pair.negotiate(id, "automatic").await.unwrap();
        self.pair.consumer.api().agreed(&negotiation).await.unwrap()
    }

    /// Transfers under the agreement until both data planes have one: where the consumer reads them.
    async fn transfers(&self, agreement: &str) -> Vec<String> {
        let (mut planes, mut addresses) = (BTreeSet::new(), Vec::new());
        while planes.len() < 2 || addresses.len() < 4 {
            let transfer = self.pair.transfer(agreement).await.unwrap();
            let ours =
                counterpart(self.pair.provider.api(), Kind::Transfer, text(&transfer, "consumerPid")).await.unwrap();
            planes.insert(text(&ours, "dataPlaneId").to_owned());
            addresses.push(format!("{}/ngsi-ld/v1/entities", text(&transfer, "localEndpoint")));
            assert!(addresses.len() < 40, "all flows went to one data plane");
        }
        addresses
    }
}

/// Reads until the provider refuses for good; how many answers were good, and what the last refusal was.
async fn read_up(address: String, stop: Arc<AtomicBool>) -> (usize, Value) {
    let (mut good, begin) = (0, Instant::now());
    loop {
        assert!(begin.elapsed() < PATIENCE, "nobody refuses at {address}");
        // A data plane that was just killed breaks connections off.
        match read(&address, &[]).await {
            Ok((200, _)) => good += 1,
            Ok((403, body)) if !stop.load(Ordering::Relaxed) => {
                return (good, serde_json::from_slice(&body).unwrap_or_default());
            }
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Several readers at each address; how many answers were good.
async fn read_all(addresses: &[String], stop: &Arc<AtomicBool>) -> (usize, Vec<Value>) {
    let readers = addresses.iter().flat_map(|address| [address; 3]);
    let readers = join_all(readers.map(|address| tokio::spawn(read_up(address.clone(), Arc::clone(stop))))).await;
    let (mut good, mut refusals) = (0, Vec::new());
    for reader in readers {
        let (count, refusal) = reader.unwrap();
        good += count;
        refusals.push(refusal);
    }
    (good, refusals)
}

fn at_most(left: &str, limit: usize) -> Value {
    json!({"leftOperand": left, "operator": "lteq", "rightOperand": {"@value": limit.to_string(), "@type": "xsd:integer"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_data_planes_come_to_the_limit_exactly() {
    let scene = Scene::start().await;
    let agreement = scene.agreement("counted", at_most("count", LIMIT)).await;
    let addresses = scene.transfers(&agreement).await;
    let (good, refusals) = read_all(&addresses, &Arc::default()).await;
    assert_eq!(good, LIMIT);
    assert_eq!(scene.reached.load(Ordering::Relaxed), LIMIT, "what was refused did not reach the source");
    let named: BTreeMap<&str, &str> = refusals.iter().map(|body| (text(body, "code"), text(body, "fact"))).collect();
    assert_eq!(named.get("policy_denies"), Some(&"count = 201"), "{refusals:?}");

    // Both sides are told why, once nobody holds a use any more.
    let api = scene.pair.provider.api();
    let held = wait::until("a transfer is suspended", wait::PATIENCE, || async {
        let all = api.all(Kind::Transfer.path()).await.ok()?;
        all.into_iter().find(|transfer| text(transfer, "state") == "SUSPENDED")
    });
    held.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_than_the_limit_while_a_data_plane_is_killed() {
    let mut scene = Scene::start().await;
    let agreement = scene.agreement("counted", at_most("count", LIMIT)).await;
    let addresses = scene.transfers(&agreement).await;
    // A data plane that is down looks like a refusal of the consumer's own side at times: nobody stops before it is back.
    let busy = Arc::new(AtomicBool::new(true));
    let reading = {
        let busy = Arc::clone(&busy);
        tokio::spawn(async move { read_all(&addresses, &busy).await })
    };
    let mut killed_at = Vec::new();
    for _ in 0..4 {
        let before = scene.reached.load(Ordering::Relaxed);
        let begin = Instant::now();
        // Each time some uses later.
        while scene.reached.load(Ordering::Relaxed) < before + 25 && begin.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        scene.second.kill();
        killed_at.push(scene.reached.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(100)).await;
        scene.second.restart().await.unwrap();
    }
    busy.store(false, Ordering::Relaxed);
    let (good, _) = reading.await.unwrap();
    let reached = scene.reached.load(Ordering::Relaxed);
    println!("killed at {killed_at:?}; {good} good answers, {reached} requests reached the source, of {LIMIT}");
    assert!(good <= reached && reached <= LIMIT, "{good} answers, {reached} requests at the source");
    assert!(reached > LIMIT / 2, "a crash costs a block, not the agreement: {reached}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_control_plane_is_away_only_what_is_held_is_spent() {
    let mut scene = Scene::start().await;
    let agreement = scene.agreement("counted", at_most("count", 1_000)).await;
    let address = scene.transfers(&agreement).await.remove(0);
    assert_eq!(read(&address, &[]).await.unwrap().0, 200);
    scene.pair.provider.control.kill();
    let (mut good, mut refusal) = (0, Value::Null);
    for _ in 0..200 {
        let (status, body) = read(&address, &[]).await.unwrap();
        match status {
            200 => good += 1,
            503 => {
                refusal = serde_json::from_slice(&body).unwrap();
                break;
            }
            other => panic!("{other}: {}", String::from_utf8_lossy(&body)),
        }
    }
    assert!((1..200).contains(&good), "{good}");
    assert_eq!((text(&refusal, "code"), text(&refusal, "fault")), ("usage_not_granted", "us"));
    scene.pair.provider.control.restart().await.unwrap();
    wait::until("uses are granted again", wait::PATIENCE, || async {
        (read(&address, &[]).await.ok()?.0 == 200).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_transfers_and_no_more() {
    let scene = Scene::start().await;
    let mut constraint = at_most("count", 2);
    constraint["unit"] = json!("https://github.com/hansa-connector/hansa/ns/odrl/municipal/1#transfer");
    let agreement = scene.agreement("transferred", constraint).await;
    for _ in 0..2 {
        let transfer = scene.pair.transfer(&agreement).await.unwrap();
        let address = format!("{}/ngsi-ld/v1/entities", text(&transfer, "localEndpoint"));
        for _ in 0..5 {
            assert_eq!(read(&address, &[]).await.unwrap().0, 200, "the requests of a transfer are not counted");
        }
    }
    let api = scene.pair.consumer.api();
    let third = api.post("/transfers", json!({"agreementId": agreement})).await.unwrap();
    let ended = api.reaches(Kind::Transfer, text(&third, "id"), &["TERMINATED"]).await.unwrap();
    assert!(ended.to_string().contains("policy_denied"), "{ended}");
    let running = scene.pair.provider.api().all(Kind::Transfer.path()).await.unwrap();
    assert_eq!(running.iter().filter(|transfer| text(transfer, "state") == "STARTED").count(), 2);
}
