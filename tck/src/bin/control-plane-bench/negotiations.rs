//! Negotiations between two control planes: one after the other, and many at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tck::events::{Event, follow_kind};
use tck::management::{Kind, Management, text};
use tck::{Context as _, Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::Extent;
use crate::cities::Cities;
use crate::figures::{Budget, Report, median, ms};
use crate::machine::{Disk, cpu_ms, resident_mib, whole};
use crate::wal::{Mark, Wal};

/// Requests to the management API under way at once.
const AT_ONCE: usize = 64;
/// How long the slowest negotiation may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is left to do on either side after the last event.
const SETTLE: Duration = Duration::from_millis(100);

type Events = UnboundedReceiver<Event>;

async fn finalized(api: &Management) -> Result<Events> {
    follow_kind(api, 0, Some("negotiation.finalized")).await
}

/// Waits for the next event of a stream.
pub async fn next(events: &mut Events, what: &str) -> Result<Event> {
    let event = tokio::time::timeout(PATIENCE, events.recv()).await;
    event.ok().flatten().context(format_args!("{what}: no event within {} s", PATIENCE.as_secs()))
}

/// What one negotiation after the other has shown.
pub struct Sequence {
    /// From the command to the consumer's FINALIZED, median in ms.
    pub median_ms: f64,
    /// Durable commits of both sides in one negotiation, median.
    pub commits: f64,
    /// Id of the last agreement.
    pub agreement: String,
}

/// `count` negotiations, each begun when the one before has ended. Beside each, the disk is measured.
pub async fn in_sequence(cities: &Cities, count: usize, disk: &mut Disk) -> Result<Sequence> {
    let api = cities.consumer.api();
    let (mut ours, mut theirs) = (finalized(api).await?, finalized(cities.provider.api()).await?);
    let (mut times, mut commits, mut agreement) = (Vec::new(), Vec::new(), String::new());
    // The first one opens connections and compiles policies.
    for number in 0..=count {
        let before = marks(cities)?;
        let began = Instant::now();
        let begun = api.post("/negotiations", cities.wanted()).await?;
        let done = next(&mut ours, "the consumer's FINALIZED").await?;
        let took = ms(began.elapsed());
        next(&mut theirs, "the provider's FINALIZED").await?;
        if done.subject != text(&begun, "id") {
            return Err(Error::new(format!("{} was awaited, {} is finalized", text(&begun, "id"), done.subject)));
        }
        tokio::time::sleep(SETTLE).await;
        agreement = text(&api.process(Kind::Negotiation, &done.subject).await?, "agreementId").to_owned();
        disk.commit(5)?;
        if number > 0 {
            times.push(took);
            commits.extend(commits_between(&before, &marks(cities)?));
        }
    }
    Ok(Sequence { median_ms: median(&times), commits: median(&commits), agreement })
}

fn marks(cities: &Cities) -> Result<Vec<Mark>> {
    cities.logs.iter().map(Wal::mark).collect()
}

fn commits_between(before: &[Mark], after: &[Mark]) -> Option<f64> {
    let both: Option<Vec<u64>> = before.iter().zip(after).map(|(before, after)| after.since(before)).collect();
    Some(whole(both?.iter().sum()))
}

/// Many negotiations begun as fast as the API takes them.
pub async fn at_once(cities: &Cities, extent: &Extent, report: &mut Report) -> Result<()> {
    let count = extent.negotiations_at_once;
    let sides = [&cities.consumer, &cities.provider];
    let before = agreements(cities.consumer.api()).await?;
    let mut events = [finalized(sides[0].api()).await?, finalized(sides[1].api()).await?];
    for events in &mut events {
        for _ in 0..before.len() {
            next(events, "the events so far").await?;
        }
    }
    let work = [cpu_ms(sides[0].control.id())?, cpu_ms(sides[1].control.id())?];
    let began = Instant::now();
    let api = cities.consumer.api();
    let begin = stream::iter((0..count).map(|_| api.post("/negotiations", cities.wanted())));
    let begin = begin.buffer_unordered(AT_ONCE).map_ok(|begun| text(&begun, "id").to_owned());
    let [ours, theirs] = &mut events;
    let (begun, ours, theirs) =
        tokio::try_join!(begin.try_collect::<BTreeSet<_>>(), take(ours, count), take(theirs, count))?;
    let took = began.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;

    let number = whole(count as u64);
    report.add(format!("{count} negotiations at once"), "1/s", Budget::AtLeast(200.0), number / took);
    for ((side, name), before) in sides.iter().zip(["consumer", "provider"]).zip(work) {
        let each = (cpu_ms(side.control.id())? - before) / number;
        report.add(format!("CPU of each, {name}"), "ms", Budget::AtMost(2.0), each);
    }
    let (here, there) = (agreements(sides[0].api()).await?, agreements(sides[1].api()).await?);
    let finished =
        begun.intersection(&ours).count().min(theirs.len()).min(here.intersection(&there).count() - before.len());
    report.add("of these lost", "", Budget::AtMost(0.0), number - whole(finished as u64));
    for (side, name) in sides.iter().zip(["consumer", "provider"]) {
        let memory = resident_mib(side.control.id())?;
        report.add(format!("resident memory after these, {name}"), "MiB", Budget::None, memory);
    }
    Ok(())
}

/// The processes that the next `count` events are about, or fewer when no more come.
async fn take(events: &mut Events, count: usize) -> Result<BTreeSet<String>> {
    let mut subjects = BTreeSet::new();
    while subjects.len() < count {
        match tokio::time::timeout(PATIENCE, events.recv()).await {
            Ok(Some(event)) => drop(subjects.insert(event.subject)),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(subjects)
}

async fn agreements(api: &Management) -> Result<BTreeSet<String>> {
    Ok(api.all("/agreements").await?.iter().map(|agreement| text(agreement, "id").to_owned()).collect())
}
