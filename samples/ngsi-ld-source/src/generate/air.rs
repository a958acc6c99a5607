//! Air quality stations: three on each of twelve streets.

use serde_json::json;

use super::city::{City, as_f64};
use super::day::{Moments, rush};
use super::{Observed, Series, number};
use crate::noise::Noise;

/// Stations on each street.
const STATIONS: usize = 3;

/// All stations of a city.
pub(super) fn observe(city: &City, seed: u64, moments: &Moments) -> Vec<Observed> {
    let mut all = Vec::new();
    for (street, name) in city.streets.iter().enumerate() {
        for point in 0..STATIONS {
            all.push(station(city, (street, name), point, seed, moments));
        }
    }
    all
}

fn station(city: &City, (street, name): (usize, &str), point: usize, seed: u64, moments: &Moments) -> Observed {
    let id = format!("{}-s{:02}-a{}", city.key, street + 1, point + 1);
    let mut noise = Noise::new(seed, &["air", &id]);
    let exposure = noise.between(0.7, 1.2);
    let mut around = |base: f64, by_traffic: f64| -> Vec<f64> {
        moments.hours().map(|hour| (base + by_traffic * rush(hour) * exposure) * noise.between(0.93, 1.07)).collect()
    };
    let no2 = around(11.0, 48.0);
    let worst = no2.last().copied().unwrap_or_default();
    let series = [
        ("no2", Some("GQ"), 1, no2),
        ("no", Some("GQ"), 1, around(4.0, 30.0)),
        ("o3", Some("GQ"), 1, around(62.0, -28.0)),
        ("pm10", Some("GQ"), 1, around(14.0, 17.0)),
        ("pm25", Some("GQ"), 1, around(7.0, 9.0)),
        ("temperature", Some("CEL"), 1, around(6.0, 5.0)),
        ("relativeHumidity", None, 2, around(0.78, -0.2)),
    ];

    let mut observed = Observed::new("AirQualityObserved", &id, city, "Environment");
    let (x, y) = city.street_at(street);
    let (x, y) = (x + (as_f64(point) - 1.0) * 0.003, y + 0.0008);
    observed.geometry(json!({"type": "Point", "coordinates": [number(x, 6), number(y, 6)]}));
    observed.address(city, name);
    if let Some(at) = moments.written().last() {
        observed.property("dateObserved", at.as_str());
    }
    observed.property("areaServed", city.name);
    observed.property("typeOfLocation", "outdoor");
    observed.property("reliability", number(0.9, 1));
    observed.property("airQualityLevel", if worst < 40.0 { "good" } else { "moderate" });
    observed.relationship("refDevice", format!("urn:ngsi-ld:Device:{id}"));
    for (name, unit, decimals, values) in series {
        observed.series(&Series { name, unit, decimals, values }, moments);
    }
    observed
}
