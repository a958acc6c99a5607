//! Opens the listeners: TLS when there is a certificate, every address known before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::ServiceConfig;
use actix_web::{App as ActixApp, HttpServer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Limits, Listener, Tls};

/// How long requests under way may go on after the order to stop, s.
const DRAIN_S: u64 = 10;

/// A listener that is bound but not served yet.
pub(crate) struct Bound {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    /// The address it listens on.
    pub address: SocketAddr,
    /// Root URL under which others see it.
    pub url: String,
}

/// Binds a listener and reads its certificate.
///
/// # Errors
/// With the name of the listener and the address or file in the message.
pub(crate) fn bind(name: &str, settings: &Listener) -> io::Result<Bound> {
    let listener = TcpListener::bind(settings.listen)
        .map_err(|error| io::Error::new(error.kind(), format!("{name}.listen {}: {error}", settings.listen)))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let tls = settings.tls.as_ref().map(|tls| server_config(tls).map(Arc::new)).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = settings.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
    Ok(Bound { listener, tls, address, url: url.trim_end_matches('/').to_owned() })
}

fn server_config(tls: &Tls) -> io::Result<ServerConfig> {
    let wrong = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        io::Error::other(format!("{}: {error}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&tls.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| wrong(&tls.key, &error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| wrong(&tls.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves a bound listener.
///
/// # Errors
/// When the socket cannot be used.
pub(crate) fn serve<F>(bound: Bound, workers: usize, limits: &Limits, configure: F) -> io::Result<Server>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let server = HttpServer::new(move || ActixApp::new().configure(configure.clone()))
        .workers(workers)
        .tcp_nodelay(true)
        .client_request_timeout(limits.request_timeout)
        .keep_alive(Duration::from_secs(75))
        .shutdown_timeout(DRAIN_S)
        .disable_signals();
    let server = match bound.tls {
        Some(tls) => server.listen_rustls_0_23(bound.listener, (*tls).clone())?,
        None => server.listen(bound.listener)?,
    };
    Ok(server.run())
}
