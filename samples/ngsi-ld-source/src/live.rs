//! Values that drift: each tick moves every observed number a little, the same way for the same seed.

use serde_json::{Number, Value};

use crate::instant;
use crate::model::Entity;
use crate::noise::Noise;

/// The share of a value by which it moves at most.
const REACH: f64 = 0.15;

/// Moves the observed numbers of an entity to their values of `tick`, observed `at`.
///
/// Only instances with an `observedAt` move; whole numbers stay whole, shares of 0 to 1 stay in that range.
pub fn drift(entity: &mut Entity, seed: u64, tick: u64, at: &str) {
    let id = entity.id().to_owned();
    for (name, attribute) in entity.members_mut() {
        match attribute {
            Value::Array(many) => many.iter_mut().for_each(|one| drift_instance(one, &id, name, seed, tick, at)),
            one => drift_instance(one, &id, name, seed, tick, at),
        }
    }
}

fn drift_instance(instance: &mut Value, id: &str, name: &str, seed: u64, tick: u64, at: &str) {
    let Some(members) = instance.as_object_mut() else { return };
    if name == "dateObserved" {
        if let Some(value) = members.get_mut("value") {
            let date = if value.is_object() { value.get_mut("@value") } else { Some(value) };
            if let Some(date) = date.filter(|date| date.as_str().and_then(instant::parse).is_some()) {
                *date = Value::from(at);
            }
        }
        return;
    }
    if !members.contains_key("observedAt") {
        return;
    }
    let dataset = members.get("datasetId").and_then(Value::as_str).unwrap_or_default();
    let mut noise = Noise::new(seed, &[id, name, dataset, &tick.to_string()]);
    if let Some(Value::Number(number)) = members.get("value") {
        let moved = moved(number, &mut noise);
        members.insert("value".to_owned(), moved);
    }
    members.insert("observedAt".to_owned(), Value::from(at));
}

fn moved(number: &Number, noise: &mut Noise) -> Value {
    let text = number.to_string();
    let Some(base) = number.as_f64() else { return Value::Number(number.clone()) };
    let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(6));
    let smallest = 10_f64.powi(-i32::try_from(decimals).unwrap_or(0));
    let reach = (base.abs() * REACH).max(smallest);
    let mut value = base + noise.between(-reach, reach);
    if base >= 0.0 {
        value = value.max(0.0);
    }
    if decimals > 0 && (0.0..=1.0).contains(&base) {
        value = value.min(1.0);
    }
    let written = format!("{value:.decimals$}");
    serde_json::from_str(&written).unwrap_or_else(|_| Value::Number(number.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: &str = "2026-03-01T00:00:05Z";

    fn drifted(tick: u64) -> Entity {
        let record = json!({
            "id": "urn:a", "type": "A",
            "intensity": {"type": "Property", "value": 200, "observedAt": "2026-03-01T00:00:00Z"},
            "occupancy": {"type": "Property", "value": 0.98, "observedAt": "2026-03-01T00:00:00Z"},
            "laneId": {"type": "Property", "value": 1},
            "dateObserved": {"type": "Property", "value": "2026-03-01T00:00:00Z"},
        });
        let mut entity = Entity::parse(record).unwrap().0;
        drift(&mut entity, 7, tick, AT);
        entity
    }

    fn value(entity: &Entity, name: &str) -> Value {
        entity.members()[name]["value"].clone()
    }

    #[test]
    fn observed_numbers_move_and_repeat() {
        assert_eq!(drifted(1), drifted(1));
        let intensities: Vec<Value> = (1..6).map(|tick| value(&drifted(tick), "intensity")).collect();
        assert!(intensities.iter().any(|one| *one != intensities[0]), "{intensities:?}");
        for tick in 1..100 {
            let entity = drifted(tick);
            let intensity = value(&entity, "intensity").as_i64().unwrap();
            assert!((170..=230).contains(&intensity), "{intensity}");
            assert!((0.0..=1.0).contains(&value(&entity, "occupancy").as_f64().unwrap()));
        }
    }

    #[test]
    fn times_follow_and_the_rest_stays() {
        let entity = drifted(3);
        assert_eq!(entity.members()["intensity"]["observedAt"], AT);
        assert_eq!(value(&entity, "dateObserved"), AT);
        assert_eq!(value(&entity, "laneId"), json!(1));
        assert!(entity.members()["laneId"].get("observedAt").is_none());
    }
}
