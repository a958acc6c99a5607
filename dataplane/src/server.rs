//! The three listeners: bound, served, drained.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer, Route};
use socket2::SockRef;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::client::{self, Client};
use crate::config::{Config, Listener};
use crate::flow::Connection;
use crate::plane::Plane;
use crate::proxy::Forwarder;
use crate::store::StoreError;
use crate::{delivery, local, public, renewal, signaling, subscription, usage, watch};

/// Bytes gathered before a write to a reader, so that a head and a small body go together. A chunk comes on top: this and the
/// size of a read from the source are what an open stream keeps.
const WRITE_BUFFER: usize = 8 * 1024;
/// How long a connection may stay silent between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the head of a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the data plane does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address from the configuration.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The embedded store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS towards others cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A running data plane.
pub struct Running {
    plane: Arc<Plane>,
    handles: Vec<ServerHandle>,
    servers: Vec<JoinHandle<io::Result<()>>>,
    background: Vec<JoinHandle<()>>,
    over: CancellationToken,
    /// Where partners are served.
    pub public: SocketAddr,
    /// Where the control plane is served.
    pub signaling: SocketAddr,
    /// Where our own readers are served.
    pub local: SocketAddr,
}

impl fmt::Debug for Running {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Running")
            .field("public", &self.public)
            .field("signaling", &self.signaling)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Running {
    fn serve(&mut self, plane: &Data<Plane>, side: Side, socket: TcpListener) -> io::Result<()> {
        let server = serve(plane, side, socket)?;
        self.handles.push(server.handle());
        let shared = plane.clone();
        self.servers.push(tokio::spawn(async move { shared.serving.run(server).await }));
        Ok(())
    }

    /// Lets the pulls go to other data planes, takes no new requests, lets running ones end within the drain time, gives back the uses that
    /// it holds, and closes the store.
    pub async fn stop(self) {
        signaling::presence::leave(&self.plane).await;
        futures_util::future::join_all(self.handles.iter().map(|handle| handle.stop(true))).await;
        usage::give_back(&self.plane).await;
        self.over.cancel();
        for task in &self.background {
            task.abort();
        }
        for server in self.servers.into_iter() {
            if let Ok(Err(error)) = server.await {
                tracing::warn!(%error, "a listener ended with an error");
            }
        }
    }

    /// Ends at once, as a power failure would: nothing is drained.
    pub async fn kill(self) {
        self.over.cancel();
        for task in &self.background {
            task.abort();
        }
        futures_util::future::join_all(self.handles.iter().map(|handle| handle.stop(false))).await;
    }
}

/// Starts the data plane: opens the store, binds all ports, serves, registers with the control plane.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let (sender, callbacks) = unbounded_channel();
    let tls = client::tls(&config.partners.authorities)?;
    let plane = Data::new(Plane::open(config, tls, sender, Handle::current())?);
    let config = &plane.config;
    let sockets = [bind(&config.public)?, bind(&config.signaling)?, bind(&config.local)?];
    let addresses = sockets.each_ref().map(|socket| socket.local_addr());
    let [public_socket, signaling_socket, local_socket] = sockets;
    let failed = |(address, error): (SocketAddr, io::Error)| StartError::Listen { address, error };
    let mut running = Running {
        plane: plane.clone().into_inner(),
        handles: Vec::new(),
        servers: Vec::new(),
        background: Vec::new(),
        over: plane.over.clone(),
        public: config.public.address,
        signaling: config.signaling.address,
        local: config.local.address,
    };
    let places = [&mut running.public, &mut running.signaling, &mut running.local];
    let configured = [&config.public, &config.signaling, &config.local];
    for ((place, address), listener) in places.into_iter().zip(addresses).zip(configured) {
        *place = address.map_err(|error| failed((listener.address, error)))?;
    }
    for (side, socket) in [(Side::Signaling, signaling_socket), (Side::Local, local_socket)] {
        running.serve(&plane, side, socket).map_err(|error| failed((side.listener(config).address, error)))?;
    }
    for (name, address, listener) in [
        ("public", running.public, &config.public),
        ("signaling", running.signaling, &config.signaling),
        ("local", running.local, &config.local),
    ] {
        tracing::info!(%address, url = listener.public_url, tls = listener.tls.is_some(), "listening: {name}");
    }
    warn_of_dangers(config);
    let shared = plane.clone().into_inner();
    shared.take_up_again();
    running.background = vec![
        tokio::spawn(signaling::callback::deliver_all(Arc::clone(&shared), callbacks)),
        tokio::spawn(signaling::registration::keep_registered(Arc::clone(&shared))),
        tokio::spawn(watch::keep_watch(Arc::clone(&shared))),
        tokio::spawn(renewal::keep_renewed(Arc::clone(&shared))),
        tokio::spawn(subscription::provider::keep_states(Arc::clone(&shared))),
        tokio::spawn(subscription::provider::keep_brokers(Arc::clone(&shared))),
        tokio::spawn(subscription::consumer::keep(Arc::clone(&shared))),
        tokio::spawn(delivery::keep(Arc::clone(&shared))),
        tokio::spawn(watch::keep_clean(Arc::clone(&shared))),
    ];
    // Partners are served last: a flow that has gone to another data plane meanwhile must not be.
    signaling::presence::fence(&shared).await;
    running.serve(&plane, Side::Public, public_socket).map_err(|error| failed((config.public.address, error)))?;
    Ok(running)
}

