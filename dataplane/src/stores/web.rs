//! Files of a web server, by HTTP: HEAD and GET with ranges, and PUT. There are no lists: a dataset names its file.

use std::io;
use std::time::SystemTime;

use actix_web::http::header::HttpDate;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{ByteStream, Entry, FileFacts, FileStore, Found, OpenFile, Upload};
use crate::client::{self, Client, ClientError, Outgoing};
use crate::config::{Timeouts, WebRoot};
use crate::files::media_type;

/// Characters of a path segment that stay as they are.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Chunks of an upload on their way.
const AHEAD: usize = 2;

/// What lies below an address.
#[derive(Debug)]
pub(crate) struct Web {
    place: Place,
}

#[derive(Debug, Clone)]
struct Place {
    root: WebRoot,
    client: Client,
    timeouts: Timeouts,
}

impl Web {
    pub(crate) fn new(root: WebRoot, client: Client, timeouts: Timeouts) -> Self {
        Self { place: Place { root, client, timeouts } }
    }
}

impl Place {
    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Outgoing,
    ) -> io::Result<Request<Outgoing>> {
        let encoded: Vec<String> = path.split('/').map(|part| utf8_percent_encode(part, SEGMENT).to_string()).collect();
        let uri = format!("{}/{}", self.root.base.as_str().trim_end_matches('/'), encoded.join("/"));
        let mut request = Request::builder().method(method).uri(uri).header(ACCEPT_ENCODING, "identity");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(authorization) = &self.root.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.body(body).map_err(io::Error::other)
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> io::Result<Response<Incoming>> {
        let answer = self.client.send(self.request(method, path, headers, client::empty())?).await;
        checked(answer.map_err(unreachable)?)
    }
}

