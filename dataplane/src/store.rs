//! The embedded store: flows, control planes and callbacks that are still owed, kept over restarts.
//!
//! One thread owns the write side. It takes every change that waits, writes all of them in one transaction and only then
//! answers, so that many flows share one disk synchronisation. See `docs/decisions/0003-data-plane-store.md`.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::flow::FlowRecord;

const FLOWS: TableDefinition<&str, &[u8]> = TableDefinition::new("flows");
const CONTROL_PLANES: TableDefinition<&str, &[u8]> = TableDefinition::new("control_planes");
const SUBSCRIPTIONS: TableDefinition<&str, &[u8]> = TableDefinition::new("subscriptions");
const NOTIFICATIONS: TableDefinition<&str, &[u8]> = TableDefinition::new("notifications");
const SENT: TableDefinition<&str, &[u8]> = TableDefinition::new("sent");
const MIRRORS: TableDefinition<&str, &[u8]> = TableDefinition::new("mirrors");
const MIRRORED: TableDefinition<&str, &[u8]> = TableDefinition::new("mirrored");
const REGISTRATIONS: TableDefinition<&str, &[u8]> = TableDefinition::new("registrations");
const CALLBACKS: TableDefinition<&str, &[u8]> = TableDefinition::new("callbacks");
/// Memory for pages, in bytes; everything is read once at start.
const CACHE_BYTES: usize = 2 * 1024 * 1024;
/// Most changes in one transaction.
const BATCH: usize = 256;

/// The store failed. The operator is at fault as a rule: no room, no rights, another process.
#[derive(Debug, Clone, Error)]
#[error("the store failed: {text}")]
pub struct StoreError {
    text: String,
    no_room: bool,
}

impl StoreError {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self { text: error.to_string(), no_room: false }
    }

    fn of(error: impl Into<redb::Error>) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let error = error.into();
        let full = |error: &std::io::Error| matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge);
        let no_room = matches!(&error, redb::Error::Io(error) if full(error));
        Self { text: error.to_string(), no_room }
    }

    /// Whether there was no room to write.
    pub(crate) fn is_for_lack_of_room(&self) -> bool {
        self.no_room
    }
}

/// What the store keeps, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Flow,
    ControlPlane,
    Callback,
    /// A file that a push has delivered: its version by flow and path.
    Sent,
    /// A subscription, and what belongs to it but the notifications.
    Subscription,
    /// A notification on its way.
    Notification,
    /// A mirror: how far it is.
    Mirror,
    /// An entity that a mirror has written, by broker and id.
    Mirrored,
    /// A context source that is registered with a broker of ours.
    Registration,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Flow,
        Self::ControlPlane,
        Self::Callback,
        Self::Sent,
        Self::Subscription,
        Self::Notification,
        Self::Mirror,
        Self::Mirrored,
        Self::Registration,
    ];

    fn table(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        match self {
            Self::Flow => FLOWS,
            Self::ControlPlane => CONTROL_PLANES,
            Self::Callback => CALLBACKS,
            Self::Sent => SENT,
            Self::Subscription => SUBSCRIPTIONS,
            Self::Notification => NOTIFICATIONS,
            Self::Mirror => MIRRORS,
            Self::Mirrored => MIRRORED,
            Self::Registration => REGISTRATIONS,
        }
    }
}

/// One change: a new value, or none to forget the key.
#[derive(Debug)]
pub(crate) struct Change {
    kind: Kind,
    key: String,
    value: Option<Bytes>,
}

