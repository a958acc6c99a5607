//! Bodies that are refused: with a machine code and a sentence that names the member.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dsp_protocol::MessageError;
use dsp_protocol::catalog::{Catalog, CatalogRequestMessage, Dataset};
use dsp_protocol::context::{DSP_CONTEXT, MAX_DEPTH, compact, parse_json};
use dsp_protocol::negotiation::{
    ContractAgreementMessage, ContractNegotiation, ContractNegotiationEventMessage, ContractOfferMessage,
    ContractRequestMessage,
};
use dsp_protocol::policy::Rules;
use dsp_protocol::transfer::{TransferRequestMessage, TransferStartMessage, TransferSuspensionMessage};
use serde_json::{Value, json};

fn request() -> Value {
    json!({"@context": [DSP_CONTEXT], "@type": "ContractRequestMessage", "consumerPid": "urn:c",
        "callbackAddress": "https://c.example/dsp",
        "offer": {"@id": "urn:o", "@type": "Offer", "target": "urn:d", "permission": [{"action": "use"}]}})
}

fn agreement() -> Value {
    json!({"@context": [DSP_CONTEXT], "@type": "ContractAgreementMessage", "providerPid": "p", "consumerPid": "c",
        "agreement": {"@id": "urn:a", "@type": "Agreement", "target": "urn:d", "assigner": "A", "assignee": "B",
            "timestamp": "2026-01-01T00:00:00Z", "permission": [{"action": "use"}]}})
}

fn transfer() -> Value {
    json!({"@context": [DSP_CONTEXT], "@type": "TransferRequestMessage", "consumerPid": "c", "agreementId": "a",
        "format": "HttpData-PULL", "callbackAddress": "https://c.example/dsp"})
}

/// The body with one member set (or removed, when the value is `REMOVED`).
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value == json!("REMOVED") {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    body
}

fn refused(read: fn(&Value) -> Result<(), MessageError>, body: Value, code: &str, member: &str) {
    let error = compact(body.clone()).and_then(|value| read(&value)).expect_err(&body.to_string());
    assert_eq!(error.code, code, "{body}: {error}");
    assert!(error.message.contains(&format!("`{member}`")), "{body}: {error}");
    assert!(!error.message.ends_with('.') && error.message.len() < 400, "{error}");
}

fn read_request(value: &Value) -> Result<(), MessageError> {
    ContractRequestMessage::parse(value).map(drop)
}
fn read_agreement(value: &Value) -> Result<(), MessageError> {
    ContractAgreementMessage::parse(value).map(drop)
}
fn read_transfer(value: &Value) -> Result<(), MessageError> {
    TransferRequestMessage::parse(value).map(drop)
}

#[test]
fn the_bodies_that_the_cases_start_from_are_good() {
    read_request(&compact(request()).unwrap()).unwrap();
    read_agreement(&compact(agreement()).unwrap()).unwrap();
    read_transfer(&compact(transfer()).unwrap()).unwrap();
}

#[test]
fn bytes() {
    let code = |bytes: &[u8], max: usize| parse_json(bytes, max, MAX_DEPTH).unwrap_err().code;
    assert_eq!(code(b"{\"a\": \"\xc3\x28\"}", 100), "not_utf8");
    assert_eq!(code(&[b' '; 101], 100), "too_big");
    assert_eq!(code(format!("{}1{}", "[".repeat(65), "]".repeat(65)).as_bytes(), 1000), "too_deep");
    assert!(parse_json(format!("{}1{}", "[".repeat(64), "]".repeat(64)).as_bytes(), 1000, MAX_DEPTH).is_ok());
    for text in ["", "{", "{\"a\":}", "nope", "{\"a\": 01}", "\"\\ud800\"", "[1,]", "{} {}"] {
        assert_eq!(code(text.as_bytes(), 100), "not_json", "{text}");
    }
}

