//! The data flow behind a transfer: which signal its data plane needs next, what to put into it, and what its answers
//! mean (Data Plane Signaling, sections 2 to 5).

use std::sync::Arc;

use dps_signaling::{Callback, DataFlowState, Dialect, FlowRequest, Signal, StatusMessage, profile_of_format};
use dsp_protocol::transfer::{DataAddress, Role, TransferMessage};
use policy_plan::{Admission, Conflict, EnforcementPlan, Expr, Residual, ResidualRule, Truth};
use serde_json::{Value, json};

use super::local::{announce_readable, readable};
use super::row::{RESTARTED, aim, due, is_push};
use crate::app::App;
use crate::service::dataset::DatasetBody;
use crate::service::decide::{USE, facts};
use crate::service::process::{owe, owe_termination, role, save};
use crate::service::reason::error_object;
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{Unit, agreements, data_plane, dataset, now_ms, processes, registry};

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

/// The next signal on the way from the confirmed state of the flow to the wanted one; `None` when the flow is there, or
/// has to wait (for an asynchronous data plane, or for the provider's new address).
pub(super) fn next_signal(row: &Model) -> Option<Signal> {
    let target = row.flow_target.as_deref()?;
    let provider = role(row) == Role::Provider;
    let needs_address = provider && !is_push(row);
    match (row.flow_state.as_deref(), target) {
        (None, "PREPARED") => Some(Signal::Prepare),
        (None, "STARTED") if provider => Some(Signal::Start),
        (None, "STARTED") => Some(Signal::Prepare),
        (Some("PREPARED"), "STARTED" | "SUSPENDED" | "COMPLETED") => Some(Signal::Started),
        // A start whose answer was lost: the address comes anew with a resumption.
        (Some("STARTED"), "STARTED") if needs_address && row.data_address.is_none() => Some(Signal::Suspend),
        (Some("SUSPENDED"), "STARTED" | "COMPLETED") if provider || is_push(row) || row.data_address.is_some() => {
            Some(Signal::Resume)
        }
        (Some("STARTED"), "SUSPENDED" | RESTARTED) => Some(Signal::Suspend),
        (Some("STARTED"), "COMPLETED") => Some(Signal::Completed),
        (Some("PREPARING" | "PREPARED" | "STARTING" | "STARTED" | "SUSPENDED"), "TERMINATED") => {
            Some(Signal::Terminate)
        }
        _ => None,
    }
}

/// Whether the flow has reached its target, so that it can be forgotten.
fn reached(row: &Model) -> bool {
    let Some(target) = row.flow_target.as_deref() else { return true };
    match row.flow_state.as_deref() {
        Some(state) if state == target => next_signal(row).is_none(),
        Some("COMPLETED" | "TERMINATED") => true,
        None => matches!(target, "SUSPENDED" | "COMPLETED" | "TERMINATED"),
        Some(_) => false,
    }
}

/// Builds the next signal of the row.
///
/// # Errors
/// `no_data_plane` when none serves the format, or what reading the database brought.
pub(crate) async fn flow_step(app: &App, row: &Model) -> ServiceResult<Option<FlowStep>> {
    let Some(signal) = next_signal(row) else { return Ok(None) };
    let profile = profile_of_format(&row.format).map_or_else(|| row.format.clone(), str::to_owned);
    let plane = choose_plane(app, row, &profile).await?;
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
                metadata: json!({"plan": policy_plan::sign(&plan, &app.signer).map_err(ServiceError::internal)?}),
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
            dps_signaling::SuspendMessage { message_id: Some(message_id), reason }.encode(dialect)
        }
        _ => {
            let reason = termination_text(row);
            dps_signaling::TerminateMessage { message_id: Some(message_id), reason }.encode(dialect)
        }
    };
    Ok(Some(FlowStep { signal, plane, dialect, flow_id, body }))
}

