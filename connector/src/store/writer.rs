//! Commits units of work: many together on SQLite, each on its own on PostgreSQL.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Step, StoreError, StoreResult, Unit, entity::event, is_postgres};

/// Most units that share one commit.
const BATCH: usize = 256;

/// What a unit hands out once it is durable.
type AfterCommit = (Vec<Arc<event::Model>>, Vec<Step>);

/// A unit of work that waits for the writer.
trait Job: Send {
    /// Runs in a savepoint of the shared transaction; `Ok` keeps its changes.
    fn run<'a>(&'a mut self, shared: &'a DatabaseTransaction) -> BoxFuture<'a, Option<AfterCommit>>;
    /// Tells the caller, after the shared commit has succeeded or failed.
    fn finish(self: Box<Self>, commit: StoreResult<()>);
}

struct TypedJob<T, E, F> {
    work: Option<F>,
    owner: Arc<str>,
    outcome: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<T, E>>>,
}

impl<T, E, F> Job for TypedJob<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: for<'c> FnOnce(&'c mut Unit) -> BoxFuture<'c, Result<T, E>> + Send,
{
    fn run<'a>(&'a mut self, shared: &'a DatabaseTransaction) -> BoxFuture<'a, Option<AfterCommit>> {
        Box::pin(async move {
            let work = self.work.take()?;
            let (outcome, after) = match shared.begin().await {
                Ok(savepoint) => run_in(savepoint, self.owner.clone(), work).await,
                Err(error) => (Err(StoreError::from(error).into()), None),
            };
            self.outcome = Some(outcome);
            after
        })
    }

    fn finish(mut self: Box<Self>, commit: StoreResult<()>) {
        let outcome = match (self.outcome.take(), commit) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        if let Some(reply) = self.reply.take() {
            // A caller that went away does not need the answer; the work is done all the same.
            let _gone = reply.send(outcome);
        }
    }
}

/// Runs `work` in `transaction` and ends it: commit (or release of the savepoint) on success, rollback on failure.
async fn run_in<T, E, F>(
    transaction: DatabaseTransaction,
    owner: Arc<str>,
    work: F,
) -> (Result<T, E>, Option<AfterCommit>)
where
    E: From<StoreError>,
    F: for<'c> FnOnce(&'c mut Unit) -> BoxFuture<'c, Result<T, E>>,
{
    let mut unit = Unit::new(transaction, owner);
    let outcome = work(&mut unit).await;
    let (transaction, events, steps) = unit.into_parts();
    match outcome {
        Ok(value) => match transaction.commit().await {
            Ok(()) => (Ok(value), Some((events, steps))),
            Err(error) => (Err(StoreError::from(error).into()), None),
        },
        Err(error) => {
            if let Err(rollback) = transaction.rollback().await {
                tracing::error!(%rollback, "a failed unit of work could not be rolled back");
            }
            (Err(error), None)
        }
    }
}

#[derive(Clone)]
pub(super) struct Writer {
    db: DatabaseConnection,
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    events: broadcast::Sender<Arc<event::Model>>,
    steps: mpsc::UnboundedSender<Step>,
}

impl Writer {
    pub(super) fn start(
        db: DatabaseConnection,
        events: broadcast::Sender<Arc<event::Model>>,
        steps: mpsc::UnboundedSender<Step>,
    ) -> Self {
        let queue = (!is_postgres(db.get_database_backend())).then(|| {
            let (sender, receiver) = mpsc::channel(4 * BATCH);
            tokio::spawn(commit_together(db.clone(), receiver, events.clone(), steps.clone()));
            sender
        });
        Self { db, queue, events, steps }
    }

    pub(super) async fn write<T, E, F>(&self, work: F, owner: Arc<str>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Unit) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let Some(queue) = &self.queue else {
            let transaction = self.db.begin().await.map_err(StoreError::from)?;
            let (outcome, after) = run_in(transaction, owner, work).await;
            hand_out(after.into_iter(), &self.events, &self.steps);
            return outcome;
        };
        let (reply, answer) = oneshot::channel();
        let job = TypedJob { work: Some(work), owner, outcome: None, reply: Some(reply) };
        queue.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// The only writer on SQLite: takes what has queued up while the last commit was under way.
async fn commit_together(
    db: DatabaseConnection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    events: broadcast::Sender<Arc<event::Model>>,
    steps: mpsc::UnboundedSender<Step>,
) {
    let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let mut after = Vec::with_capacity(batch.len());
        let commit = match begin_immediate(&db).await {
            Ok(shared) => {
                for job in &mut batch {
                    after.extend(job.run(&shared).await);
                }
                shared.commit().await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match commit {
            Ok(()) => {
                batch.drain(..).for_each(|job| job.finish(Ok(())));
                hand_out(after.into_iter(), &events, &steps);
            }
            Err(error) => {
                tracing::error!(%error, units = batch.len(), "a commit failed; nothing of it was kept");
                for job in batch.drain(..) {
                    job.finish(Err(StoreError::Database(sea_orm::DbErr::Custom(error.clone()))));
                }
            }
        }
    }
}

async fn begin_immediate(db: &DatabaseConnection) -> Result<DatabaseTransaction, sea_orm::DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    db.begin_with_options(options).await
}

fn hand_out(
    after: impl Iterator<Item = AfterCommit>,
    events: &broadcast::Sender<Arc<event::Model>>,
    steps: &mpsc::UnboundedSender<Step>,
) {
    for (committed, owed) in after {
        // Sending fails only when nobody listens, which is fine: the rows are in the database.
        for step in owed {
            let _nobody = steps.send(step);
        }
        for event in committed {
            let _nobody = events.send(event);
        }
    }
}
