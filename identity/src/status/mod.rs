//! Status lists: Bitstring Status List 1.0 and StatusList2021 (W3C), read and published.
//!
//! A list is believed only when it is signed by the issuer of the credential that points to it, or by an issuer that is trusted to
//! issue status lists. Whatever keeps the status from being known keeps the credential from being accepted.

mod bits;
mod checker;
mod entry;
mod list;
mod publish;
#[cfg(test)]
mod tests;

pub use bits::{MIN_ENTRIES, StatusBits};
pub use checker::StatusChecker;
pub use entry::{StatusEntry, StatusKind};
pub use publish::{NewStatusList, publish};
