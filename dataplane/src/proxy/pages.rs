//! Pages of what is shown, where an agreement's rules remove entities that a source counts.
//!
//! A source's own pages come short then, by as many as were removed, and its count tells of them. So the source is read page by
//! page through the filter, and what is shown is counted and cut anew. One page of the answer is in memory.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use http_body_util::BodyExt;
use ngsi_ld_filter::{Filter, Paged, Summary, Upstream, context_link};
use serde_json::{Map, Value};

use super::bookmarks::{Bookmarks, Place};
use super::selected::{Described, describe, send};
use super::{Forwarder, ended_meanwhile};
use crate::clock::now_ms;
use crate::flow::Ticket;
use crate::problem::{Fault, Problem};
use crate::source::HttpSource;

/// Entities that are shown at once when nothing is said.
const DEFAULT_LIMIT: u64 = 50;
/// Entities that the source is asked for at once, at least and at most; not every broker gives more.
const SOURCE_PAGE: (u64, u64) = (20, 100);
/// Most pages of the source for one answer.
const MOST_PAGES: u64 = 200;
/// Longest page of an answer, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A question whose answer is paged by us.
pub(super) struct Book<'a> {
    pub(super) forwarder: &'a Forwarder,
    pub(super) filter: &'a Arc<Filter>,
    pub(super) source: &'a HttpSource,
    pub(super) request: &'a HttpRequest,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) upstream: &'a Upstream,
    pub(super) ticket: &'a Ticket,
    pub(super) bookmarks: &'a Bookmarks,
}

/// What is being put together.
#[derive(Default)]
struct Page {
    /// How many are shown before and on the pages that were read.
    shown: u64,
    items: Vec<Value>,
    bytes: usize,
    /// The members of a feature collection beside its features.
    collection: Option<Map<String, Value>>,
    media: Option<String>,
    context: Option<String>,
}

impl Book<'_> {
    /// Reads as many pages of the source as the answer needs.
    ///
    /// # Errors
    /// Those of one page; 403 `too_many_entities` and `page_too_large` when it would take too many.
    pub(super) async fn serve(&self, paged: Paged) -> Result<HttpResponse, Problem> {
        let limit = paged.limit.unwrap_or(DEFAULT_LIMIT);
        let end = paged.offset.saturating_add(limit);
        let size = if paged.count { SOURCE_PAGE.1 } else { (limit + 1).clamp(SOURCE_PAGE.0, SOURCE_PAGE.1) };
        let question = self.bookmarks.question(self.path, self.upstream);
        let begin = match paged.count {
            true => Place::default(),
            false => self.bookmarks.find(question, paged.offset),
        };
        let mut page = Page { shown: begin.shown, ..Page::default() };
        let (mut from, mut next) = (begin.from, begin);
        for _ in 0..MOST_PAGES {
            if page.shown <= end {
                next = Place { shown: page.shown, from };
            }
            let (seen, more) = self.read(from, size, paged.offset..end, &mut page).await?;
            from += seen;
            let whole = seen == 0 || (seen < size && !more);
            if whole || (!paged.count && page.shown > end) {
                if limit > 0 && page.shown > end {
                    self.bookmarks.put(question, end, next);
                }
                return Ok(self.respond(paged, limit, page));
            }
        }
        let detail = format!(
            "the agreement's rules remove entities from the source's pages, and more than {from} would have to be read; ask for less at once"
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "too_many_entities", Fault::Caller, detail))
    }

    /// Reads one page of the source: how many entities were on it, and whether it says that there are more.
    async fn read(
        &self,
        from: u64,
        size: u64,
        wanted: std::ops::Range<u64>,
        page: &mut Page,
    ) -> Result<(u64, bool), Problem> {
        let mut upstream = self.upstream.clone();
        upstream.query.push(("limit".to_owned(), size.to_string()));
        if from > 0 {
            upstream.query.push(("offset".to_owned(), from.to_string()));
        }
        let answer = send(self.forwarder, self.source, self.request, self.path, &upstream, self.ticket).await?;
        let described = describe(self.filter, &upstream, answer, now_ms())?;
        let more = described.links.as_deref().is_some_and(|links| self.source.rewrite.next(links).is_some());
        page.under(&described)?;
        let (text, summary) = self.filtered(described).await?;
        let first = page.shown;
        page.shown += summary.shown;
        let overlaps = first < wanted.end && page.shown > wanted.start;
        if overlaps || page.collection.is_none() {
            page.take(&text, first, &wanted)?;
        }
        Ok((summary.seen, more))
    }

    /// What of a page passes the filter.
    async fn filtered(&self, described: Described) -> Result<(Vec<u8>, Summary), Problem> {
        let Described { mut stream, mut body, .. } = described;
        let ended = self.ticket.ended();
        let mut out = Vec::new();
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(self.forwarder.idle, body.frame()) => frame,
                () = ended.cancelled() => return Err(ended_meanwhile()),
            };
            let failed = |status, code, detail: &str| Err(Problem::new(status, code, Fault::Peer, detail));
            match frame {
                Err(_) => {
                    return failed(StatusCode::GATEWAY_TIMEOUT, "source_timeout", "the source paused for too long");
                }
                Ok(None) => break,
                Ok(Some(Err(_))) => return failed(StatusCode::BAD_GATEWAY, "source_failed", "the source broke off"),
                Ok(Some(Ok(frame))) => {
                    let data = frame.data_ref().map(AsRef::as_ref).unwrap_or_default();
                    stream.push(data, &mut out).map_err(|fault| Problem::unreadable(&fault))?;
                }
            }
            if out.len() > MAX_BYTES {
                return Err(too_large());
            }
        }
        let summary = stream.finish(&mut out).map_err(|fault| Problem::unreadable(&fault))?;
        Ok((out, summary))
    }

    fn respond(&self, paged: Paged, limit: u64, page: Page) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CACHE_CONTROL, "private, no-store"));
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        response.insert_header((header::CONTENT_TYPE, page.media.as_deref().unwrap_or("application/json")));
        if let Some(url) = &page.context {
            response.append_header((header::LINK, context_link(url)));
        }
        let previous = (paged.offset > 0 && limit > 0).then(|| paged.offset.saturating_sub(limit));
        let after = paged.offset.saturating_add(limit);
        let next = (limit > 0 && page.shown > after).then_some(after);
        for (relation, offset) in [("prev", previous), ("next", next)] {
            if let Some(offset) = offset {
                let address = self.source.rewrite.page(self.path, self.query, limit, offset);
                response.append_header((header::LINK, format!("<{address}>; rel=\"{relation}\"")));
            }
        }
        if paged.count {
            response.insert_header(("NGSILD-Results-Count", page.shown.to_string()));
        }
        let items = Value::Array(page.items);
        let body = match page.collection {
            Some(mut collection) if !collection.is_empty() => {
                collection.insert("features".to_owned(), items);
                Value::Object(collection)
            }
            _ => items,
        };
        response.body(body.to_string())
    }
}

