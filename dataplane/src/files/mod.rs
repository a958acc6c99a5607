//! Files as a source: whole or in part, conditional, with digest; folders as JSON lists.
//!
//! Every path is opened relative to a handle on the folder, so neither `..` nor a symbolic link leads out of it.

mod body;
mod conditions;
mod digest;
mod listing;
mod range;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::header::{self, HeaderValue, HttpDate};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub(crate) use body::{Chunks, FileBody};
use conditions::Verdict;
pub(crate) use digest::Digests;
use digest::Version;
use range::Wanted;

use crate::flow::Ticket;
use crate::problem::{Fault, Problem};
use crate::proxy::HeadOnly;

/// Characters that an extended header parameter may hold as they are (RFC 8187, `attr-char`).
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A file, or a folder of files.
#[derive(Debug)]
pub(crate) struct FileSource {
    folder: Arc<Dir>,
    /// The one file of this source.
    single: Option<String>,
    /// Names the folder among the digests.
    label: String,
    digests: Digests,
}

/// What a path leads to.
enum Found {
    File(Box<Opened>),
    Folder(Dir),
}

/// A file with what is known of it.
struct Opened {
    file: File,
    metadata: Metadata,
    digest: Option<[u8; 32]>,
}

impl FileSource {
    /// Opens what `path` below `root` is. Digests are shared by all sources, so that a file is hashed once.
    ///
    /// # Errors
    /// 400 when there is no such file or folder; the operator is at fault.
    pub(crate) fn open(root: &Path, path: &str, digests: &Digests) -> Result<Self, Problem> {
        let missing = |error: io::Error| {
            tracing::warn!(root = %root.display(), path, %error, "a file source cannot be opened");
            let detail = "the dataset's file or folder cannot be opened";
            Problem::new(StatusCode::BAD_REQUEST, "source_not_usable", Fault::Operator, detail)
        };
        let folder = Dir::open_ambient_dir(root, ambient_authority()).map_err(missing)?;
        let path = path.trim_matches('/').to_owned();
        let label = format!("{}/{path}", root.display());
        let digests = digests.clone();
        if path.is_empty() {
            return Ok(Self { folder: Arc::new(folder), single: None, label, digests });
        }
        if folder.metadata(&path).map_err(missing)?.is_dir() {
            let folder = folder.open_dir(&path).map_err(missing)?;
            return Ok(Self { folder: Arc::new(folder), single: None, label, digests });
        }
        Ok(Self { folder: Arc::new(folder), single: Some(path), label, digests })
    }

    /// Answers a request for `path`, percent-encoded, below the source.
    ///
    /// # Errors
    /// 404, 405, 412, 416 for the caller; 500 when the disk fails.
    pub(crate) async fn serve(
        &self,
        request: &HttpRequest,
        path: &str,
        ticket: Ticket,
    ) -> Result<HttpResponse, Problem> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed("GET, HEAD", "files can only be read"));
        }
        let relative = self.relative(path)?;
        let name = relative.clone();
        match self.find(relative).await? {
            Found::File(opened) => answer(request, *opened, &name, ticket),
            Found::Folder(folder) => {
                let shown = if name == "." { "/".to_owned() } else { format!("/{name}/") };
                listing::answer(folder, shown).await
            }
        }
    }

    /// The files of the source, by path in order, with their sizes: what a push sends.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) async fn all(&self) -> io::Result<Vec<String>> {
        if let Some(single) = &self.single {
            return Ok(vec![single.clone()]);
        }
        let folder = Arc::clone(&self.folder);
        tokio::task::spawn_blocking(move || listing::all(&folder)).await.map_err(io::Error::other)?
    }

    /// Opens one of the files that [`FileSource::all`] named.
    ///
    /// # Errors
    /// The file is gone or no file.
    pub(crate) async fn read(&self, path: &str) -> io::Result<(std::fs::File, u64)> {
        let (folder, path) = (Arc::clone(&self.folder), path.to_owned());
        let open = move || {
            let file = folder.open(&path)?;
            let size = file.metadata()?.len();
            Ok((file.into_std(), size))
        };
        tokio::task::spawn_blocking(open).await.map_err(io::Error::other)?
    }

    /// The path below the folder, decoded and checked; `.` for the folder itself.
    fn relative(&self, path: &str) -> Result<String, Problem> {
        let rest = path.trim_matches('/');
        if let Some(single) = &self.single {
            return if rest.is_empty() { Ok(single.clone()) } else { Err(no_file()) };
        }
        if rest.is_empty() {
            return Ok(".".to_owned());
        }
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            let segment = percent_decode_str(segment).decode_utf8().map_err(|_| no_file())?;
            // Hidden names are never served; this covers `.` and `..`.
            if segment.is_empty() || segment.starts_with('.') || segment.contains(['/', '\\', '\0']) {
                return Err(no_file());
            }
            segments.push(segment);
        }
        Ok(segments.join("/"))
    }

    async fn find(&self, relative: String) -> Result<Found, Problem> {
        let (folder, digests, label) = (Arc::clone(&self.folder), self.digests.clone(), self.label.clone());
        let open = move || -> io::Result<Found> {
            let metadata = folder.metadata(&relative)?;
            if metadata.is_dir() {
                return Ok(Found::Folder(folder.open_dir(&relative)?));
            }
            if !metadata.is_file() {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
            let file = folder.open(&relative)?;
            let metadata = file.metadata()?;
            let version =
                Version { path: format!("{label}/{relative}"), modified: modified(&metadata), size: metadata.len() };
            let digest = digests.of(&version, move || folder.open(&relative));
            Ok(Found::File(Box::new(Opened { file, metadata, digest })))
        };
        let found = tokio::task::spawn_blocking(open).await.map_err(|error| Problem::internal(&error))?;
        found.map_err(|error| match error.kind() {
            // Leaving the folder is refused by the operating system or cap-std as a denied permission.
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput => no_file(),
            _ => Problem::internal(&error),
        })
    }
}

