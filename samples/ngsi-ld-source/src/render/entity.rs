//! Entities in normalized, concise and simplified form (GS CIM 009, clauses 4.5.1 to 4.5.4).

use serde_json::{Map, Value, json};

use super::shape::{Format, Shape};
use crate::model::{Entity, is_attribute, is_sub_attribute, value_of};

/// The members that exist only with `options=sysAttrs`.
const SYSTEM: [&str; 3] = ["createdAt", "modifiedAt", "deletedAt"];

/// Writes an entity; `since` is the time that stands in for a system attribute that the data lacks.
#[must_use]
pub fn render(entity: &Entity, shape: &Shape, since: &str) -> Map<String, Value> {
    let mut written = Map::new();
    for (name, value) in entity.members() {
        if !shape.shows(name) || SYSTEM.contains(&name.as_str()) {
            continue;
        }
        if is_attribute(name) {
            if let Some(value) = attribute(value, shape, since) {
                written.insert(name.clone(), value);
            }
        } else {
            written.insert(name.clone(), value.clone());
        }
    }
    if shape.sys_attrs {
        add_system_members(&mut written, entity.members(), since);
    }
    written
}

fn add_system_members(written: &mut Map<String, Value>, held: &Map<String, Value>, since: &str) {
    for name in ["createdAt", "modifiedAt"] {
        let value = held.get(name).cloned().unwrap_or_else(|| Value::from(since));
        written.insert(name.to_owned(), value);
    }
}

fn attribute(held: &Value, shape: &Shape, since: &str) -> Option<Value> {
    let Value::Array(many) = held else {
        return shape.shows_instance(held).then(|| instance(held, shape, since));
    };
    let mut shown = many.iter().filter(|one| shape.shows_instance(one)).peekable();
    shown.peek()?;
    if shape.format != Format::Simplified {
        return Some(shown.map(|one| instance(one, shape, since)).collect());
    }
    let datasets: Map<String, Value> = shown
        .map(|one| {
            let id = one.get("datasetId").and_then(Value::as_str).unwrap_or("@none");
            (id.to_owned(), instance(one, shape, since))
        })
        .collect();
    Some(json!({"dataset": datasets}))
}

/// Writes one attribute instance in the representation of `shape`.
#[must_use]
pub fn instance(held: &Value, shape: &Shape, since: &str) -> Value {
    let reduced;
    let held = match (&shape.lang, held.get("languageMap").and_then(Value::as_object)) {
        (Some(lang), Some(map)) => {
            reduced = in_language(held, map, lang);
            &reduced
        }
        _ => held,
    };
    let Value::Object(members) = held else { return held.clone() };
    match shape.format {
        Format::Simplified => simplified(members),
        Format::Concise => concise(members, shape, since),
        Format::Normalized | Format::TemporalValues => Value::Object(with_members(members, shape, since)),
    }
}

fn simplified(members: &Map<String, Value>) -> Value {
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
    match (kind, members.get("objectList")) {
        ("ListRelationship", Some(Value::Array(list))) => {
            list.iter().map(|item| item.get("object").unwrap_or(item).clone()).collect()
        }
        _ => {
            let wrapped = ["languageMap", "vocab", "json"].iter().find_map(|name| members.get_key_value(*name));
            match wrapped {
                Some((name, value)) => Value::Object(Map::from_iter([(name.clone(), value.clone())])),
                None => value_of(&Value::Object(members.clone())).cloned().unwrap_or(Value::Null),
            }
        }
    }
}

fn concise(members: &Map<String, Value>, shape: &Shape, since: &str) -> Value {
    let written = with_members(members, shape, since);
    let value = written.get("value");
    let ambiguous = members.get("type").and_then(Value::as_str) == Some("Property")
        && value.is_some_and(|value| value.get("type").is_some());
    if ambiguous {
        return Value::Object(written);
    }
    match value {
        Some(only) if written.len() == 2 => only.clone(),
        _ => Value::Object(written.into_iter().filter(|(name, _)| name != "type").collect()),
    }
}

fn with_members(members: &Map<String, Value>, shape: &Shape, since: &str) -> Map<String, Value> {
    let mut written = Map::new();
    for (name, value) in members {
        if SYSTEM.contains(&name.as_str()) {
            continue;
        }
        let value = if is_sub_attribute(name) { instance(value, shape, since) } else { value.clone() };
        written.insert(name.clone(), value);
    }
    if shape.sys_attrs {
        add_system_members(&mut written, members, since);
    }
    written
}