/// The same for every attempt at one signal, also after a restart: a plane whose answer was lost knows it again and gives
/// its answer once more. A flow is begun once; the other signals can come again later, and then in another step.
fn message_id(row: &Model, signal: Signal) -> String {
    match signal {
        Signal::Prepare | Signal::Start => format!("{}:{}", row.id, signal.as_str()),
        _ => format!("{}:{}:{}", row.id, signal.as_str(), row.owed_since),
    }
}

fn termination_text(row: &Model) -> Option<String> {
    let stored: Value = serde_json::from_str(row.termination.as_deref()?).ok()?;
    let first = stored.get("reason")?.as_array()?.first()?;
    Some(crate::service::reason::reason_text(first))
}

/// The plane that already has the flow, or the first that serves the profile.
async fn choose_plane(app: &App, row: &Model, profile: &str) -> ServiceResult<data_plane::Model> {
    if let Some(id) = &row.data_plane_id {
        let found = registry::find::<data_plane::Entity>(app.store.reads(), app.context(), id).await?;
        return found.ok_or_else(|| {
            ServiceError::unavailable("data_plane_gone", format!("data plane `{id}` is not registered"))
        });
    }
    let planes = registry::all::<data_plane::Entity>(&app.store, app.context()).await?;
    let serves = |plane: &data_plane::Model| {
        let profiles: Vec<String> = serde_json::from_str(&plane.profiles).unwrap_or_default();
        profiles.iter().any(|name| *name == profile || *name == row.format)
    };
    planes.into_iter().find(serves).ok_or_else(|| {
        ServiceError::unavailable("no_data_plane", format!("no data plane is registered for format `{}`", row.format))
    })
}

/// What the flow admits, for the data plane to enforce.
async fn plan(app: &App, row: &Model) -> ServiceResult<EnforcementPlan> {
    let db = app.store.reads();
    let provider = role(row) == Role::Provider;
    let (rules, source, admission) = if provider {
        let agreement = agreements::find(db, app.context(), "provider", &row.agreement_id).await?;
        let agreement = agreement.ok_or_else(|| ServiceError::internal("a transfer has lost its agreement"))?;
        let body = registry::find::<dataset::Entity>(db, app.context(), &row.dataset_id).await?;
        let body = body.ok_or_else(|| {
            ServiceError::operator("dataset_gone", format!("dataset `{}` has been removed", row.dataset_id))
        })?;
        let body = DatasetBody::parse(&body.body).map_err(ServiceError::internal)?;
        (residual(app, row, &agreement.body)?, Some(body.source), body.admission)
    } else {
        (open_rules(), None, any_request())
    };
    let (us, them) = (app.participant.clone(), row.counter_party.clone());
    let (provider, consumer) = if provider { (us, them) } else { (them, us) };
    Ok(EnforcementPlan {
        process_id: row.id.clone(),
        agreement_id: row.agreement_id.clone(),
        dataset_id: row.dataset_id.clone(),
        provider,
        consumer,
        issued_at: now_ms(),
        rules,
        source,
        admission,
        max_token_seconds: app.config.transfer.token_lifetime_s,
    })
}

fn residual(app: &App, row: &Model, agreement: &str) -> ServiceResult<Residual> {
    let policy = app.decisions.compile_agreement(agreement)?;
    let claims: Value = serde_json::from_str(&row.claims).unwrap_or_default();
    Ok(policy.residual(USE, &facts(now_ms(), &row.counter_party, &claims)))
}

/// As consumer we read what the provider lets us read; the provider's plane enforces the agreement.
fn open_rules() -> Residual {
    let rule = ResidualRule {
        id: "provider".to_owned(),
        text: "the provider's data plane enforces the agreement".to_owned(),
        when: Expr::Known(Truth::True),
    };
    Residual { permissions: vec![rule], prohibitions: Vec::new(), conflict: Conflict::default() }
}

fn any_request() -> Admission {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    Admission { methods: methods.map(str::to_owned).to_vec(), paths: vec!["/**".to_owned()], query: None }
}

