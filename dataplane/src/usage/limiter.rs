//! The rates at which a flow may be used.

use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use policy_plan::Limits;

use crate::problem::{Fault, Problem};

/// Bodies are let through in parts of this size at most, in bytes.
const LARGEST_PART: NonZeroU32 = NonZeroU32::MIN.saturating_add(64 * 1024 - 1);
/// After a pause the bytes of this part of a second may pass at once, so that fast flows need not wait for each part.
const AT_ONCE: u32 = 50;

/// The limits of one flow.
#[derive(Debug)]
pub(crate) struct Limiter {
    requests: Option<DefaultDirectRateLimiter>,
    bytes: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    concurrent: Option<NonZeroU32>,
    clock: DefaultClock,
}

impl Limiter {
    /// A limiter, where there is a limit.
    pub(crate) fn of(limits: &Limits) -> Option<Self> {
        (!limits.is_empty()).then(|| Self {
            requests: limits.requests_per_second.map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            bytes: limits.bytes_per_second.map(|rate| {
                let part = rate.min(LARGEST_PART);
                let at_once = NonZeroU32::new(rate.get() / AT_ONCE).map_or(part, |share| share.max(part));
                (RateLimiter::direct(Quota::per_second(rate).allow_burst(at_once)), part)
            }),
            concurrent: limits.concurrent,
            clock: DefaultClock::default(),
        })
    }

    /// How many answers may be under way at once.
    pub(crate) fn concurrent(&self) -> Option<NonZeroU32> {
        self.concurrent
    }

    /// Whether bodies have a pace.
    pub(crate) fn is_paced(&self) -> bool {
        self.bytes.is_some()
    }

    /// The most bytes that pass at once.
    pub(super) fn largest_part(&self) -> usize {
        self.bytes.as_ref().map_or(usize::MAX, |(_, part)| part.get() as usize)
    }

    /// Takes a request.
    ///
    /// # Errors
    /// 429 with this sentence that says when the next one fits.
    pub(crate) fn take_request(&self, detail: &'static str) -> Result<(), Problem> {
        let Some(requests) = &self.requests else { return Ok(()) };
        requests.check().map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            too_many("too_many_requests", detail, wait)
        })
    }

    /// Waits until a request of our own fits.
    pub(crate) async fn wait_for_request(&self) {
        let Some(requests) = &self.requests else { return };
        while let Err(early) = requests.check() {
            tokio::time::sleep(early.wait_time_from(self.clock.now())).await;
        }
    }

    /// Waits until so many bytes may pass.
    pub(super) async fn pace(&self, bytes: u64) {
        let Some((limiter, most)) = &self.bytes else { return };
        let mut left = bytes;
        while let Some(part) = NonZeroU32::new(u32::try_from(left).unwrap_or(u32::MAX).min(most.get())) {
            match limiter.check_n(part) {
                Ok(Ok(())) => left -= u64::from(part.get()),
                Ok(Err(early)) => tokio::time::sleep(early.wait_time_from(self.clock.now())).await,
                // No part is larger than what may pass at once.
                Err(_) => return,
            }
        }
    }
}

/// 429: as many answers are under way as may be.
pub(crate) fn too_many_at_once(detail: &'static str) -> Problem {
    too_many("too_many_at_once", detail, Duration::ZERO)
}

/// 503: all places are taken, and the request's turn did not come in time.
pub(crate) fn too_busy() -> Problem {
    let detail = "this data plane answers as many requests as it may, and the turn of this one did not come in time";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_busy", Fault::Us, detail)
        .with_header(header::RETRY_AFTER, header::HeaderValue::from_static("1"))
}

/// 429 with `Retry-After` in whole seconds.
fn too_many(code: &'static str, detail: &'static str, wait: Duration) -> Problem {
    let seconds = wait.as_secs().saturating_add(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, Fault::Caller, detail)
        .with_header(header::RETRY_AFTER, header::HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limits: serde_json::Value) -> Limiter {
        Limiter::of(&serde_json::from_value(limits).unwrap()).unwrap()
    }

    #[test]
    fn no_limits_no_limiter() {
        assert!(Limiter::of(&Limits::default()).is_none());
    }

    #[test]
    fn one_request_too_many_is_told_when_to_come_again() {
        let limiter = limiter(serde_json::json!({"requestsPerSecond": 2}));
        limiter.take_request("").unwrap();
        limiter.take_request("").unwrap();
        let problem = limiter.take_request("").unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (429, "too_many_requests"));
        assert!(!limiter.is_paced() && limiter.concurrent().is_none());
    }

    #[actix_web::test]
    async fn bytes_pass_at_their_pace() {
        let limiter = limiter(serde_json::json!({"bytesPerSecond": 400_000}));
        let begin = std::time::Instant::now();
        limiter.pace(65_536).await;
        assert!(begin.elapsed() < Duration::from_millis(100), "the first part passes at once");
        limiter.pace(200_000).await;
        let took = begin.elapsed();
        assert!((Duration::from_millis(400)..Duration::from_millis(1_500)).contains(&took), "{took:?}");
    }

    #[actix_web::test]
    async fn the_extremes_work() {
        let fast = limiter(serde_json::json!({"bytesPerSecond": u32::MAX, "requestsPerSecond": u32::MAX}));
        fast.pace(1 << 30).await;
        (0..1_000).for_each(|_| fast.take_request("").unwrap());
        let slow = limiter(serde_json::json!({"bytesPerSecond": 1}));
        slow.pace(1).await;
        assert_eq!(slow.largest_part(), 1);
        slow.pace(0).await;
    }
}
