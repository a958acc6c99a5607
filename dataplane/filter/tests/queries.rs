//! Queries that come as a body, and what is told of types and attributes: attempts to get past a selection, and what reaches
//! the broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use ngsi_ld_filter::{Asked, MAX_QUERY_BODY, Paged, Posted, Told, Upstream};
use serde_json::{Value, json};
use support::{CONTEXT, LOCATION, NOW, filter};

const QUERY: &str = "/ngsi-ld/v1/entityOperations/query";
const TEMPORAL: &str = "/ngsi-ld/v1/temporal/entityOperations/query";
const RELATION: &str = "http://www.w3.org/ns/json-ld#context";

fn link(url: &str) -> String {
    format!("<{url}>; rel=\"{RELATION}\"; type=\"application/ld+json\"")
}

fn post(more: &Value, target: &str, body: &str) -> Result<Upstream, String> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let asked = Asked { method: "POST", path, query, accept: None, link: None, now_ms: NOW };
    let posted = Posted { content_type: Some("application/json"), body: body.as_bytes() };
    filter(more).query(&asked, &posted).map_err(|refusal| refusal.code.to_owned())
}

/// The body that reaches the broker.
fn sent(upstream: &Upstream) -> Value {
    serde_json::from_str(upstream.body.as_ref().unwrap()).unwrap()
}