/// The data plane has taken a signal and answers with the state of the flow.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn signalled(
    app: &Arc<App>,
    id: &str,
    signal: Signal,
    plane: &str,
    status: Option<StatusMessage>,
) -> ServiceResult<()> {
    let plane = plane.to_owned();
    change(app, id, move |_, row, now| {
        row.data_plane_id.get_or_insert(plane);
        let state = match (&status, signal) {
            (Some(status), _) => status.state,
            (None, Signal::Prepare) => DataFlowState::Prepared,
            (None, Signal::Suspend) => DataFlowState::Suspended,
            (None, Signal::Completed) => DataFlowState::Completed,
            (None, Signal::Terminate) => DataFlowState::Terminated,
            (None, _) => DataFlowState::Started,
        };
        take_status(row, state, status.as_ref(), now);
        Ok(false)
    })
    .await
}

fn take_status(row: &mut Model, state: DataFlowState, status: Option<&StatusMessage>, now: i64) {
    row.flow_state = Some(state.as_wire().to_owned());
    if let Some(status) = status {
        if !status.data_flow_id.is_empty() {
            row.data_flow_id = Some(status.data_flow_id.clone());
        }
        let ours = match role(row) {
            Role::Provider => !is_push(row),
            Role::Consumer => is_push(row),
        };
        if ours && let Some(address) = &status.data_address {
            row.data_address = Some(complete_address(address).to_string());
        }
    }
    if state == DataFlowState::Suspended && row.flow_target.as_deref() == Some(RESTARTED) {
        row.flow_target = Some("STARTED".to_owned());
    }
    if reached(row) {
        row.flow_target = None;
    }
    due(row, now);
}

/// Forgets a target that is reached; `false`: there is none, or it is not reached. Only the worker may ask, since it knows
/// that no signal is under way.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn forget_target(app: &Arc<App>, row: &Model) -> ServiceResult<bool> {
    if row.flow_target.is_none() || !reached(row) {
        return Ok(false);
    }
    change(app, &row.id, |_, row, now| {
        if row.flow_target.is_some() && reached(row) {
            row.flow_target = None;
            due(row, now);
        }
        Ok(false)
    })
    .await?;
    Ok(true)
}

/// The address in the form that all our peers read: with its types, and with EDC's names beside the standard's.
fn complete_address(address: &Value) -> Value {
    DataAddress::parse(address).map_or_else(|_| address.clone(), |address| address.to_value())
}

/// The data plane cannot do what the transfer needs: we end the transfer and tell the counter-party.
///
/// # Errors
/// When the row cannot be saved.
pub(crate) async fn fail_flow(app: &Arc<App>, id: &str, why: ServiceError) -> ServiceResult<()> {
    change(app, id, move |app, row, now| {
        row.flow_target = None;
        let ending = row.owed.as_deref() == Some(TransferMessage::Termination.as_str());
        let over = matches!(row.settled.as_deref(), Some("COMPLETED" | "TERMINATED"));
        if ending || over {
            return Ok(false);
        }
        // The counter-party learns that we cannot, not how our inside looks.
        owe_termination(app, row, "data_plane_failed", "the data plane cannot serve the transfer", Some(&why), now)?;
        row.flow_target = None;
        if row.flow_state.is_some() {
            aim(row, "TERMINATED", now);
        }
        Ok(true)
    })
    .await
}

