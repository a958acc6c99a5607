//! A transfer as a process.

use dsp_protocol::error::MessageError;
use dsp_protocol::pid::{ConsumerPid, ProviderPid};
use dsp_protocol::transfer as machine;
use dsp_protocol::transfer::{
    DataAddress, OwedTransfer, SuspendedBy, Transfer, TransferMessage, TransferProcess, TransferState,
};
use dsp_protocol::{Illegal, Reconciled, Role};
use identity::scope::Scopes;
use serde_json::{Value, json};

use super::delivery;
use super::flow::{aim, complete, go_on};
use crate::app::App;
use crate::service::process::{Process, StoredState, went_out};
use crate::service::{ServiceError, ServiceResult, scopes};
use crate::store::agreements;
use crate::store::transfer::Model;
use crate::worker::Outgoing;

impl Process for Model {
    const NAME: &'static str = "transfer";
    const OBJECT: &'static str = "TransferProcess";
    type State = Transfer;
    type Message = TransferMessage;
    type Wire = TransferState;
    const TERMINATION: TransferMessage = TransferMessage::Termination;
    const TERMINATED: TransferState = TransferState::Terminated;

    fn owed(&self) -> Option<TransferMessage> {
        self.owed.as_deref().and_then(TransferMessage::parse)
    }

    fn state(&self, app: &App) -> Transfer {
        Transfer {
            settled: self.settled.as_deref().and_then(TransferState::parse),
            owed: self.owed().map(|message| OwedTransfer { message, sent: went_out(app, self) }),
            suspended_by: suspended_by(self),
        }
    }

    fn stored(state: Transfer) -> StoredState {
        StoredState {
            settled: state.settled.map(TransferState::as_wire),
            name: state.name(),
            owed: state.owed.map(|owed| owed.message.as_str()),
        }
    }

    fn owe(role: Role, state: Transfer, message: TransferMessage) -> Result<Transfer, Illegal> {
        machine::owe(role, state, message)
    }

    fn acknowledge(role: Role, state: Transfer) -> Result<Transfer, Illegal> {
        machine::acknowledge(role, state)
    }

    fn give_up(state: Transfer) -> Transfer {
        machine::give_up(state)
    }

    fn reconcile(role: Role, state: Transfer, peer: TransferState) -> Reconciled<Transfer> {
        machine::reconcile(role, state, peer)
    }

    fn wire(state: Transfer) -> TransferState {
        state.wire()
    }

    fn object(provider_pid: ProviderPid, consumer_pid: ConsumerPid, state: TransferState) -> Value {
        TransferProcess { provider_pid, consumer_pid, state }.to_value()
    }

    fn parse_object(value: &Value) -> Result<(ProviderPid, ConsumerPid, TransferState), MessageError> {
        let object = TransferProcess::parse(value)?;
        Ok((object.provider_pid, object.consumer_pid, object.state))
    }

    fn outgoing(&self, app: &App) -> ServiceResult<Option<Outgoing>> {
        delivery::outgoing(app, self)
    }

    async fn scopes(&self, app: &App) -> ServiceResult<Scopes> {
        let found = agreements::find(app.store.reads(), app.context(), &self.role, &self.agreement_id).await?;
        let policy = found.and_then(|agreement| app.decisions.compile_agreement(&agreement.body).ok());
        Ok(policy.map(|policy| scopes::of_policy(&policy)).unwrap_or_default())
    }

    fn details(&self) -> Value {
        json!({"agreementId": self.agreement_id, "format": self.format})
    }

    fn settled(&mut self, state: Transfer) {
        self.suspended_by = state.suspended_by.map(|by| by.as_str().to_owned());
    }

    /// The data flow of a transfer that the counter-party keeps suspended pauses again.
    fn follow(&mut self, now: i64) {
        if self.settled.as_deref() == Some(TransferState::Suspended.as_wire()) {
            forget_address(self);
            aim(self, "SUSPENDED", now);
        }
    }

    /// A data plane that had sent everything before the counter-party heard of the start; the second message of a move.
    fn taken(&mut self, app: &App, now: i64) -> ServiceResult<()> {
        go_on(app, self, now)?;
        if self.flow_state.as_deref() == Some("COMPLETED") {
            complete(app, self, now)?;
        }
        Ok(())
    }

    /// The data flow ends with its transfer.
    fn stop(&mut self, now: i64) {
        aim(self, "TERMINATED", now);
    }
}

/// In place of a data address: the data plane that should give one has none.
pub(super) const NO_ADDRESS: &str = "null";

/// Who has suspended the transfer.
pub(super) fn suspended_by(row: &Model) -> Option<SuspendedBy> {
    row.suspended_by.as_deref().and_then(SuspendedBy::parse)
}

/// Whether the provider writes to the consumer's address (push), by the format's name.
pub(super) fn is_push(row: &Model) -> bool {
    row.format.to_ascii_uppercase().contains("PUSH")
}

/// The stored data address.
pub(super) fn data_address(row: &Model) -> ServiceResult<Option<DataAddress>> {
    let Some(text) = &row.data_address else { return Ok(None) };
    if text == NO_ADDRESS {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(text).map_err(ServiceError::internal)?;
    DataAddress::parse(&value).map(Some).map_err(ServiceError::internal)
}

/// The token of a pull is dead after a suspension; a push goes on to the same address.
pub(super) fn forget_address(row: &mut Model) {
    if !is_push(row) {
        row.data_address = None;
    }
}
