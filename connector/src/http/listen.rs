//! Opens the listeners: TLS when there is a certificate, every address known before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::ServiceConfig;
use actix_web::{App as ActixApp, HttpServer};
use rustls::ServerConfig;

use crate::config::{Limits, Listener};


/// A listener that is bound but not served yet.
pub(crate) struct Bound {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    /// The address it listens on.
    pub address: SocketAddr,
    /// Root URL under which others see it.
    pub url: String,
}

/// Binds a listener.
///
/// # Errors
/// With the name of the listener and the address in the message.
pub(crate) fn bind(name: &str, settings: &Listener) -> io::Result<Bound> {
    let listener = TcpListener::bind(settings.address)
        .map_err(|error| io::Error::new(error.kind(), format!("{name}.listen {}: {error}", settings.address)))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, tls: settings.tls.clone(), address, url: settings.public_url.clone() })
}

/// Serves a bound listener.
///
/// # Errors
/// When the socket cannot be used.
pub(crate) fn serve<F>(bound: Bound, workers: usize, limits: &Limits, drain: Duration, configure: F) -> io::Result<Server>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let server = HttpServer::new(move || ActixApp::new().configure(configure.clone()))
        .workers(workers)
        .tcp_nodelay(true)
        .client_request_timeout(limits.request_timeout)
        .max_connections(limits.connections)
        .keep_alive(Duration::from_secs(75))
        .shutdown_timeout(drain.as_secs())
        .disable_signals();
    let server = match bound.tls {
        Some(tls) => server.listen_rustls_0_23(bound.listener, (*tls).clone())?,
        None => server.listen(bound.listener)?,
    };
    Ok(server.run())
}
