//! Downloads: streamed to a file or to standard output, taken up where they were cut, checked by SHA-256.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use url::Url;

use super::failure::{Failure, Outcome};
use super::get::part_files;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest pause inside a body.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Attempts that bring nothing before a download is given up.
const ATTEMPTS: u32 = 3;
/// Pause before a download is taken up again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a sender may take for the digest of any file.
const LATE_DIGEST: Duration = Duration::from_secs(10);
/// Bytes that a sender hashes in a second, at the least.
const HASHED_EACH_SECOND: u64 = 50_000_000;
/// Bytes read at once from what is there already.
const BLOCK: usize = 256 * 1024;

/// What to get, and where to put it.
#[derive(Debug)]
pub(super) struct Download {
    /// The address.
    pub url: Url,
    /// Bearer token for it.
    pub token: Option<SecretString>,
    /// The file; without one standard output.
    pub output: Option<PathBuf>,
}

/// What has arrived.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether the sender had announced that SHA-256.
    pub verified: bool,
}

/// Downloads.
///
/// # Errors
/// When the data is refused, does not arrive, cannot be written, or is not what was announced.
pub(super) async fn run(download: Download) -> Outcome<Fetched> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|error| Failure::new(format!("cannot start the HTTP client: {error}")))?;
    let mut sink = match &download.output {
        Some(path) => Sink::file(path.clone()).await?,
        None => Sink::standard_output(),
    };
    let progress = progress();
    let mut fruitless = 0;
    loop {
        let before = sink.length;
        let failure = match attempt(&http, &download, &mut sink, &progress).await {
            Ok(announced) => {
                progress.finish_and_clear();
                let announced = match announced {
                    Some(announced) => Some(announced),
                    None => ask_for_digest(&http, &download, &sink).await,
                };
                return sink.finish(announced).await;
            }
            Err(Cut::Refused(failure)) => return Err(failure),
            Err(Cut::Lost(failure)) => failure,
        };
        fruitless = if sink.length > before { 0 } else { fruitless + 1 };
        if fruitless >= ATTEMPTS || !sink.can_go_on() {
            sink.keep().await?;
            return Err(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Why an attempt ended early.
enum Cut {
    /// Another attempt would end in the same way.
    Refused(Failure),
    /// The connection was lost.
    Lost(Failure),
}

/// One request; the announced digest when all has arrived.
async fn attempt(
    http: &reqwest::Client,
    download: &Download,
    sink: &mut Sink,
    progress: &ProgressBar,
) -> Result<Option<[u8; 32]>, Cut> {
    let mut request = http.get(download.url.clone());
    if let Some(token) = &download.token {
        request = request.bearer_auth(token.expose_secret());
    }
    if let (true, Some(version)) = (sink.length > 0, &sink.version) {
        request = request.header(RANGE, format!("bytes={}-", sink.length)).header(IF_RANGE, version);
    }
    let response = request.send().await.map_err(|error| Cut::Lost(lost(error)))?;
    let mut response = check(response).await?;
    if response.status() == StatusCode::PARTIAL_CONTENT {
        if range_start(response.headers()) != Some(sink.length) {
            return Err(Cut::Refused(Failure::new("the data plane answered with another part than was asked for")));
        }
    } else {
        sink.start_over(version(response.headers())).await.map_err(Cut::Refused)?;
    }
    if let Some(length) = response.content_length() {
        progress.set_length(sink.length + length);
    }
    let announced = digest(response.headers());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                sink.write(&chunk).await.map_err(Cut::Refused)?;
                progress.set_position(sink.length);
            }
            Ok(None) => return Ok(announced),
            Err(error) => return Err(Cut::Lost(lost(error))),
        }
    }
}

