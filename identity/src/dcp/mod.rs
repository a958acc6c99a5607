//! The Decentralized Claims Protocol 1.0.1.
//!
//! As verifier ([`Dcp`]), holder ([`holder`]), issuer ([`issuer`]) and token service ([`sts`]). HTTP endpoints and storage are
//! elsewhere; here is what they decide.

pub mod access_token;
mod client;
mod error;
pub mod holder;
pub mod issuer;
pub mod message;
mod settings;
pub mod sts;
#[cfg(test)]
mod tests;
mod verifier;

pub use client::{DcpClient, Service};
pub use error::{DcpError, Refusal};
pub use settings::{DcpParts, DcpSettings};
pub use verifier::Dcp;
