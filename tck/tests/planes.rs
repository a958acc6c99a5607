//! Several data planes of one provider: one is killed under load, and its readers notice nothing beyond one retry; what it had accepted is
//! delivered when it is back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::{Kind, Management, text};
use tck::pair::{Pair, counterpart, read, readable};
use tck::server::{Incoming, Outgoing, Server};
use tck::service::{DataPlane, DataPlaneSettings};
use tck::{ports, wait};
use tempfile::TempDir;

/// How long things may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two reads of one reader.
const PACE: Duration = Duration::from_millis(100);

/// A provider with data planes beside the one that it has anyway, and a consumer.
struct Scene {
    pair: Pair,
    more: Vec<DataPlane>,
    _folder: TempDir,
}

impl Scene {
    async fn start(more: usize) -> Self {
        let pair = Pair::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let binaries = Binaries::from_environment().unwrap();
        let mut planes = Vec::new();
        for number in 0..more {
            let home = folder.path().join(number.to_string());
            let control = &pair.provider.control;
            planes.push(DataPlane::start(&binaries, &home, control, DataPlaneSettings::default()).await.unwrap());
        }
        let scene = Self { pair, more: planes, _folder: folder };
        scene.present(more + 1).await;
        scene
    }

    fn provider(&self) -> &Management {
        self.pair.provider.api()
    }

    /// Waits until so many data planes are present.
    async fn present(&self, count: usize) {
        wait::until(format!("{count} data planes are present"), PATIENCE, || async {
            let planes = self.provider().all("/data-planes").await.ok()?;
            (planes.iter().filter(|plane| text(plane, "presence") == "present").count() == count).then_some(())
        })
        .await
        .unwrap();
    }

    /// Transfers under the agreement until every data plane has some, at least so many; each with the plane that has it.
    async fn transfers(&self, agreement: &str, least: usize) -> Vec<(Value, String)> {
        let (mut planes, mut found) = (BTreeSet::new(), Vec::new());
        while planes.len() <= self.more.len() || found.len() < least {
            let transfer = self.pair.transfer(agreement).await.unwrap();
            let plane = self.plane_of(&transfer).await;
            planes.insert(plane.clone());
            found.push((transfer, plane));
            assert!(found.len() < 60, "the flows do not spread: {planes:?}");
        }
        found
    }

    /// The provider's data plane that has the flow of the consumer's transfer.
    async fn plane_of(&self, transfer: &Value) -> String {
        let ours = counterpart(self.provider(), Kind::Transfer, text(transfer, "id")).await.unwrap();
        text(&ours, "dataPlaneId").to_owned()
    }

    /// The events of a kind, by subject.
    async fn events(&self, kind: &str) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for event in self.provider().all("/events").await.unwrap() {
            if text(&event, "type") == kind {
                *found.entry(text(&event, "subject").to_owned()).or_default() += 1;
            }
        }
        found
    }

    /// Prints what both sides know of a transfer.
    async fn tell(&self, transfer: &Value) {
        let ours = counterpart(self.provider(), Kind::Transfer, text(transfer, "id")).await.unwrap();
        for (api, id) in [(self.provider(), text(&ours, "id")), (self.pair.consumer.api(), text(transfer, "id"))] {
            println!("{}", api.process(Kind::Transfer, id).await.unwrap());
            for event in api.all(&format!("/events?subject={id}")).await.unwrap() {
                println!("  {} {} {}", text(&event, "time"), text(&event, "type"), event["data"]);
            }
        }
    }

    /// The address and the token that the consumer was told for its transfer, the first time.
    fn told(&self, transfer: &Value) -> (String, String) {
        let path = format!("/transfers/{}/start", text(transfer, "id"));
        let exchanges = self.pair.recorders()[1].exchanges();
        let start = exchanges.iter().find(|exchange| exchange.request.target.ends_with(&path)).unwrap();
        let address = start.request.json()["dataAddress"].clone();
        let properties = address["endpointProperties"].as_array().unwrap();
        let token = properties.iter().find(|property| property["name"] == "authorization").unwrap();
        (text(&address, "endpoint").to_owned(), text(token, "value").to_owned())
    }
}

