//! Making a registration, keeping it, and taking it away.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::DataFlowState;
use secrecy::ExposeSecret;

use super::registration::{Shown, Way, registration};
use super::{ContextSource, Record, learn};
use crate::broker::{OwnBroker, digest};
use crate::clock::now_ms;
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::signaling::callback::jittered;
use crate::store::{Change, Kind};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest time between two looks whether the broker still has it.
const LOOK: Duration = Duration::from_secs(60);

/// Registers the flow and looks after that, until the flow's run or the program ends.
pub(super) async fn register(plane: &Arc<Plane>, flow: &Arc<Flow>, source: &ContextSource) {
    let Some(run) = flow.live().run.clone() else { return };
    let ended = run.ended();
    let mut shown = None;
    let mut pause = FIRST_PAUSE;
    while !ended.is_cancelled() && !plane.over.is_cancelled() {
        let wait = match settle(plane, flow, source, &mut shown).await {
            Ok(wait) => {
                pause = FIRST_PAUSE;
                source.seen().fault = None;
                wait
            }
            Err(problem) => {
                tracing::warn!(flow = flow.terms.id, %problem, "a context source is registered later");
                source.seen().fault = Some(problem.to_string());
                let wait = jittered(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = ended.cancelled() => {}
            () = plane.over.cancelled() => {}
        }
    }
}

/// Sees to it that the broker has the registration as it must be. Gives the time until the next look.
async fn settle(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    source: &ContextSource,
    shown: &mut Option<Shown>,
) -> Result<Duration, Problem> {
    let record = source.record();
    let settings = plane.broker(&record.broker)?;
    let broker = OwnBroker::named(plane, &record.broker)?;
    let shown = match shown {
        Some(shown) => shown,
        None => shown.insert(learn::shown(plane, flow, settings).await?),
    };
    source.seen().types.clone_from(&shown.types);
    let local = settings.local_url.as_deref().unwrap_or(&plane.config.local.public_url);
    let endpoint = format!("{local}/flows/{}", flow.terms.process_id);
    let authorization = plane.config.local_token.as_ref().map(|token| format!("Bearer {}", token.expose_secret()));
    let way = Way { endpoint: &endpoint, authorization: authorization.as_deref(), context: &settings.context };
    let wanted = registration(&record.id, shown, &way);
    let digest = digest(&wanted);
    let there = record.made && broker.has_registration(&record.id).await?;
    if !there || record.digest.as_ref() != Some(&digest) {
        if there {
            broker.withdraw(&record.id).await?;
        }
        // Before the broker hears of it, so that it is taken away after a crash as well.
        source.keep(plane, Record { made: true, digest: None, ..record.clone() }).await?;
        broker.register(&wanted).await?;
        source.keep(plane, Record { made: true, digest: Some(digest), ..record.clone() }).await?;
        tracing::info!(flow = record.flow, registration = record.id, "a context source is registered");
    }
    source.seen().there_ms = Some(now_ms());
    Ok(LOOK.min(settings.reconcile))
}

/// Takes a registration away; `false` when the program ends or the flow runs again before that is done.
pub(super) async fn withdraw(plane: &Plane, source: &ContextSource, over: bool) -> bool {
    let mut pause = FIRST_PAUSE;
    while let Err(problem) = take_away(plane, source, over).await {
        tracing::warn!(flow = source.record().flow, %problem, "a context source is withdrawn later");
        source.seen().fault = Some(problem.to_string());
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = plane.over.cancelled() => return false,
        }
        let flow = plane.flows.by_id(&source.record().flow);
        if flow.is_some_and(|flow| flow.live().state == DataFlowState::Started) {
            return false;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    source.seen().fault = None;
    true
}

async fn take_away(plane: &Plane, source: &ContextSource, over: bool) -> Result<(), Problem> {
    let record = source.record();
    if record.made {
        OwnBroker::named(plane, &record.broker)?.withdraw(&record.id).await?;
        tracing::info!(flow = record.flow, registration = record.id, "a context source is withdrawn");
    }
    if over {
        return plane.write(vec![Ok(Change::forget(Kind::Registration, &record.flow))]).await;
    }
    source.keep(plane, Record { made: false, digest: None, ..record }).await
}
