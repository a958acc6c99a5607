//! What operators and their automation want: begin a transfer, take its next step, end it.

use std::sync::Arc;

use dsp_protocol::pid::ConsumerPid;
use dsp_protocol::transfer as machine;
use dsp_protocol::transfer::{DataAddress, OwedTransfer, Role, Transfer, TransferMessage, TransferState};
use serde_json::{Value, json};

use super::flow::aim;
use super::receive::{about, judge_transfer};
use super::row::{forget_address, is_push, suspended_by};
use super::wish;
use crate::app::App;
use crate::service::decide::Occasion;
use crate::service::partner::{CounterPartyRef, resolve};
use crate::service::process::{Process as _, announce, begin, locked, owe, role, save};
use crate::service::reason::termination_object;
use crate::service::{ServiceError, ServiceResult};
use crate::store::transfer::Model;
use crate::store::{Unit, agreements, decision_record, decisions, processes};

/// Format of a transfer when the caller names none.
const DEFAULT_FORMAT: &str = "HttpData-PULL";

/// A transfer to begin (we are the consumer).
#[derive(Clone, Debug)]
pub(crate) struct NewTransfer {
    /// The agreement that it rests on.
    pub agreement_id: String,
    /// Distribution format; `HttpData-PULL` unless given.
    pub format: Option<String>,
    /// What the data is declared to be for, when it is something else than what was declared for the contract.
    pub purpose: Vec<String>,
    /// What our data plane does with the data beside showing it to programs.
    pub delivery: Option<Value>,
    /// Every step waits for a command.
    pub manual: bool,
    /// Where a push is to be written, when not to a data plane of ours.
    pub data_address: Option<Value>,
    /// The provider, when its connector is to be found elsewhere than at the negotiation's address.
    pub counter_party: Option<CounterPartyRef>,
}

/// A step that an operator commands.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Provider: start.
    Start,
    /// Either side: pause.
    Suspend {
        /// Machine code for the counter-party.
        code: Option<String>,
        /// Reason for people.
        reason: Option<String>,
    },
    /// Either side: pause, because what the transfer rests on does not hold now.
    Hold {
        /// What does not hold.
        why: ServiceError,
        /// The monitor's decision; with it the transfer goes on by itself when it is another one again.
        decision: Option<Box<decision_record::Model>>,
    },
    /// Either side: go on after a pause.
    Resume,
    /// Either side: all data has flowed.
    Complete,
    /// Either side: end it.
    Terminate {
        /// Machine code for the counter-party.
        code: Option<String>,
        /// Reason for people.
        reason: Option<String>,
    },
}

impl Command {
    fn message(&self) -> TransferMessage {
        match self {
            Self::Start | Self::Resume => TransferMessage::Start,
            Self::Hold { .. } | Self::Suspend { .. } => TransferMessage::Suspension,
            Self::Complete => TransferMessage::Completion,
            Self::Terminate { .. } => TransferMessage::Termination,
        }
    }
}

/// Begins a transfer. Our data plane is prepared and the request sent after this has returned.
///
/// # Errors
/// `unknown_agreement`, `unknown_broker`, what is wrong with the delivery, or what finding the provider's address brought.
pub(crate) async fn start(app: &Arc<App>, new: NewTransfer) -> ServiceResult<Model> {
    let agreement = agreements::find(app.store.reads(), app.context(), "consumer", &new.agreement_id).await?;
    let agreement = agreement.ok_or_else(|| {
        let text = format!("there is no agreement `{}` in which we are the consumer", new.agreement_id);
        ServiceError::bad_request("unknown_agreement", text)
    })?;
    let address = match &new.counter_party {
        Some(counter_party) if counter_party.id != agreement.counter_party => {
            let text = format!("the provider of this agreement is `{}`", agreement.counter_party);
            return Err(ServiceError::bad_request("wrong_partner", text));
        }
        Some(counter_party) => resolve(app, counter_party).await?,
        None => agreement.counter_address.clone(),
    };
    let mut row = Model::blank(
        app.context(),
        "consumer",
        ConsumerPid::generate().to_string(),
        &agreement.counter_party,
        &address,
    );
    row.agreement_id = agreement.id.clone();
    row.dataset_id = agreement.dataset_id.clone();
    row.format = new.format.unwrap_or_else(|| DEFAULT_FORMAT.to_owned());
    if let Some(wish) = &new.delivery {
        row.delivery = Some(wish::check(app, wish, is_push(&row)).await?.encode().to_string());
    }
    if new.manual {
        row.decision = "manual".to_owned();
    }
    let claims = app.identity.counter_party_claims(&agreement.counter_party);
    row.claims = claims.unwrap_or_else(|| json!({})).to_string();
    row.purpose = Value::from(new.purpose).to_string();
    let own_address = new.data_address.as_ref().map(DataAddress::parse).transpose();
    let own_address = own_address.map_err(|error| ServiceError::bad_request(error.code, error.message))?;
    row.data_address = own_address.as_ref().map(|address| address.to_value().to_string());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                begin(&mut row, machine::initiate(), unit.now());
                if own_address.is_none() {
                    aim(&mut row, "PREPARED", unit.now());
                }
                let row = processes::insert(unit, row).await?;
                announce(unit, &row, None, None).await?;
                Ok::<_, ServiceError>(row)
            })
        })
        .await
}

