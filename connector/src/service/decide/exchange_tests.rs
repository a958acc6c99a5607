//! A policy is the same after it went to the partner and came back: written as a message, sent as text, read and compiled.

use dsp_protocol::context::compact;
use dsp_protocol::negotiation::ContractRequestMessage;
use dsp_protocol::pid::{ConsumerPid, DatasetId, OfferId, ParticipantId};
use dsp_protocol::policy::{Offer, Rules};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{About, Decisions};

const PROVIDER: &str = "did:web:bari.example";
const DATASET: &str = "urn:dataset:air";

fn constraint() -> impl Strategy<Value = Value> {
    let of = |left: &'static [&'static str], operators: &'static [&'static str], right: &'static [&'static str]| {
        let right = proptest::sample::subsequence(right, 1..=right.len());
        (proptest::sample::select(left), proptest::sample::select(operators), right).prop_map(
            |(left, operator, right)| {
                let right = if right.len() == 1 { json!(right[0]) } else { json!(right) };
                json!({"leftOperand": left, "operator": operator, "rightOperand": right})
            },
        )
    };
    let sets = ["isAnyOf", "isNoneOf", "isAllOf"].as_slice();
    let number = (proptest::sample::select(&["count", "volume"][..]), 1..9_i64)
        .prop_map(|(left, most)| json!({"leftOperand": left, "operator": "lteq", "rightOperand": most}));
    let moment = (1..9_i64, any::<bool>()).prop_map(|(day, typed)| {
        let text = format!("2027-01-0{day}T00:00:00Z");
        let right = if typed { json!({"@value": text, "@type": "xsd:dateTime"}) } else { json!(text) };
        json!({"leftOperand": "dateTime", "operator": "lt", "rightOperand": right})
    });
    let atom = prop_oneof![
        of(&["role", "purpose", "credential:a.b", "https://x.example/y"], sets, &["a", "b", "urn:c"]),
        of(&["spatial"], &["isAnyOf"], &["urn:iso:IT", "urn:iso:EU"]),
        of(&["membership"], &["eq"], &["active"]),
        of(&["event", "consent"], &["eq"], &["urn:x"]),
        number,
        moment,
    ];
    atom.prop_recursive(2, 8, 3, |inner| {
        let name = proptest::sample::select(&["and", "or", "xone", "andSequence"][..]);
        (name, proptest::collection::vec(inner, 1..3)).prop_map(|(name, list)| json!({name: list}))
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let action = proptest::sample::select(&["use", "read", "distribute"][..]);
    let duty = proptest::option::of(proptest::sample::select(&["attribute", "compensate", "delete"][..]));
    (action, proptest::collection::vec(constraint(), 0..3), duty).prop_map(|(action, constraints, duty)| {
        let mut rule = json!({"action": action});
        if !constraints.is_empty() {
            rule["constraint"] = json!(constraints);
        }
        if let Some(duty) = duty {
            rule["duty"] = json!([{"action": duty}]);
        }
        rule
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_is_the_same_on_the_other_side(
        permission in proptest::collection::vec(rule(), 1..3),
        prohibition in proptest::collection::vec(rule(), 0..2),
        profiled in any::<bool>(),
    ) {
        let prohibition: Vec<Value> = prohibition.into_iter().map(|mut rule| {
            rule.as_object_mut().unwrap().remove("duty");
            rule
        }).collect();
        let mut written = json!({"permission": permission});
        if !prohibition.is_empty() {
            written["prohibition"] = json!(prohibition);
        }
        let profile: Vec<String> = if profiled { vec![policy::MUNICIPAL_PROFILE.to_owned()] } else { Vec::new() };
        let offer = Offer {
            id: OfferId::parse("urn:offer:1").unwrap(),
            target: Some(DatasetId::parse(DATASET).unwrap()),
            assigner: Some(ParticipantId::parse(PROVIDER).unwrap()),
            assignee: None,
            profile,
            rules: Rules::parse(&written).unwrap(),
        };
        let message = ContractRequestMessage::initial(ConsumerPid::generate(), "https://c.example".to_owned(), offer.clone());
        let sent = message.to_value().to_string();
        let read = compact(serde_json::from_str(&sent).unwrap()).unwrap();
        let came = ContractRequestMessage::parse(&read).unwrap().offer;

        let decisions = Decisions::new(std::collections::BTreeMap::new());
        let about = About { target: Some(DATASET), assigner: Some(PROVIDER), ..About::default() };
        let ours = decisions.compile(&offer.rules, &offer.profile, about).unwrap();
        let theirs = decisions.compile(&came.rules, &came.profile, about).unwrap();
        prop_assert_eq!(ours.hash(), theirs.hash(), "{}", sent);
        prop_assert_eq!(ours.rules(), theirs.rules());
    }
}
