//! Sources and partners that do not answer are left alone for a while.
//!
//! What is remembered is only what is in trouble, by scheme and authority, for all flows and threads together. As long as nothing
//! is, a request looks at one number and takes no lock.
//!
//! An origin is *open* after so many failed requests in a row: requests to it are refused at once, without waiting for a time-out
//! each. After a pause one request may try; the next one may after another pause. The first that is answered closes it again.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use http::uri::{Authority, Scheme};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::now_ms;
use crate::config::Upstream;

/// Most origins in trouble that are remembered; beyond it new ones are not, and their requests wait for their time-outs.
const MOST_ORIGINS: usize = 4096;

/// Who is behind us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    /// A source of our own city.
    Source,
    /// A partner's data plane.
    Partner,
}

impl fmt::Display for Towards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Source => "source",
            Self::Partner => "partner",
        })
    }
}

/// Why a request is not sent: the one that it is for has not answered lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resting {
    /// When the first of the failures came that led here, in milliseconds since the epoch.
    pub(crate) since_ms: i64,
    /// Until a request may try again.
    pub(crate) wait: Duration,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was an answer that an able server gives.
    Answered,
    /// There was none, or one that says that the server is not able to.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Origin {
    scheme: Option<Scheme>,
    authority: Authority,
}

/// One origin's failures in a row.
#[derive(Debug)]
struct Trouble {
    failures: u32,
    since_ms: i64,
    last: Instant,
    /// When the next request may try; `None` while all may.
    try_at: Option<Instant>,
}

impl Trouble {
    fn new(now: Instant, now_ms: i64) -> Self {
        Self { failures: 0, since_ms: now_ms, last: now, try_at: None }
    }

    /// Whether a request may go out now. One that may while the origin is open takes the turn of this pause.
    fn ask(&mut self, now: Instant, pause: Duration) -> Result<(), Resting> {
        let Some(try_at) = self.try_at else { return Ok(()) };
        if now < try_at {
            return Err(Resting { since_ms: self.since_ms, wait: try_at - now });
        }
        self.try_at = Some(now + pause);
        Ok(())
    }

    /// Counts a failure. Gives whether the origin has become open by it.
    fn failed(&mut self, now: Instant, rule: &Upstream) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        let opens = self.try_at.is_none() && self.failures >= rule.rest_after;
        if opens || self.try_at.is_some() {
            self.try_at = Some(now + rule.rest);
        }
        opens
    }
}

/// The breakers of all origins in one direction.
#[derive(Debug)]
pub(crate) struct Breakers {
    pub(crate) towards: Towards,
    rule: Upstream,
    /// How many are in trouble.
    troubled: AtomicUsize,
    known: Mutex<HashMap<Origin, Trouble>>,
}

impl Breakers {
    pub(crate) fn new(towards: Towards, rule: Upstream) -> Self {
        Self { towards, rule, troubled: AtomicUsize::new(0), known: Mutex::default() }
    }

    /// How often a request is tried again that nobody has answered.
    pub(crate) fn retries(&self) -> u32 {
        self.rule.retries
    }

    /// Asks whether a request to an address may go out.
    ///
    /// # Errors
    /// [`Resting`] while it may not.
    pub(crate) fn ask(&self, uri: &Uri) -> Result<(), Resting> {
        if self.troubled.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let Some(origin) = origin(uri) else { return Ok(()) };
        self.known().get_mut(&origin).map_or(Ok(()), |trouble| trouble.ask(Instant::now(), self.rule.rest))
    }

    /// Whether an answer with this status is one of a server that is not able to. A partner's data plane says so of its source,
    /// which is one of many.
    pub(crate) fn judge(&self, status: http::StatusCode) -> Outcome {
        match (self.towards, status.as_u16()) {
            (Towards::Source, 502..=504) => Outcome::Failed,
            _ => Outcome::Answered,
        }
    }

    /// Takes what came of a request to an address.
    pub(crate) fn tell(&self, uri: &Uri, outcome: Outcome) {
        let healthy = self.troubled.load(Ordering::Relaxed) == 0;
        if self.rule.rest_after == 0 || (healthy && outcome == Outcome::Answered) {
            return;
        }
        let Some(origin) = origin(uri) else { return };
        let towards = self.towards;
        match outcome {
            Outcome::Answered => {
                if self.forget(&origin).is_some_and(|trouble| trouble.try_at.is_some()) {
                    tracing::info!(%towards, authority = %origin.authority, "answers again");
                }
            }
            Outcome::Failed => {
                if self.count(&origin) {
                    let pause = self.rule.rest;
                    tracing::warn!(%towards, authority = %origin.authority, ?pause, "does not answer and is left alone");
                }
            }
        }
    }

    /// Whether any origin is open.
    pub(crate) fn is_any_open(&self) -> bool {
        self.troubled.load(Ordering::Relaxed) > 0 && self.known().values().any(|trouble| trouble.try_at.is_some())
    }

    /// What is in trouble, for operators.
    pub(crate) fn describe(&self) -> Value {
        let now = Instant::now();
        let known = self.known();
        let mut found: Vec<(&Origin, &Trouble)> = known.iter().collect();
        found.sort_by(|(one, _), (other, _)| one.authority.as_str().cmp(other.authority.as_str()));
        let described = found.into_iter().map(|(origin, trouble)| {
            json!({
                "authority": origin.authority.as_str(),
                "state": if trouble.try_at.is_some() { "open" } else { "closed" },
                "failuresInARow": trouble.failures,
                "since": moment(trouble.since_ms),
                "triedAgainInMs": trouble.try_at.map(|at| u64::try_from((at.saturating_duration_since(now)).as_millis()).unwrap_or(u64::MAX)),
            })
        });
        Value::Array(described.collect())
    }

