//! A folder on an SFTP server. The server is talked to only when it shows a host key that the configuration names.

use std::io::{self, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use russh::client::{self, Handle as Connection};
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh_sftp::client::error::Error;
use russh_sftp::client::{RawSftpSession, SftpSession, fs};
use russh_sftp::protocol::{OpenFlags, Packet, StatusCode};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::part::{self, PartFile};
use super::{ByteStream, Entry, FileFacts, FileStore, Found, Node, OpenFile, Upload, join, split};
use crate::config::{SftpRoot, Timeouts};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Time between two signs of life on a connection that is not used.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Bits of a mode that say what it is, and two of the kinds (POSIX, `sys/stat.h`).
const KINDS: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
/// Replaces a file that is there, which a plain rename does not (OpenSSH's `PROTOCOL`, 4.3).
const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// A folder on an SFTP server.
#[derive(Debug)]
pub(crate) struct Sftp {
    shared: Arc<Shared>,
}

/// What the store and its files share.
struct Shared {
    root: SftpRoot,
    timeouts: Timeouts,
    /// Carries the connection: a thread that answers requests may end before it.
    background: Handle,
    session: Mutex<Option<Arc<Session>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A connection that is logged in.
struct Session {
    connection: Connection<Keys>,
    sftp: SftpSession,
    /// The root as the server sees it, links resolved.
    base: String,
}

impl Sftp {
    pub(crate) fn new(root: SftpRoot, timeouts: Timeouts, background: Handle) -> Self {
        Self { shared: Arc::new(Shared { root, timeouts, background, session: Mutex::new(None) }) }
    }
}

impl Shared {
    /// The connection that is there, or a new one.
    async fn session(self: &Arc<Self>) -> io::Result<Arc<Session>> {
        let mut place = self.session.lock().await;
        if let Some(session) = place.as_ref().filter(|session| !session.connection.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let shared = Arc::clone(self);
        let connecting = self.background.spawn(async move { shared.connect().await });
        let session = tokio::time::timeout(self.timeouts.connect, connecting).await;
        let session = session.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(io::Error::other)??;
        let session = Arc::new(session);
        *place = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn connect(&self) -> io::Result<Session> {
        let root = &self.root;
        let config = client::Config { keepalive_interval: Some(KEEPALIVE), nodelay: true, ..client::Config::default() };
        let keys = Keys { pinned: Arc::clone(&root.host_keys), host: root.host.clone() };
        let mut connection =
            client::connect(Arc::new(config), (root.host.as_str(), root.port), keys).await.map_err(unreachable)?;
        let user = root.login.user.as_str();
        let mut accepted = false;
        if let Some(key) = &root.login.private_key {
            let hash = connection.best_supported_rsa_hash().await.map_err(unreachable)?.flatten();
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
            accepted = connection.authenticate_publickey(user, key).await.map_err(unreachable)?.success();
        }
        if let (false, Some(password)) = (accepted, &root.login.password) {
            let answer = connection.authenticate_password(user, password.expose_secret()).await;
            accepted = answer.map_err(unreachable)?.success();
        }
        if !accepted {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the SFTP server does not accept our login"));
        }
        let channel = subsystem(&connection).await?;
        let sftp = SftpSession::new(channel.into_stream()).await.map_err(failure)?;
        sftp.set_timeout(self.timeouts.head.as_secs().max(1));
        let base = sftp.canonicalize(root.path.as_str()).await.map_err(failure)?;
        Ok(Session { connection, sftp, base: base.trim_end_matches('/').to_owned() })
    }
}

async fn subsystem(connection: &Connection<Keys>) -> io::Result<russh::Channel<client::Msg>> {
    let channel = connection.channel_open_session().await.map_err(unreachable)?;
    channel.request_subsystem(true, "sftp").await.map_err(unreachable)?;
    Ok(channel)
}

impl Session {
    /// The server's path, after it was made sure that no link leads out of the root.
    async fn inside(&self, path: &str) -> io::Result<String> {
        let full = self.full(path);
        let real = self.sftp.canonicalize(full.as_str()).await.map_err(failure)?;
        if real == self.base || real.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/')) {
            return Ok(full);
        }
        Err(io::Error::from(io::ErrorKind::NotFound))
    }

    fn full(&self, path: &str) -> String {
        if path.is_empty() { format!("{}/", self.base) } else { format!("{}/{path}", self.base) }
    }

    async fn make_folders(&self, folder: &str) -> io::Result<()> {
        let mut made = String::new();
        for segment in folder.split('/').filter(|segment| !segment.is_empty()) {
            made = join(&made, segment);
            let full = self.full(&made);
            if !self.sftp.try_exists(full.as_str()).await.map_err(failure)? {
                // Somebody else may be making it now; what cannot be used is noticed by the next step.
                let _ = self.sftp.create_dir(full).await;
            }
        }
        self.inside(folder).await.map(drop)
    }

    /// Gives a part its name, in place of what had it before.
    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.full(from), self.full(to));
        if self.sftp.rename(from.as_str(), to.as_str()).await.is_ok() {
            return Ok(());
        }
        let raw = RawSftpSession::new(subsystem(&self.connection).await?.into_stream());
        raw.init().await.map_err(failure)?;
        let mut data = Vec::new();
        for text in [&from, &to] {
            data.extend_from_slice(&u32::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes());
            data.extend_from_slice(text.as_bytes());
        }
        match raw.extended(POSIX_RENAME, data).await.map_err(failure)? {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) => Err(failure(Error::Status(status))),
            _ => Err(io::Error::other("the SFTP server cannot replace a file by another")),
        }
    }
}

