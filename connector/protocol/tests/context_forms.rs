//! Every accepted form of a message gives the same message: DSP 2025-1, "Serialization", and what EDC sends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dsp_protocol::catalog::{AccessService, Catalog, CatalogRequestMessage, Dataset};
use dsp_protocol::context::{DSP_CONTEXT, compact};
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractNegotiation, ContractNegotiationEventMessage,
    ContractNegotiationTerminationMessage, ContractOfferMessage, ContractRequestMessage, NegotiationEvent,
    NegotiationState,
};
use dsp_protocol::policy::{difference, same_rules};
use dsp_protocol::transfer::{TransferRequestMessage, TransferStartMessage};
use serde_json::{Value, json};

fn request(value: Value) -> ContractRequestMessage {
    ContractRequestMessage::parse(&compact(value).unwrap()).unwrap()
}

fn plain() -> Value {
    json!({"@context": [DSP_CONTEXT], "@type": "ContractRequestMessage", "consumerPid": "urn:c",
        "callbackAddress": "https://c.example/dsp", "offer": {"@id": "urn:o", "@type": "Offer", "target": "urn:d",
            "permission": [{"action": "use", "constraint":
                [{"leftOperand": "odrl:dateTime", "operator": "lteq", "rightOperand": "2030-01-01T00:00:00Z"}]}]}})
}

