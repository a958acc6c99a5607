//! Rows: an entity that does not certainly meet the conditions never leaves, in no representation and by no request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use ngsi_ld_filter::{Representation, Shape};
use serde_json::{Value, json};
use support::{
    CANARY, ENTITIES, LOCATION, REPRESENTATIONS, TEMPORAL, answer, ask, filter, one, parameter, place, property, run,
    series, shapes,
};

use Representation::{Concise, Normalized, Simplified};

fn q(text: &str) -> Value {
    json!({"rows": {"q": text}})
}

fn entity(attributes: &Value) -> Value {
    let mut entity = json!({"id": "urn:ngsi-ld:Air:1", "type": "Air"});
    entity.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    entity
}

fn shown(query: &str, representation: Representation, attributes: &Value) -> bool {
    one(&filter(&q(query)), &answer(Shape::Entity, representation), &entity(attributes)).is_some()
}

#[test]
fn comparisons_in_every_representation() {
    let table = [
        ("https://m/state==\"public\"", json!("public"), true),
        ("https://m/state==\"public\"", json!("Public"), false),
        ("https://m/state==\"public\"", json!(["secret", "public"]), true),
        ("https://m/state==\"public\"", json!(null), false),
        ("https://m/state==\"public\"", json!({"public": 1}), false),
        ("https://m/state==\"a\",\"b\"", json!("b"), true),
        ("https://m/state!=\"secret\"", json!("public"), true),
        ("https://m/state!=\"secret\"", json!("secret"), false),
        ("https://m/state!=\"secret\"", json!(["public", "secret"]), false),
        ("https://m/state!=\"a\",\"b\"", json!("b"), false),
        ("https://m/state~=\"^pub\"", json!("public"), true),
        ("https://m/state~=\"^pub\"", json!("not public"), false),
        ("https://m/state!~=\"^sec\"", json!("secret"), false),
        ("https://m/state!~=\"^sec\"", json!(7), false),
        ("https://m/state>40", json!(41), true),
        ("https://m/state>40", json!(40), false),
        ("https://m/state>40", json!("41"), false),
        ("https://m/state>=40", json!(40.0), true),
        ("https://m/state==10..20", json!(20), true),
        ("https://m/state==10..20", json!(20.5), false),
        ("https://m/state!=10..20", json!(20.5), true),
        ("https://m/state!=10..20", json!("x"), false),
        ("https://m/state==9007199254740993", json!(9_007_199_254_740_992_i64), false),
        ("https://m/state!=5", json!("5"), false),
        ("https://m/state==true", json!(true), true),
        ("https://m/state!=true", json!("true"), false),
        ("https://m/state>2026-01-01T00:00:00Z", json!("2026-01-01T02:00:00+01:00"), true),
        ("https://m/state>2026-01-01T00:00:00Z", json!("2026-01-01T01:00:00+01:00"), false),
        ("https://m/state>2026-01-01T00:00:00Z", json!("2026-06-01T00:00:00"), false),
        ("https://m/state>2026-01-01T00:00:00Z", json!({"@type": "DateTime", "@value": "2026-06-01T00:00:00Z"}), true),
        ("https://m/state>=2026-01-01", json!("2026-01-02"), true),
        ("https://m/state==urn:a:1", json!("urn:a:1"), true),
        ("https://m/state[city]==\"Bari\"", json!({"city": "Bari"}), true),
        ("https://m/state[city]==\"Bari\"", json!({"city": "Lecce"}), false),
        ("https://m/state[city.name]==\"Bari\"", json!({"city": {"name": "Bari"}}), true),
        ("https://m/state[city]", json!({"town": "Bari"}), false),
        ("https://m/state", json!(0), true),
        ("https://m/state", json!("urn:ngsi-ld:null"), false),
        ("!https://m/state", json!("x"), false),
        ("https://m/other", json!("x"), false),
        ("!https://m/other", json!("x"), true),
        ("https://m/state==1;https://m/other==1", json!(1), false),
        ("https://m/state==1|https://m/other==1", json!(1), true),
        ("(https://m/other==1|https://m/state==1);https://m/state<2", json!(1), true),
    ];
    for (query, value, expected) in table {
        for representation in REPRESENTATIONS {
            let attributes = json!({"state": property(representation, value.clone())});
            let found = shown(query, representation, &attributes);
            assert_eq!(found, expected, "{query} {representation:?} {attributes}");
            for (shape, body) in shapes(&entity(&attributes)) {
                let left = run(&filter(&q(query)), &answer(shape, representation), &body).unwrap();
                assert_eq!(left.contains("urn:ngsi-ld:Air:1"), expected, "{query} {shape:?} {body} gave {left}");
                assert!(!left.contains("state"), "the attribute itself is not shown: {left}");
            }
        }
    }
}

