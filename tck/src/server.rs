//! A small HTTP server on loopback that hands every request to one function.

use std::net::Ipv4Addr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::{Context as _, Result};

/// Largest body that is taken, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Method in upper case.
    pub method: String,
    /// Path with its query, as the caller wrote it.
    pub target: String,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Incoming {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// HTTP status code.
    pub status: u16,
    /// Headers besides those about the connection and the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Outgoing {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }
}

/// What answers the requests.
pub type Handler = Arc<dyn Fn(Incoming) -> BoxFuture<'static, Outgoing> + Send + Sync>;

/// A running server. Dropping it closes its port soon; [`Server::stop`] waits for that.
pub struct Server {
    handle: ServerHandle,
    port: u16,
}

impl Server {
    /// Listens on this port of the loopback address.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(port: u16, handler: Handler) -> Result<Self> {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .app_data(web::Data::new(handler.clone()))
                .default_service(web::to(handle))
        })
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, port))
        .context(format_args!("cannot listen on port {port}"))?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { handle, port })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Closes the port and waits until it is closed.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The message to stop is sent when this is called; the future only waits for the end.
        drop(self.handle.stop(false));
    }
}

/// The base address of a port of loopback.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The same by the name of the host, as in a did:web.
pub fn url_by_name(port: u16) -> String {
    format!("http://localhost:{port}")
}

async fn handle(request: HttpRequest, body: web::Bytes, handler: web::Data<Handler>) -> HttpResponse {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let target = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let method = request.method().as_str().to_owned();
    let answer = (handler.get_ref())(Incoming { method, target, headers, body: body.to_vec() }).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for header in answer.headers {
        response.append_header(header);
    }
    response.body(answer.body)
}
