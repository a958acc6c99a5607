//! Transfer processes in both roles (DSP 2025-1, Transfer Process Protocol), with the data flow behind each.
//!
//! Beside what every process has ([`super::process`]), a row holds the state of the flow that our data plane last confirmed
//! (`flow_state`) and the one it shall reach (`flow_target`). The worker signals first and sends then, so that a start carries its address and a suspension stops the data before it is announced.

mod command;
mod delivery;
mod flow;
mod local;
mod receive;
pub(crate) mod renewal;
mod row;
mod wish;

pub(crate) use command::{Command, NewTransfer, command, next_commands, start};
pub(crate) use delivery::needs_flow;
pub(crate) use flow::{
    FlowStep, Heard, callback, fail_flow, flow_step, forget_target, may_move, pin, relocate, rules, signalled,
};
pub(crate) use local::local_endpoint;
pub(crate) use receive::{Incoming, about, asking, receive, receive_request};