/// An answer that brings something.
fn checked<B>(answer: Response<B>) -> io::Result<Response<B>> {
    let status = answer.status();
    let kind = match status {
        status if status.is_success() => return Ok(answer),
        StatusCode::NOT_FOUND | StatusCode::GONE => io::ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => io::ErrorKind::PermissionDenied,
        StatusCode::PRECONDITION_FAILED => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    Err(io::Error::new(kind, format!("the web server answered {}", status.as_u16())))
}

fn unreachable(error: ClientError) -> io::Error {
    let kind = match error {
        ClientError::TimedOut(_) => io::ErrorKind::TimedOut,
        ClientError::Unreachable(..) | ClientError::Resting(..) => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, error)
}

#[async_trait]
impl FileStore for Web {
    async fn open(&self, path: &str) -> io::Result<Found> {
        if path.is_empty() {
            return Ok(Found::Folder);
        }
        let answer = self.place.ask(Method::HEAD, path, &[]).await?;
        let headers = answer.headers();
        let size: Option<u64> = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let size = size.ok_or_else(|| io::Error::other("the web server does not say how long the file is"))?;
        let modified = text(headers, &LAST_MODIFIED).and_then(|date| date.parse::<HttpDate>().ok());
        let mut facts = FileFacts::by_time(size, modified.map_or(SystemTime::UNIX_EPOCH, SystemTime::from));
        // A weak tag does not promise equal bytes.
        let etag = text(headers, &ETAG).filter(|etag| etag.starts_with('"')).map(str::to_owned);
        if let Some(etag) = &etag {
            facts.tag = etag.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
            facts.tag.push_str(&format!("-{size:x}"));
        }
        Ok(Found::File(Box::new(WebFile { place: self.place.clone(), path: path.to_owned(), etag, facts })))
    }

    async fn list(&self, _folder: &str) -> io::Result<Vec<Entry>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "files of a web server cannot be listed; name one"))
    }

    async fn create(&self, path: &str, _key: &str, size: Option<u64>) -> io::Result<Box<dyn Upload>> {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
        let chunks = stream::unfold(receiver, |mut receiver| async move {
            let chunk = receiver.recv().await?;
            Some((chunk.map(Frame::data), receiver))
        });
        let length = size.map(|size| size.to_string());
        let mut headers = vec![(CONTENT_TYPE, media_type(path))];
        if let Some(length) = &length {
            headers.push((CONTENT_LENGTH, length));
        }
        let request = self.place.request(Method::PUT, path, &headers, StreamBody::new(chunks).boxed_unsync())?;
        let client = self.place.client.clone();
        let answer = tokio::spawn(async move {
            let answer = client.send_while_moving(request).await.map_err(unreachable)?;
            checked(answer).map(drop)
        });
        Ok(Box::new(Sending { sender, answer, held: None }))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

struct WebFile {
    place: Place,
    path: String,
    etag: Option<String>,
    facts: FileFacts,
}

#[async_trait]
impl OpenFile for WebFile {
    fn facts(&self) -> &FileFacts {
        &self.facts
    }

    fn read(&self, first: u64, length: u64) -> ByteStream {
        if length == 0 {
            return stream::empty().boxed();
        }
        let (place, path, etag, size) = (self.place.clone(), self.path.clone(), self.etag.clone(), self.facts.size);
        let begun = async move {
            let range = format!("bytes={first}-{}", first + length - 1);
            let mut headers = Vec::new();
            if (first, length) != (0, size) {
                headers.push((RANGE, range.as_str()));
            }
            if let Some(etag) = &etag {
                headers.push((IF_MATCH, etag.as_str()));
            }
            let answer = place.ask(Method::GET, &path, &headers).await?;
            let begins = match answer.status() {
                StatusCode::PARTIAL_CONTENT => text(answer.headers(), &CONTENT_RANGE).and_then(begin),
                _ => Some(0),
            };
            let skip = begins.and_then(|begins| first.checked_sub(begins));
            let skip = skip.ok_or_else(|| io::Error::other("the web server answered with another part of the file"))?;
            Ok::<_, io::Error>(exactly(answer.into_body(), skip, length, place.timeouts))
        };
        stream::once(begun)
            .flat_map(|begun| match begun {
                Ok(stream) => stream,
                Err(error) => stream::once(async { Err(error) }).boxed(),
            })
            .boxed()
    }
}

fn begin(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

/// Leaves out the first `skip` bytes of a body and gives `length` of what follows.
fn exactly(body: Incoming, skip: u64, length: u64, timeouts: Timeouts) -> ByteStream {
    stream::try_unfold((body, skip, length), move |(mut body, mut skip, mut left)| async move {
        if left == 0 {
            return Ok(None);
        }
        loop {
            let frame = tokio::time::timeout(timeouts.idle, body.frame()).await;
            let frame = frame.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
            let Some(frame) = frame else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the web server sent less than announced"));
            };
            let Ok(mut data) = frame.map_err(io::Error::other)?.into_data() else { continue };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(data.len());
            let mut data = data.split_off(skipped);
            skip -= skipped as u64;
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            if !data.is_empty() {
                left -= data.len() as u64;
                return Ok(Some((data, (body, skip, left))));
            }
        }
    })
    .boxed()
}

/// A file on its way to the web server. The last chunk is held back until the whole is known to be right: a server that gets
/// less than was announced has no file.
struct Sending {
    sender: mpsc::Sender<io::Result<Bytes>>,
    answer: JoinHandle<io::Result<()>>,
    held: Option<Bytes>,
}

impl Sending {
    async fn pass(&self, chunk: Option<Bytes>) -> io::Result<()> {
        let Some(chunk) = chunk else { return Ok(()) };
        if self.sender.send(Ok(chunk)).await.is_ok() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::BrokenPipe, "the web server takes no more"))
    }
}

#[async_trait]
impl Upload for Sending {
    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        // Held until it was passed on: nobody may wait for that.
        self.pass(self.held.clone()).await?;
        self.held = Some(chunk);
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> io::Result<()> {
        let held = self.held.take();
        self.pass(held).await?;
        let Self { sender, answer, .. } = *self;
        drop(sender);
        answer.await.map_err(io::Error::other)?
    }

    async fn discard(self: Box<Self>) {
        // An error in the body breaks the connection off, so that the server cannot take it for the end.
        let _ = self.sender.send(Err(io::Error::other("given up"))).await;
    }
}
