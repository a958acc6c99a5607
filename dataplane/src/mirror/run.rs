//! The work of a mirror while its flow runs.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::pass::Work;
use super::record::{Phase, Record};
use super::{Mirror, write};
use crate::clock::now_ms;
use crate::flow::Flow;
use crate::partner;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::signaling::callback::jittered;
use crate::subscription::consumer::{Opened, Tap};
use crate::subscription::queue::Notification;
use ngsi_ld_filter::context_link;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Works until the flow's run or the program ends. A write that has begun is waited for, so that nothing is on its way to the
/// broker when this returns.
pub(super) async fn run(plane: &Arc<Plane>, flow: &Arc<Flow>, mirror: &Mirror) {
    let Some(run) = flow.live().run.clone() else { return };
    let ended = run.ended();
    let mut running = Running { plane, flow, mirror, ended: ended.clone(), tap: Changes::Unknown, dropped: 0 };
    let mut pause = FIRST_PAUSE;
    while !running.is_over() {
        match running.step().await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                mirror.seen().fault = None;
            }
            Err(_) if running.is_over() => break,
            Err(problem) => {
                tracing::warn!(flow = flow.terms.id, %problem, "a mirror waits");
                mirror.seen().fault = Some(problem.to_string());
                let _ = running.unless_over(tokio::time::sleep(jittered(pause))).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// How changes come.
enum Changes {
    Unknown,
    Told(Tap),
    /// The partner does not offer that.
    NotTold,
}

struct Running<'a> {
    plane: &'a Arc<Plane>,
    flow: &'a Arc<Flow>,
    mirror: &'a Mirror,
    ended: CancellationToken,
    tap: Changes,
    /// Notifications that were dropped on their way, as far as a pass has made up for them.
    dropped: u64,
}

impl Running<'_> {
    fn is_over(&self) -> bool {
        self.ended.is_cancelled() || self.plane.over.is_cancelled()
    }

    /// Waits for this, but not beyond the end.
    async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.ended.cancelled() => None,
            () = self.plane.over.cancelled() => None,
        }
    }

    /// One subscription, batch of changes or page; or waits when there is nothing to do.
    async fn step(&mut self) -> Result<(), Problem> {
        let record = self.mirror.record();
        let broker = self.plane.broker(&record.broker)?;
        let work = Work { plane: self.plane, flow: self.flow, mirror: self.mirror, broker };
        // Before the first page, so that nothing falls between.
        if matches!(self.tap, Changes::Unknown) {
            return self.subscribe(&broker.context).await;
        }
        if let Changes::Told(tap) = &self.tap {
            let waiting = tap.waiting();
            self.mirror.seen().waiting = tap.len();
            if !waiting.is_empty() {
                return self.write(record, &broker.context, waiting).await;
            }
        }
        match record.phase.clone() {
            Phase::Reading { page, types } => match self.unless_over(work.read(&page)).await {
                Some(read) => work.take(record, read?, types).await,
                None => Ok(()),
            },
            Phase::Sweeping => work.sweep(record).await,
            Phase::Following => {
                let dropped = match &self.tap {
                    Changes::Told(tap) => tap.dropped(self.plane),
                    _ => 0,
                };
                let left = match record.passed_ms {
                    Some(passed) if !record.due && dropped == self.dropped => {
                        let since = u64::try_from(now_ms().saturating_sub(passed)).unwrap_or_default();
                        broker.reconcile.saturating_sub(Duration::from_millis(since))
                    }
                    _ => Duration::ZERO,
                };
                self.dropped = dropped;
                if left.is_zero() {
                    let again = record.pass > 0 && matches!(self.tap, Changes::NotTold);
                    work.begin(record).await?;
                    if again {
                        // The agreement may admit at another hour what it refused before.
                        self.tap = Changes::Unknown;
                    }
                    return Ok(());
                }
                let news = async {
                    match &self.tap {
                        Changes::Told(tap) => tap.news().await,
                        _ => std::future::pending().await,
                    }
                };
                // A clock that was set back must not put a pass off for long.
                let _ = self.unless_over(tokio::time::timeout(left.min(broker.reconcile), news)).await;
                Ok(())
            }
        }
    }

    /// Asks the partner to tell of changes. One that does not offer that is read from time to time only.
    async fn subscribe(&mut self, context: &str) -> Result<(), Problem> {
        let told = json!({"format": "normalized", "endpoint": {"accept": "application/json"}});
        let body =
            Map::from_iter([("type".to_owned(), Value::from("Subscription")), ("notification".to_owned(), told)]);
        let opening = Tap::open(self.plane, self.flow, body, context_link(context));
        let Some(opened) = self.unless_over(opening).await else { return Ok(()) };
        self.tap = match opened? {
            Opened::Taken(tap) => {
                self.dropped = tap.dropped(self.plane);
                Changes::Told(tap)
            }
            Opened::Refused(status) if status == StatusCode::TOO_MANY_REQUESTS => return Err(partner::refused(status)),
            Opened::Refused(status) => {
                let flow = &self.flow.terms.id;
                tracing::info!(flow, status = status.as_u16(), "the partner tells no changes; passes find them");
                Changes::NotTold
            }
        };
        self.mirror.seen().subscribed = Some(matches!(self.tap, Changes::Told(_)));
        Ok(())
    }

    /// Writes what was told. What cannot be written as it came is read again by a pass.
    async fn write(&self, record: Record, context: &str, told: Vec<Notification>) -> Result<(), Problem> {
        let Changes::Told(tap) = &self.tap else { return Ok(()) };
        let last = told.last().map(|notification| notification.sequence).unwrap_or_default();
        let mut entities = Vec::new();
        let mut missed = false;
        for notification in told {
            let named: Vec<String> = notification.context.into_iter().collect();
            match notification.data {
                Value::Array(data) if partner::is_named(context, &named) => entities.extend(data),
                _ => missed = true,
            }
        }
        let record = Record { due: record.due || missed, ..record };
        write::write(self.plane, self.mirror, record, entities).await?;
        tap.taken(self.plane, self.flow, last).await;
        Ok(())
    }
}