#[test]
fn contexts() {
    for body in [json!(null), json!([]), json!([request()]), json!("x"), json!(1)] {
        assert_eq!(compact(body.clone()).unwrap_err().code, "not_object", "{body}");
    }
    let r = read_request;
    refused(r, with(request(), "/@context", json!("REMOVED")), "missing_context", "@context");
    for other in [
        json!([]),
        json!(null),
        json!("https://w3id.org/dspace/2024/1/context.json"),
        json!(["https://example.org/other.jsonld"]),
        json!({"d": "https://w3id.org/dspace/2025/1/"}),
        json!({"@vocab": "https://example.org/"}),
    ] {
        refused(r, with(request(), "/@context", other), "unknown_context", "@context");
    }
    for other in [json!(1), json!([DSP_CONTEXT, 1]), json!([DSP_CONTEXT, [DSP_CONTEXT]]), json!(true)] {
        refused(r, with(request(), "/@context", other), "invalid_context", "@context");
    }
    for (name, iri) in [("consumerPid", "https://evil.example/"), ("odrl", "https://evil.example/"), ("use", "x")] {
        let body = with(request(), "/@context", json!([DSP_CONTEXT, {name: iri}]));
        match name {
            "use" => drop(compact(body).unwrap()),
            _ => refused(r, body, "context_conflict", name),
        }
    }
    let vocabulary = json!({"@vocab": "https://w3id.org/dspace/2025/1/", "odrl": "@https://evil.example/"});
    refused(r, with(request(), "/@context", vocabulary), "context_conflict", "odrl");
    refused(r, with(request(), "/dspace:consumerPid", json!("urn:other")), "duplicate_member", "consumerPid");
}

#[test]
fn contract_requests() {
    let r = read_request;
    refused(r, with(request(), "/@type", json!("REMOVED")), "missing_member", "@type");
    refused(r, with(request(), "/@type", json!(7)), "wrong_type", "@type");
    refused(r, with(request(), "/@type", json!("ContractOfferMessage")), "unexpected_type", "ContractOfferMessage");
    refused(r, with(request(), "/@type", json!("ContractOfferMessage")), "unexpected_type", "ContractRequestMessage");
    refused(r, with(request(), "/@type", json!(["A", "B"])), "unexpected_type", "ContractRequestMessage");
    for member in ["consumerPid", "callbackAddress", "offer"] {
        refused(r, with(request(), &format!("/{member}"), json!("REMOVED")), "missing_member", member);
        refused(r, with(request(), &format!("/{member}"), json!(null)), "missing_member", member);
    }
    refused(r, with(request(), "/offer", json!("urn:o")), "wrong_type", "offer");
    refused(r, with(request(), "/offer", json!([request()["offer"], request()["offer"]])), "wrong_type", "offer");
    refused(r, with(request(), "/providerPid", json!("urn:p")), "conflicting_members", "providerPid");
    for wrong in [json!(1), json!(true), json!({"a": 1}), json!(["a", "b"])] {
        refused(r, with(request(), "/consumerPid", wrong.clone()), "wrong_type", "consumerPid");
        refused(r, with(request(), "/callbackAddress", wrong.clone()), "wrong_type", "callbackAddress");
        refused(r, with(request(), "/offer/target", wrong.clone()), "wrong_type", "target");
        refused(r, with(request(), "/offer/@id", wrong), "wrong_type", "@id");
    }
    for bad in [json!(""), json!("a b"), json!("a\u{0}"), json!("x".repeat(513))] {
        refused(r, with(request(), "/consumerPid", bad.clone()), "invalid_value", "consumerPid");
        refused(r, with(request(), "/offer/@id", bad), "invalid_value", "@id");
    }
    for bad in [json!(""), json!("http://a b"), json!("x".repeat(2049))] {
        refused(r, with(request(), "/callbackAddress", bad), "invalid_value", "callbackAddress");
    }
    refused(r, with(request(), "/offer/@id", json!("REMOVED")), "missing_member", "@id");
    refused(r, with(request(), "/offer/@type", json!("Agreement")), "unexpected_type", "Offer");
    refused(r, with(request(), "/offer/profile", json!([1])), "wrong_type", "profile");
}

