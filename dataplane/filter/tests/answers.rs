//! What is left of answers, shape by shape.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use ngsi_ld_filter::{Answer, Filter, Representation, Shape, Stream};
use policy_plan::{PseudonymKey, Selection, Stretch};
use serde_json::{Value, json};

/// 2026-11-21T12:00:00Z
const NOW: i64 = 1_795_262_400_000;
const CONTEXT: &str = "https://city.example/context.jsonld";

fn selection(more: Value) -> Selection {
    let mut value = json!({
        "types": ["https://m/Air"],
        "attributes": [
            {"name": "https://m/no2", "subAttributes": ["https://m/accuracy"]},
            {"name": "https://uri.etsi.org/ngsi-ld/location"},
            {"name": "https://m/name", "languages": ["en", "@none"]},
            {"name": "https://m/speed", "datasetIds": ["@none", "urn:ds:a"]},
            {"name": "https://m/refDevice"},
        ],
        "contexts": [
            {"url": CONTEXT, "terms": {"Air": "https://m/Air", "no2": "https://m/no2", "accuracy": "https://m/accuracy",
                "name": "https://m/name", "speed": "https://m/speed", "refDevice": "https://m/refDevice",
                "plate": "https://m/plate", "Car": "https://m/Car"}},
            {"url": "https://city.example/renamed.jsonld", "terms": {"Car": "https://m/Air", "no2": "https://m/plate",
                "x": "https://m/no2"}},
        ],
    });
    for (name, member) in more.as_object().unwrap() {
        value[name] = member.clone();
    }
    let mut selection: Selection = serde_json::from_value(value).unwrap();
    selection.pseudonym_key = Some(PseudonymKey::new([7; 32]));
    selection
}

fn answer(shape: Shape, representation: Representation) -> Answer {
    Answer {
        representation,
        shape,
        temporal: false,
        geometry: true,
        context: Some(CONTEXT.to_owned()),
        asked: Stretch::ALWAYS,
    }
}

fn run(selection: Selection, answer: Answer, body: &str, chunk: usize) -> Result<String, String> {
    let filter = Arc::new(Filter::new(selection).unwrap());
    let mut stream = Stream::new(&filter, answer, NOW).map_err(|fault| fault.code.to_owned())?;
    let mut out = Vec::new();
    for piece in body.as_bytes().chunks(chunk) {
        stream.push(piece, &mut out).map_err(|fault| fault.code.to_owned())?;
    }
    stream.finish(&mut out).map_err(|fault| fault.code.to_owned())?;
    Ok(String::from_utf8(out).unwrap())
}

/// The result, which must be the same for all chunk sizes.
fn filtered(more: Value, answer: Answer, body: &str) -> Result<String, String> {
    let whole = run(selection(more.clone()), answer.clone(), body, usize::MAX);
    for chunk in [1, 2, 3, 7, 64] {
        assert_eq!(run(selection(more.clone()), answer.clone(), body, chunk), whole, "chunks of {chunk}");
    }
    whole
}

fn one(representation: Representation, attributes: Value) -> Value {
    one_with(json!({}), representation, attributes)
}

/// What is left of the attributes of an admitted entity.
fn one_with(more: Value, representation: Representation, attributes: Value) -> Value {
    let mut entity = json!({"id": "urn:ngsi-ld:Air:1", "type": "Air"});
    entity.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    let text = filtered(more, answer(Shape::Entity, representation), &entity.to_string()).unwrap();
    let mut left: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(left["type"], "Air");
    left.as_object_mut().unwrap().retain(|name, _| name != "id" && name != "type");
    left
}

