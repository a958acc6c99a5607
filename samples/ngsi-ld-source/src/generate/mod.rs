//! Synthetic data of two invented border cities: Arvenna on the west bank of the river Silde, Belmark on the east bank.
//!
//! Attribute names and shapes follow the Smart Data Models TrafficFlowObserved, AirQualityObserved and
//! FloodMonitoring; every value is made up. The same seed and end give the same bytes on every machine.

mod air;
mod city;
mod commuters;
mod day;
mod flood;
mod traffic;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use self::city::{CITIES, City};
use self::day::Moments;
use crate::cli::GenerateArgs;

/// The core context, as a name; nobody fetches it.
const CORE_CONTEXT: &str = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";

/// Why the files could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {source}", path.display())]
pub struct GenerateError {
    path: PathBuf,
    source: io::Error,
}

/// An entity and the past of its attributes.
struct Observed {
    entity: Map<String, Value>,
    history: Map<String, Value>,
}

/// A number that is observed again and again.
struct Series<'a> {
    name: &'a str,
    unit: Option<&'a str>,
    decimals: usize,
    values: Vec<f64>,
}

impl Observed {
    fn new(kind: &str, id: &str, city: &City, domain: &str) -> Self {
        let context =
            format!("https://raw.githubusercontent.com/smart-data-models/dataModel.{domain}/master/context.jsonld");
        let head = Map::from_iter([
            ("id".to_owned(), Value::from(format!("urn:ngsi-ld:{kind}:{id}"))),
            ("type".to_owned(), Value::from(kind)),
        ]);
        let mut entity = head.clone();
        entity.insert("scope".to_owned(), json!([format!("/{}", city.name)]));
        entity.insert("@context".to_owned(), json!([context, CORE_CONTEXT]));
        Self { entity, history: head }
    }

    fn property(&mut self, name: &str, value: impl Into<Value>) {
        self.entity.insert(name.to_owned(), json!({"type": "Property", "value": value.into()}));
    }

    fn geometry(&mut self, geometry: Value) {
        self.entity.insert("location".to_owned(), json!({"type": "GeoProperty", "value": geometry}));
    }

    fn address(&mut self, city: &City, street: &str) {
        let address = json!({
            "type": "PostalAddress",
            "addressLocality": city.name,
            "addressCountry": city.country,
            "streetAddress": street,
        });
        self.property("address", address);
    }

    fn relationship(&mut self, name: &str, object: String) {
        self.entity.insert(name.to_owned(), json!({"type": "Relationship", "object": object}));
    }

    /// Adds the last value to the entity and all values to its history.
    fn series(&mut self, series: &Series<'_>, moments: &Moments) {
        let numbers: Vec<Value> = series.values.iter().map(|value| number(*value, series.decimals)).collect();
        let times = moments.written();
        let mut past = Map::from_iter([("type".to_owned(), Value::from("Property"))]);
        let mut present = past.clone();
        if let (Some(value), Some(at)) = (numbers.last(), times.last()) {
            present.insert("value".to_owned(), value.clone());
            present.insert("observedAt".to_owned(), Value::from(at.as_str()));
        }
        if let Some(unit) = series.unit {
            present.insert("unitCode".to_owned(), Value::from(unit));
            past.insert("unitCode".to_owned(), Value::from(unit));
        }
        let pairs = numbers.into_iter().zip(times).map(|(value, at)| json!([value, at])).collect();
        past.insert("values".to_owned(), Value::Array(pairs));
        self.entity.insert(series.name.to_owned(), Value::Object(present));
        self.history.insert(series.name.to_owned(), Value::Object(past));
    }
}

/// A JSON number with a fixed count of decimals.
fn number(value: f64, decimals: usize) -> Value {
    serde_json::from_str(&format!("{value:.decimals$}")).unwrap_or(Value::Null)
}

