//! Hansa's control plane: catalog, contract negotiation and transfer process of the Dataspace Protocol 2025-1, with the
//! management API and the command line of the binary `hansa`.
//!
//! `http` authenticates and parses, `service` decides and moves the state machines of `dsp-protocol`, `store` commits,
//! `worker` sends what is owed. See `docs/src/architecture.md`.

pub mod cli;
pub mod config;

mod app;
mod dcp;
mod fetch;
mod http;
mod serve;
mod service;
mod store;
#[cfg(test)]
mod testing;
mod webhooks;
mod worker;

pub use serve::{ServeError, serve};