    fn count(&self, origin: &Origin) -> bool {
        let now = Instant::now();
        let mut known = self.known();
        if !known.contains_key(origin) {
            if known.len() >= MOST_ORIGINS {
                // Those that nobody asks any more make room.
                let rest = self.rule.rest;
                known.retain(|_, trouble| now.saturating_duration_since(trouble.last) < rest * 10);
            }
            if known.len() >= MOST_ORIGINS {
                return false;
            }
        }
        let trouble = known.entry(origin.clone()).or_insert_with(|| Trouble::new(now, now_ms()));
        let opened = trouble.failed(now, &self.rule);
        self.troubled.store(known.len(), Ordering::Relaxed);
        opened
    }

    fn forget(&self, origin: &Origin) -> Option<Trouble> {
        let mut known = self.known();
        let removed = known.remove(origin);
        self.troubled.store(known.len(), Ordering::Relaxed);
        removed
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Origin, Trouble>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn origin(uri: &Uri) -> Option<Origin> {
    Some(Origin { scheme: uri.scheme().cloned(), authority: uri.authority()?.clone() })
}

/// A moment for people, to the second.
pub(crate) fn moment(ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn rule() -> Upstream {
        Upstream { retries: 0, rest_after: 3, rest: PAUSE }
    }

    /// What happens at a second: a request asks, and is let through or not; a request fails.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Passes,
        /// So many seconds before the next try.
        Rests(u64),
        Fails,
        FailsAndOpens,
    }

    #[test]
    fn states_of_one_origin() {
        use Step::{Fails, FailsAndOpens, Passes, Rests};
        let tables: [&[(u64, Step)]; 4] = [
            &[(0, Passes), (0, Fails), (1, Passes), (1, Fails), (9, Passes), (9, FailsAndOpens), (9, Rests(5))],
            // Half open: one may try in each pause, whatever becomes of it.
            &[(0, Fails), (0, Fails), (0, FailsAndOpens), (4, Rests(1)), (5, Passes), (5, Rests(5)), (10, Passes)],
            // A try that fails begins the pause anew.
            &[(0, Fails), (0, Fails), (0, FailsAndOpens), (5, Passes), (8, Fails), (10, Rests(3)), (13, Passes)],
            // Those that were on their way when it opened do not open it again.
            &[(0, Fails), (0, Fails), (0, FailsAndOpens), (1, Fails), (5, Rests(1)), (6, Passes)],
        ];
        for table in tables {
            let begin = Instant::now();
            let mut trouble = Trouble::new(begin, 7);
            for (second, step) in table {
                let now = begin + Duration::from_secs(*second);
                match step {
                    Passes => assert_eq!(trouble.ask(now, PAUSE), Ok(()), "{second} in {table:?}"),
                    Rests(wait) => {
                        let resting = Resting { since_ms: 7, wait: Duration::from_secs(*wait) };
                        assert_eq!(trouble.ask(now, PAUSE), Err(resting), "{second} in {table:?}");
                    }
                    Fails => assert!(!trouble.failed(now, &rule()), "{second} in {table:?}"),
                    FailsAndOpens => assert!(trouble.failed(now, &rule()), "{second} in {table:?}"),
                }
            }
        }
    }

    #[test]
    fn an_answer_closes_and_is_forgotten() {
        let breakers = Breakers::new(Towards::Source, rule());
        let (ours, other) = (Uri::from_static("http://a:1/x"), Uri::from_static("http://b:1/x"));
        for _ in 0..2 {
            breakers.tell(&ours, Outcome::Failed);
        }
        breakers.tell(&ours, Outcome::Answered);
        breakers.tell(&ours, Outcome::Failed);
        breakers.tell(&ours, Outcome::Failed);
        assert!(breakers.ask(&ours).is_ok(), "not in a row");
        assert!(!breakers.is_any_open());
        breakers.tell(&ours, Outcome::Failed);
        assert!(breakers.ask(&ours).is_err() && breakers.ask(&other).is_ok() && breakers.is_any_open());
        assert!(breakers.ask(&Uri::from_static("http://a:1/y?z")).is_err(), "by origin");
        assert!(breakers.ask(&Uri::from_static("https://a:1/x")).is_ok(), "and scheme");
        assert_eq!(breakers.describe()[0]["state"], "open");
        breakers.tell(&ours, Outcome::Answered);
        assert!(breakers.ask(&ours).is_ok());
        assert_eq!(breakers.describe(), json!([]));
        assert_eq!(breakers.troubled.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn which_answers_are_failures() {
        let sources = Breakers::new(Towards::Source, rule());
        let partners = Breakers::new(Towards::Partner, rule());
        for (status, of_source) in
            [(200, false), (404, false), (429, false), (500, false), (502, true), (503, true), (504, true)]
        {
            let status = http::StatusCode::from_u16(status).unwrap();
            assert_eq!(sources.judge(status) == Outcome::Failed, of_source, "{status}");
            assert_eq!(partners.judge(status), Outcome::Answered, "{status}: the partner is there");
        }
    }

    #[test]
    fn memory_is_bounded_and_off_is_off() {
        let breakers = Breakers::new(Towards::Partner, rule());
        for number in 0..MOST_ORIGINS + 10 {
            breakers.tell(&Uri::try_from(format!("http://h{number}/")).unwrap(), Outcome::Failed);
        }
        assert_eq!(breakers.known().len(), MOST_ORIGINS);
        let off = Breakers::new(Towards::Source, Upstream { rest_after: 0, ..rule() });
        let uri = Uri::from_static("http://a/");
        (0..100).for_each(|_| off.tell(&uri, Outcome::Failed));
        assert!(off.ask(&uri).is_ok());
    }
}
