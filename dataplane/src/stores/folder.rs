//! A folder on this machine.
//!
//! Every path is opened relative to a handle on the folder, so neither `..` nor a symbolic link leads out of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;

use super::part::{self, PartFile};
use super::{ByteStream, Entry, FileFacts, FileStore, Found, Node, OpenFile, Upload, split};

/// Bytes read at once; the most that one stream keeps.
const CHUNK: u64 = 64 * 1024;
/// Bytes hashed at once.
const BLOCK: usize = 256 * 1024;
/// Files up to this size are hashed before their first answer.
const HASHED_FIRST: u64 = 256 * 1024 * 1024;

/// A folder on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Runs work on a handle of the folder, on the threads for blocking work.
    async fn on<T: Send + 'static>(&self, work: impl FnOnce(&Dir) -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let root = self.root.clone();
        let run = move || work(&Dir::open_ambient_dir(&root, ambient_authority())?);
        spawn_blocking(run).await.map_err(io::Error::other)?
    }
}

#[async_trait]
impl FileStore for Folder {
    async fn open(&self, path: &str) -> io::Result<Found> {
        let path = or_dot(path);
        self.on(move |dir| {
            let metadata = dir.metadata(&path)?;
            if metadata.is_dir() {
                return Ok(Found::Folder);
            }
            // A pipe would be waited for when it is opened.
            if !metadata.is_file() {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
            let file = dir.open(&path)?;
            let facts = facts(&file.metadata()?);
            let opened: Box<dyn OpenFile> = Box::new(LocalFile { file: Arc::new(file.into_std()), facts });
            Ok(Found::File(opened))
        })
        .await
        .map_err(outside)
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let folder = or_dot(folder);
        self.on(move |dir| list(dir, &folder)).await.map_err(outside)
    }

    async fn create(&self, path: &str, key: &str, _size: Option<u64>) -> io::Result<Box<dyn Upload>> {
        let (folder, part, path) = (split(path).0.to_owned(), part::path(path, key), path.to_owned());
        let opened = self.on(move |dir| {
            if !folder.is_empty() {
                dir.create_dir_all(&folder)?;
            }
            let file = dir.open_with(&part, OpenOptions::new().write(true).create(true).truncate(true))?;
            Ok(Arriving { dir: Arc::new(dir.try_clone()?), to: PartFile::new(file.into_std().into()), part, path })
        });
        Ok(Box::new(opened.await?))
    }

    async fn take_up(&self, path: &str, key: &str) -> io::Result<Option<(Box<dyn Upload>, ByteStream)>> {
        let (part, path) = (part::path(path, key), path.to_owned());
        let opened = self.on(move |dir| {
            let file = dir.open_with(&part, OpenOptions::new().read(true).append(true))?.into_std();
            let length = file.metadata()?.len();
            let stream = chunks(Arc::new(file.try_clone()?), 0, length);
            Ok((Arriving { dir: Arc::new(dir.try_clone()?), to: PartFile::new(file.into()), part, path }, stream))
        });
        match opened.await {
            Ok((arriving, stream)) => Ok(Some((Box::new(arriving), stream))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn hashed_first(&self) -> u64 {
        HASHED_FIRST
    }

    fn local(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

/// cap-std and the operating system refuse to leave the folder; to a reader that is no file.
fn outside(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotADirectory
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::InvalidInput => io::Error::new(io::ErrorKind::NotFound, error),
        _ => error,
    }
}

fn or_dot(path: &str) -> String {
    if path.is_empty() { ".".to_owned() } else { path.to_owned() }
}

fn facts(metadata: &Metadata) -> FileFacts {
    FileFacts::by_time(metadata.len(), modified(metadata))
}

fn modified(metadata: &Metadata) -> SystemTime {
    metadata.modified().map_or(SystemTime::UNIX_EPOCH, cap_std::time::SystemTime::into_std)
}

fn list(dir: &Dir, folder: &str) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for entry in dir.read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        // Not followed: a link is neither file nor folder. Whoever vanished meanwhile is not there.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let node = if metadata.is_dir() {
            Node::Folder(Some(modified(&metadata)))
        } else if metadata.is_file() {
            Node::File(facts(&metadata))
        } else {
            continue;
        };
        found.push(Entry { name, node });
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

struct LocalFile {
    file: Arc<File>,
    facts: FileFacts,
}

#[async_trait]
impl OpenFile for LocalFile {
    fn facts(&self) -> &FileFacts {
        &self.facts
    }

    fn read(&self, first: u64, length: u64) -> ByteStream {
        chunks(Arc::clone(&self.file), first, length)
    }

    async fn sha256(&self) -> io::Result<[u8; 32]> {
        let (file, size) = (Arc::clone(&self.file), self.facts.size);
        spawn_blocking(move || whole_hash(&file, size)).await.map_err(io::Error::other)?
    }
}

/// Hashes exactly `size` bytes; a file that has another length by now fails.
fn whole_hash(file: &File, size: u64) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut total = 0;
    loop {
        let read = file.read_at(&mut block, total)?;
        if read == 0 {
            break;
        }
        total += read as u64;
        hasher.update(block.get(..read).unwrap_or_default());
    }
    if total == size { Ok(hasher.finalize().into()) } else { Err(io::Error::other("the file changed meanwhile")) }
}

/// A chunk is read only when the last one was taken. A file that became shorter breaks off.
fn chunks(file: Arc<File>, first: u64, length: u64) -> ByteStream {
    let end = first + length;
    stream::try_unfold((file, first), move |(file, next)| async move {
        if next >= end {
            return Ok(None);
        }
        let wanted = CHUNK.min(end - next);
        let shared = Arc::clone(&file);
        let chunk = spawn_blocking(move || read(&shared, next, wanted)).await.map_err(io::Error::other)??;
        let next = next + chunk.len() as u64;
        Ok(Some((chunk, (file, next))))
    })
    .boxed()
}

fn read(file: &File, offset: u64, length: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = file.read_at(&mut buffer, offset)?;
    if read == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    buffer.truncate(read);
    Ok(Bytes::from(buffer))
}

/// A file that is being written into the folder.
struct Arriving {
    dir: Arc<Dir>,
    to: PartFile<tokio::fs::File>,
    part: String,
    path: String,
}

#[async_trait]
impl Upload for Arriving {
    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.to.write(&chunk).await
    }

    fn is_sound(&self) -> bool {
        self.to.is_sound()
    }

    async fn commit(mut self: Box<Self>) -> io::Result<()> {
        self.to.file.flush().await?;
        self.to.file.sync_all().await?;
        let name = move || {
            self.dir.rename(&self.part, &self.dir, &self.path)?;
            // The name itself is on disk only when its folder is.
            let folder = split(&self.path).0;
            self.dir.open(or_dot(folder))?.sync_all()
        };
        spawn_blocking(name).await.map_err(io::Error::other)?
    }

    async fn discard(self: Box<Self>) {
        // What is left of it has no name that anybody reads.
        let _ = spawn_blocking(move || self.dir.remove_file(&self.part)).await;
    }
}
