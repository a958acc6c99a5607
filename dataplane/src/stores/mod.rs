//! Places that hold files: a local folder, an S3-compatible store, an SFTP server, a web server.
//!
//! All of them look the same from outside. A path is relative, of plain segments between slashes; empty for the root. A file is
//! read as a stream from any place on. A file that is written has its name only when it is complete: before that nobody sees it.

mod bucket;
mod folder;
mod part;
mod sftp;
mod web;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

pub(crate) use folder::Folder;

use crate::client::Client;
use crate::config::{FileRoot, Timeouts};

/// Deepest folder that a walk descends into.
const MAX_DEPTH: usize = 32;
/// Most files that a walk finds.
const MAX_FILES: usize = 1_000_000;

/// Bytes as they come, never more than a chunk ahead of whoever takes them.
pub(crate) type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Length in bytes.
    pub(crate) size: u64,
    /// Time of the last change.
    pub(crate) modified: SystemTime,
    /// Another one for every other version; without quotes, spaces and commas.
    pub(crate) tag: String,
}

impl FileFacts {
    /// Facts of a file whose store tells versions apart by time and size alone.
    fn by_time(size: u64, modified: SystemTime) -> Self {
        let nanos = modified.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self { size, modified, tag: format!("{nanos:x}-{size:x}") }
    }
}

/// What a folder holds.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The last segment of its path.
    pub(crate) name: String,
    pub(crate) node: Node,
}

/// A file or a folder.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    File(FileFacts),
    /// With the time of its last change, where the store knows one.
    Folder(Option<SystemTime>),
}

/// What lies at a path.
pub(crate) enum Found {
    File(Box<dyn OpenFile>),
    Folder,
}

/// One version of a file, ready to be read.
#[async_trait]
pub(crate) trait OpenFile: Send + Sync {
    fn facts(&self) -> &FileFacts;

    /// The bytes from `first` on, `length` of them. They are of this version, or the stream fails.
    fn read(&self, first: u64, length: u64) -> ByteStream;

    /// The SHA-256 of the whole.
    ///
    /// # Errors
    /// It cannot be read, or is not this version any more.
    async fn sha256(&self) -> io::Result<[u8; 32]> {
        let (hasher, _) = hash(self.read(0, self.facts().size), Sha256::new()).await?;
        Ok(hasher.finalize().into())
    }
}

/// Feeds all of a stream to a hash; gives the length, too.
///
/// # Errors
/// The stream breaks off.
pub(crate) async fn hash(mut stream: ByteStream, mut hasher: Sha256) -> io::Result<(Sha256, u64)> {
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        length += chunk.len() as u64;
        hasher.update(&chunk);
    }
    Ok((hasher, length))
}

/// A file that is being written. Dropping it leaves what has arrived, where the store can keep it; it has no name then.
#[async_trait]
pub(crate) trait Upload: Send {
    /// Adds to the end.
    ///
    /// # Errors
    /// The store does not take it.
    async fn write(&mut self, chunk: Bytes) -> io::Result<()>;

    /// Whether what has arrived is exactly what was written. A write that nobody waited for to its end may have left a part of it.
    fn is_sound(&self) -> bool {
        true
    }

    /// Gives the complete file its name, durably; a file that had it before is replaced as a whole.
    ///
    /// # Errors
    /// The store does not; nothing has the name then.
    async fn commit(self: Box<Self>) -> io::Result<()>;

    /// Throws away what has arrived.
    async fn discard(self: Box<Self>);
}

/// A place that holds files.
#[async_trait]
pub(crate) trait FileStore: fmt::Debug + Send + Sync {
    /// Opens what lies at a path.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is nothing, and what the place says otherwise.
    async fn open(&self, path: &str) -> io::Result<Found>;

    /// What a folder holds, by name. Links and hidden names are left out.
    ///
    /// # Errors
    /// There is no such folder, or the place cannot be asked; [`io::ErrorKind::Unsupported`] where lists are not known.
    async fn list(&self, folder: &str) -> io::Result<Vec<Entry>>;

    /// Begins a new file. `key`, of letters and digits, tells the parts of different uploads apart; `size` is told where it is known.
    ///
    /// # Errors
    /// The place does not take it.
    async fn create(&self, path: &str, key: &str, size: Option<u64>) -> io::Result<Box<dyn Upload>>;

    /// What an earlier program left of the upload `key`, and the bytes of it; `None` where nothing is left.
    ///
    /// # Errors
    /// What is left cannot be opened.
    async fn take_up(&self, path: &str, key: &str) -> io::Result<Option<(Box<dyn Upload>, ByteStream)>> {
        let _ = (path, key);
        Ok(None)
    }

    /// Files up to this size are read for their digest before their first answer.
    fn hashed_first(&self) -> u64 {
        1024 * 1024
    }

    /// Whether a file that is still being written is not seen.
    fn shows_whole_files_only(&self) -> bool {
        false
    }

    /// The folder on this machine, where it is one.
    fn local(&self) -> Option<&std::path::Path> {
        None
    }
}

/// The paths of all files below `base`, relative to it and in order, with their versions.
///
/// # Errors
/// A folder cannot be listed, or there are more files or deeper folders than a walk takes.
pub(crate) async fn walk(store: &dyn FileStore, base: &str) -> io::Result<Vec<(String, FileFacts)>> {
    let mut found = Vec::new();
    let mut waiting = vec![(String::new(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("the folders are nested too deeply"));
        }
        for entry in store.list(&join(base, &folder)).await? {
            let path = join(&folder, &entry.name);
            match entry.node {
                Node::File(facts) => found.push((path, facts)),
                Node::Folder(_) => waiting.push((path, depth + 1)),
            }
        }
        if found.len() > MAX_FILES {
            return Err(io::Error::other("there are too many files"));
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(found)
}

/// Two paths, one below the other.
pub(crate) fn join(folder: &str, rest: &str) -> String {
    match (folder.is_empty(), rest.is_empty()) {
        (true, _) => rest.to_owned(),
        (_, true) => folder.to_owned(),
        _ => format!("{folder}/{rest}"),
    }
}

/// Folder and last segment of a path.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The stores of the configuration, by name.
#[derive(Debug, Default)]
pub(crate) struct Stores(HashMap<String, Arc<dyn FileStore>>);

impl Stores {
    /// Makes all of them ready; none is connected to before it is used. `background` carries long-lived connections.
    pub(crate) fn new(
        roots: &HashMap<String, FileRoot>,
        client: &Client,
        timeouts: Timeouts,
        background: &Handle,
    ) -> Self {
        let store = |root: &FileRoot| -> Arc<dyn FileStore> {
            match root {
                FileRoot::Folder(path) => Arc::new(Folder::new(path.clone())),
                FileRoot::Bucket(root) => Arc::new(bucket::Bucket::new(root.clone(), client.clone(), timeouts)),
                FileRoot::Sftp(root) => Arc::new(sftp::Sftp::new(root.clone(), timeouts, background.clone())),
                FileRoot::Web(root) => Arc::new(web::Web::new(root.clone(), client.clone(), timeouts)),
            }
        };
        Self(roots.iter().map(|(name, root)| (name.clone(), store(root))).collect())
    }

    /// The store of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn FileStore>> {
        self.0.get(name)
    }
}