/// The digest of what has arrived, of a sender that did not know it at the beginning: a large file is hashed while it is sent.
/// `Retry-After` says that the sender is at it.
async fn ask_for_digest(http: &reqwest::Client, download: &Download, sink: &Sink) -> Option<[u8; 32]> {
    // Without a version it may be the digest of something else.
    let wanted = sink.version.as_ref()?;
    let patience = LATE_DIGEST + Duration::from_secs(sink.length / HASHED_EACH_SECOND);
    let begun = tokio::time::Instant::now();
    loop {
        let mut request = http.head(download.url.clone()).header("want-repr-digest", "sha-256=10");
        if let Some(token) = &download.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let response = request.send().await.ok().filter(|response| response.status().is_success())?;
        let headers = response.headers();
        if version(headers).as_ref() != Some(wanted) {
            return None;
        }
        let found = digest(headers);
        if found.is_some() || !headers.contains_key(RETRY_AFTER) || begun.elapsed() > patience {
            return found;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The answer when it brings data; what it refuses with when not.
async fn check(response: Response) -> Result<Response, Cut> {
    let status = response.status();
    if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        return Ok(response);
    }
    let problem: Value =
        response.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let failure = if problem.get("detail").or_else(|| problem.get("title")).is_some() {
        Failure::of(&format!("the data is refused with status {}: ", status.as_u16()), &problem)
    } else {
        Failure::new(format!("the data is refused with status {status}"))
    };
    let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    Err(if passing { Cut::Lost(failure) } else { Cut::Refused(failure) })
}

fn lost(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Failure::new(format!("the download was cut: {cause}"))
}

/// A strong version; a weak one does not promise equal bytes.
fn version(headers: &HeaderMap) -> Option<String> {
    let version = headers.get(ETAG)?.to_str().ok()?;
    (!version.starts_with("W/")).then(|| version.to_owned())
}

/// Where a part begins (RFC 9110, 14.4).
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

/// The announced SHA-256 of the whole: `Repr-Digest` (RFC 9530), else `Digest` (RFC 3230).
fn digest(headers: &HeaderMap) -> Option<[u8; 32]> {
    let values = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let structured = values("repr-digest");
    let plain = values("digest");
    let in_structured = structured
        .split(',')
        .filter_map(|item| item.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("sha-256"))
        .and_then(|(_, value)| value.strip_prefix(':')?.strip_suffix(':'));
    let in_plain = plain
        .split(',')
        .filter_map(|item| item.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("sha-256"))
        .map(|(_, value)| value);
    STANDARD.decode(in_structured.or(in_plain)?).ok()?.try_into().ok()
}

/// Where data goes, and what has gone there.
struct Sink {
    target: Target,
    length: u64,
    hash: Sha256,
    version: Option<String>,
}

enum Target {
    File { path: PathBuf, file: File },
    StandardOutput,
}

impl Sink {
    fn standard_output() -> Self {
        Self { target: Target::StandardOutput, length: 0, hash: Sha256::new(), version: None }
    }

    /// The file's part, with what an earlier download of the same version left there.
    async fn file(path: PathBuf) -> Outcome<Self> {
        let (part, version_file) = part_files(&path);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&part).await;
        let mut file = opened.map_err(|error| failed("open", &part, &error))?;
        let version = fs::read_to_string(&version_file).await.ok().filter(|version| !version.is_empty());
        let (mut length, mut hash) = (0, Sha256::new());
        if version.is_some() {
            let mut block = vec![0; BLOCK];
            loop {
                let read = file.read(&mut block).await.map_err(|error| failed("read", &part, &error))?;
                if read == 0 {
                    break;
                }
                hash.update(block.get(..read).unwrap_or_default());
                length += read as u64;
            }
        }
        Ok(Self { target: Target::File { path, file }, length, hash, version })
    }

    /// Whether another attempt can bring the rest, or all of it.
    fn can_go_on(&self) -> bool {
        self.length == 0 || self.version.is_some() || matches!(self.target, Target::File { .. })
    }

    /// A whole answer begins; what was there is not part of it.
    async fn start_over(&mut self, version: Option<String>) -> Outcome {
        match &mut self.target {
            Target::StandardOutput if self.length > 0 => {
                return Err(Failure::new("the download was cut, and the data plane cannot go on where it ended"));
            }
            Target::StandardOutput => {}
            Target::File { path, file } => {
                let (part, version_file) = part_files(path);
                file.set_len(0).await.map_err(|error| failed("empty", &part, &error))?;
                file.rewind().await.map_err(|error| failed("rewind", &part, &error))?;
                let noted = match &version {
                    Some(version) => fs::write(&version_file, version).await,
                    None => remove(&version_file).await,
                };
                noted.map_err(|error| failed("write", &version_file, &error))?;
            }
        }
        self.length = 0;
        self.hash = Sha256::new();
        self.version = version;
        Ok(())
    }

    async fn write(&mut self, chunk: &[u8]) -> Outcome {
        match &mut self.target {
            Target::File { path, file } => {
                file.write_all(chunk).await.map_err(|error| failed("write", &part_files(path).0, &error))?;
            }
            // Nothing else is to be done while the reader takes its time.
            Target::StandardOutput => io::stdout().write_all(chunk).map_err(|error| unwritten(&error))?,
        }
        self.hash.update(chunk);
        self.length += chunk.len() as u64;
        Ok(())
    }

    /// What has arrived stays for the next time.
    async fn keep(&mut self) -> Outcome {
        match &mut self.target {
            Target::File { path, file } => {
                file.sync_all().await.map_err(|error| failed("write", &part_files(path).0, &error))
            }
            Target::StandardOutput => io::stdout().flush().map_err(|error| unwritten(&error)),
        }
    }

    /// All has arrived: it is compared with what was announced, and gets its name.
    async fn finish(mut self, announced: Option<[u8; 32]>) -> Outcome<Fetched> {
        self.keep().await?;
        let hash: [u8; 32] = self.hash.finalize().into();
        let sha256 = hex::encode(hash);
        let wrong = announced.filter(|announced| *announced != hash);
        if let Target::File { path, .. } = &self.target {
            let (part, version_file) = part_files(path);
            remove(&version_file).await.map_err(|error| failed("remove", &version_file, &error))?;
            match wrong {
                Some(_) => remove(&part).await.map_err(|error| failed("remove", &part, &error))?,
                None => fs::rename(&part, path).await.map_err(|error| failed("name", path, &error))?,
            }
        }
        match wrong {
            Some(announced) => Err(Failure::new(format!(
                "the data is damaged: its SHA-256 is {sha256}, announced was {}",
                hex::encode(announced)
            ))),
            None => Ok(Fetched { bytes: self.length, sha256, verified: announced.is_some() }),
        }
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::new(format!("cannot write to standard output: {error}"))
}

async fn remove(path: &PathBuf) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(what: &str, path: &std::path::Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what} `{}`: {error}", path.display()))
}

/// A bar on standard error when somebody is there to see it.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