/// Takes a step. Data plane and counter-party are told after this has returned.
///
/// # Errors
/// 409 when the present state does not allow it; nothing changes.
pub(crate) async fn command(app: &Arc<App>, id: &str, command: Command) -> ServiceResult<Model> {
    locked(app, id, move |app, unit, row| Box::pin(carry_out(app, unit, row, command))).await
}

async fn carry_out(app: &App, unit: &mut Unit, mut row: Model, command: Command) -> ServiceResult<Model> {
    let settled_before = row.settled.clone();
    let now = unit.now();
    check_command(&row, &command)?;
    let conflict = |illegal: machine::Illegal| ServiceError::conflict(illegal.code, illegal.message);
    owe(app, &mut row, command.message(), now).map_err(conflict)?;
    row.held_for = None;
    match command {
        Command::Start | Command::Resume => {
            if role(&row) == Role::Provider {
                recheck(app, unit, &row).await?;
                aim(&mut row, "STARTED", now);
            }
        }
        Command::Suspend { code, reason } => {
            say_why(&mut row, code, reason, "suspended_by_operator", "paused by the operator");
            forget_address(&mut row);
            aim(&mut row, "SUSPENDED", now);
        }
        Command::Hold { why, decision } => {
            row.termination = Some(termination_object(why.code, &why.message, Some(&why)).to_string());
            forget_address(&mut row);
            aim(&mut row, "SUSPENDED", now);
            if let Some(decision) = decision {
                row.held_for = Some(why.code.to_owned());
                decisions::insert(unit, *decision).await?;
            }
        }
        Command::Complete => aim(&mut row, "COMPLETED", now),
        Command::Terminate { code, reason } => {
            say_why(&mut row, code, reason, "terminated_by_operator", "ended by the operator");
            aim(&mut row, "TERMINATED", now);
        }
    }
    save(unit, row, settled_before.as_deref(), None).await
}

/// `start` is for a first start, `resume` for a start after a suspension, and only by a side that suspended.
fn check_command(row: &Model, command: &Command) -> ServiceResult<()> {
    let suspended = row.settled.as_deref() == Some("SUSPENDED");
    match command {
        Command::Start if suspended => {
            Err(ServiceError::conflict("use_resume", "the transfer is suspended: resume it"))
        }
        Command::Resume if row.state == "SUSPENDING" => Err(ServiceError::conflict(
            "suspension_pending",
            "the counter-party has not confirmed the suspension yet; resume it then",
        )),
        Command::Resume if !suspended => Err(ServiceError::conflict("not_suspended", "the transfer is not suspended")),
        Command::Resume if suspended_by(row).is_some_and(|by| !by.includes(role(row))) => Err(ServiceError::conflict(
            "suspended_by_peer",
            "the counter-party suspended the transfer and has to resume it",
        )),
        _ => Ok(()),
    }
}

/// Before data flows (again) the agreement must still admit it.
///
/// # Errors
/// `policy_denied`, 409, with rule and fact.
pub(super) async fn recheck(app: &App, unit: &Unit, row: &Model) -> ServiceResult<()> {
    let agreement = agreements::find(unit.db(), app.context(), "provider", &row.agreement_id).await?;
    let agreement = agreement.ok_or_else(|| ServiceError::internal("a transfer has lost its agreement"))?;
    let claims: Value = serde_json::from_str(&row.claims).unwrap_or_default();
    let policy = app.decisions.compile_agreement(&agreement.body)?;
    let judged = judge_transfer(app, unit.db(), &policy, row, &claims).await?;
    match judged.refusal() {
        Some(mut refusal) => {
            refusal.kind = crate::service::Kind::Conflict;
            Err(refusal)
        }
        None => Ok(decisions::insert(unit, judged.record(app, Occasion::Transfer, &about(row))?).await?),
    }
}

fn say_why(row: &mut Model, code: Option<String>, reason: Option<String>, default_code: &str, default_reason: &str) {
    let code = code.unwrap_or_else(|| default_code.to_owned());
    let reason = reason.unwrap_or_else(|| default_reason.to_owned());
    row.termination = Some(json!({"code": code, "reason": [reason]}).to_string());
}

/// The commands that the present state allows, in the order in which they usually come.
pub(crate) fn next_commands(row: &Model) -> Vec<&'static str> {
    let state = Transfer {
        settled: row.settled.as_deref().and_then(TransferState::parse),
        owed: row.owed().map(|message| OwedTransfer { message, sent: true }),
        suspended_by: None,
    };
    let all = [
        ("start", Command::Start),
        ("suspend", Command::Suspend { code: None, reason: None }),
        ("resume", Command::Resume),
        ("complete", Command::Complete),
        ("terminate", Command::Terminate { code: None, reason: None }),
    ];
    let allowed = all.into_iter().filter(|(_, command)| {
        check_command(row, command).is_ok() && machine::owe(role(row), state, command.message()).is_ok()
    });
    allowed.map(|(name, _)| name).collect()
}
