//! What was fetched, kept for a while: one request for all who ask at the same time, and refusals for a few seconds.

use std::future::Future;
use std::sync::Arc;

use moka::future::Cache;

use super::CredentialError;

/// Seconds that a failed attempt is remembered, so that a party that does not answer is not asked by every request.
pub(crate) const RETRY_AFTER: i64 = 5;

/// A bounded store of things by address. Time is given by the caller.
pub(crate) struct Kept<T>(Cache<String, Held<T>>);

struct Held<T> {
    result: Result<Arc<T>, CredentialError>,
    until: i64,
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self { result: self.result.clone(), until: self.until }
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Room for `max_bytes` of things whose size `size` tells.
    pub(crate) fn new(max_bytes: u64, size: fn(&T) -> usize) -> Self {
        let weigh = move |key: &String, held: &Held<T>| {
            let bytes = held.result.as_ref().map_or(256, |thing| size(thing)).saturating_add(key.len());
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(max_bytes).weigher(weigh).build())
    }

    /// What is kept for `key` until a time after `now`, or what `read` brings with the time until which it may be kept.
    ///
    /// # Errors
    /// What `read` says, or said a short time ago.
    pub(crate) async fn get<F>(&self, key: &str, now: i64, read: F) -> Result<(Arc<T>, i64), CredentialError>
    where
        F: Future<Output = Result<(T, i64), CredentialError>>,
    {
        let fill = async {
            match read.await {
                Ok((thing, until)) => Held { result: Ok(Arc::new(thing)), until },
                Err(error) => Held { result: Err(error), until: now.saturating_add(RETRY_AFTER) },
            }
        };
        let held = self.0.entry_by_ref(key).or_insert_with_if(fill, |held| held.until <= now).await.into_value();
        Ok((held.result?, held.until))
    }
}