#[test]
fn shapes_of_attributes() {
    let table = [
        // Every instance must fit.
        (
            "https://m/state==\"a\"",
            Normalized,
            json!([{"type": "Property", "value": "a"}, {"type": "Property", "value": "b", "datasetId": "urn:d"}]),
            false,
        ),
        (
            "https://m/state==\"a\"",
            Normalized,
            json!([{"type": "Property", "value": "a"}, {"type": "Property", "value": "a", "datasetId": "urn:d"}]),
            true,
        ),
        ("https://m/state==\"a\"", Concise, json!(["a", {"value": "b", "datasetId": "urn:d"}]), false),
        ("https://m/state==\"a\"", Simplified, json!({"dataset": {"@none": "a", "urn:d": "b"}}), false),
        ("https://m/state==\"a\"", Simplified, json!({"dataset": {"@none": "a", "urn:d": "a"}}), true),
        // What cannot be read, or could be read in two ways.
        ("https://m/state==\"a\"", Normalized, json!("a"), false),
        ("https://m/state==\"a\"", Normalized, json!(["a"]), false),
        ("https://m/state==\"a\"", Normalized, json!([]), false),
        ("https://m/state!=\"a\"", Normalized, json!([]), false),
        ("https://m/state!=\"a\"", Concise, json!([]), false),
        ("https://m/state==\"a\"", Normalized, json!({"type": "Property", "object": "a"}), false),
        ("https://m/state!=\"b\"", Normalized, json!({"type": "Property"}), false),
        ("https://m/state==\"a\"", Concise, json!({"value": "a", "object": "b"}), false),
        ("https://m/state", Normalized, json!({"type": "Property", "previousValue": 1}), false),
        // Other kinds.
        ("https://m/state==urn:d:1", Normalized, json!({"type": "Relationship", "object": "urn:d:1"}), true),
        (
            "https://m/state==urn:d:1",
            Normalized,
            json!({"type": "Relationship", "object": ["urn:d:2", "urn:d:1"]}),
            true,
        ),
        (
            "https://m/state!=urn:d:1",
            Normalized,
            json!({"type": "Relationship", "object": ["urn:d:2", "urn:d:1"]}),
            false,
        ),
        (
            "https://m/state==urn:d:1",
            Normalized,
            json!({"type": "ListRelationship", "objectList": [{"object": "urn:d:1"}]}),
            true,
        ),
        (
            "https://m/state[en]==\"a\"",
            Normalized,
            json!({"type": "LanguageProperty", "languageMap": {"en": "a"}}),
            true,
        ),
        (
            "https://m/state[it]==\"a\"",
            Normalized,
            json!({"type": "LanguageProperty", "languageMap": {"en": "a"}}),
            false,
        ),
        ("https://m/state==\"a\"", Normalized, json!({"type": "LanguageProperty", "languageMap": {"en": "a"}}), false),
        (
            "https://m/state[*]!=\"a\"",
            Normalized,
            json!({"type": "LanguageProperty", "languageMap": {"en": "a"}}),
            false,
        ),
        ("https://m/state[en]==\"a\"", Simplified, json!({"languageMap": {"en": "a"}}), true),
        ("https://m/state==\"plate\"", Normalized, json!({"type": "VocabProperty", "vocab": "plate"}), true),
        ("https://m/state==https://m/plate", Normalized, json!({"type": "VocabProperty", "vocab": "plate"}), true),
        ("https://m/state!=https://m/plate", Normalized, json!({"type": "VocabProperty", "vocab": "plate"}), false),
        ("https://m/state[a.b]==1", Normalized, json!({"type": "JsonProperty", "json": {"a": {"b": 1}}}), true),
        ("https://m/state==2", Normalized, json!({"type": "ListProperty", "valueList": [1, 2]}), true),
        // Parts of attributes.
        (
            "https://m/state.https://m/level>1",
            Normalized,
            json!({"type": "Property", "value": 1, "level": {"type": "Property", "value": 2}}),
            true,
        ),
        (
            "https://m/state.https://m/level>1",
            Normalized,
            json!({"type": "Property", "value": 9, "https://m/level": {"type": "Property", "value": 1}}),
            false,
        ),
        ("https://m/state.https://m/level>1", Normalized, json!({"type": "Property", "value": 9}), false),
        ("!https://m/state.https://m/level", Normalized, json!({"type": "Property", "value": 9}), true),
        ("https://m/state.https://m/level>1", Simplified, json!(9), false),
        ("!https://m/state.https://m/level", Simplified, json!(9), false),
        (
            "https://m/state.unitCode==\"GQ\"",
            Normalized,
            json!({"type": "Property", "value": 9, "unitCode": "GQ"}),
            true,
        ),
        (
            "https://m/state.observedAt>2026-01-01T00:00:00Z",
            Normalized,
            json!({"type": "Property", "value": 9, "observedAt": "2026-02-01T00:00:00Z"}),
            true,
        ),
    ];
    for (query, representation, value, expected) in table {
        let attributes = json!({"state": value});
        assert_eq!(shown(query, representation, &attributes), expected, "{query} {representation:?} {attributes}");
    }
    // Said twice, under one name or two.
    let filter = filter(&q("https://m/state==\"a\""));
    let body = |more: &str| format!(r#"{{"id":"urn:1","type":"Air","state":{{"type":"Property","value":"a"}}{more}}}"#);
    let whole = answer(Shape::Entity, Normalized);
    assert!(!run(&filter, &whole, &body("")).unwrap().is_empty());
    for more in [
        r#","state":{"type":"Property","value":"a"}"#,
        r#","https://m/state":{"type":"Property","value":"a"}"#,
        r#","st\u0061te":{"type":"Property","value":"b"}"#,
    ] {
        assert_eq!(run(&filter, &whole, &body(more)).unwrap(), "", "{more}");
    }
    for state in [
        r#"{"type":"Property","value":"b","value":"a"}"#,
        r#"{"type":"Property","value":"b","v\u0061lue":"a"}"#,
        r#"{"type":"Relationship","type":"Property","value":"a"}"#,
    ] {
        let body = format!(r#"{{"id":"urn:1","type":"Air","state":{state}}}"#);
        assert_eq!(run(&filter, &whole, &body).unwrap(), "", "{state}");
    }
}

#[test]
fn every_moment_of_a_series_must_fit() {
    let filter = filter(&q("https://m/state==\"public\""));
    let state = |values: &[&str]| -> Value {
        values
            .iter()
            .map(|value| json!({"type": "Property", "value": value, "observedAt": "2026-01-01T00:00:00Z"}))
            .collect()
    };
    let pairs = |values: &[&str]| -> Value {
        let pairs: Vec<Value> = values.iter().map(|value| json!([value, "2026-01-01T00:00:00Z"])).collect();
        json!({"type": "Property", "values": pairs})
    };
    for (values, expected) in [(vec!["public"], true), (vec!["public", "secret"], false), (vec![], false)] {
        for state in [state(&values), pairs(&values)] {
            let left = one(&filter, &series(Shape::Entity), &entity(&json!({"state": state})));
            assert_eq!(left.is_some(), expected, "{state}");
        }
    }
}

#[test]
fn places() {
    let square = json!([[[16.8, 41.1], [16.9, 41.1], [16.9, 41.2], [16.8, 41.2], [16.8, 41.1]]]);
    let rows = |georel: &str, geometry: Value, more: Value| {
        let mut area = json!({"georel": georel, "geometry": geometry});
        area.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"rows": {"geo": area}})
    };
    let within = rows("within", json!({"type": "Polygon", "coordinates": square}), json!({}));
    let near =
        rows("near", json!({"type": "Point", "coordinates": [16.85, 41.15]}), json!({"maxDistanceMeters": 2000}));
    let hidden = rows(
        "intersects",
        json!({"type": "MultiPolygon", "coordinates": [square]}),
        json!({"property": "https://m/plate"}),
    );
    for (rows, name, geometry, expected) in [
        (&within, "location", json!({"type": "Point", "coordinates": [16.85, 41.15]}), true),
        (&within, LOCATION, json!({"type": "Point", "coordinates": [16.85, 41.15]}), true),
        (&within, "location", json!({"type": "Point", "coordinates": [16.95, 41.15]}), false),
        (&within, "location", json!({"type": "Point", "coordinates": [41.15, 16.85]}), false),
        (&within, "location", json!({"type": "LineString", "coordinates": [[16.85, 41.15], [16.95, 41.15]]}), false),
        (&within, "plate", json!({"type": "Point", "coordinates": [16.85, 41.15]}), false),
        (&within, "location", json!("POINT(16.85 41.15)"), false),
        (&near, "location", json!({"type": "Point", "coordinates": [16.86, 41.15]}), true),
        (&near, "location", json!({"type": "Point", "coordinates": [16.89, 41.15]}), false),
        (&hidden, "plate", json!({"type": "LineString", "coordinates": [[16.85, 41.15], [16.95, 41.15]]}), true),
        (&hidden, "location", json!({"type": "Point", "coordinates": [16.85, 41.15]}), false),
    ] {
        for representation in REPRESENTATIONS {
            let entity = entity(&json!({name: place(representation, geometry.clone())}));
            for (shape, body) in shapes(&entity) {
                let left = run(&filter(rows), &answer(shape, representation), &body).unwrap();
                assert_eq!(left.contains("urn:ngsi-ld:Air:1"), expected, "{rows} {shape:?} {representation:?} {body}");
            }
        }
    }
    // Two places, of which one is outside; the coarse place is not the one that decides.
    let inside = json!({"type": "GeoProperty", "value": {"type": "Point", "coordinates": [16.85, 41.15]}});
    let outside =
        json!({"type": "GeoProperty", "value": {"type": "Point", "coordinates": [17, 41.15]}, "datasetId": "urn:d"});
    let two = entity(&json!({"location": [inside, outside]}));
    assert!(one(&filter(&within), &answer(Shape::Entity, Normalized), &two).is_none());
    let mut coarse = within.clone();
    coarse["coordinateDecimals"] = json!(0);
    let left =
        one(&filter(&coarse), &answer(Shape::Entity, Normalized), &entity(&json!({"location": inside}))).unwrap();
    assert_eq!(left["location"]["value"]["coordinates"].to_string(), "[17,41]");
}

