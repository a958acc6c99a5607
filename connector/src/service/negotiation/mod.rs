//! Contract negotiation in both roles (DSP 2025-1, Contract Negotiation Protocol).
//!
//! A row holds what both sides know (`settled`) and the message that we owe (`owed`); [`dsp_protocol::negotiation`]
//! says which message moves it where. Every function here reads what it needs, decides, and saves row and event in one
//! unit of work; the worker sends what is owed after the commit.

mod command;
mod consumer;
mod delivery;
mod provider;
mod receive;
mod row;

pub(crate) use command::{Command, NewNegotiation, command, next_commands, start};
pub(crate) use delivery::{acknowledge, adopt_peer_state, finalized_by_use, give_up, outgoing, reject};
pub(crate) use receive::{Incoming, Sender, find_for_peer, receive, receive_initial_offer, receive_initial_request};
pub(crate) use row::{error_object, forget_passing_error, negotiation_object};
