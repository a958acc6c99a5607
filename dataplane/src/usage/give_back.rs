//! What is granted and not spent goes back when the program ends in order; after a crash nobody knows how much it was.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::{UsageMeter, UsageReturn, usage_path};
use http::Method;
use uuid::Uuid;

use super::Account;
use crate::flow::Flow;
use crate::plane::Plane;
use crate::signaling::callback::tell;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives back all of it. To be called when nothing is served any more; what the control plane does not take is lost.
pub(crate) async fn give_back(plane: &Plane) {
    if !plane.is_seen() {
        return;
    }
    let mut done: Vec<Arc<Account>> = Vec::new();
    let returning = async {
        for flow in plane.flows.select(|flow| flow.used_account().is_some()) {
            let Some(account) =
                flow.used_account().filter(|account| !done.iter().any(|done| Arc::ptr_eq(done, account)))
            else {
                continue;
            };
            done.push(Arc::clone(account));
            for (meter, units) in account.give_up() {
                if let Err(reason) = send(plane, &flow, meter, units).await {
                    tracing::warn!(flow = flow.terms.id, meter = meter.as_wire(), units, reason, "uses are lost");
                }
            }
        }
    };
    if tokio::time::timeout(PATIENCE, returning).await.is_err() {
        tracing::warn!("the control plane does not answer in time; uses are lost");
    }
}

async fn send(plane: &Plane, flow: &Flow, meter: UsageMeter, units: u64) -> Result<(), String> {
    let url = format!("{}{}/return", plane.callback_base(flow), usage_path(&flow.terms.process_id));
    let message = UsageReturn { id: Uuid::new_v4().to_string(), meter, units };
    let answer = tell(plane, Method::POST, &url, &message.encode()).await?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("the control plane answered {}", answer.status())) }
}
