//! Runs the official kits and whole-service tests against the release binaries.
//!
//! Nothing here is linked with the connector or the data plane: the binaries are started as processes and spoken to over
//! the wire, as an operator, a partner or a kit would.
//!
//! - [`service`] starts and kills the two programs with generated configuration,
//! - [`management`] and [`events`] are what an operator's automation uses,
//! - [`peer`] is a participant without a connector: it answers and sends the messages that a test wants,
//! - [`recorder`] and [`schemas`] record what the binaries send and compare it with the published JSON Schemas,
//! - [`driver`] runs the official kits, and plays the operator for that of the Dataspace Protocol.

pub mod binaries;
pub mod dataspace;
pub mod driver;
pub mod error;
pub mod events;
pub mod management;
pub mod pair;
pub mod peer;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod recorder;
pub mod schemas;
pub mod server;
pub mod service;
pub mod source;
pub mod wait;

pub use error::{Context, Error, Result};
