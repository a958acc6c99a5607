//! Attribute filtering of normalized NGSI-LD by the tokenizers that came into question, on one core, over the same bytes in
//! memory: `cargo run --release -p ngsi-ld-filter --example filter-bench`. An example rather than a Cargo bench, so that it is
//! built with the profile of the programs that ship.
//!
//! Counted is the CPU time of this process (`/proc/self/schedstat`), so that other programs on the machine matter little; the
//! best of several rounds is given. All four keep three of eight attributes of every entity and write the rest again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fmt;
use std::sync::Arc;

use ngsi_ld_filter::{Answer, Filter, Representation, Shape, Stream};
use policy_plan::{PseudonymKey, Selection, Stretch};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::{Value, json};
use struson::reader::{JsonReader, JsonStreamReader};
use struson::writer::{JsonStreamWriter, JsonWriter};

const BYTES: usize = 10 * 1024 * 1024;
const ROUNDS: usize = 15;
const CHUNK: usize = 16 * 1024;
/// 2026-11-21T12:00:00Z
const NOW: i64 = 1_795_262_400_000;
const KEPT: [&str; 5] = ["id", "type", "no2", "temperature", "location"];

fn main() {
    let body = synthetic();
    println!("{:.1} MB of normalized NGSI-LD, best of {ROUNDS} rounds, CPU time of one core", body.len() as f64 / 1e6);
    let filter = filter(&json!({}));
    let own = measure("own scanner, chunks of 16 KiB", &body, || own(&filter, &body, CHUNK));
    measure("own scanner, chunks of 1400 bytes", &body, || self::own(&filter, &body, 1400));
    let serde = measure("serde_json, streamed", &body, || by_serde(&body));
    measure("serde_json, through Value", &body, || by_value(&body));
    let struson = measure("struson", &body, || by_struson(&body));
    let parsed: Value = serde_json::from_slice(&own).unwrap();
    assert_eq!(parsed, serde_json::from_slice::<Value>(&serde).unwrap(), "all do the same");
    assert_eq!(parsed, serde_json::from_slice::<Value>(&struson).unwrap(), "all do the same");
    rules(&body);
}

/// The other rules of a selection, each alone, by the filter.
fn rules(body: &[u8]) {
    println!("\nrules beside that, chunks of 16 KiB");
    let base = "https://smartdatamodels.org/dataModel.Environment/";
    let ring = json!([[[16.8, 41.1], [16.9, 41.1], [16.9, 41.2], [16.8, 41.2], [16.8, 41.1]]]);
    let area = json!({"georel": "within", "geometry": {"type": "Polygon", "coordinates": ring}});
    let kind = format!("{base}AirQualityObserved");
    let marking = json!({&kind: {"personal": [format!("{base}owner"), format!("{base}refDevice")]}});
    let current: [(&str, Value); 6] = [
        ("rows by a query, half pass", json!({"rows": {"q": format!("{base}o3>44")}})),
        ("rows by a place, all pass", json!({"rows": {"geo": area}})),
        ("time, all pass", json!({"time": {"minAgeSeconds": 900}})),
        ("persons removed", json!({"personal": {"mode": "remove", "marking": marking}})),
        ("coarse coordinates", json!({"coordinateDecimals": 2})),
        ("pseudonymous ids", json!({"pseudonymousIds": true})),
    ];
    for (name, more) in current {
        let filter = filter(&more);
        measure(name, body, || own(&filter, body, CHUNK));
    }
    let series = series();
    for (name, more) in [
        ("temporal, attributes only", json!({})),
        ("temporal, window", json!({"time": {"to": "2026-11-21T00:30:00Z"}})),
        ("temporal, one value in ten", json!({"time": {"resolutionSeconds": 600}})),
    ] {
        let filter = filter(&more);
        measure(name, &series, || filtered(&filter, &series, CHUNK, Shape::Entities, true));
    }
    let table = table();
    for (name, more) in [
        ("CSV, two of six columns", json!({})),
        ("CSV, rows by a query", json!({"rows": {"q": format!("{base}o3>44")}})),
    ] {
        let filter = filter(&more);
        measure(name, &table, || filtered(&filter, &table, CHUNK, Shape::Csv, false));
    }
}

