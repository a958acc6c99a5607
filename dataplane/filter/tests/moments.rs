//! Time: what lies outside of the window never leaves, and of a period no more than one value, however it is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use ngsi_ld_filter::{Answer, Representation, Shape};
use serde_json::{Value, json};
use support::{CANARY, ENTITIES, REPRESENTATIONS, TEMPORAL, answer, ask, filter, one, parameter, run, series, shapes};

/// `location` does not change with time.
fn time(time: Value) -> Value {
    json!({"time": time, "attributes": [
        {"name": "https://m/no2", "subAttributes": ["https://m/accuracy"]},
        {"name": "https://m/name"},
        {"name": support::LOCATION, "timeless": true},
    ]})
}

fn at(moment: &str, value: Value) -> Value {
    json!({"type": "Property", "value": value, "observedAt": moment})
}

fn entity(attributes: &Value) -> Value {
    let mut entity = json!({"id": "urn:ngsi-ld:Air:1", "type": "Air"});
    entity.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    entity
}

fn left(rule: &Value, answer: &Answer, attributes: &Value) -> Option<Value> {
    let mut left = one(&filter(&time(rule.clone())), answer, &entity(attributes))?;
    left.as_object_mut().unwrap().retain(|name, _| name != "id" && name != "type");
    Some(left)
}

#[test]
fn windows_of_current_values() {
    let whole = answer(Shape::Entity, Representation::Normalized);
    // It is noon in UTC.
    for (rule, moment, expected) in [
        (json!({"minAgeSeconds": 900}), "2026-11-21T11:45:00Z", true),
        (json!({"minAgeSeconds": 900}), "2026-11-21T11:45:00.001Z", false),
        (json!({"minAgeSeconds": 900}), "2026-11-21T12:00:00Z", false),
        (json!({"minAgeSeconds": 900}), "2027-01-01T00:00:00Z", false),
        (json!({"minAgeSeconds": 900}), "2026-11-21T12:44:00+01:00", true),
        (json!({"minAgeSeconds": 900}), "2026-11-21T11:50:00+00:00", false),
        (json!({"maxAgeSeconds": 60}), "2026-11-21T11:59:00Z", true),
        (json!({"maxAgeSeconds": 60}), "2026-11-21T11:58:59.999Z", false),
        (json!({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}), "2026-01-01T00:00:00Z", true),
        (json!({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}), "2026-02-01T00:00:00Z", false),
        (json!({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}), "2025-12-31T23:59:59Z", false),
        // A period that is not over yet.
        (json!({"resolutionSeconds": 3600}), "2026-11-21T11:59:59Z", true),
        (json!({"resolutionSeconds": 3600}), "2026-11-21T12:00:00Z", false),
        (json!({"resolutionSeconds": 7000}), "2026-11-21T11:59:59Z", false),
        // No moments.
        (json!({"maxAgeSeconds": 60000}), "2026-11-21T11:59:00", false),
        (json!({"maxAgeSeconds": 60000}), "2026-11-21", false),
        (json!({"maxAgeSeconds": 60000}), "yesterday", false),
        (json!({"maxAgeSeconds": 60000}), "", false),
    ] {
        let found = left(&rule, &whole, &json!({"no2": at(moment, json!(1))}));
        assert_eq!(found.is_some(), expected, "{rule} {moment}");
    }
}

