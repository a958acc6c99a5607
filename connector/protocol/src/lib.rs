//! Dataspace Protocol 2025-1 as pure data and pure state machines. No I/O, no clock, no threads.
//!
//! # From bytes to a message
//!
//! A body passes three steps, and each refuses with a [`MessageError`] that names the member at fault:
//!
//! 1. [`context::parse_json`]: limits on size and depth, UTF-8, JSON;
//! 2. [`context::compact`]: any accepted JSON-LD form to the compact form of the official schemas;
//! 3. `parse` of the message's type: required members, their types, ids and rules.
//!
//! ```
//! use dsp_protocol::context::{MAX_DEPTH, compact, parse_json};
//! use dsp_protocol::negotiation::{ContractNegotiation, NegotiationState};
//!
//! # fn main() -> Result<(), dsp_protocol::MessageError> {
//! let body = br#"{"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "dspace:ContractNegotiation",
//!     "providerPid": "urn:uuid:1", "consumerPid": {"@id": "urn:uuid:2"}, "state": "dspace:REQUESTED"}"#;
//! let value = compact(parse_json(body, 1 << 20, MAX_DEPTH)?)?;
//! let answer = ContractNegotiation::parse(&value)?;
//! assert_eq!(answer.state, NegotiationState::Requested);
//! # Ok(())
//! # }
//! ```
//!
//! We read leniently, since peers differ, and write strictly: `to_value` gives a message that validates against the
//! official schemas (arrays are never empty, `@context` is an array of strings, numbers in constraints are typed values).
//!
//! # State machines
//!
//! [`negotiation`] and [`transfer`] hold one machine each, with functions of the same names. A state has two parts:
//! what both sides know (`settled`, all that a peer is ever shown) and the message that we owe the peer (`owed`).
//! `initiate` and `receive_initial` begin; `owe` takes a command of ours; `sent` notes that the owed message left;
//! `acknowledge` takes the peer's 2xx; `receive` takes a message of the peer, which may imply the acknowledgement of ours;
//! `reconcile` takes the state that the peer shows when we are in doubt; `give_up` ends. Whatever is not allowed is
//! [`Illegal`] and changes nothing.
//!
//! ```
//! use dsp_protocol::negotiation::{self as machine, NegotiationMessage, NegotiationState, Role};
//!
//! # fn main() -> Result<(), dsp_protocol::Illegal> {
//! // We are the provider and have received a contract request.
//! let state = machine::receive_initial(Role::Provider);
//! let state = machine::sent(machine::owe(Role::Provider, state, NegotiationMessage::Agreement)?);
//! assert_eq!((state.name(), state.wire()), ("AGREEING", NegotiationState::Requested));
//! // The answer to our agreement was lost, but the consumer can only verify what has arrived.
//! let received = machine::receive(Role::Provider, state, NegotiationMessage::Verification)?;
//! assert_eq!(received.state.wire(), NegotiationState::Verified);
//! assert_eq!(received.implied, Some(NegotiationMessage::Agreement));
//! # Ok(())
//! # }
//! ```
//!
//! # Policies
//!
//! [`policy`] knows the shapes in which rules travel and whether two sets of rules mean the same. What rules permit is
//! not its matter.

pub mod catalog;
pub mod context;
pub mod error;
mod member;
pub mod negotiation;
pub mod pid;
pub mod policy;
pub mod purpose;
mod role;
pub mod transfer;
pub mod version;

pub use error::MessageError;
pub use role::{Illegal, Reconciled, Role};
