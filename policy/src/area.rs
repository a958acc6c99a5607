//! Areas that a policy draws, and whether a position lies in one (GeoSPARQL 1.1, 8.5.1 and 8.6.1; RFC 7946).
//!
//! Longitude and latitude are taken as plane coordinates, in this order (CRS84). On a border nothing is certain.

use std::sync::Arc;

use geo::coordinate_position::{CoordPos, CoordinatePosition as _};
use geo::{Coord, CoordsIter as _, Geometry, MultiPolygon, Point, Validation as _};
use policy_plan::Truth;
use serde_json::Value;
use sha2::{Digest, Sha256};
use wkt::{ToWkt as _, TryFromWkt as _};

use crate::model::Scalar;

/// The longest text of an area, in bytes, and the most corners that it has.
const MAX_TEXT_BYTES: usize = 64 * 1024;
const MAX_CORNERS: usize = 4_096;
/// The most positions of one party.
const MAX_POSITIONS: usize = 64;

/// The coordinate reference system that is meant without a name.
const CRS84: [&str; 2] =
    ["<http://www.opengis.net/def/crs/OGC/1.3/CRS84>", "<https://www.opengis.net/def/crs/OGC/1.3/CRS84>"];

/// An area made ready.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Area {
    /// Its name, or its text, which no other area has; for the evaluator.
    pub(crate) key: String,
    /// As people read it.
    pub(crate) text: String,
    polygons: Arc<MultiPolygon>,
}

/// Whether a value is an area in one of the notations, by its data type or its first word.
pub(crate) fn is_area(value: &Value, data_type: Option<&str>) -> bool {
    let by_type = data_type.is_some_and(|name| {
        matches!(name.rsplit(['#', ':', '/']).next().unwrap_or(name), "wktLiteral" | "geoJSONLiteral" | "@json")
    });
    let by_word = |text: &str| {
        let text = text.trim_start();
        ["POLYGON", "MULTIPOLYGON"]
            .iter()
            .any(|word| text.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word)))
    };
    by_type || value.as_str().is_some_and(by_word)
}

impl Area {
    /// Reads an area: WKT or GeoJSON as text, or a GeoJSON object.
    ///
    /// # Errors
    ///
    /// A sentence, when it is not a polygon, or none that encloses anything.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let polygons = match geometry(value)? {
            Geometry::Polygon(polygon) => MultiPolygon(vec![polygon]),
            Geometry::MultiPolygon(polygons) => polygons,
            _ => return Err("an area is a polygon or several".to_owned()),
        };
        if polygons.coords_count() > MAX_CORNERS {
            return Err(format!("an area has at most {MAX_CORNERS} corners"));
        }
        if polygons.coords_iter().any(|corner| !is_on_earth(corner)) {
            return Err(
                "an area has longitudes from -180 to 180 and latitudes from -90 to 90, in this order".to_owned()
            );
        }
        if polygons.0.is_empty() || polygons.iter().any(|polygon| polygon.exterior().0.is_empty()) {
            return Err("the area is empty".to_owned());
        }
        polygons.check_validation().map_err(|reason| format!("the polygon is not one: {reason}"))?;
        let text = polygons.wkt_string();
        // Long texts would be written into every decision.
        let digest = hex::encode(Sha256::digest(&text));
        Ok(Self { key: format!("area:{}", digest.get(..32).unwrap_or(&digest)), text, polygons: Arc::new(polygons) })
    }

    /// The same area under the name that the operator gives it.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { text: name.to_owned(), ..self }
    }

    /// Whether a position, as [`positions`] writes it, lies in the area.
    pub(crate) fn holds(&self, position: &str) -> Truth {
        let Ok(point) = Point::try_from_wkt_str(position) else { return Truth::Unknown };
        match self.polygons.coordinate_position(&Coord::from(point)) {
            CoordPos::Inside => Truth::True,
            CoordPos::Outside => Truth::False,
            CoordPos::OnBoundary => Truth::Unknown,
        }
    }
}

/// The positions among a claim's values, in one notation; `None` when there is none, or a value is none.
pub(crate) fn positions(claim: &Value) -> Option<Vec<Scalar>> {
    let values = match claim {
        Value::Array(items) if items.len() <= MAX_POSITIONS => items.as_slice(),
        Value::Array(_) => return None,
        single => std::slice::from_ref(single),
    };
    let position = |value: &Value| match geometry(value).ok()? {
        Geometry::Point(point) if is_on_earth(point.into()) => Some(Scalar::Text(point.wkt_string())),
        _ => None,
    };
    let found = values.iter().map(position).collect::<Option<Vec<_>>>()?;
    (!found.is_empty()).then_some(found)
}

/// Whether a value can be an area of [`PolicySource::areas`](crate::PolicySource::areas): WKT or GeoJSON as text, or a GeoJSON
/// geometry; a polygon or several, longitude first.
///
/// # Errors
///
/// A sentence, when it is not.
pub fn check_area(value: &Value) -> Result<(), String> {
    Area::read(value).map(drop)
}

