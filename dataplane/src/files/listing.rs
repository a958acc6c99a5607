//! A folder as JSON.

use std::io;
use std::time::SystemTime;

use actix_web::HttpResponse;
use actix_web::http::header;
use cap_std::fs::Dir;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::problem::Problem;

/// Most entries of one list.
const MAX_ENTRIES: usize = 10_000;
/// Deepest folder that a push descends into.
const MAX_DEPTH: usize = 32;

/// The entries of a folder, by name; hidden ones and links are left out.
pub(super) async fn answer(folder: Dir, shown: String) -> Result<HttpResponse, Problem> {
    let list = tokio::task::spawn_blocking(move || list(&folder)).await.map_err(|error| Problem::internal(&error))?;
    let (entries, truncated) = list.map_err(|error| Problem::internal(&error))?;
    let body = json!({"path": shown, "entries": entries, "truncated": truncated});
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .body(body.to_string()))
}

fn list(folder: &Dir) -> io::Result<(Vec<Value>, bool)> {
    let mut found = Vec::new();
    let mut truncated = false;
    for entry in folder.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let metadata = entry.metadata()?;
        if name.starts_with('.') || !(metadata.is_file() || metadata.is_dir()) {
            continue;
        }
        if found.len() == MAX_ENTRIES {
            truncated = true;
            break;
        }
        let changed = metadata.modified().map_or(SystemTime::UNIX_EPOCH, cap_std::time::SystemTime::into_std);
        let changed = OffsetDateTime::from(changed).format(&Rfc3339).unwrap_or_default();
        let entry = if metadata.is_dir() {
            json!({"name": name, "type": "folder", "modified": changed})
        } else {
            json!({"name": name, "type": "file", "size": metadata.len(), "modified": changed})
        };
        found.push((name, entry));
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok((found.into_iter().map(|(_, entry)| entry).collect(), truncated))
}

/// The paths of all files below a folder, in order.
pub(super) fn all(folder: &Dir) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    collect(folder, "", 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Dir, prefix: &str, depth: usize, found: &mut Vec<String>) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other("the folders are nested too deeply"));
    }
    for entry in folder.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type()?;
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&entry.open_dir()?, &format!("{path}/"), depth + 1, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}
