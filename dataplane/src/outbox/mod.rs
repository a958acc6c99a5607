//! Files on their way to a partner.
//!
//! A file is one use of the agreement, however many requests it takes. What was delivered is remembered durably, so that a push
//! that a restart interrupted goes on with the next file. Towards another Hansa a file that was cut goes on where it was cut, and
//! is compared by SHA-256 before it has its name there; others get the whole of it in one request.

mod letter;
mod standing;

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::now_ms;
use crate::files::FileSource;
use crate::flow::{Access, Flow, Run};
use crate::plane::Plane;
use crate::problem::Problem;
use crate::store::{Change, Kind, StoreError};
use crate::stores::FileFacts;
use crate::usage;

/// A push of files.
#[derive(Clone, Copy)]
pub(crate) struct Outbox<'a> {
    pub(crate) plane: &'a Arc<Plane>,
    pub(crate) flow: &'a Arc<Flow>,
    pub(crate) run: &'a Arc<Run>,
    pub(crate) source: &'a FileSource,
}

/// Why a push does not go on.
enum Stop {
    /// Nothing will change about it.
    Refused(String),
    /// It may go on later.
    Later(String),
}

impl From<Stop> for String {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(text) | Stop::Later(text) => text,
        }
    }
}

impl Outbox<'_> {
    /// Sends all files, and forgets what it remembered of them.
    ///
    /// # Errors
    /// A sentence for the control plane, without addresses or secrets.
    pub(crate) async fn send(&self) -> Result<(), String> {
        let mut sent = self.remembered().await?;
        self.send_new(&mut sent, |_, _| true).await?;
        forget(self.plane, &self.flow.terms.id).await.map_err(|error| error.to_string())
    }

    /// Sends the files that were not sent in this version, as far as `ready` lets them. Gives all versions that are there.
    async fn send_new(
        &self,
        sent: &mut HashMap<String, String>,
        ready: impl Fn(&str, &FileFacts) -> bool,
    ) -> Result<HashMap<String, String>, Stop> {
        let found = self.source.all().await;
        let found = found.map_err(|error| Stop::Later(format!("the source cannot be read: {error}")))?;
        for (path, facts) in &found {
            if sent.get(path) != Some(&facts.tag) && ready(path, facts) {
                self.send_one(path, facts).await?;
                sent.insert(path.clone(), facts.tag.clone());
            }
        }
        Ok(found.into_iter().map(|(path, facts)| (path, facts.tag)).collect())
    }

    /// Sends one file and remembers the version that was listed.
    async fn send_one(&self, path: &str, facts: &FileFacts) -> Result<(), Stop> {
        // The place in the run lets the watch see that data is moving.
        let Ok(_ticket) = self.run.enter(None, None) else { return Err(Stop::Later("the flow has ended".to_owned())) };
        let refused = |problem: Problem| Stop::Later(problem.to_string());
        if self.flow.needs.is_none() {
            self.flow.judge(Access::Read, now_ms()).map_err(refused)?;
        }
        usage::begin_own(self.plane, self.flow, &self.run.ended()).await.map_err(refused)?;
        self.deliver(path).await?;
        let failed = |error: StoreError| Stop::Later(error.to_string());
        let change = Change::put(Kind::Sent, &key(&self.flow.terms.id, path), &facts.tag).map_err(failed)?;
        self.plane.store.write(vec![change]).await.map_err(failed)
    }

    /// The versions that were sent, by path.
    async fn remembered(&self) -> Result<HashMap<String, String>, String> {
        let (store, id) = (self.plane.store.clone(), self.flow.terms.id.clone());
        let load = move || store.load_below::<String>(Kind::Sent, &key(&id, ""));
        let found = tokio::task::spawn_blocking(load).await.map_err(|error| error.to_string())?;
        let found = found.map_err(|error| error.to_string())?;
        let below = key(&self.flow.terms.id, "").len();
        Ok(found.into_iter().filter_map(|(key, tag)| Some((key.get(below..)?.to_owned(), tag))).collect())
    }
}

/// Forgets which files a flow has sent.
///
/// # Errors
/// The store fails.
pub(crate) async fn forget(plane: &Plane, flow_id: &str) -> Result<(), StoreError> {
    let known = plane.store.load_below::<String>(Kind::Sent, &key(flow_id, ""))?;
    let changes: Vec<Change> = known.iter().map(|(key, _)| Change::forget(Kind::Sent, key)).collect();
    if changes.is_empty() { Ok(()) } else { plane.store.write(changes).await }
}

/// Names of flows hold no spaces.
fn key(flow_id: &str, path: &str) -> String {
    format!("{flow_id} {path}")
}
