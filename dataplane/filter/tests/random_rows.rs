//! Random entities under rows, moments, periods and markings, in every representation: who does not match never leaves, and
//! who matches does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;

use ngsi_ld_filter::{Answer, Filter, Representation, Shape, Stream};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{CANARY, NOW, answer, filter, place, property, series};

/// A station: what decides about it, and what it shows when it is shown.
#[derive(Debug, Clone)]
struct Station {
    state: &'static str,
    level: Option<i64>,
    at: (f64, f64),
    name: i32,
}

impl Station {
    /// What the rules of these tests say, written another way.
    fn is_shown(&self) -> bool {
        let inside = self.at.0 > 10.0 && self.at.0 < 20.0 && self.at.1 > 40.0 && self.at.1 < 50.0;
        self.state == "public" && self.level.is_some_and(|level| level >= 3) && inside
    }

    fn entity(&self, number: usize, representation: Representation, last: bool) -> Value {
        let shown = self.is_shown();
        let mut entity = json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air"});
        let name = if shown { json!(self.name) } else { json!(CANARY) };
        let geometry = json!({"type": "Point", "coordinates": [self.at.0, self.at.1]});
        let mut members = vec![
            ("name", property(representation, name)),
            ("state", property(representation, json!(self.state))),
            ("location", place(representation, geometry)),
        ];
        if let Some(level) = self.level {
            members.push(("level", property(representation, json!(level))));
        }
        if last {
            members.reverse();
        }
        for (name, value) in members {
            entity[name] = value;
        }
        entity
    }

    fn row(&self, number: usize) -> String {
        let name = if self.is_shown() { self.name.to_string() } else { CANARY.to_owned() };
        let geometry = json!({"type": "Point", "coordinates": [self.at.0, self.at.1]}).to_string().replace('"', "\"\"");
        let level = self.level.map(|level| level.to_string()).unwrap_or_default();
        format!("urn:ngsi-ld:Air:{number},{name},Air,\"{geometry}\",{level},{}\r\n", self.state)
    }
}

fn station() -> impl Strategy<Value = Station> {
    let state =
        prop_oneof![3 => Just("public"), 1 => Just("secret"), 1 => Just("Public"), 1 => Just(""), 1 => Just("public ")];
    let level = prop_oneof![4 => (1_i64..6).prop_map(Some), 1 => Just(None)];
    (state, level, (5.0..25.0_f64, 38.0..52.0_f64), any::<i32>()).prop_map(|(state, level, at, name)| Station {
        state,
        level,
        at,
        name,
    })
}

fn rows() -> Value {
    json!({"rows": {
        "q": "https://m/state==\"public\";https://m/level>=3",
        "geo": {"georel": "within", "geometry": {"type": "Polygon",
            "coordinates": [[[10, 40], [20, 40], [20, 50], [10, 50], [10, 40]]]}},
    }})
}

