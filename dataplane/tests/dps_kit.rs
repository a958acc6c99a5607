//! The kit's scripts for data planes, with a shared secret between the planes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod kit;
mod support;

const OAUTH2: bool = false;
