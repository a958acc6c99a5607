//! Entities as GeoJSON features (GS CIM 009, clauses 4.5.16 and 4.5.17).

use serde_json::{Map, Value, json};

use crate::model::{GEOMETRIES, instances, value_of};

/// Turns a rendered entity into a feature; the chosen geometry stands in `geometry` and in `properties`.
#[must_use]
pub fn feature(entity: Map<String, Value>, geometry_property: Option<&str>) -> Value {
    let name = geometry_property.unwrap_or("location");
    let geometry = entity.get(name).and_then(geometry).unwrap_or(Value::Null);
    let mut entity = entity;
    let id = entity.shift_remove("id").unwrap_or(Value::Null);
    json!({"type": "Feature", "id": id, "geometry": geometry, "properties": entity})
}

/// A collection of features.
#[must_use]
pub fn collection(features: Vec<Value>) -> Value {
    json!({"type": "FeatureCollection", "features": features})
}

/// The geometry of a rendered attribute: bare, or inside its wrapper; of several instances the default one.
fn geometry(attribute: &Value) -> Option<Value> {
    let is_geometry =
        |value: &Value| value.get("type").and_then(Value::as_str).is_some_and(|kind| GEOMETRIES.contains(&kind));
    let default = instances(attribute).iter().find(|one| one.get("datasetId").is_none())?;
    [Some(default), value_of(default)].into_iter().flatten().find(|value| is_geometry(value)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geometry_is_found_in_every_representation() {
        let point = json!({"type": "Point", "coordinates": [7.0, 49.0]});
        for (attribute, expected) in [
            (point.clone(), point.clone()),
            (json!({"type": "GeoProperty", "value": point}), point.clone()),
            (json!({"value": point, "observedAt": "2026-03-01T00:00:00Z"}), point.clone()),
            (json!({"type": "Property", "value": 1}), Value::Null),
            (json!([{"type": "GeoProperty", "value": point, "datasetId": "urn:x"}]), Value::Null),
        ] {
            let Value::Object(entity) = json!({"id": "urn:x", "type": "T", "location": attribute}) else { panic!() };
            let written = feature(entity, None);
            assert_eq!(written.get("geometry"), Some(&expected), "for {attribute}");
            assert_eq!(written.pointer("/properties/location"), Some(&attribute));
            assert_eq!(written.get("id"), Some(&json!("urn:x")));
            assert_eq!(written.pointer("/properties/type"), Some(&json!("T")));
        }
    }
}
