//! The store: SQLite by default, PostgreSQL by URL, through one set of queries.
//!
//! Reads go to a pool. Every change is a *unit of work*: a closure that sees one transaction, changes rows, appends
//! events and is committed as a whole ([`Store::write`]). What the unit leaves to do (events to publish, processes that
//! owe something) is handed out only after the commit.
//!
//! On SQLite one writer commits many independent units together, each in a savepoint of its own, so that they share
//! the disk syncs (`docs/decisions/0002`). On PostgreSQL each unit is a transaction of its own.

mod entity;
mod migration;
mod page;
mod unit;
mod writer;

pub(crate) mod agreements;
pub(crate) mod catalog;
pub(crate) mod credentials;
pub(crate) mod decisions;
pub(crate) mod duties;
pub(crate) mod events;
pub(crate) mod facts;
pub(crate) mod issuances;
pub(crate) mod leases;
pub(crate) mod negotiations;
pub(crate) mod presence;
pub(crate) mod processes;
pub(crate) mod registry;
pub(crate) mod running;
pub(crate) mod secrets;
pub(crate) mod tokens;
pub(crate) mod usage;

#[cfg(test)]
mod battery;

pub(crate) use entity::process::ProcessRow;
pub(crate) use entity::{
    agreement, consent, credential, credential_offer, credential_request, data_plane, dataset, decision_record,
    declared_event, duty, event, issuance, issued_credential, negotiation, offer, partner, policy, transfer,
    trusted_issuer, usage_counter, webhook,
};
pub(crate) use page::{Filter, ListQuery, Page};
pub(crate) use unit::{Step, StepKind, Unit};

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr};
use tokio::sync::{broadcast, mpsc};

use writer::Writer;

/// Id of the participant context that a new installation starts with.
pub(crate) const DEFAULT_CONTEXT: &str = "default";

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database failed: {0}")]
    Database(#[from] DbErr),
    /// A row with this id exists already.
    #[error("`{0}` exists already")]
    Exists(String),
    /// The list parameters make no sense.
    #[error("{0}")]
    BadQuery(String),
    /// The writer has ended because the process is stopping.
    #[error("the store is closed")]
    Closed,
}

/// Result of a store call.
pub(crate) type StoreResult<T> = Result<T, StoreError>;

/// Handle to the database; cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    reads: DatabaseConnection,
    writer: Writer,
    events: broadcast::Sender<std::sync::Arc<event::Model>>,
    owner: std::sync::Arc<str>,
}

impl Store {
    /// Opens the database at `url`, makes the file when there is none, and brings the schema up to date.
    ///
    /// `owner` names this replica in leases; it must stay the same over restarts of the same installation, so that a
    /// restarted process takes its own work back at once. The receiver gets the processes that owe a step, as units of
    /// this replica are committed.
    pub(crate) async fn open(url: &str, owner: &str) -> StoreResult<(Self, mpsc::UnboundedReceiver<Step>)> {
        let sqlite = url.starts_with("sqlite");
        let writes = connect(url, sqlite, if sqlite { 1 } else { 16 }).await?;
        migration::run(&writes, url).await?;
        let reads = if sqlite { connect(url, true, 4).await? } else { writes.clone() };
        let (events, _) = broadcast::channel(1024);
        let (steps, owing) = mpsc::unbounded_channel();
        let writer = Writer::start(writes, events.clone(), steps);
        Ok((Self { reads, writer, events, owner: owner.into() }, owing))
    }

    /// The connection for reads.
    pub(crate) fn reads(&self) -> &DatabaseConnection {
        &self.reads
    }

    /// Events, as they are committed by this replica.
    pub(crate) fn subscribe_events(&self) -> broadcast::Receiver<std::sync::Arc<event::Model>> {
        self.events.subscribe()
    }

    /// The name of this replica in leases.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Runs `work` as one unit and returns after its commit is durable. When `work` fails, nothing of it stays.
    ///
    /// # Errors
    /// What `work` returned, or the database's error.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Unit) -> futures_util::future::BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.writer.write(work, self.owner.clone()).await
    }
}

async fn connect(url: &str, sqlite: bool, connections: u32) -> StoreResult<DatabaseConnection> {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(connections)
        .min_connections(1)
        .sqlx_logging(false)
        .acquire_timeout(Duration::from_secs(15));
    if sqlite {
        // A file that lives as long as the process: no connection is ever recycled, no ping before each use.
        options.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        options.map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(10))
                .foreign_keys(true)
                .statement_cache_capacity(200)
        });
    }
    Ok(Database::connect(options).await?)
}

/// Whether the connection is PostgreSQL, for the few places where SQL differs.
fn is_postgres(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
