//! The watch over running streams: what was allowed when a stream began may stop being allowed while it runs.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::DataFlowState;

use crate::clock::now_ms;
use crate::flow::{Flow, Live, Run, moves};
use crate::plane::Plane;
use crate::store::{Change, Kind};
use crate::usage;

/// Time between two looks. A stream outlives its permission by no more than this.
const PERIOD: Duration = Duration::from_millis(200);
/// Time between two clean-ups.
const SWEEP: Duration = Duration::from_secs(3600);
/// How long a flow that has ended can be asked for, in milliseconds.
const KEEP_ENDED_MS: i64 = 7 * 24 * 3600 * 1000;

/// Looks again and again; never ends.
pub(crate) async fn keep_watch(plane: Arc<Plane>) {
    let mut looks = tokio::time::interval(PERIOD);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        looks.tick().await;
        let now = now_ms();
        for flow in plane.flows.select(is_busy) {
            if let Err(refusal) = usage::go_on(&plane, &flow, now) {
                tracing::info!(flow = flow.terms.id, %refusal, "running streams are cut");
                expel(&flow).await;
            }
        }
    }
}

/// Forgets flows that ended long ago; never ends.
pub(crate) async fn keep_clean(plane: Arc<Plane>) {
    let mut sweeps = tokio::time::interval(SWEEP);
    loop {
        sweeps.tick().await;
        let limit = now_ms() - KEEP_ENDED_MS;
        for flow in plane.flows.select(|flow| has_ended_before(&flow.live(), limit)) {
            match plane.store.write(vec![Change::forget(Kind::Flow, &flow.terms.id)]).await {
                Ok(()) => plane.flows.remove(&flow),
                Err(error) => tracing::error!(%error, "a flow that has ended could not be forgotten"),
            }
        }
    }
}

fn is_busy(flow: &Flow) -> bool {
    flow.live().run.as_ref().is_some_and(|run| run.is_busy())
}

fn has_ended_before(live: &Live, limit_ms: i64) -> bool {
    matches!(live.state, DataFlowState::Completed | DataFlowState::Terminated) && live.changed_ms < limit_ms
}

/// Cuts all streams of a flow. Its state stays: the rules may allow new requests later.
async fn expel(flow: &Flow) {
    let _gate = flow.gate.lock().await;
    let live = flow.live();
    let Some(run) = &live.run else { return };
    let terms = &flow.terms;
    if crate::lifecycle::is_push_of_ours(terms) {
        // The push ends itself, and tells why.
        run.cut();
        return;
    }
    let fresh = moves(terms.role, terms.direction, live.state).then(|| Arc::new(Run::default()));
    flow.publish(Live { run: fresh, ..(*live).clone() });
}
