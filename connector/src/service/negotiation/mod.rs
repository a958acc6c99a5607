//! Contract negotiation in both roles (DSP 2025-1, Contract Negotiation Protocol).
//!
//! [`super::process`] has what it shares with transfers; [`dsp_protocol::negotiation`] says which message moves it where.

mod command;
mod consumer;
mod delivery;
mod provider;
mod receive;
mod row;

pub(crate) use command::{Command, NewNegotiation, command, next_commands, start};
pub(crate) use delivery::finalized_by_use;
pub(crate) use receive::{Incoming, receive, receive_initial_offer, receive_initial_request};
