//! A bucket of an S3-compatible store. Requests are signed by `object_store` and go through our own client.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::path::Path;
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
    WriteMultipart,
};
use secrecy::ExposeSecret;

use super::{ByteStream, Entry, FileFacts, FileStore, Found, Node, OpenFile, Upload, join};
use crate::client::{Client, ClientError};
use crate::config::{BucketRoot, Timeouts};

/// Bytes of a part. A smaller file is sent as a whole.
const PART: u64 = 8 * 1024 * 1024;
/// Parts that S3 takes for one file, with a reserve.
const PARTS: u64 = 9_500;
/// Bytes of a part where the size of the file is not known: enough for 140 GiB.
const BLIND_PART: u64 = 16 * 1024 * 1024;
/// Parts on their way at once.
const AT_ONCE: usize = 2;
/// Attempts after the first one.
const RETRIES: usize = 3;

/// A bucket, or what lies below a prefix in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: io::Result<Arc<AmazonS3>>,
    prefix: String,
}

impl Bucket {
    pub(crate) fn new(root: BucketRoot, client: Client, timeouts: Timeouts) -> Self {
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: timeouts.head * (RETRIES as u32 + 1),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&root.bucket)
            .with_endpoint(root.endpoint.as_str().trim_end_matches('/'))
            .with_region(&root.region)
            .with_allow_http(root.endpoint.scheme() == "http")
            .with_retry(retry)
            .with_http_connector(Connector(client));
        builder = match &root.key {
            Some(key) => builder.with_access_key_id(&key.id).with_secret_access_key(key.secret.expose_secret()),
            None => builder.with_skip_signature(true),
        };
        Self { store: builder.build().map(Arc::new).map_err(failure), prefix: root.prefix }
    }

    fn store(&self) -> io::Result<&Arc<AmazonS3>> {
        self.store.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }

    fn key(&self, path: &str) -> io::Result<Path> {
        Path::parse(join(&self.prefix, path)).map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))
    }
}

#[async_trait]
impl FileStore for Bucket {
    async fn open(&self, path: &str) -> io::Result<Found> {
        if path.is_empty() {
            return Ok(Found::Folder);
        }
        let (store, key) = (self.store()?, self.key(path)?);
        match store.head(&key).await {
            Ok(meta) => Ok(Found::File(Box::new(Object {
                store: Arc::clone(store),
                facts: facts(&meta),
                etag: meta.e_tag,
                key,
            }))),
            Err(object_store::Error::NotFound { path, source }) => {
                // A folder is what names begin with.
                let mut below = store.list(Some(&key));
                match below.next().await.transpose().map_err(failure)? {
                    Some(_) => Ok(Found::Folder),
                    None => Err(failure(object_store::Error::NotFound { path, source })),
                }
            }
            Err(error) => Err(failure(error)),
        }
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let found = self.store()?.list_with_delimiter(Some(&self.key(folder)?)).await.map_err(failure)?;
        let folders = found.common_prefixes.iter().map(|path| (path, Node::Folder(None)));
        let files = found.objects.iter().map(|meta| (&meta.location, Node::File(facts(meta))));
        let mut entries: Vec<Entry> = folders
            .chain(files)
            .filter_map(|(path, node)| Some(Entry { name: path.filename()?.to_owned(), node }))
            .filter(|entry| !entry.name.starts_with('.'))
            .collect();
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    async fn create(&self, path: &str, _key: &str, size: Option<u64>) -> io::Result<Box<dyn Upload>> {
        let (store, key) = (Arc::clone(self.store()?), self.key(path)?);
        if size.is_some_and(|size| size <= PART) {
            return Ok(Box::new(Small { store, key, bytes: Vec::new() }));
        }
        let part = size.map_or(BLIND_PART, |size| PART.max(size.div_ceil(PARTS)));
        let upload = store.put_multipart(&key).await.map_err(failure)?;
        let part = usize::try_from(part).map_err(io::Error::other)?;
        Ok(Box::new(Large { writer: WriteMultipart::new_with_chunk_size(upload, part) }))
    }

    fn shows_whole_files_only(&self) -> bool {
        true
    }
}

fn facts(meta: &ObjectMeta) -> FileFacts {
    let modified = SystemTime::from(meta.last_modified);
    let mut facts = FileFacts::by_time(meta.size, modified);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if let Some(etag) = &meta.e_tag {
        let etag: Vec<u8> = etag.bytes().filter(plain).collect();
        facts.tag = format!("{}-{:x}", String::from_utf8_lossy(&etag), meta.size);
    }
    facts
}

/// One version of an object.
struct Object {
    store: Arc<AmazonS3>,
    key: Path,
    etag: Option<String>,
    facts: FileFacts,
}

#[async_trait]
impl OpenFile for Object {
    fn facts(&self) -> &FileFacts {
        &self.facts
    }

    fn read(&self, first: u64, length: u64) -> ByteStream {
        if length == 0 {
            return stream::empty().boxed();
        }
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        let options = GetOptions {
            range: Some(GetRange::Bounded(first..first + length)),
            if_match: self.etag.clone(),
            ..GetOptions::default()
        };
        let begun = async move {
            let found = store.get_opts(&key, options).await.map_err(failure)?;
            Ok::<_, io::Error>(found.into_stream().map_err(failure))
        };
        stream::once(begun).try_flatten().boxed()
    }
}

/// A file of one part, kept until it is complete.
struct Small {
    store: Arc<AmazonS3>,
    key: Path,
    bytes: Vec<u8>,
}

#[async_trait]
impl Upload for Small {
    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.bytes.extend_from_slice(&chunk);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> io::Result<()> {
        self.store.put(&self.key, PutPayload::from(self.bytes)).await.map(drop).map_err(failure)
    }

    async fn discard(self: Box<Self>) {}
}

/// A file of many parts, which the store puts together at the end.
struct Large {
    writer: WriteMultipart,
}

#[async_trait]
impl Upload for Large {
    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.writer.wait_for_capacity(AT_ONCE).await.map_err(failure)?;
        self.writer.put(chunk);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> io::Result<()> {
        self.writer.finish().await.map(drop).map_err(failure)
    }

    async fn discard(self: Box<Self>) {
        if let Err(error) = self.writer.abort().await {
            tracing::warn!(%error, "the parts of an upload that was given up are still in the store");
        }
    }
}

fn failure(error: object_store::Error) -> io::Error {
    use object_store::Error;
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        Error::Precondition { .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Gives `object_store` our client.
#[derive(Debug, Clone)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.clone())))
    }
}

#[derive(Debug)]
struct Service(Client);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = request.map(|body| body.map_err(io::Error::other).boxed_unsync());
        let answer = self.0.send_while_moving(request).await.map_err(|error| {
            let kind = match &error {
                ClientError::TimedOut(_) => HttpErrorKind::Timeout,
                ClientError::Unreachable(..) | ClientError::Resting(..) => HttpErrorKind::Connect,
            };
            HttpError::new(kind, error)
        })?;
        Ok(answer.map(|body| {
            let frames = body.into_data_stream().map_ok(Frame::data);
            HttpResponseBody::new(StreamBody::new(
                frames.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error)),
            ))
        }))
    }
}
