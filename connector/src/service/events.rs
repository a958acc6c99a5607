//! Reading events in their order: from the store first, then as they happen, without gap or duplicate.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::ServiceResult;
use crate::app::App;
use crate::store::events::{self, EventQuery};
use crate::store::{Store, event, now_ms};

/// Events read from the store at once.
const BATCH: u64 = 500;
/// How often the store is asked for events of other replicas.
const OTHER_REPLICAS: Duration = Duration::from_secs(2);
/// How long after its time an event may still become visible, ms: with several replicas on PostgreSQL, sequence numbers
/// are not always committed in their order.
const LATE_MS: i64 = 10_000;

/// Which kinds of events a reader wants: `transfer.started`, `transfer.*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Every event.
    All,
    /// Every event whose kind starts with this, dot included.
    Family(String),
    /// This kind.
    Kind(String),
}

impl Pattern {
    /// Reads a pattern; `None` when it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let word = |word: &str| {
            (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        match text.split_once('.') {
            None if text == "*" => Some(Self::All),
            Some((family, "*")) if word(family) => Some(Self::Family(format!("{family}."))),
            Some((family, kind)) if word(family) && word(kind) => Some(Self::Kind(text.to_owned())),
            _ => None,
        }
    }

    /// Whether it takes this kind.
    pub(crate) fn takes(&self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Family(start) => kind.starts_with(start.as_str()),
            Self::Kind(wanted) => kind == wanted,
        }
    }

    /// The same for the store's query; `None` for every event.
    fn to_query(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Family(start) => Some(format!("{start}*")),
            Self::Kind(kind) => Some(kind.clone()),
        }
    }
}

/// What a reader wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interest {
    /// Kinds, any of which may fit; empty for all.
    pub patterns: Vec<Pattern>,
    /// Only events about this subject.
    pub subject: Option<String>,
}

impl Interest {
    fn takes(&self, event: &event::Model) -> bool {
        (self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.takes(&event.kind)))
            && self.subject.as_ref().is_none_or(|subject| *subject == event.subject)
    }

    fn query(&self, after: i64, limit: u64) -> EventQuery {
        let kind = match self.patterns.as_slice() {
            [only] => only.to_query(),
            _ => None,
        };
        EventQuery { after, limit, kind, subject: self.subject.clone() }
    }
}

/// A page of events after a sequence number; the answer says where to go on when there are more.
///
/// # Errors
/// What the store brings.
pub(crate) async fn page(
    app: &App,
    interest: &Interest,
    after: i64,
    limit: u64,
) -> ServiceResult<(Vec<event::Model>, Option<i64>)> {
    let mut rows = events::list(&app.store, app.context(), &interest.query(after, limit + 1)).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|row| row.seq) } else { None };
    Ok((rows, next))
}

/// The last events, or the last ones before a sequence number; the oldest of them comes first.
///
/// # Errors
/// What the store brings.
pub(crate) async fn latest(
    app: &App,
    interest: &Interest,
    before: Option<i64>,
    limit: u64,
) -> ServiceResult<Vec<event::Model>> {
    Ok(events::latest(&app.store, app.context(), &interest.query(0, limit), before).await?)
}

/// A reader that follows the events.
pub(crate) struct Reader {
    store: Store,
    context: &'static str,
    interest: Interest,
    live: broadcast::Receiver<Arc<event::Model>>,
    /// Events that may be handed out now.
    ready: VecDeque<Arc<event::Model>>,
    /// Whether this replica is the only writer, so that events become visible in their order.
    alone: bool,
    /// Every event up to here has been taken and no other can appear.
    floor: i64,
    /// Events above the floor that were taken, with their times.
    seen: BTreeMap<i64, i64>,
    /// Whether the store may hold events that have not been read.
    behind: bool,
}

impl Reader {
    /// Follows the events after this sequence number.
    pub(crate) fn after(app: &App, interest: Interest, after: i64) -> Self {
        Self {
            store: app.store.clone(),
            context: app.context(),
            interest,
            live: app.store.subscribe_events(),
            ready: VecDeque::new(),
            alone: events::in_order(&app.store),
            floor: after,
            seen: BTreeMap::new(),
            behind: true,
        }
    }

    /// Follows the events from now on.
    ///
    /// # Errors
    /// What the store brings.
    pub(crate) async fn from_now(app: &App, interest: Interest) -> ServiceResult<Self> {
        let last = events::last_seq(&app.store).await?;
        Ok(Self::after(app, interest, last))
    }