/// Entities with an hour of values, one each minute.
fn series() -> Vec<u8> {
    let values = |entity: u64| -> Vec<Value> {
        let minutes = 0..60;
        minutes
            .map(|minute| {
                json!({"type": "Property", "value": (entity + minute) % 97, "observedAt": format!("2026-11-21T00:{minute:02}:00Z"),
                    "instanceId": format!("urn:ngsi-ld:instance:{entity}:{minute}")})
            })
            .collect()
    };
    let mut entities = Vec::new();
    let mut bytes = 0;
    while bytes < BYTES {
        let number = entities.len() as u64;
        let entity = json!({"id": format!("urn:ngsi-ld:AirQualityObserved:station:{number:08}"),
            "type": "AirQualityObserved", "no2": values(number), "owner": values(number)});
        bytes += entity.to_string().len();
        entities.push(entity);
    }
    serde_json::to_vec(&entities).unwrap()
}

fn table() -> Vec<u8> {
    let mut out = b"id,type,no2,o3,temperature,owner\n".to_vec();
    let mut number = 0_u64;
    while out.len() < BYTES {
        let row = format!(
            "urn:ngsi-ld:AirQualityObserved:station:{number:08},AirQualityObserved,{},{},12.5,\"Comune di Bari, Ambiente\"\n",
            number % 97,
            number % 89
        );
        out.extend_from_slice(row.as_bytes());
        number += 1;
    }
    out
}

fn measure(name: &str, body: &[u8], work: impl Fn() -> Vec<u8>) -> Vec<u8> {
    let mut best = f64::MAX;
    let mut result = Vec::new();
    for _ in 0..ROUNDS {
        let begin = cpu_ns();
        result = work();
        best = best.min((cpu_ns() - begin) as f64);
    }
    println!("{name:36} {:7.0} MB/s", body.len() as f64 / best * 1e3);
    result
}

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

fn synthetic() -> Vec<u8> {
    let mut out = b"[".to_vec();
    let mut number = 0_u64;
    while out.len() < BYTES {
        let property =
            |value: Value| json!({"type": "Property", "value": value, "observedAt": "2026-11-21T03:00:00.000Z"});
        let entity = json!({
            "id": format!("urn:ngsi-ld:AirQualityObserved:station:{number:08}"),
            "type": "AirQualityObserved",
            "no2": {"type": "Property", "value": number % 97, "unitCode": "GQ", "observedAt": "2026-11-21T03:00:00.000Z",
                "accuracy": {"type": "Property", "value": 0.95}},
            "o3": property((number % 89).into()),
            "temperature": property((12.5 + (number % 7) as f64).into()),
            "owner": property("Comune di Bari, Ripartizione Ambiente".into()),
            "refDevice": {"type": "Relationship", "object": format!("urn:ngsi-ld:Device:sensor:{number:08}")},
            "name": {"type": "LanguageProperty", "languageMap": {"it": "Piazza del Ferrarese", "en": "Ferrarese Square"}},
            "address": property(json!({"streetAddress": "Via Sparano 12", "addressLocality": "Bari", "postalCode": "70121"})),
            "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [16.8719, 41.1257]}},
        });
        if number > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, &entity).unwrap();
        number += 1;
    }
    out.push(b']');
    out
}

