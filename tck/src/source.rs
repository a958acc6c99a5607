//! A source of data behind a provider: a tiny HTTP server with one answer for each path.

use std::sync::Arc;

use futures_util::FutureExt as _;
use serde_json::json;

use crate::server::{Outgoing, Server};
use crate::{Result, ports};

/// Answers every GET with a list that holds the path and the query it was asked with.
///
/// # Errors
/// When no port is free.
pub fn start() -> Result<Server> {
    Server::start(
        ports::free()?,
        Arc::new(|request| {
            async move {
                match request.method.as_str() {
                    "GET" => Outgoing::json(200, &json!([{"id": "urn:ngsi-ld:Test:1", "asked": request.target}])),
                    _ => Outgoing::empty(405),
                }
            }
            .boxed()
        }),
    )
}
