//! Files as a source: whole or in part, conditional, with digest; folders as JSON lists.

mod body;
mod conditions;
mod digest;
mod listing;
mod path;
mod range;
mod selected;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::header::{self, HeaderValue, HttpDate};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use ngsi_ld_filter::Filter;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub(crate) use body::FileBody;
use conditions::Verdict;
pub(crate) use digest::{Digests, announced, headers as digest_headers};
use digest::{Standing, Version};
pub(crate) use path::relative;
use range::Wanted;
use selected::Selected;
pub(crate) use selected::filtered;

use crate::flow::Ticket;
use crate::problem::{Fault, Problem};
use crate::proxy::HeadOnly;
use crate::stores::{FileFacts, FileStore, Found, OpenFile, join, walk};

/// Characters that an extended header parameter may hold as they are (RFC 8187, `attr-char`).
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A file, or a folder of files.
#[derive(Debug, Clone)]
pub(crate) struct FileSource {
    store: Arc<dyn FileStore>,
    /// The file or folder, in the store.
    base: String,
    /// `base` is the one file of this source.
    single: bool,
    /// Names the store among the digests.
    root: String,
    digests: Digests,
    /// What a selection shows of the files is read instead of them.
    filter: Option<Arc<Filter>>,
}

impl FileSource {
    /// Opens what `path` below a root is. Digests are shared by all sources, so that a file is hashed once.
    ///
    /// # Errors
    /// 400 when there is no such file or folder; the operator is at fault. 502 when the root cannot be reached.
    pub(crate) async fn open(
        root: &str,
        store: &Arc<dyn FileStore>,
        path: &str,
        digests: &Digests,
    ) -> Result<Self, Problem> {
        let base = path.trim_matches('/').to_owned();
        let single = match store.open(&base).await {
            Ok(Found::File(_)) => true,
            Ok(Found::Folder) => false,
            Err(error) => {
                tracing::warn!(root, path, %error, "a file source cannot be opened");
                let detail = "the dataset's file or folder cannot be opened";
                return Err(match error.kind() {
                    io::ErrorKind::NotFound => {
                        Problem::new(StatusCode::BAD_REQUEST, "source_not_usable", Fault::Operator, detail)
                    }
                    _ => failed(&error),
                });
            }
        };
        Ok(Self {
            store: Arc::clone(store),
            base,
            single,
            root: root.to_owned(),
            digests: digests.clone(),
            filter: None,
        })
    }

    /// The folder `base` of a store, whether it is there already or not.
    pub(crate) fn folder(root: &str, store: &Arc<dyn FileStore>, base: &str, digests: &Digests) -> Self {
        let (root, base) = (root.to_owned(), base.to_owned());
        Self { store: Arc::clone(store), base, single: false, root, digests: digests.clone(), filter: None }
    }

