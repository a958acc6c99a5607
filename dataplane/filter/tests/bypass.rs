//! Attempts to get past a selection by the way of asking. Each one is refused, or is asked in a way that shows nothing more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use ngsi_ld_filter::{Asked, Filter, Upstream};
use policy_plan::{PseudonymKey, Selection};
use serde_json::{Value, json};

/// 2026-11-21T12:00:00Z
const NOW: i64 = 1_795_262_400_000;
const CONTEXT: &str = "https://city.example/context.jsonld";
const RELATION: &str = "http://www.w3.org/ns/json-ld#context";
const ENTITIES: &str = "/ngsi-ld/v1/entities";

fn filter(more: Value) -> Filter {
    let mut value = json!({
        "types": ["https://m/Air"],
        "attributes": [
            {"name": "https://m/no2", "subAttributes": ["https://m/accuracy"]},
            {"name": "https://m/name", "languages": ["en"]},
            {"name": "https://uri.etsi.org/ngsi-ld/location"},
        ],
        "contexts": [
            {"url": CONTEXT, "terms": {"Air": "https://m/Air", "no2": "https://m/no2", "accuracy": "https://m/accuracy",
                "name": "https://m/name", "plate": "https://m/plate", "Car": "https://m/Car"}},
            {"url": "https://city.example/renamed.jsonld", "terms": {"Air": "https://m/Car", "no2": "https://m/plate"}},
        ],
    });
    for (name, member) in more.as_object().unwrap() {
        value[name] = member.clone();
    }
    let mut selection: Selection = serde_json::from_value(value).unwrap();
    selection.pseudonym_key = Some(PseudonymKey::new([7; 32]));
    Filter::new(selection).unwrap()
}

fn ask(more: Value, target: &str) -> Result<Upstream, String> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let asked = Asked { method: "GET", path, query, accept: None, link: None, now_ms: NOW };
    filter(more).request(&asked).map_err(|refusal| refusal.code.to_owned())
}