fn no_file() -> Problem {
    Problem::not_found("unknown_file", "there is no such file in the dataset")
}

fn modified(metadata: &Metadata) -> SystemTime {
    metadata.modified().map_or(SystemTime::UNIX_EPOCH, cap_std::time::SystemTime::into_std)
}

/// A strong entity tag: the time of the last change to the nanosecond, and the size.
fn entity_tag(modified: SystemTime, size: u64) -> String {
    let nanos = modified.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("\"{nanos:x}-{size:x}\"")
}

fn answer(request: &HttpRequest, opened: Opened, name: &str, ticket: Ticket) -> Result<HttpResponse, Problem> {
    let Opened { file, metadata, digest } = opened;
    let (size, modified) = (metadata.len(), modified(&metadata));
    let etag = entity_tag(modified, size);
    let headers = request.headers();
    match conditions::judge(headers, &etag, modified) {
        Verdict::Failed => {
            let detail = "the file is not the version that the request names";
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", Fault::Caller, detail));
        }
        Verdict::NotModified => {
            let mut response = HttpResponse::new(StatusCode::NOT_MODIFIED);
            describe(&mut response, &etag, modified, digest);
            return Ok(response);
        }
        Verdict::Proceed => {}
    }
    // Ranges are defined for GET only.
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range =
        range.filter(|_| *request.method() == Method::GET && conditions::range_applies(headers, &etag, modified));
    let (status, first, length) = match range.map_or(Wanted::Whole, |value| range::wanted(value, size)) {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part { first, length } => (StatusCode::PARTIAL_CONTENT, first, length),
        Wanted::Nothing => {
            let detail = format!("the file has {size} bytes, and the range lies beyond");
            let problem =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", Fault::Caller, detail);
            return Err(match HeaderValue::from_str(&format!("bytes */{size}")) {
                Ok(value) => problem.with_header(header::CONTENT_RANGE, value),
                Err(_) => problem,
            });
        }
    };
    let mut response = if *request.method() == Method::HEAD {
        HttpResponse::with_body(status, HeadOnly(length)).map_into_boxed_body()
    } else {
        HttpResponse::with_body(status, FileBody::new(file.into_std(), first, length, ticket)).map_into_boxed_body()
    };
    describe(&mut response, &etag, modified, digest);
    let out = response.headers_mut();
    if status == StatusCode::PARTIAL_CONTENT {
        insert(out, header::CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
    }
    insert(out, header::CONTENT_TYPE, media_type(name));
    let file_name = name.rsplit('/').next().unwrap_or(name);
    let encoded = utf8_percent_encode(file_name, ATTRIBUTE);
    insert(out, header::CONTENT_DISPOSITION, &format!("attachment; filename*=UTF-8''{encoded}"));
    Ok(response)
}

/// Headers that 200, 206 and 304 share.
fn describe(response: &mut HttpResponse, etag: &str, modified: SystemTime, digest: Option<[u8; 32]>) {
    let out = response.headers_mut();
    insert(out, header::ETAG, etag);
    insert(out, header::LAST_MODIFIED, &HttpDate::from(modified).to_string());
    insert(out, header::ACCEPT_RANGES, "bytes");
    insert(out, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(out, header::CACHE_CONTROL, "private, no-cache");
    if let Some(digest) = digest {
        let digest = STANDARD.encode(digest);
        // RFC 9530, and RFC 3230 for older readers.
        insert(out, header::HeaderName::from_static("repr-digest"), &format!("sha-256=:{digest}:"));
        insert(out, header::HeaderName::from_static("digest"), &format!("SHA-256={digest}"));
    }
}

fn insert(headers: &mut header::HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
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

    #[test]
    fn paths_that_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let source = FileSource::open(folder.path(), "", &Digests::default()).unwrap();
        for path in ["/../x", "/%2e%2e/x", "/a/.git/config", "/a%2fb", "/a%5cb", "/a%00b", "/%ff"] {
            assert_eq!(source.relative(path).unwrap_err().code(), "unknown_file", "{path}");
        }
        assert_eq!(source.relative("/a%20b/c.txt").unwrap(), "a b/c.txt");
        assert_eq!(source.relative("/").unwrap(), ".");
        assert_eq!(source.relative("").unwrap(), ".");
    }

    #[test]
    fn a_single_file_is_served_at_the_endpoint_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.bin"), b"x").unwrap();
        let digests = Digests::default();
        let source = FileSource::open(folder.path(), "a.bin", &digests).unwrap();
        assert_eq!(source.relative("").unwrap(), "a.bin");
        assert!(source.relative("/other").is_err());
        assert_eq!(FileSource::open(folder.path(), "none", &digests).unwrap_err().code(), "source_not_usable");
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
        let source = FileSource::open(folder.path(), "", &Digests::default()).unwrap();
        for path in ["out/secret", "link", "out"] {
            assert!(source.find(path.to_owned()).await.is_err(), "{path}");
        }
        assert!(source.find("inside".to_owned()).await.is_ok());
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