fn warn_of_dangers(config: &Config) {
    let partners = &config.partners;
    for (set, key) in [
        (config.without_plan.is_some(), "control_plane.danger_without_plan"),
        (partners.danger_allow_private_addresses, "partners.danger_allow_private_addresses"),
        (config.token_rules.danger_unverified, "control_plane.danger_unverified_tokens"),
        (partners.danger_allow_plain_http, "partners.danger_allow_plain_http"),
    ] {
        if set {
            tracing::warn!(setting = key, "a dangerous setting is on");
        }
    }
}

fn bind(listener: &Listener) -> Result<TcpListener, StartError> {
    TcpListener::bind(listener.address).map_err(|error| StartError::Listen { address: listener.address, error })
}

/// The three kinds of listener.
#[derive(Debug, Clone, Copy)]
enum Side {
    Public,
    Signaling,
    Local,
}

impl Side {
    fn listener(self, config: &Config) -> &Listener {
        match self {
            Self::Public => &config.public,
            Self::Signaling => &config.signaling,
            Self::Local => &config.local,
        }
    }

    fn route(self) -> Route {
        match self {
            Self::Public => web::to(public::serve),
            Self::Signaling => web::to(signaling::serve),
            Self::Local => web::to(local::serve),
        }
    }
}

fn serve(plane: &Data<Plane>, side: Side, socket: TcpListener) -> io::Result<Server> {
    let config = &plane.config;
    let workers = if matches!(side, Side::Signaling) { 1 } else { config.workers };
    let shared = plane.clone();
    let stall = config.limits.stall;
    let server = HttpServer::new(move || {
        let app = App::new().app_data(shared.clone()).app_data(Data::new(forwarder(&shared, side)));
        app.default_service(side.route())
    });
    let server = server
        .workers(workers)
        .max_connections(config.limits.max_connections)
        .tcp_nodelay(true)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_TIMEOUT)
        .h1_write_buffer_size(WRITE_BUFFER)
        .shutdown_timeout(config.drain.as_secs())
        .disable_signals()
        .on_connect(move |connection, data| remember_connection(connection, data, stall));
    let server = match &side.listener(config).tls {
        Some(tls) => server.listen_rustls_0_23(socket, tls.as_ref().clone())?,
        None => server.listen(socket)?,
    };
    Ok(server.run())
}

/// Each worker thread has its own client: a request and its upstream connection stay on one thread.
fn forwarder(plane: &Plane, side: Side) -> Forwarder {
    let (guard, health) = match side {
        Side::Local => (Some(plane.guard), &plane.partner_health),
        Side::Public | Side::Signaling => (None, &plane.source_health),
    };
    Forwarder {
        client: Client::new(&plane.tls, guard, plane.config.timeouts).with_breakers(health),
        idle: plane.config.timeouts.idle,
        max_request_body: plane.config.limits.max_request_body,
        pass_headers: Arc::clone(&plane.config.limits.pass_headers),
        alias: Arc::clone(&plane.alias),
    }
}

/// Keeps a second handle on the socket, so that a stream can be cut while its reader does not read, and has the system close
/// the connection of a reader that takes nothing for too long: nobody else would notice while there is nothing to write.
fn remember_connection(connection: &dyn Any, data: &mut Extensions, stall: Option<Duration>) {
    let socket = connection
        .downcast_ref::<TcpStream>()
        .or_else(|| connection.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0));
    let Some(socket) = socket else { return };
    if let Err(error) = SockRef::from(socket).set_tcp_user_timeout(stall) {
        tracing::warn!(%error, "a connection has no time limit for a reader that does not read");
    }
    match socket.as_fd().try_clone_to_owned() {
        Ok(handle) => {
            data.insert(Arc::new(Connection::new(handle.into())));
        }
        Err(error) => {
            tracing::warn!(%error, "a connection has no second handle; its streams end with their next byte")
        }
    }
}
