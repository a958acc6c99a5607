//! `kill -9` at random moments loses nothing and doubles nothing.
//!
//! While negotiations and transfers run, one of the four processes after the other is killed and started again. In the
//! end both sides must tell the same story, and everything that was acknowledged must be in it.
//!
//! `HANSA_SOAK=1` takes 200 negotiations, on SQLite and then on PostgreSQL. The random choices follow from a number that
//! is printed; `HANSA_FAULT_SEED` gives it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tck::management::{Kind, Management, text};
use tck::pair::{PROVIDER, Pair, read, readable};
use tck::postgres::Postgres;
use tck::wait;

/// How long one process may take to its end while others are being killed around it.
const PATIENCE: Duration = Duration::from_secs(120);

struct Extent {
    negotiations: usize,
    at_once: usize,
    pause_ms: std::ops::Range<u64>,
}

fn soak() -> bool {
    std::env::var_os("HANSA_SOAK").is_some()
}

fn extent() -> Extent {
    if soak() {
        Extent { negotiations: 200, at_once: 8, pause_ms: 50..800 }
    } else {
        Extent { negotiations: 120, at_once: 4, pause_ms: 50..500 }
    }
}

fn seed() -> u64 {
    std::env::var("HANSA_FAULT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random)
}

/// Creates something although the connector may be down just now. What it answered with 201 must be there for ever.
async fn create(api: &Management, path: &str, body: &Value) -> String {
    wait::until(format!("POST {path}"), PATIENCE, || async {
        let made = api.post(path, body.clone()).await.ok()?;
        Some(text(&made, "id").to_owned())
    })
    .await
    .unwrap()
}

/// Gives a command until the process is in the state that it leads to; the answer to a command may get lost.
async fn command(api: &Management, id: &str, command: &str, state: &str) {
    wait::until(format!("{id} is {state}"), PATIENCE, || async {
        // Illegal once the first one has worked, whose answer was lost: the state below tells.
        let _ = api.command(Kind::Transfer, id, command, json!({})).await;
        let process = api.process(Kind::Transfer, id).await.ok()?;
        (text(&process, "state") == state).then_some(())
    })
    .await
    .unwrap();
}

/// One negotiation with one transfer, to their ends.
async fn story(consumer: Management, complete: bool) {
    let id = create(&consumer, "/negotiations", &json!({"partner": PROVIDER, "datasetId": "data"})).await;
    let ended = ["FINALIZED", "TERMINATED"];
    let negotiation = consumer.reaches_within(Kind::Negotiation, &id, &ended, PATIENCE).await.unwrap();
    assert_eq!(text(&negotiation, "state"), "FINALIZED", "{negotiation}");
    let agreement = text(&negotiation, "agreementId");
    let id = create(&consumer, "/transfers", &json!({"agreementId": agreement})).await;
    let transfer = readable(&consumer, &id, PATIENCE).await.unwrap();
    let address = format!("{}/ngsi-ld/v1/entities", text(&transfer, "localEndpoint"));
    wait::until(format!("{address} is read"), PATIENCE, || async {
        let (status, _) = read(&address, &[]).await.ok()?;
        (status == 200).then_some(())
    })
    .await
    .unwrap();
    match complete {
        true => command(&consumer, &id, "complete", "COMPLETED").await,
        false => command(&consumer, &id, "terminate", "TERMINATED").await,
    }
}

/// Kills one process after the other until the work is done.
async fn havoc(pair: &mut Pair, random: &mut StdRng, pause_ms: std::ops::Range<u64>, done: impl Fn() -> bool) -> usize {
    let mut kills = 0;
    while !done() {
        tokio::time::sleep(Duration::from_millis(random.random_range(pause_ms.clone()))).await;
        let down = Duration::from_millis(random.random_range(0..300));
        let (which, connector) = match random.random_range(0..4) {
            0 => ("provider's control plane", &mut pair.provider),
            1 => ("provider's data plane", &mut pair.provider),
            2 => ("consumer's control plane", &mut pair.consumer),
            _ => ("consumer's data plane", &mut pair.consumer),
        };
        let restarted = if which.ends_with("control plane") {
            connector.control.kill();
            tokio::time::sleep(down).await;
            connector.control.restart().await
        } else {
            connector.data.kill();
            tokio::time::sleep(down).await;
            connector.data.restart().await
        };
        restarted.unwrap();
        kills += 1;
        println!("killed the {which}, down for {} ms", down.as_millis());
    }
    kills
}

/// Every process of one side, by the pair of ids that both sides know.
async fn processes(api: &Management, kind: Kind) -> BTreeMap<(String, String), Value> {
    let mut found = BTreeMap::new();
    for process in api.all(kind.path()).await.unwrap() {
        let key = (text(&process, "consumerPid").to_owned(), text(&process, "providerPid").to_owned());
        assert!(found.insert(key, process.clone()).is_none(), "twice: {process}");
    }
    found
}

/// Waits until both sides have the same processes in the same final states.
async fn same_ends(pair: &Pair, kind: Kind, ends: &[&str]) -> BTreeMap<(String, String), Value> {
    let mut last = String::new();
    for _ in 0..600 {
        let (ours, theirs) = (processes(pair.consumer.api(), kind).await, processes(pair.provider.api(), kind).await);
        let states = |side: &BTreeMap<_, Value>| -> BTreeMap<_, String> {
            side.iter()
                .map(|(key, process)| (<(String, String)>::clone(key), text(process, "state").to_owned()))
                .collect()
        };
        let (a, b) = (states(&ours), states(&theirs));
        if a == b && a.values().all(|state| ends.contains(&state.as_str())) {
            return ours;
        }
        last = format!("consumer: {a:?}\nprovider: {b:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the two sides do not come to the same end:\n{last}");
}

async fn agreements(api: &Management) -> BTreeSet<String> {
    let all = api.all("/agreements").await.unwrap();
    let ids: BTreeSet<_> = all.iter().map(|agreement| text(agreement, "id").to_owned()).collect();
    assert_eq!(ids.len(), all.len(), "an agreement is there twice");
    ids
}

/// States that a process can be in once the message was acknowledged and everything came to its end.
fn ends_after(message: &Value) -> &'static [&'static str] {
    match (text(message, "@type"), text(message, "eventType")) {
        ("ContractNegotiationTerminationMessage" | "TransferTerminationMessage", _) => &["TERMINATED"],
        ("TransferCompletionMessage", _) => &["COMPLETED"],
        ("ContractAgreementVerificationMessage" | "ContractNegotiationEventMessage", _) => &["FINALIZED"],
        _ => &["FINALIZED", "TERMINATED", "COMPLETED"],
    }
}

/// Everything that a side answered with 2xx is in what it knows now.
fn assert_nothing_lost(pair: &Pair, known: &BTreeMap<(String, String), Value>) -> usize {
    let mut acknowledged = 0;
    for exchange in pair.recorders().iter().flat_map(tck::recorder::Recorder::exchanges) {
        let message = exchange.request.json();
        let pids = [text(&message, "consumerPid"), text(&message, "providerPid")];
        if exchange.request.method != "POST" || exchange.answer.status >= 300 || pids == ["", ""] {
            continue;
        }
        acknowledged += 1;
        let process = known.iter().find(|((consumer, provider), _)| {
            (pids[0].is_empty() || pids[0] == consumer) && (pids[1].is_empty() || pids[1] == provider)
        });
        let (_, process) = process.unwrap_or_else(|| panic!("acknowledged, and now unknown: {message}"));
        let state = text(process, "state");
        assert!(ends_after(&message).contains(&state), "acknowledged, but the process is {state}: {message}");
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_nothing_and_double_nothing() {
    let seed = seed();
    println!("HANSA_FAULT_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    survive(Pair::start().await.unwrap(), &mut random).await;
    if soak() {
        let server = Postgres::start().unwrap();
        let databases = ["provider", "consumer"].map(|name| Some(server.database(name).unwrap()));
        survive(Pair::start_on(databases).await.unwrap(), &mut random).await;
    }
}

async fn survive(mut pair: Pair, random: &mut StdRng) {
    let extent = extent();
    pair.publish("data", &json!([{"action": "use"}]), &json!({})).await.unwrap();

    let api = pair.consumer.api().clone();
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(extent.at_once));
    let stories: Vec<_> = (0..extent.negotiations)
        .map(|number| {
            let (api, places) = (api.clone(), places.clone());
            tokio::spawn(async move {
                let _place = places.acquire().await.unwrap();
                story(api, number % 2 == 0).await;
            })
        })
        .collect();
    let kills = havoc(&mut pair, random, extent.pause_ms, || stories.iter().all(|story| story.is_finished())).await;
    for story in stories {
        story.await.unwrap();
    }

    // A process whose creation was not acknowledged may be there as well: its transfer is ended now.
    for ((_, _), transfer) in processes(&api, Kind::Transfer).await {
        if !["COMPLETED", "TERMINATED"].contains(&text(&transfer, "state")) {
            api.reaches(Kind::Transfer, text(&transfer, "id"), &["STARTED"]).await.unwrap();
            command(&api, text(&transfer, "id"), "complete", "COMPLETED").await;
        }
    }
    let negotiations = same_ends(&pair, Kind::Negotiation, &["FINALIZED"]).await;
    let transfers = same_ends(&pair, Kind::Transfer, &["COMPLETED", "TERMINATED"]).await;
    assert!(negotiations.len() >= extent.negotiations);
    assert!(transfers.len() >= extent.negotiations);

    let ours = agreements(pair.consumer.api()).await;
    assert_eq!(ours, agreements(pair.provider.api()).await);
    let agreed: BTreeSet<_> = negotiations.values().map(|process| text(process, "agreementId").to_owned()).collect();
    assert_eq!(ours, agreed);
    assert_eq!(ours.len(), negotiations.len(), "one agreement for each negotiation");

    let known = negotiations.into_iter().chain(transfers).collect();
    let acknowledged = assert_nothing_lost(&pair, &known);
    println!("{kills} kills, {} agreements, {acknowledged} acknowledged messages, nothing lost", ours.len());
}