#[test]
fn several_entities_are_judged_one_by_one() {
    let filter = filter(&q("https://m/state==\"public\""));
    let entity = |number: u32, state: &str| {
        json!({"id": format!("urn:a:{number}"), "type": "Air", "state": {"type": "Property", "value": state},
            "no2": {"type": "Property", "value": if state == "public" { json!(number) } else { json!(CANARY) }}})
    };
    let all = [entity(1, "secret"), entity(2, "public"), entity(3, "secret"), entity(4, "public")];
    let left = run(&filter, &answer(Shape::Entities, Normalized), &json!(all).to_string()).unwrap();
    let ids: Vec<Value> = serde_json::from_str::<Vec<Value>>(&left).unwrap().iter().map(|e| e["id"].clone()).collect();
    assert_eq!(ids, ["urn:a:2", "urn:a:4"]);
    assert!(!left.contains(CANARY));
}

#[test]
fn the_broker_is_asked_for_less_where_it_reads_the_same() {
    let simple = q("https://m/state==\"public\";https://m/level>=2");
    let asked = |target: &str| ask(&simple, &format!("{ENTITIES}{target}")).unwrap();
    assert_eq!(parameter(&asked(""), "q").unwrap(), "state==\"public\";level>=2");
    assert_eq!(parameter(&asked("?q=no2>1;no2<5"), "q").unwrap(), "state==\"public\";level>=2;no2>1;no2<5");
    assert_eq!(parameter(&asked("?q=no2>1|no2<5"), "q").unwrap(), "state==\"public\";level>=2;(no2>1|no2<5)");
    assert_eq!(asked("?q=no2>1").changed, [("q".to_owned(), Some("no2>1".to_owned()))]);
    assert_eq!(asked("").changed, [("q".to_owned(), None)]);
    // Attributes that conditions speak of are asked for, also when the caller does not want them.
    assert_eq!(parameter(&asked("?pick=id,type,no2"), "pick").unwrap(), "id,type,no2,level,state");
    assert_eq!(parameter(&asked("?pick=id|type|no2"), "pick").unwrap(), "id|type|no2|level|state");
    assert_eq!(parameter(&asked("?attrs=no2"), "attrs").unwrap(), "no2,level,state");
    let single = ask(&simple, "/ngsi-ld/v1/entities/urn:a:1?pick=id,type,no2").unwrap();
    assert_eq!(single.query, [("pick".to_owned(), "id,type,no2,level,state".to_owned())]);
    assert_eq!(parameter(&ask(&simple, TEMPORAL).unwrap(), "q").unwrap(), "state==\"public\";level>=2");
    // What brokers could read in another way stays here.
    for here in [
        "https://m/state~=\"a\"",
        "!https://m/state",
        "https://m/state!=\"a\"",
        "https://m/state==1|https://m/level==1",
        "https://m/state[a]==1",
        "https://m/unnamed==1",
        "https://m/state==\"a&b\"",
        "https://m/state==\"a\\\"",
    ] {
        assert_eq!(parameter(&ask(&q(here), ENTITIES).unwrap(), "q"), None, "{here}");
    }
    let area = json!({"rows": {"geo": {"georel": "near", "maxDistanceMeters": 500,
        "geometry": {"type": "Point", "coordinates": [16.85, 41.15]}}}});
    let upstream = ask(&area, ENTITIES).unwrap();
    let sent: Vec<String> = upstream.query.iter().skip(1).map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        sent,
        ["georel=near;maxDistance==500", "geometry=Point", "coordinates=[16.85,41.15]", "geoproperty=location"]
    );
}

