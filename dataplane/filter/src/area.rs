//! Whether a place certainly lies as an area wants it.
//!
//! Longitude and latitude are taken as plane coordinates, distances are those on a sphere. What is not certain, such as a
//! border that is touched, does not hold.

use geo::coordinate_position::CoordPos;
use geo::line_measures::{Distance, Haversine};
use geo::{
    Closest, Coord, CoordinatePosition, HaversineClosestPoint, Intersects, Line, LineString, LinesIter, MultiPolygon,
    Point, Polygon,
};
use policy_plan::Georel;
use serde_json::Value;

/// Most positions of an entity's place; a larger one is not looked at.
const MAX_POSITIONS: usize = 10_000;

/// An area made ready.
#[derive(Debug)]
pub(crate) struct Area {
    georel: Georel,
    polygons: MultiPolygon,
    point: Point,
    meters: f64,
}

/// A geometry in its parts.
#[derive(Debug, Default)]
struct Shape {
    positions: Vec<Coord>,
    lines: Vec<Line>,
    polygons: Vec<Polygon>,
}

impl Area {
    /// `None` for what the check of a selection refuses.
    pub(crate) fn new(area: &policy_plan::Area) -> Option<Self> {
        let shape = Shape::read(&area.geometry)?;
        let point = Point(*shape.positions.first()?);
        let meters = f64::from(area.max_distance_meters.unwrap_or(0));
        Some(Self { georel: area.georel, polygons: MultiPolygon(shape.polygons), point, meters })
    }

    /// Whether the GeoJSON geometry certainly lies so.
    pub(crate) fn holds(&self, geometry: &Value) -> bool {
        let Some(shape) = Shape::read(geometry) else { return false };
        match self.georel {
            Georel::Within => self.covers(&shape),
            Georel::Intersects => self.meets(&shape),
            Georel::Near => self.is_near(&shape),
        }
    }

    /// Every position is inside, nothing crosses a border, and no hole lies within.
    fn covers(&self, shape: &Shape) -> bool {
        let inside = |position: &Coord| self.polygons.coordinate_position(position) == CoordPos::Inside;
        shape.positions.iter().all(inside)
            && !self.crosses(shape)
            && !self.polygons.iter().flat_map(Polygon::interiors).any(|hole| {
                hole.coords().next().is_none_or(|corner| shape.polygons.iter().any(|polygon| reaches(polygon, corner)))
            })
    }

    fn meets(&self, shape: &Shape) -> bool {
        shape.positions.iter().any(|position| self.polygons.coordinate_position(position) != CoordPos::Outside)
            || self.crosses(shape)
            || self.polygons.iter().filter_map(|polygon| polygon.exterior().coords().next()).any(|corner| {
                shape.polygons.iter().any(|polygon| polygon.coordinate_position(corner) == CoordPos::Inside)
            })
    }

    fn crosses(&self, shape: &Shape) -> bool {
        shape.lines.iter().any(|line| self.polygons.lines_iter().any(|border| border.intersects(line)))
    }

    fn is_near(&self, shape: &Shape) -> bool {
        let near = |place: Point| Haversine.distance(self.point, place) <= self.meters;
        shape.positions.iter().any(|position| near(Point(*position)))
            || shape.polygons.iter().any(|polygon| polygon.coordinate_position(&self.point.0) == CoordPos::Inside)
            || shape.lines.iter().any(|line| match line.haversine_closest_point(&self.point) {
                Closest::Intersection(place) | Closest::SinglePoint(place) => near(place),
                Closest::Indeterminate => false,
            })
    }
}

fn reaches(polygon: &Polygon, position: &Coord) -> bool {
    polygon.coordinate_position(position) != CoordPos::Outside
}

impl Shape {
    /// `None` for what is no geometry of RFC 7946 with longitudes and latitudes, or has no position.
    fn read(geometry: &Value) -> Option<Self> {
        let mut shape = Self::default();
        let coordinates = geometry.get("coordinates")?;
        let all = |value: &Value| value.as_array().cloned();
        match geometry.get("type")?.as_str()? {
            "Point" => shape.positions.push(position(coordinates)?),
            "MultiPoint" => shape.positions = line(coordinates)?.0,
            "LineString" => shape.add_line(line(coordinates)?)?,
            "MultiLineString" => {
                for part in all(coordinates)? {
                    shape.add_line(line(&part)?)?;
                }
            }
            "Polygon" => shape.add_polygon(coordinates)?,
            "MultiPolygon" => {
                for part in all(coordinates)? {
                    shape.add_polygon(&part)?;
                }
            }
            _ => return None,
        }
        (!shape.positions.is_empty() && shape.positions.len() <= MAX_POSITIONS).then_some(shape)
    }

