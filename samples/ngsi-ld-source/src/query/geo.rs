//! Geo-queries (GS CIM 009, clause 4.10): `georel`, `geometry`, `coordinates`, `geoproperty`.
//!
//! Distances are metres on the mean sphere; the other relations are planar in longitude and latitude, which is exact
//! enough inside a city.

use geo::line_measures::Distance;
use geo::{Closest, Coord, Geometry, Haversine, HaversineClosestPoint, Line, LineString, Point, Polygon, Relate};
use serde_json::{Value, json};

use crate::model::{Entity, GEOMETRIES, value_of};
use crate::problem::Problem;

/// A relation between an entity's place and the reference geometry.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Relation {
    MaxDistance(f64),
    MinDistance(f64),
    Within,
    Contains,
    Intersects,
    Equals,
    Disjoint,
    Overlaps,
}

/// A parsed geo-query.
#[derive(Debug, Clone)]
pub struct GeoQuery {
    relation: Relation,
    reference: Geometry,
    property: String,
}

impl GeoQuery {
    /// Reads the four parts; `coordinates` is a JSON array, as text in a URL or as such in a body.
    ///
    /// # Errors
    /// A `BadRequestData` that names the part.
    pub fn parse(georel: &str, geometry: &str, coordinates: &Value, property: Option<&str>) -> Result<Self, Problem> {
        let relation = relation(georel)?;
        if !GEOMETRIES.contains(&geometry) {
            return Err(Problem::bad(format!("`geometry`: `{geometry}` is none of {}", GEOMETRIES.join(", "))));
        }
        let read: Value;
        let coordinates = match coordinates {
            Value::String(text) => {
                read = serde_json::from_str(text)
                    .map_err(|_| Problem::bad(format!("`coordinates`: `{text}` is not a JSON array")))?;
                &read
            }
            other => other,
        };
        let reference = to_geometry(&json!({"type": geometry, "coordinates": coordinates})).ok_or_else(|| {
            Problem::bad(format!("`coordinates`: `{coordinates}` are not the coordinates of a {geometry}"))
        })?;
        Ok(Self { relation, reference, property: property.unwrap_or("location").to_owned() })
    }

    /// Whether a geometry of the entity's GeoProperty stands in the relation; an entity without one never matches.
    #[must_use]
    pub fn matches(&self, entity: &Entity) -> bool {
        entity
            .instances(&self.property)
            .iter()
            .filter_map(value_of)
            .filter_map(to_geometry)
            .any(|place| self.relation.holds(&place, &self.reference))
    }
}

fn relation(georel: &str) -> Result<Relation, Problem> {
    let wrong = || {
        Problem::bad(format!(
            "`georel`: `{georel}` is none of near;maxDistance==metres, near;minDistance==metres, within, contains, \
             intersects, equals, disjoint, overlaps"
        ))
    };
    Ok(match georel {
        "within" => Relation::Within,
        "contains" => Relation::Contains,
        "intersects" => Relation::Intersects,
        "equals" => Relation::Equals,
        "disjoint" => Relation::Disjoint,
        "overlaps" => Relation::Overlaps,
        other => {
            let near = other.strip_prefix("near;").ok_or_else(wrong)?;
            let (bound, metres) = near.split_once("==").ok_or_else(wrong)?;
            let metres = metres.parse::<f64>().ok().filter(|m| m.is_finite() && *m >= 0.0).ok_or_else(wrong)?;
            match bound {
                "maxDistance" => Relation::MaxDistance(metres),
                "minDistance" => Relation::MinDistance(metres),
                _ => return Err(wrong()),
            }
        }
    })
}