impl Page {
    /// Takes note of how a page is to be read. One without entities may name no context.
    fn under(&mut self, described: &Described) -> Result<(), Problem> {
        if self.media.is_none() {
            self.media = described.media.clone();
        }
        match (&self.context, &described.context) {
            (Some(known), Some(other)) if known != other => return Err(several_contexts()),
            (None, Some(first)) => self.context = Some(first.clone()),
            _ => {}
        }
        Ok(())
    }

    /// Takes what of the text, an array or a feature collection whose first item has this place, is wanted.
    fn take(&mut self, text: &[u8], first: u64, wanted: &std::ops::Range<u64>) -> Result<(), Problem> {
        let read: Value = serde_json::from_slice(text).map_err(|error| Problem::internal(&error))?;
        let (items, collection) = match read {
            Value::Array(items) => (items, Map::new()),
            Value::Object(mut collection) => match collection.insert("features".to_owned(), Value::Null) {
                Some(Value::Array(items)) => (items, collection),
                _ => (Vec::new(), collection),
            },
            _ => (Vec::new(), Map::new()),
        };
        let known = self.collection.as_ref().filter(|_| !self.items.is_empty());
        if known.is_some_and(|known| !items.is_empty() && known.get("@context") != collection.get("@context")) {
            return Err(several_contexts());
        }
        if known.is_none() {
            self.collection = Some(collection);
        }
        let before = self.items.len();
        self.items.extend((first..).zip(items).filter(|(place, _)| wanted.contains(place)).map(|(_, item)| item));
        if self.items.len() > before {
            self.bytes += text.len();
        }
        if self.bytes > MAX_BYTES { Err(too_large()) } else { Ok(()) }
    }
}

fn several_contexts() -> Problem {
    let detail = "the pages of the source's answer name several contexts";
    Problem::new(StatusCode::BAD_GATEWAY, "context_ambiguous", Fault::Peer, detail)
}

fn too_large() -> Problem {
    let detail = format!("the page would be longer than {MAX_BYTES} bytes; ask for fewer entities by `limit`");
    Problem::new(StatusCode::FORBIDDEN, "page_too_large", Fault::Caller, detail)
}