impl Change {
    /// Keeps a value.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub(crate) fn put(kind: Kind, key: &str, value: &impl Serialize) -> Result<Self, StoreError> {
        let value = serde_json::to_vec(value).map_err(StoreError::new)?;
        Ok(Self::text(kind, key, value.into()))
    }

    /// Keeps a value that is JSON already.
    pub(crate) fn text(kind: Kind, key: &str, value: Bytes) -> Self {
        Self { kind, key: key.to_owned(), value: Some(value) }
    }

    /// Keeps a flow.
    ///
    /// # Errors
    /// As for [`Change::put`].
    pub(crate) fn flow(record: &FlowRecord) -> Result<Self, StoreError> {
        Self::put(Kind::Flow, &record.id, record)
    }

    /// Forgets a key.
    pub(crate) fn forget(kind: Kind, key: &str) -> Self {
        Self { kind, key: key.to_owned(), value: None }
    }
}

struct Job {
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The open file. After a failure the library writes nothing more until it was opened anew: what is there is whole, and what was
/// being written is not in it. `None` while that does not succeed.
type Opened = Arc<RwLock<Option<Database>>>;

/// Handle on the store; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Opened,
    jobs: Sender<Job>,
}

impl Store {
    /// Opens the store in `folder`, which is made for the owner only when it is missing, and starts the writer.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be opened, for instance because another process has it.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(StoreError::new)?;
        let path = folder.join("flows.redb");
        let database = open_file(&path)?;
        // Addresses of partners carry their tokens.
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(StoreError::new)?;
        write(&database, &[])?;
        let database = Arc::new(RwLock::new(Some(database)));
        let (jobs, waiting) = channel();
        let writer = Arc::clone(&database);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(&writer, &path, &waiting))
            .map_err(StoreError::new)?;
        Ok(Self { database, jobs })
    }

    /// Writes the changes together; returns when they are on disk.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is kept then.
    pub(crate) async fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.submit(changes).await
    }

    /// The same; the changes have their place among all others when this returns, and are on disk when the future ends.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub(crate) fn submit(&self, changes: Vec<Change>) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let ended = || StoreError::new("the writer has ended");
        let (done, answer) = oneshot::channel();
        let sent = self.jobs.send(Job { changes, done });
        async move {
            sent.map_err(|_| ended())?;
            answer.await.map_err(|_| ended())?
        }
    }

    /// Everything of one kind, by key. A value that cannot be read is reported and left out.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub(crate) fn load<T: DeserializeOwned>(&self, kind: Kind) -> Result<Vec<(String, T)>, StoreError> {
        self.load_below(kind, "")
    }

    /// What of one kind has a key that begins with `prefix`, by key. A value that cannot be read is reported and left out.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub(crate) fn load_below<T: DeserializeOwned>(
        &self,
        kind: Kind,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        self.load_some(kind, prefix, prefix, usize::MAX)
    }

    /// The first `most` of one kind whose key begins with `prefix` and is not before `from`, by key. A value that cannot be
    /// read is reported and left out.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub(crate) fn load_some<T: DeserializeOwned>(
        &self,
        kind: Kind,
        prefix: &str,
        from: &str,
        most: usize,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let read = database.as_ref().ok_or_else(closed)?.begin_read().map_err(StoreError::of)?;
        let table = read.open_table(kind.table()).map_err(StoreError::of)?;
        let mut found = Vec::new();
        for entry in table.range(from..).map_err(StoreError::of)? {
            let (key, value) = entry.map_err(StoreError::of)?;
            if found.len() >= most || !key.value().starts_with(prefix) {
                break;
            }
            match serde_json::from_slice(value.value()) {
                Ok(value) => found.push((key.value().to_owned(), value)),
                Err(error) => tracing::error!(key = key.value(), %error, "a stored value cannot be read"),
            }
        }
        Ok(found)
    }

    /// The values of these keys, each in its place.
    ///
    /// # Errors
    /// [`StoreError`] when the file or a value cannot be read.
    pub(crate) fn find<T: DeserializeOwned>(&self, kind: Kind, keys: &[String]) -> Result<Vec<Option<T>>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let read = database.as_ref().ok_or_else(closed)?.begin_read().map_err(StoreError::new)?;
        let table = read.open_table(kind.table()).map_err(StoreError::new)?;
        let one = |key: &String| {
            let found = table.get(key.as_str()).map_err(StoreError::new)?;
            found.map(|value| serde_json::from_slice(value.value()).map_err(StoreError::new)).transpose()
        };
        keys.iter().map(one).collect()
    }
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(|error| StoreError::new(format!("cannot open `{}`: {error}", path.display())))
}