/// Writes all files into the folder and gives back their paths.
///
/// # Errors
/// The first file that cannot be written.
pub fn run(args: &GenerateArgs) -> Result<Vec<PathBuf>, GenerateError> {
    fs::create_dir_all(&args.out).map_err(|source| GenerateError { path: args.out.clone(), source })?;
    let moments = Moments::ending(args.end);
    let mut written = Vec::new();
    for city in &CITIES {
        let observed = observe(city, args.seed, &moments);
        let (entities, history): (Vec<_>, Vec<_>) =
            observed.into_iter().map(|one| (Value::Object(one.entity), Value::Object(one.history))).unzip();
        for (name, records) in [("entities", entities), ("history", history)] {
            let path = args.out.join(format!("{}-{name}.json", city.key));
            write(&path, |out| lines(out, &records))?;
            written.push(path);
        }
    }
    let path = args.out.join("commuters.csv");
    let bytes = u64::from(args.csv_megabytes) * 1_000_000;
    write(&path, |out| commuters::write(out, args.seed, args.end, bytes))?;
    written.push(path);
    Ok(written)
}

/// Every observed thing of a city.
fn observe(city: &City, seed: u64, moments: &Moments) -> Vec<Observed> {
    let mut all = traffic::observe(city, seed, moments);
    all.extend(air::observe(city, seed, moments));
    all.extend(flood::observe(city, seed, moments));
    all
}

fn write(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), GenerateError> {
    let with_path = |source| GenerateError { path: path.to_owned(), source };
    let mut out = BufWriter::with_capacity(1 << 16, File::create(path).map_err(with_path)?);
    content(&mut out).and_then(|()| out.flush()).map_err(with_path)
}

/// A JSON array with one record on each line.
fn lines(out: &mut impl Write, records: &[Value]) -> io::Result<()> {
    for (at, record) in records.iter().enumerate() {
        write!(out, "{}{record}", if at == 0 { "[\n" } else { ",\n" })?;
    }
    out.write_all(b"\n]\n")
}

/// The moment as [`crate::instant`] writes it, moved by whole minutes.
fn earlier(end: OffsetDateTime, minutes: i64) -> OffsetDateTime {
    end.saturating_sub(time::Duration::minutes(minutes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::Entity;
    use crate::query::geo::to_geometry;
    use crate::store::{History, Tenant};

    fn generated(seed: u64) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let end = crate::instant::parse("2026-03-02T00:00:00Z").unwrap();
        let paths = run(&GenerateArgs { seed, out: folder.path().to_owned(), end, csv_megabytes: 1 }).unwrap();
        (folder, paths)
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let ((_a, first), (_b, second), (_c, other)) = (generated(7), generated(7), generated(8));
        let read = |path: &PathBuf| fs::read(path).unwrap();
        for ((first, second), other) in first.iter().zip(&second).zip(&other) {
            assert!(read(first) == read(second), "{} differs", first.display());
            assert!(read(first) != read(other), "{} does not depend on the seed", first.display());
        }
    }

    #[test]
    fn the_files_are_served_as_they_are() {
        let (folder, _) = generated(1);
        for city in &CITIES {
            let mut tenant = Tenant::default();
            tenant.load(&folder.path().join(format!("{}-entities.json", city.key))).unwrap();
            tenant.load_history(&folder.path().join(format!("{}-history.json", city.key))).unwrap();
            let types: BTreeSet<&str> = tenant.types().keys().copied().collect();
            assert_eq!(types, BTreeSet::from(["AirQualityObserved", "FloodMonitoring", "TrafficFlowObserved"]));
            assert!(tenant.entities().len() >= 100);
            for entity in tenant.entities() {
                assert!(entity.instances("location").iter().all(|one| to_geometry(&one["value"]).is_some()));
                let past: &History = tenant.history(entity.id()).unwrap();
                for (name, values) in past.attributes() {
                    assert_eq!(values.len(), 48, "{} {name}", entity.id());
                    assert_eq!(values.last(), entity.instances(name).first(), "{} {name}", entity.id());
                }
            }
            let gauge: &Entity = tenant.entities().iter().find(|one| one.types() == ["FloodMonitoring"]).unwrap();
            assert!(!gauge.instances("waterLevel").is_empty() && !gauge.instances("flowRate").is_empty());
        }
    }

    #[test]
    fn the_csv_has_the_asked_size_and_whole_lines() {
        let (folder, _) = generated(1);
        let text = fs::read_to_string(folder.path().join("commuters.csv")).unwrap();
        assert!((1_000_000..1_000_100).contains(&text.len()), "{}", text.len());
        let columns = text.lines().next().unwrap().split(',').count();
        assert!(text.ends_with('\n') && text.lines().all(|line| line.split(',').count() == columns));
    }
}
