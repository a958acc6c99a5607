//! Gauges of the river Silde: six on each bank.

use serde_json::json;

use super::city::{City, as_f64};
use super::day::Moments;
use super::{Observed, Series, number};
use crate::noise::Noise;

/// Gauges on each bank.
const GAUGES: usize = 6;
/// Longitude of the river, and how far a bank lies from its middle.
const RIVER: f64 = 18.61;
const HALF_WIDTH: f64 = 0.0015;

/// All gauges of a city.
pub(super) fn observe(city: &City, seed: u64, moments: &Moments) -> Vec<Observed> {
    (0..GAUGES).map(|at| gauge(city, at, seed, moments)).collect()
}

fn gauge(city: &City, at: usize, seed: u64, moments: &Moments) -> Observed {
    let id = format!("{}-g{}", city.key, at + 1);
    let mut noise = Noise::new(seed, &["flood", &id]);
    let base = noise.between(2.1, 2.6) + as_f64(at) * 0.04;
    // The level rises over the day: rain in the hills.
    let level: Vec<f64> = moments.hours().map(|hour| base + 0.035 * hour + noise.between(-0.01, 0.01)).collect();
    let flow: Vec<f64> = level.iter().map(|level| 38.0 * (level - 0.6).powf(1.6)).collect();

    let mut observed = Observed::new("FloodMonitoring", &id, city, "Environment");
    let bank = if city.key == "arvenna" { -HALF_WIDTH } else { HALF_WIDTH };
    let (x, y) = (RIVER + bank, city.centre.1 - 0.012 + as_f64(at) * 0.005);
    observed.geometry(json!({"type": "Point", "coordinates": [number(x, 6), number(y, 6)]}));
    observed.address(city, "Silde embankment");
    if let Some(at) = moments.written().last() {
        observed.property("dateObserved", at.as_str());
    }
    observed.property("stationID", id.to_uppercase());
    observed.property("referenceLevel", number(8.0, 1));
    observed.property("alertLevel", number(4.2, 1));
    observed.property("dangerLevel", number(5.1, 1));
    for (name, unit, decimals, values) in [("waterLevel", "MTR", 3, level), ("flowRate", "MQS", 1, flow)] {
        observed.series(&Series { name, unit: Some(unit), decimals, values }, moments);
    }
    observed
}
