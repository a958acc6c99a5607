//! The tables, one module each. Bodies that we never query inside (policies, offers, messages) are JSON text; times are
//! milliseconds since 1970-01-01 UTC; every row belongs to a participant context.

pub mod agreement;
pub mod consent;
pub mod credential;
pub mod credential_offer;
pub mod credential_request;
pub mod data_plane;
pub mod dataset;
pub mod decision_record;
pub mod declared_event;
pub mod duty;
pub mod event;
pub mod issuance;
pub mod issued_credential;
pub mod negotiation;
pub mod offer;
pub mod participant_context;
pub mod partner;
pub mod policy;
pub(crate) mod process;
pub mod secret;
pub mod transfer;
pub mod trusted_issuer;
pub mod usage_counter;
pub mod used_token;
pub mod webhook;
