//! Dataspace Protocol 2025-1 as pure data and pure state machines.

pub mod catalog;
pub mod context;
pub mod error;
mod member;
pub mod negotiation;
pub mod pid;
pub mod policy;
mod role;
pub mod transfer;
pub mod version;

pub use error::MessageError;
pub use role::{Illegal, Reconciled, Role};
