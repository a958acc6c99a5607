//! Tokens between the planes (DPS profiles, Authorization): what is asked of a token endpoint, what it answers, and whether a token
//! that came is one of the other plane for us. Clocks and connections are the caller's.

mod keys;
mod request;
mod verify;

pub use keys::{KeyError, KeySet};
pub use request::{Exchange, Given, client_credentials_form, given, is_fit_for_secrets};
pub use verify::{Claims, Expected, LEEWAY_S, MAX_LIFE_S, TokenFault, claims_without_signature, verify};