/// A call of the data plane about one of its flows.
///
/// # Errors
/// `not_found` for an unknown process, 400 when the event does not fit its state.
pub(crate) async fn callback(
    app: &Arc<App>,
    id: &str,
    event: Callback,
    status: Option<StatusMessage>,
) -> ServiceResult<()> {
    if processes::find::<Model>(app.store.reads(), app.context(), id).await?.is_none() {
        return Err(ServiceError::not_found(format!("no transfer `{id}`")));
    }
    change(app, id, move |app, row, now| {
        let over = matches!(row.settled.as_deref(), Some("COMPLETED" | "TERMINATED"));
        match event {
            Callback::Prepared if row.flow_state.as_deref() == Some("PREPARED") => Ok(false),
            Callback::Started if row.flow_state.as_deref() == Some("STARTED") => Ok(false),
            Callback::Completed if row.flow_state.as_deref() == Some("COMPLETED") => Ok(false),
            _ if over => Err(ServiceError::bad_request("transfer_over", "the transfer has ended")),
            Callback::Prepared => Ok(confirm(row, DataFlowState::Prepared, status.as_ref(), now)),
            Callback::Started => Ok(confirm(row, DataFlowState::Started, status.as_ref(), now)),
            Callback::Completed => {
                confirm(row, DataFlowState::Completed, status.as_ref(), now);
                row.flow_target = None;
                owe(app, row, TransferMessage::Completion, now)?;
                Ok(true)
            }
            Callback::Errored => {
                let text = status.as_ref().and_then(|status| status.error.clone());
                let text = text.unwrap_or_else(|| "the data plane reports a fault without saying which".to_owned());
                row.error = Some(error_object(&ServiceError::unavailable("data_flow_error", text)).to_string());
                Ok(true)
            }
        }
    })
    .await
}

fn confirm(row: &mut Model, state: DataFlowState, status: Option<&StatusMessage>, now: i64) -> bool {
    take_status(row, state, status, now);
    false
}

