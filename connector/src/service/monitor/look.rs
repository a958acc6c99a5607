//! Decides running transfers anew, a page at a time, and takes the step that follows.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use policy::{Policy, Scope};
use serde_json::Value;

use crate::app::App;
use crate::service::decide::{Asking, Judged, Known, Occasion, Question, Use, judge_by};
use crate::service::transfer::{self, Command, about, asking};
use crate::service::{ServiceError, ServiceResult};
use crate::store::running::{self, Which};
use crate::store::transfer::Model;
use crate::store::{agreements, now_ms};

/// Code of a suspension because the agreement does not hold now.
const DENIES: &str = "policy_denies";
/// Steps that are taken at the same time, so that they share commits.
const TOGETHER: usize = 64;
/// How often running transfers are held against the operator's own rules, ms, when nothing else gives cause.
const SITE_MS: i64 = 10_000;
/// When a step that failed is tried again, ms.
const AGAIN_MS: i64 = 1000;

/// A transfer that was looked at.
pub(super) struct Seen {
    /// Its id.
    pub transfer: String,
    /// When the decision can change by itself, ms.
    pub next_at: Option<i64>,
}

/// What follows from a decision.
enum Step {
    Hold(ServiceError, Option<Box<Judged>>),
    Resume,
}

/// Looks at the watched transfers, of those that run at this use, with an id after `after`, as many as a page has; none ends the list.
pub(super) async fn page(app: &Arc<App>, which: &Which, usage: Use, after: &str) -> ServiceResult<Vec<Seen>> {
    let rows = running::watched(&app.store, app.context(), which, after).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let policies = policies(app, &rows).await?;
    let asked = rows.iter().filter_map(|row| {
        let policy = policies.get(row.agreement_id.as_str())?.as_ref().ok()?;
        Some(Question { policy, dataset: Some(&row.dataset_id), agreement: Some(&row.agreement_id) })
    });
    let known = Known::read(app, app.store.reads(), asked).await?;
    let mut seen = Vec::with_capacity(rows.len());
    let mut steps = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let (step, next_at) = match policies.get(row.agreement_id.as_str()) {
            Some(Ok(policy)) => decide(app, &known, policy, row, usage)?,
            Some(Err(error)) => (hold_unread(row, error), None),
            None => (hold_unread(row, &ServiceError::internal("a transfer has lost its agreement")), None),
        };
        seen.push(Seen { transfer: row.id.clone(), next_at });
        steps.extend(step.map(|step| (place, step)));
    }
    let rows = &rows;
    let taken = futures_util::stream::iter(steps).map(|(place, step)| async move {
        match rows.get(place) {
            Some(row) => (place, take(app, row, step).await),
            None => (place, true),
        }
    });
    let taken: Vec<(usize, bool)> = taken.buffer_unordered(TOGETHER).collect().await;
    for (place, _) in taken.into_iter().filter(|(_, settled)| !settled) {
        if let Some(seen) = seen.get_mut(place) {
            seen.next_at = Some(now_ms().saturating_add(AGAIN_MS));
        }
    }
    Ok(seen)
}

/// The policies of the agreements, each compiled once.
async fn policies<'r>(app: &App, rows: &'r [Model]) -> ServiceResult<HashMap<&'r str, ServiceResult<Policy>>> {
    let ids = rows.iter().map(|row| row.agreement_id.as_str());
    let bodies = agreements::bodies(app.store.reads(), app.context(), "provider", ids.clone()).await?;
    let compiled = ids.filter_map(|id| Some((id, bodies.get(id)?)));
    Ok(compiled.map(|(id, body)| (id, app.decisions.compile_agreement(body))).collect())
}

fn decide(
    app: &App,
    known: &Known,
    policy: &Policy,
    row: &Model,
    usage: Use,
) -> ServiceResult<(Option<Step>, Option<i64>)> {
    let claims: Value = serde_json::from_str(&row.claims).unwrap_or_default();
    // What runs may go on with what it was given; what stands still asks for more.
    let usage = if row.state == "STARTED" { usage } else { Use::Next };
    let asking = Asking { usage, ..asking(row, &claims) };
    let judged = judge_by(app, known, policy, Scope::Transfer, &asking)?;
    // Nobody can tell when the operator's own rules change their mind.
    let site = app.site.are_there().then(|| now_ms().saturating_add(SITE_MS));
    let next_at = judged.decision.valid_until_ms.into_iter().chain(known.next_change(policy)).chain(site).min();
    // A decision that could not be taken is not valid for a moment; it is tried again, but not at once.
    let now = judged.facts.now_ms;
    let next_at = next_at.map(|at| if at > now { at } else { now.saturating_add(AGAIN_MS) });
    let step = match (row.state.as_str(), judged.refusal()) {
        ("STARTED", Some(why)) => Some(Step::Hold(ServiceError { code: DENIES, ..why }, Some(Box::new(judged)))),
        ("SUSPENDED", None) => Some(Step::Resume),
        _ => None,
    };
    Ok((step, next_at))
}

/// A policy that is not understood any more allows nothing.
fn hold_unread(row: &Model, why: &ServiceError) -> Option<Step> {
    (row.state == "STARTED").then(|| Step::Hold(why.clone(), None))
}

/// Takes the step; false when it has to be tried again.
async fn take(app: &Arc<App>, row: &Model, step: Step) -> bool {
    let (command, doing) = match step {
        Step::Hold(why, judged) => {
            tracing::info!(transfer = %row.id, code = why.code, reason = %why.message, "a transfer is held");
            let decision = judged.and_then(|judged| judged.record(app, Occasion::Monitor, &about(row)).ok());
            (Command::Hold { why, decision: decision.map(Box::new) }, "suspend")
        }
        Step::Resume => {
            tracing::info!(transfer = %row.id, "a transfer that was held goes on");
            (Command::Resume, "resume")
        }
    };
    match transfer::command(app, &row.id, command).await {
        Ok(_) => true,
        // It has gone on meanwhile: by a partner, an operator or another replica, whose event brings us here again.
        Err(error) if error.kind != crate::service::Kind::Internal => {
            tracing::debug!(transfer = %row.id, %error, doing, "a step of the monitor is not needed");
            true
        }
        Err(error) => {
            tracing::warn!(transfer = %row.id, %error, doing, "a step of the monitor failed; it is tried again");
            false
        }
    }
}
