//! The monitor: holds running transfers to their agreements. What a rule rests on changes (an event ends, a consent is withdrawn, a
//! duty is done, an hour comes): then the transfers that it matters to are decided anew. One whose rule does not hold any more is
//! suspended, and both sides are told which rule and which fact; when it holds again, what was suspended so is resumed.
//!
//! Nothing is asked again and again: the monitor sleeps until the next moment at which a decision can change by itself, and is
//! woken by the event log and by [`Pokes`]. Everything that it needs after a restart is in the rows. Replicas all watch; a step that
//! another one has taken is refused by the row's state.

mod agenda;
mod look;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use agenda::Agenda;

use super::decide::{Use, forget_old};
use super::events::{Interest, Reader};
use super::{ServiceResult, duties};
use crate::app::App;
use crate::store::running::Which;
use crate::store::{duties as ledger, event, now_ms};

/// Longest sleep: a clock that was set meanwhile is noticed then.
const MOST: Duration = Duration::from_secs(60);
/// Pause after a failure of the database.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How often old records of decisions are looked for, ms.
const HOUSEKEEPING_MS: i64 = 60 * 60 * 1000;
/// Events taken at once.
const BATCH: usize = 1000;

/// Agreements of which somebody has asked for more than is left.
#[derive(Default)]
pub(crate) struct Pokes {
    agreements: Mutex<BTreeSet<String>>,
    wake: Notify,
}

impl Pokes {
    /// Has the transfers under an agreement decided anew, at once, by whether they may have more than was given out.
    pub(crate) fn poke(&self, agreement: &str) {
        self.agreements.lock().unwrap_or_else(PoisonError::into_inner).insert(agreement.to_owned());
        self.wake.notify_one();
    }

    /// Waits for the next ones. Dropping the future loses nothing.
    async fn next(&self) -> BTreeSet<String> {
        loop {
            let agreements = std::mem::take(&mut *self.agreements.lock().unwrap_or_else(PoisonError::into_inner));
            if !agreements.is_empty() {
                return agreements;
            }
            self.wake.notified().await;
        }
    }
}

/// What has to be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Todo {
    everything: bool,
    ledger: bool,
    transfers: BTreeSet<String>,
    agreements: BTreeSet<String>,
    /// Agreements of which more was asked for than is left.
    exhausted: BTreeSet<String>,
}

impl Todo {
    /// What an event of the log gives to look at.
    fn note(&mut self, app: &App, event: &event::Model) {
        match event.kind.as_str() {
            "transfer.started" | "transfer.suspended" => drop(self.transfers.insert(event.subject.clone())),
            "negotiation.finalized" => self.ledger = true,
            kind if kind.starts_with("declared_event.") => {
                app.decisions.forget_events();
                self.everything = true;
            }
            kind if kind.starts_with("consent.") || kind.starts_with("site_modules.") => self.everything = true,
            kind if kind.starts_with("duty.") => {
                self.ledger = true;
                let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
                self.agreements.extend(data.get("agreementId").and_then(|id| id.as_str()).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// Watches until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut reader = loop {
        match Reader::from_now(&app, Interest::default()).await {
            Ok(reader) => break reader,
            Err(error) => tracing::warn!(%error, "the monitor cannot read events yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AFTER_FAILURE) => {}
        }
    };
    let mut monitor = Monitor { app, agenda: Agenda::default(), ledger_at: None, housekeeping_at: 0 };
    let mut todo = Todo { everything: true, ledger: true, ..Todo::default() };
    loop {
        let pause = match monitor.work(&mut todo).await {
            Ok(()) => monitor.pause(),
            Err(error) => {
                tracing::warn!(%error, "the monitor could not look at running transfers; it tries again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            agreements = monitor.app.monitor.next() => todo.exhausted.extend(agreements),
            event = reader.next() => match event {
                Ok(event) => {
                    todo.note(&monitor.app, &event);
                    reader.more(BATCH).iter().for_each(|event| todo.note(&monitor.app, event));
                }
                Err(error) => {
                    tracing::warn!(%error, "the monitor cannot read events");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            },
        }
    }
}

struct Monitor {
    app: Arc<App>,
    agenda: Agenda,
    /// When a state in the ledger changes by itself, ms.
    ledger_at: Option<i64>,
    housekeeping_at: i64,
}

impl Monitor {
    /// Does what is to be done, and what its time has come for. What fails stays to be done.
    async fn work(&mut self, todo: &mut Todo) -> ServiceResult<()> {
        let now = now_ms();
        if todo.ledger || self.ledger_at.is_some_and(|at| at <= now) {
            while duties::turn(&self.app).await? {}
            self.ledger_at = ledger::next_at(&self.app.store, self.app.context()).await?;
            todo.ledger = false;
        }
        todo.transfers.extend(self.agenda.due(now));
        if todo.everything {
            self.agenda = Agenda::default();
            self.look(Which::All, Use::UnderWay).await?;
        } else {
            if !todo.agreements.is_empty() {
                self.look(Which::Agreements(todo.agreements.iter().cloned().collect()), Use::UnderWay).await?;
            }
            if !todo.transfers.is_empty() {
                self.look(Which::Ids(todo.transfers.iter().cloned().collect()), Use::UnderWay).await?;
            }
        }
        if !todo.exhausted.is_empty() {
            self.look(Which::Agreements(todo.exhausted.iter().cloned().collect()), Use::Next).await?;
        }
        *todo = Todo::default();
        if self.housekeeping_at <= now {
            while forget_old(&self.app).await? > 0 {}
            self.housekeeping_at = now.saturating_add(HOUSEKEEPING_MS);
        }
        Ok(())
    }

    async fn look(&mut self, which: Which, usage: Use) -> ServiceResult<()> {
        let mut after = String::new();
        loop {
            let page = look::page(&self.app, &which, usage, &after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.transfer);
            for seen in page {
                self.agenda.put(seen.transfer, seen.next_at);
            }
        }
    }

    fn pause(&self) -> Duration {
        let next = [self.agenda.next_at(), self.ledger_at, Some(self.housekeeping_at)].into_iter().flatten().min();
        let wait = next.map_or(i64::MAX, |at| at.saturating_sub(now_ms()));
        Duration::from_millis(u64::try_from(wait).unwrap_or_default()).min(MOST)
    }
}

#[cfg(test)]
mod tests;