    fn add_line(&mut self, line: LineString) -> Option<()> {
        if line.0.len() < 2 {
            return None;
        }
        self.lines.extend(line.lines());
        self.positions.extend(line.0);
        Some(())
    }

    fn add_polygon(&mut self, rings: &Value) -> Option<()> {
        let mut read = Vec::new();
        for ring in rings.as_array()? {
            let ring = line(ring)?;
            if ring.0.len() < 4 || !ring.is_closed() {
                return None;
            }
            self.add_line(ring.clone())?;
            read.push(ring);
        }
        if read.is_empty() {
            return None;
        }
        let exterior = read.remove(0);
        self.polygons.push(Polygon::new(exterior, read));
        Some(())
    }
}

fn line(value: &Value) -> Option<LineString> {
    value.as_array()?.iter().map(position).collect::<Option<Vec<_>>>().map(LineString::new)
}

fn position(value: &Value) -> Option<Coord> {
    let number = |place: usize| value.get(place).and_then(Value::as_f64);
    let (x, y) = (number(0)?, number(1)?);
    ((-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y)).then_some(Coord { x, y })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn area(value: Value) -> Area {
        Area::new(&serde_json::from_value(value).unwrap()).unwrap()
    }

    fn polygon(rings: Value) -> Value {
        json!({"type": "Polygon", "coordinates": rings})
    }

    #[test]
    fn places() {
        // A square of ten degrees with a hole in its middle.
        let rings = json!([[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]], [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]]);
        let within = area(json!({"georel": "within", "geometry": polygon(rings.clone())}));
        let meets = area(json!({"georel": "intersects", "geometry": polygon(rings)}));
        for (kind, coordinates, inside, touched) in [
            ("Point", json!([1, 1]), true, true),
            ("Point", json!([1, 1, 300.5]), true, true),
            ("Point", json!([11, 1]), false, false),
            ("Point", json!([5, 5]), false, false),
            ("Point", json!([0, 5]), false, true),
            ("MultiPoint", json!([[1, 1], [2, 2]]), true, true),
            ("MultiPoint", json!([[1, 1], [12, 2]]), false, true),
            ("LineString", json!([[1, 1], [2, 2]]), true, true),
            ("LineString", json!([[3, 5], [7, 5]]), false, true),
            ("LineString", json!([[-1, 5], [11, 5]]), false, true),
            ("LineString", json!([[4.5, 5], [5.5, 5]]), false, false),
            ("MultiLineString", json!([[[1, 1], [2, 2]], [[20, 20], [21, 21]]]), false, true),
            ("Polygon", json!([[[1, 1], [2, 1], [2, 2], [1, 1]]]), true, true),
            ("Polygon", json!([[[3, 3], [7, 3], [7, 7], [3, 7], [3, 3]]]), false, true),
            ("Polygon", json!([[[-5, -5], [15, -5], [15, 15], [-5, 15], [-5, -5]]]), false, true),
            ("MultiPolygon", json!([[[[1, 1], [2, 1], [2, 2], [1, 1]]]]), true, true),
            // No geometries.
            ("Point", json!([1]), false, false),
            ("Point", json!(["1", "1"]), false, false),
            ("Point", json!([1, 95]), false, false),
            ("MultiPoint", json!([]), false, false),
            ("LineString", json!([[1, 1]]), false, false),
            ("Polygon", json!([[[1, 1], [2, 1], [2, 2]]]), false, false),
            ("Polygon", json!([]), false, false),
            ("GeometryCollection", json!([]), false, false),
        ] {
            let place = json!({"type": kind, "coordinates": coordinates});
            assert_eq!(within.holds(&place), inside, "within {place}");
            assert_eq!(meets.holds(&place), touched, "intersects {place}");
        }
        for odd in [json!("POINT(1 1)"), json!(null), json!([1, 1]), json!({"coordinates": [1, 1]})] {
            assert!(!within.holds(&odd) && !meets.holds(&odd), "{odd}");
        }
    }

    #[test]
    fn distances() {
        let near = area(json!({"georel": "near", "maxDistanceMeters": 1000,
            "geometry": {"type": "Point", "coordinates": [16.87, 41.12]}}));
        for (kind, coordinates, expected) in [
            ("Point", json!([16.87, 41.12]), true),
            ("Point", json!([16.87, 41.128]), true),
            ("Point", json!([16.87, 41.13]), false),
            ("LineString", json!([[16.8, 41.121], [16.9, 41.121]]), true),
            ("LineString", json!([[16.8, 41.2], [16.9, 41.2]]), false),
            ("Polygon", json!([[[16, 41], [17, 41], [17, 42], [16, 42], [16, 41]]]), true),
        ] {
            let place = json!({"type": kind, "coordinates": coordinates});
            assert_eq!(near.holds(&place), expected, "{place}");
        }
    }
}