fn filter(more: &Value) -> Arc<Filter> {
    let url = "https://smartdatamodels.org/context.jsonld";
    let base = "https://smartdatamodels.org/dataModel.Environment/";
    let names = ["AirQualityObserved", "no2", "o3", "temperature", "owner", "refDevice", "name", "address", "accuracy"];
    let terms: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), format!("{base}{name}").into())).collect();
    let mut value = json!({
        "types": [format!("{base}AirQualityObserved")],
        "attributes": [
            {"name": format!("{base}no2"), "subAttributes": [format!("{base}accuracy")]},
            {"name": format!("{base}temperature")},
            {"name": "https://uri.etsi.org/ngsi-ld/location"},
        ],
        "contexts": [{"url": url, "terms": terms}],
        "assumedContext": url,
    });
    for (name, member) in more.as_object().unwrap() {
        value[name] = member.clone();
    }
    let mut selection: Selection = serde_json::from_value(value).unwrap();
    selection.pseudonym_key = Some(PseudonymKey::new([7; 32]));
    Arc::new(Filter::new(selection).unwrap())
}

fn own(filter: &Arc<Filter>, body: &[u8], chunk: usize) -> Vec<u8> {
    filtered(filter, body, chunk, Shape::Entities, false)
}

fn filtered(filter: &Arc<Filter>, body: &[u8], chunk: usize, shape: Shape, temporal: bool) -> Vec<u8> {
    let representation = Representation::Normalized;
    let answer = Answer { representation, shape, temporal, geometry: true, context: None, asked: Stretch::ALWAYS };
    let mut stream = Stream::new(filter, answer, NOW).unwrap();
    let mut out = Vec::with_capacity(body.len());
    for piece in body.chunks(chunk) {
        stream.push(piece, &mut out).unwrap();
    }
    stream.finish(&mut out).unwrap();
    out
}

/// Keeps the members by name and no more: less than the filter does, to the tokenizer's favour.
fn by_value(body: &[u8]) -> Vec<u8> {
    let mut entities: Vec<Value> = serde_json::from_slice(body).unwrap();
    for entity in &mut entities {
        entity.as_object_mut().unwrap().retain(|name, _| KEPT.contains(&name.as_str()));
    }
    serde_json::to_vec(&entities).unwrap()
}

fn by_struson(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut reader = JsonStreamReader::new(body);
    let mut writer = JsonStreamWriter::new(&mut out);
    reader.begin_array().unwrap();
    writer.begin_array().unwrap();
    while reader.has_next().unwrap() {
        reader.begin_object().unwrap();
        writer.begin_object().unwrap();
        while reader.has_next().unwrap() {
            let name = reader.next_name().unwrap();
            if KEPT.contains(&name) {
                writer.name(name).unwrap();
                reader.transfer_to(&mut writer).unwrap();
            } else {
                reader.skip_value().unwrap();
            }
        }
        reader.end_object().unwrap();
        writer.end_object().unwrap();
    }
    reader.end_array().unwrap();
    writer.end_array().unwrap();
    writer.finish_document().unwrap();
    out
}

fn by_serde(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut serializer = serde_json::Serializer::new(&mut out);
    let list = serializer.serialize_seq(None).unwrap();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Entities(list).deserialize(&mut deserializer).unwrap();
    out
}

struct Entities<S>(S);

impl<'de, S: SerializeSeq<Ok = ()>> DeserializeSeed<'de> for Entities<S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: SerializeSeq<Ok = ()>> Visitor<'de> for Entities<S> {
    type Value = ();
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("entities")
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entities: A) -> Result<(), A::Error> {
        while let Some(entity) = entities.next_element::<Entity>()? {
            self.0.serialize_element(&entity).map_err(serde::de::Error::custom)?;
        }
        self.0.end().map_err(serde::de::Error::custom)
    }
}

/// The members that are kept; the others are never built.
struct Entity(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Entity;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an entity")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Entity, A::Error> {
                let mut kept = Vec::new();
                while let Some(name) = members.next_key::<String>()? {
                    if KEPT.contains(&name.as_str()) {
                        kept.push((name, members.next_value()?));
                    } else {
                        members.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Entity(kept))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl serde::Serialize for Entity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