#[test]
fn attributes_by_shape() {
    use Representation::{Concise, Normalized, Simplified};
    let table = [
        // What is not named is removed, at every depth.
        (Normalized, json!({"plate": {"type": "Property", "value": "B"}}), json!({})),
        (
            Normalized,
            json!({"no2": {"type": "Property", "value": {"any": [1, {"x": 2}]}, "unitCode": "GQ", "observedAt": "2026",
                "accuracy": {"type": "Property", "value": 1, "operator": {"type": "Property", "value": "S"}},
                "operator": {"type": "Property", "value": "S"}, "modifiedAt": "x", "previousValue": 3,
                "ngsildproof": {}, "instanceId": "urn:1"}}),
            json!({"no2": {"type": "Property", "value": {"any": [1, {"x": 2}]}, "unitCode": "GQ", "observedAt": "2026",
                "accuracy": {"type": "Property", "value": 1}}}),
        ),
        // A name is what it expands to, however it is written.
        (
            Normalized,
            json!({"https://m/no2": {"type": "Property", "value": 1}}),
            json!({"https://m/no2": {"type": "Property", "value": 1}}),
        ),
        (Normalized, json!({"https://m/plate": {"type": "Property", "value": 1}}), json!({})),
        (Normalized, json!({"NO2": {"type": "Property", "value": 1}}), json!({})),
        // A value that does not fit the kind.
        (Normalized, json!({"no2": {"type": "Property", "object": "urn:s"}}), json!({})),
        (
            Normalized,
            json!({"no2": {"type": "Property", "value": 1, "object": "urn:s"}}),
            json!({"no2": {"type": "Property", "value": 1}}),
        ),
        (
            Normalized,
            json!({"no2": {"type": "Property", "value": 1, "values": [[2, "t"]]}}),
            json!({"no2": {"type": "Property", "value": 1}}),
        ),
        (Normalized, json!({"no2": 5}), json!({})),
        (Normalized, json!({"no2": {"secret": 5}}), json!({})),
        // The members of an attribute are texts; an object there is a sub-attribute.
        (
            Normalized,
            json!({"no2": {"type": "Property", "value": 1, "unitCode": {"type": "Property", "value": "S"}}}),
            json!({"no2": {"type": "Property", "value": 1}}),
        ),
        // The kind may stand last.
        (
            Normalized,
            json!({"no2": {"operator": {"value": 1}, "value": 2, "type": "Property"}}),
            json!({"no2": {"value": 2, "type": "Property"}}),
        ),
        // Several instances.
        (
            Normalized,
            json!({"speed": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:ds:a"},
                {"type": "Property", "value": 3, "datasetId": "urn:ds:b"}]}),
            json!({"speed": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:ds:a"}]}),
        ),
        (Normalized, json!({"speed": [{"type": "Property", "value": 3, "datasetId": "urn:ds:b"}]}), json!({})),
        (Concise, json!({"speed": [50, {"value": 52, "datasetId": "urn:ds:b"}]}), json!({"speed": [50]})),
        (
            Simplified,
            json!({"speed": {"dataset": {"@none": 50, "urn:ds:b": 52}}}),
            json!({"speed": {"dataset": {"@none": 50}}}),
        ),
        // Languages.
        (
            Normalized,
            json!({"name": {"type": "LanguageProperty", "languageMap": {"en": "Square", "it": "Piazza", "@none": "x"}}}),
            json!({"name": {"type": "LanguageProperty", "languageMap": {"en": "Square", "@none": "x"}}}),
        ),
        (Simplified, json!({"name": {"languageMap": {"it": "Piazza"}}}), json!({})),
        (Normalized, json!({"name": {"type": "Property", "value": "Piazza", "lang": "it"}}), json!({})),
        (
            Normalized,
            json!({"name": {"type": "Property", "value": "Square", "lang": "en"}}),
            json!({"name": {"type": "Property", "value": "Square", "lang": "en"}}),
        ),
        // Concise.
        (
            Concise,
            json!({"no2": 41, "plate": "B", "location": {"type": "Point", "coordinates": [1.5, 2]}}),
            json!({"no2": 41, "location": {"type": "Point", "coordinates": [1.5, 2]}}),
        ),
        (
            Concise,
            json!({"no2": {"value": 41, "operator": "S", "accuracy": 0.9}}),
            json!({"no2": {"value": 41, "accuracy": 0.9}}),
        ),
        (
            Concise,
            json!({"refDevice": {"object": "urn:d", "entity": {"id": "urn:d", "type": "Car", "plate": 1}}}),
            json!({"refDevice": {"object": "urn:d"}}),
        ),
        (Concise, json!({"no2": [1, 2, 3]}), json!({"no2": [1, 2, 3]})),
        // Simplified, also when the broker did not simplify.
        (Simplified, json!({"no2": {"a": 1, "value": 2}, "plate": 4}), json!({"no2": {"a": 1, "value": 2}})),
        (
            Simplified,
            json!({"no2": {"type": "Property", "value": 1, "operator": {"type": "Property", "value": "S"}}}),
            json!({"no2": {"type": "Property", "value": 1}}),
        ),
        (
            Simplified,
            json!({"no2": [{"type": "Property", "value": 1, "operator": {"value": "S"}}]}),
            json!({"no2": [{"type": "Property", "value": 1}]}),
        ),
        (Normalized, json!({"no2": {"type": "Property", "value": 1, "datasetId": {"secret": 1}}}), json!({})),
        (Concise, json!({"no2": {"values": [[1, "t"]], "operator": "S"}}), json!({})),
        // System members and scope are switched off.
        (Normalized, json!({"createdAt": "t", "modifiedAt": "t", "scope": "/a", "expiresAt": "t"}), json!({})),
    ];
    for (representation, given, expected) in table {
        assert_eq!(one(representation, given.clone()), expected, "{representation:?} {given}");
    }
}

#[test]
fn switched_members_coarse_places_and_pseudonyms() {
    use Representation::Normalized;
    let given = json!({"modifiedAt": "t", "scope": ["/a"], "no2": {"type": "Property", "value": 1, "modifiedAt": "t"}});
    assert_eq!(one_with(json!({"members": ["modifiedAt", "scope"]}), Normalized, given.clone()), given);
    let place = json!({"location": {"type": "GeoProperty", "value": {"type": "Polygon", "bbox": [1.23456, 2],
        "coordinates": [[[16.87654, 41.12345], [1e-9, 2]]]}}, "no2": {"type": "Property", "value": 1.23456}});
    let left = one_with(json!({"coordinateDecimals": 2}), Normalized, place);
    assert_eq!(left["location"]["value"]["coordinates"].to_string(), "[[[16.88,41.12],[0,2]]]");
    assert_eq!(left["location"]["value"]["bbox"].to_string(), "[1.23,2]");
    assert_eq!(left["no2"]["value"].to_string(), "1.23456");
    for unreadable in [
        json!({"location": {"type": "GeoProperty", "value": "POINT(16.87654 41.12345)"}}),
        json!({"location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": "16.87654"}}}),
        json!({"no2": {"type": "Property", "value": [{"coordinates": {"x": 16.87654}}]}}),
    ] {
        assert_eq!(one_with(json!({"coordinateDecimals": 2}), Normalized, unreadable), json!({}));
    }
    let series = Answer { temporal: true, ..answer(Shape::Entity, Normalized) };
    let track = |place: &str| {
        format!(r#"{{"id":"urn:1","type":"Air","location":{{"type":"GeoProperty","values":[[{place},"2026"]]}}}}"#)
    };
    let coarse = json!({"coordinateDecimals": 1});
    let left = filtered(coarse.clone(), series.clone(), &track(r#"{"type":"Point","coordinates":[1.23,2]}"#)).unwrap();
    assert!(left.contains(r#"[[{"type":"Point","coordinates":[1.2,2]},"2026"]]"#), "{left}");
    assert!(!filtered(coarse, series, &track(r#""POINT(1.23 2)""#)).unwrap().contains("1.23"));
    let hidden = json!({"pseudonymousIds": true, "attributes": [{"name": "https://m/no2", "pseudonym": true},
        {"name": "https://m/refDevice"}]});
    let given = json!({"no2": {"type": "Property", "value": "B-X 1"},
        "refDevice": {"type": "Relationship", "object": ["urn:ngsi-ld:Air:1", "urn:ngsi-ld:Person:bob"]}});
    let mut entity = json!({"id": "urn:ngsi-ld:Air:1", "type": "Air"});
    entity.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
    let text = filtered(hidden.clone(), answer(Shape::Entity, Normalized), &entity.to_string()).unwrap();
    for canary in ["B-X", "Air:1\"", "bob", "Person"] {
        assert!(!text.contains(canary), "{text}");
    }
    let left: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(left["id"], left["refDevice"]["object"][0], "links still fit");
    assert!(left["id"].as_str().unwrap().starts_with("urn:ngsi-ld:Air:"));
    let mut other = selection(hidden);
    other.pseudonym_key = Some(PseudonymKey::new([8; 32]));
    let elsewhere = run(other, answer(Shape::Entity, Normalized), &entity.to_string(), 9).unwrap();
    assert_ne!(elsewhere, text, "another agreement has other pseudonyms");
    let object = json!({"no2": {"type": "Property", "value": {"B-X": 1}}});
    let rule = json!({"attributes": [{"name": "https://m/no2", "pseudonym": true}]});
    assert_eq!(one_with(rule, Normalized, object), json!({}));
}

#[test]
fn entities_by_type_and_id() {
    let many = answer(Shape::Entities, Representation::Normalized);
    let body = r#" [ {"id":"urn:a:1","type":"Air"} , {"id":"urn:a:2","type":"Car"},{"type":["Air","Car"],"id":"urn:b:3"},
        {"id":"urn:a:4"},{"type":"Air"},{"id":"urn:a:5","no2":{"type":"Property","value":1},"type":"https:\/\/m\/Air"} ] "#;
    assert_eq!(
        filtered(json!({}), many.clone(), body).unwrap(),
        r#"[{"id":"urn:a:1","type":"Air"},{"type":["Air"],"id":"urn:b:3"},{"id":"urn:a:5","no2":{"type":"Property","value":1},"type":"https:\/\/m\/Air"}]"#
    );
    assert_eq!(
        filtered(json!({"ids": ["urn:b:*"]}), many.clone(), body).unwrap(),
        r#"[{"type":["Air"],"id":"urn:b:3"}]"#
    );
    assert_eq!(filtered(json!({}), many.clone(), "[]").unwrap(), "[]");
    let lines = answer(Shape::Lines, Representation::Normalized);
    assert_eq!(
        filtered(
            json!({}),
            lines.clone(),
            "{\"id\":\"urn:1\",\"type\":\"Air\"}\n{\"id\":\"urn:2\",\"type\":\"Car\"}\n"
        )
        .unwrap(),
        "{\"id\":\"urn:1\",\"type\":\"Air\"}\n"
    );
    assert_eq!(filtered(json!({}), lines, "").unwrap(), "");
    // Escaped keys are what they mean.
    let text = r#"{"\u0069d":"urn:1","typ\u0065":"Air","pl\u0061te":{"type":"Property","value":1},"n\u006f2":{"type":"Property","value":1}}"#;
    let left = filtered(json!({}), answer(Shape::Entity, Representation::Normalized), text).unwrap();
    assert!(!left.contains("pl") && left.contains("n\\u006f2"), "{left}");
}

#[test]
fn contexts() {
    let single = |context: Option<&str>| Answer {
        context: context.map(str::to_owned),
        ..answer(Shape::Entities, Representation::Concise)
    };
    let core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
    let body = |context: &str, more: &str| {
        format!(r#"[{{"id":"urn:1","type":"Air","no2":1,"plate":"S"{more},"@context":{context}}}]"#)
    };
    // The answer's own context decides, also when it comes last and contradicts the header.
    let renamed = r#""https://city.example/renamed.jsonld""#;
    assert_eq!(filtered(json!({}), single(Some(CONTEXT)), &body(renamed, "")).unwrap(), "[]");
    let cars = format!(r#"[{{"id":"urn:1","type":"Car","no2":"S","x":4,"@context":{renamed}}}]"#);
    assert_eq!(
        filtered(json!({}), single(Some(CONTEXT)), &cars).unwrap(),
        format!(r#"[{{"id":"urn:1","type":"Car","x":4,"@context":{renamed}}}]"#)
    );
    let listed = format!(r#"["{CONTEXT}","{core}"]"#);
    assert!(filtered(json!({}), single(None), &body(&listed, "")).unwrap().contains("\"no2\":1,\"@context\""));
    // One entity after the other with different contexts.
    let mixed = format!(
        r#"[{{"id":"urn:1","type":"Air","no2":1,"@context":"{CONTEXT}"}},{{"id":"urn:2","type":"Car","no2":"S","x":2,"@context":{renamed}}},{{"id":"urn:3","type":"Air","no2":3}}]"#
    );
    let left = filtered(json!({}), single(Some(CONTEXT)), &mixed).unwrap();
    assert!(left.contains("\"x\":2") && left.contains("\"no2\":3") && !left.contains("\"S\""), "{left}");
    for (context, body, code) in [
        (None, body(r#""https://evil/c""#, ""), "context_unknown"),
        (None, body(r#"{"no2":"https://m/plate"}"#, ""), "context_inline"),
        (None, body(&format!(r#"["{CONTEXT}",{{"a":"https://m/no2"}}]"#), ""), "context_inline"),
        (None, r#"[{"id":"urn:1","type":"Air"}]"#.to_owned(), "context_missing"),
        (Some("https://evil/c"), "[]".to_owned(), "context_unknown"),
        (Some(CONTEXT), body(renamed, r#","@context":"https://city.example/context.jsonld""#), "answer_ambiguous"),
        (Some(CONTEXT), body(renamed, r#","@graph":[]"#), "member_not_admitted"),
        (Some(CONTEXT), body(renamed, r#","type":"Car""#), "answer_ambiguous"),
        (Some(CONTEXT), body(renamed, r#","id":"urn:2""#), "answer_ambiguous"),
        (Some(CONTEXT), body(renamed, r#","@type":"Car""#), "answer_ambiguous"),
    ] {
        assert_eq!(filtered(json!({}), single(context), &body).unwrap_err(), code, "{body}");
    }
    let assumed = json!({"assumedContext": CONTEXT});
    assert!(filtered(assumed, single(None), r#"[{"id":"urn:1","type":"Air","no2":1}]"#).unwrap().contains("no2"));
}

#[test]
fn geo_json() {
    let feature = r#"{"type":"Feature","id":"urn:1","bbox":[1.2345,2],"geometry":{"type":"Point","coordinates":[1.2345,2]},
        "properties":{"type":"Air","plate":1,"no2":{"type":"Property","value":1},"location":{"type":"GeoProperty","value":
        {"type":"Point","coordinates":[1.2345,2]}}}}"#;
    let expected = r#"{"type":"Feature","id":"urn:1","geometry":{"type":"Point","coordinates":[1.2,2]},"properties":{"type":"Air","no2":{"type":"Property","value":1},"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[1.2,2]}}}}"#;
    let coarse = json!({"coordinateDecimals": 1});
    let one = answer(Shape::Feature, Representation::Normalized);
    assert_eq!(filtered(coarse.clone(), one.clone(), feature).unwrap(), expected);
    let many = answer(Shape::Features, Representation::Normalized);
    let other = feature.replace("Air", "Car");
    let body = format!(
        r#"{{"type":"FeatureCollection","x":[1],"features":[{other},{feature},{other}],"@context":"{CONTEXT}"}}"#
    );
    assert_eq!(
        filtered(coarse.clone(), many.clone(), &body).unwrap(),
        format!(r#"{{"type":"FeatureCollection","features":[{expected}],"@context":"{CONTEXT}"}}"#)
    );
    let hidden = Answer { geometry: false, ..one };
    assert!(filtered(coarse.clone(), hidden, feature).unwrap().contains(r#""geometry":null"#));
    let late = body.replace(CONTEXT, "https://city.example/renamed.jsonld");
    assert_eq!(filtered(coarse.clone(), many.clone(), &late).unwrap_err(), "context_late");
    for context in [r#"{"no2":"https://m/plate"}"#, r#""https://city.example/renamed.jsonld""#] {
        let own = body.replace(r#""type":"Feature","#, &format!(r#""type":"Feature","@context":{context},"#));
        assert!(filtered(coarse.clone(), many.clone(), &own).unwrap_err().starts_with("context_"), "{own}");
    }
    let without = Answer { context: None, ..many.clone() };
    assert_eq!(filtered(coarse.clone(), without.clone(), &body).unwrap_err(), "context_missing");
    let early = format!(r#"{{"@context":"{CONTEXT}","type":"FeatureCollection","features":[{feature}]}}"#);
    assert!(filtered(coarse.clone(), without, &early).unwrap().contains("no2"));
    for bad in [r#"{"type":"FeatureCollection"}"#, r#"{"features":[]}"#, "[]", r#"{"type":"Feature","features":[]}"#] {
        assert!(filtered(coarse.clone(), many.clone(), bad).is_err(), "{bad}");
    }
}

#[test]
fn temporal() {
    let series = Answer { temporal: true, ..answer(Shape::Entities, Representation::Normalized) };
    let body = r#"[{"id":"urn:1","type":"Air","plate":[{"type":"Property","value":1}],"no2":[{"type":"Property","value":1,"observedAt":"t","instanceId":"urn:i"},
        {"type":"Property","value":2,"observedAt":"t","operator":{"type":"Property","value":"S"}}],
        "speed":{"type":"Property","values":[[120,"t"],[80,"t"]]}}]"#;
    assert_eq!(
        filtered(json!({}), series.clone(), body).unwrap(),
        r#"[{"id":"urn:1","type":"Air","no2":[{"type":"Property","value":1,"observedAt":"t"},{"type":"Property","value":2,"observedAt":"t"}],"speed":{"type":"Property","values":[[120,"t"],[80,"t"]]}}]"#
    );
    let rule = json!({"attributes": [{"name": "https://m/speed", "pseudonym": true}]});
    let left = filtered(rule, series.clone(), body).unwrap();
    assert!(!left.contains("120") && left.contains("\"t\""), "{left}");
    // Aggregates are names like others here.
    let sums = r#"[{"id":"urn:1","type":"Air","no2":{"type":"Property","max":[[120,"a","b"]]}}]"#;
    assert_eq!(filtered(json!({}), series, sums).unwrap(), r#"[{"id":"urn:1","type":"Air"}]"#);
}

#[test]
fn what_is_not_understood_ends_the_answer() {
    let many = answer(Shape::Entities, Representation::Normalized);
    for (body, code) in [
        ("{}", "answer_not_understood"),
        ("[1]", "answer_not_understood"),
        ("[[]]", "answer_not_understood"),
        ("[{}", "answer_broken_off"),
        ("[{\"a\":", "answer_broken_off"),
        ("", "answer_broken_off"),
        ("[{},]", "answer_not_understood"),
        ("[{} {}]", "answer_not_understood"),
        ("[] []", "answer_not_understood"),
        ("[{\"a\":tru}]", "answer_not_json"),
        ("[{\"a\" 1}]", "answer_not_json"),
        ("\"text\"", "answer_not_understood"),
        ("<html>", "answer_not_understood"),
        ("[{\"id\":7}]", "answer_not_json"),
    ] {
        assert_eq!(filtered(json!({}), many.clone(), body).unwrap_err(), code, "{body}");
    }
    let large = format!(r#"[{{"id":"urn:1","type":"Air","plate":"{}"}}]"#, "x".repeat(2000));
    assert_eq!(filtered(json!({"maxEntityBytes": 1024}), many.clone(), &large).unwrap_err(), "entity_too_large");
    assert!(filtered(json!({"maxEntityBytes": 4096}), many, &large).is_ok());
    let mut invalid = b"[{\"id\":\"urn:1\",\"type\":\"Air\",\"plate\":\"".to_vec();
    invalid.extend_from_slice(b"\xff\"}]");
    let filter = Arc::new(Filter::new(selection(json!({}))).unwrap());
    let mut stream = Stream::new(&filter, answer(Shape::Entities, Representation::Normalized), NOW).unwrap();
    assert_eq!(stream.push(&invalid, &mut Vec::new()).unwrap_err().code, "answer_not_json");
}

/// A canary wherever something hidden can stand, in each representation that a broker could answer with, whatever was asked for.
#[test]
fn canaries_on_every_road() {
    let secret = json!({"type": "Property", "value": "CANARY"});
    let hidden = [
        ("plate", secret.clone()),
        ("plate", json!("CANARY")),
        ("plate", json!([secret, "CANARY"])),
        ("https://m/plate", json!({"value": "CANARY"})),
        ("no2", json!({"type": "Property", "value": 1, "operator": secret})),
        ("no2", json!({"type": "Property", "value": 1, "operator": "CANARY"})),
        ("no2", json!({"type": "Property", "value": 1, "https://m/plate": ["CANARY"]})),
        ("no2", json!({"type": "Property", "value": 1, "accuracy": {"type": "Property", "value": 1, "by": secret}})),
        ("no2", json!({"type": "Property", "value": 1, "previousValue": "CANARY"})),
        ("no2", json!({"type": "Property", "value": 1, "ngsildproof": {"proof": "CANARY"}})),
        (
            "no2",
            json!({"type": "Property", "value": 1, "createdAt": "CANARY", "modifiedAt": "CANARY", "deletedAt": "CANARY"}),
        ),
        ("no2", json!({"type": "Property", "value": 1, "instanceId": "urn:CANARY", "expiresAt": "CANARY"})),
        ("no2", json!({"type": "Property", "value": 1, "unitCode": {"type": "Property", "value": "CANARY"}})),
        ("no2", json!({"type": "Property", "value": 1, "max": [["CANARY", "a", "b"]], "totalCount": [["CANARY"]]})),
        ("no2", json!([{"type": "Property", "value": 1, "plate": secret}, {"type": "Property", "value": 2}])),
        ("refDevice", json!({"type": "Relationship", "object": "urn:d", "entity": {"id": "urn:d", "plate": secret}})),
        ("refDevice", json!({"type": "ListRelationship", "objectList": [{"object": "urn:d"}], "entityList": [secret]})),
        (
            "speed",
            json!([{"type": "Property", "value": 1}, {"type": "Property", "value": "CANARY", "datasetId": "urn:ds:b"}]),
        ),
        ("speed", json!({"type": "Property", "value": "CANARY", "datasetId": "urn:ds:b"})),
        ("name", json!({"type": "LanguageProperty", "languageMap": {"en": "x", "it": "CANARY"}})),
        ("name", json!({"type": "Property", "value": "CANARY", "lang": "it"})),
        ("name", json!({"type": "LanguageProperty", "languageMaps": [[{"languageMap": {"it": "CANARY"}}, "t"]]})),
        ("scope", json!(["/CANARY"])),
        ("createdAt", json!("CANARY")),
        ("modifiedAt", json!("CANARY")),
        ("expiresAt", json!("CANARY")),
        ("bbox", json!(["CANARY"])),
        ("properties", json!({"no2": "CANARY"})),
        ("title", json!({"type": "Property", "value": "CANARY"})),
    ];
    for (name, value) in hidden {
        for representation in [Representation::Normalized, Representation::Concise, Representation::Simplified] {
            for temporal in [false, true] {
                let mut entity = json!({"id": "urn:ngsi-ld:Air:1", "type": ["Air", "CANARYType"]});
                entity[name] = value.clone();
                let with = |shape| Answer { temporal, ..answer(shape, representation) };
                let feature = json!({"type": "Feature", "id": "urn:1", "geometry": null, "properties": entity,
                    "bbox": ["CANARY"], "foreign": "CANARY"});
                let collection = json!({"type": "FeatureCollection", "features": [feature], "foreign": "CANARY"});
                let line = format!("{entity}\n");
                for (shape, body) in [
                    (Shape::Entity, entity.to_string()),
                    (Shape::Entities, json!([entity]).to_string()),
                    (Shape::Feature, feature.to_string()),
                    (Shape::Features, collection.to_string()),
                    (Shape::Lines, line),
                ] {
                    let left = run(selection(json!({})), with(shape), &body, 50).unwrap();
                    assert!(left.contains("Air"), "the entity itself is shown: {left}");
                    assert!(
                        !left.contains("CANARY"),
                        "{shape:?} {representation:?} temporal {temporal}: {body} gave {left}"
                    );
                }
            }
        }
    }
}
