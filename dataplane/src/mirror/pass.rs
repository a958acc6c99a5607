//! One pass over all that a flow shows: the initial load, and each comparison later.

use std::sync::Arc;

use actix_web::http::StatusCode;
use serde_json::Value;

use super::record::{Phase, Record, Written, id_in, prefix};
use super::{Mirror, write};
use crate::broker;
use crate::clock::now_ms;
use crate::config::Broker;
use crate::flow::Flow;
use crate::partner::{self, Page};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::store::Kind;

/// Where a broker tells its types.
const TYPES: &str = "/ngsi-ld/v1/types";
/// Most pages of one pass; a source whose pages have no end must not keep us for ever.
const MAX_PAGES: u64 = 100_000;
/// Entities that are looked for at once before they are removed: their ids stand in an address.
const LOOKED_FOR: usize = 25;
/// Entities that are gone through at once.
const GONE_THROUGH: usize = 500;

/// What a step of a pass works on.
pub(super) struct Work<'a> {
    pub(super) plane: &'a Arc<Plane>,
    pub(super) flow: &'a Arc<Flow>,
    pub(super) mirror: &'a Mirror,
    pub(super) broker: &'a Broker,
}

impl Work<'_> {
    /// Begins a pass.
    ///
    /// # Errors
    /// The store fails.
    pub(super) async fn begin(&self, record: Record) -> Result<(), Problem> {
        {
            let mut seen = self.mirror.seen();
            (seen.foreign, seen.refused) = (0, 0);
        }
        let phase = Phase::Reading { page: partner::first_page(None), types: Vec::new() };
        let pass = record.pass.saturating_add(1);
        let begun = Record { phase, pass, types: Vec::new(), seen: 0, pages: 0, due: false, ..record };
        self.mirror.keep(self.plane, begun).await
    }

    /// A page as the partner gives it.
    ///
    /// # Errors
    /// As [`partner::page`].
    pub(super) async fn read(&self, page: &str) -> Result<Page, Problem> {
        partner::page(self.plane, self.flow, self.broker, page).await
    }

    /// Writes a page that was read, and goes to the next one.
    ///
    /// # Errors
    /// The partner refuses the page, our broker fails, or there are more entities than one mirror may have.
    pub(super) async fn take(&self, record: Record, page: Page, mut types: Vec<String>) -> Result<(), Problem> {
        let entities = match page.status {
            StatusCode::OK => write::entities(page.data)?,
            // A partner that does not know by itself which types it shows.
            StatusCode::BAD_REQUEST if record.pages == 0 && record.types.is_empty() => {
                return self.ask_types(record).await;
            }
            // Another type than those that are there.
            StatusCode::NOT_FOUND => Vec::new(),
            status => return Err(partner::refused(status)),
        };
        let mut next = record.clone();
        next.seen = next.seen.saturating_add(entities.len() as u64);
        next.pages = next.pages.saturating_add(1);
        if next.seen > self.broker.most_entities || next.pages > MAX_PAGES {
            let detail = "the partner shows more entities than `most_entities` of the broker admits";
            return Err(Problem::new(StatusCode::BAD_GATEWAY, "too_many_entities", Fault::Operator, detail));
        }
        next.phase = match page.next {
            Some(page) => Phase::Reading { page, types },
            None => match types.pop() {
                Some(kind) => Phase::Reading { page: partner::first_page(Some(&kind)), types },
                None => Phase::Sweeping,
            },
        };
        let outcome = write::write(self.plane, self.mirror, next, entities).await?;
        let mut seen = self.mirror.seen();
        seen.foreign = seen.foreign.saturating_add(outcome.foreign);
        seen.refused = seen.refused.saturating_add(outcome.refused);
        Ok(())
    }

    async fn ask_types(&self, record: Record) -> Result<(), Problem> {
        let page = self.read(TYPES).await?;
        let types = page.data.get("typeList").and_then(Value::as_array);
        let mut types: Vec<String> = types.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let all = types.clone();
        let Some(first) = types.pop() else {
            let detail = "the partner says neither its entities nor their types without being asked for one";
            return Err(Problem::new(StatusCode::BAD_GATEWAY, "types_unknown", Fault::Peer, detail));
        };
        let phase = Phase::Reading { page: partner::first_page(Some(&first)), types };
        self.mirror.keep(self.plane, Record { phase, types: all, ..record }).await
    }

    /// Removes what the mirror wrote and the partner does not show any more. Before that the partner is asked for just these, since
    /// pages may shift while they are read.
    ///
    /// # Errors
    /// The partner or our broker fails; the next try goes on.
    pub(super) async fn sweep(&self, record: Record) -> Result<(), Problem> {
        let prefix = prefix(&record.broker);
        let mut from = prefix.clone();
        loop {
            let found: Vec<(String, Written)> = self
                .plane
                .store
                .load_some(Kind::Mirrored, &prefix, &from, GONE_THROUGH)
                .map_err(|error| Problem::internal(&error))?;
            let Some((last, _)) = found.last() else { break };
            // The least key after it.
            from = format!("{last}\0");
            let ours = |written: &Written| written.flow == record.flow && written.pass < record.pass;
            let missed: Vec<&str> =
                found.iter().filter(|(_, written)| ours(written)).map(|(key, _)| id_in(key)).collect();
            for some in missed.chunks(LOOKED_FOR) {
                self.look_for(&record, some).await?;
            }
        }
        let done = Record { phase: Phase::Following, passed_ms: Some(now_ms()), ..record };
        tracing::info!(flow = done.flow, pass = done.pass, entities = done.seen, "a mirror has been compared");
        self.mirror.keep(self.plane, done).await
    }

    async fn look_for(&self, record: &Record, ids: &[&str]) -> Result<(), Problem> {
        let page = self.read(&partner::page_of(ids, &record.types)).await?;
        let there = match page.status {
            StatusCode::OK => write::entities(page.data)?,
            StatusCode::NOT_FOUND => Vec::new(),
            status => return Err(partner::refused(status)),
        };
        let gone: Vec<&str> =
            ids.iter().filter(|id| there.iter().all(|entity| broker::id(entity) != **id)).copied().collect();
        if !gone.is_empty() {
            tracing::info!(flow = record.flow, count = gone.len(), "a mirror removes what the partner shows no more");
            write::remove(self.plane, &record.broker, &gone).await?;
        }
        write::write(self.plane, self.mirror, record.clone(), there).await.map(drop)
    }
}