#[async_trait]
impl FileStore for Sftp {
    async fn open(&self, path: &str) -> io::Result<Found> {
        let session = self.shared.session().await?;
        let full = session.inside(path).await?;
        let metadata = session.sftp.metadata(full.as_str()).await.map_err(failure)?;
        if is(&metadata, FOLDER) {
            return Ok(Found::Folder);
        }
        if !is(&metadata, FILE) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(Found::File(Box::new(RemoteFile { session, full, facts: facts(&metadata) })))
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let session = self.shared.session().await?;
        let full = session.inside(folder).await?;
        let found = session.sftp.read_dir(full).await.map_err(failure)?;
        let mut entries: Vec<Entry> = found
            .filter_map(|entry| {
                let metadata = entry.metadata();
                let node = if is(&metadata, FOLDER) {
                    Node::Folder(Some(modified(&metadata)))
                } else if is(&metadata, FILE) {
                    Node::File(facts(&metadata))
                } else {
                    return None;
                };
                Some(Entry { name: entry.file_name(), node })
            })
            .filter(|entry| !entry.name.starts_with('.') && !entry.name.contains('/'))
            .collect();
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    async fn create(&self, path: &str, key: &str, _size: Option<u64>) -> io::Result<Box<dyn Upload>> {
        let session = self.shared.session().await?;
        session.make_folders(split(path).0).await?;
        let part = part::path(path, key);
        let file = session.sftp.create(session.full(&part)).await.map_err(failure)?;
        Ok(Box::new(Arriving { session, to: PartFile::new(file), part, path: path.to_owned() }))
    }

    async fn take_up(&self, path: &str, key: &str) -> io::Result<Option<(Box<dyn Upload>, ByteStream)>> {
        let session = self.shared.session().await?;
        let part = part::path(path, key);
        let full = session.full(&part);
        let length = match session.sftp.metadata(full.as_str()).await.map_err(failure) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let there = read(Arc::clone(&session), full.clone(), 0, length);
        let mut file = session.sftp.open_with_flags(full, OpenFlags::WRITE).await.map_err(failure)?;
        file.seek(SeekFrom::Start(length)).await?;
        Ok(Some((Box::new(Arriving { session, to: PartFile::new(file), part, path: path.to_owned() }), there)))
    }
}

fn facts(metadata: &fs::Metadata) -> FileFacts {
    FileFacts::by_time(metadata.len(), modified(metadata))
}

/// Whether it is of this kind and no other; a link has the bits of a file, too.
fn is(metadata: &fs::Metadata, kind: u32) -> bool {
    metadata.permissions.is_some_and(|mode| mode & KINDS == kind)
}

fn modified(metadata: &fs::Metadata) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(metadata.mtime.unwrap_or(0).into())
}

struct RemoteFile {
    session: Arc<Session>,
    full: String,
    facts: FileFacts,
}

impl OpenFile for RemoteFile {
    fn facts(&self) -> &FileFacts {
        &self.facts
    }

    fn read(&self, first: u64, length: u64) -> ByteStream {
        read(Arc::clone(&self.session), self.full.clone(), first, length)
    }
}

fn read(session: Arc<Session>, full: String, first: u64, length: u64) -> ByteStream {
    // The session stays with the file: a connection nobody holds is closed.
    stream::try_unfold((session, None::<fs::File>, length), move |(session, file, left)| {
        let full = full.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let mut file = match file {
                Some(file) => file,
                None => {
                    let mut file = session.sftp.open(full).await.map_err(failure)?;
                    file.seek(SeekFrom::Start(first)).await?;
                    file
                }
            };
            let mut buffer = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
            }
            buffer.truncate(read);
            Ok(Some((Bytes::from(buffer), (session, Some(file), left - read as u64))))
        }
    })
    .boxed()
}

/// A file that is being written on the server.
struct Arriving {
    session: Arc<Session>,
    to: PartFile<fs::File>,
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
        self.to.file.sync_all().await.map_err(failure)?;
        self.to.file.shutdown().await?;
        self.session.rename(&self.part, &self.path).await
    }

    async fn discard(mut self: Box<Self>) {
        // What is left of it has no name that anybody reads.
        let _ = self.to.file.shutdown().await;
        let _ = self.session.sftp.remove_file(self.session.full(&self.part)).await;
    }
}

fn unreachable(error: russh::Error) -> io::Error {
    match error {
        russh::Error::IO(error) => error,
        russh::Error::UnknownKey => {
            io::Error::new(io::ErrorKind::PermissionDenied, "the SFTP server shows a host key that is not configured")
        }
        other => io::Error::new(io::ErrorKind::ConnectionAborted, other),
    }
}

fn failure(error: Error) -> io::Error {
    let kind = match &error {
        Error::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => io::ErrorKind::NotFound,
            StatusCode::PermissionDenied => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        },
        Error::Timeout => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, error)
}

/// Accepts the pinned host keys only.
struct Keys {
    pinned: Arc<[PublicKey]>,
    host: String,
}

impl client::Handler for Keys {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let known = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.pinned.iter().any(|pinned| pinned.key_data() == key.key_data())
            }
            PublicKeyOrCertificate::Certificate(_) => false,
        };
        if !known {
            tracing::error!(
                host = self.host,
                "an SFTP server shows a host key that is not configured; it is not talked to"
            );
        }
        Ok(known)
    }
}
