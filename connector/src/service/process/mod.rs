//! What negotiations and transfers have in common: a row with a pure state machine behind it, the message that it owes, and
//! the messages that come for it.
//!
//! A row holds what both sides know (`settled`) and the message that we owe (`owed`); the machines of [`dsp_protocol`] say
//! which message moves it where. Every function here reads what it needs, decides, and saves row and event in one unit of
//! work; the worker sends what is owed after the commit.

mod delivery;
mod receive;
mod row;

use std::future::Future;

use dsp_protocol::error::MessageError;
use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use dsp_protocol::{Illegal, Reconciled, Role};
use identity::scope::Scopes;
use serde_json::Value;

pub(crate) use delivery::{acknowledge, adopt_peer_state, give_up, reject};
pub(crate) use receive::{Sender, create, existing, find_for_peer, recognise, repeat};
pub(crate) use row::{
    StoredState, announce, begin, event_data, locked, owe, owe_termination, role, save, settle, typed_pids, went_out,
    why,
};

use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{ProcessRow, Unit};
use crate::worker::Outgoing;

/// A kind of process: its row, its state machine and its words.
pub(crate) trait Process: ProcessRow {
    /// Its name in sentences and in the kinds of events.
    const NAME: &'static str;
    /// The object that shows its state (DSP 2025-1, ACK messages).
    const OBJECT: &'static str;
    /// One side's view: what both know, and what we owe.
    type State: Copy;
    /// Kinds of message.
    type Message: Copy + PartialEq + Send + 'static;
    /// States as both sides know them.
    type Wire: Copy + PartialEq + Send + 'static;
    /// The message that either side ends it with.
    const TERMINATION: Self::Message;
    /// The state after that message.
    const TERMINATED: Self::Wire;

    /// The message that the row owes.
    fn owed(&self) -> Option<Self::Message>;
    /// The row as the machine sees it.
    fn state(&self, app: &App) -> Self::State;
    /// The machine's state as the row keeps it.
    fn stored(state: Self::State) -> StoredState;
    /// See [`dsp_protocol::negotiation::owe`].
    ///
    /// # Errors
    /// When the message is not ours to send now.
    fn owe(role: Role, state: Self::State, message: Self::Message) -> Result<Self::State, Illegal>;
    /// See [`dsp_protocol::negotiation::acknowledge`].
    ///
    /// # Errors
    /// When nothing is owed.
    fn acknowledge(role: Role, state: Self::State) -> Result<Self::State, Illegal>;
    /// See [`dsp_protocol::negotiation::give_up`].
    fn give_up(state: Self::State) -> Self::State;
    /// See [`dsp_protocol::negotiation::reconcile`].
    fn reconcile(role: Role, state: Self::State, peer: Self::Wire) -> Reconciled<Self::State>;
    /// The state that the counter-party may see.
    fn wire(state: Self::State) -> Self::Wire;

    /// The object that shows this state.
    fn object(provider: ProviderPid, consumer: ConsumerPid, state: Self::Wire) -> Value;
    /// Reads such an object.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse_object(value: &Value) -> Result<(ProviderPid, ConsumerPid, Self::Wire), MessageError>;
    /// The owed message with its path below the counter-party's base; `None` when nothing is owed, or when the counter-party
    /// never learned of the process.
    ///
    /// # Errors
    /// When the row is broken.
    fn outgoing(&self, app: &App) -> ServiceResult<Option<Outgoing>>;

    /// The credentials that the counter-party may ask of us because of the policy that the process is about.
    ///
    /// # Errors
    /// When the row is broken.
    fn scopes(&self, app: &App) -> impl Future<Output = ServiceResult<Scopes>> + Send;

    /// What only this kind of process tells in its events.
    fn details(&self) -> Value;
    /// Keeps what only this kind of process has in a state.
    fn settled(&mut self, _state: Self::State) {}
    /// Lets what runs behind the process follow a state that the counter-party has shown.
    fn follow(&mut self, _now: i64) {}
    /// Goes on with what waited for the counter-party to take our last message.
    ///
    /// # Errors
    /// What the next step brings.
    fn taken(&mut self, _app: &App, _now: i64) -> ServiceResult<()> {
        Ok(())
    }
    /// Stops what runs behind the process, since it ends.
    fn stop(&mut self, _now: i64) {}
    /// Saves what follows from a new state that both sides know.
    fn conclude(&self, _unit: &mut Unit) -> impl Future<Output = ServiceResult<()>> + Send {
        std::future::ready(Ok(()))
    }
}

/// The object that answers the counter-party.
///
/// # Errors
/// When the row is broken.
pub(crate) fn process_object<P: Process>(app: &App, row: &P) -> ServiceResult<Value> {
    let (provider, consumer) = typed_pids(row)?;
    Ok(P::object(provider, consumer, P::wire(row.state(app))))
}

impl From<Illegal> for ServiceError {
    fn from(illegal: Illegal) -> Self {
        Self::bad_request(illegal.code, illegal.message)
    }
}