#[test]
fn rules() {
    let r = read_request;
    let rule = |rule: Value| with(request(), "/offer/permission", json!([rule]));
    let constraint = |constraint: Value| rule(json!({"action": "use", "constraint": [constraint]}));
    refused(r, with(request(), "/offer/permission", json!("use")), "wrong_type", "permission");
    refused(r, with(request(), "/offer/prohibition", json!([[]])), "wrong_type", "prohibition");
    refused(r, rule(json!({})), "missing_member", "action");
    refused(r, rule(json!({"action": ["use", "read"]})), "wrong_type", "action");
    refused(
        r,
        rule(json!({"action": {"rdf:value": {"@id": "odrl:print"}, "odrl:refinement": []}})),
        "wrong_type",
        "action",
    );
    refused(r, rule(json!({"action": ""})), "invalid_value", "action");
    refused(r, rule(json!({"action": "use", "duty": [{}]})), "missing_member", "action");
    refused(r, constraint(json!({"operator": "eq", "rightOperand": "x"})), "missing_member", "leftOperand");
    refused(r, constraint(json!({"leftOperand": "x", "rightOperand": "x"})), "missing_member", "operator");
    refused(r, constraint(json!({"leftOperand": "x", "operator": "eq"})), "missing_member", "rightOperand");
    refused(
        r,
        constraint(json!({"leftOperand": 1, "operator": "eq", "rightOperand": "x"})),
        "wrong_type",
        "leftOperand",
    );
    let regex = json!({"leftOperand": "x", "operator": "odrl:regex", "rightOperand": "x"});
    refused(r, constraint(regex), "invalid_value", "operator");
    let leaf = json!({"leftOperand": "x", "operator": "eq", "rightOperand": "x"});
    refused(r, constraint(json!({"and": [leaf], "or": [leaf]})), "conflicting_members", "or");
    refused(r, constraint(json!({"and": [leaf], "operator": "eq"})), "conflicting_members", "operator");
    refused(r, constraint(json!({"and": []})), "invalid_value", "and");
    refused(r, constraint(json!({"xone": [{"and": [{}]}]})), "missing_member", "leftOperand");
    assert_eq!(Rules::from_fragment(json!([])).unwrap_err().code, "wrong_type");
    assert!(Rules::from_fragment(json!({"odrl:permission": {"odrl:action": {"@id": "odrl:use"}}})).is_ok());
}

#[test]
fn agreements_and_offers() {
    let r = read_agreement;
    for member in ["@id", "target", "assigner", "assignee"] {
        refused(r, with(agreement(), &format!("/agreement/{member}"), json!("REMOVED")), "missing_member", member);
    }
    refused(r, with(agreement(), "/agreement/permission", json!([])), "missing_member", "permission");
    refused(r, with(agreement(), "/agreement/timestamp", json!("yesterday")), "invalid_value", "timestamp");
    refused(r, with(agreement(), "/agreement/timestamp", json!(1)), "wrong_type", "timestamp");
    refused(r, with(agreement(), "/agreement/@type", json!("Offer")), "unexpected_type", "Agreement");
    let offer = json!({"@context": [DSP_CONTEXT], "@type": "ContractOfferMessage", "providerPid": "p", "consumerPid": "c",
        "offer": request()["offer"]});
    let o = |value: &Value| ContractOfferMessage::parse(value).map(drop);
    refused(o, with(offer.clone(), "/offer/target", json!("REMOVED")), "missing_member", "target");
    refused(o, with(offer.clone(), "/offer/permission", json!([])), "missing_member", "permission");
    refused(o, with(offer.clone(), "/consumerPid", json!("REMOVED")), "missing_member", "callbackAddress");
    refused(o, with(offer, "/callbackAddress", json!("http://p")), "conflicting_members", "callbackAddress");
}

#[test]
fn events_and_states() {
    let event = json!({"@context": [DSP_CONTEXT], "@type": "ContractNegotiationEventMessage", "providerPid": "p",
        "consumerPid": "c", "eventType": "ACCEPTED"});
    let r = |value: &Value| ContractNegotiationEventMessage::parse(value).map(drop);
    for bad in ["accepted", "AGREED", "x:ACCEPTED", "https://w3id.org/dspace/2024/1/ACCEPTED"] {
        refused(r, with(event.clone(), "/eventType", json!(bad)), "invalid_value", "eventType");
    }
    refused(r, with(event.clone(), "/eventType", json!("REMOVED")), "missing_member", "eventType");
    refused(r, with(event, "/eventType", json!(3)), "wrong_type", "eventType");
    let answer = json!({"@context": [DSP_CONTEXT], "@type": "ContractNegotiation", "providerPid": "p", "consumerPid": "c",
        "state": "REQUESTING"});
    refused(|value| ContractNegotiation::parse(value).map(drop), answer, "invalid_value", "state");
}

