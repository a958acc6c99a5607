//! Writing entities into our broker: only those that no other hand has put there, and only what has changed.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Mirror;
use super::record::{Record, Written, key};
use crate::broker::{self, OwnBroker, digest};
use crate::clock::now_ms;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::store::{Change, Kind, StoreError};

/// Most entities that go to a broker at once.
pub(super) const BATCH: usize = 100;
/// Longest id, in bytes.
const MAX_ID: usize = 2048;

/// What became of entities that were to be written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Entities that are there now.
    pub(super) there: u64,
    /// Entities of others, that were left alone.
    pub(super) foreign: u64,
    /// Entities that the broker did not take, or that are none.
    pub(super) refused: u64,
}

/// Writes entities; `record` is kept together with the last of them.
///
/// # Errors
/// The broker or the store fails. What was claimed by then is written by the next try.
pub(super) async fn write(
    plane: &Plane,
    mirror: &Mirror,
    record: Record,
    entities: Vec<Value>,
) -> Result<Outcome, Problem> {
    let given = entities.len();
    let mut entities: Vec<Value> = entities.into_iter().filter(is_plain).collect();
    let mut outcome = Outcome { refused: (given - entities.len()) as u64, ..Outcome::default() };
    latest_only(&mut entities);
    let mut last = Vec::new();
    while !entities.is_empty() {
        let rest = entities.split_off(entities.len().min(BATCH));
        // Written with the record, unless more follow.
        let changes = write_batch(plane, &record, entities, &mut outcome).await?;
        if rest.is_empty() {
            last = changes;
        } else {
            plane.write(changes).await?;
        }
        entities = rest;
    }
    last.push(record.change());
    plane.write(last).await?;
    mirror.set(record);
    if outcome.there > 0 {
        mirror.seen().written_ms = Some(now_ms());
    }
    Ok(outcome)
}

async fn write_batch(
    plane: &Plane,
    record: &Record,
    entities: Vec<Value>,
    outcome: &mut Outcome,
) -> Result<Vec<Result<Change, StoreError>>, Problem> {
    let own = OwnBroker::named(plane, &record.broker)?;
    let keys: Vec<String> = entities.iter().map(|entity| key(&record.broker, broker::id(entity))).collect();
    let known: Vec<Option<Written>> =
        plane.store.find(Kind::Mirrored, &keys).map_err(|error| Problem::internal(&error))?;
    let unknown: Vec<(&str, &str)> = entities
        .iter()
        .zip(&known)
        .filter(|(_, known)| known.is_none())
        .map(|(entity, _)| (broker::id(entity), first_type(entity)))
        .collect();
    let foreign = if unknown.is_empty() { HashSet::new() } else { own.existing(&unknown).await? };
    let of_another = |written: &Written| {
        let live = |flow: &str| plane.flows.by_id(flow).is_some_and(|flow| !super::is_over(&flow));
        written.flow != record.flow && live(&written.flow)
    };
    let mut done: Vec<Result<Change, StoreError>> = Vec::new();
    let mut claims = Vec::new();
    let mut wanted: HashMap<String, (String, String)> = HashMap::new();
    let mut batch = Vec::new();
    for ((entity, key), known) in entities.into_iter().zip(keys).zip(known) {
        let id = broker::id(&entity).to_owned();
        if known.as_ref().is_some_and(of_another) || (known.is_none() && foreign.contains(&id)) {
            tracing::debug!(flow = record.flow, id, "an entity that is not ours is left alone");
            outcome.foreign += 1;
            continue;
        }
        let digest = digest(&entity);
        let written = |digest| Written { flow: record.flow.clone(), pass: record.pass, digest };
        let ours = known.filter(|known| known.flow == record.flow);
        if ours.as_ref().is_some_and(|known| known.digest.as_ref() == Some(&digest)) {
            outcome.there += 1;
            if ours.is_some_and(|known| known.pass != record.pass) {
                done.push(Change::put(Kind::Mirrored, &key, &written(Some(digest))));
            }
            continue;
        }
        if ours.is_none_or(|known| known.pass != record.pass) {
            claims.push(Change::put(Kind::Mirrored, &key, &written(None)));
        }
        wanted.insert(id, (key, digest));
        batch.push(entity);
    }
    if batch.is_empty() {
        return Ok(done);
    }
    // Before the broker hears of them, so that after a crash they are known to be ours.
    if !claims.is_empty() {
        plane.write(claims).await?;
    }
    for id in own.upsert(&batch).await? {
        outcome.refused += u64::from(wanted.remove(&id).is_some());
    }
    outcome.there += wanted.len() as u64;
    done.extend(wanted.into_values().map(|(key, digest)| {
        let written = Written { flow: record.flow.clone(), pass: record.pass, digest: Some(digest) };
        Change::put(Kind::Mirrored, &key, &written)
    }));
    Ok(done)
}

