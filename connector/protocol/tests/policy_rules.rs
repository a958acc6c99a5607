//! Rules are compared by meaning and written so that they validate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dsp_protocol::pid::OfferId;
use dsp_protocol::policy::{Offer, Rules, difference, same_rules};
use serde_json::{Value, json};

fn rules(policy: Value) -> Rules {
    Rules::from_fragment(policy).unwrap()
}

fn operand(right: Value) -> Rules {
    let constraint = json!({"leftOperand": "count", "operator": "lteq", "rightOperand": right});
    Rules { permission: vec![json!({"action": "use", "constraint": [constraint]})], ..Rules::default() }
}

#[test]
fn equal_operands() {
    let integer = json!({"@value": "5", "@type": "xsd:integer"});
    for (one, other) in [
        (json!(5), integer.clone()),
        (json!({"@value": 5, "@type": "http://www.w3.org/2001/XMLSchema#integer"}), integer.clone()),
        (json!({"@value": 5}), integer),
        (json!(true), json!({"@value": "true", "@type": "xsd:boolean"})),
        (json!(1.5), json!({"@value": "1.5", "@type": "xsd:decimal"})),
        (json!("x"), json!(["x"])),
        (json!("x"), json!({"@value": "x"})),
        (json!(["a", "b"]), json!(["b", "a", "b"])),
        (json!(["a", "b"]), json!({"@list": ["a", "b"]})),
    ] {
        assert!(same_rules(&operand(one.clone()), &operand(other.clone())), "{one} {other}");
    }
}

#[test]
fn different_operands() {
    for (one, other) in [
        (json!("5"), json!(5)),
        (json!("x"), json!({"@id": "x"})),
        (json!("x"), json!({"@value": "x", "@language": "en"})),
        (json!(["a", "b"]), json!(["a"])),
        (json!([]), json!("")),
        (json!("2026-01-01"), json!({"@value": "2026-01-01", "@type": "xsd:date"})),
    ] {
        assert!(!same_rules(&operand(one.clone()), &operand(other.clone())), "{one} {other}");
    }
}

#[test]
fn unknown_members_make_a_difference() {
    let plain = rules(json!({"permission": [{"action": "use"}]}));
    let remedy = rules(json!({"permission": [{"action": "use", "remedy": [{"action": "anonymize"}]}]}));
    let sentence = difference(&plain, &remedy).unwrap();
    assert!(sentence.starts_with("only the first policy has the permission"), "{sentence}");
    assert!(same_rules(
        &plain,
        &rules(json!({"odrl:permission": {"odrl:action": {"@id": "odrl:use"}}, "obligation": []}))
    ));
    assert!(same_rules(&plain, &rules(json!({"permission": {"@id": "_:b0", "@type": "Permission", "action": "use"}}))));
}

#[test]
fn the_number_of_equal_rules_counts() {
    let once = rules(json!({"permission": [{"action": "use"}]}));
    let twice = rules(json!({"permission": [{"action": "use"}, {"action": "use"}]}));
    let sentence = difference(&once, &twice).unwrap();
    assert!(sentence.starts_with("only the second policy has the permission"), "{sentence}");
}

#[test]
fn order_matters_in_a_sequence_only() {
    let leaf = |name: &str| json!({"leftOperand": name, "operator": "eq", "rightOperand": "x"});
    let tree = |logical: &str, first: &str, second: &str| Rules {
        permission: vec![json!({"action": "use", "constraint": [{logical: [leaf(first), leaf(second)]}]})],
        ..Rules::default()
    };
    for logical in ["and", "or", "xone"] {
        assert!(same_rules(&tree(logical, "a", "b"), &tree(logical, "b", "a")), "{logical}");
    }
    assert!(!same_rules(&tree("andSequence", "a", "b"), &tree("andSequence", "b", "a")));
    assert!(!same_rules(&tree("and", "a", "b"), &tree("or", "a", "b")));
}

#[test]
fn a_long_difference_is_shortened() {
    let long = rules(json!({"permission": [{"action": "x".repeat(10_000)}]}));
    let sentence = difference(&long, &Rules::default()).unwrap();
    assert!(sentence.chars().count() < 300, "{sentence}");
}

/// The contract schema: no empty arrays, operators from its list, right operands string, object or array.
#[test]
fn rules_are_written_as_the_schema_wants() {
    let rules = Rules {
        permission: vec![json!({"action": "odrl:use", "constraint": [
            {"leftOperand": "count", "operator": "odrl:lteq", "rightOperand": 5},
            {"or": [{"leftOperand": "a", "operator": "eq", "rightOperand": true},
                {"leftOperand": "b", "operator": "eq", "rightOperand": [1.5, "x"]}]}]})],
        prohibition: vec![json!({"action": "sell", "constraint": [], "duty": []})],
        obligation: Vec::new(),
    };
    let mut offer = Offer::new(OfferId::parse("urn:o").unwrap(), rules);
    offer.profile = vec!["urn:profile".to_owned()];
    assert_eq!(
        offer.catalog_offer(),
        json!({"@id": "urn:o", "@type": "Offer", "profile": "urn:profile",
            "permission": [{"action": "use", "constraint": [
                {"leftOperand": "count", "operator": "lteq", "rightOperand": {"@value": "5", "@type": "xsd:integer"}},
                {"or": [
                    {"leftOperand": "a", "operator": "eq", "rightOperand": {"@value": "true", "@type": "xsd:boolean"}},
                    {"leftOperand": "b", "operator": "eq", "rightOperand":
                        [{"@value": "1.5", "@type": "xsd:decimal"}, "x"]}]}]}],
            "prohibition": [{"action": "sell"}]})
    );
}

#[test]
fn a_catalog_offer_has_no_target_and_a_message_offer_has_one() {
    let mut offer = Offer::new(OfferId::parse("urn:o").unwrap(), rules(json!({"permission": [{"action": "use"}]})));
    offer.target = Some(dsp_protocol::pid::DatasetId::parse("urn:d").unwrap());
    assert_eq!(offer.catalog_offer().get("target"), None);
    assert_eq!(offer.message_offer()["target"], "urn:d");
}