    /// Waits for the next event. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What the store brings; the reader can be asked again.
    pub(crate) async fn next(&mut self) -> ServiceResult<Arc<event::Model>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if self.behind {
                self.read_store().await?;
                continue;
            }
            let patience = if self.alone { Duration::MAX } else { OTHER_REPLICAS };
            match tokio::time::timeout(patience, self.live.recv()).await {
                Ok(Ok(event)) => self.offer(event),
                Ok(Err(RecvError::Lagged(_))) | Err(_) => self.behind = true,
                Ok(Err(RecvError::Closed)) => return std::future::pending().await,
            }
        }
    }

    /// Everything that is ready, at most `most`, without waiting.
    pub(crate) fn more(&mut self, most: usize) -> Vec<Arc<event::Model>> {
        while !self.behind && self.ready.len() < most {
            match self.live.try_recv() {
                Ok(event) => self.offer(event),
                Err(TryRecvError::Lagged(_)) => self.behind = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.ready.drain(..most.min(self.ready.len())).collect()
    }

    /// Where to go on after a restart, once everything that was handed out is done with: some events may come again,
    /// none is left out.
    pub(crate) fn resume_at(&self) -> i64 {
        self.ready.iter().map(|event| event.seq - 1).min().map_or(self.floor, |waiting| waiting.min(self.floor))
    }

    async fn read_store(&mut self) -> ServiceResult<()> {
        let mut after = self.floor;
        loop {
            let rows = events::list(&self.store, self.context, &self.interest.query(after, BATCH)).await?;
            let full = u64::try_from(rows.len()).is_ok_and(|len| len >= BATCH);
            after = rows.last().map_or(after, |row| row.seq);
            for row in rows {
                self.offer(Arc::new(row));
            }
            if !full {
                self.behind = false;
            }
            if !full || !self.ready.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Takes an event unless it was handed out before, and lets the floor rise.
    fn offer(&mut self, event: Arc<event::Model>) {
        if event.seq <= self.floor || event.context != self.context || self.seen.contains_key(&event.seq) {
            return;
        }
        self.seen.insert(event.seq, event.time);
        if self.interest.takes(&event) {
            self.ready.push_back(event);
        }
        let settled = if self.alone { i64::MAX } else { now_ms() - LATE_MS };
        while let Some(oldest) = self.seen.first_entry()
            && *oldest.get() < settled
        {
            self.floor = *oldest.key();
            oldest.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let takes = |pattern: &str, kind: &str| Pattern::parse(pattern).map(|pattern| pattern.takes(kind));
        assert_eq!(takes("*", "data_plane.created"), Some(true));
        assert_eq!(takes("data_plane.*", "data_plane.created"), Some(true));
        assert_eq!(takes("data_plane.created", "data_plane.created"), Some(true));
        assert_eq!(takes("data.*", "data_plane.created"), Some(false));
        assert_eq!(takes("data_plane.removed", "data_plane.created"), Some(false));
        for wrong in ["", "**", "transfer", "transfer.", ".started", "Transfer.*", "a.b.c", "a.%", "*.started", "a. b"]
        {
            assert_eq!(Pattern::parse(wrong), None, "{wrong}");
        }
    }

    fn event(seq: i64, age_ms: i64) -> Arc<event::Model> {
        let (kind, subject) = ("transfer.started".to_owned(), seq.to_string());
        let time = now_ms() - age_ms;
        Arc::new(event::Model { seq, context: "default".to_owned(), time, kind, subject, data: "{}".to_owned() })
    }

    #[tokio::test]
    async fn with_several_replicas_a_late_event_is_not_lost_and_none_comes_twice() {
        let (_folder, app) = crate::testing::app().await;
        let mut reader = Reader::after(&app, Interest::default(), 3);
        (reader.alone, reader.behind) = (false, false);
        for seq in [4, 6, 5, 6, 4, 3, 7] {
            reader.offer(event(seq, 0));
        }
        let seqs = |events: Vec<Arc<event::Model>>| events.iter().map(|event| event.seq).collect::<Vec<_>>();
        assert_eq!(reader.resume_at(), 3, "nothing is settled yet");
        assert_eq!(seqs(reader.more(2)), [4, 6]);
        assert_eq!(seqs(reader.more(9)), [5, 7]);
        reader.seen.values_mut().for_each(|time| *time -= 2 * LATE_MS);
        reader.offer(event(8, 0));
        assert_eq!(reader.resume_at(), 7, "what is old is settled");
        assert_eq!(seqs(reader.more(9)), [8]);
        reader.offer(event(6, 0));
        assert!(reader.more(9).is_empty());
    }
}
