//! The data plane beside nginx as a plain proxy, on the same source, in alternating rounds:
//! `data-plane-bench --bin-dir target/release`. An example rather than a Cargo bench, so that it is built with the profile of the
//! programs that ship and measures these.
//!
//! Counted is the CPU time of the proxy's processes alone (user and system, `/proc/PID/stat`), so that the load generator, the
//! source and other programs on the machine do not matter much; the ratio of one run is what can be compared. Plain HTTP is
//! compared with plain HTTP and TLS with TLS; both proxies have one worker for each core. The data plane checks token,
//! admission and policy for each request; nginx checks nothing. A further subject is the same data plane under an agreement
//! that counts requests, with a control plane that is played here. `ROUNDS=n` sets the number of rounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod subject;
#[path = "../support/mod.rs"]
mod support;

use policy_plan::{Expr, Meter, TimeOperator};
use subject::{LARGE, Measured, SMALL, Subject};
use support::nginx::{Certificate, Nginx};
use support::plane::{Plane, Wanted};
use support::{http, median};

/// Streams at which memory is looked at, and how many more for the cost of each further one.
const OPEN_STREAMS: usize = 64;
const FURTHER_STREAMS: usize = 192;
/// Much larger than any memory: what a stream keeps must not depend on the file.
const HUGE: u64 = 1 << 40;

fn main() {
    if !Nginx::is_there() {
        println!("nginx is missing; install it (apt-get install nginx-light) to compare with it");
        return;
    }
    let program = support::programs().join("hansa-dataplane");
    let rounds = support::number("ROUNDS", 3);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let certificate = Certificate::make(folder);
    let source = Nginx::source(folder, SMALL, &[("large", LARGE), ("huge", HUGE)]);
    let nginx = [Nginx::proxy(folder, source.port, None), Nginx::proxy(folder, source.port, Some(&certificate))];
    let planes = [
        Plane::start(&program, &folder.join("plain"), None, ""),
        Plane::start(&program, &folder.join("tls"), Some(&certificate), ""),
    ];
    let paths = ["/small", "/large", "/huge"];
    let flows = planes.each_ref().map(|plane| plane.flow(&Wanted::always("tp", source.port, &paths)));
    let counting = Expr::Usage { meter: Meter::Count, operator: TimeOperator::Lteq, limit: i64::MAX };
    let counted = planes[0].flow(&Wanted { when: counting, ..Wanted::always("tp-counted", source.port, &paths) });
    let tls = [None, Some(http::tls())];
    let theirs = |way: usize| Subject {
        name: ["nginx", "nginx, TLS"][way],
        port: nginx[way].port,
        pids: nginx[way].pids(),
        prefix: String::new(),
        token: None,
        tls: tls[way].clone(),
    };
    let ours = |way: usize, name: &'static str, flow: &support::plane::Flow| Subject {
        name,
        port: planes[way].public,
        pids: vec![planes[way].pid()],
        prefix: flow.path.clone(),
        token: Some(flow.token.clone()),
        tls: tls[way].clone(),
    };
    let subjects = [
        theirs(0),
        ours(0, "hansa", &flows[0]),
        theirs(1),
        ours(1, "hansa, TLS", &flows[1]),
        ours(0, "hansa, counted", &counted),
    ];
    let mut results: Vec<Measured> = subjects.iter().map(|_| Measured::default()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for round in 0..=rounds {
        for (place, (subject, result)) in subjects.iter().zip(&mut results).enumerate() {
            let small = runtime.block_on(subject.small());
            // What counts requests moves the same bytes as what does not.
            let large = (place < 4).then(|| runtime.block_on(subject.large()));
            // The first round warms up.
            if round > 0 {
                result.add(small, large);
            }
        }
    }
    for (subject, result) in subjects.iter().zip(&mut results).take(4) {
        result.resident = runtime.block_on(subject.open_streams("/large", OPEN_STREAMS));
        result.more_resident = runtime.block_on(subject.open_streams("/large", OPEN_STREAMS + FURTHER_STREAMS));
        result.huge_resident = runtime.block_on(subject.open_streams("/huge", OPEN_STREAMS + FURTHER_STREAMS));
    }
    let verdicts = [report("plain HTTP", &results[0], &results[1]), report("TLS", &results[2], &results[3])];
    let counted = &results[4];
    println!(
        "\ncounted by the agreement: {:.2} microseconds of CPU per request ({:+.2}), {:.0} requests per second, 99th percentile {:.2} ms",
        median(&counted.micros),
        median(&counted.micros) - median(&results[1].micros),
        median(&counted.rates),
        median(&counted.p99)
    );
    println!("{}", if verdicts == [true; 2] { "every budget is met" } else { "a budget is missed" });
}

/// Prints one pair; whether it keeps all budgets.
fn report(name: &str, nginx: &Measured, hansa: &Measured) -> bool {
    println!(
        "\n{:<44} {:>9} {:>9} {:>7}  {:<9} verdict",
        format!("{name}, median of rounds"),
        "nginx",
        "hansa",
        "ratio",
        "budget"
    );
    let mut all = true;
    let mut line = |what: &str, left: f64, right: f64, most: Option<f64>| {
        let ratio = right / left;
        let verdict = most.map(|most| ratio <= most);
        all &= verdict != Some(false);
        let budget = most.map(|most| format!("<= {most}")).unwrap_or_default();
        println!("{what:<44} {left:>9.2} {right:>9.2} {ratio:>7.2}  {budget:<9} {}", word(verdict));
    };
    line("CPU per 2 KiB request, microseconds", median(&nginx.micros), median(&hansa.micros), Some(2.0));
    line("CPU per GiB, seconds", median(&nginx.seconds), median(&hansa.seconds), Some(1.25));
    line("99th percentile, 64 connections, milliseconds", median(&nginx.p99), median(&hansa.p99), Some(1.5));
    line("50th percentile", median(&nginx.p50), median(&hansa.p50), None);
    line("requests per second, 64 connections", median(&nginx.rates), median(&hansa.rates), None);
    line("GiB per second, one client", median(&nginx.speeds), median(&hansa.speeds), None);
    let further = |measured: &Measured, most: f64| (most - measured.resident) * 1024.0 / FURTHER_STREAMS as f64;
    let mut memory = |what: &str, left: f64, right: f64, most: Option<f64>| {
        let verdict = most.map(|most| right <= most);
        all &= verdict != Some(false);
        let budget = most.map(|most| format!("<= {most}")).unwrap_or_default();
        println!("{what:<44} {left:>9.2} {right:>9.2} {:>7}  {budget:<9} {}", "", word(verdict));
    };
    memory("MiB resident, 64 streams of 1 GiB", nginx.resident, hansa.resident, Some(32.0));
    memory(
        "KiB for each further stream",
        further(nginx, nginx.more_resident),
        further(hansa, hansa.more_resident),
        Some(64.0),
    );
    memory("the same, of 1 TiB", further(nginx, nginx.huge_resident), further(hansa, hansa.huge_resident), Some(64.0));
    all
}

fn word(verdict: Option<bool>) -> &'static str {
    match verdict {
        None => "",
        Some(true) => "met",
        Some(false) => "missed",
    }
}
