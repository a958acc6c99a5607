//! Files that are arriving, and where they go.

use std::collections::HashMap;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::files::{Digests, FileSource};
use crate::problem::Problem;
use crate::store::StoreError;
use crate::stores::{self, FileStore, Folder, Stores, hash, join};

/// How long what has arrived of a file is kept without a sign of its sender.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Uploads kept open for one process.
const MAX_OPEN: usize = 16;

/// A version of a file that a partner sends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Upload {
    /// The folder of its process.
    pub(super) folder: String,
    /// Its path there.
    pub(super) file: String,
    /// The sender's word for the version.
    pub(super) version: String,
}

impl Upload {
    /// Names its part.
    pub(super) fn key(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.file.as_bytes());
        hasher.update([0]);
        hasher.update(self.version.as_bytes());
        hex::encode(hasher.finalize().get(..16).unwrap_or_default())
    }
}

/// What has arrived of a file.
pub(super) struct Arrival {
    pub(super) upload: Box<dyn stores::Upload>,
    /// Of all that has arrived.
    pub(super) hasher: Sha256,
    /// In bytes.
    pub(super) length: u64,
    failed: bool,
}

impl Arrival {
    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<(), Problem> {
        if let Err(error) = self.upload.write(chunk.clone()).await {
            self.failed = true;
            return Err(Problem::not_written(&error));
        }
        self.hasher.update(&chunk);
        self.length += chunk.len() as u64;
        Ok(())
    }

    /// Whether it can go on from here.
    pub(super) fn is_sound(&self) -> bool {
        !self.failed && self.upload.is_sound()
    }
}

/// One request at a time writes a file.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Arrival>>>;

/// Where pushed files go.
pub(crate) struct Inbox {
    store: Arc<dyn FileStore>,
    /// Names the store among the digests.
    root: String,
    slots: Mutex<HashMap<Upload, (Slot, Instant)>>,
    /// Files by process folder, as far as they were counted.
    counts: Mutex<HashMap<String, u64>>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inbox").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Inbox {
    /// The inbox of the configuration; its folder is made where it is ours.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn open(config: &Config, stores: &Stores) -> Result<Self, StoreError> {
        let named = config.inbox_root.as_ref().and_then(|name| Some((name.clone(), Arc::clone(stores.get(name)?))));
        let (root, store) = match named {
            Some(named) => named,
            None => {
                let folder = config.data_dir.join("inbox");
                DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(StoreError::new)?;
                let store: Arc<dyn FileStore> = Arc::new(Folder::new(folder));
                ("inbox".to_owned(), store)
            }
        };
        Ok(Self { store, root, slots: Mutex::default(), counts: Mutex::default() })
    }

    /// The folder on this machine, where the inbox is one.
    pub(super) fn local(&self) -> Option<&Path> {
        self.store.local()
    }

    /// What has arrived under a process, as a source for our own readers.
    pub(crate) fn source(&self, process_id: &str, digests: &Digests) -> FileSource {
        FileSource::folder(&self.root, &self.store, &super::folder_name(process_id), digests)
    }

    /// Begins a file anew.
    pub(super) async fn begin(
        &self,
        folder: &str,
        file: &str,
        key: &str,
        size: Option<u64>,
    ) -> Result<Arrival, Problem> {
        let upload = self.store.create(&join(folder, file), key, size).await;
        let upload = upload.map_err(|error| Problem::not_written(&error))?;
        Ok(Arrival { upload, hasher: Sha256::new(), length: 0, failed: false })
    }

    /// What an earlier run of this program left of a file.
    pub(super) async fn take_up(&self, upload: &Upload) -> Result<Option<Arrival>, Problem> {
        let internal = |error: io::Error| Problem::internal(&error);
        let path = join(&upload.folder, &upload.file);
        let Some((writer, there)) = self.store.take_up(&path, &upload.key()).await.map_err(internal)? else {
            return Ok(None);
        };
        let (hasher, length) = hash(there, Sha256::new()).await.map_err(internal)?;
        Ok(Some(Arrival { upload: writer, hasher, length, failed: false }))
    }

    /// The place of a file that is arriving. Others of the same process that nobody sends any more are thrown away.
    pub(super) async fn slot(&self, upload: &Upload) -> Slot {
        let (slot, given_up) = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let mut stale: Vec<Upload> =
                slots.iter().filter(|(_, (_, used))| used.elapsed() > PATIENCE).map(|(key, _)| key.clone()).collect();
            let mut ours: Vec<(&Upload, Instant)> = slots
                .iter()
                .filter(|(other, _)| other.folder == upload.folder && *other != upload)
                .map(|(other, (_, used))| (other, *used))
                .collect();
            ours.sort_by_key(|(_, used)| *used);
            let too_many = (ours.len() + 1).saturating_sub(MAX_OPEN);
            stale.extend(ours.iter().take(too_many).map(|(other, _)| (*other).clone()));
            let same_file =
                ours.iter().filter(|(other, _)| other.file == upload.file).map(|(other, _)| (*other).clone());
            stale.extend(same_file);
            let given_up: Vec<Slot> = stale.iter().filter_map(|key| slots.remove(key)).map(|(slot, _)| slot).collect();
            let place = slots.entry(upload.clone()).or_insert_with(|| (Slot::default(), Instant::now()));
            place.1 = Instant::now();
            (Arc::clone(&place.0), given_up)
        };
        for slot in given_up {
            let arrival = slot.lock().await.take();
            if let Some(arrival) = arrival {
                arrival.upload.discard().await;
            }
        }
        slot
    }

    /// A file has arrived.
    pub(super) fn forget(&self, upload: &Upload) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(upload);
    }

    /// Whether fewer than `most` files of a process are there. A file that was replaced counts once more until all are counted
    /// anew, which happens when there seems to be no room.
    pub(super) async fn has_room(&self, folder: &str, most: u64) -> Result<bool, Problem> {
        let counted = self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(folder).copied();
        Ok(counted.is_some_and(|count| count < most) || self.count(folder).await? < most)
    }

    async fn count(&self, folder: &str) -> Result<u64, Problem> {
        let count = match stores::walk(self.store.as_ref(), folder).await {
            Ok(found) => found.len() as u64,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Unsupported) => 0,
            Err(error) => return Err(Problem::internal(&error)),
        };
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned(), count);
        Ok(count)
    }

    pub(super) fn count_one(&self, folder: &str) {
        if let Some(count) = self.counts.lock().unwrap_or_else(PoisonError::into_inner).get_mut(folder) {
            *count += 1;
        }
    }
}