    /// Answers a request for `path`, percent-encoded, below the source.
    ///
    /// # Errors
    /// 404, 405, 412, 416 for the caller; 502 and 504 when the store fails.
    pub(crate) async fn serve(
        &self,
        request: &HttpRequest,
        path: &str,
        ticket: Ticket,
    ) -> Result<HttpResponse, Problem> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed("GET, HEAD", "files can only be read"));
        }
        let relative = relative(path).filter(|relative| !self.single || relative.is_empty()).ok_or_else(no_file)?;
        let full = join(&self.base, &relative);
        match self.store.open(&full).await.map_err(|error| failed(&error))? {
            Found::File(file) => self.answer(request, file.into(), &full, ticket).await,
            Found::Folder => {
                let shown = if relative.is_empty() { "/".to_owned() } else { format!("/{relative}/") };
                let entries = self.store.list(&full).await.map_err(|error| failed(&error))?;
                Ok(listing::answer(entries, &shown))
            }
        }
    }

    /// The files of the source by path, in order: what a push sends.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub(crate) async fn all(&self) -> io::Result<Vec<(String, FileFacts)>> {
        if self.single {
            let facts = self.read("").await?.facts().clone();
            return Ok(vec![(String::new(), facts)]);
        }
        let mut found = walk(self.store.as_ref(), &self.base).await?;
        found.retain(|(path, _)| self.filter.is_none() || selected::is_readable(path));
        Ok(found)
    }

    /// Opens one of the files that [`FileSource::all`] named.
    ///
    /// # Errors
    /// The file is gone or no file.
    pub(crate) async fn read(&self, path: &str) -> io::Result<Box<dyn OpenFile>> {
        match self.store.open(&join(&self.base, path)).await? {
            Found::File(file) => match &self.filter {
                Some(filter) => Ok(Box::new(Selected::open(file, filter, self.name(path)).await?)),
                None => Ok(file),
            },
            Found::Folder => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        }
    }

    /// What a file that [`FileSource::all`] named is called by a receiver: its path, or the name of the one file.
    pub(crate) fn name<'a>(&'a self, path: &'a str) -> &'a str {
        if path.is_empty() { self.base.rsplit('/').next().unwrap_or(&self.base) } else { path }
    }

    /// The SHA-256 of a file that is small or was read before.
    pub(crate) async fn digest(&self, path: &str, file: &dyn OpenFile) -> Option<[u8; 32]> {
        if self.filter.is_some() {
            // That of the whole file would tell of what is not shown.
            return None;
        }
        let version = self.version(&join(&self.base, path), file.facts());
        match self.digests.standing(&version) {
            Standing::Known(digest) => Some(digest),
            Standing::Underway => None,
            Standing::Unknown if file.facts().size <= self.store.hashed_first() => {
                self.digests.compute(&version, file).await
            }
            Standing::Unknown => None,
        }
    }

    /// The store and the path in it: where changes are watched for.
    pub(crate) fn place(&self) -> (&Arc<dyn FileStore>, &str) {
        (&self.store, &self.base)
    }

    fn version(&self, full: &str, facts: &FileFacts) -> Version {
        (format!("{}:{full}", self.root), facts.tag.clone())
    }

    async fn answer(
        &self,
        request: &HttpRequest,
        file: Arc<dyn OpenFile>,
        full: &str,
        ticket: Ticket,
    ) -> Result<HttpResponse, Problem> {
        let facts = file.facts();
        let (size, modified) = (facts.size, facts.modified);
        let etag = format!("\"{}\"", facts.tag);
        let version = self.version(full, facts);
        let headers = request.headers();
        let verdict = conditions::judge(headers, &etag, modified);
        if verdict == Verdict::Failed {
            let detail = "the file is not the version that the request names";
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", Fault::Caller, detail));
        }
        let mut standing = self.digests.standing(&version);
        if standing == Standing::Unknown && size <= self.store.hashed_first() {
            standing = self.digests.compute(&version, file.as_ref()).await.map_or(standing, Standing::Known);
        }
        let digest = match standing {
            Standing::Known(digest) => Some(digest),
            _ => None,
        };
        if verdict == Verdict::NotModified {
            let mut response = HttpResponse::new(StatusCode::NOT_MODIFIED);
            describe(&mut response, &etag, modified, digest);
            return Ok(response);
        }
        // Ranges are defined for GET only.
        let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
        let range =
            range.filter(|_| *request.method() == Method::GET && conditions::range_applies(headers, &etag, modified));
        let (status, first, length) = match range.map_or(Wanted::Whole, |value| range::wanted(value, size)) {
            Wanted::Whole => (StatusCode::OK, 0, size),
            Wanted::Part { first, length } => (StatusCode::PARTIAL_CONTENT, first, length),
            Wanted::Nothing => return Err(beyond(size)),
        };
        let whole_is_read = *request.method() == Method::GET && length == size;
        let beside = !whole_is_read && (self.store.local().is_some() || wants_digest(headers));
        if standing == Standing::Unknown && beside {
            self.digests.compute_beside(version.clone(), Arc::clone(&file));
        }
        let mut response = if *request.method() == Method::HEAD {
            HttpResponse::with_body(status, HeadOnly(length)).map_into_boxed_body()
        } else {
            let mut bytes = file.read(first, length);
            if standing == Standing::Unknown && whole_is_read {
                bytes = self.digests.compute_passing(version, bytes);
            }
            HttpResponse::with_body(status, FileBody::new(bytes, length, ticket)).map_into_boxed_body()
        };
        describe(&mut response, &etag, modified, digest);
        let out = response.headers_mut();
        if digest.is_none() && !whole_is_read && wants_digest(headers) {
            // It is being computed.
            insert(out, header::RETRY_AFTER, "1");
        }
        if status == StatusCode::PARTIAL_CONTENT {
            insert(out, header::CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
        }
        let name = full.rsplit('/').next().unwrap_or(full);
        insert(out, header::CONTENT_TYPE, media_type(name));
        insert(out, header::CONTENT_DISPOSITION, &disposition(name));
        Ok(response)
    }
}

