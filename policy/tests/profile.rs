//! The published vocabulary of the municipal profile and what the compiler understands are the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;

use oxttl::TurtleParser;
use policy::{MUNICIPAL_PROFILE, Policy, PolicySource};
use serde_json::{Value, json};

const VOCABULARY: &str = include_str!("../profile/municipal.ttl");
const PAGE: &str = include_str!("../../docs/src/policy-profile.md");

/// The words of the vocabulary: left operands, and the others, which are units.
fn words() -> (BTreeSet<String>, BTreeSet<String>) {
    let namespace = format!("{MUNICIPAL_PROFILE}#");
    let (mut operands, mut all) = (BTreeSet::new(), BTreeSet::new());
    for triple in TurtleParser::new().for_slice(VOCABULARY) {
        let triple = triple.unwrap();
        let subject = triple.subject.to_string();
        let Some(word) = subject.trim_matches(['<', '>']).strip_prefix(&namespace) else { continue };
        all.insert(word.to_owned());
        if triple.object.to_string() == "<http://www.w3.org/ns/odrl/2/LeftOperand>" {
            operands.insert(word.to_owned());
        }
    }
    let units = all.difference(&operands).cloned().collect();
    (operands, units)
}

fn compile(constraint: &Value) -> Result<Policy, policy::PolicyError> {
    let rules = json!({"profile": MUNICIPAL_PROFILE, "permission": [{"action": "use", "constraint": [constraint]}]});
    Policy::compile(&PolicySource { rules, ..PolicySource::default() })
}

#[test]
fn every_left_operand_of_the_vocabulary_compiles_by_its_iri_and_stands_on_the_page() {
    let (operands, _) = words();
    assert!(operands.len() >= 9, "{operands:?}");
    for word in operands {
        let path = if word == "credential" { ":contract.class" } else { "" };
        let right = match word.as_str() {
            "dayOfWeek" => json!("Monday"),
            "timeOfDay" => json!("08:30"),
            "hourOfDay" | "volume" => json!(8),
            _ => json!("urn:x"),
        };
        let left = format!("{MUNICIPAL_PROFILE}#{word}{path}");
        let constraint = json!({"leftOperand": left, "operator": "eq", "rightOperand": right});
        let policy = compile(&constraint).unwrap_or_else(|error| panic!("{word}: {error}"));
        assert!(policy.rules()[0].contains(&word), "{}", policy.rules()[0]);
        assert!(PAGE.contains(&format!("| `{word}")), "the page leaves out `{word}`");
    }
}

#[test]
fn every_unit_of_the_vocabulary_is_a_unit_of_uses() {
    let (_, units) = words();
    assert_eq!(units, BTreeSet::from(["request".to_owned(), "transfer".to_owned()]));
    let count = |unit: &str| json!({"leftOperand": "count", "operator": "lteq", "rightOperand": 5, "unit": unit});
    for word in &units {
        compile(&count(&format!("{MUNICIPAL_PROFILE}#{word}"))).unwrap();
        assert!(PAGE.contains(&format!("| `{word}` | `count`")), "the page leaves out `{word}`");
    }
    assert!(compile(&count(&format!("{MUNICIPAL_PROFILE}#kilometre"))).is_err());
}

#[test]
fn a_word_that_the_vocabulary_does_not_have_is_refused() {
    let left = format!("{MUNICIPAL_PROFILE}#shoeSize");
    let error = compile(&json!({"leftOperand": left, "operator": "eq", "rightOperand": 42})).unwrap_err();
    assert!(error.to_string().contains("shoeSize"), "{error}");
}
