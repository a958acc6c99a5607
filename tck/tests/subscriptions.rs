//! Subscriptions under contract with the programs that ship: what a broker was told is taken arrives, in order, although both
//! data planes are killed; and the broker's subscription goes when the transfer ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tck::management::{Kind, text};
use tck::pair::Pair;
use tck::server::{Incoming, Outgoing, Server};
use tck::{ports, wait};

/// How long notifications may take while planes are being killed.
const PATIENCE: Duration = Duration::from_secs(120);
const SUBSCRIPTIONS: &str = "/ngsi-ld/v1/subscriptions";

type Seen = Arc<Mutex<Vec<Incoming>>>;

/// A server that remembers what it was sent and answers by this function.
fn played(answer: impl Fn(&Incoming) -> u16 + Send + Sync + 'static) -> (Server, Seen) {
    let seen = Seen::default();
    let (kept, answer) = (Arc::clone(&seen), Arc::new(answer));
    let handler = Arc::new(move |request: Incoming| {
        let status = answer(&request);
        kept.lock().unwrap().push(request);
        async move { Outgoing::empty(status) }.boxed()
    });
    (Server::start(ports::free().unwrap(), handler).unwrap(), seen)
}

/// A broker that takes subscriptions and has all that it took.
fn broker() -> (Server, Seen) {
    played(|request| match request.method.as_str() {
        "POST" => 201,
        "DELETE" => 204,
        _ => 200,
    })
}

/// A dataset of a broker, whose subscriptions are offered.
fn dataset(broker: &Server) -> Value {
    json!({
        "id": "air", "title": "air quality", "source": {"http": {"baseUrl": broker.url()}},
        "admission": {"methods": ["GET"], "paths": ["/ngsi-ld/v1/entities", SUBSCRIPTIONS]},
        "selection": {
            "types": ["https://uri.etsi.org/ngsi-ld/default-context/Air"],
            "attributes": [{"name": "https://uri.etsi.org/ngsi-ld/default-context/no2"}],
            "assumedContext": "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
        }
    })
}

async fn subscribe(local: &str, program: &Server) -> String {
    let body = json!({"type": "Subscription", "entities": [{"type": "Air"}],
        "notification": {"endpoint": {"uri": format!("{}/in", program.url())}}});
    let made = reqwest::Client::new().post(format!("{local}{SUBSCRIPTIONS}")).json(&body).send().await.unwrap();
    let (status, location) = (made.status().as_u16(), made.headers().get("location").cloned());
    assert_eq!(status, 201, "{}", made.text().await.unwrap());
    location.unwrap().to_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// Where the broker was asked to notify, the last time.
fn address(broker: &Seen) -> String {
    let made = broker.lock().unwrap().iter().rev().find(|seen| seen.method == "POST").unwrap().json();
    made["notification"]["endpoint"]["uri"].as_str().unwrap().to_owned()
}

/// Notifies as a broker does that tries again: until it was taken.
async fn notify(client: &reqwest::Client, address: &str, entity: u64, number: u64) {
    let body = json!({"id": "urn:ngsi-ld:Notification:1", "type": "Notification", "data": [{
        "id": format!("urn:ngsi-ld:Air:{entity}"), "type": "Air",
        "no2": {"type": "Property", "value": number},
        "plate": {"type": "Property", "value": "CANARY"}
    }]});
    wait::until(format!("notification {number} is taken"), PATIENCE, || async {
        let answer = client.post(address).json(&body).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await
    .unwrap();
}

/// The numbers of each entity in the order in which they came for the first time.
fn arrived(program: &Seen) -> BTreeMap<String, Vec<u64>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for request in program.lock().unwrap().iter() {
        for entity in request.json()["data"].as_array().unwrap() {
            let numbers = found.entry(text(entity, "id").to_owned()).or_default();
            let number = entity["no2"]["value"].as_u64().unwrap();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_planes_lose_and_reorder_nothing_and_the_end_removes_all() {
    const COUNT: u64 = 150;
    const ENTITIES: u64 = 3;
    let seed = std::env::var("HANSA_FAULT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("HANSA_FAULT_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut pair = Pair::start().await.unwrap();
    let (broker, asked) = broker();
    // A program that is away for a part of the time.
    let (program, taken) = played({
        let count = Mutex::new(0_u32);
        move |_| {
            let mut count = count.lock().unwrap();
            *count += 1;
            if (20..30).contains(&*count) { 503 } else { 200 }
        }
    });
    let agreement = pair.agreement(&dataset(&broker)).await.unwrap();
    let transfer = pair.transfer(&agreement).await.unwrap();
    let id = subscribe(text(&transfer, "localEndpoint"), &program).await;
    let address = address(&asked);
    let learned = asked.lock().unwrap().iter().map(|seen| format!("{seen:?}{}", seen.json())).collect::<String>();
    assert!(!learned.contains(&program.url()), "the broker does not learn where the program is");

    let sender = tokio::spawn({
        let address = address.clone();
        async move {
            let client = reqwest::Client::new();
            for number in 0..COUNT {
                notify(&client, &address, number % ENTITIES, number).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let mut kills = 0;
    while !sender.is_finished() {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..700))).await;
        let data = if random.random() { &mut pair.provider.data } else { &mut pair.consumer.data };
        data.kill();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
        data.restart().await.unwrap();
        kills += 1;
    }
    sender.await.unwrap();
    let all = wait::until("all have arrived", PATIENCE, || async {
        let found = arrived(&taken);
        (found.values().map(Vec::len).sum::<usize>() as u64 == COUNT).then_some(found)
    });
    for (entity, numbers) in all.await.unwrap_or_else(|error| panic!("{error}: {:?}", arrived(&taken))) {
        assert!(numbers.is_sorted(), "{entity}: {numbers:?}");
    }
    println!("{COUNT} notifications, {kills} kills, {} deliveries", taken.lock().unwrap().len());
    let bodies: String =
        taken.lock().unwrap().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert!(!bodies.contains("CANARY"));
    assert!(bodies.contains(&id));

    let begun = std::time::Instant::now();
    pair.consumer.api().command(Kind::Transfer, text(&transfer, "id"), "terminate", json!({})).await.unwrap();
    wait::until("the broker's subscription is removed", PATIENCE, || async {
        asked.lock().unwrap().iter().any(|seen| seen.method == "DELETE").then_some(())
    })
    .await
    .unwrap();
    println!("removed at the broker {} ms after the command", begun.elapsed().as_millis());
    let late = reqwest::Client::new().post(&address).json(&json!({"type": "Notification", "data": []})).send().await;
    assert_eq!(late.unwrap().status(), 404);
}
