//! What partners push to us: one folder for each transfer process, in our own folder or in a file root of the configuration.
//!
//! Every sender can POST to the inbox; the body gets a name of our making. Another Hansa names its files and can go on where it was
//! cut: it asks by HEAD how much has arrived and sends the rest by PUT with `Content-Range`. A file has its name only when all of it
//! has arrived, is what the sender announced, and is kept durably.

mod arrivals;
mod piece;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub(crate) use arrivals::Inbox;
use arrivals::{Arrival, Upload};
use piece::Piece;

use crate::files::{announced, relative};
use crate::flow::{Flow, Ticket};
use crate::permit::Permitted;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::{ended_meanwhile, too_large};
use crate::public::no_route;

/// Longest process id that may name its folder itself.
const PLAIN_NAME: usize = 100;
/// How long a request waits for the one before it on the same file, which may not have noticed yet that it was cut.
const WAIT: Duration = Duration::from_secs(5);
/// Longest name of a version.
const MAX_VERSION: usize = 200;
/// How much of a file has arrived.
pub(crate) const OFFSET: &str = "upload-offset";
/// Property of our data address that says that the inbox takes files by name and in pieces.
pub(crate) const PROPERTY: &str = "https://github.com/hansa-connector/hansa/ns/inbox";
/// Its value.
pub(crate) const RESUMABLE: &str = "resumable";

/// The name of a process's folder: the id where it is short and plain, else its SHA-256.
pub(crate) fn folder_name(process_id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    if !process_id.is_empty() && process_id.len() <= PLAIN_NAME && process_id.bytes().all(plain) {
        process_id.to_owned()
    } else {
        hex::encode(Sha256::digest(process_id.as_bytes()))
    }
}

/// Makes the folder of a process, for the owner only, where the inbox is on this machine.
///
/// # Errors
/// 500 when that is not possible.
pub(crate) fn make(plane: &Plane, process_id: &str) -> Result<(), Problem> {
    let Some(root) = plane.inbox.local() else { return Ok(()) };
    let folder = root.join(folder_name(process_id));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| Problem::internal(&error))
}

/// Takes what a partner pushes.
///
/// # Errors
/// 404 and 405 for another path or method, 413 beyond the limit of size, 403 beyond that of number or when the flow ends, 409 for a
/// piece that does not continue what has arrived, 400 for data that is not what was announced.
pub(crate) async fn receive(
    plane: &Plane,
    permitted: &Permitted<Arc<Flow>>,
    request: &HttpRequest,
    path: &str,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let rest =
        path.strip_prefix("/inbox").filter(|rest| rest.is_empty() || rest.starts_with('/')).ok_or_else(no_route)?;
    let file = relative(rest).ok_or_else(|| {
        Problem::bad_request("path_not_safe", "the name of the file is too long, hidden or leads elsewhere")
    })?;
    let folder = folder_name(&permitted.target().terms.process_id);
    let asked = Asked { plane, ticket: permitted.ticket(), request, folder: &folder };
    let answer = match (file.is_empty(), request.method()) {
        (true, &Method::POST | &Method::PUT) => asked.take_whole(payload).await?,
        (true, _) => return Err(Problem::method_not_allowed("POST, PUT", "the inbox only takes data")),
        (false, &Method::HEAD) => asked.tell(&file).await?,
        (false, &Method::PUT) => asked.take_piece(&file, payload).await?,
        (false, _) => return Err(Problem::method_not_allowed("HEAD, PUT", "a file of the inbox is only written")),
    };
    Ok(answer)
}

/// A request to the inbox.
struct Asked<'a> {
    plane: &'a Plane,
    ticket: &'a Ticket,
    request: &'a HttpRequest,
    folder: &'a str,
}

