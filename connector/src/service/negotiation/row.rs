//! Between the row and the pure state machine.

use dsp_protocol::negotiation as machine;
use dsp_protocol::negotiation::ContractNegotiation;
use dsp_protocol::negotiation::{Illegal, Negotiation, NegotiationMessage, NegotiationState, Owed, Role};
use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use dsp_protocol::policy::{Agreement, Offer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::service::reason::termination_object;
use crate::service::{RETRYING, ServiceError, ServiceResult};
use crate::store::negotiation::Model;
use crate::store::{Unit, agreement, agreements, negotiations};

/// Our role in the row.
pub(super) fn role(row: &Model) -> Role {
    if row.role == "provider" { Role::Provider } else { Role::Consumer }
}

/// The name of a role in rows and in the API.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Provider => "provider",
        Role::Consumer => "consumer",
    }
}

/// The row as the machine sees it.
pub(super) fn machine_state(app: &App, row: &Model) -> Negotiation {
    let owed = row.owed.as_deref().and_then(NegotiationMessage::parse);
    Negotiation {
        settled: row.settled.as_deref().and_then(NegotiationState::parse),
        owed: owed.map(|message| Owed { message, sent: went_out(app, row) }),
    }
}

/// Whether the owed message may have reached the peer: see [`crate::service::in_flight::InFlight`].
fn went_out(app: &App, row: &Model) -> bool {
    row.attempts > 0
        || row.updated_at < app.started_at
        || row.lease_owner.as_deref() != Some(app.store.owner())
        || row.owed_id.as_deref().is_some_and(|id| app.in_flight.contains(id))
}

/// Writes the machine's state into the row.
pub(super) fn settle(row: &mut Model, state: Negotiation) {
    row.settled = state.settled.map(|settled| settled.as_wire().to_owned());
    row.state = state.name().to_owned();
    match state.owed {
        Some(owed) => row.owed = Some(owed.message.as_str().to_owned()),
        None => {
            row.owed_id = None;
            row.owed = None;
            row.attempts = 0;
            forget_passing_error(&mut row.error);
        }
    }
}

/// A failed delivery is no news any more once it has succeeded.
pub(crate) fn forget_passing_error(error: &mut Option<String>) {
    if error.as_deref().is_some_and(|text| text.contains(RETRYING)) {
        *error = None;
    }
}

/// Makes the row owe a message, to be sent at once.
pub(super) fn owe(app: &App, row: &mut Model, message: NegotiationMessage, now: i64) -> Result<(), Illegal> {
    let state = machine::owe(role(row), machine_state(app, row), message)?;
    begin(row, state, now);
    Ok(())
}

/// Puts a state that may owe a new message into the row.
pub(super) fn begin(row: &mut Model, state: Negotiation, now: i64) {
    settle(row, state);
    row.owed_id = row.owed.is_some().then(|| format!("urn:uuid:{}", Uuid::new_v4()));
    row.attempts = 0;
    row.owed_since = now;
    row.next_attempt_at = now;
}

/// Makes the row owe a termination that says why; what ended it is kept in the row for people.
pub(super) fn owe_termination(
    app: &App,
    row: &mut Model,
    code: &str,
    reason: &str,
    why: Option<&ServiceError>,
    now: i64,
) -> Result<(), Illegal> {
    owe(app, row, NegotiationMessage::Termination, now)?;
    row.termination = Some(termination_object(code, reason, why).to_string());
    if let Some(error) = why {
        row.error = Some(error_object(error).to_string());
    }
    Ok(())
}

/// A problem as it is kept in rows and shown by the API.
pub(crate) fn error_object(error: &ServiceError) -> Value {
    let mut object = json!({"code": error.code, "detail": error.message, "fault": error.fault.as_str()});
    if let Value::Object(members) = &mut object {
        members.extend(error.rule.clone().map(|rule| ("rule".to_owned(), rule.into())));
        members.extend(error.fact.clone().map(|fact| ("fact".to_owned(), fact.into())));
    }
    object
}

/// (provider's pid, consumer's pid) of the row; an unknown one is empty.
pub(super) fn pids(row: &Model) -> (String, String) {
    let theirs = row.counter_pid.clone().unwrap_or_default();
    match role(row) {
        Role::Provider => (row.id.clone(), theirs),
        Role::Consumer => (theirs, row.id.clone()),
    }
}