#[test]
fn what_has_no_moment_is_not_shown() {
    let rule = json!({"minAgeSeconds": 900});
    let old = "2026-11-21T10:00:00Z";
    let normalized = answer(Shape::Entity, Representation::Normalized);
    for value in [
        json!({"type": "Property", "value": CANARY}),
        json!({"type": "Property", "value": CANARY, "observedAt": 5}),
        json!({"type": "Property", "value": CANARY, "observedAt": null}),
        json!({"type": "Property", "value": CANARY, "observedAt": {"type": "Property", "value": old}}),
        json!({"type": "Property", "value": CANARY, "modifiedAt": old}),
        json!({"type": "Property", "value": CANARY, "observedat": old}),
        json!([{"type": "Property", "value": CANARY}]),
        json!([]),
        json!(CANARY),
    ] {
        assert_eq!(left(&rule, &normalized, &json!({"no2": value})), None, "{value}");
    }
    // In no representation, and in no shape.
    let live = at("2026-11-21T11:59:00Z", json!(CANARY));
    for value in [
        json!(CANARY),
        json!([CANARY]),
        json!({"value": CANARY}),
        json!({"dataset": {"@none": CANARY}}),
        json!({"a": CANARY}),
        json!({"languageMap": {"en": CANARY}}),
        live.clone(),
        json!([live, at(old, json!(1))]),
        json!({"value": CANARY, "observedAt": "2026-11-21T11:59:00Z"}),
    ] {
        for representation in REPRESENTATIONS {
            for temporal in [false, true] {
                let entity = entity(&json!({"no2": value, "name": at(old, json!("x"))}));
                for (shape, body) in shapes(&entity) {
                    let answer = Answer { temporal, ..answer(shape, representation) };
                    let left = run(&filter(&time(rule.clone())), &answer, &body).unwrap();
                    assert!(left.contains("name") && !left.contains(CANARY), "{shape:?} {representation:?} {left}");
                }
            }
        }
    }
    // Said twice: the reader could take either.
    let twice = r#"{"id":"urn:1","type":"Air","no2":{"type":"Property","value":1,"observedAt":"2026-11-21T11:59:00Z","observedAt":"2026-11-21T10:00:00Z"}}"#;
    assert_eq!(run(&filter(&time(rule.clone())), &normalized, twice).unwrap(), "");
    // What is timeless is shown with something that has a moment, and not alone.
    let place = json!({"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}});
    assert_eq!(left(&rule, &normalized, &json!({"location": place})), None);
    let shown = left(&rule, &normalized, &json!({"location": place, "no2": at(old, json!(1))})).unwrap();
    assert_eq!(shown["location"], place);
}

#[test]
fn parts_of_an_attribute_have_moments_too() {
    let rule = json!({"minAgeSeconds": 900, "resolutionSeconds": 60});
    let mut members = time(rule);
    members["members"] = json!(["observedAt", "modifiedAt", "expiresAt", "unitCode"]);
    let filter = filter(&members);
    let given = entity(&json!({
        "modifiedAt": "2026-11-21T11:59:59Z",
        "no2": {"type": "Property", "value": 1, "observedAt": "2026-11-21T10:00:07.5Z", "unitCode": "GQ",
            "modifiedAt": "2026-11-21T10:00:09Z", "expiresAt": "2027-01-01T00:00:59Z",
            "accuracy": {"type": "Property", "value": 2, "observedAt": "2026-11-21T10:00:08Z"}},
        "name": {"type": "Property", "value": 1, "observedAt": "2026-11-21T10:00:07Z", "modifiedAt": "odd"},
    }));
    let left = one(&filter, &answer(Shape::Entity, Representation::Normalized), &given).unwrap();
    assert_eq!(
        left,
        entity(&json!({
            "no2": {"type": "Property", "value": 1, "observedAt": "2026-11-21T10:00:00Z", "unitCode": "GQ",
                "modifiedAt": "2026-11-21T10:00:00Z", "expiresAt": "2027-01-01T00:00:00Z",
                "accuracy": {"type": "Property", "value": 2, "observedAt": "2026-11-21T10:00:00Z"}},
            "name": {"type": "Property", "value": 1, "observedAt": "2026-11-21T10:00:00Z"},
        }))
    );
    let newer = entity(&json!({"no2": {"type": "Property", "value": 1, "observedAt": "2026-11-21T10:00:00Z",
        "accuracy": {"type": "Property", "value": CANARY, "observedAt": "2026-11-21T11:59:00Z"}}}));
    let left = one(&filter, &answer(Shape::Entity, Representation::Normalized), &newer).unwrap();
    assert!(!left.to_string().contains(CANARY), "{left}");
}

#[test]
fn one_value_of_each_period() {
    let rule = json!({"resolutionSeconds": 600});
    let moments = ["11:31:00", "11:39:59.9", "11:35:00", "11:20:00", "11:50:00", "11:59:59"];
    let values: Vec<Value> =
        moments.iter().enumerate().map(|(n, time)| at(&format!("2026-11-21T{time}Z"), json!(n))).collect();
    // The last of 11:30, that of 11:20, and the last of 11:50, which is over since it is noon.
    let expected = json!([
        at("2026-11-21T11:30:00Z", json!(1)),
        at("2026-11-21T11:20:00Z", json!(3)),
        at("2026-11-21T11:50:00Z", json!(5)),
    ]);
    let left_of = |value: &Value| left(&rule, &series(Shape::Entity), &json!({"no2": value})).unwrap()["no2"].clone();
    assert_eq!(left_of(&json!(values)), expected);
    let pairs = |values: &[Value]| -> Value {
        let pairs: Vec<Value> = values.iter().map(|v| json!([v["value"], v["observedAt"]])).collect();
        json!({"type": "Property", "values": pairs})
    };
    assert_eq!(left_of(&pairs(&values)), pairs(expected.as_array().unwrap()));
    // Series of their own.
    let named = |value: u32, series: &str| json!({"type": "Property", "value": value, "observedAt": "2026-11-21T11:31:00Z", "datasetId": series});
    let two = left_of(&json!([named(1, "urn:a"), named(2, "urn:b"), named(3, "urn:a")]));
    assert_eq!(two.as_array().unwrap().iter().map(|v| v["value"].clone()).collect::<Vec<_>>(), [2, 3]);
    // The attribute comes twice, under one name or two; lists come twice in one.
    let twice = format!(
        r#"{{"id":"urn:1","type":"Air","no2":[{}],"https://m/no2":[{}]}}"#,
        at("2026-11-21T11:31:00Z", json!(1)),
        at("2026-11-21T11:32:00Z", json!(CANARY))
    );
    let whole = filter(&time(rule.clone()));
    assert!(!run(&whole, &series(Shape::Entity), &twice).unwrap().contains(CANARY));
    let list = |value: Value| json!({"type": "Property", "values": [[value, "2026-11-21T11:31:00Z"]]});
    let lists = left_of(&json!([list(json!(1)), list(json!(CANARY))]));
    assert!(!lists.to_string().contains(CANARY), "{lists}");
    for odd in [
        json!({"type": "Property", "values": [[CANARY]]}),
        json!({"type": "Property", "values": [[CANARY, "2026-11-21T11:31:00Z", 5]]}),
        json!({"type": "Property", "values": [CANARY]}),
        json!({"type": "Property", "values": [[CANARY, 5]]}),
        json!({"type": "Property", "values": {"a": CANARY}}),
    ] {
        assert_eq!(left(&rule, &series(Shape::Entity), &json!({"no2": odd})), None, "{odd}");
    }
}

#[test]
fn the_broker_is_asked_for_the_window() {
    let window = time(json!({"from": "2026-01-01T00:00:00Z", "minAgeSeconds": 900}));
    let sent = |query: &str| -> Vec<String> {
        let upstream = ask(&window, &format!("{TEMPORAL}?{query}")).unwrap();
        ["timerel", "timeAt", "endTimeAt"].iter().filter_map(|name| parameter(&upstream, name)).collect()
    };
    let (first, last) = ("2026-01-01T00:00:00Z", "2026-11-21T11:45:00.001Z");
    assert_eq!(sent("lastN=5"), ["between", first, last]);
    assert_eq!(sent("timerel=after&timeAt=2020-01-01T00:00:00Z"), ["between", first, last]);
    assert_eq!(sent("timerel=before&timeAt=2026-03-01T00:00:00Z"), ["between", first, "2026-03-01T00:00:00Z"]);
    assert_eq!(
        sent("timerel=between&timeAt=2026-02-01T00:00:00Z&endTimeAt=2026-03-01T00:00:00%2B01:00"),
        ["between", "2026-02-01T00:00:00Z", "2026-02-28T23:00:00Z"]
    );
    let hourly = time(json!({"resolutionSeconds": 3600}));
    let upstream = ask(&hourly, &format!("{TEMPORAL}?timerel=before&timeAt=2026-02-01T10:30:00Z")).unwrap();
    assert_eq!(parameter(&upstream, "timeAt").unwrap(), "2026-02-01T10:00:00Z");
    assert!(upstream.whole);
    assert_eq!(
        upstream.changed,
        [("timeAt".to_owned(), Some("2026-02-01T10:30:00Z".to_owned()))],
        "links to further pages show what was asked"
    );
    // A broker that gives more than it was asked for.
    let described = upstream.answer(Some("application/json"), None, None).unwrap();
    let described = Answer { context: Some(support::CONTEXT.to_owned()), ..described };
    let body = json!([entity(
        &json!({"no2": [at("2026-02-01T09:59:00Z", json!(1)), at("2026-02-01T10:00:00Z", json!(CANARY))]})
    )]);
    let left = run(&filter(&hourly), &described, &body.to_string()).unwrap();
    assert!(left.contains("no2") && !left.contains(CANARY), "{left}");
}

/// Each attempt would show something live, older, or more of a period.
#[test]
fn attempts() {
    let live = json!({"minAgeSeconds": 900});
    let hourly = json!({"resolutionSeconds": 3600});
    for (rule, target, code) in [
        (&live, "q=no2>40", "name_not_admitted"),
        (&live, "q=no2.observedAt>2026-11-21T11:59:00Z", "name_not_admitted"),
        (&live, "q=no2", "name_not_admitted"),
        (&live, "orderBy=no2", "name_not_admitted"),
        (&live, "orderBy=no2.observedAt", "name_not_admitted"),
        (&live, "options=keyValues", "representation_not_admitted"),
        (&live, "format=simplified", "representation_not_admitted"),
        (&hourly, "q=no2>40", "name_not_admitted"),
        (&hourly, "options=keyValues", "representation_not_admitted"),
    ] {
        let found = ask(&time(rule.clone()), &format!("{ENTITIES}?{target}"));
        assert_eq!(found.map(|upstream| upstream.query), Err(code.to_owned()), "{rule} {target}");
    }
    for (rule, target, code) in [
        (&live, "timerel=after&timeAt=2026-11-21T11:50:00Z", "query_not_admitted"),
        (&live, "timerel=between&timeAt=2026-11-21T11:50:00Z&endTimeAt=2026-11-21T12:00:00Z", "query_not_admitted"),
        (&live, "timerel=between&timeAt=2026-03-01T00:00:00Z&endTimeAt=2026-02-01T00:00:00Z", "query_not_admitted"),
        (&live, "timerel=after&timeAt=2026-11-21", "query_not_admitted"),
        (&live, "timerel=after", "query_not_admitted"),
        (&live, "timerel=overlaps&timeAt=2026-03-01T00:00:00Z", "query_not_admitted"),
        (&live, "timeAt=2026-03-01T00:00:00Z", "query_not_admitted"),
        (&live, "timeproperty=modifiedAt", "query_not_admitted"),
        (&live, "timeproperty=createdAt&timerel=before&timeAt=2026-03-01T00:00:00Z", "query_not_admitted"),
        (&live, "options=aggregatedValues", "representation_not_admitted"),
        (&live, "aggrMethods=max&aggrPeriodDuration=PT1S", "query_not_admitted"),
        (&hourly, "timerel=between&timeAt=2026-02-01T10:10:00Z&endTimeAt=2026-02-01T10:20:00Z", "query_not_admitted"),
        (&hourly, "timerel=after&timeAt=2026-11-21T12:00:00Z", "query_not_admitted"),
        (&hourly, "q=no2>40", "name_not_admitted"),
    ] {
        let mut rules = time(rule.clone());
        rules["members"] = json!(["observedAt", "createdAt", "modifiedAt"]);
        let found = ask(&rules, &format!("{TEMPORAL}?{target}"));
        assert_eq!(found.map(|upstream| upstream.query), Err(code.to_owned()), "{rule} {target}");
    }
}

/// Models that tell the time of an entity by an attribute.
#[test]
fn the_moment_of_an_entity() {
    let rule = json!({"time": {"minAgeSeconds": 900, "attribute": "https://m/level"}});
    let filter = filter(&rule);
    for representation in REPRESENTATIONS {
        for (moment, expected) in [
            (json!("2026-11-21T11:40:00Z"), true),
            (json!({"@type": "DateTime", "@value": "2026-11-21T11:40:00Z"}), true),
            (json!("2026-11-21T11:59:00Z"), false),
            (json!(["2026-11-21T11:40:00Z", "2026-11-21T11:59:00Z"]), false),
            (json!("2026-11-21T11:40:00"), false),
            (json!(5), false),
            (json!(null), false),
        ] {
            let value = if expected { json!(1) } else { json!(CANARY) };
            let entity = entity(&json!({"level": support::property(representation, moment.clone()),
                "no2": support::property(representation, value)}));
            for (shape, body) in shapes(&entity) {
                let left = run(&filter, &answer(shape, representation), &body).unwrap();
                assert_eq!(left.contains("no2"), expected, "{moment} {shape:?} {representation:?} {left}");
                assert!(!left.contains(CANARY) && !left.contains("level"), "{left}");
            }
        }
    }
    let normalized = answer(Shape::Entity, Representation::Normalized);
    assert_eq!(one(&filter, &normalized, &entity(&json!({"no2": {"type": "Property", "value": CANARY}}))), None);
    // Without zone, and from one moment to another.
    for (offset, moment, expected) in [
        (None, "2026-11-21T11:00:00Z/2026-11-21T11:40:00Z", true),
        (None, "2026-11-21T11:00:00Z/2026-11-21T11:59:00Z", false),
        (None, "2026-11-21T11:00:00/2026-11-21T11:40:00Z", false),
        (None, "2026-11-21T11:00:00Z/", false),
        (Some("Z"), "2026-11-21T11:00:00/2026-11-21T11:40:00", true),
        (Some("Z"), "2026-11-21T11:59:00", false),
        (Some("+01:00"), "2026-11-21T12:40:00", true),
        (Some("+01:00"), "2026-11-21T12:50:00", false),
        (Some("+01:00"), "2026-11-21T11:59:00Z", false),
        (Some("Z"), "2026-11-21", false),
    ] {
        let mut rule = rule.clone();
        if let Some(offset) = offset {
            rule["time"]["assumedOffset"] = json!(offset);
        }
        let entity =
            entity(&json!({"level": {"type": "Property", "value": moment}, "no2": {"type": "Property", "value": 1}}));
        let left = one(&support::filter(&rule), &normalized, &entity);
        assert_eq!(left.is_some(), expected, "{offset:?} {moment}");
    }
    // A value with a moment of its own is judged by that, too.
    let old = json!({"type": "Property", "value": "2026-11-21T11:00:00Z"});
    let both = entity(
        &json!({"level": old, "no2": at("2026-11-21T11:59:00Z", json!(CANARY)), "name": at("2026-11-21T11:00:00Z", json!(1))}),
    );
    let left = one(&filter, &normalized, &both).unwrap().to_string();
    assert!(left.contains("name") && !left.contains(CANARY), "{left}");
    let table = "id,type,level,no2\nurn:a:1,Air,2026-11-21T11:00:00Z,1\nurn:a:2,Air,2026-11-21T11:59:00Z,CANARY\nurn:a:3,Air,,CANARY\n";
    let left = run(&filter, &answer(Shape::Csv, Representation::Normalized), table).unwrap();
    assert_eq!(left, "id,type,no2\r\nurn:a:1,Air,1\r\n");
    let asked = ask(&rule, &format!("{ENTITIES}?options=keyValues&pick=id,type,no2")).unwrap();
    assert_eq!(parameter(&asked, "pick").unwrap(), "id,type,no2,level");
    for query in ["q=no2>1", "omit=level", "datasetId=urn:d"] {
        assert!(ask(&rule, &format!("{ENTITIES}?{query}")).is_err(), "{query}");
    }
}

#[test]
fn the_history_of_a_scope_is_not_a_way_around() {
    let mut rule = time(json!({"minAgeSeconds": 900}));
    rule["members"] = json!(["scope"]);
    let old = at("2026-11-21T10:00:00Z", json!(1));
    for (scope, shown) in [
        (json!("/a"), true),
        (json!(["/a", "/b"]), true),
        (json!([{"type": "Property", "value": [CANARY], "observedAt": "2026-11-21T11:59:00Z"}]), false),
        (json!({"type": "Property", "values": [[[CANARY], "2026-11-21T11:59:00Z"]]}), false),
    ] {
        let left = one(&filter(&rule), &series(Shape::Entity), &entity(&json!({"scope": scope, "no2": old}))).unwrap();
        assert_eq!(left.get("scope").is_some(), shown, "{left}");
    }
}