/// Changes the row; `true` from `change` means that it is worth an event. That the data can be read from now on is one in any
/// case.
async fn change<F>(app: &Arc<App>, id: &str, change: F) -> ServiceResult<()>
where
    F: FnOnce(&App, &mut Model, i64) -> ServiceResult<bool> + Send + 'static,
{
    let shared = app.clone();
    let id = id.to_owned();
    app.store
        .write(move |unit: &mut Unit| {
            Box::pin(async move {
                let Some(mut row) = processes::lock::<Model>(unit, shared.context(), &id).await? else { return Ok(()) };
                let (settled_before, readable_before) = (row.settled.clone(), readable(&row));
                let row = if change(&shared, &mut row, unit.now())? {
                    save(unit, row, settled_before.as_deref(), None).await?
                } else {
                    processes::update(unit, row).await?
                };
                if readable(&row) && !readable_before {
                    announce_readable(unit, &row).await?;
                }
                Ok::<_, ServiceError>(())
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::super::receive::blank;
    use super::super::row::aim;
    use super::*;
    use crate::store::events::{self, EventQuery};

    const ADDRESS: &str = "{}";

    /// A consumer's or provider's pull whose flow is in `state` on its way to `target`.
    async fn row(role: &str, state: Option<&str>, target: Option<&str>) -> Model {
        let (_folder, app) = crate::testing::app().await;
        let mut row = blank(&app, role, "urn:uuid:1".to_owned(), "did:web:them.example", "http://127.0.0.1:1");
        row.format = "HttpData-PULL".to_owned();
        row.flow_state = state.map(str::to_owned);
        row.flow_target = target.map(str::to_owned);
        row
    }

    #[tokio::test]
    async fn a_target_is_dropped_only_while_no_signal_is_under_way() {
        let table = [
            (Some("STARTED"), None, "STARTED", None),
            (Some("STARTED"), None, "SUSPENDED", Some("SUSPENDED")),
            (None, None, "TERMINATED", None),
            (None, None, "PREPARED", Some("PREPARED")),
            (Some("TERMINATED"), Some("STARTED"), "SUSPENDED", None),
            // The answer to a signal may still move these.
            (Some("STARTED"), Some("SUSPENDED"), "STARTED", Some(RESTARTED)),
            (Some("SUSPENDED"), Some("STARTED"), "SUSPENDED", Some("SUSPENDED")),
            (None, Some("PREPARED"), "TERMINATED", Some("TERMINATED")),
        ];
        for (state, before, wanted, after) in table {
            let mut row = row("consumer", state, before).await;
            aim(&mut row, wanted, 1);
            assert_eq!(row.flow_target.as_deref(), after, "{state:?} {before:?} {wanted}");
        }
    }

    #[tokio::test]
    async fn a_resumption_overtakes_the_signal_of_the_pause() {
        for role in ["consumer", "provider"] {
            let mut row = row(role, Some("STARTED"), Some("SUSPENDED")).await;
            row.data_address = Some(ADDRESS.to_owned());
            aim(&mut row, "STARTED", 1);
            assert_eq!(next_signal(&row), Some(Signal::Suspend), "whether the first one arrived is not known");
            take_status(&mut row, DataFlowState::Suspended, None, 2);
            assert_eq!(next_signal(&row), Some(Signal::Resume));
            take_status(&mut row, DataFlowState::Started, None, 3);
            assert_eq!((next_signal(&row), row.flow_target.as_deref()), (None, None), "{role}");
        }
    }

    #[tokio::test]
    async fn a_pause_overtakes_the_signal_of_the_resumption() {
        let mut row = row("consumer", Some("SUSPENDED"), Some("STARTED")).await;
        aim(&mut row, "SUSPENDED", 1);
        // The worker was told that the flow runs: it has to stop.
        take_status(&mut row, DataFlowState::Started, None, 2);
        assert_eq!(next_signal(&row), Some(Signal::Suspend));
        take_status(&mut row, DataFlowState::Suspended, None, 3);
        assert_eq!((next_signal(&row), row.flow_target.as_deref()), (None, None));
    }

    #[tokio::test]
    async fn a_flow_that_is_being_prepared_while_its_transfer_ends_is_ended() {
        let mut row = row("consumer", None, Some("PREPARED")).await;
        aim(&mut row, "TERMINATED", 1);
        assert!(next_signal(&row).is_none() && reached(&row), "nothing to do if the signal never went out");
        take_status(&mut row, DataFlowState::Prepared, None, 2);
        assert_eq!(next_signal(&row), Some(Signal::Terminate));
    }

    #[tokio::test]
    async fn an_event_tells_where_the_data_can_be_read() {
        let (_folder, app) = crate::testing::app().await;
        let plane = data_plane::Model {
            context: app.context().to_owned(),
            id: "plane".to_owned(),
            endpoint: "http://127.0.0.1:1".to_owned(),
            profiles: "[]".to_owned(),
            dialect: "rc3".to_owned(),
            labels: r#"["local=http://127.0.0.1:8292/"]"#.to_owned(),
            authorization: "shared".to_owned(),
            authorization_value: String::new(),
            created_at: 0,
            updated_at: 0,
        };
        let mut row = row("consumer", Some("PREPARED"), Some("STARTED")).await;
        row.settled = Some("STARTED".to_owned());
        row.data_address = Some(ADDRESS.to_owned());
        row.data_plane_id = Some("plane".to_owned());
        app.store
            .write(move |unit| {
                Box::pin(async move {
                    registry::put::<data_plane::Entity>(unit, plane).await?;
                    processes::insert(unit, row).await
                })
            })
            .await
            .unwrap();
        for signal in [Signal::Started, Signal::Started, Signal::Suspend, Signal::Resume] {
            signalled(&app, "urn:uuid:1", signal, "plane", None).await.unwrap();
        }
        let query = EventQuery { limit: 9, ..EventQuery::default() };
        let told = events::list(&app.store, app.context(), &query).await.unwrap();
        assert_eq!(told.len(), 2, "once for each time that it becomes readable: {told:?}");
        for event in told {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!((event.kind.as_str(), event.subject.as_str()), ("transfer.readable", "urn:uuid:1"));
            assert_eq!(data["localEndpoint"], "http://127.0.0.1:8292/flows/urn:uuid:1");
            assert_eq!(data["role"], "consumer");
        }
    }
}
