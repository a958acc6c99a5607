//! Whether this control plane can be sent requests, for orchestrators and load balancers.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::app::App;
use crate::store::events;

/// The listeners `dsp`, `management` and `signaling`.
const LISTENERS: usize = 3;
/// Longest wait for the database.
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

/// `GET /ready`: 200 when every listener serves and the database answers; else 503 and what is missing.
pub(crate) async fn answer(app: web::Data<App>) -> HttpResponse {
    let mut missing = Vec::new();
    if !app.serving.all() {
        missing.push("a listener does not serve");
    }
    if !matches!(tokio::time::timeout(PATIENCE, events::last_seq(&app.store)).await, Ok(Ok(_))) {
        missing.push("the database does not answer");
    }
    let (mut response, status) = match missing.is_empty() {
        true => (HttpResponse::Ok(), "ready"),
        false => (HttpResponse::ServiceUnavailable(), "not ready"),
    };
    response.insert_header((CACHE_CONTROL, "no-store")).json(json!({"status": status, "missing": missing}))
}
