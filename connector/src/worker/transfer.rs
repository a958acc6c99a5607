//! The next step of a transfer: first the signal to the data plane, then the message to the counter-party.

use std::sync::Arc;

use super::After;
use super::delivery::{deliver, due, postpone};
use super::outcome::next_attempt;
use super::signal::{Signalled, give_signal};
use crate::app::App;
use crate::service::transfer::{self, FlowStep, Heard, flow_step, needs_flow};
use crate::service::{ServiceError, ServiceResult, data_plane};
use crate::store::now_ms;
use crate::store::transfer::Model;

pub(super) async fn step(app: &Arc<App>, id: &str) -> ServiceResult<After> {
    let Some(row) = due::<Model>(app, id).await? else { return Ok(After::Rest) };
    let failed = match signal(app, &row).await? {
        Flow::Moved => return Ok(After::Again),
        Flow::Failed(why) => Some(why),
        Flow::Still => None,
    };
    if row.owed.is_some() && !needs_flow(&row) {
        // An end or a pause is announced even when our own data plane does not answer.
        deliver(app, &row).await?;
        return Ok(After::Again);
    }
    match failed {
        Some(why) => postpone_signal(app, &row, why).await,
        None => wait_for_plane(app, &row).await,
    }
}

/// What became of the flow in this step.
enum Flow {
    /// A signal was given and its answer saved.
    Moved,
    /// The data plane could not be reached; try again.
    Failed(ServiceError),
    /// No signal is due.
    Still,
}

async fn signal(app: &Arc<App>, row: &Model) -> ServiceResult<Flow> {
    // Planes that could not be reached with the first signal of a flow.
    let mut passed = Vec::new();
    let mut unreached = None;
    loop {
        let next = match flow_step(app, row, &passed).await {
            Ok(Some(step)) => step,
            Ok(None) if transfer::forget_target(app, row).await? => return Ok(Flow::Moved),
            Ok(None) => return Ok(Flow::Still),
            Err(error) if error.kind == crate::service::Kind::Internal => return Err(error),
            Err(error) => return Ok(Flow::Failed(unreached.unwrap_or(error))),
        };
        match give(app, row, &next).await? {
            Given::Flow(flow) => return Ok(flow),
            Given::Unreached(why) => {
                passed.push(next.plane.id);
                unreached = Some(why);
            }
        }
    }
}

/// What became of one signal to one plane.
enum Given {
    Flow(Flow),
    /// Nobody has it, and another plane may get it instead.
    Unreached(ServiceError),
}

async fn give(app: &Arc<App>, row: &Model, next: &FlowStep) -> ServiceResult<Given> {
    let flow = match give_signal(app, row, next).await {
        Signalled::Done(heard) => {
            transfer::signalled(app, &row.id, next.signal, &next.plane.id, heard).await?;
            Ok(Flow::Moved)
        }
        Signalled::Unreached(why) if row.data_plane_id.is_none() => return Ok(Given::Unreached(why)),
        Signalled::Unreached(why) | Signalled::Later(why) => Ok(Flow::Failed(why)),
        Signalled::Refused(why) => {
            tracing::warn!(transfer = %row.id, signal = next.signal.as_str(), error = %why, "the data plane refuses a signal");
            transfer::fail_flow(app, row, why).await?;
            Ok(Flow::Moved)
        }
    };
    flow.map(Given::Flow)
}

async fn postpone_signal(app: &Arc<App>, row: &Model, why: ServiceError) -> ServiceResult<After> {
    // A flow that waits for its own plane goes on when that comes back.
    let waits = data_plane::is_gone(app, row.data_plane_id.as_deref()).await?;
    // A counter-party waits for the outcome: a data plane gets a minute, not the days that a peer gets.
    let patience = i64::try_from(app.config.transfer.data_plane_patience_s).unwrap_or(60).saturating_mul(1000);
    if !waits && now_ms() - row.owed_since > patience {
        transfer::fail_flow(app, row, why).await?;
        return Ok(After::Again);
    }
    let at = next_attempt(app, row.attempts, row.owed_since)?.unwrap_or_else(now_ms);
    postpone(app, row, at, why).await?;
    Ok(After::Rest)
}

/// An asynchronous data plane calls back; if it does not, it is asked, and after a while given up.
async fn wait_for_plane(app: &Arc<App>, row: &Model) -> ServiceResult<After> {
    if !matches!(row.flow_state.as_deref(), Some("PREPARING" | "STARTING")) {
        return Ok(After::Rest);
    }
    if row.attempts > 0
        && let Some(status) = super::signal::ask_status(app, row).await
        && status.state.as_wire() != row.flow_state.as_deref().unwrap_or_default()
    {
        let signal = dps_signaling::Signal::StartDone;
        let plane = row.data_plane_id.clone().unwrap_or_default();
        transfer::signalled(app, &row.id, signal, &plane, Heard::State(status)).await?;
        return Ok(After::Again);
    }
    let why = ServiceError::unavailable("data_plane_slow", "the data plane has not called back yet");
    postpone_signal(app, row, why).await
}
