//! The data flow behind a transfer: which signal its data plane needs next, what to put into it, and what its answers
//! mean (Data Plane Signaling, sections 2 to 5).

mod answer;
mod callback;
mod plan;
mod relocate;
mod step;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use answer::{Heard, fail_flow, forget_target, signalled};
pub(crate) use callback::callback;
pub(super) use callback::complete;
pub(crate) use plan::rules;
pub(super) use relocate::{go_on, is_moving};
pub(crate) use relocate::{may_move, pin, relocate};
pub(crate) use step::{FlowStep, flow_step};
pub(super) use target::{RESTARTED, aim, readdress};
