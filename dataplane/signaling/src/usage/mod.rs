//! Uses of an agreement that the control plane grants to data planes in blocks: an extension of ours to DPS.
//!
//! The control plane keeps one number for each agreement and meter: how far it has given uses out. A data plane asks for a
//! block with a [`UsageRequest`], gets the positions `from + 1 ..= to` in a [`UsageGrant`], and spends them without asking
//! again ([`Holding`]). What was given counts as used, whatever becomes of it, so no crash of any plane and no lost answer
//! can lead to more uses than the agreement admits ([`block`]).

mod granting;
mod holding;
mod message;

pub use granting::block;
pub use holding::Holding;
pub use message::{UsageGrant, UsageMeter, UsageRequest, UsageReturn, usage_path};
