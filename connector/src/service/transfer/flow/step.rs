//! The next signal to a data plane, with all that goes into it.

use dps_signaling::{DELIVERY, Dialect, FlowRequest, Signal, profile_of_format};
use dsp_protocol::Role;
use serde_json::{Value, json};

use super::super::renewal::can_be_verified;
use super::super::row::is_push;
use super::super::wish;
use super::plan::plan;
use super::target::{RESTARTED, next_signal};
use crate::app::App;
use crate::service::data_plane::candidates;
use crate::service::process::role;
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{data_plane, registry};

/// One signal to one data plane, ready to be sent.
pub(crate) struct FlowStep {
    /// The signal.
    pub signal: Signal,
    /// The data plane.
    pub plane: data_plane::Model,
    /// Its dialect.
    pub dialect: Dialect,
    /// The flow's id in paths; empty for prepare and start.
    pub flow_id: String,
    /// The body.
    pub body: Value,
}

/// Builds the next signal of the row. A new flow is not begun at one of the planes `passed`.
///
/// # Errors
/// `no_data_plane` when none serves the format, or what reading the database brought.
pub(crate) async fn flow_step(app: &App, row: &Model, passed: &[String]) -> ServiceResult<Option<FlowStep>> {
    let Some(signal) = next_signal(row) else { return Ok(None) };
    let profile = profile_of_format(&row.format).map_or_else(|| row.format.clone(), str::to_owned);
    let plane = choose_plane(app, row, &profile, passed).await?;
    let dialect = Dialect::parse(&plane.dialect).unwrap_or(Dialect::Rc3);
    let id = row.data_flow_id.as_deref().unwrap_or_default();
    let flow_id = dps_signaling::flow_path_id(dialect, &row.id, id).to_owned();
    let message_id = message_id(row, signal);
    let address = row.data_address.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let body = match signal {
        Signal::Prepare | Signal::Start => {
            let plan = plan(app, row).await?;
            let push_start = signal == Signal::Start && is_push(row);
            let request = FlowRequest {
                message_id,
                participant_id: app.participant.clone(),
                counter_party_id: row.counter_party.clone(),
                dataspace_context: app.context().to_owned(),
                process_id: row.id.clone(),
                agreement_id: row.agreement_id.clone(),
                dataset_id: row.dataset_id.clone(),
                profile,
                claims: serde_json::from_str(&row.claims).unwrap_or_else(|_| json!({})),
                metadata: metadata(app, row, &plan)?,
                labels: Vec::new(),
                data_address: if push_start { address } else { None },
                callback_address: Some(app.signaling_address.clone()),
            };
            request.encode(dialect)
        }
        Signal::Started | Signal::Resume => {
            let consumer_pull = role(row) == Role::Consumer && !is_push(row);
            let data_address = if consumer_pull { address } else { None };
            dps_signaling::ResumeMessage { message_id: Some(message_id), data_address }.encode(dialect)
        }
        Signal::Suspend => {
            let reason = termination_text(row);
            let mut body = dps_signaling::SuspendMessage { message_id: Some(message_id), reason }.encode(dialect);
            // A data plane of ours lets what is under way come to its end, and new readers wait for the resumption.
            let swap = row.flow_target.as_deref() == Some(RESTARTED) && role(row) == Role::Consumer && !is_push(row);
            if swap
                && plane.presence.is_some()
                && let Some(members) = body.as_object_mut()
            {
                members.insert(dps_signaling::presence::SWAP.to_owned(), Value::from(true));
            }
            body
        }
        _ => {
            let reason = termination_text(row);
            dps_signaling::TerminateMessage { message_id: Some(message_id), reason }.encode(dialect)
        }
    };
    Ok(Some(FlowStep { signal, plane, dialect, flow_id, body }))
}

/// The plan; for the provider's plane whether we can say who comes for a new token of the flow; for the consumer's what it does
/// with the data.
fn metadata(app: &App, row: &Model, plan: &policy_plan::EnforcementPlan) -> ServiceResult<Value> {
    let plan = policy_plan::sign(plan, &app.signer).map_err(ServiceError::internal)?;
    let renewable = role(row) == Role::Provider && !is_push(row) && can_be_verified(app, &row.counter_party);
    let renewal = renewable.then(|| ("renewal".to_owned(), json!(true)));
    let delivery = wish::delivery(row).filter(|_| role(row) == Role::Consumer);
    let delivery = delivery.map(|wish| (DELIVERY.to_owned(), wish.encode()));
    let members = [("plan".to_owned(), json!(plan))].into_iter().chain(renewal).chain(delivery);
    Ok(Value::Object(members.collect()))
}

/// The same for every attempt at one signal, also after a restart: a plane whose answer was lost knows it again and gives
/// its answer once more. A flow is begun once at each plane that it comes to; the other signals can come again later, and then in another
/// step.
fn message_id(row: &Model, signal: Signal) -> String {
    match signal {
        Signal::Start if row.moves > 0 => format!("{}:{}:{}", row.id, signal.as_str(), row.moves),
        Signal::Prepare | Signal::Start => format!("{}:{}", row.id, signal.as_str()),
        _ => format!("{}:{}:{}", row.id, signal.as_str(), row.owed_since),
    }
}

fn termination_text(row: &Model) -> Option<String> {
    let stored: Value = serde_json::from_str(row.termination.as_deref()?).ok()?;
    let first = stored.get("reason")?.as_array()?.first()?;
    Some(crate::service::reason::reason_text(first))
}

/// The plane that already has the flow, or the first of those that serve the profile and are not among `passed`.
async fn choose_plane(app: &App, row: &Model, profile: &str, passed: &[String]) -> ServiceResult<data_plane::Model> {
    if let Some(id) = &row.data_plane_id {
        let found = registry::find::<data_plane::Entity>(app.store.reads(), app.context(), id).await?;
        return found.ok_or_else(|| {
            ServiceError::unavailable("data_plane_gone", format!("data plane `{id}` is not registered"))
        });
    }
    let candidates = candidates(app, &row.id, [profile, &row.format]).await?;
    let mut fitting = candidates.into_iter().filter(|plane| wish::can_deliver(plane, row));
    fitting.find(|plane| !passed.contains(&plane.id)).ok_or_else(|| {
        ServiceError::unavailable("no_data_plane", format!("no data plane is registered for format `{}`", row.format))
    })
}
