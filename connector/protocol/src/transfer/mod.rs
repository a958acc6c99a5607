//! Transfer process: messages, states and the state machine.
//!
//! DSP 2025-1, "Transfer Process Protocol".

mod data_address;
mod machine;
mod message;
mod state;

pub use crate::negotiation::with_message_id;
pub use crate::role::{Illegal, Reconciled, Role};
pub use data_address::{DataAddress, EDC_NAMESPACE};
pub use machine::{Received, acknowledge, give_up, initiate, owe, receive, receive_initial, reconcile, sent};
pub use message::{
    TransferCompletionMessage, TransferProcess, TransferRequestMessage, TransferStartMessage,
    TransferSuspensionMessage, TransferTerminationMessage,
};
pub use state::{OwedTransfer, SuspendedBy, Transfer, TransferMessage, TransferState};