fn entities(transfer: &Value) -> String {
    format!("{}/ngsi-ld/v1/entities", text(transfer, "localEndpoint"))
}

/// What one reader has seen.
#[derive(Debug, Default)]
struct Seen {
    reads: usize,
    /// Reads that needed a second try.
    retried: usize,
    /// Reads whose second try failed as well.
    lost: Vec<String>,
    longest: Duration,
}

/// Reads again and again; a read that fails is tried once more, at once.
async fn read_on(address: String, over: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        seen.reads += 1;
        if let Err(first) = read_once(&address).await {
            seen.retried += 1;
            if let Err(second) = read_once(&address).await {
                seen.lost.push(format!("{first}; then {second}"));
            }
        }
        seen.longest = seen.longest.max(begin.elapsed());
        tokio::time::sleep(PACE).await;
    }
    seen
}

async fn read_once(address: &str) -> Result<(), String> {
    match read(address, &[]).await {
        Ok((200, _)) => Ok(()),
        Ok((status, body)) => Err(format!("{status} {}", String::from_utf8_lossy(&body))),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_plane_costs_its_readers_one_retry() {
    let mut scene = Scene::start(2).await;
    let agreement = scene.pair.agreement(&scene.pair.http_dataset("counts")).await.unwrap();
    let transfers = scene.transfers(&agreement, 9).await;
    let killed = scene.more[0].id().to_owned();
    let moved: Vec<&Value> =
        transfers.iter().filter(|(_, plane)| *plane == killed).map(|(transfer, _)| transfer).collect();
    let told = scene.told(moved[0]);
    let over = Arc::new(AtomicBool::new(false));
    let readers = transfers.iter().map(|(transfer, _)| tokio::spawn(read_on(entities(transfer), Arc::clone(&over))));
    let readers: Vec<_> = readers.collect();
    tokio::time::sleep(Duration::from_secs(3)).await;

    scene.more[0].kill();
    let begin = Instant::now();
    // New transfers start at once, on the others.
    for _ in 0..3 {
        let begun = scene.pair.consumer.api().post("/transfers", json!({"agreementId": agreement})).await.unwrap();
        let transfer = readable(scene.pair.consumer.api(), text(&begun, "id"), PATIENCE).await.unwrap();
        assert_ne!(scene.plane_of(&transfer).await, killed);
        assert_eq!(read(&entities(&transfer), &[]).await.unwrap().0, 200);
    }
    println!("three new transfers within {} ms of the kill", begin.elapsed().as_millis());
    for transfer in &moved {
        wait::until("the flow is with another plane", PATIENCE, || async {
            let plane = scene.plane_of(transfer).await;
            (!plane.is_empty() && plane != killed).then_some(())
        })
        .await
        .unwrap();
    }
    println!("{} flows with other planes {} ms after the kill", moved.len(), begin.elapsed().as_millis());
    let shown = scene.provider().get(&format!("/data-planes/{killed}")).await.unwrap();
    assert_eq!(text(&shown, "presence"), "absent", "{shown}");
    assert!(scene.events("dataplane.absent").await.contains_key(&killed));
    tokio::time::sleep(Duration::from_secs(5)).await;

    scene.more[0].restart().await.unwrap();
    scene.present(3).await;
    // The old token opens nothing at the plane that is back.
    let (endpoint, token) = told;
    let bearer = format!("Bearer {token}");
    let (status, _) = read(&format!("{endpoint}/ngsi-ld/v1/entities"), &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(status, 401);
    tokio::time::sleep(Duration::from_secs(3)).await;

    over.store(true, Ordering::Relaxed);
    let mut all = Seen::default();
    for reader in join_all(readers).await {
        let seen = reader.unwrap();
        all.reads += seen.reads;
        all.retried += seen.retried;
        all.lost.extend(seen.lost);
        all.longest = all.longest.max(seen.longest);
    }
    println!("{} reads, {} retried, {} ms the longest", all.reads, all.retried, all.longest.as_millis());
    if !all.lost.is_empty() {
        for transfer in &moved {
            scene.tell(transfer).await;
        }
    }
    assert!(all.lost.is_empty(), "{:#?}", all.lost);
    assert!(all.retried <= moved.len(), "{} retries of {} readers whose plane was killed", all.retried, moved.len());
    let suspended = scene.events("transfer.suspended").await;
    assert_eq!(suspended.len(), moved.len(), "only what had to move has: {suspended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_was_away_moves_nothing() {
    let mut scene = Scene::start(1).await;
    let agreement = scene.pair.agreement(&scene.pair.http_dataset("counts")).await.unwrap();
    let transfers = scene.transfers(&agreement, 4).await;
    let over = Arc::new(AtomicBool::new(false));
    let readers = transfers.iter().map(|(transfer, _)| tokio::spawn(read_on(entities(transfer), Arc::clone(&over))));
    let readers: Vec<_> = readers.collect();
    for _ in 0..2 {
        scene.pair.provider.control.kill();
        tokio::time::sleep(Duration::from_secs(2)).await;
        scene.pair.provider.control.restart().await.unwrap();
        scene.present(2).await;
    }
    for (transfer, plane) in &transfers {
        assert_eq!(scene.plane_of(transfer).await, *plane);
    }
    over.store(true, Ordering::Relaxed);
    for reader in join_all(readers).await {
        let seen = reader.unwrap();
        assert_eq!((seen.retried, seen.lost.len()), (0, 0), "{seen:?}");
    }
    assert!(scene.events("transfer.suspended").await.is_empty());
    assert!(scene.events("dataplane.absent").await.is_empty());
}

const SUBSCRIPTIONS: &str = "/ngsi-ld/v1/subscriptions";

/// A server that keeps what it was sent and answers by this function.
fn played(answer: impl Fn(&Incoming) -> u16 + Send + Sync + 'static) -> (Server, Arc<Mutex<Vec<Incoming>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (kept, answer) = (Arc::clone(&seen), Arc::new(answer));
    let handler = Arc::new(move |request: Incoming| {
        let status = answer(&request);
        kept.lock().unwrap().push(request);
        async move { Outgoing::empty(status) }.boxed()
    });
    (Server::start(ports::free().unwrap(), handler).unwrap(), seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_delivered_by_the_plane_that_is_back() {
    const COUNT: u64 = 20;
    let mut scene = Scene::start(1).await;
    let (broker, asked) = played(|request| if request.method == "POST" { 201 } else { 204 });
    let away = Arc::new(AtomicBool::new(true));
    let (program, taken) = played({
        let away = Arc::clone(&away);
        move |_| if away.load(Ordering::Relaxed) { 503 } else { 200 }
    });
    let dataset = json!({
        "id": "air", "title": "air quality", "source": {"http": {"baseUrl": broker.url()}},
        "admission": {"methods": ["GET"], "paths": ["/ngsi-ld/v1/entities", SUBSCRIPTIONS]},
        "selection": {
            "types": ["https://uri.etsi.org/ngsi-ld/default-context/Air"],
            "attributes": [{"name": "https://uri.etsi.org/ngsi-ld/default-context/no2"}],
            "assumedContext": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
        }
    });
    let agreement = scene.pair.agreement(&dataset).await.unwrap();
    let transfers = scene.transfers(&agreement, 2).await;
    let owner = scene.more[0].id().to_owned();
    let (transfer, _) = transfers.iter().find(|(_, plane)| *plane == owner).unwrap();
    let body = json!({"type": "Subscription", "entities": [{"type": "Air"}],
        "notification": {"endpoint": {"uri": format!("{}/in", program.url())}}});
    let client = reqwest::Client::new();
    let local = text(transfer, "localEndpoint");
    let made = client.post(format!("{local}{SUBSCRIPTIONS}")).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let made = asked.lock().unwrap().iter().find(|seen| seen.method == "POST").unwrap().json();
    let address = made["notification"]["endpoint"]["uri"].as_str().unwrap().to_owned();

    // The consumer is away, so that all that is accepted lies with the provider's plane.
    scene.pair.consumer.data.kill();
    for number in 0..COUNT {
        let body = json!({"id": "urn:ngsi-ld:Notification:1", "type": "Notification", "data": [{
            "id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": {"type": "Property", "value": number}}]});
        let answer = client.post(&address).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
    scene.more[0].kill();
    wait::until("the plane is absent", PATIENCE, || async {
        let shown = scene.provider().get(&format!("/data-planes/{owner}")).await.ok()?;
        (text(&shown, "presence") == "absent").then_some(())
    })
    .await
    .unwrap();
    scene.pair.consumer.data.restart().await.unwrap();
    away.store(false, Ordering::Relaxed);
    // The pulls without subscriptions have moved; this one waits.
    for (transfer, before) in &transfers {
        if *before == owner && text(transfer, "localEndpoint") != local {
            wait::until("a pull moves", PATIENCE, || async { (scene.plane_of(transfer).await != owner).then_some(()) })
                .await
                .unwrap();
        }
    }
    assert_eq!(scene.plane_of(transfer).await, owner);
    scene.more[0].restart().await.unwrap();
    let numbers = || -> Vec<u64> {
        let taken = taken.lock().unwrap();
        let entities = taken.iter().flat_map(|request| request.json()["data"].as_array().unwrap().clone());
        entities.map(|entity| entity["no2"]["value"].as_u64().unwrap()).collect()
    };
    wait::until("all have arrived", PATIENCE, || async {
        (numbers().into_iter().collect::<BTreeSet<_>>().len() as u64 == COUNT).then_some(())
    })
    .await
    .unwrap();
    let mut first = Vec::new();
    numbers().into_iter().for_each(|number| {
        if !first.contains(&number) {
            first.push(number)
        }
    });
    assert!(first.is_sorted(), "{first:?}");
    assert_eq!(scene.plane_of(transfer).await, owner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plane_that_stops_in_order_costs_no_read_and_gives_its_uses_back() {
    const LIMIT: usize = 40;
    let mut scene = Scene::start(1).await;
    let agreement = scene.pair.agreement(&scene.pair.http_dataset("counts")).await.unwrap();
    let transfers = scene.transfers(&agreement, 4).await;
    let limit = json!({"leftOperand": "count", "operator": "lteq",
        "rightOperand": {"@value": LIMIT.to_string(), "@type": "xsd:integer"}});
    let dataset = scene.pair.http_dataset("counted");
    let permission = json!([{"action": "use", "constraint": [limit]}]);
    scene.pair.publish_dataset(&dataset, &permission, &json!({})).await.unwrap();
    let negotiation = scene.pair.negotiate("counted", "automatic").await.unwrap();
    let counted = scene.pair.consumer.api().agreed(&negotiation).await.unwrap();
    let counted = scene.transfers(&counted, 2).await;
    let leaving = scene.more[0].id().to_owned();
    let (with_it, _) = counted.iter().find(|(_, plane)| *plane == leaving).unwrap();
    assert_eq!(read(&entities(with_it), &[]).await.unwrap().0, 200, "now it holds some uses");

    let over = Arc::new(AtomicBool::new(false));
    let readers = transfers.iter().map(|(transfer, _)| tokio::spawn(read_on(entities(transfer), Arc::clone(&over))));
    let readers: Vec<_> = readers.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.more[0].stop(PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    for reader in join_all(readers).await {
        let seen = reader.unwrap();
        assert_eq!((seen.retried, seen.lost.len()), (0, 0), "{seen:?}");
    }
    assert!(scene.events("dataplane.leaving").await.contains_key(&leaving));

    let mut good = 1;
    loop {
        match read(&entities(with_it), &[]).await.unwrap() {
            (200, _) => good += 1,
            (403, _) => break,
            (status, body) => panic!("{status} {}", String::from_utf8_lossy(&body)),
        }
        assert!(good <= LIMIT);
    }
    assert_eq!(good, LIMIT, "every use, and none twice");
}
