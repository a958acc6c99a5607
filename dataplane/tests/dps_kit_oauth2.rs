//! The kit's scripts for data planes once more, without a shared secret: both planes show tokens of OAuth 2.0 client credentials.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod kit;
mod support;

const OAUTH2: bool = true;