/// What a failed store means to whoever asks. What lies outside of it does not exist.
fn failed(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => no_file(),
        io::ErrorKind::Unsupported => {
            Problem::not_found("list_not_supported", "the files of this dataset cannot be listed; name one")
        }
        io::ErrorKind::TimedOut => {
            tracing::warn!(%error, "a file store gives no answer");
            let detail = "the source gave no answer in time";
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "source_timeout", Fault::Source, detail)
        }
        io::ErrorKind::PermissionDenied => {
            tracing::error!(%error, "a file store refuses us");
            let detail = "the source does not let this data plane read";
            Problem::new(StatusCode::BAD_GATEWAY, "source_refuses_us", Fault::Operator, detail)
        }
        _ => {
            tracing::error!(%error, "a file store failed");
            Problem::new(StatusCode::BAD_GATEWAY, "source_failed", Fault::Source, "the source failed")
        }
    }
}

fn beyond(size: u64) -> Problem {
    let detail = format!("the file has {size} bytes, and the range lies beyond");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", Fault::Caller, detail);
    match HeaderValue::from_str(&format!("bytes */{size}")) {
        Ok(value) => problem.with_header(header::CONTENT_RANGE, value),
        Err(_) => problem,
    }
}

fn no_file() -> Problem {
    Problem::not_found("unknown_file", "there is no such file in the dataset")
}

/// Whether a SHA-256 is asked for (RFC 9530, 4). Reading a large file twice is not done unasked where each byte is paid for.
fn wants_digest(headers: &header::HeaderMap) -> bool {
    let value = headers.get("want-repr-digest").and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').any(|item| {
        let (name, weight) = item.trim().split_once('=').unwrap_or((item.trim(), "1"));
        name.eq_ignore_ascii_case("sha-256") && weight.trim() != "0"
    })
}

/// Headers that 200, 206 and 304 share.
fn describe(response: &mut HttpResponse, etag: &str, modified: SystemTime, digest: Option<[u8; 32]>) {
    let out = response.headers_mut();
    insert(out, header::ETAG, etag);
    insert(out, header::LAST_MODIFIED, &HttpDate::from(modified).to_string());
    insert(out, header::ACCEPT_RANGES, "bytes");
    insert(out, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(out, header::CACHE_CONTROL, "private, no-cache");
    for (name, value) in digest.iter().flat_map(digest_headers) {
        insert(out, header::HeaderName::from_static(name), &value);
    }
}

fn insert(headers: &mut header::HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// `Content-Disposition` of a file.
pub(crate) fn disposition(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, ATTRIBUTE))
}

/// The media type for a file name.
pub(crate) fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("jsonld") => "application/ld+json",
        Some("geojson") => "application/geo+json",
        Some("ttl") => "text/turtle; charset=utf-8",
        Some("csv") => "text/csv; charset=utf-8",
        Some("parquet") => "application/vnd.apache.parquet",
        Some("gpkg") => "application/geopackage+sqlite3",
        _ => mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::Folder;

    async fn open(folder: &std::path::Path, path: &str) -> Result<FileSource, Problem> {
        let store: Arc<dyn FileStore> = Arc::new(Folder::new(folder.to_owned()));
        FileSource::open("r", &store, path, &Digests::new(tokio::runtime::Handle::current())).await
    }

    #[actix_web::test]
    async fn a_single_file_is_the_source_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.bin"), b"x").unwrap();
        let source = open(folder.path(), "a.bin").await.unwrap();
        assert!(source.single);
        assert_eq!(source.name(""), "a.bin");
        assert_eq!(source.all().await.unwrap().len(), 1);
        assert_eq!(open(folder.path(), "none").await.unwrap_err().code(), "source_not_usable");
    }

    #[actix_web::test]
    async fn a_symbolic_link_does_not_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("real"), b"y").unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("inside")).unwrap();
        let source = open(folder.path(), "").await.unwrap();
        for path in ["out/secret", "link", "out"] {
            assert!(source.read(path).await.is_err(), "{path}");
        }
        assert!(source.read("inside").await.is_ok());
        assert_eq!(source.all().await.unwrap().len(), 1, "links are not followed");
    }

    #[test]
    fn who_wants_a_digest() {
        let mut headers = header::HeaderMap::new();
        assert!(!wants_digest(&headers));
        for (value, expected) in
            [("sha-256=10", true), ("sha-512=1, sha-256=3", true), ("sha-256=0", false), ("md5=1", false)]
        {
            headers.insert(header::HeaderName::from_static("want-repr-digest"), HeaderValue::from_static(value));
            assert_eq!(wants_digest(&headers), expected, "{value}");
        }
    }

    #[test]
    fn media_types() {
        for (name, expected) in [
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.JSONLD", "application/ld+json"),
            ("a.zip", "application/zip"),
            ("a", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), expected);
        }
    }
}
