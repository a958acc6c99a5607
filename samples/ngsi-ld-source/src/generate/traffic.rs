//! Traffic counters: both directions of five counting points on each of twelve streets.

use serde_json::json;

use super::city::{City, as_f64};
use super::day::{Moments, rush};
use super::{Observed, Series, number};
use crate::noise::Noise;

/// Counting points on each street.
const POINTS: usize = 5;
/// Half the length of the counted stretch, in degrees of longitude (about 60 m).
const HALF_STRETCH: f64 = 0.001;

/// All counters of a city.
pub(super) fn observe(city: &City, seed: u64, moments: &Moments) -> Vec<Observed> {
    let mut all = Vec::new();
    for (street, name) in city.streets.iter().enumerate() {
        for point in 0..POINTS {
            for direction in ["forward", "backward"] {
                all.push(counter(city, (street, name), point, direction, seed, moments));
            }
        }
    }
    all
}

fn counter(
    city: &City,
    (street, name): (usize, &str),
    point: usize,
    direction: &str,
    seed: u64,
    moments: &Moments,
) -> Observed {
    let id = format!("{}-s{:02}-p{}-{direction}", city.key, street + 1, point + 1);
    let mut noise = Noise::new(seed, &["traffic", &id]);
    // Streets near the river carry more.
    let capacity = noise.between(700.0, 900.0) - as_f64(street) * 45.0;
    let free_speed = if street >= 8 { noise.between(68.0, 82.0) } else { noise.between(42.0, 52.0) };
    let load: Vec<f64> = moments.hours().map(|hour| rush(hour) * noise.between(0.85, 1.1)).collect();

    let mut observed = Observed::new("TrafficFlowObserved", &id, city, "Transportation");
    let (x, y) = city.street_at(street);
    let x = x + (as_f64(point) - 2.0) * 0.0025;
    let line = [x - HALF_STRETCH, x + HALF_STRETCH].map(|x| json!([number(x, 6), number(y, 6)]));
    observed.geometry(json!({"type": "LineString", "coordinates": line}));
    observed.address(city, name);
    if let Some(at) = moments.written().last() {
        observed.property("dateObserved", at.as_str());
    }
    observed.property("laneId", 1);
    observed.property("laneDirection", direction);
    observed.property("reversedLane", false);
    let series = [
        ("intensity", None, 0, load.iter().map(|load| capacity * load).collect::<Vec<f64>>()),
        ("occupancy", None, 2, load.iter().map(|load| (0.04 + 0.8 * load).min(1.0)).collect()),
        ("averageVehicleSpeed", Some("KMH"), 1, load.iter().map(|load| free_speed * (1.0 - 0.5 * load)).collect()),
        ("averageHeadwayTime", Some("SEC"), 1, load.iter().map(|load| 3600.0 / (capacity * load).max(1.0)).collect()),
    ];
    for (name, unit, decimals, values) in series {
        observed.series(&Series { name, unit, decimals, values }, moments);
    }
    observed
}
