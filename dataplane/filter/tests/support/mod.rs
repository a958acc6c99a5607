//! What the tests of single rules share: a selection, and an answer that is run in chunks of all kinds.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use ngsi_ld_filter::{Answer, Asked, Filter, Representation, Shape, Stream, Upstream};
use policy_plan::{PseudonymKey, Selection, Stretch};
use serde_json::{Value, json};

pub const CONTEXT: &str = "https://city.example/context.jsonld";
pub const ENTITIES: &str = "/ngsi-ld/v1/entities";
pub const TEMPORAL: &str = "/ngsi-ld/v1/temporal/entities";
pub const LOCATION: &str = "https://uri.etsi.org/ngsi-ld/location";
/// 2026-11-21T12:00:00Z
pub const NOW: i64 = 1_795_262_400_000;
pub const CANARY: &str = "CANARY";
pub const REPRESENTATIONS: [Representation; 3] =
    [Representation::Normalized, Representation::Concise, Representation::Simplified];

/// Shows `no2` with `accuracy`, `name`, `refDevice` and `location` of `Air` and `Car`, and what `more` says.
pub fn selection(more: &Value) -> Selection {
    let names = ["Air", "Car", "no2", "name", "refDevice", "accuracy", "state", "plate", "owner", "level", "category"];
    let terms: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), format!("https://m/{name}").into())).collect();
    let mut value = json!({
        "types": ["https://m/Air", "https://m/Car"],
        "attributes": [
            {"name": "https://m/no2", "subAttributes": ["https://m/accuracy"]},
            {"name": "https://m/name"},
            {"name": "https://m/refDevice"},
            {"name": LOCATION},
        ],
        "contexts": [{"url": CONTEXT, "terms": terms}],
    });
    for (name, member) in more.as_object().unwrap() {
        value[name] = member.clone();
    }
    let mut selection: Selection = serde_json::from_value(value).unwrap();
    selection.pseudonym_key = Some(PseudonymKey::new([7; 32]));
    selection
}

pub fn filter(more: &Value) -> Arc<Filter> {
    Arc::new(Filter::new(selection(more)).unwrap())
}

pub fn answer(shape: Shape, representation: Representation) -> Answer {
    let asked = Stretch::ALWAYS;
    Answer { representation, shape, temporal: false, geometry: true, context: Some(CONTEXT.to_owned()), asked }
}

pub fn series(shape: Shape) -> Answer {
    Answer { temporal: true, ..answer(shape, Representation::Normalized) }
}

/// The result, which must be the same for all sizes of chunks.
pub fn run(filter: &Arc<Filter>, answer: &Answer, body: &str) -> Result<String, String> {
    let once = |size: usize| -> Result<String, String> {
        let mut stream = Stream::new(filter, answer.clone(), NOW).map_err(|fault| fault.code.to_owned())?;
        let mut out = Vec::new();
        for piece in body.as_bytes().chunks(size) {
            stream.push(piece, &mut out).map_err(|fault| fault.code.to_owned())?;
        }
        stream.finish(&mut out).map_err(|fault| fault.code.to_owned())?;
        Ok(String::from_utf8(out).unwrap())
    };
    let whole = once(usize::MAX);
    for size in [1, 5, 64] {
        assert_eq!(once(size), whole, "chunks of {size}");
    }
    whole
}

/// What is left of one entity; `None` when it is removed.
pub fn one(filter: &Arc<Filter>, answer: &Answer, entity: &Value) -> Option<Value> {
    let text = run(filter, answer, &entity.to_string()).unwrap();
    (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
}

/// The same entity, alone and in each shape that a broker may answer with.
pub fn shapes(entity: &Value) -> Vec<(Shape, String)> {
    let mut properties = entity.clone();
    properties.as_object_mut().unwrap().remove("id");
    let feature = json!({"type": "Feature", "id": entity["id"], "geometry": null, "properties": properties});
    let collection = json!({"type": "FeatureCollection", "features": [feature]});
    vec![
        (Shape::Entity, entity.to_string()),
        (Shape::Entities, json!([entity]).to_string()),
        (Shape::Feature, feature.to_string()),
        (Shape::Features, collection.to_string()),
        (Shape::Lines, format!("{entity}\n")),
    ]
}

/// A value in normalized, concise or simplified form.
pub fn property(representation: Representation, value: Value) -> Value {
    match representation {
        Representation::Normalized => json!({"type": "Property", "value": value}),
        Representation::Concise => json!({"value": value}),
        Representation::Simplified => value,
    }
}

pub fn place(representation: Representation, geometry: Value) -> Value {
    match representation {
        Representation::Normalized => json!({"type": "GeoProperty", "value": geometry}),
        _ => geometry,
    }
}

/// Asks by path and query; what goes to the broker, or the code of the refusal.
pub fn ask(more: &Value, target: &str) -> Result<Upstream, String> {
    ask_as(more, target, None)
}

pub fn ask_as(more: &Value, target: &str, accept: Option<&str>) -> Result<Upstream, String> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let asked = Asked { method: "GET", path, query, accept, link: None, now_ms: NOW };
    filter(more).request(&asked).map_err(|refusal| refusal.code.to_owned())
}

/// A parameter as it goes to the broker.
pub fn parameter(upstream: &Upstream, name: &str) -> Option<String> {
    upstream.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}