impl Asked<'_> {
    /// A body without a name.
    async fn take_whole(&self, payload: Payload) -> Result<HttpResponse, Problem> {
        let limit = self.plane.config.limits.inbox_max_file;
        let size = self.length()?;
        if size.is_some_and(|size| size > limit) {
            return Err(too_large(limit));
        }
        let announced = self.announced()?;
        self.has_room().await?;
        let unique = Uuid::now_v7().simple().to_string();
        let name = format!("{unique}.{}", extension(self.request));
        let mut arrival = self.plane.inbox.begin(self.folder, &name, &unique, size).await?;
        let taken = self.take(&mut arrival, payload, limit).await;
        if let Err(problem) = taken {
            arrival.upload.discard().await;
            return Err(problem);
        }
        self.finish(arrival, announced, &name).await
    }

    /// How much of a version of a file has arrived.
    async fn tell(&self, file: &str) -> Result<HttpResponse, Problem> {
        let upload = self.upload(file)?;
        let slot = self.plane.inbox.slot(&upload).await;
        let mut place = tokio::time::timeout(WAIT, slot.lock()).await.map_err(|_| in_progress())?;
        if !place.as_ref().is_some_and(Arrival::is_sound) {
            *place = self.plane.inbox.take_up(&upload).await?;
        }
        let length = place.as_ref().map_or(0, |arrival| arrival.length);
        Ok(HttpResponse::NoContent().insert_header((OFFSET, length.to_string())).finish())
    }

    /// A piece of a version of a file, or all of it.
    async fn take_piece(&self, file: &str, payload: Payload) -> Result<HttpResponse, Problem> {
        let limit = self.plane.config.limits.inbox_max_file;
        let piece = Piece::of(self.request, self.length()?)?;
        if piece.size > limit {
            return Err(too_large(limit));
        }
        let announced = self.announced()?;
        let upload = self.upload(file)?;
        let slot = self.plane.inbox.slot(&upload).await;
        let mut place = tokio::time::timeout(WAIT, slot.lock()).await.map_err(|_| in_progress())?;
        if piece.first > 0 && !place.as_ref().is_some_and(Arrival::is_sound) {
            *place = self.plane.inbox.take_up(&upload).await?;
        }
        if piece.first == 0 && !piece.closes {
            if let Some(before) = place.take() {
                before.upload.discard().await;
            }
            self.has_room().await?;
            *place = Some(self.plane.inbox.begin(self.folder, file, &upload.key(), Some(piece.size)).await?);
        }
        let arrived = place.as_ref().map_or(0, |arrival| arrival.length);
        let Some(arrival) = place.as_mut().filter(|arrival| arrival.length == piece.first) else {
            let detail = format!("{arrived} bytes have arrived, and the piece does not begin there");
            let problem = Problem::new(StatusCode::CONFLICT, "offset_mismatch", Fault::Caller, detail);
            return Err(problem.with_header(header::HeaderName::from_static(OFFSET), arrived.into()));
        };
        // What has arrived stays when the sender is cut: it goes on there.
        self.take(arrival, payload, piece.end()).await?;
        let length = arrival.length;
        if length == piece.size
            && (announced.is_some() || piece.is_whole)
            && let Some(arrival) = place.take()
        {
            drop(place);
            self.plane.inbox.forget(&upload);
            return self.finish(arrival, announced, file).await;
        }
        Ok(HttpResponse::Accepted()
            .insert_header((OFFSET, length.to_string()))
            .json(json!({"name": file, "arrived": length})))
    }

    /// Adds a body to what has arrived, up to `end` bytes in all.
    async fn take(&self, arrival: &mut Arrival, mut payload: Payload, end: u64) -> Result<(), Problem> {
        let ended = self.ticket.ended();
        let idle = self.plane.config.timeouts.idle;
        loop {
            let chunk = tokio::select! {
                chunk = tokio::time::timeout(idle, payload.next()) => chunk.map_err(|_| too_slow())?,
                () = ended.cancelled() => return Err(ended_meanwhile()),
            };
            let Some(chunk) = chunk else { return Ok(()) };
            let chunk = chunk.map_err(|_| Problem::bad_request("body_not_readable", "the body broke off"))?;
            if arrival.length + chunk.len() as u64 > end {
                return Err(too_large(end));
            }
            arrival.write(chunk).await?;
        }
    }

    /// Compares with what was announced, and gives the file its name.
    async fn finish(&self, arrival: Arrival, announced: Option<[u8; 32]>, name: &str) -> Result<HttpResponse, Problem> {
        let Arrival { upload, hasher, length, .. } = arrival;
        let digest: [u8; 32] = hasher.finalize().into();
        if announced.is_some_and(|announced| announced != digest) {
            upload.discard().await;
            let detail = "the data that arrived has another SHA-256 than was announced";
            return Err(Problem::bad_request("digest_mismatch", detail));
        }
        upload.commit().await.map_err(|error| Problem::not_written(&error))?;
        self.plane.inbox.count_one(self.folder);
        tracing::info!(process = self.folder, name, size = length, verified = announced.is_some(), "received a file");
        let body = json!({"name": name, "size": length, "sha256": hex::encode(digest)});
        Ok(HttpResponse::Created().json(body))
    }

    async fn has_room(&self) -> Result<(), Problem> {
        let most = self.plane.config.limits.inbox_max_files;
        if self.plane.inbox.has_room(self.folder, most).await? {
            return Ok(());
        }
        let detail = format!("the inbox takes {most} files for one transfer");
        Err(Problem::new(StatusCode::FORBIDDEN, "inbox_full", Fault::Caller, detail))
    }

    fn upload(&self, file: &str) -> Result<Upload, Problem> {
        let query = self.request.uri().query().unwrap_or_default();
        let version = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "version");
        let version = version.map(|(_, value)| value.into_owned()).unwrap_or_default();
        if version.len() > MAX_VERSION {
            return Err(Problem::bad_request("bad_value", "`version` is too long"));
        }
        Ok(Upload { folder: self.folder.to_owned(), file: file.to_owned(), version })
    }

    fn announced(&self) -> Result<Option<[u8; 32]>, Problem> {
        announced(self.request.headers())
            .map_err(|()| Problem::bad_request("digest_not_readable", "the announced digest is no SHA-256"))
    }

    /// The length of the body, where it is told. A request with neither length nor chunks has no body (RFC 9112, 6.3).
    fn length(&self) -> Result<Option<u64>, Problem> {
        let headers = self.request.headers();
        let Some(value) = headers.get(header::CONTENT_LENGTH) else {
            return Ok((!headers.contains_key(header::TRANSFER_ENCODING)).then_some(0));
        };
        let length = value.to_str().ok().and_then(|text| text.parse().ok());
        length.map(Some).ok_or_else(|| Problem::bad_request("length_not_readable", "Content-Length is no length"))
    }
}

fn in_progress() -> Problem {
    let detail = "another request is sending this file";
    Problem::new(StatusCode::CONFLICT, "push_in_progress", Fault::Caller, detail)
}

/// 408: what arrived until then stays, where the sender can go on.
fn too_slow() -> Problem {
    let detail = "nothing arrived for too long";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", Fault::Caller, detail)
}

/// The ending for the announced media type; `bin` where there is none.
fn extension(request: &HttpRequest) -> &'static str {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim() {
        "application/json" => "json",
        "application/ld+json" => "jsonld",
        "application/geo+json" => "geojson",
        "text/csv" => "csv",
        "text/plain" => "txt",
        other => mime_guess::get_mime_extensions_str(other).and_then(<[&str]>::first).copied().unwrap_or("bin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_cannot_leave_the_inbox() {
        assert_eq!(folder_name("urn:uuid:1-2"), "urn:uuid:1-2");
        for id in ["..", "a/b", "", "a\\b", ".", "a\0b", "x y"] {
            assert_eq!(folder_name(id).len(), 64, "{id:?}");
        }
        assert_eq!(folder_name(&"x".repeat(101)).len(), 64);
    }
}