#[test]
fn attempts_by_path_and_query() {
    let attempts = [
        // Other resources than entities.
        ("/ngsi-ld/v1/types", "path_not_admitted"),
        ("/ngsi-ld/v1/types/Car", "path_not_admitted"),
        ("/ngsi-ld/v1/types?details=true", "path_not_admitted"),
        ("/ngsi-ld/v1/attributes", "path_not_admitted"),
        ("/ngsi-ld/v1/attributes/plate", "path_not_admitted"),
        ("/ngsi-ld/v1/subscriptions", "path_not_admitted"),
        ("/ngsi-ld/v1/csourceRegistrations", "path_not_admitted"),
        ("/ngsi-ld/v1/jsonldContexts", "path_not_admitted"),
        ("/ngsi-ld/v1/entityMaps/urn:x", "path_not_admitted"),
        ("/ngsi-ld/v1/snapshots/urn:x", "path_not_admitted"),
        ("/ngsi-ld/v1/info/sourceIdentity", "path_not_admitted"),
        ("/ngsi-ld/v1/entityOperations/query", "path_not_admitted"),
        ("/ngsi-ld/v1/temporal/entityOperations/query", "path_not_admitted"),
        ("/ngsi-ld/v1/entities/urn:a:1/attrs", "path_not_admitted"),
        ("/ngsi-ld/v1/entities/urn:a:1/attrs/plate", "path_not_admitted"),
        ("/ngsi-ld/v1/temporal/entities/urn:a:1/attrs/plate/urn:i", "path_not_admitted"),
        ("/ngsi-ld/v1/entities/", "path_not_admitted"),
        ("/ngsi-ld/v1/entities/urn:a:1/", "path_not_admitted"),
        ("/ngsi-ld/ex/v1/tenants", "path_not_admitted"),
        ("/v2/entities", "path_not_admitted"),
        ("/version", "path_not_admitted"),
        ("/ngsi-ld/v1/Entities", "path_not_admitted"),
        // Paths that two servers read differently.
        ("/ngsi-ld/v1/entities/../types", "path_not_safe"),
        ("/ngsi-ld/v1/entities/%2e%2e/types", "path_not_safe"),
        ("/ngsi-ld/v1/entities%2furn:a:1%2fattrs", "path_not_safe"),
        ("/ngsi-ld/v1//entities", "path_not_safe"),
        ("/ngsi-ld/v1/entities;x=1", "path_not_safe"),
        ("/ngsi-ld/v1/entities/urn:a%253A1", "path_not_safe"),
        ("/ngsi-ld/v1/entities/a,urn:b", "no_such_entity"),
        // Types.
        ("?type=Car", "name_not_admitted"),
        ("?type=*", "name_not_admitted"),
        ("?type=Air,Car", "name_not_admitted"),
        ("?type=Air|Car", "name_not_admitted"),
        ("?type=Air%7CCar", "name_not_admitted"),
        ("?type=(Air;Car)", "name_not_admitted"),
        ("?type=https://m/Car", "name_not_admitted"),
        ("?type=air", "name_not_admitted"),
        ("?type=", "query_not_admitted"),
        ("?type=,", "query_not_admitted"),
        ("?type=Air&type=Car", "query_repeated"),
        ("?type=Air&%74ype=Car", "query_repeated"),
        // Projections.
        ("?attrs=plate", "name_not_admitted"),
        ("?attrs=name", "name_not_admitted"),
        ("?attrs=no2,plate", "name_not_admitted"),
        ("?attrs=https%3A%2F%2Fm%2Fplate", "name_not_admitted"),
        ("?attrs=", "name_not_admitted"),
        ("?attrs=no2&attrs=plate", "query_repeated"),
        ("?pick=id,type,plate", "name_not_admitted"),
        ("?pick=id,no2", "query_not_admitted"),
        ("?pick=id,type,no2{plate}", "name_not_admitted"),
        ("?pick=id|type|plate", "name_not_admitted"),
        ("?omit=type", "name_not_admitted"),
        ("?omit=plate", "name_not_admitted"),
        // Questions about what is hidden.
        ("?q=plate", "name_not_admitted"),
        ("?q=!plate", "name_not_admitted"),
        ("?q=plate==%22B%22", "name_not_admitted"),
        ("?q=no2>1;plate~=%22B.*%22", "name_not_admitted"),
        ("?q=no2>1|(no2<5;plate)", "name_not_admitted"),
        ("?q=((((plate))))", "name_not_admitted"),
        ("?q=no2.plate==1", "name_not_admitted"),
        ("?q=no2.accuracy.plate==1", "name_not_admitted"),
        ("?q=no2.modifiedAt>2026-01-01T00:00:00Z", "name_not_admitted"),
        ("?q=https://m/plate==1", "name_not_admitted"),
        ("?q=no2==1,2;plate==3", "name_not_admitted"),
        ("?q=no2{Car:plate}==1", "query_not_admitted"),
        ("?q=no2~=a;plate==1", "query_not_admitted"),
        ("?q=no2==%22a%5C%22;plate==%22", "query_not_admitted"),
        ("?q=no2==%22a%22%22;plate==%22", "query_not_admitted"),
        ("?q=no2==1%20plate==2", "query_not_admitted"),
        ("?q=no2[a;plate]==1", "query_not_admitted"),
        ("?q=", "query_not_admitted"),
        ("?q=(no2", "query_not_admitted"),
        ("?q=no2)", "query_not_admitted"),
        ("?q=name[it]==%22Piazza%22", "name_not_admitted"),
        ("?q=name==%22Piazza%22", "name_not_admitted"),
        ("?orderBy=plate", "name_not_admitted"),
        ("?orderBy=no2,plate;desc", "name_not_admitted"),
        ("?orderBy=no2.plate", "name_not_admitted"),
        ("?orderBy=no2[plate]", "query_not_admitted"),
        ("?orderBy=name", "name_not_admitted"),
        ("?scopeQ=/Secret", "query_not_admitted"),
        ("?georel=near;maxDistance==1&geometry=Point&coordinates=[1,2]&geoproperty=home", "name_not_admitted"),
        ("?geometryProperty=home", "name_not_admitted"),
        ("?lang=it", "query_not_admitted"),
        ("?csf=plate==1", "query_not_admitted"),
        ("?jsonKeys=plate", "query_not_admitted"),
        ("?expandValues=plate", "query_not_admitted"),
        // Linked entities and other roads.
        ("?join=inline", "query_not_admitted"),
        ("?join=flat&joinLevel=9", "query_not_admitted"),
        ("?containedBy=urn:x", "query_not_admitted"),
        ("?entityMap=true", "query_not_admitted"),
        ("?splitEntities=true", "query_not_admitted"),
        ("?doNotCompact=true", "query_not_admitted"),
        ("?localOnly=true", "query_not_admitted"),
        ("?details=true", "query_not_admitted"),
        ("?unknown=1", "query_not_admitted"),
        ("?TYPE=Car", "query_not_admitted"),
        ("?limit=-1", "query_not_admitted"),
        ("?count=yes", "query_not_admitted"),
        ("?%00=1", "query_not_safe"),
        ("?type=Air%0d%0aX:1", "query_not_safe"),
        // Representations.
        ("?options=sysAttrs", "representation_not_admitted"),
        ("?options=keyValues,sysAttrs", "representation_not_admitted"),
        ("?options=compress", "representation_not_admitted"),
        ("?options=showChanges", "representation_not_admitted"),
        ("?format=aggregatedValues", "representation_not_admitted"),
        ("?format=temporalValues", "representation_not_admitted"),
        ("?options=concise&format=simplified", "representation_not_admitted"),
        // Time.
        ("?timerel=before&timeAt=2026-01-01T00:00:00Z", "query_not_admitted"),
        ("/ngsi-ld/v1/temporal/entities?timerel=before&timeAt=2026&timeproperty=modifiedAt", "query_not_admitted"),
        ("/ngsi-ld/v1/temporal/entities?aggrMethods=max&aggrPeriodDuration=PT1S", "query_not_admitted"),
        ("/ngsi-ld/v1/temporal/entities?options=aggregatedValues", "representation_not_admitted"),
    ];
    for (target, code) in attempts {
        let target = if target.starts_with('?') { format!("{ENTITIES}{target}") } else { target.to_owned() };
        assert_eq!(ask(json!({}), &target).map(|upstream| upstream.query), Err(code.to_owned()), "{target}");
    }
    assert!(attempts.len() >= 60);
}

