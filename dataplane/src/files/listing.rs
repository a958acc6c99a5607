//! A folder as JSON.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::stores::{Entry, Node};

/// Most entries of one list.
const MAX_ENTRIES: usize = 10_000;

/// The names in a folder alone, where no more may be told of files.
pub(super) fn names(entries: Vec<Entry>, shown: &str) -> HttpResponse {
    let kind = |node: &Node| if matches!(node, Node::File(_)) { "file" } else { "folder" };
    let entries = entries.iter().map(|entry| json!({"name": entry.name, "type": kind(&entry.node)})).collect();
    respond(entries, shown)
}

/// The entries of a folder, by name.
pub(super) fn answer(entries: Vec<Entry>, shown: &str) -> HttpResponse {
    let written = |time: std::time::SystemTime| OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default();
    let entries = entries
        .into_iter()
        .map(|entry| match entry.node {
            Node::Folder(Some(modified)) => {
                json!({"name": entry.name, "type": "folder", "modified": written(modified)})
            }
            Node::Folder(None) => json!({"name": entry.name, "type": "folder"}),
            Node::File(facts) => {
                json!({"name": entry.name, "type": "file", "size": facts.size, "modified": written(facts.modified)})
            }
        })
        .collect();
    respond(entries, shown)
}

fn respond(mut entries: Vec<Value>, shown: &str) -> HttpResponse {
    let truncated = entries.len() > MAX_ENTRIES;
    entries.truncate(MAX_ENTRIES);
    let body = json!({"path": shown, "entries": entries, "truncated": truncated});
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .body(body.to_string())
}