fn run(filter: &std::sync::Arc<Filter>, answer: &Answer, body: &[u8], cuts: &[usize]) -> String {
    let mut stream = Stream::new(filter, answer.clone(), NOW).unwrap();
    let (mut out, mut rest, mut cuts) = (Vec::new(), body, cuts.iter().cycle());
    while !rest.is_empty() {
        let cut = cuts.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
        stream.push(&rest[..cut], &mut out).unwrap();
        rest = &rest[cut..];
    }
    stream.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A moment within a day, at a second; the days of the tests are long over.
fn moment() -> impl Strategy<Value = i64> {
    0_i64..86_400
}

fn written(second: i64) -> String {
    format!("2026-03-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_rows_that_match_leave(stations in vec(station(), 0..8), cuts in vec(1_usize..90, 1..6), last: bool) {
        let filter = filter(&rows());
        let expected: Vec<String> = stations.iter().enumerate().filter(|(_, station)| station.is_shown())
            .map(|(number, _)| format!("urn:ngsi-ld:Air:{number}")).collect();
        for representation in support::REPRESENTATIONS {
            let entities: Vec<Value> =
                stations.iter().enumerate().map(|(number, station)| station.entity(number, representation, last)).collect();
            let features: Vec<Value> = entities.iter().map(|entity| json!({"type": "Feature", "id": entity["id"],
                "geometry": null, "properties": entity})).collect();
            let lines: String = entities.iter().map(|entity| format!("{entity}\n")).collect();
            for (shape, body) in [
                (Shape::Entities, serde_json::to_string_pretty(&entities).unwrap()),
                (Shape::Features, json!({"type": "FeatureCollection", "features": features}).to_string()),
                (Shape::Lines, lines),
            ] {
                let left = run(&filter, &answer(shape, representation), body.as_bytes(), &cuts);
                prop_assert!(!left.contains(CANARY) && !left.contains("state"), "{}", left);
                let found: Vec<Value> = match shape {
                    Shape::Entities => serde_json::from_str(&left).unwrap(),
                    Shape::Features => serde_json::from_str::<Value>(&left).unwrap()["features"].as_array().unwrap().clone(),
                    _ => left.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
                };
                let ids: Vec<&str> = found.iter().map(|entity| entity["id"].as_str().unwrap()).collect();
                prop_assert_eq!(&ids, &expected, "{:?} {:?}", shape, representation);
            }
        }
        let table: String = stations.iter().enumerate().map(|(number, station)| station.row(number)).collect();
        let table = format!("id,name,type,location,level,state\r\n{table}");
        let left = run(&filter, &answer(Shape::Csv, Representation::Normalized), table.as_bytes(), &cuts);
        prop_assert!(!left.contains(CANARY) && !left.contains("state"), "{}", left);
        let ids: Vec<&str> = left.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect();
        prop_assert_eq!(&ids, &expected);
    }

    #[test]
    fn a_period_shows_its_last_value_in_both_forms(moments in vec(moment(), 1..40), cuts in vec(1_usize..90, 1..6)) {
        let filter = filter(&json!({"time": {"resolutionSeconds": 3600, "to": "2026-03-01T20:00:00Z"}}));
        // The later of two instances of one moment stands.
        let mut expected: BTreeMap<i64, (i64, usize)> = BTreeMap::new();
        for (place, second) in moments.iter().enumerate().filter(|(_, second)| **second < 20 * 3600) {
            let last = expected.entry(second / 3600).or_insert((*second, place));
            if *second >= last.0 {
                *last = (*second, place);
            }
        }
        let instances: Vec<Value> = moments.iter().enumerate()
            .map(|(place, second)| json!({"type": "Property", "value": place, "observedAt": written(*second)})).collect();
        let pairs: Vec<Value> = moments.iter().enumerate().map(|(place, second)| json!([place, written(*second)])).collect();
        let of = |value: Value| json!([{"id": "urn:1", "type": "Air", "no2": value}]).to_string();
        let normalized = run(&filter, &series(Shape::Entities), of(json!(instances)).as_bytes(), &cuts);
        let values = run(&filter, &series(Shape::Entities), of(json!({"type": "Property", "values": pairs})).as_bytes(), &cuts);
        let mut wanted: Vec<(usize, String)> = expected.iter().map(|(hour, (_, place))| (*place, written(hour * 3600))).collect();
        wanted.sort_unstable();
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap()[0]["no2"].clone();
        let mut found: Vec<(usize, String)> = read(&normalized).as_array().into_iter().flatten()
            .map(|v| (v["value"].as_u64().unwrap() as usize, v["observedAt"].as_str().unwrap().to_owned())).collect();
        found.sort_unstable();
        prop_assert_eq!(&found, &wanted);
        let mut found: Vec<(usize, String)> = read(&values)["values"].as_array().into_iter().flatten()
            .map(|v| (v[0].as_u64().unwrap() as usize, v[1].as_str().unwrap().to_owned())).collect();
        found.sort_unstable();
        prop_assert_eq!(&found, &wanted);
    }

    #[test]
    fn noise_ends_without_a_crash(body in vec(any::<u8>(), 0..300), begin in 0_usize..7, cut in 1_usize..20) {
        let begins: [&[u8]; 7] = [
            b"",
            b"[{\"id\":\"urn:1\",\"type\":\"Air\",\"state\":",
            b"[{\"location\":{\"type\":\"GeoProperty\",\"value\":{\"type\":\"Polygon\",\"coordinates\":[[",
            b"[{\"no2\":[{\"observedAt\":\"2026-",
            b"[{\"no2\":{\"type\":\"Property\",\"values\":[[",
            b"id,type,observedAt\n",
            b"id,type,\"",
        ];
        let body = [begins[begin], &body].concat();
        let mut rules = rows();
        rules["time"] = json!({"minAgeSeconds": 900});
        rules["personal"] = json!({"mode": "remove", "marking": {"https://m/Air": {"none": true}, "https://m/Car": {"none": true}}});
        let filter = filter(&rules);
        for representation in support::REPRESENTATIONS {
            for shape in [Shape::Entities, Shape::Lines, Shape::Csv, Shape::Features] {
                let answer = Answer { temporal: true, ..answer(shape, representation) };
                let mut stream = Stream::new(&filter, answer, NOW).unwrap();
                let mut out = Vec::new();
                if body.chunks(cut).all(|chunk| stream.push(chunk, &mut out).is_ok()) {
                    let _ = stream.finish(&mut out);
                }
            }
        }
    }
}
