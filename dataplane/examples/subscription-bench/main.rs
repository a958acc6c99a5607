//! 10 000 live subscriptions at one data plane, of which 100 match: `subscription-bench --bin-dir target/release`.
//!
//! The data plane is a program of its own. Played here, each on a thread of its own so that its CPU time is counted apart, are the
//! broker, which has all subscriptions and notifies for 100 of them, and the partner's data planes, one for each flow, which
//! fetch. A notification of 1 KiB is posted, filtered, kept on disk, only then answered, and fetched. How long it takes is
//! counted from the moment at which it was due.
//!
//! `SUBSCRIPTIONS`, `RATE` and `BENCH_SECONDS` change the load.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod broker;
mod load;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use broker::Broker;
use load::{Load, Received};
use policy_plan::Selection;
use serde_json::json;
use support::plane::{Flow, Plane, Wanted};
use support::{number, process, quantile};

/// As many flows as keep `subscriptions.most_per_flow`.
const FLOWS: usize = 10;
/// Subscriptions for which something comes.
const MATCHING: usize = 100;
const CONTEXT: &str = "https://city.example/context.jsonld";
const SUBSCRIPTIONS: &str = "/ngsi-ld/v1/subscriptions";
/// CPU time of the data plane for a notification, in microseconds: at 5 000 in a second that is one core.
const BUDGET: f64 = 200.0;

fn main() {
    let program = support::programs().join("hansa-dataplane");
    let (count, rate, seconds) = (number("SUBSCRIPTIONS", 10_000), number("RATE", 5_000), number("BENCH_SECONDS", 10));
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start();
    let mut plane = Plane::start(&program, &folder.path().join("plane"), None, "");
    let flows: Vec<Flow> = (0..FLOWS)
        .map(|flow| {
            let process = format!("tp-{flow}");
            let paths = ["/ngsi-ld/v1/entities", SUBSCRIPTIONS];
            plane.flow(&Wanted { selection: Some(selection()), ..Wanted::always(&process, broker.port, &paths) })
        })
        .collect();
    let pids = [plane.pid()];
    let empty = process::resident(&pids);
    let (begin, cpu) = (Instant::now(), process::cpu(&pids));
    load::subscribe(plane.public, &flows, count);
    let (made, making) = (begin.elapsed().as_secs_f64(), process::cpu(&pids) - cpu);
    let with_all = process::resident(&pids);
    println!(
        "{count} subscriptions made: {:.0} per second, {:.0} us CPU and {:.1} KiB each",
        count as f64 / made,
        making * 1e6 / count as f64,
        (with_all - empty) * 1024.0 / count as f64
    );
    let cpu = process::cpu(&pids);
    std::thread::sleep(Duration::from_secs(3));
    println!("nothing happens: {:.1} ms CPU per second", (process::cpu(&pids) - cpu) * 1e3 / 3.0);

    let addresses = broker.addresses();
    let step = (addresses.len() / MATCHING).max(1);
    let matching: Vec<String> = addresses.into_iter().step_by(step).take(MATCHING).collect();
    let load = Load { start: Instant::now(), rate, total: rate * seconds };
    let received = Arc::new(Received::default());
    let receiver = load::receive(plane.public, &flows, &load, &received);
    let cpu = process::cpu(&pids);
    let generator = load::generate(plane.local, matching, &load);
    let mut most = 0.0_f64;
    let patience = Instant::now() + Duration::from_secs(4 * seconds as u64);
    while received.count.load(Ordering::Relaxed) < load.total && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
        most = most.max(process::resident(&pids));
    }
    let elapsed = load.start.elapsed().as_secs_f64();
    let used = process::cpu(&pids) - cpu;
    let (generated, fetched) = (load::thread_cpu("generator"), load::thread_cpu("receiver"));
    generator.stop();
    receiver.stop();
    let mut times = std::mem::take(&mut *received.times.lock().unwrap());
    times.sort_by(f64::total_cmp);
    let arrived = times.len();
    let each = |seconds: f64| seconds * 1e6 / arrived as f64;
    println!(
        "{arrived} of {} notifications arrived in {elapsed:.1} s: {:.0} per second, {} dropped",
        load.total,
        arrived as f64 / elapsed,
        received.dropped.load(Ordering::Relaxed)
    );
    println!(
        "CPU for each: data plane {:.0} us; generator {:.0} us, receiver {:.0} us",
        each(used),
        each(generated),
        each(fetched)
    );
    let part = |part: f64| quantile(&times, part);
    println!(
        "from due to fetched: half in {:.1} ms, 99 % in {:.1} ms, all in {:.1} ms; {most:.1} MiB resident at most",
        part(0.5),
        part(0.99),
        part(1.0)
    );

    broker.forget_counts();
    let begin = Instant::now();
    plane.restart();
    let ready = begin.elapsed().as_secs_f64();
    let settled = broker.settled(Duration::from_secs(2), Duration::from_secs(30));
    println!(
        "started again: serves after {ready:.2} s, {:.1} MiB resident; the broker saw {} within {settled:.1} s",
        process::resident(&[plane.pid()]),
        broker.counts()
    );
    let met = arrived == load.total && arrived as f64 / elapsed >= 0.95 * rate as f64 && each(used) <= BUDGET;
    println!(
        "budget: {rate} per second sustained with at most {BUDGET} us CPU each: {}",
        if met { "met" } else { "missed" }
    );
}

fn selection() -> Selection {
    let terms = json!({"Air": "https://m/Air", "no2": "https://m/no2", "pm10": "https://m/pm10", "plate": "https://m/plate",
        "owner": "https://m/owner"});
    serde_json::from_value(json!({
        "types": ["https://m/Air"],
        "attributes": [{"name": "https://m/no2"}, {"name": "https://m/pm10"}],
        "contexts": [{"url": CONTEXT, "terms": terms}],
    }))
    .unwrap()
}