fn geometry(value: &Value) -> Result<Geometry, String> {
    let not_json = |error: &dyn std::fmt::Display| format!("this is not a GeoJSON geometry: {error}");
    let object = match value {
        Value::String(text) if text.len() > MAX_TEXT_BYTES => {
            return Err(format!("an area has at most {MAX_TEXT_BYTES} bytes"));
        }
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).map_err(|error| not_json(&error))?
        }
        Value::String(text) => {
            let text = text.trim();
            let text = CRS84.iter().find_map(|name| text.strip_prefix(name)).unwrap_or(text).trim_start();
            if text.starts_with('<') {
                return Err("coordinates are longitude and latitude (CRS84) here".to_owned());
            }
            return Geometry::try_from_wkt_str(text).map_err(|error| format!("this is not a WKT geometry: {error}"));
        }
        Value::Object(object) => Value::Object(object.clone()),
        _ => return Err("a geometry is WKT or GeoJSON".to_owned()),
    };
    let read: geojson::Geometry = serde_json::from_value(object).map_err(|error| not_json(&error))?;
    Geometry::try_from(read).map_err(|error| not_json(&error))
}

fn is_on_earth(corner: Coord) -> bool {
    corner.x.abs() <= 180.0 && corner.y.abs() <= 90.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MILAN: &str = "POLYGON((9.04 45.38, 9.28 45.38, 9.28 45.54, 9.04 45.54, 9.04 45.38))";

    #[test]
    fn notations_of_one_area() {
        let ring = json!([[9.04, 45.38], [9.28, 45.38], [9.28, 45.54], [9.04, 45.54], [9.04, 45.38]]);
        let object = json!({"type": "Polygon", "coordinates": [ring]});
        let milan = Area::read(&json!(MILAN)).unwrap();
        for other in [
            object.clone(),
            json!(object.to_string()),
            json!(format!("<http://www.opengis.net/def/crs/OGC/1.3/CRS84> {MILAN}")),
            json!({"type": "MultiPolygon", "coordinates": [object["coordinates"]]}),
        ] {
            assert_eq!(Area::read(&other).unwrap(), milan, "{other}");
        }
    }

    #[test]
    fn no_areas() {
        for (value, reason) in [
            (json!("POINT(9 45)"), "polygon or several"),
            (json!("POLYGON((9 45"), "WKT"),
            (json!("POLYGON EMPTY"), "empty"),
            (json!("POLYGON((0 0, 1 1, 0 1, 1 0, 0 0))"), "not one"),
            (json!("POLYGON((200 0, 201 0, 201 1, 200 0))"), "longitudes"),
            (json!("<http://www.opengis.net/def/crs/EPSG/0/4326> POLYGON((0 0, 0 1, 1 1, 0 0))"), "CRS84"),
            (json!("{\"type\":\"Polygon\"}"), "GeoJSON"),
            (json!({"type": "Circle", "coordinates": [1, 2]}), "GeoJSON"),
            (json!(5), "WKT or GeoJSON"),
            (json!("x".repeat(MAX_TEXT_BYTES + 1)), "bytes"),
        ] {
            let error = Area::read(&value).unwrap_err();
            assert!(error.contains(reason), "{value}: {error}");
        }
        let many: Vec<String> = (0..=MAX_CORNERS).map(|n| format!("{} {}", n as f64 / 100.0, (n % 2) as f64)).collect();
        assert!(Area::read(&json!(format!("POLYGON(({}))", many.join(", ")))).unwrap_err().contains("corners"));
    }

    #[test]
    fn what_lies_in_an_area() {
        let hole = "POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))";
        let two = "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 1, 0 0)), ((5 5, 6 5, 6 6, 5 6, 5 5)))";
        use Truth::{False, True, Unknown};
        for (area, position, expected) in [
            (MILAN, "POINT(9.19 45.46)", True),
            (MILAN, "POINT(45.46 9.19)", False),
            (MILAN, "POINT(9.04 45.46)", Unknown),
            (hole, "POINT(1 1)", True),
            (hole, "POINT(5 5)", False),
            (hole, "POINT(4 5)", Unknown),
            (two, "POINT(5.5 5.5)", True),
            (two, "POINT(3 3)", False),
            (two, "nowhere", Unknown),
        ] {
            assert_eq!(Area::read(&json!(area)).unwrap().holds(position), expected, "{position} in {area}");
        }
    }

    #[test]
    fn positions_of_claims() {
        let one = Some(vec![Scalar::Text("POINT(9.19 45.46)".into())]);
        for claim in [
            json!("POINT(9.19 45.46)"),
            json!(["POINT (9.19 45.46)"]),
            json!({"type": "Point", "coordinates": [9.19, 45.46]}),
            json!("{\"type\": \"Point\", \"coordinates\": [9.19, 45.46]}"),
        ] {
            assert_eq!(positions(&claim), one, "{claim}");
        }
        for claim in [json!("urn:iso:IT"), json!([]), json!(MILAN), json!("POINT(200 0)"), json!(["POINT(1 1)", "IT"])]
        {
            assert_eq!(positions(&claim), None, "{claim}");
        }
    }
}
