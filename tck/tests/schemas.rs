//! The published schemas tell right from wrong; what the binaries send is held against them in `two_connectors.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use serde_json::{Value, json};
use tck::peer::messages;
use tck::schemas::Schemas;

#[test]
fn the_published_schemas_tell_right_from_wrong() {
    let schemas = Schemas::published().unwrap();
    let offer = messages::open_offer("urn:offer:1", "dataset-1");
    let agreement = messages::agreement(&offer, "did:web:a", "did:web:b", "2026-01-01T00:00:00Z");
    let good = [
        messages::contract_request("urn:c", "http://127.0.0.1:1", &offer),
        messages::contract_offer("urn:p", "http://127.0.0.1:1", &offer),
        messages::contract_agreement("urn:p", "urn:c", &agreement),
        messages::verification("urn:p", "urn:c"),
        messages::event("urn:p", "urn:c", "ACCEPTED"),
        messages::negotiation_termination("urn:p", "urn:c"),
        messages::transfer_request("urn:c", "http://127.0.0.1:1", "urn:a", "HttpData-PULL"),
        messages::about("TransferStartMessage", "urn:p", "urn:c"),
        messages::about("TransferCompletionMessage", "urn:p", "urn:c"),
        messages::about("TransferSuspensionMessage", "urn:p", "urn:c"),
        messages::about("TransferTerminationMessage", "urn:p", "urn:c"),
        messages::plain("CatalogRequestMessage"),
        messages::plain("CatalogError"),
    ];
    for message in &good {
        assert_eq!(schemas.faults(message), [] as [&str; 0]);
    }

    let without = |message: &Value, pointer: &str, member: &str| {
        let mut copy = message.clone();
        copy.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member);
        copy
    };
    for message in &good {
        assert!(!schemas.faults(&without(message, "", "@context")).is_empty(), "{message}");
        assert!(!schemas.faults(&without(message, "", "@type")).is_empty(), "{message}");
        if message.get("providerPid").is_some() {
            assert!(!schemas.faults(&without(message, "", "providerPid")).is_empty(), "{message}");
        }
    }
    let bad = [
        without(&good[0], "/offer", "@id"),
        without(&good[0], "/offer", "permission"),
        messages::with(good[0].clone(), &json!({"providerPid": "urn:p"})),
        messages::with(good[0].clone(), &json!({"@context": messages::CONTEXT})),
        without(&good[2], "/agreement", "assigner"),
        messages::event("urn:p", "urn:c", "VERIFIED"),
        messages::with(good[5].clone(), &json!({"reason": []})),
        messages::with(good[10].clone(), &json!({"reason": "a word"})),
        messages::about("NoSuchMessage", "urn:p", "urn:c"),
    ];
    for message in &bad {
        assert!(!schemas.faults(message).is_empty(), "{message}");
    }
    let number = json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "count", "operator": "lteq", "rightOperand": 5}
    ]}]});
    let counted = messages::contract_request("urn:c", "http://127.0.0.1:1", &messages::with(offer, &number));
    assert!(!schemas.faults(&counted).is_empty(), "a number as right operand is not allowed");
}