fn closed() -> StoreError {
    StoreError::new("it could not be opened anew after a failure")
}

fn serve(database: &Opened, path: &Path, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter().take(BATCH - 1));
        let changes: Vec<&Change> = jobs.iter().flat_map(|job| &job.changes).collect();
        let result = write_or_reopen(database, path, &changes);
        for job in jobs {
            // Whoever asked may have gone.
            let _ = job.done.send(result.clone());
        }
    }
}

/// Writes; after a failure the file is opened anew, now or before the next attempt.
fn write_or_reopen(opened: &Opened, path: &Path, changes: &[&Change]) -> Result<(), StoreError> {
    if opened.read().unwrap_or_else(PoisonError::into_inner).is_none() {
        reopen(opened, path)?;
    }
    let result = match opened.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(database) => write(database, changes),
        None => Err(closed()),
    };
    if let Err(error) = &result {
        tracing::error!(%error, "the store could not write; it is opened anew");
        if let Err(error) = reopen(opened, path) {
            tracing::error!(%error, "the store cannot be opened anew; it is tried again with the next change");
        }
    }
    result
}

fn reopen(opened: &Opened, path: &Path) -> Result<(), StoreError> {
    let mut place = opened.write().unwrap_or_else(PoisonError::into_inner);
    // Only one may have the file.
    drop(place.take());
    *place = Some(open_file(path)?);
    Ok(())
}

fn write(database: &Database, changes: &[&Change]) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(StoreError::of)?;
    // Without changes: all tables are made, so that reading need not care.
    let touched = |kind: &Kind| changes.is_empty() || changes.iter().any(|change| change.kind == *kind);
    for kind in Kind::ALL.into_iter().filter(touched) {
        let mut table = transaction.open_table(kind.table()).map_err(StoreError::of)?;
        for change in changes.iter().filter(|change| change.kind == kind) {
            match &change.value {
                Some(value) => table.insert(change.key.as_str(), value.as_ref()).map_err(StoreError::of)?,
                None => table.remove(change.key.as_str()).map_err(StoreError::of)?,
            };
        }
    }
    transaction.commit().map_err(StoreError::of)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[actix_web::test]
    async fn what_is_written_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let changes = vec![
            Change::put(Kind::ControlPlane, "a", &json!({"n": 1})).unwrap(),
            Change::put(Kind::Callback, "b", &json!("x")).unwrap(),
        ];
        store.write(changes).await.unwrap();
        store.write(vec![Change::forget(Kind::Callback, "b")]).await.unwrap();
        drop(store);
        // The writer gives the file back when it has seen that nobody is left.
        let mut opened = Store::open(folder.path());
        for _ in 0..100 {
            if opened.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            opened = Store::open(folder.path());
        }
        let store = opened.unwrap();
        let found: Vec<(String, Value)> = store.load(Kind::ControlPlane).unwrap();
        assert_eq!(found, [("a".to_owned(), json!({"n": 1}))]);
        assert!(store.load::<Value>(Kind::Callback).unwrap().is_empty());
        let mode = std::fs::metadata(folder.path().join("flows.redb")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[actix_web::test]
    async fn changes_given_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let keys: Vec<String> = (0..500).map(|number| format!("k{number}")).collect();
        let writes = keys.iter().map(|key| store.write(vec![Change::put(Kind::Callback, key, key).unwrap()]));
        for result in futures_util::future::join_all(writes).await {
            result.unwrap();
        }
        assert_eq!(store.load::<String>(Kind::Callback).unwrap().len(), 500);
    }
}
