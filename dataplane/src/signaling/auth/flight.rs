//! Work that is done once for all who wait for it.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;

type Outcome<T> = Result<T, String>;

/// At most one piece of work under way. It goes on when those who wait for it leave.
pub(super) struct Flight<T: Clone> {
    going: Mutex<Option<Shared<BoxFuture<'static, Outcome<T>>>>>,
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { going: Mutex::new(None) })
    }

    /// Waits for the work under way; begins it when there is none.
    pub(super) async fn join<F>(self: &Arc<Self>, background: &Handle, begin: impl FnOnce() -> F) -> Outcome<T>
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let waiting = {
            let mut going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
            match &*going {
                Some(waiting) => waiting.clone(),
                None => {
                    let (work, this) = (begin(), Arc::clone(self));
                    let task = background.spawn(async move {
                        let outcome = work.await;
                        this.going.lock().unwrap_or_else(PoisonError::into_inner).take();
                        outcome
                    });
                    let outcome = async move { task.await.unwrap_or_else(|_| Err("a task ended early".to_owned())) };
                    going.insert(outcome.boxed().shared()).clone()
                }
            }
        };
        waiting.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_wait_for_one_answer() {
        let (flight, begun) = (Flight::<u32>::new(), Arc::new(AtomicU32::new(0)));
        let work = || {
            let number = begun.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(number)
            }
        };
        let background = Handle::current();
        // One of them leaves at once; the others get its answer all the same.
        let leaving = tokio::time::timeout(Duration::from_millis(1), flight.join(&background, work)).await;
        assert!(leaving.is_err());
        let all = futures_util::future::join_all((0..100).map(|_| flight.join(&background, work))).await;
        assert!(all.iter().all(|answer| *answer == Ok(0)), "{all:?}");
        assert_eq!(flight.join(&background, work).await, Ok(1), "then it is asked anew");
    }

    #[tokio::test]
    async fn work_that_breaks_is_an_error_for_all() {
        let flight = Flight::<u32>::new();
        let broken = flight.join(&Handle::current(), || async { Err("no".to_owned()) }).await;
        assert_eq!(broken, Err("no".to_owned()));
        assert_eq!(flight.join(&Handle::current(), || async { Ok(1) }).await, Ok(1));
    }
}