/// Each attempt would show something of what is removed: by counting it, by sorting it, by hiding what decides.
#[test]
fn attempts() {
    let pushed = q("https://m/state==\"public\"");
    let kept = q("https://m/state~=\"^public\"");
    let area = json!({"rows": {"geo": {"georel": "within", "geometry": {"type": "Polygon",
        "coordinates": [[[16.8, 41.1], [16.9, 41.1], [16.9, 41.2], [16.8, 41.1]]]}}}});
    let by_name = json!({"rows": {"q": "https://m/name[en]==\"x\""}});
    for (rows, query, code) in [
        (&pushed, "q=state==%22secret%22", "name_not_admitted"),
        (&pushed, "q=no2>1|state==%22secret%22", "name_not_admitted"),
        (&pushed, "q=no2>1)|(state==%22secret%22", "query_not_admitted"),
        (&pushed, "q=state", "name_not_admitted"),
        (&pushed, "orderBy=state", "name_not_admitted"),
        (&pushed, "attrs=state", "name_not_admitted"),
        (&pushed, "pick=id,type,state", "name_not_admitted"),
        (&pushed, "omit=state", "name_not_admitted"),
        (&pushed, "omit=https%3A%2F%2Fm%2Fstate", "name_not_admitted"),
        (&pushed, "lang=en", "query_not_admitted"),
        (&pushed, "datasetId=urn:d", "query_not_admitted"),
        (&by_name, "omit=name", "query_not_admitted"),
        (&by_name, "omit=no2,https%3A%2F%2Fm%2Fname", "query_not_admitted"),
        (&by_name, "lang=it", "query_not_admitted"),
        (&by_name, "q=no2>1", "query_not_admitted"),
        (&kept, "q=no2>1", "query_not_admitted"),
        (&kept, "orderBy=no2", "query_not_admitted"),
        (&kept, "georel=near;maxDistance==1&geometry=Point&coordinates=[1,2]", "query_not_admitted"),
        (&kept, "idPattern=.*7", "query_not_admitted"),
        (&area, "georel=near;maxDistance==1&geometry=Point&coordinates=[1,2]", "query_not_admitted"),
        (&area, "omit=location", "query_not_admitted"),
        (&pushed, "join=flat", "query_not_admitted"),
        (&pushed, "expandValues=state", "query_not_admitted"),
        (&pushed, "jsonKeys=state", "query_not_admitted"),
        (&json!({"ids": ["urn:a:*"], "rows": {"q": "https://m/state~=\"a\""}}), "q=no2>1", "query_not_admitted"),
    ] {
        for path in [ENTITIES, TEMPORAL] {
            let found = ask(rows, &format!("{path}?{query}")).map(|upstream| upstream.query);
            assert_eq!(found, Err(code.to_owned()), "{rows} {query}");
        }
    }
    // Ids that the selection restricts are our own pattern, and no search.
    let both = json!({"ids": ["urn:a:*"], "rows": {"q": "https://m/state~=\"a\""}});
    assert_eq!(parameter(&ask(&both, ENTITIES).unwrap(), "idPattern").unwrap(), "^(urn:a:.*)$");
    assert!(ask(&q("!https://m/state"), ENTITIES).unwrap().complete && !ask(&pushed, ENTITIES).unwrap().complete);
}