/// Forgets entities after they were deleted from the broker.
///
/// # Errors
/// The broker or the store fails; the next try does it again.
pub(super) async fn remove(plane: &Plane, broker: &str, ids: &[&str]) -> Result<(), Problem> {
    OwnBroker::named(plane, broker)?.delete(ids).await?;
    plane.write(ids.iter().map(|id| Ok(Change::forget(Kind::Mirrored, &key(broker, id)))).collect()).await
}

/// Reads the entities of an answer.
///
/// # Errors
/// 502 when it is no array of entities.
pub(super) fn entities(data: Value) -> Result<Vec<Value>, Problem> {
    match data {
        Value::Array(entities) => Ok(entities),
        _ => {
            let detail = "the partner's answer holds no entities";
            Err(Problem::new(actix_web::http::StatusCode::BAD_GATEWAY, "partner_failed", Fault::Peer, detail))
        }
    }
}

/// An entity with an id and a type, and without a context of its own: our broker would fetch that from wherever the partner says.
fn is_plain(entity: &Value) -> bool {
    let id = broker::id(entity);
    !id.is_empty()
        && id.len() <= MAX_ID
        && !id.chars().any(char::is_control)
        && !first_type(entity).is_empty()
        && !has_context(entity)
}

fn has_context(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("@context") || members.values().any(has_context),
        Value::Array(items) => items.iter().any(has_context),
        _ => false,
    }
}

fn first_type(entity: &Value) -> &str {
    let kind = entity.get("type");
    kind.and_then(|kind| kind.as_str().or_else(|| kind.get(0).and_then(Value::as_str))).unwrap_or_default()
}

/// Of several states of an entity the last one, in its place: a batch must not name an entity twice.
fn latest_only(entities: &mut Vec<Value>) {
    let mut later = HashSet::new();
    let mut kept: Vec<Value> = Vec::with_capacity(entities.len());
    while let Some(entity) = entities.pop() {
        if later.insert(broker::id(&entity).to_owned()) {
            kept.push(entity);
        }
    }
    kept.reverse();
    *entities = kept;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_plain_entity_is_not_written() {
        for (entity, expected) in [
            (json!({"id": "urn:a", "type": "A"}), true),
            (json!({"id": "urn:a", "type": ["A", "B"], "x": {"type": "Property", "value": [1, {"y": 2}]}}), true),
            (json!({"id": "urn:a"}), false),
            (json!({"type": "A"}), false),
            (json!({"id": "a\nb", "type": "A"}), false),
            (json!({"id": "urn:a", "type": []}), false),
            (json!({"id": "urn:a", "type": "A", "@context": "http://10.0.0.1/"}), false),
            (json!({"id": "urn:a", "type": "A", "x": [{"@context": "http://10.0.0.1/", "value": 1}]}), false),
            (json!("urn:a"), false),
        ] {
            assert_eq!(is_plain(&entity), expected, "{entity}");
        }
    }

    #[test]
    fn of_several_states_the_last_one_counts() {
        let one = |id: &str, n: u32| json!({"id": id, "n": n});
        let mut entities = vec![one("a", 1), one("b", 1), one("a", 2), one("c", 1), one("b", 2)];
        latest_only(&mut entities);
        assert_eq!(entities, [one("a", 2), one("c", 1), one("b", 2)]);
    }

    #[test]
    fn a_digest_tells_values_apart() {
        let (one, two) = (json!({"id": "a", "x": 1}), json!({"id": "a", "x": 1.0}));
        assert_eq!(digest(&one), digest(&one.clone()));
        assert_ne!(digest(&one), digest(&two));
    }
}
