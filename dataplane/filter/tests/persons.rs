//! No persons: what is marked as personal never leaves as it is, and what nobody marked does not leave at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use ngsi_ld_filter::{Answer, Filter, Representation, Shape};
use serde_json::{Value, json};
use support::{CANARY, ENTITIES, REPRESENTATIONS, answer, ask, filter, one, run, selection, shapes};

/// In `Air` the owner, the device and how exact the owner measures are personal; in `Car` the name is.
fn rules(mode: &str) -> Value {
    json!({
        "attributes": [
            {"name": "https://m/no2", "subAttributes": ["https://m/accuracy", "https://m/level"]},
            {"name": "https://m/owner", "subAttributes": ["https://m/level"]},
            {"name": "https://m/refDevice"},
            {"name": "https://m/name"},
            {"name": support::LOCATION},
        ],
        "personal": {"mode": mode, "marking": {
            "https://m/Air": {"personal": ["https://m/owner", "https://m/refDevice", "https://m/accuracy"]},
            "https://m/Car": {"personal": ["https://m/name"]},
        }},
    })
}

fn entity(kind: Value, attributes: Value) -> Value {
    let mut entity = json!({"id": "urn:ngsi-ld:Air:1", "type": kind});
    entity.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    entity
}

/// A person wherever one can stand, in each mode, shape and representation.
#[test]
fn persons_on_every_road() {
    let person = json!({"type": "Property", "value": CANARY});
    let id = format!("urn:ngsi-ld:Person:{CANARY}");
    let personal = [
        ("owner", person.clone()),
        ("owner", json!(CANARY)),
        ("owner", json!([CANARY, {"value": CANARY, "datasetId": "urn:d"}])),
        (
            "owner",
            json!([{"type": "Property", "value": CANARY}, {"type": "Property", "value": 1, "datasetId": format!("urn:{CANARY}")}]),
        ),
        ("owner", json!({"type": "Property", "value": {"name": CANARY, CANARY: 1}})),
        ("owner", json!({"type": "Property", "value": [[CANARY]], "level": person})),
        ("owner", json!({"type": "Property", "value": 1, "level": person, "datasetId": format!("urn:{CANARY}")})),
        ("owner", json!({"type": "LanguageProperty", "languageMap": {"en": CANARY, "@none": [CANARY]}})),
        ("owner", json!({"languageMap": {"en": CANARY}})),
        ("owner", json!({"dataset": {"@none": CANARY, CANARY: 1}})),
        ("owner", json!({"type": "VocabProperty", "vocab": CANARY})),
        ("owner", json!({"type": "JsonProperty", "json": {"a": CANARY}})),
        ("owner", json!({"type": "ListProperty", "valueList": [CANARY]})),
        ("owner", json!({"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2], "home": CANARY}})),
        ("owner", json!({"type": "Property", "values": [[CANARY, "2026-01-01T00:00:00Z"]]})),
        ("owner", json!({"type": "Property", "value": 1, "previousValue": CANARY})),
        ("refDevice", json!({"type": "Relationship", "object": id})),
        ("refDevice", json!({"type": "Relationship", "object": [id, id]})),
        ("refDevice", json!({"type": "Relationship", "objects": [[id, "2026-01-01T00:00:00Z"]]})),
        ("refDevice", json!({"type": "ListRelationship", "objectList": [{"object": id}]})),
        ("refDevice", json!({"object": id})),
        ("refDevice", json!(id)),
        ("https://m/owner", person.clone()),
        ("no2", json!({"type": "Property", "value": 1, "accuracy": person})),
        (
            "no2",
            json!({"type": "Property", "value": 1, "accuracy": [person, {"type": "Property", "value": {"a": CANARY}}]}),
        ),
        ("no2", json!({"value": 1, "accuracy": CANARY})),
        ("no2", json!({"type": "Property", "value": 1, "https://m/accuracy": {"type": "Relationship", "object": id}})),
    ];
    for mode in ["remove", "pseudonymise"] {
        let filter = filter(&rules(mode));
        for (name, value) in &personal {
            for representation in REPRESENTATIONS {
                for temporal in [false, true] {
                    let entity = entity(json!(["Air", "Car"]), json!({*name: value}));
                    for (shape, body) in shapes(&entity) {
                        let answer = Answer { temporal, ..answer(shape, representation) };
                        let left = run(&filter, &answer, &body).unwrap();
                        assert!(left.contains("Air"), "the entity is shown: {left}");
                        assert!(!left.contains(CANARY), "{mode} {shape:?} {representation:?}: {body} gave {left}");
                        if mode == "remove" && *name != "no2" {
                            assert!(!left.contains(*name), "{left}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_marking_is_about_a_type() {
    let whole = answer(Shape::Entities, Representation::Normalized);
    let filter = filter(&rules("remove"));
    let thing = |kind: &str, number: u32| {
        json!({"id": format!("urn:{kind}:{number}"), "owner": {"type": "Property", "value": "O"},
            "name": {"type": "Property", "value": "N"}, "type": kind})
    };
    let all = json!([thing("Air", 1), thing("Car", 2), thing("Air", 3), thing("Air", 4), thing("Car", 5)]);
    let left: Vec<Value> = serde_json::from_str(&run(&filter, &whole, &all.to_string()).unwrap()).unwrap();
    for entity in &left {
        let air = entity["type"] == "Air";
        assert_eq!((entity.get("owner").is_some(), entity.get("name").is_some()), (!air, air), "{entity}");
    }
    assert_eq!(left.len(), 5);
    // Of two types both say what is personal; a type that nobody marked takes the entity with it.
    let one_of = |kind: Value| {
        one(
            &filter,
            &answer(Shape::Entity, Representation::Normalized),
            &entity(
                kind,
                json!({
        "owner": {"type": "Property", "value": "O"}, "name": {"type": "Property", "value": "N"}}),
            ),
        )
    };
    let both = one_of(json!(["Car", "Air"])).unwrap();
    assert!(both.get("owner").is_none() && both.get("name").is_none(), "{both}");
    for kind in
        [json!(["Air", "Person"]), json!(["Person", "Car"]), json!("Person"), json!(["Air", "https://m/x"]), json!([])]
    {
        assert_eq!(one_of(kind.clone()), None, "{kind}");
    }
}

#[test]
fn pseudonyms_fit_each_other_within_an_agreement() {
    let filter = filter(&rules("pseudonymise"));
    let whole = answer(Shape::Entity, Representation::Normalized);
    let given = entity(
        json!("Air"),
        json!({
        "owner": {"type": "Property", "value": "Anna", "unitCode": "x", "observedAt": "2026-01-01T00:00:00Z"},
        "refDevice": {"type": "Relationship", "object": "urn:ngsi-ld:Person:anna"}}),
    );
    let left = one(&filter, &whole, &given).unwrap();
    assert_eq!(left, one(&filter, &whole, &given).unwrap());
    assert_eq!(left["owner"]["value"].as_str().unwrap().len(), 32);
    assert_eq!(left["owner"]["observedAt"], "2026-01-01T00:00:00Z");
    let device = left["refDevice"]["object"].as_str().unwrap();
    assert!(device.starts_with("urn:ngsi-ld:") && !device.contains("anna"), "{device}");
}

#[test]
fn nobody_searches_for_persons() {
    for mode in ["remove", "pseudonymise"] {
        for query in [
            "q=owner==%22Anna%22",
            "q=!owner",
            "q=no2.accuracy>1",
            "q=name==%22Anna%22",
            "orderBy=owner",
            "orderBy=no2.accuracy",
            "attrs=owner",
            "attrs=no2,name",
            "q=https://m/owner==%22Anna%22",
        ] {
            let found = ask(&rules(mode), &format!("{ENTITIES}?{query}"));
            assert_eq!(found.map(|upstream| upstream.query), Err("name_not_admitted".to_owned()), "{query}");
        }
        let count = ask(&rules(mode), &format!("{ENTITIES}?count=true")).unwrap();
        assert!(!count.count && count.paged.is_some_and(|paged| paged.count), "what is shown is counted");
        assert!(ask(&rules(mode), &format!("{ENTITIES}?q=no2>1")).is_ok());
    }
    // A feature's geometry would show a personal place.
    let mut home = rules("remove");
    home["personal"]["marking"]["https://m/Air"]["personal"] = json!([support::LOCATION]);
    let upstream = ask(&home, ENTITIES).unwrap();
    let described = upstream.answer(Some("application/geo+json"), None, None).unwrap();
    assert!(!described.geometry);
}

#[test]
fn a_type_without_a_marking_is_refused() {
    let mut rules = rules("remove");
    rules["types"] = json!(["https://m/Air", "https://m/Car", "https://m/Person"]);
    let refusal = Filter::new(selection(&rules)).unwrap_err();
    assert!(refusal.message.contains("https://m/Person"), "{refusal}");
    let mut keyless = selection(&self::rules("pseudonymise"));
    keyless.pseudonym_key = None;
    assert_eq!(Filter::new(keyless).unwrap_err().code, "selection_not_usable");
}
