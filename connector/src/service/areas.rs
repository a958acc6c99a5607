//! Areas that the operator has names for, so that many policies can speak of one that is drawn once: a GeoJSON file.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The areas of a file by their names; none without one.
///
/// # Errors
/// A sentence that names the file and the feature at fault.
pub(crate) fn open(path: Option<&Path>) -> Result<BTreeMap<String, Value>, String> {
    let Some(path) = path else { return Ok(BTreeMap::new()) };
    let in_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(|error| in_file(&error))?.len();
    if size > MAX_BYTES {
        return Err(in_file(&format!("it has more than {MAX_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| in_file(&error))?;
    let document = serde_json::from_str(&text).map_err(|error| in_file(&error))?;
    read(&document).map_err(|error| in_file(&error))
}

/// The features of a FeatureCollection (RFC 7946, 3.2 and 3.3) by their `id`.
fn read(document: &Value) -> Result<BTreeMap<String, Value>, String> {
    let features = document.get("features").and_then(Value::as_array);
    let features = features.ok_or("it is not a GeoJSON FeatureCollection")?;
    let mut areas = BTreeMap::new();
    for (place, feature) in features.iter().enumerate() {
        let id = feature.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| format!("feature {place} has no `id` that is a text"))?;
        let geometry = feature.get("geometry").unwrap_or(&Value::Null);
        policy::check_area(geometry).map_err(|why| format!("feature `{id}`: {why}"))?;
        if areas.insert(id.to_owned(), geometry.clone()).is_some() {
            return Err(format!("two features have the id `{id}`"));
        }
    }
    Ok(areas)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn feature(id: &Value, ring: &Value) -> Value {
        json!({"type": "Feature", "id": id, "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    }

    fn collection(features: &[Value]) -> Value {
        json!({"type": "FeatureCollection", "features": features})
    }

    #[test]
    fn areas_come_by_their_ids_and_a_bad_one_is_named() {
        let ring = json!([[9.0, 45.0], [10.0, 45.0], [10.0, 46.0], [9.0, 45.0]]);
        let good = feature(&json!("urn:area:flood"), &ring);
        let areas = read(&collection(std::slice::from_ref(&good))).unwrap();
        assert_eq!(areas.keys().collect::<Vec<_>>(), ["urn:area:flood"]);

        let far = json!([[900.0, 45.0], [10.0, 45.0], [10.0, 46.0], [900.0, 45.0]]);
        let table = [
            (json!({"type": "Feature"}), "FeatureCollection"),
            (collection(&[feature(&json!(5), &ring)]), "feature 0"),
            (collection(&[good.clone(), good]), "two features"),
            (collection(&[feature(&json!("urn:area:x"), &far)]), "`urn:area:x`"),
        ];
        for (document, part) in table {
            let error = read(&document).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        assert!(open(None).unwrap().is_empty());
        let error = open(Some(Path::new("/nowhere/areas.geojson"))).unwrap_err();
        assert!(error.contains("/nowhere/areas.geojson"), "{error}");
    }
}