#[test]
fn every_form_of_a_request_is_the_same_request() {
    let expected = request(plain());
    assert_eq!(expected.offer.rules.permission.len(), 1);
    let mut bare_string = plain();
    bare_string["@context"] = json!(DSP_CONTEXT);
    let mut with_edc = plain();
    with_edc["@context"] = json!([DSP_CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"]);
    with_edc["@id"] = json!("0a1b2c");
    with_edc["extra"] = json!({"any": ["thing", 1, null]});
    let mut foreign_first = plain();
    foreign_first["@context"] = json!(["https://example.org/own.jsonld", {"cx": "https://example.org/"}, DSP_CONTEXT]);
    let mut nulls = plain();
    nulls["providerPid"] = json!(null);
    let prefixed = json!({"@context": [DSP_CONTEXT], "@type": "dspace:ContractRequestMessage",
        "dspace:consumerPid": {"@id": "urn:c"}, "dspace:callbackAddress": {"@value": "https://c.example/dsp"},
        "dspace:offer": {"@id": "urn:o", "@type": "odrl:Offer", "odrl:target": {"@id": "urn:d"},
            "odrl:permission": {"odrl:action": {"@id": "use"}, "odrl:constraint": {
                "odrl:leftOperand": {"@id": "odrl:dateTime"}, "odrl:operator": {"@id": "odrl:lteq"},
                "odrl:rightOperand": {"@value": "2030-01-01T00:00:00Z"}}}}});
    let (d, o) = ("https://w3id.org/dspace/2025/1/", "http://www.w3.org/ns/odrl/2/");
    let expanded = json!({"@type": [format!("{d}ContractRequestMessage")],
        format!("{d}consumerPid"): [{"@id": "urn:c"}], format!("{d}callbackAddress"): [{"@value": "https://c.example/dsp"}],
        format!("{d}offer"): [{"@id": "urn:o", "@type": [format!("{o}Offer")], format!("{o}target"): [{"@id": "urn:d"}],
            format!("{o}permission"): [{format!("{o}action"): [{"@id": "use"}],
                format!("{o}constraint"): [{format!("{o}leftOperand"): [{"@id": "odrl:dateTime"}],
                    format!("{o}operator"): [{"@id": format!("{o}lteq")}],
                    format!("{o}rightOperand"): [{"@value": "2030-01-01T00:00:00Z"}]}]}]}]});
    let own_prefixes = json!({"@context": {"d": d, "rules": {"@id": o}, "who": "d:consumerPid"},
        "@type": "d:ContractRequestMessage", "who": "urn:c", "d:callbackAddress": "https://c.example/dsp",
        "d:offer": {"@id": "urn:o", "@type": "rules:Offer", "rules:target": "urn:d", "rules:permission": [
            {"rules:action": "use", "rules:constraint": [{"rules:leftOperand": "odrl:dateTime",
                "rules:operator": "odrl:lteq", "rules:rightOperand": ["2030-01-01T00:00:00Z"]}]}]}});
    let vocabulary = json!({"@context": [{"@vocab": d, "odrl": o}], "@type": "ContractRequestMessage", "consumerPid": "urn:c",
        "callbackAddress": "https://c.example/dsp", "offer": {"@id": "urn:o", "@type": "odrl:Offer", "odrl:target": "urn:d",
            "odrl:permission": [{"odrl:action": "use", "odrl:constraint": [{"odrl:leftOperand": "odrl:dateTime",
                "odrl:operator": "lteq", "odrl:rightOperand": "2030-01-01T00:00:00Z"}]}]}});
    let capitals = json!({"@context": [DSP_CONTEXT], "@type": ["ContractRequestMessage"], "consumerPid": ["urn:c"],
        "callbackAddress": "https://c.example/dsp", "offer": {"@id": "urn:o", "@type": "Offer", "target": "urn:d",
            "permission": [{"action": "odrl:use", "constraint": [{"leftOperand": "odrl:dateTime",
                "operator": "odrl:LTEQ", "rightOperand": "2030-01-01T00:00:00Z"}]}], "prohibition": [], "obligation": null}});
    let forms = [bare_string, with_edc, foreign_first, nulls, prefixed, expanded, own_prefixes, vocabulary, capitals];
    for form in forms {
        let mut read = request(form.clone());
        assert!(same_rules(&read.offer.rules, &expected.offer.rules), "{form}");
        read.offer.rules = expected.offer.rules.clone();
        assert_eq!(read, expected, "{form}");
    }
}

#[test]
fn the_context_of_the_result_is_an_array_of_strings() {
    let mut message = plain();
    message["@context"] = json!(["https://example.org/own.jsonld", {"x": "https://x/"}, DSP_CONTEXT]);
    let context = compact(message).unwrap()["@context"].clone();
    assert_eq!(context, json!([DSP_CONTEXT, "https://example.org/own.jsonld"]));
}

#[test]
fn compacting_twice_changes_nothing() {
    let once = compact(plain()).unwrap();
    assert_eq!(compact(once.clone()).unwrap(), once);
}

#[test]
fn other_members_are_kept_under_one_spelling() {
    let message = json!({"@context": [DSP_CONTEXT, {"cx": "https://example.org/cx#"}], "@type": "Dataset", "@id": "d",
        "http://purl.org/dc/terms/title": "T", "dcat:keyword": ["k"], "cx:note": {"@id": "cx:n"}, "plain": 1});
    let result = compact(message).unwrap();
    assert_eq!(result["dct:title"], "T");
    assert_eq!(result["dcat:keyword"], json!(["k"]));
    assert_eq!(result["https://example.org/cx#note"], json!({"@id": "https://example.org/cx#n"}));
    assert_eq!(result["plain"], 1);
}

/// A prefix that only the message knows means nothing once the rule is stored or sent back.
#[test]
fn own_prefixes_in_operands_become_full_iris() {
    let mut message = plain();
    message["@context"] = json!([DSP_CONTEXT, "https://w3id.org/edc/dspace/v0.0.1", {"cx": "https://example.org/"}]);
    message["offer"]["permission"][0]["constraint"] = json!([
        {"leftOperand": "cx:Membership", "operator": "eq", "rightOperand": "active"},
        {"leftOperand": "edc:inForceDate", "operator": "eq", "rightOperand": "x"},
        {"leftOperand": "inForceDate", "operator": "eq", "rightOperand": "x"},
        {"leftOperand": "purpose", "operator": "eq", "rightOperand": "x"}]);
    let rules = request(message).offer.rules;
    let constraints = rules.permission[0]["constraint"].as_array().unwrap();
    let left: Vec<_> = constraints.iter().map(|constraint| constraint["leftOperand"].as_str().unwrap()).collect();
    let in_force = "https://w3id.org/edc/v0.0.1/ns/inForceDate";
    assert_eq!(left, ["https://example.org/Membership", in_force, in_force, "purpose"]);
}

/// The form in which the DSP TCK sends its offers, agreements and terminations.
#[test]
fn the_forms_of_the_tck() {
    let offer = json!({"@context": [DSP_CONTEXT], "@type": "ContractOfferMessage", "providerPid": "urn:p",
        "consumerPid": "urn:c", "offer": {"@id": "urn:o", "@type": "Offer", "target": "urn:d", "assigner": "A",
            "assignee": "B", "permission": [{"action": "use", "constraint": []}]}});
    let offer = ContractOfferMessage::parse(&compact(offer).unwrap()).unwrap().offer;
    assert_eq!(offer.assignee.as_ref().unwrap().as_str(), "B");
    assert_eq!(offer.message_offer()["permission"], json!([{"action": "use"}]), "no empty list goes out");

    let agreement = json!({"@context": [DSP_CONTEXT], "@type": "ContractAgreementMessage", "providerPid": "urn:p",
        "consumerPid": "urn:c", "callbackAddress": "http://ignored", "agreement": {"@id": "urn:a", "@type": "Agreement",
            "target": "urn:d", "assigner": "A", "assignee": "B", "timestamp": "2023-01-01T01:00:00Z",
            "permission": [{"action": "odrl:use", "target": "urn:d"}]}});
    let agreement = ContractAgreementMessage::parse(&compact(agreement).unwrap()).unwrap().agreement;
    assert_eq!(difference(&offer.rules, &agreement.rules), None);

    for (reason, expected) in [
        (json!([{"text": "why"}]), json!([{"text": "why"}])),
        (json!({"@value": "why", "@language": "en"}), json!([{"@value": "why", "@language": "en"}])),
        (json!("why"), json!(["why"])),
        (json!([]), json!([])),
        (json!(null), json!([])),
    ] {
        let message = json!({"@context": [DSP_CONTEXT], "@type": "ContractNegotiationTerminationMessage",
            "providerPid": "urn:p", "consumerPid": "urn:c", "code": "1", "reason": reason});
        let read = ContractNegotiationTerminationMessage::parse(&compact(message).unwrap()).unwrap();
        assert_eq!(Value::Array(read.reason), expected);
    }
}

#[test]
fn states_and_events_in_every_spelling() {
    for spelling in ["FINALIZED", "dspace:FINALIZED", "https://w3id.org/dspace/2025/1/FINALIZED"] {
        for value in [json!(spelling), json!({"@id": spelling}), json!([{"@id": spelling}])] {
            let event = json!({"@context": DSP_CONTEXT, "@type": "ContractNegotiationEventMessage", "providerPid": "p",
                "consumerPid": "c", "eventType": value});
            let event = ContractNegotiationEventMessage::parse(&compact(event).unwrap()).unwrap();
            assert_eq!(event.event, NegotiationEvent::Finalized);
            let answer = json!({"@context": DSP_CONTEXT, "@type": "ContractNegotiation", "providerPid": "p",
                "consumerPid": "c", "state": value});
            let answer = ContractNegotiation::parse(&compact(answer).unwrap()).unwrap();
            assert_eq!(answer.state, NegotiationState::Finalized);
        }
    }
}

/// The message that a holder sends in the DCP TCK: no context, everything by full IRI.
#[test]
fn a_catalog_request_without_context() {
    let message = json!({"@type": "https://w3id.org/dspace/2025/1/CatalogRequestMessage",
        "https://w3id.org/dspace/2025/1/filter": {}});
    let read = CatalogRequestMessage::parse(&compact(message).unwrap()).unwrap();
    assert_eq!(read.filter, [json!({})]);
}

#[test]
fn the_catalog_request_of_edc() {
    let query = json!({"@type": "QuerySpec", "limit": 50, "offset": 0, "sortOrder": "ASC", "filterExpression": []});
    let message = json!({"@context": [DSP_CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"], "@id": "x",
        "@type": "CatalogRequestMessage", "filter": [query]});
    let read = CatalogRequestMessage::parse(&compact(message).unwrap()).unwrap();
    assert_eq!(read.filter, [query]);
    assert_eq!(CatalogRequestMessage::default().to_value().get("filter"), None, "EDC refuses an empty filter");
}

#[test]
fn the_catalog_of_edc() {
    let message = json!({"@context": [DSP_CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"], "@id": "cat", "@type": "Catalog",
        "participantId": "provider", "dspace:extra": true,
        "service": {"@id": "svc", "@type": "DataService", "endpointDescription": "dspace:connector",
            "endpointURL": "http://p/protocol/2025-1"},
        "dataset": {"@id": "asset-1", "@type": "Dataset", "edc:name": "n", "id": "asset-1",
            "hasPolicy": {"@id": "Yg==:YQ==:Yw==", "@type": "Offer", "permission": [], "obligation": [],
                "prohibition": {"action": "odrl:use"}},
            "distribution": [
                {"@type": "Distribution", "format": "HttpData-PULL", "accessService":
                    {"@id": "r", "@type": "DataService", "endpointURL": "http://p/protocol/2025-1"}},
                {"@type": "Distribution", "format": {"@id": "HttpData-PUSH"}, "accessService": {"@id": "svc"}}]},
        "catalog": [{"@id": "nested", "@type": "Catalog", "distribution": [
            {"format": "Catalog", "accessService": {"endpointURL": "http://q/"}}]}]});
    let catalog = Catalog::parse(&compact(message).unwrap()).unwrap();
    let dataset: &Dataset = &catalog.datasets[0];
    assert_eq!(dataset.properties["edc:name"], "n");
    assert_eq!(dataset.offers[0].id.as_str(), "Yg==:YQ==:Yw==");
    assert!(matches!(dataset.distributions[0].access_service, AccessService::Inline(_)));
    assert_eq!(dataset.distributions[1].format, "HttpData-PUSH");
    for distribution in &dataset.distributions {
        assert_eq!(catalog.endpoint_of(distribution), Some("http://p/protocol/2025-1"));
    }
    assert_eq!(catalog.catalogs[0].distributions[0].format, "Catalog");
    assert_eq!(Catalog::parse(&compact(catalog.to_value()).unwrap()).unwrap(), catalog);
}

#[test]
fn data_addresses_of_both_kinds() {
    let push = json!({"@context": [DSP_CONTEXT], "@type": "TransferRequestMessage", "consumerPid": "c", "agreementId": "a",
        "format": "HttpData-PUSH", "callbackAddress": "http://c/", "dataAddress": {"endpointType": "HttpData",
            "endpointProperties": {"name": "https://w3id.org/edc/v0.0.1/ns/baseUrl", "value": "http://sink"}}});
    let push = TransferRequestMessage::parse(&compact(push).unwrap()).unwrap();
    assert_eq!(push.data_address.unwrap().property("baseUrl"), Some("http://sink"));

    let pull = json!({"@context": [DSP_CONTEXT], "@type": "TransferStartMessage", "consumerPid": "c", "providerPid": "p",
        "dataAddress": {"@type": "DataAddress", "endpointType": {"@id": "https://w3id.org/idsa/v4.1/HTTP"},
            "endpoint": "https://p/data", "endpointProperties": [
                {"@type": "EndpointProperty", "name": "authorization", "value": "T"}]}});
    let pull = TransferStartMessage::parse(&compact(pull).unwrap()).unwrap().data_address.unwrap();
    assert_eq!(pull.endpoint_type, "https://w3id.org/idsa/v4.1/HTTP");
    assert_eq!((pull.endpoint(), pull.property("authorization")), (Some("https://p/data"), Some("T")));
}

#[test]
fn a_long_chain_of_prefixes_is_no_danger() {
    let name = format!("{}REQUESTED", "dspace:".repeat(200_000));
    assert_eq!(NegotiationState::parse(&name), Some(NegotiationState::Requested));
    let message = json!({"@context": DSP_CONTEXT, "@type": name, name.clone(): name, "state": name});
    let once = compact(message).unwrap();
    assert_eq!(compact(once.clone()).unwrap(), once);
}

/// A small context in each of many parts, inside a large one: the cost must not be the product.
#[test]
fn many_contexts_are_no_danger() {
    let definitions: serde_json::Map<String, Value> =
        (0..10_000).map(|n| (format!("t{n}"), json!(format!("https://example.org/{n}")))).collect();
    let parts: Vec<Value> =
        (0..10_000).map(|n| json!({"@context": {"t1": "https://example.org/own"}, "t1": n})).collect();
    let message = json!({"@context": [DSP_CONTEXT, definitions], "@type": "Dataset", "parts": parts, "t1": 0});
    let begin = std::time::Instant::now();
    let result = compact(message).unwrap();
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    assert_eq!(result["parts"][9_999], json!({"https://example.org/own": 9_999}));
    assert_eq!(result["https://example.org/1"], 0);
}

#[test]
fn many_rules_are_compared_quickly() {
    let rules = |last: &str| dsp_protocol::policy::Rules {
        permission: (0..20_000).map(|n| json!({"action": format!("a{n}")})).chain([json!({"action": last})]).collect(),
        ..Default::default()
    };
    let begin = std::time::Instant::now();
    assert!(difference(&rules("x"), &rules("y")).unwrap().contains(r#"{"action":"x"}"#));
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}
