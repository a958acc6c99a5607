//! The three listeners: DSP for peers, management for operators, signaling for data planes. Each handler authenticates,
//! then parses, then calls a service; none touches the store.

pub(crate) mod body;
pub(crate) mod dcp;
pub(crate) mod dsp;
pub(crate) mod listen;
pub(crate) mod management;
pub(crate) mod problem;
pub(crate) mod ready;
pub(crate) mod signaling;