/// The pids as typed values.
pub(super) fn typed_pids(row: &Model) -> ServiceResult<(ProviderPid, ConsumerPid)> {
    let (provider, consumer) = pids(row);
    let provider = ProviderPid::parse(provider).map_err(ServiceError::internal)?;
    let consumer = ConsumerPid::parse(consumer).map_err(ServiceError::internal)?;
    Ok((provider, consumer))
}

/// The state that the counter-party may see.
pub(crate) fn wire_state(app: &App, row: &Model) -> NegotiationState {
    machine_state(app, row).wire()
}

/// The ContractNegotiation object that answers the counter-party.
pub(crate) fn negotiation_object(app: &App, row: &Model) -> ServiceResult<Value> {
    let (provider_pid, consumer_pid) = typed_pids(row)?;
    Ok(ContractNegotiation { provider_pid, consumer_pid, state: wire_state(app, row) }.to_value())
}

/// The offer on the table.
pub(super) fn offer_of(row: &Model) -> ServiceResult<Offer> {
    let value: Value = serde_json::from_str(&row.offer).map_err(ServiceError::internal)?;
    Offer::parse(&value).map_err(ServiceError::internal)
}

/// The agreement proposed, if there is one.
pub(super) fn agreement_of(row: &Model) -> ServiceResult<Option<Agreement>> {
    let Some(text) = &row.agreement else { return Ok(None) };
    let value: Value = serde_json::from_str(text).map_err(ServiceError::internal)?;
    Agreement::parse(&value).map(Some).map_err(ServiceError::internal)
}

/// Saves the row and says what happened in one event: named after the state that both sides know if that has changed,
/// else after the step that has begun. A finalized negotiation leaves its agreement.
pub(super) async fn save(
    unit: &mut Unit,
    row: Model,
    settled_before: Option<&str>,
    detail: Option<Value>,
) -> ServiceResult<Model> {
    let row = negotiations::update(unit, row).await?;
    if row.settled.as_deref() == Some("FINALIZED") && settled_before != Some("FINALIZED") {
        conclude(unit, &row).await?;
    }
    announce(unit, &row, settled_before, detail).await?;
    Ok(row)
}

/// Appends the event of a saved row.
pub(super) async fn announce(
    unit: &mut Unit,
    row: &Model,
    settled_before: Option<&str>,
    detail: Option<Value>,
) -> ServiceResult<()> {
    let settled = row.settled.as_deref();
    let name = match settled {
        Some(settled) if settled_before != Some(settled) => settled,
        _ => row.state.as_str(),
    };
    let (provider_pid, consumer_pid) = pids(row);
    let mut data = json!({
        "role": row.role, "state": row.state, "counterPartyId": row.counter_party, "datasetId": row.dataset_id,
        "offerId": row.offer_id, "agreementId": row.agreement_id, "providerPid": provider_pid,
        "consumerPid": consumer_pid, "decision": row.decision,
    });
    if let Value::Object(members) = &mut data {
        if let Some(error) = row.error.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
            members.insert("error".to_owned(), error);
        }
        if let Some(detail) = detail {
            members.insert("policyDecision".to_owned(), detail);
        }
    }
    unit.event(&row.context, format!("negotiation.{}", name.to_lowercase()), &row.id, &data).await?;
    Ok(())
}

async fn conclude(unit: &mut Unit, row: &Model) -> ServiceResult<()> {
    let (Some(id), Some(body)) = (row.agreement_id.clone(), row.agreement.clone()) else {
        return Err(ServiceError::internal("a negotiation was finalized without an agreement"));
    };
    let concluded = agreement::Model {
        id,
        context: row.context.clone(),
        role: row.role.clone(),
        negotiation_id: row.id.clone(),
        counter_party: row.counter_party.clone(),
        counter_address: row.counter_address.clone(),
        dataset_id: row.dataset_id.clone(),
        body,
        transfer_decision: row.transfer_decision.clone(),
        created_at: unit.now(),
    };
    agreements::insert(unit, concluded).await?;
    Ok(())
}
