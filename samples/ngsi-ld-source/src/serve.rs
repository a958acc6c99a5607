//! Loading the files and serving them until the process is told to stop.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use actix_web::{App, HttpServer, web};
use time::OffsetDateTime;

use crate::cli::ServeArgs;
use crate::http::{Registrations, Served, Subscriptions, configure, tell};
use crate::source::{Live, Source, World};
use crate::store::LoadError;

/// Why serving ended or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A data file is not usable.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The address cannot be listened on, or the server broke.
    #[error("cannot serve on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The port file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    PortFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Reads every data file.
///
/// # Errors
/// The first file that is not usable.
pub fn load(args: &ServeArgs) -> Result<World, LoadError> {
    let mut world = World::default();
    for path in &args.data {
        world.default.load(path)?;
    }
    for path in &args.history {
        world.default.load_history(path)?;
    }
    for (name, path) in &args.tenant {
        world.tenants.entry(name.clone()).or_default().load(path)?;
    }
    Ok(world)
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// See [`ServeError`].
pub async fn run(args: ServeArgs) -> Result<(), ServeError> {
    let world = load(&args)?;
    let count = world.default.entities().len();
    let live = args.live.map(|seconds| Live { seconds, seed: args.seed });
    let served = web::Data::new(Served {
        source: Source::new(world, live, OffsetDateTime::now_utc()),
        authorization: args.require_authorization.as_ref().map(|token| format!("Bearer {token}")),
        subscriptions: Subscriptions::default(),
        registrations: Registrations::default(),
        alias: format!("source-{}", std::process::id()),
    });
    let telling = served.clone();
    let listen = |source| ServeError::Listen { address: args.listen, source };
    let server = HttpServer::new(move || App::new().app_data(served.clone()).configure(configure))
        .workers(2)
        .shutdown_timeout(2)
        .bind(args.listen)
        .map_err(listen)?;
    let addresses: Vec<String> = server.addrs().iter().map(ToString::to_string).collect();
    println!("ngsi-ld-source: {count} entities at http://{}/ngsi-ld/v1/entities", addresses.join(", http://"));
    actix_web::rt::spawn(tell(telling));
    let running = server.run();
    if let Some(path) = &args.port_file {
        write_port_file(path, &addresses).map_err(|source| ServeError::PortFile { path: path.clone(), source })?;
    }
    running.await.map_err(listen)
}

/// Writes the file under another name first, so that a reader never sees half of it.
fn write_port_file(path: &Path, addresses: &[String]) -> io::Result<()> {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".new");
    fs::write(&hidden, format!("{}\n", addresses.join("\n")))?;
    fs::rename(&hidden, path)
}