/// A language property as a property in the language asked for, else in any.
fn in_language(held: &Value, map: &Map<String, Value>, lang: &str) -> Value {
    let chosen =
        lang.split(',').map(|tag| tag.split(';').next().unwrap_or(tag).trim()).find_map(|tag| map.get_key_value(tag));
    let Some((tag, value)) = chosen.or_else(|| map.get_key_value("@none")).or_else(|| map.iter().next()) else {
        return held.clone();
    };
    let mut written = Map::new();
    for (name, member) in held.as_object().into_iter().flatten() {
        match name.as_str() {
            "type" => drop(written.insert(name.clone(), Value::from("Property"))),
            "languageMap" => {
                written.insert("value".to_owned(), value.clone());
                written.insert("lang".to_owned(), Value::from(tag.as_str()));
            }
            _ => drop(written.insert(name.clone(), member.clone())),
        }
    }
    Value::Object(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Entity {
        let record = json!({
            "id": "urn:x:1", "type": "AirQualityObserved", "scope": ["/a"],
            "no2": {"type": "Property", "value": 41, "unitCode": "GQ", "accuracy": {"type": "Property", "value": 0.9}},
            "co": {"type": "Property", "value": 1},
            "address": {"type": "Property", "value": {"type": "PostalAddress", "streetAddress": "Quay"}},
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [7.0, 49.0]}},
            "name": {"type": "LanguageProperty", "languageMap": {"it": "Piazza", "en": "Square"}},
            "refDevice": {"type": "Relationship", "object": "urn:d:7", "objectType": "Device"},
            "speed": [{"type": "Property", "value": 50}, {"type": "Property", "value": 52, "datasetId": "urn:gps"}]
        });
        Entity::parse(record).unwrap().0
    }

    fn rendered(shape: &Shape) -> Value {
        Value::Object(render(&sample(), shape, "2026-03-01T00:00:00Z"))
    }

    #[test]
    fn normalized_is_what_is_held() {
        assert_eq!(rendered(&Shape::default()), Value::Object(sample().members().clone()));
    }

    #[test]
    fn concise_leaves_out_what_can_be_inferred() {
        let shape = Shape { format: Format::Concise, ..Shape::default() };
        assert_eq!(
            rendered(&shape),
            json!({
                "id": "urn:x:1", "type": "AirQualityObserved", "scope": ["/a"],
                "no2": {"value": 41, "unitCode": "GQ", "accuracy": 0.9},
                "co": 1,
                "address": {"type": "Property", "value": {"type": "PostalAddress", "streetAddress": "Quay"}},
                "location": {"type": "Point", "coordinates": [7.0, 49.0]},
                "name": {"languageMap": {"it": "Piazza", "en": "Square"}},
                "refDevice": {"object": "urn:d:7", "objectType": "Device"},
                "speed": [50, {"value": 52, "datasetId": "urn:gps"}]
            })
        );
    }

    #[test]
    fn simplified_leaves_values_alone() {
        let shape = Shape { format: Format::Simplified, ..Shape::default() };
        assert_eq!(
            rendered(&shape),
            json!({
                "id": "urn:x:1", "type": "AirQualityObserved", "scope": ["/a"],
                "no2": 41, "co": 1,
                "address": {"type": "PostalAddress", "streetAddress": "Quay"},
                "location": {"type": "Point", "coordinates": [7.0, 49.0]},
                "name": {"languageMap": {"it": "Piazza", "en": "Square"}},
                "refDevice": "urn:d:7",
                "speed": {"dataset": {"@none": 50, "urn:gps": 52}}
            })
        );
    }

    #[test]
    fn language_and_instances_can_be_chosen() {
        let pick = Some(vec!["name".to_owned(), "speed".to_owned(), "co".to_owned()]);
        let shape =
            Shape { pick, lang: Some("it".to_owned()), datasets: Some(vec!["urn:gps".to_owned()]), ..Shape::default() };
        assert_eq!(rendered(&shape), json!({"speed": [{"type": "Property", "value": 52, "datasetId": "urn:gps"}]}));
        let shape = Shape { datasets: None, pick: Some(vec!["name".to_owned()]), ..shape };
        assert_eq!(rendered(&shape), json!({"name": {"type": "Property", "value": "Piazza", "lang": "it"}}));
    }

    #[test]
    fn system_attributes_are_on_every_level() {
        let shape = Shape { sys_attrs: true, pick: Some(vec!["no2".to_owned()]), ..Shape::default() };
        let written = rendered(&shape);
        for pointer in ["/createdAt", "/no2/modifiedAt", "/no2/accuracy/createdAt"] {
            assert_eq!(written.pointer(pointer), Some(&json!("2026-03-01T00:00:00Z")), "{pointer}");
        }
    }
}