impl Relation {
    fn holds(self, place: &Geometry, reference: &Geometry) -> bool {
        match self {
            Self::MaxDistance(metres) => distance(place, reference).is_some_and(|found| found <= metres),
            Self::MinDistance(metres) => distance(place, reference).is_some_and(|found| found >= metres),
            Self::Within => place.relate(reference).is_within(),
            Self::Contains => place.relate(reference).is_contains(),
            Self::Intersects => place.relate(reference).is_intersects(),
            Self::Equals => place.relate(reference).is_equal_topo(),
            Self::Disjoint => place.relate(reference).is_disjoint(),
            Self::Overlaps => place.relate(reference).is_overlaps(),
        }
    }
}

/// Metres between two geometries: 0 when they touch, else the least distance of a vertex of one to the other.
fn distance(a: &Geometry, b: &Geometry) -> Option<f64> {
    if a.relate(b).is_intersects() {
        return Some(0.0);
    }
    let one_way = |from: &Geometry, to: &Geometry| {
        vertices(from)
            .into_iter()
            .filter_map(|vertex| match to.haversine_closest_point(&vertex) {
                Closest::Intersection(_) => Some(0.0),
                Closest::SinglePoint(nearest) => Some(Haversine.distance(vertex, nearest)),
                Closest::Indeterminate => None,
            })
            .min_by(f64::total_cmp)
    };
    [one_way(a, b), one_way(b, a)].into_iter().flatten().min_by(f64::total_cmp)
}

fn vertices(geometry: &Geometry) -> Vec<Point> {
    use geo::CoordsIter;
    geometry.coords_iter().map(Point::from).collect()
}

/// Reads a GeoJSON geometry; `None` when it is malformed or of another type.
#[must_use]
pub fn to_geometry(value: &Value) -> Option<Geometry> {
    let coordinates = value.get("coordinates")?;
    Some(match value.get("type")?.as_str()? {
        "Point" => Geometry::Point(Point(position(coordinates)?)),
        "MultiPoint" => {
            let points = list(coordinates, position)?;
            Geometry::MultiPoint(points.into_iter().map(Point).collect())
        }
        "LineString" => Geometry::LineString(line(coordinates)?),
        "MultiLineString" => Geometry::MultiLineString(geo::MultiLineString(list(coordinates, line)?)),
        "Polygon" => Geometry::Polygon(polygon(coordinates)?),
        "MultiPolygon" => Geometry::MultiPolygon(geo::MultiPolygon(list(coordinates, polygon)?)),
        _ => return None,
    })
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let members = value.as_array().filter(|members| !members.is_empty())?;
    members.iter().map(read).collect()
}

fn position(value: &Value) -> Option<Coord> {
    let members = value.as_array().filter(|members| (2..=3).contains(&members.len()))?;
    let x = members.first()?.as_f64().filter(|x| (-180.0..=180.0).contains(x))?;
    let y = members.get(1)?.as_f64().filter(|y| (-90.0..=90.0).contains(y))?;
    Some(Coord { x, y })
}

fn line(value: &Value) -> Option<LineString> {
    let positions = list(value, position).filter(|positions| positions.len() >= 2)?;
    Some(LineString(positions))
}