#[test]
fn attempts_by_method_and_header() {
    let filter = filter(json!({}));
    let plain = Asked { method: "GET", path: ENTITIES, query: None, accept: None, link: None, now_ms: NOW };
    let link = |url: &str| format!("<{url}>; rel=\"{RELATION}\"; type=\"application/ld+json\"");
    let own = link(CONTEXT);
    assert!(filter.request(&Asked { link: Some(&own), ..plain }).is_ok());
    for method in ["POST", "HEAD", "OPTIONS", "PATCH", "PUT", "DELETE", "get"] {
        assert_eq!(filter.request(&Asked { method, ..plain }).unwrap_err().code, "method_not_admitted", "{method}");
    }
    let evil = link("https://evil.example/c.jsonld");
    let both = format!("{own}, {evil}");
    let hidden = format!("<https://a>; title=\",\", {evil}");
    for header in [&evil, &both, &hidden, &"<x".to_owned(), &String::new(), &"<https://a>; rel=next".to_owned()] {
        let refusal = filter.request(&Asked { link: Some(header), ..plain }).unwrap_err();
        assert_eq!(refusal.code, "context_not_admitted", "{header}");
    }
    for accept in ["text/csv;q=0", "text/html, application/xml", "application/json;q=0", "application/n-quads"] {
        let refusal = filter.request(&Asked { accept: Some(accept), ..plain }).unwrap_err();
        assert_eq!(refusal.code, "representation_not_admitted", "{accept}");
    }
    // A listed context that renames: names are read under it, here and at the broker.
    let renamed = link("https://city.example/renamed.jsonld");
    let under = |query| filter.request(&Asked { link: Some(&renamed), query: Some(query), ..plain });
    assert_eq!(under("type=Air").unwrap_err().code, "name_not_admitted");
    assert_eq!(under("attrs=no2").unwrap_err().code, "name_not_admitted");
    assert_eq!(under("q=no2==1").unwrap_err().code, "name_not_admitted");
    assert!(under("type=https://m/Air").unwrap().link.contains("renamed"));
}

