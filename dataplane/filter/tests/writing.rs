//! What may be written: requests that pass and what the broker gets of them, attempts to write more, answers of brokers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::sync::Arc;

use ngsi_ld_filter::{Failure, Filter, Outcome, Step, WriteAsked, Writer, Written};
use policy_plan::{Refusal, Selection, Writing};
use serde_json::{Value, json};

const CONTEXT: &str = "https://city.example/context.jsonld";
const RENAMED: &str = "https://city.example/renamed.jsonld";
const DEFAULT: &str = "https://uri.etsi.org/ngsi-ld/default-context/";
const JSON: &str = "application/json";
const LD: &str = "application/ld+json";
const NULL: &str = "urn:ngsi-ld:null";
const ALL: [&str; 7] = ["create", "append", "patch", "merge", "upsert", "delete", "deleteEntity"];

fn link(context: &str) -> String {
    format!("<{context}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"")
}

fn writing(more: &Value) -> Writing {
    let mut value = json!({
        "operations": ALL,
        "types": ["https://m/Air", format!("{DEFAULT}Air")],
        "ids": ["urn:ngsi-ld:Air:ours:*"],
        "attributes": [
            {"name": "https://m/no2", "subAttributes": ["https://m/accuracy"]},
            {"name": format!("{DEFAULT}no2"), "subAttributes": [format!("{DEFAULT}accuracy")]},
            {"name": format!("{DEFAULT}speed"), "datasetIds": ["@none", "urn:gps"]},
            {"name": format!("{DEFAULT}refDevice")},
            {"name": format!("{DEFAULT}name")},
            {"name": "https://uri.etsi.org/ngsi-ld/location"},
        ],
        "contexts": [
            {"url": CONTEXT, "terms": {"Air": "https://m/Air", "no2": "https://m/no2", "accuracy": "https://m/accuracy"}},
            {"url": RENAMED, "terms": {"Air": "https://m/Car", "no2": "https://m/plate", "speed": "https://m/no2"}},
        ],
        "maxEntityBytes": 2000,
        "maxEntities": 3,
    });
    for (name, member) in more.as_object().unwrap() {
        value[name] = member.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn writer(more: &Value) -> Writer {
    Writer::new(writing(more), None).unwrap()
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    media: &'a str,
    link: Option<String>,
    body: String,
}

impl Request<'_> {
    fn new<'a>(method: &'a str, target: &'a str, body: &Value) -> Request<'a> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Request { method, target, media: JSON, link: None, body }
    }

    fn steps(&self, writer: &Writer, seen: &[&str]) -> Result<(Vec<Step>, Vec<String>), Refusal> {
        let (path, query) =
            self.target.split_once('?').map_or((self.target, None), |(path, query)| (path, Some(query)));
        let asked = WriteAsked {
            method: self.method,
            path,
            query,
            content_type: (!self.body.is_empty()).then_some(self.media),
            link: self.link.as_deref(),
            body: self.body.as_bytes(),
        };
        let seen: BTreeSet<String> = seen.iter().map(|id| (*id).to_owned()).collect();
        writer.request(&asked)?.steps(&seen)
    }
}

const OURS: &str = "urn:ngsi-ld:Air:ours:1";
const ENTITY: &str = "/ngsi-ld/v1/entities/urn:ngsi-ld:Air:ours:1";

/// What the broker gets: method, path, and the body.
fn got(step: &Step) -> (String, Value) {
    let query: Vec<String> = step.query.iter().map(|(name, value)| format!("?{name}={value}")).collect();
    let line = format!("{} /{}{}", step.method, step.segments.join("/"), query.join(""));
    let body = step.body.as_ref().map(|(body, _)| serde_json::from_slice(body).unwrap()).unwrap_or_default();
    (line, body)
}

fn passes(method: &str, target: &str, body: &Value) -> (String, Value) {
    let (steps, missing) =
        Request::new(method, target, body).steps(&writer(&json!({})), &[OURS]).unwrap_or_else(|refusal| {
            panic!("{method} {target} {body}: {refusal}");
        });
    assert!(missing.is_empty());
    assert_eq!(steps.len(), 1);
    got(&steps[0])
}

#[test]
fn operations_as_the_broker_gets_them() {
    let no2 = json!({"no2": {"type": "Property", "value": 1}});
    let entity = json!({"id": OURS, "type": "Air", "no2": {"type": "Property", "value": 1}});
    let batch = json!([entity]);
    for (method, target, body, line) in [
        ("POST", "/ngsi-ld/v1/entities", &entity, "POST /ngsi-ld/v1/entities"),
        ("POST", "/entities", &entity, "POST /entities"),
        ("POST", &format!("{ENTITY}/attrs"), &no2, &format!("POST {ENTITY}/attrs")),
        (
            "POST",
            &format!("{ENTITY}/attrs?options=noOverwrite"),
            &no2,
            &format!("POST {ENTITY}/attrs?options=noOverwrite"),
        ),
        ("PATCH", &format!("{ENTITY}/attrs"), &no2, &format!("PATCH {ENTITY}/attrs")),
        ("PATCH", &format!("{ENTITY}/attrs/no2"), &json!({"value": 1}), &format!("PATCH {ENTITY}/attrs/no2")),
        ("PATCH", ENTITY, &no2, &format!("PATCH {ENTITY}")),
        ("DELETE", &format!("{ENTITY}/attrs/no2"), &Value::Null, &format!("DELETE {ENTITY}/attrs/no2")),
        (
            "DELETE",
            &format!("{ENTITY}/attrs/speed?datasetId=urn:gps"),
            &Value::Null,
            &format!("DELETE {ENTITY}/attrs/speed?datasetId=urn:gps"),
        ),
        ("DELETE", ENTITY, &Value::Null, &format!("DELETE {ENTITY}")),
        ("POST", "/ngsi-ld/v1/entityOperations/update", &batch, "POST /ngsi-ld/v1/entityOperations/update"),
        ("POST", "/ngsi-ld/v1/entityOperations/merge", &batch, "POST /ngsi-ld/v1/entityOperations/merge"),
        ("POST", "/ngsi-ld/v1/entityOperations/delete", &json!([OURS]), "POST /ngsi-ld/v1/entityOperations/delete"),
        (
            "POST",
            "/ngsi-ld/v1/entityOperations/upsert?options=update",
            &batch,
            "POST /ngsi-ld/v1/entityOperations/update",
        ),
    ] {
        assert_eq!(passes(method, target, body).0, *line, "{method} {target}");
    }
}

#[test]
fn attributes_are_written_anew() {
    let point = json!({"type": "Point", "coordinates": [16.8, 41.1]});
    for (given, expected) in [
        (json!({"no2": 41}), json!({"no2": {"type": "Property", "value": 41}})),
        (
            json!({"no2": {"value": 1.50, "unitCode": "GQ"}}),
            json!({"no2": {"type": "Property", "value": 1.50, "unitCode": "GQ"}}),
        ),
        (json!({"location": point}), json!({"location": {"type": "GeoProperty", "value": point}})),
        (json!({"location": {"value": point}}), json!({"location": {"type": "GeoProperty", "value": point}})),
        (
            json!({"refDevice": {"object": "urn:d:1"}}),
            json!({"refDevice": {"type": "Relationship", "object": "urn:d:1"}}),
        ),
        (
            json!({"name": {"languageMap": {"it": "Piazza", "@none": "x"}}}),
            json!({"name": {"type": "LanguageProperty", "languageMap": {"it": "Piazza", "@none": "x"}}}),
        ),
        (
            json!({"no2": {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-01-01"}}}),
            json!({"no2": {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-01-01"}}}),
        ),
        (
            json!({"no2": {"type": "Property", "value": 1, "accuracy": 0.9}}),
            json!({"no2": {"type": "Property", "value": 1, "accuracy": {"type": "Property", "value": 0.9}}}),
        ),
        (
            json!({"speed": [{"value": 1}, {"value": 2, "datasetId": "urn:gps"}]}),
            json!({"speed": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:gps"}]}),
        ),
        (json!({format!("{DEFAULT}no2"): 1}), json!({"no2": {"type": "Property", "value": 1}})),
        (json!({"no2": {"type": "Property", "value": NULL}}), json!({"no2": {"type": "Property", "value": NULL}})),
        (
            json!({"id": OURS, "@type": "Air", "no2": 1}),
            json!({"type": "Air", "no2": {"type": "Property", "value": 1}}),
        ),
    ] {
        assert_eq!(passes("PATCH", &format!("{ENTITY}/attrs"), &given).1, expected, "{given}");
    }
    // A part says no more than it says.
    assert_eq!(passes("PATCH", ENTITY, &json!({"no2": {"unitCode": "GQ"}})).1, json!({"no2": {"unitCode": "GQ"}}));
    assert_eq!(passes("PATCH", ENTITY, &json!({"no2": NULL})).1, json!({"no2": NULL}));
}

#[test]
fn names_are_whole_where_a_context_could_give_them_another_meaning() {
    let entity = json!({"id": OURS, "type": "Air", "no2": {"value": 1, "accuracy": 2}, "location": {"type": "Point", "coordinates": [1, 2]}});
    let mut request = Request::new("POST", "/entities", &entity);
    request.link = Some(link(CONTEXT));
    let step = &request.steps(&writer(&json!({})), &[]).unwrap().0[0];
    let body = got(step).1;
    assert_eq!(step.body.as_ref().unwrap().1, LD);
    assert_eq!((&body["@context"], &body["type"]), (&json!([CONTEXT]), &json!("https://m/Air")));
    assert_eq!(body["https://m/no2"]["https://m/accuracy"]["value"], 2);
    assert!(body.get("location").is_some() && body.get("no2").is_none());
    // The same name under a context that means something else by it.
    let mut request = Request::new("PATCH", ENTITY, &json!({"speed": 5}));
    request.link = Some(link(RENAMED));
    assert_eq!(got(&request.steps(&writer(&json!({})), &[OURS]).unwrap().0[0]).1["https://m/no2"]["value"], 5);
    // A context in the body, and several of them.
    let mut with_context = entity.clone();
    with_context["@context"] = json!([CONTEXT, "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"]);
    let mut request = Request::new("POST", "/entities", &with_context);
    request.media = LD;
    assert_eq!(got(&request.steps(&writer(&json!({})), &[]).unwrap().0[0]).1, body);
    let mut request = Request::new("DELETE", "/entities/urn:ngsi-ld:Air:ours:1/attrs/no2", &Value::Null);
    request.link = Some(link(CONTEXT));
    let step = &request.steps(&writer(&json!({})), &[OURS]).unwrap().0[0];
    assert_eq!(step.segments.last().unwrap(), "https://m/no2");
}

/// Attempts that must not reach a broker, each with the code of its refusal.
#[test]
fn attempts_to_write_more() {
    let entity = |more: Value| {
        let mut entity = json!({"id": OURS, "type": "Air", "no2": 1});
        for (name, value) in more.as_object().unwrap() {
            entity[name] = value.clone();
        }
        entity
    };
    let attrs = format!("{ENTITY}/attrs");
    let (name, body, query) = ("name_not_admitted", "body_not_readable", "query_not_admitted");
    let batch = |operation: &str| format!("/ngsi-ld/v1/entityOperations/{operation}");
    let table: Vec<(&str, String, Value, &str)> = vec![
        // Replacing and purging.
        ("PUT", ENTITY.into(), entity(json!({})), "method_not_admitted"),
        ("PUT", format!("{attrs}/no2"), json!({"value": 1}), "method_not_admitted"),
        ("DELETE", "/ngsi-ld/v1/entities?type=Air".into(), Value::Null, "method_not_admitted"),
        ("POST", batch("upsert"), json!([entity(json!({}))]), query),
        ("POST", format!("{}?options=replace", batch("upsert")), json!([entity(json!({}))]), query),
        ("POST", batch("purge"), json!({}), "path_not_admitted"),
        // Other roads.
        ("POST", "/ngsi-ld/v1/temporal/entities".into(), entity(json!({})), "path_not_admitted"),
        ("DELETE", format!("/ngsi-ld/v1/temporal/entities/{OURS}"), Value::Null, "path_not_admitted"),
        ("POST", "/ngsi-ld/v1/subscriptions".into(), json!({}), "path_not_admitted"),
        ("POST", "/ngsi-ld/v1/csourceRegistrations".into(), json!({}), "path_not_admitted"),
        ("POST", "/ngsi-ld/v1/jsonldContexts".into(), json!({}), "path_not_admitted"),
        ("POST", "/ngsi-ld/v1/snapshots".into(), json!({}), "path_not_admitted"),
        ("PATCH", "/ngsi-ld/v1/entities/../subscriptions/urn:x".into(), json!({}), "path_not_safe"),
        // Types, ids, attributes.
        ("POST", "/entities".into(), json!({"id": OURS, "type": "Car", "no2": 1}), name),
        ("POST", "/entities".into(), json!({"id": OURS, "type": ["Air", "Car"]}), name),
        ("POST", "/entities".into(), json!({"id": OURS, "type": []}), body),
        ("POST", "/entities".into(), json!({"id": OURS, "no2": 1}), body),
        ("POST", "/entities".into(), json!({"type": "Air", "no2": 1}), body),
        ("POST", "/entities".into(), json!({"id": "urn:ngsi-ld:Air:theirs:1", "type": "Air"}), name),
        ("POST", "/entities".into(), json!({"id": "urn:ngsi-ld:Air:ours:1,urn:x", "type": "Air"}), body),
        ("POST", "/entities".into(), json!({"id": OURS, "@id": "urn:ngsi-ld:Air:ours:2", "type": "Air"}), body),
        ("POST", "/entities".into(), json!({"id": OURS, "type": "Air", "@type": "Air"}), body),
        ("PATCH", "/entities/urn:ngsi-ld:Air:theirs:1".into(), json!({"no2": 1}), "no_such_entity"),
        ("PATCH", ENTITY.into(), json!({"id": "urn:ngsi-ld:Air:ours:2", "no2": 1}), body),
        ("PATCH", ENTITY.into(), json!({"type": "Car", "no2": 1}), name),
        ("PATCH", ENTITY.into(), json!({"plate": 1}), name),
        ("PATCH", ENTITY.into(), json!({"https://m/plate": 1}), name),
        ("PATCH", ENTITY.into(), json!({"ngsi-ld:hasValue": 1}), name),
        ("PATCH", ENTITY.into(), json!({"no2": 1, "https://uri.etsi.org/ngsi-ld/default-context/no2": 2}), body),
        ("PATCH", format!("{attrs}/plate"), json!({"value": 1}), name),
        ("PATCH", format!("{attrs}/https%3A%2F%2Fm%2Fplate"), json!({"value": 1}), "path_not_safe"),
        ("DELETE", format!("{attrs}/plate"), Value::Null, name),
        ("DELETE", format!("{attrs}/type"), Value::Null, name),
        ("DELETE", format!("{attrs}/scope"), Value::Null, name),
        // Members, parts and instances.
        ("PATCH", ENTITY.into(), json!({"scope": "/x", "no2": 1}), name),
        ("PATCH", ENTITY.into(), json!({"createdAt": "2026-01-01T00:00:00Z", "no2": 1}), name),
        ("PATCH", attrs.clone(), json!({"no2": {"value": 1, "operator": "x"}}), name),
        ("PATCH", attrs.clone(), json!({"no2": {"value": 1, "accuracy": {"value": 1, "accuracy": 2}}}), name),
        ("PATCH", attrs.clone(), json!({"no2": {"value": 1, "previousValue": 2}}), name),
        ("PATCH", attrs.clone(), json!({"no2": {"value": 1, "instanceId": "urn:i"}}), name),
        ("PATCH", attrs.clone(), json!({"no2": {"value": 1, "ngsildproof": {}}}), name),
        ("PATCH", attrs.clone(), json!({"refDevice": {"object": "urn:d", "entity": {"id": "urn:d"}}}), name),
        ("PATCH", attrs.clone(), json!({"no2": {"value": 1, "datasetId": "urn:gps"}}), name),
        ("PATCH", attrs.clone(), json!({"speed": [{"value": 1}, {"value": 2, "datasetId": "urn:other"}]}), name),
        ("PATCH", attrs.clone(), json!({"speed": [{"value": 1}, {"value": 2}]}), body),
        ("DELETE", format!("{attrs}/no2?datasetId=urn:gps"), Value::Null, name),
        ("DELETE", format!("{attrs}/no2?deleteAll=true"), Value::Null, query),
        // Values that are none.
        ("PATCH", attrs.clone(), json!({"no2": null}), body),
        ("PATCH", attrs.clone(), json!({"no2": {"unitCode": "GQ"}}), body),
        ("PATCH", attrs.clone(), json!({"no2": {"value": 1, "object": "urn:x"}}), body),
        ("PATCH", attrs.clone(), json!({"no2": {"type": "Secret", "value": 1}}), body),
        ("PATCH", attrs.clone(), json!({"no2": {"type": "Property", "object": "urn:x"}}), name),
        ("PATCH", attrs.clone(), json!({"no2": {"value": {"@context": {"x": "https://m/plate"}, "x": 1}}}), body),
        ("PATCH", attrs.clone(), json!({"no2": {"value": {"@id": "urn:x"}}}), body),
        ("PATCH", attrs.clone(), json!({"refDevice": {"object": "no uri"}}), body),
        ("PATCH", attrs.clone(), json!({"location": {"type": "GeoProperty", "value": "here"}}), body),
        ("PATCH", attrs.clone(), json!([{"no2": 1}]), body),
        ("PATCH", attrs.clone(), json!({}), body),
        ("POST", "/entities".into(), entity(json!({"no2": NULL})), body),
        ("POST", "/entities".into(), entity(json!({"no2": "x".repeat(3000)})), "body_too_large"),
        ("POST", "/entities".into(), entity(json!({"no2": "x".repeat(7000)})), "body_too_large"),
        // Batches.
        ("POST", batch("create"), json!([]), body),
        ("POST", batch("create"), json!({"id": OURS}), body),
        ("POST", batch("create"), json!([entity(json!({})), entity(json!({}))]), body),
        ("POST", batch("delete"), json!([{"id": OURS}]), body),
        ("POST", batch("delete"), json!([1]), body),
        ("POST", batch("delete"), json!(["urn:a:1", "urn:a:2", "urn:a:3", "urn:a:4"]), body),
        ("POST", batch("update"), json!([entity(json!({})), {"id": "urn:x:1", "plate": 1}]), name),
        // Parameters.
        ("PATCH", format!("{ENTITY}?options=keyValues"), json!({"no2": 1}), query),
        ("PATCH", format!("{attrs}?format=simplified"), json!({"no2": 1}), query),
        ("POST", format!("{attrs}?options=noOverwrite&options=x"), json!({"no2": 1}), query),
        ("POST", "/entities?local=true".into(), entity(json!({})), query),
        ("DELETE", format!("{ENTITY}?type=Car"), Value::Null, query),
        ("DELETE", ENTITY.into(), json!({"no2": 1}), body),
    ];
    assert!(table.len() > 60);
    for (method, target, given, code) in table {
        let refused = Request::new(method, &target, &given).steps(&writer(&json!({})), &[OURS]);
        let refusal = refused.expect_err(&format!("{method} {target} {given}"));
        assert_eq!(refusal.code, code, "{method} {target} {given}: {refusal}");
    }
}

#[test]
fn attempts_by_headers_and_bytes() {
    let entity = format!("{{\"id\":\"{OURS}\",\"type\":\"Air\",\"no2\":1}}");
    let with = |context: &str| entity.replace("{\"id\"", &format!("{{\"@context\":{context},\"id\""));
    let link = |url: &str| Some(link(url));
    for (media, given, body, code) in [
        ("text/plain", None, entity.clone(), "content_type_not_admitted"),
        ("application/merge-patch+json", None, entity.clone(), "content_type_not_admitted"),
        (JSON, link("https://evil.example/c"), entity.clone(), "context_not_admitted"),
        (
            JSON,
            Some(format!("{}, {}", link(CONTEXT).unwrap(), link(RENAMED).unwrap())),
            entity.clone(),
            "context_not_admitted",
        ),
        (JSON, Some("<https://x>; rel=\"next\"".to_owned()), entity.clone(), "context_not_admitted"),
        (JSON, None, with("\"https://city.example/context.jsonld\""), "context_misplaced"),
        (LD, None, entity.clone(), "context_misplaced"),
        (LD, None, with("{\"no2\": \"https://m/plate\"}"), "context_not_admitted"),
        (
            LD,
            None,
            with("[\"https://city.example/context.jsonld\", {\"no2\": \"https://m/plate\"}]"),
            "context_not_admitted",
        ),
        (LD, None, with("\"https://evil.example/c\""), "context_not_admitted"),
        (LD, link(CONTEXT), with("\"https://city.example/context.jsonld\""), "context_misplaced"),
        (JSON, link(RENAMED), entity.clone(), "name_not_admitted"),
        (JSON, None, entity.replace("\"no2\":1", "\"no2\":1,\"no2\":2"), "body_not_readable"),
        (JSON, None, entity.replace("\"no2\":1", "\"no2\":1,\"\\u006eo2\":2"), "body_not_readable"),
        (JSON, None, format!("{entity}{entity}"), "body_not_readable"),
        (JSON, None, entity.replace("1}", &format!("{}1{}}}", "[".repeat(50), "]".repeat(50))), "body_not_readable"),
        (JSON, None, String::from("\u{feff}{}"), "body_not_readable"),
    ] {
        let request = Request { method: "POST", target: "/entities", media, link: given, body: body.clone() };
        let refusal = request.steps(&writer(&json!({})), &[]).expect_err(&body);
        assert_eq!(refusal.code, code, "{media} {body}: {refusal}");
    }
}

#[test]
fn only_what_is_named_may_be_done() {
    let entity = json!({"id": OURS, "type": "Air", "no2": 1});
    for (operation, method, target, body) in [
        ("create", "POST", "/entities".to_owned(), entity.clone()),
        ("create", "POST", "/entityOperations/create".to_owned(), json!([entity])),
        ("append", "POST", format!("{ENTITY}/attrs"), json!({"no2": 1})),
        ("append", "POST", "/entityOperations/update".to_owned(), json!([entity])),
        ("patch", "PATCH", format!("{ENTITY}/attrs"), json!({"no2": 1})),
        ("patch", "PATCH", format!("{ENTITY}/attrs/no2"), json!({"value": 1})),
        ("merge", "PATCH", ENTITY.to_owned(), json!({"no2": 1})),
        ("merge", "POST", "/entityOperations/merge".to_owned(), json!([entity])),
        ("upsert", "POST", "/entityOperations/upsert?options=update".to_owned(), json!([entity])),
        ("delete", "DELETE", format!("{ENTITY}/attrs/no2"), Value::Null),
        ("delete", "PATCH", ENTITY.to_owned(), json!({"no2": {"type": "Property", "value": NULL}})),
        ("delete", "PATCH", ENTITY.to_owned(), json!({"no2": {"unitCode": NULL}})),
        ("delete", "PATCH", ENTITY.to_owned(), json!({"name": {"languageMap": {"it": NULL}}})),
        ("deleteEntity", "DELETE", ENTITY.to_owned(), Value::Null),
        ("deleteEntity", "POST", "/entityOperations/delete".to_owned(), json!([OURS])),
    ] {
        let without: Vec<&str> = ALL.into_iter().filter(|name| *name != operation).collect();
        let request = Request::new(method, &target, &body);
        assert!(request.steps(&writer(&json!({})), &[OURS]).is_ok(), "{method} {target}");
        let refusal = request.steps(&writer(&json!({"operations": without})), &[OURS]).unwrap_err();
        assert_eq!(refusal.code, "operation_not_admitted", "{method} {target} without {operation}");
    }
    // Who may only add does not write over what is there.
    let attrs = format!("{ENTITY}/attrs");
    let step = Request::new("POST", &attrs, &json!({"no2": 1}));
    let step = step.steps(&writer(&json!({"operations": ["append"]})), &[OURS]).unwrap().0;
    assert!(got(&step[0]).0.ends_with("?options=noOverwrite"));
}

#[test]
fn a_hidden_entity_is_one_that_is_not_there() {
    let (other, entity) = ("urn:ngsi-ld:Air:ours:2", |id: &str| json!({"id": id, "type": "Air", "no2": 1}));
    let writer = writer(&json!({}));
    let absent = Request::new("PATCH", ENTITY, &json!({"no2": 1})).steps(&writer, &[]).unwrap_err();
    let elsewhere = Request::new("PATCH", "/entities/urn:x:1", &json!({"no2": 1})).steps(&writer, &[]).unwrap_err();
    assert_eq!((absent.code, &absent), ("no_such_entity", &elsewhere));
    let both = json!([entity(OURS), entity(other)]);
    let (steps, missing) = Request::new("POST", "/entityOperations/update", &both).steps(&writer, &[OURS]).unwrap();
    assert_eq!((got(&steps[0]).1.as_array().unwrap().len(), missing), (1, vec![other.to_owned()]));
    // An upsert updates what is shown, and makes the rest; what is hidden is taken then.
    let upsert = Request::new("POST", "/entityOperations/upsert?options=update", &both);
    let (steps, missing) = upsert.steps(&writer, &[OURS]).unwrap();
    let lines: Vec<(String, Value)> = steps.iter().map(got).collect();
    assert_eq!((lines[0].0.as_str(), &lines[0].1[0]["id"]), ("POST /entityOperations/update", &json!(OURS)));
    assert_eq!((lines[1].0.as_str(), &lines[1].1[0]["id"]), ("POST /entityOperations/create", &json!(other)));
    assert!(missing.is_empty());
}

#[test]
fn entities_are_looked_for_by_what_is_shown() {
    let plain = writer(&json!({}));
    let question = plain.question(&[OURS.to_owned(), "urn:x:1".to_owned()]).unwrap();
    assert_eq!(question[0], ("id".to_owned(), OURS.to_owned()));
    assert!(plain.question(&["urn:x:1".to_owned()]).is_none());
    let raw = json!([
        {"id": OURS, "type": "https://m/Air"},
        {"id": "urn:ngsi-ld:Air:ours:2", "type": ["https://m/Air", "Car"]},
        {"id": "urn:ngsi-ld:Air:ours:3", "type": "https://m/Air"},
    ])
    .to_string();
    let shown = json!([{"id": OURS}, {"id": "urn:ngsi-ld:Air:ours:2"}]).to_string();
    // The second has a type that may not be written, the third is not shown.
    let seen = plain.seen(None, raw.as_bytes(), shown.as_bytes()).unwrap();
    assert_eq!(seen, BTreeSet::from([OURS.to_owned()]));
    assert_eq!(
        plain.seen(Some("https://evil/c"), raw.as_bytes(), shown.as_bytes()).unwrap_err().code,
        "context_unknown"
    );
    // A type's short name means what the answer's context says.
    let short = json!([{"id": OURS, "type": "Air"}]).to_string();
    assert!(plain.seen(Some(RENAMED), short.as_bytes(), shown.as_bytes()).unwrap().is_empty());
    assert_eq!(plain.seen(Some(CONTEXT), short.as_bytes(), shown.as_bytes()).unwrap().len(), 1);
    // A type that is written and not shown: nothing of it can be there.
    let selection: Selection =
        serde_json::from_value(json!({"types": ["https://m/Car"], "attributes": [{"name": "https://m/no2"}]})).unwrap();
    let filter = Arc::new(Filter::new(selection).unwrap());
    assert!(Writer::new(writing(&json!({})), Some(filter)).unwrap().question(&[OURS.to_owned()]).is_none());
}

#[test]
fn what_is_veiled_is_not_written() {
    let veiled =
        json!({"types": ["https://m/Air"], "attributes": [{"name": "https://m/no2"}], "coordinateDecimals": 2});
    let filter = Arc::new(Filter::new(serde_json::from_value(veiled).unwrap()).unwrap());
    assert_eq!(Writer::new(writing(&json!({})), Some(filter)).unwrap_err().code, "writing_not_usable");
}

#[test]
fn answers_tell_what_was_sent_and_nothing_else() {
    let writer = writer(&json!({}));
    let attrs = format!("{ENTITY}/attrs");
    let patch = Request::new("PATCH", &attrs, &json!({"no2": 1, "speed": 2}));
    let step = patch.steps(&writer, &[OURS]).unwrap().0.remove(0);
    let canary = json!({"updated": ["no2", "https://m/CANARY"],
        "notUpdated": [{"attributeName": "speed", "reason": "CANARY", "registrationId": "urn:CANARY"}]});
    let mut written = Written::default();
    written.add(&step, step.outcome(207, canary.to_string().as_bytes())).unwrap();
    let told = written.in_part().unwrap();
    assert_eq!(told["updated"], json!([format!("{DEFAULT}no2")]));
    assert_eq!(told["notUpdated"][0]["attributeName"], format!("{DEFAULT}speed"));
    assert!(!told.to_string().contains("CANARY"));
    for (status, failure) in [
        (400, Failure::Refused),
        (401, Failure::Locked),
        (404, Failure::Missing),
        (409, Failure::Taken),
        (422, Failure::Unsupported),
        (500, Failure::Failed),
        (302, Failure::Failed),
    ] {
        assert_eq!(step.outcome(status, b"CANARY"), Outcome::Nothing(failure), "{status}");
    }
    assert_eq!(step.outcome(207, b"CANARY"), Outcome::Nothing(Failure::Failed));
    let ids = ["urn:ngsi-ld:Air:ours:1", "urn:ngsi-ld:Air:ours:2", "urn:ngsi-ld:Air:ours:3"];
    let entities: Vec<Value> = ids.iter().map(|id| json!({"id": id, "type": "Air", "no2": 1})).collect();
    let step =
        Request::new("POST", "/entityOperations/create", &json!(entities)).steps(&writer, &[]).unwrap().0.remove(0);
    let canary = json!({"success": [ids[0], "urn:CANARY"],
        "errors": [{"entityId": ids[1], "error": {"type": "x", "title": "CANARY", "status": 409}}, {"entityId": "urn:CANARY"}]});
    let mut written = Written::default();
    written.add(&step, step.outcome(207, canary.to_string().as_bytes())).unwrap();
    let told = written.in_part().unwrap();
    assert!(!told.to_string().contains("CANARY"), "{told}");
    assert_eq!(told["success"], json!([ids[0]]));
    assert_eq!((&told["errors"][0]["entityId"], &told["errors"][0]["error"]["status"]), (&json!(ids[1]), &json!(409)));
    // Of the third nothing was said.
    assert_eq!(told["errors"][1]["error"]["status"], 500);
    assert_eq!(written.created, BTreeSet::from([ids[0].to_owned()]));
}