fn polygon(value: &Value) -> Option<Polygon> {
    let mut rings = list(value, |ring| line(ring).filter(|ring| ring.0.len() >= 4 && ring.is_closed()))?;
    let outer = rings.remove(0);
    let no_area = outer.lines().all(|side: Line| side.start == side.end);
    (!no_area).then(|| Polygon::new(outer, rings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(geometry: Value) -> Entity {
        Entity::parse(json!({"id": "urn:x", "type": "T", "location": geometry})).unwrap().0
    }

    fn point(x: f64, y: f64) -> Value {
        json!({"type": "Point", "coordinates": [x, y]})
    }

    fn square(x: f64, y: f64, side: f64) -> Value {
        json!([[[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]])
    }

    #[test]
    fn relations_hold_as_the_standard_says() {
        let polygon = |x, y, side| json!({"type": "Polygon", "coordinates": square(x, y, side)});
        let street = json!({"type": "LineString", "coordinates": [[0.0, 0.5], [2.0, 0.5]]});
        // One degree of longitude at the equator is 111.2 km.
        let table = [
            ("near;maxDistance==112000", "Point", json!([0, 0]), point(1.0, 0.0), true),
            ("near;maxDistance==111000", "Point", json!([0, 0]), point(1.0, 0.0), false),
            ("near;minDistance==111000", "Point", json!([0, 0]), point(1.0, 0.0), true),
            ("near;minDistance==112000", "Point", json!([0, 0]), point(1.0, 0.0), false),
            ("near;maxDistance==0", "Polygon", square(0.0, 0.0, 1.0), point(0.5, 0.5), true),
            ("near;maxDistance==112000", "Polygon", square(0.0, 0.0, 1.0), point(2.0, 0.5), true),
            ("near;maxDistance==110000", "Polygon", square(0.0, 0.0, 1.0), point(2.0, 0.5), false),
            ("near;maxDistance==56000", "Point", json!([1.0, 0.0]), street.clone(), true),
            ("near;maxDistance==55000", "Point", json!([1.0, 0.0]), street.clone(), false),
            ("within", "Polygon", square(0.0, 0.0, 1.0), point(0.5, 0.5), true),
            ("within", "Polygon", square(0.0, 0.0, 1.0), point(1.5, 0.5), false),
            ("within", "Polygon", square(0.0, 0.0, 4.0), polygon(1.0, 1.0, 1.0), true),
            ("contains", "Polygon", square(1.0, 1.0, 1.0), polygon(0.0, 0.0, 4.0), true),
            ("contains", "Point", json!([9.0, 9.0]), polygon(0.0, 0.0, 4.0), false),
            ("intersects", "Polygon", square(0.0, 0.0, 1.0), street.clone(), true),
            ("intersects", "Polygon", square(5.0, 5.0, 1.0), street.clone(), false),
            ("disjoint", "Polygon", square(5.0, 5.0, 1.0), street.clone(), true),
            ("disjoint", "Polygon", square(0.0, 0.0, 1.0), street, false),
            ("equals", "Point", json!([1.0, 1.0]), point(1.0, 1.0), true),
            ("equals", "Point", json!([1.0, 1.1]), point(1.0, 1.0), false),
            ("overlaps", "Polygon", square(0.0, 0.0, 2.0), polygon(1.0, 1.0, 2.0), true),
            ("overlaps", "Polygon", square(0.0, 0.0, 2.0), polygon(3.0, 3.0, 2.0), false),
        ];
        for (georel, geometry, coordinates, place, expected) in table {
            let text = Value::String(coordinates.to_string());
            for given in [&coordinates, &text] {
                let query = GeoQuery::parse(georel, geometry, given, None).unwrap();
                assert_eq!(query.matches(&at(place.clone())), expected, "{georel} {geometry} {coordinates} of {place}");
            }
        }
    }

    #[test]
    fn an_entity_without_the_property_matches_nothing() {
        let query = GeoQuery::parse("disjoint", "Point", &json!([0, 0]), Some("operationSpace")).unwrap();
        assert!(!query.matches(&at(point(5.0, 5.0))));
    }

    #[test]
    fn malformed_parts_are_refused() {
        for (georel, geometry, coordinates) in [
            ("near", "Point", json!([0, 0])),
            ("near;maxDistance==x", "Point", json!([0, 0])),
            ("near;maxDistance==-1", "Point", json!([0, 0])),
            ("near;about==1", "Point", json!([0, 0])),
            ("beside", "Point", json!([0, 0])),
            ("within", "Circle", json!([0, 0])),
            ("within", "Polygon", json!([0, 0])),
            ("within", "Polygon", json!([[[0, 0], [1, 0], [1, 1]]])),
            ("within", "Polygon", json!([])),
            ("within", "Point", json!([0])),
            ("within", "Point", json!([200, 0])),
            ("within", "Point", json!("[0,")),
        ] {
            assert!(
                GeoQuery::parse(georel, geometry, &coordinates, None).is_err(),
                "{georel} {geometry} {coordinates}"
            );
        }
    }
}
