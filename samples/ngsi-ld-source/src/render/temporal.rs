//! Entities with the history of their attributes (GS CIM 009, clauses 4.5.6 to 4.5.9).

use serde_json::{Map, Value, json};

use super::entity::instance;
use super::shape::{Format, Shape};
use crate::model::{Entity, value_of};
use crate::query::time::TimeQuery;
use crate::store::History;

/// Writes the evolution of an entity in the asked time; `None` when no attribute has an instance in it.
#[must_use]
pub fn render(
    entity: &Entity,
    history: &History,
    time: Option<&TimeQuery>,
    last_n: Option<usize>,
    shape: &Shape,
    since: &str,
) -> Option<Map<String, Value>> {
    let mut written = Map::new();
    for (name, value) in entity.members() {
        if ["id", "type", "scope"].contains(&name.as_str()) && shape.shows(name) {
            written.insert(name.clone(), value.clone());
        }
    }
    let mut any = false;
    for (name, all) in history.attributes() {
        if !shape.shows(name) {
            continue;
        }
        let shown: Vec<&Value> =
            all.iter().filter(|one| shape.shows_instance(one) && time.is_none_or(|time| time.matches(one))).collect();
        let first = shown.len() - last_n.map_or(shown.len(), |n| n.min(shown.len()));
        let shown = shown.get(first..).unwrap_or_default();
        if shown.is_empty() {
            continue;
        }
        any = true;
        let value = match shape.format {
            Format::TemporalValues => values(shown, time.map_or("observedAt", TimeQuery::property)),
            _ => shown.iter().map(|one| instance(one, shape, since)).collect(),
        };
        written.insert(name.clone(), value);
    }
    any.then_some(written)
}

/// Pairs of value and time; the member's name follows the kind of the attribute.
fn values(shown: &[&Value], time_property: &str) -> Value {
    let kind = shown.first().and_then(|one| one.get("type")).and_then(Value::as_str).unwrap_or("Property");
    let member = match kind {
        "Relationship" => "objects",
        "LanguageProperty" => "languageMaps",
        "VocabProperty" => "vocabs",
        "JsonProperty" => "jsons",
        "ListProperty" => "valueLists",
        "ListRelationship" => "objectLists",
        _ => "values",
    };
    let wrapped = |one: &Value| match kind {
        "LanguageProperty" | "VocabProperty" | "JsonProperty" => {
            let mut one = one.clone();
            if let Some(members) = one.as_object_mut() {
                members.retain(|name, _| ["languageMap", "vocab", "json"].contains(&name.as_str()));
            }
            one
        }
        _ => value_of(one).cloned().unwrap_or(Value::Null),
    };
    let pairs: Vec<Value> =
        shown.iter().map(|one| json!([wrapped(one), one.get(time_property).cloned().unwrap_or(Value::Null)])).collect();
    let mut written = Map::new();
    written.insert("type".to_owned(), Value::from(kind));
    written.insert(member.to_owned(), Value::Array(pairs));
    Value::Object(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render_with(time: Option<&TimeQuery>, last_n: Option<usize>, format: Format) -> Option<Value> {
        let entity = Entity::parse(json!({"id": "urn:x", "type": "T"})).unwrap().0;
        let history = History::parse(&json!({
            "id": "urn:x", "type": "T",
            "level": {"type": "Property", "values":
                [[1, "2026-03-01T00:00:00Z"], [2, "2026-03-01T01:00:00Z"], [3, "2026-03-01T02:00:00Z"]]}
        }))
        .unwrap();
        let shape = Shape { format, ..Shape::default() };
        render(&entity, &history, time, last_n, &shape, "").map(Value::Object)
    }

    #[test]
    fn range_and_last_n_choose_instances() {
        let after = TimeQuery::parse("after", Some("2026-03-01T01:00:00Z"), None, None).unwrap();
        let late = TimeQuery::parse("after", Some("2026-03-02T01:00:00Z"), None, None).unwrap();
        for (time, last_n, expected) in [
            (None, None, Some(vec![1, 2, 3])),
            (Some(&after), None, Some(vec![2, 3])),
            (None, Some(1), Some(vec![3])),
            (Some(&after), Some(9), Some(vec![2, 3])),
            (Some(&late), None, None),
        ] {
            let written = render_with(time, last_n, Format::Normalized);
            let values = written.map(|written| {
                let level = written.get("level").and_then(Value::as_array).unwrap();
                level.iter().map(|one| one["value"].as_i64().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(values, expected.map(|all: Vec<i64>| all));
        }
    }

    #[test]
    fn temporal_values_are_pairs() {
        let written = render_with(None, Some(2), Format::TemporalValues).unwrap();
        assert_eq!(
            written.get("level"),
            Some(&json!({"type": "Property", "values": [[2, "2026-03-01T01:00:00Z"], [3, "2026-03-01T02:00:00Z"]]}))
        );
    }
}