#[test]
fn attempts_on_what_is_veiled() {
    let ids = json!({"ids": ["urn:ngsi-ld:Air:open.*"]});
    for (target, code) in [
        ("/ngsi-ld/v1/entities/urn:ngsi-ld:Air:closed", "no_such_entity"),
        ("/ngsi-ld/v1/entities?id=urn:ngsi-ld:Air:closed", "no_such_entity"),
        ("/ngsi-ld/v1/entities?id=urn:ngsi-ld:Air:open.1,urn:ngsi-ld:Air:closed", "no_such_entity"),
        ("/ngsi-ld/v1/entities?idPattern=urn.*", "query_not_admitted"),
    ] {
        assert_eq!(ask(ids.clone(), target).map(|_| ()), Err(code.to_owned()), "{target}");
    }
    let all = ask(ids.clone(), "/ngsi-ld/v1/entities?idPattern=.*").unwrap().query;
    let pushed = ask(ids.clone(), ENTITIES).unwrap().query;
    assert_eq!(all, pushed, "a pattern of all ids does not stand before ours");
    assert_eq!(pushed[1], ("idPattern".to_owned(), "^(urn:ngsi-ld:Air:open[.].*)$".to_owned()));
    let next = "/ngsi-ld/v1/entities?idPattern=%5E(urn:ngsi-ld:Air:open%5B.%5D.*)$&offset=20";
    assert!(ask(ids.clone(), next).is_ok(), "the next page repeats what we added");
    assert!(ask(ids, "/ngsi-ld/v1/entities/urn:ngsi-ld:Air:open.1").unwrap().single);
    let pseudonyms = json!({"pseudonymousIds": true});
    for target in [
        "/ngsi-ld/v1/entities/urn:ngsi-ld:Air:1",
        "/ngsi-ld/v1/entities?id=urn:ngsi-ld:Air:1",
        "/ngsi-ld/v1/entities?idPattern=Air",
        "/ngsi-ld/v1/entities?q=no2==%22urn:ngsi-ld:Device:1%22",
        "/ngsi-ld/v1/entities?q=no2==urn:ngsi-ld:Device:1",
        "/ngsi-ld/v1/entities?q=no2~=%22Device%22",
        "/ngsi-ld/v1/entities?options=keyValues",
    ] {
        assert!(ask(pseudonyms.clone(), target).is_err(), "{target}");
    }
    assert!(ask(pseudonyms, "/ngsi-ld/v1/entities?q=no2>40").is_ok());
    let coarse = json!({"coordinateDecimals": 2});
    for target in [
        "/ngsi-ld/v1/entities?georel=near;maxDistance==10&geometry=Point&coordinates=[1,2]",
        "/ngsi-ld/v1/entities?q=location[coordinates]==1",
    ] {
        assert!(ask(coarse.clone(), target).is_err(), "{target}");
    }
    let instances = json!({"attributes": [{"name": "https://m/no2", "datasetIds": ["@none"]}]});
    for query in ["datasetId=urn:ds:hidden", "attrs=no2", "q=no2>1"] {
        assert!(ask(instances.clone(), &format!("{ENTITIES}?{query}")).is_err(), "{query}");
    }
    assert!(ask(instances, "/ngsi-ld/v1/entities?datasetId=@none&pick=id,type,no2").is_ok());
    let hashed = json!({"attributes": [{"name": "https://m/plate", "pseudonym": true}]});
    assert_eq!(ask(hashed.clone(), "/ngsi-ld/v1/entities?q=plate==%22B%22").unwrap_err(), "name_not_admitted");
    assert_eq!(ask(hashed, "/ngsi-ld/v1/entities?orderBy=plate").unwrap_err(), "name_not_admitted");
}

#[test]
fn what_may_be_asked() {
    for target in [
        "?type=Air&q=no2>40;no2.accuracy>=0.5|(no2==1,2;no2.observedAt>2026-01-01T00:00:00Z)&limit=10&offset=20&count=true",
        "?type=https://m/Air&attrs=no2,location&options=concise",
        "?pick=id,type,no2&orderBy=no2;desc",
        "?omit=no2&format=simplified",
        "?georel=near;maxDistance==1000&geometry=Point&coordinates=[16.8,41.1]",
        "?q=no2[a.b]==%22x%20y;z%22&local=true",
        "?q=no2==1..5&id=urn:a:1,urn:a:2",
    ] {
        let upstream = ask(json!({}), &format!("{ENTITIES}{target}")).unwrap_or_else(|code| panic!("{target}: {code}"));
        assert!(upstream.link.contains(CONTEXT) && upstream.accept == "application/json");
    }
    let upstream = ask(json!({}), ENTITIES).unwrap();
    assert_eq!(upstream.query, [("type".to_owned(), "https://m/Air".to_owned())]);
    assert!(ask(json!({}), "/ngsi-ld/v1/temporal/entities/urn:a:1?options=temporalValues&lastN=5").is_ok());
    let times = json!({"members": ["modifiedAt", "scope"]});
    assert!(ask(times.clone(), "/ngsi-ld/v1/entities?options=sysAttrs&scopeQ=/a/%23").is_ok());
    assert_eq!(
        ask(times, "/ngsi-ld/v1/temporal/entities?timerel=before&timeAt=2026").unwrap_err(),
        "query_not_admitted"
    );
}

#[test]
fn answers_that_are_not_understood() {
    let upstream = ask(json!({}), ENTITIES).unwrap();
    let context = format!("<{CONTEXT}>; rel=\"{RELATION}\", <x>; rel=next");
    assert!(upstream.answer(Some("application/json; charset=utf-8"), None, Some(&context)).is_ok());
    for (media, encoding, code) in [
        (Some("text/csv"), None, "content_type_not_understood"),
        (Some("text/html"), None, "content_type_not_understood"),
        (Some("application/octet-stream"), None, "content_type_not_understood"),
        (None, None, "content_type_not_understood"),
        (Some("application/json"), Some("gzip"), "encoding_not_understood"),
        (Some("application/json"), Some("br"), "encoding_not_understood"),
    ] {
        assert_eq!(upstream.answer(media, encoding, None).unwrap_err().code, code, "{media:?} {encoding:?}");
    }
    let twice = format!("{context}, {context}");
    assert_eq!(upstream.answer(Some("application/json"), None, Some(&twice)).unwrap_err().code, "context_ambiguous");
}
