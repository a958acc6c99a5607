//! Whether this data plane can be sent flows, for orchestrators and load balancers.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::Server;
use actix_web::http::header;
use serde_json::json;

use crate::plane::Plane;

/// The listeners `public`, `signaling` and `local`.
const LISTENERS: usize = 3;
/// Longest wait for the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many listeners serve.
#[derive(Debug, Default)]
pub(crate) struct Serving(AtomicUsize);

impl Serving {
    /// Serves a listener to its end, and counts it meanwhile.
    ///
    /// # Errors
    /// What the listener ended with.
    pub(crate) async fn run(&self, server: Server) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let ended = server.await;
        self.0.fetch_sub(1, Ordering::Relaxed);
        ended
    }

    fn all(&self) -> bool {
        self.0.load(Ordering::Relaxed) == LISTENERS
    }
}

/// `GET /ready`: 200 when every listener serves, the store writes, and a control plane has told us the key of its plans; else 503
/// and what is missing. A control plane that is away now does not count: what flows, flows on without it.
pub(crate) async fn answer(plane: &Plane) -> HttpResponse {
    let mut missing = Vec::new();
    if !plane.serving.all() {
        missing.push("a listener does not serve");
    }
    if !matches!(tokio::time::timeout(PATIENCE, plane.store.write(Vec::new())).await, Ok(Ok(()))) {
        missing.push("the store cannot be written");
    }
    if !plane.can_take_flows() {
        missing.push("no control plane has taken our registration yet");
    }
    let (mut response, status) = match missing.is_empty() {
        true => (HttpResponse::Ok(), "ready"),
        false => (HttpResponse::ServiceUnavailable(), "not ready"),
    };
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(json!({"status": status, "missing": missing}))
}
