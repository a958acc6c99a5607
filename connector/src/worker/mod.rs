//! Sends what the rows owe: woken by each commit, never by a tick.
//!
//! A unit of work that leaves a row owing something wakes the worker after its commit ([`crate::store::Unit::wake`]).
//! One task at a time works on a process; a failed attempt is written to the row and comes back at its time. A slow
//! sweep finds only what a crash has left: rows whose lease has run out.

mod delivery;
mod issuance;
mod outcome;
mod outgoing;
mod signal;
mod transfer;

pub(crate) use outgoing::{Outgoing, segment};
pub(crate) use signal::authorization as data_plane_authorization;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::service::ServiceResult;
use crate::store::{Step, StepKind, Unit, leases, negotiation, now_ms};

/// How often leases that ran out are looked for. Only a crash of another replica leaves any.
const SWEEP: Duration = Duration::from_secs(15);
/// A lease must hold at least this long for an attempt to begin under it, ms: longer than any request may take.
const LEASE_MARGIN_MS: i64 = 15_000;

/// What a task does after one step.
enum After {
    /// Look at the row again: there may be more to do.
    Again,
    /// Nothing to do until something wakes the process.
    Rest,
}

/// Which processes are being worked on; `true`: woken again meanwhile.
type Active = Arc<Mutex<HashMap<(StepKind, String), bool>>>;

/// Runs until `stop`, then waits for the steps under way.
pub(crate) async fn run(app: Arc<App>, mut owing: mpsc::UnboundedReceiver<Step>, stop: CancellationToken) {
    let worker = Worker {
        active: Active::default(),
        permits: Arc::new(Semaphore::new(app.config.delivery.concurrency.max(1))),
        app,
        stop: stop.clone(),
    };
    worker.sweep(true).await;
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            step = owing.recv() => match step {
                Some(step) => worker.dispatch(step),
                None => break,
            },
            _ = sweep.tick() => worker.sweep(false).await,
        }
    }
    let all = u32::try_from(worker.app.config.delivery.concurrency.max(1)).unwrap_or(u32::MAX);
    let _finished = worker.permits.acquire_many(all).await;
}

#[derive(Clone)]
struct Worker {
    app: Arc<App>,
    active: Active,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Worker {
    /// Takes up what nobody holds; with `own`, also what this replica held before it was restarted.
    async fn sweep(&self, own: bool) {
        match leases::due(&self.app.store, own).await {
            Ok(steps) => steps.into_iter().for_each(|step| self.dispatch(step)),
            Err(error) => tracing::error!(%error, "processes that owe a step could not be listed"),
        }
    }

    fn dispatch(&self, step: Step) {
        let wait = step.not_before - now_ms();
        let worker = self.clone();
        if wait > 0 {
            tokio::spawn(async move {
                let pause = Duration::from_millis(u64::try_from(wait).unwrap_or_default());
                tokio::select! {
                    () = worker.stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => worker.begin(step).await,
                }
            });
        } else {
            tokio::spawn(async move { worker.begin(step).await });
        }
    }

    /// Works on the process unless a task does so already; that one then looks once more.
    async fn begin(&self, step: Step) {
        let key = (step.kind, step.id);
        {
            let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(again) = active.get_mut(&key) {
                *again = true;
                return;
            }
            active.insert(key.clone(), false);
        }
        while !self.stop.is_cancelled() {
            let Ok(_permit) = self.permits.acquire().await else { break };
            let result = match key.0 {
                StepKind::Negotiation => negotiate(&self.app, &key.1).await,
                StepKind::Transfer => transfer::step(&self.app, &key.1).await,
                StepKind::Issuance => issuance::step(&self.app, &key.1).await,
            };
            let rest = match result {
                Ok(After::Again) => continue,
                Ok(After::Rest) => true,
                Err(error) => {
                    tracing::error!(process = %key.1, %error, "a step failed; it will be tried again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    false
                }
            };
            if rest && self.finished(&key) {
                return;
            }
        }
        self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Takes the process off the list, unless it was woken meanwhile.
    fn finished(&self, key: &(StepKind, String)) -> bool {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        match active.get_mut(key) {
            Some(again) if *again => {
                *again = false;
                false
            }
            _ => {
                active.remove(key);
                true
            }
        }
    }
}

/// The next step of a negotiation: its message.
async fn negotiate(app: &Arc<App>, id: &str) -> ServiceResult<After> {
    let Some(row) = delivery::due::<negotiation::Model>(app, id).await? else { return Ok(After::Rest) };
    delivery::deliver(app, &row).await?;
    Ok(After::Again)
}

/// Whether this replica may work on the row now: it holds the lease, or takes it.
async fn hold(app: &App, kind: StepKind, id: &str, owner: Option<&str>, until: i64) -> ServiceResult<bool> {
    if owner == Some(app.store.owner()) && until > now_ms() + LEASE_MARGIN_MS {
        return Ok(true);
    }
    let id = id.to_owned();
    app.store.write(move |unit: &mut Unit| Box::pin(async move { Ok(leases::take(unit, kind, &id).await?) })).await
}
