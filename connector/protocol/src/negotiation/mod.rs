//! Contract negotiation: messages, states and the state machine.
//!
//! DSP 2025-1, "Contract Negotiation Protocol".

mod machine;
mod message;
mod state;

pub use crate::role::{Illegal, Reconciled, Role};
pub use machine::{Received, acknowledge, give_up, initiate, owe, receive, receive_initial, reconcile, sent};
pub use message::{
    ContractAgreementMessage, ContractAgreementVerificationMessage, ContractNegotiation,
    ContractNegotiationEventMessage, ContractNegotiationTerminationMessage, ContractOfferMessage,
    ContractRequestMessage, NegotiationEvent, with_message_id,
};
pub use state::{Negotiation, NegotiationMessage, NegotiationState, Owed};