#[test]
fn attempts_by_the_body_of_a_query() {
    let members = [
        // Selectors.
        (json!({"entities": [{"type": "*"}]}), "name_not_admitted"),
        (json!({"entities": [{"type": "Plate"}]}), "name_not_admitted"),
        (json!({"entities": [{"type": "Air"}, {"type": "Plate"}]}), "name_not_admitted"),
        (json!({"entities": [{"type": "Air,Plate"}]}), "name_not_admitted"),
        (json!({"entities": [{"type": "(Air;Plate)"}]}), "name_not_admitted"),
        (json!({"entities": [{"type": ""}]}), "query_not_admitted"),
        (json!({"entities": [{"type": ["Air", "Plate"]}]}), "body_not_readable"),
        (json!({"entities": [{"@type": "Plate"}]}), "query_not_admitted"),
        (json!({"entities": [{"type": "Air", "@type": "Plate"}]}), "query_not_admitted"),
        (json!({"entities": [{"type": "Air", "@id": "urn:x:1"}]}), "query_not_admitted"),
        (json!({"entities": [{"type": "Air", "id": "urn:x:1", "idPattern": "urn:y.*"}]}), "body_not_readable"),
        (json!({"entities": [{"type": "Air", "id": {"value": "urn:x:1"}}]}), "body_not_readable"),
        (json!({"entities": []}), "body_not_readable"),
        (json!({"entities": {"type": "Air"}}), "body_not_readable"),
        (json!({"entities": vec![json!({"type": "Air"}); 101]}), "body_not_readable"),
        // Names.
        (json!({"attrs": ["plate"]}), "name_not_admitted"),
        (json!({"attrs": ["no2", "https://m/plate"]}), "name_not_admitted"),
        (json!({"attrs": ["no2,plate"]}), "body_not_readable"),
        (json!({"pick": ["id", "type", "plate"]}), "name_not_admitted"),
        (json!({"pick": ["id", "type", "refDevice{owner}"]}), "body_not_readable"),
        (json!({"pick": ["no2"]}), "query_not_admitted"),
        (json!({"omit": ["type"]}), "name_not_admitted"),
        (json!({"q": "plate==\"BA*\""}), "name_not_admitted"),
        (json!({"q": "no2>1|(no2<5;plate)"}), "name_not_admitted"),
        (json!({"q": "refDevice{Device:owner}==1"}), "query_not_admitted"),
        (json!({"q": ["no2>1"]}), "body_not_readable"),
        (json!({"scopeQ": "/secret"}), "query_not_admitted"),
        (
            json!({"geoQ": {"georel": "near;maxDistance==1", "geometry": "Point", "coordinates": [1, 2],
            "geoproperty": "home"}}),
            "name_not_admitted",
        ),
        (json!({"geoQ": {"georel": "near;maxDistance==1", "geometry": "Point"}}), "body_not_readable"),
        (
            json!({"geoQ": {"georel": "within", "geometry": "Point", "coordinates": "[1,2]&q=plate"}}),
            "query_not_admitted",
        ),
        (
            json!({"geoQ": {"georel": "within", "geometry": "Point", "coordinates": [1, 2], "x": 1}}),
            "query_not_admitted",
        ),
        // Other roads.
        (json!({"join": "inline"}), "query_not_admitted"),
        (json!({"join": "flat", "joinLevel": 9}), "query_not_admitted"),
        (json!({"containedBy": ["urn:x:1"]}), "query_not_admitted"),
        (json!({"expandValues": ["plate"]}), "query_not_admitted"),
        (json!({"jsonKeys": ["plate"]}), "query_not_admitted"),
        (json!({"csf": "plate==1"}), "query_not_admitted"),
        (json!({"entityMap": true}), "query_not_admitted"),
        (json!({"splitEntities": true}), "query_not_admitted"),
        (json!({"aggrParams": {"aggrMethods": ["max"]}}), "query_not_admitted"),
        (json!({"ordering": {"orderBy": ["plate"]}}), "query_not_admitted"),
        (json!({"temporalQ": {"timerel": "before", "timeAt": "2026-01-01T00:00:00Z"}}), "query_not_admitted"),
        (json!({"limit": 5}), "query_not_admitted"),
        (json!({"options": "sysAttrs"}), "query_not_admitted"),
        (json!({"@id": "urn:x:1"}), "query_not_admitted"),
        (json!({"@graph": []}), "query_not_admitted"),
        // Another meaning of names.
        (json!({"@context": CONTEXT}), "context_misplaced"),
        (json!({"@context": {"no2": "https://m/plate"}}), "context_misplaced"),
        (json!({"type": "Subscription"}), "body_not_readable"),
    ];
    for (more, code) in &members {
        let mut body = json!({"type": "Query", "entities": [{"type": "Air"}]});
        for (name, member) in more.as_object().unwrap() {
            body[name] = member.clone();
        }
        assert_eq!(post(&json!({}), QUERY, &body.to_string()).map(|_| ()), Err((*code).to_owned()), "{body}");
    }
    let texts = [
        // The first or the last, as the reader likes.
        r#"{"type":"Query","entities":[{"type":"Air"}],"entities":[{"type":"Plate"}]}"#,
        r#"{"type":"Query","entities":[{"type":"Air","type":"Plate"}]}"#,
        r#"{"type":"Query","q":"no2>1","\u0071":"plate"}"#,
        r#"{"type":"Query"} {"type":"Query"}"#,
        "[{\"type\":\"Query\"}]",
        "",
    ];
    for text in texts {
        assert_eq!(post(&json!({}), QUERY, text).map(|_| ()), Err("body_not_readable".to_owned()), "{text}");
    }
    let long = format!("{{\"type\":\"Query\"}}{}", " ".repeat(MAX_QUERY_BODY));
    assert_eq!(post(&json!({}), QUERY, &long).unwrap_err(), "body_not_readable");
    for (target, code) in [
        ("?type=Air", "query_not_admitted"),
        ("?q=plate", "query_not_admitted"),
        ("?join=inline", "query_not_admitted"),
        ("?options=sysAttrs", "representation_not_admitted"),
        ("?limit=5&limit=6", "query_repeated"),
        ("?limit=x", "query_not_admitted"),
        ("?geometryProperty=home", "name_not_admitted"),
    ] {
        let refused = post(&json!({}), &format!("{QUERY}{target}"), r#"{"type":"Query"}"#);
        assert_eq!(refused.unwrap_err(), code, "{target}");
    }
    for path in ["/ngsi-ld/v1/entities", "/ngsi-ld/v1/entityOperations/upsert", "/ngsi-ld/v1/entityOperations/query/"] {
        assert_eq!(post(&json!({}), path, r#"{"type":"Query"}"#).unwrap_err(), "method_not_admitted", "{path}");
    }
    assert!(members.len() + texts.len() >= 50);
}

#[test]
fn attempts_by_the_context_of_a_body() {
    let ask = |content_type: &str, header: Option<&str>, context: Value| {
        let mut body = json!({"type": "Query", "entities": [{"type": "https://m/Air"}]});
        if !context.is_null() {
            body["@context"] = context;
        }
        let asked = Asked { method: "POST", path: QUERY, query: None, accept: None, link: header, now_ms: NOW };
        let body = body.to_string();
        let posted = Posted { content_type: Some(content_type), body: body.as_bytes() };
        filter(&json!({})).query(&asked, &posted).map(|upstream| upstream.link).map_err(|refusal| refusal.code)
    };
    let (json, ld) = ("application/json", "application/ld+json");
    let (ours, evil) = (link(CONTEXT), link("https://evil.example/c.jsonld"));
    let core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld";
    assert_eq!(ask(json, None, Value::Null), Ok(ours.clone()));
    assert_eq!(ask("application/json; charset=utf-8", Some(&ours), Value::Null), Ok(ours.clone()));
    assert_eq!(ask(ld, None, json!([CONTEXT, core])), Ok(ours.clone()));
    assert!(ask(ld, None, json!(core)).unwrap().contains("ngsi-ld-core-context"));
    for (content_type, header, context, code) in [
        (json, Some(evil.as_str()), Value::Null, "context_not_admitted"),
        (json, None, json!(CONTEXT), "context_misplaced"),
        (ld, None, Value::Null, "context_misplaced"),
        (ld, Some(ours.as_str()), json!(CONTEXT), "context_misplaced"),
        (ld, None, json!("https://evil.example/c.jsonld"), "context_not_admitted"),
        (ld, None, json!([CONTEXT, "https://evil.example/c.jsonld"]), "context_not_admitted"),
        (ld, None, json!([CONTEXT, {"no2": "https://m/plate"}]), "context_not_admitted"),
        (ld, None, json!({"Air": "https://m/Plate"}), "context_not_admitted"),
        (ld, None, json!("https://a>; rel=next, <https://m"), "context_not_admitted"),
        (ld, None, json!(7), "context_not_admitted"),
        ("text/plain", None, Value::Null, "content_type_not_admitted"),
        ("application/json; charset=utf-16", None, Value::Null, "content_type_not_admitted"),
        ("application/merge-patch+json", None, Value::Null, "content_type_not_admitted"),
        ("", None, Value::Null, "content_type_not_admitted"),
    ] {
        assert_eq!(ask(content_type, header, context.clone()), Err(code), "{content_type} {header:?} {context}");
    }
}

#[test]
fn what_the_broker_is_asked() {
    let upstream = post(&json!({}), QUERY, r#"{"type":"Query"}"#).unwrap();
    assert_eq!(sent(&upstream), json!({"type": "Query", "entities": [{"type": "https://m/Air,https://m/Car"}]}));
    assert_eq!((upstream.query.as_slice(), upstream.link), ([].as_slice(), link(CONTEXT)));
    let rows = json!({
        "ids": ["urn:ngsi-ld:Air:open.*"],
        "rows": {"q": "https://m/state==\"public\""},
        "attributes": [{"name": "https://m/no2"}, {"name": LOCATION}],
    });
    let body = json!({"type": "Query", "q": "no2>1|no2<0", "pick": ["id", "type", "no2"],
        "entities": [{"type": "Air"}, {"id": ["urn:ngsi-ld:Air:open.1", "urn:ngsi-ld:Air:open.2"], "type": "Air"},
            {"type": "Car", "idPattern": ".*"}],
        "geoQ": {"georel": "near;maxDistance==9", "geometry": "Point", "coordinates": [16.8, 41.1]}});
    let upstream = post(&rows, &format!("{QUERY}?limit=5&offset=10&options=concise"), &body.to_string()).unwrap();
    let pattern = "^(urn:ngsi-ld:Air:open[.].*)$";
    assert_eq!(
        sent(&upstream),
        json!({"type": "Query", "q": "state==\"public\";(no2>1|no2<0)", "pick": ["id", "type", "no2", "state"],
            "entities": [{"type": "Air", "idPattern": pattern},
                {"type": "Air", "id": ["urn:ngsi-ld:Air:open.1", "urn:ngsi-ld:Air:open.2"]},
                {"type": "Car", "idPattern": pattern}],
            "geoQ": {"georel": "near;maxDistance==9", "geometry": "Point", "coordinates": [16.8, 41.1]}})
    );
    assert_eq!(upstream.query, [("options".to_owned(), "concise".to_owned())]);
    assert_eq!(upstream.paged, Some(Paged { offset: 10, limit: Some(5), count: false }));
    for hidden in ["urn:ngsi-ld:Air:closed", "urn:ngsi-ld:Air:open.1,urn:x:1", "urn:x:1"] {
        let body = json!({"type": "Query", "entities": [{"type": "Air"}, {"type": "Air", "id": hidden}]}).to_string();
        assert!(post(&rows, QUERY, &body).is_err(), "{hidden}");
    }
}

#[test]
fn a_temporal_query_is_held_to_the_moments_that_are_shown() {
    let year = json!({"time": {"from": "2026-01-01T00:00:00Z"}});
    let ask = |time: Value| post(&year, TEMPORAL, &json!({"type": "Query", "temporalQ": time}).to_string());
    let upstream = ask(json!({"timerel": "before", "timeAt": "2026-06-01T00:00:00Z", "lastN": 3})).unwrap();
    assert_eq!(
        sent(&upstream)["temporalQ"],
        json!({"timerel": "between", "timeAt": "2026-01-01T00:00:00Z", "endTimeAt": "2026-06-01T00:00:00Z", "lastN": 3})
    );
    for time in [
        json!({"timerel": "before", "timeAt": "2025-06-01T00:00:00Z"}),
        json!({"timerel": "between", "timeAt": "2024-01-01T00:00:00Z", "endTimeAt": "2026-01-01T00:00:00Z"}),
        json!({"timerel": "before", "timeAt": "2026-06-01T00:00:00Z", "timeproperty": "modifiedAt"}),
        json!({"timerel": "before", "timeAt": "yesterday"}),
        json!({"timerel": "around", "timeAt": "2026-06-01T00:00:00Z"}),
        json!({"timerel": "before", "timeAt": "2026-06-01T00:00:00Z", "aggrMethods": "max"}),
        json!("2026"),
    ] {
        assert!(ask(time.clone()).is_err(), "{time}");
    }
    assert_eq!(post(&year, TEMPORAL, r#"{"type":"Query"}"#).unwrap_err(), "body_not_readable");
}

fn tell(more: &Value, target: &str, header: Option<&str>, accept: Option<&str>) -> Result<Option<Told>, String> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let asked = Asked { method: "GET", path, query, accept, link: header, now_ms: NOW };
    filter(more).told(&asked).map_err(|refusal| refusal.code.to_owned())
}

fn told(more: &Value, target: &str, header: Option<&str>) -> Value {
    let told = tell(more, target, header, None).unwrap().unwrap();
    serde_json::from_str(&told.body).unwrap()
}

#[test]
fn types_and_attributes_are_those_of_the_agreement() {
    let (none, ours) = (json!({}), link(CONTEXT));
    let ours = Some(ours.as_str());
    let types = told(&none, "/ngsi-ld/v1/types", ours);
    assert_eq!(types["typeList"], json!(["Air", "Car"]));
    assert_eq!(types["type"], "EntityTypeList");
    assert_eq!(told(&none, "/ngsi-ld/v1/types", None)["typeList"], json!(["https://m/Air", "https://m/Car"]));
    let details = told(&none, "/ngsi-ld/v1/types?details=true", ours);
    assert_eq!(
        details[0],
        json!({"id": "https://m/Air", "type": "EntityType", "typeName": "Air",
            "attributeNames": ["no2", "name", "refDevice", "location"]})
    );
    let one = told(&none, "/ngsi-ld/v1/types/Air", ours);
    assert_eq!((&one["type"], one["attributeDetails"].as_array().unwrap().len()), (&json!("EntityTypeInfo"), 4));
    assert!(one.get("entityCount").is_none());
    let attributes = told(&none, "/ngsi-ld/v1/attributes", ours);
    assert_eq!(attributes["attributeList"], json!(["name", "no2", "refDevice", "location"]));
    assert_eq!(
        told(&none, "/ngsi-ld/v1/attributes/no2?details=true", ours),
        json!({"id": "https://m/no2", "type": "Attribute", "attributeName": "no2", "typeNames": ["Air", "Car"]})
    );
    let ld = tell(&none, "/ngsi-ld/v1/types?details=true", ours, Some("application/ld+json")).unwrap().unwrap();
    let body: Value = serde_json::from_str(&ld.body).unwrap();
    assert_eq!((ld.media, ld.context, &body[1]["@context"]), ("application/ld+json", None, &json!(CONTEXT)));
}

#[test]
fn types_and_attributes_never_show_a_hidden_name() {
    let marking = json!({"https://m/Air": {"personal": ["https://m/name"]}, "https://m/Car": {"none": true}});
    let marked = json!({"personal": {"mode": "remove", "marking": marking}});
    let ours = link(CONTEXT);
    let ours = Some(ours.as_str());
    let hidden = ["plate", "owner", "accuracy", "state", "https://m/plate", "m:plate", "Plate", "*", "id", "type"];
    for more in [json!({}), marked.clone(), json!({"rows": {"q": "https://m/state==1"}})] {
        for target in ["types", "types?details=true", "attributes", "attributes?details=true", "types/Air"] {
            for header in [ours, None].into_iter().take(if target == "types/Air" { 1 } else { 2 }) {
                let text = told(&more, &format!("/ngsi-ld/v1/{target}"), header).to_string();
                for name in ["plate", "owner", "accuracy", "state", "level", "category"] {
                    assert!(!text.contains(name), "{target}: {text}");
                }
            }
        }
        let absent = tell(&more, "/ngsi-ld/v1/attributes/nothing", ours, None);
        assert_eq!(absent.as_ref().unwrap_err(), "no_such_attribute");
        for name in hidden.iter().filter(|name| !name.contains('/')) {
            assert_eq!(tell(&more, &format!("/ngsi-ld/v1/attributes/{name}"), ours, None), absent, "{name}");
            assert!(tell(&more, &format!("/ngsi-ld/v1/types/{name}"), ours, None).is_err(), "{name}");
        }
    }
    // What is personal in one type is shown of the other alone.
    assert_eq!(told(&marked, "/ngsi-ld/v1/attributes/name", ours)["typeNames"], json!(["Car"]));
    let of_air = told(&marked, "/ngsi-ld/v1/types?details=true", ours)[0]["attributeNames"].clone();
    assert_eq!(of_air, json!(["no2", "refDevice", "location"]));
    for (target, header, accept, code) in [
        ("types?details=yes", ours, None, "query_not_admitted"),
        ("types?details=true&details=true", ours, None, "query_not_admitted"),
        ("types?q=plate", ours, None, "query_not_admitted"),
        ("attributes?kind=all", ours, None, "query_not_admitted"),
        ("types", Some("<https://evil/c>; rel=\"http://www.w3.org/ns/json-ld#context\""), None, "context_not_admitted"),
        ("types", ours, Some("application/geo+json"), "representation_not_admitted"),
        ("types", ours, Some("text/html"), "representation_not_admitted"),
        ("types/../types", ours, None, "path_not_safe"),
    ] {
        assert_eq!(tell(&json!({}), &format!("/ngsi-ld/v1/{target}"), header, accept).unwrap_err(), code, "{target}");
    }
    for path in ["/ngsi-ld/v1/types/Air/x", "/ngsi-ld/v1/entities/urn:x:1/attributes", "/ngsi-ld/v1/jsonldContexts"] {
        assert_eq!(tell(&json!({}), path, None, None), Ok(None), "{path}");
    }
}

#[test]
fn of_other_types_there_is_nothing_to_count() {
    let count = |target: &str| tell(&json!({}), &format!("/ngsi-ld/v1/{target}"), None, None);
    let told = count("entities?type=None&limit=0&count=true").unwrap().unwrap();
    assert_eq!((told.body.as_str(), told.count), ("[]", Some(0)));
    assert_eq!(count("entities?type=Plate,None&limit=0&count=true&q=x").unwrap().unwrap().count, Some(0));
    for target in [
        "entities?type=Air&limit=0&count=true",
        "entities?type=None,Air&limit=0&count=true",
        "entities?type=None&limit=01&count=true",
        "entities?type=None&limit=0",
        "entities?type=*&limit=0&count=true",
        "entities?type=None&type=None&limit=0&count=true",
        "entities?limit=0&count=true",
        "entities/urn:x:1?type=None&limit=0&count=true",
    ] {
        assert_eq!(count(target), Ok(None), "{target}: the rules of a request decide");
    }
}

#[test]
fn pages_and_counts_are_of_what_is_shown() {
    let rows = json!({"rows": {"q": "https://m/state==\"public\""}});
    let ask = |more: &Value, query: &str| support::ask(more, &format!("{}?{query}", support::ENTITIES));
    let upstream = ask(&rows, "limit=5&offset=10&count=true&type=Air").unwrap();
    assert_eq!(upstream.paged, Some(Paged { offset: 10, limit: Some(5), count: true }));
    assert!(!upstream.count, "the source's own count is not told");
    assert!(upstream.query.iter().all(|(name, _)| !matches!(name.as_str(), "limit" | "offset" | "count")));
    let plain = ask(&rows, "type=Air").unwrap().paged;
    assert_eq!(plain, Some(Paged { offset: 0, limit: None, count: false }));
    let posted = post(&rows, &format!("{QUERY}?limit=0&count=true"), r#"{"type":"Query"}"#).unwrap();
    assert_eq!(posted.paged, Some(Paged { offset: 0, limit: Some(0), count: true }));
    assert!(posted.query.is_empty() && !sent(&posted).to_string().contains("limit"));
    // Where nothing is removed that the source counts, its own pages and count are right.
    let all = ask(&json!({}), "limit=5&offset=10&count=true").unwrap();
    assert_eq!((all.paged, all.count), (None, true));
    for query in ["limit=1001", "limit=0", "limit=0&count=false"] {
        assert_eq!(ask(&rows, query).unwrap_err(), "query_not_admitted", "{query}");
    }
    // What is not put together by us is not counted either.
    let temporal = format!("{}?timerel=before&timeAt=2026-01-01T00:00:00Z&count=true", support::TEMPORAL);
    assert_eq!(support::ask(&rows, &temporal).unwrap_err(), "query_not_admitted");
    let lines = support::ask_as(&rows, &format!("{}?count=true", support::ENTITIES), Some("application/x-ndjson"));
    assert_eq!(lines.unwrap_err(), "query_not_admitted");
    assert!(support::ask_as(&rows, support::ENTITIES, Some("text/csv")).unwrap().paged.is_none());
}
