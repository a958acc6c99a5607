//! The data plane of Hansa: it carries the data of agreed transfers and nothing else.
//!
//! A control plane drives it by Data Plane Signaling (listener `signaling`). Partners read from our sources and push into our
//! inbox (listener `public`). Our own programs read partners' data as if it lay here (listener `local`).
//!
//! A data request goes through fixed phases: find the flow, authenticate by its token, check the flow's state, check method,
//! path and query against the dataset's definition, ask the agreement's rules, reach the source, stream. All that is needed
//! to decide is in the signed enforcement plan that came with the flow; the control plane is never asked. Only code that
//! holds a `Permitted` value reaches a source.
//!
//! Whoever was admitted stays part of the flow's *run*. Suspension, termination and the agreement's end cut the run: nobody
//! gets in, the sockets of all running streams are closed, and their readers see an error instead of a regular end.

mod address;
mod breaker;
mod broker;
mod client;
mod clock;
pub mod config;
mod context_source;
mod delivery;
mod fairness;
mod files;
mod flow;
mod inbox;
mod lifecycle;
mod local;
mod mirror;
mod outbox;
mod partner;
mod permit;
mod plane;
mod problem;
mod proxy;
mod public;
mod push;
mod ready;
mod renewal;
mod server;
mod shown;
mod signaling;
mod source;
mod store;
mod stores;
mod subscription;
mod token;
mod unplanned;
mod usage;
mod via;
mod watch;

pub use server::{Running, StartError, start};
pub use store::StoreError;
