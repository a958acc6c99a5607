//! What partners push to us: one folder for each transfer process, names of our own making.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::flow::{Flow, Ticket};
use crate::permit::Permitted;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::{ended_meanwhile, too_large};
use crate::public::no_route;

/// Longest process id that may name its folder itself.
const PLAIN_NAME: usize = 100;

/// The name of a process's folder: the id where it is short and plain, else its SHA-256.
pub(crate) fn folder_name(process_id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    if !process_id.is_empty() && process_id.len() <= PLAIN_NAME && process_id.bytes().all(plain) {
        process_id.to_owned()
    } else {
        hex::encode(Sha256::digest(process_id.as_bytes()))
    }
}

/// Makes the folder, for the owner only.
///
/// # Errors
/// 500 when that is not possible.
pub(crate) fn make(folder: &Path) -> Result<(), Problem> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| Problem::internal(&error))
}

/// Takes one pushed body. It gets its final name only when it is complete and on disk.
///
/// # Errors
/// 404 and 405 for another path or method, 413 beyond the limit of size, 403 beyond that of number or when the flow ends.
pub(crate) async fn receive(
    plane: &Plane,
    permitted: &Permitted<Arc<Flow>>,
    request: &HttpRequest,
    path: &str,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    if path.trim_end_matches('/') != "/inbox" {
        return Err(no_route());
    }
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return Err(Problem::method_not_allowed("POST, PUT", "the inbox only takes data"));
    }
    let limits = &plane.config.limits;
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.inbox_max_file) {
        return Err(too_large(limits.inbox_max_file));
    }
    let folder = plane.inbox(&permitted.target().terms.process_id);
    let number = count(&folder).await.map_err(|error| Problem::internal(&error))? + 1;
    if number > limits.inbox_max_files {
        let detail = format!("the inbox takes {} files for one transfer", limits.inbox_max_files);
        return Err(Problem::new(StatusCode::FORBIDDEN, "inbox_full", Fault::Caller, detail));
    }
    let unique = Uuid::now_v7().simple().to_string();
    let part = folder.join(format!(".{unique}.part"));
    let written = write(&part, payload, limits.inbox_max_file, permitted.ticket()).await;
    let (size, digest) = match written {
        Ok(written) => written,
        Err(problem) => {
            // What is left of it has no name that anybody reads.
            let _ = tokio::fs::remove_file(&part).await;
            return Err(problem);
        }
    };
    let name = format!("{unique}.{}", extension(request));
    tokio::fs::rename(&part, folder.join(&name)).await.map_err(|error| Problem::internal(&error))?;
    tracing::info!(flow = permitted.target().terms.id, name, size, "received a file");
    Ok(HttpResponse::Created().json(json!({"name": name, "size": size, "sha256": digest})))
}

async fn write(part: &Path, mut payload: Payload, limit: u64, ticket: &Ticket) -> Result<(u64, String), Problem> {
    let internal = |error: io::Error| Problem::internal(&error);
    let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(part).await.map_err(internal)?;
    let mut hasher = Sha256::new();
    let mut size = 0_u64;
    let ended = ticket.ended();
    loop {
        let chunk = tokio::select! {
            chunk = payload.next() => chunk,
            () = ended.cancelled() => return Err(ended_meanwhile()),
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| Problem::bad_request("body_not_readable", "the body broke off"))?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(internal)?;
    }
    file.flush().await.map_err(internal)?;
    file.sync_all().await.map_err(internal)?;
    Ok((size, hex::encode(hasher.finalize())))
}

async fn count(folder: &Path) -> io::Result<u64> {
    let folder = folder.to_owned();
    let counted = tokio::task::spawn_blocking(move || Ok(std::fs::read_dir(folder)?.count() as u64));
    counted.await.map_err(io::Error::other)?
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
