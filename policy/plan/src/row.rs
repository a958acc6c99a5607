//! Which entities a selection lets pass, by what they say: a query over attributes, and a place.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::query::Query;
use crate::selection::is_iri;

/// The attribute that says where an entity is, when none is named (ETSI GS CIM 009, 4.7).
const LOCATION: &str = "https://uri.etsi.org/ngsi-ld/location";
/// Most positions of an area.
const MAX_POSITIONS: usize = 5000;

/// Conditions on an entity. One that does not certainly meet all of them is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rows {
    /// A query in the language of NGSI-LD (4.9) whose names are expanded; it may ask about attributes that are not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// Where an entity must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<Area>,
}

/// An area, and how an entity's place must lie to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Area {
    /// The relation.
    pub georel: Georel,
    /// GeoJSON: a `Polygon` or `MultiPolygon`, for `near` a `Point`. Longitude first.
    pub geometry: Value,
    /// For `near`: the greatest distance in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_distance_meters: Option<u32>,
    /// The expanded name of the attribute that holds the place; `location` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
}

/// How a place lies to an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Georel {
    /// All of it is inside.
    Within,
    /// Some of it is inside or touches.
    Intersects,
    /// It is not further away than the distance.
    Near,
}

impl Area {
    /// The expanded name of the attribute that holds the place.
    #[must_use]
    pub fn property(&self) -> &str {
        self.property.as_deref().unwrap_or(LOCATION)
    }

    fn check(&self) -> Result<(), String> {
        let kind = self.geometry.get("type").and_then(Value::as_str).unwrap_or_default();
        let coordinates = self.geometry.get("coordinates").unwrap_or(&Value::Null);
        let right = match (self.georel, kind) {
            (Georel::Near, "Point") => is_position(coordinates),
            (Georel::Within | Georel::Intersects, "Polygon") => is_polygon(coordinates),
            (Georel::Within | Georel::Intersects, "MultiPolygon") => {
                coordinates.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_polygon))
            }
            _ => return Err("needs a `Polygon` or `MultiPolygon`, for `near` a `Point`".to_owned()),
        };
        if !right || positions(coordinates) > MAX_POSITIONS {
            return Err(format!(
                "has coordinates that are no longitudes and latitudes, rings that are not closed, or more than {MAX_POSITIONS} positions"
            ));
        }
        match (self.georel == Georel::Near, self.max_distance_meters) {
            (true, None | Some(0)) => return Err("needs `maxDistanceMeters` for `near`".to_owned()),
            (false, Some(_)) => return Err("has `maxDistanceMeters`, which is for `near` only".to_owned()),
            _ => {}
        }
        if is_iri(self.property()) { Ok(()) } else { Err("has a `property` that is no expanded name".to_owned()) }
    }
}

impl Rows {
    /// The query as it is understood.
    ///
    /// # Errors
    /// A sentence about what cannot be read.
    pub fn query(&self) -> Result<Option<Query>, String> {
        self.q.as_deref().map(Query::parse).transpose()
    }

    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.q.is_none() && self.geo.is_none() {
            return Err(("rows", "must have `q` or `geo`".to_owned()));
        }
        self.query().map_err(|why| ("rows.q", format!("cannot be read: {why}")))?;
        self.geo.as_ref().map_or(Ok(()), Area::check).map_err(|why| ("rows.geo", why))
    }
}

fn is_position(value: &Value) -> bool {
    let number = |place: usize| value.get(place).and_then(Value::as_f64);
    let (Some(longitude), Some(latitude)) = (number(0), number(1)) else { return false };
    value.as_array().is_some_and(|all| all.len() <= 3)
        && (-180.0..=180.0).contains(&longitude)
        && (-90.0..=90.0).contains(&latitude)
}

fn is_polygon(value: &Value) -> bool {
    value.as_array().is_some_and(|rings| {
        !rings.is_empty()
            && rings.iter().all(|ring| {
                ring.as_array()
                    .is_some_and(|ring| ring.len() >= 4 && ring.iter().all(is_position) && ring.first() == ring.last())
            })
    })
}

fn positions(value: &Value) -> usize {
    match value.as_array() {
        Some(items) if items.iter().any(Value::is_array) => items.iter().map(positions).sum(),
        Some(_) => 1,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn areas_that_mean_nothing_are_refused() {
        let square = json!([[[16.8, 41.1], [16.9, 41.1], [16.9, 41.2], [16.8, 41.1]]]);
        for (value, fits) in [
            (json!({"georel": "within", "geometry": {"type": "Polygon", "coordinates": square}}), true),
            (json!({"georel": "intersects", "geometry": {"type": "MultiPolygon", "coordinates": [square]}}), true),
            (
                json!({"georel": "near", "maxDistanceMeters": 5, "geometry": {"type": "Point", "coordinates": [1, 2]}}),
                true,
            ),
            (json!({"georel": "near", "geometry": {"type": "Point", "coordinates": [1, 2]}}), false),
            (json!({"georel": "within", "geometry": {"type": "Point", "coordinates": [1, 2]}}), false),
            (json!({"georel": "within", "geometry": {"type": "Polygon", "coordinates": []}}), false),
            (json!({"georel": "within", "geometry": {"type": "Polygon", "coordinates": [[[1, 2], [1, 2]]]}}), false),
            (
                json!({"georel": "within", "geometry": {"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [5, 6], [7, 8]]]}}),
                false,
            ),
            (
                json!({"georel": "within", "geometry": {"type": "Polygon", "coordinates": [[[190, 2], [3, 4], [5, 6], [190, 2]]]}}),
                false,
            ),
            (
                json!({"georel": "within", "property": "location", "geometry": {"type": "Polygon", "coordinates": square}}),
                false,
            ),
            (
                json!({"georel": "within", "maxDistanceMeters": 5, "geometry": {"type": "Polygon", "coordinates": square}}),
                false,
            ),
        ] {
            let area: Area = serde_json::from_value(value.clone()).unwrap();
            let rows = Rows { q: None, geo: Some(area) };
            assert_eq!(rows.check().is_ok(), fits, "{value}");
        }
        assert!(Rows::default().check().is_err());
    }
}