#[test]
fn transfers() {
    let r = read_transfer;
    for member in ["consumerPid", "agreementId", "format", "callbackAddress"] {
        refused(r, with(transfer(), &format!("/{member}"), json!("REMOVED")), "missing_member", member);
        refused(r, with(transfer(), &format!("/{member}"), json!(1)), "wrong_type", member);
        refused(r, with(transfer(), &format!("/{member}"), json!("")), "invalid_value", member);
    }
    refused(r, with(transfer(), "/dataAddress", json!("http://sink")), "wrong_type", "dataAddress");
    refused(r, with(transfer(), "/dataAddress", json!({})), "missing_member", "endpointType");
    let address = |properties: Value| json!({"endpointType": "t", "endpointProperties": properties});
    for (properties, code, member) in [
        (json!("x"), "wrong_type", "endpointProperties"),
        (json!([{"value": "v"}]), "missing_member", "name"),
        (json!([{"name": "n"}]), "missing_member", "value"),
        (json!([{"name": "n", "value": 1}]), "wrong_type", "value"),
    ] {
        refused(r, with(transfer(), "/dataAddress", address(properties)), code, member);
    }
    let start = json!({"@context": [DSP_CONTEXT], "@type": "TransferStartMessage", "providerPid": "p", "consumerPid": "c",
        "dataAddress": {"endpointType": "t", "endpoint": 1}});
    refused(|value| TransferStartMessage::parse(value).map(drop), start, "wrong_type", "endpoint");
    let suspension = json!({"@context": [DSP_CONTEXT], "@type": "TransferSuspensionMessage", "providerPid": "p",
        "consumerPid": "c", "code": 4});
    refused(|value| TransferSuspensionMessage::parse(value).map(drop), suspension, "wrong_type", "code");
}

#[test]
fn catalogs() {
    let r = |value: &Value| Catalog::parse(value).map(drop);
    let catalog = json!({"@context": [DSP_CONTEXT], "@type": "Catalog", "@id": "cat", "participantId": "p", "dataset": [
        {"@id": "d", "hasPolicy": [{"@id": "o", "permission": [{"action": "use"}]}],
            "distribution": [{"format": "f", "accessService": "s"}]}]});
    assert!(r(&compact(catalog.clone()).unwrap()).is_ok());
    refused(r, with(catalog.clone(), "/@id", json!("REMOVED")), "missing_member", "@id");
    refused(r, with(catalog.clone(), "/participantId", json!("REMOVED")), "missing_member", "participantId");
    refused(r, with(catalog.clone(), "/dataset", json!("d")), "wrong_type", "dataset");
    refused(r, with(catalog.clone(), "/dataset/0/@id", json!("REMOVED")), "missing_member", "@id");
    refused(r, with(catalog.clone(), "/dataset/0/distribution/0/format", json!("REMOVED")), "missing_member", "format");
    let service = "/dataset/0/distribution/0/accessService";
    refused(r, with(catalog.clone(), service, json!("REMOVED")), "missing_member", "accessService");
    refused(r, with(catalog.clone(), service, json!(1)), "wrong_type", "accessService");
    refused(r, with(catalog.clone(), service, json!({"endpointURL": 1})), "wrong_type", "endpointURL");
    refused(r, with(catalog, "/dataset/0/hasPolicy/0/@id", json!("REMOVED")), "missing_member", "@id");
    let request = json!({"@context": [DSP_CONTEXT], "@type": "Dataset", "@id": "d"});
    refused(|value| CatalogRequestMessage::parse(value).map(drop), request.clone(), "unexpected_type", "Dataset");
    refused(|value| Dataset::parse(value).map(drop), with(request, "/@id", json!(1)), "wrong_type", "@id");
}
