//! The end of a mirror: what the agreement brought goes with it, unless it is to stay.

use std::time::Duration;

use super::Mirror;
use super::record::{Record, Written, id_in, prefix};
use super::write::{self, BATCH};
use crate::plane::Plane;
use crate::problem::Problem;
use crate::signaling::callback::jittered;
use crate::store::{Change, Kind};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Ends a mirror, however long our broker is away; `false` when the program ends before.
pub(super) async fn end(plane: &Plane, mirror: &Mirror) -> bool {
    let record = mirror.record();
    let mut pause = FIRST_PAUSE;
    while let Err(problem) = clear(plane, &record).await {
        tracing::warn!(flow = record.flow, %problem, "a mirror that has ended is cleared later");
        mirror.seen().fault = Some(problem.to_string());
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = plane.over.cancelled() => return false,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    tracing::info!(flow = record.flow, deleted = record.delete_at_end, "a mirror has ended");
    true
}

async fn clear(plane: &Plane, record: &Record) -> Result<(), Problem> {
    // What stays is known by its flow, so that a later mirror may take it over.
    if record.delete_at_end {
        let prefix = prefix(&record.broker);
        let mut from = prefix.clone();
        loop {
            let found = plane.store.load_some::<Written>(Kind::Mirrored, &prefix, &from, BATCH);
            let found = found.map_err(|error| Problem::internal(&error))?;
            let Some((last, _)) = found.last() else { break };
            from = format!("{last}\0");
            let ours = found.iter().filter(|(_, written)| written.flow == record.flow);
            let ids: Vec<&str> = ours.map(|(key, _)| id_in(key)).collect();
            if !ids.is_empty() {
                write::remove(plane, &record.broker, &ids).await?;
            }
        }
    }
    plane.write(vec![Ok(Change::forget(Kind::Mirror, &record.flow))]).await
}
