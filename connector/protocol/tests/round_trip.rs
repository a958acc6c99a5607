//! What is written is read again as the same message, and rules that mean the same are found equal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dsp_protocol::catalog::{AccessService, Catalog, CatalogRequestMessage, DataService, Dataset, Distribution};
use dsp_protocol::context::{compact, content_digest};
use dsp_protocol::negotiation::*;
use dsp_protocol::policy::{Agreement, Offer, Rules, difference, same_rules};
use dsp_protocol::transfer::{
    DataAddress, TransferCompletionMessage, TransferProcess, TransferRequestMessage, TransferStartMessage,
    TransferState, TransferSuspensionMessage, TransferTerminationMessage,
};
use dsp_protocol::version::{ProtocolVersion, VersionAuth, VersionDocument};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

fn id<T: TryFrom<String, Error = dsp_protocol::pid::IdError> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "(urn:uuid:|did:web:|)[a-z0-9:/%\"\\\\äß=]{1,12}".prop_map(|text| T::try_from(text).unwrap())
}

fn address() -> impl Strategy<Value = String> {
    "https://[a-z0-9.:/%]{1,20}"
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((".{0,6}", inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn properties() -> impl Strategy<Value = Map<String, Value>> {
    let value =
        prop_oneof![".{0,8}".prop_map(Value::from), any::<i32>().prop_map(Value::from), Just(json!([1, {"a": 2}]))];
    vec((select(vec!["dct:title", "dcat:keyword", "https://example.org/x", "plain"]), value), 0..3)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn constraint() -> impl Strategy<Value = Value> {
    let operators = "eq neq gt gteq lt lteq isA hasPart isPartOf isAllOf isAnyOf isNoneOf term-lteq";
    let operand = prop_oneof![
        ".{0,8}".prop_map(Value::from),
        vec("[a-z]{1,3}", 2..4).prop_map(Value::from),
        any::<i32>().prop_map(|n| json!({"@value": n.to_string(), "@type": "xsd:integer"})),
        "[a-z]{1,3}".prop_map(|iri| json!({"@id": format!("urn:{iri}")})),
    ];
    let left = select(vec!["odrl:dateTime", "purpose", "https://example.org/cx#Membership"]);
    let atom = (left, select(operators.split(' ').collect::<Vec<_>>()), operand)
        .prop_map(|(left, operator, right)| json!({"leftOperand": left, "operator": operator, "rightOperand": right}));
    atom.prop_recursive(3, 8, 3, |inner| {
        (select(vec!["and", "or", "xone", "andSequence"]), vec(inner, 1..3))
            .prop_map(|(name, inner)| json!({name: inner}))
    })
}

fn rule() -> impl Strategy<Value = Value> {
    (select(vec!["use", "odrl:read", "read", "https://example.org/train"]), vec(constraint(), 0..3)).prop_map(
        |(action, constraints)| match constraints.is_empty() {
            true => json!({"action": action}),
            false => json!({"action": action, "constraint": constraints}),
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    (vec(rule(), 1..3), vec(rule(), 0..3), vec(rule(), 0..2)).prop_map(|(one, two, obligation)| match one.len() {
        1 => Rules { permission: one, prohibition: two, obligation },
        _ => Rules { permission: two, prohibition: one, obligation },
    })
}

fn offer(with_target: bool) -> impl Strategy<Value = Offer> {
    let profile = vec("https://example.org/[a-z]{1,3}", 0..3);
    (id(), id(), option::of(id()), option::of(id()), profile, rules()).prop_map(
        move |(id, target, assigner, assignee, profile, rules)| Offer {
            id,
            target: with_target.then_some(target),
            assigner,
            assignee,
            profile,
            rules,
        },
    )
}

fn agreement() -> impl Strategy<Value = Agreement> {
    let timestamp = option::of(select(vec!["2026-01-01T00:00:00Z".to_owned(), "2023-12-31T06:00+01:00".to_owned()]));
    let profile = vec("https://example.org/[a-z]{1,3}", 0..3);
    (id(), id(), id(), id(), timestamp, profile, rules()).prop_map(
        |(id, target, assigner, assignee, timestamp, profile, rules)| Agreement {
            id,
            target,
            assigner,
            assignee,
            timestamp,
            profile,
            rules,
        },
    )
}

fn data_address() -> impl Strategy<Value = DataAddress> {
    ("https://example.org/[a-z]{1,5}", option::of(address()), vec(("[a-z:/.]{1,12}", ".{0,12}"), 0..4))
        .prop_map(|(endpoint_type, endpoint, properties)| DataAddress { endpoint_type, endpoint, properties })
}

fn service() -> impl Strategy<Value = DataService> {
    ("urn:[a-z]{1,5}", address(), properties()).prop_map(|(id, endpoint_url, properties)| DataService {
        id,
        endpoint_url,
        properties,
    })
}

fn distribution() -> impl Strategy<Value = Distribution> {
    let access_service =
        prop_oneof!["urn:[a-z]{1,5}".prop_map(AccessService::Reference), service().prop_map(AccessService::Inline)];
    ("[A-Za-z-]{1,12}", access_service, vec(offer(false), 0..2), properties()).prop_map(
        |(format, access_service, offers, properties)| Distribution { format, access_service, offers, properties },
    )
}

fn dataset() -> impl Strategy<Value = Dataset> {
    (id(), vec(offer(false), 1..3), vec(distribution(), 1..3), properties())
        .prop_map(|(id, offers, distributions, properties)| Dataset { id, offers, distributions, properties })
}

fn catalog() -> impl Strategy<Value = Catalog> {
    let parts =
        ("urn:[a-z]{1,5}", id(), vec(service(), 0..2), vec(dataset(), 0..3), vec(distribution(), 0..2), properties());
    let flat = parts.prop_map(|(id, participant, services, datasets, distributions, properties)| Catalog {
        id,
        participant_id: Some(participant),
        services,
        datasets,
        catalogs: Vec::new(),
        distributions,
        properties,
    });
    let flat = flat.boxed();
    (flat.clone(), vec(flat, 0..2)).prop_map(|(outer, catalogs)| Catalog { catalogs, ..outer })
}

fn protocol_version() -> impl Strategy<Value = ProtocolVersion> {
    let auth = (".{1,5}", ".{1,5}", vec(".{1,5}", 0..3)).prop_map(|(protocol, version, profile)| VersionAuth {
        protocol,
        version,
        profile,
    });
    ("[0-9v./-]{1,8}", "/[a-z0-9/-]{0,8}", option::of(".{1,5}"), option::of(auth)).prop_map(
        |(version, path, extra, auth)| ProtocolVersion {
            service_id: extra.clone(),
            identifier_type: extra,
            auth,
            ..ProtocolVersion::new(&version, &path)
        },
    )
}

fn reason() -> impl Strategy<Value = (Option<String>, Vec<Value>)> {
    (option::of(".{0,8}"), vec(any_json(), 0..3))
}

/// The message, read with and without another pass through the context, is the same; no array in it is empty.
macro_rules! same {
    ($kind:ty, $message:expr) => {{
        let message: $kind = $message;
        let value = message.to_value();
        let read = <$kind>::parse(&value);
        prop_assert_eq!(&read, &Ok(message.clone()), "{}", value);
        let text = value.to_string();
        let again: Value = serde_json::from_str(&text).unwrap();
        let compacted = compact(again).unwrap();
        prop_assert_eq!(content_digest(&compacted), content_digest(&value));
        let read = <$kind>::parse(&compacted);
        prop_assert_eq!(&read, &Ok(message), "{}", value);
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn contract_requests(consumer_pid in id(), provider_pid in option::of(id()), back in address(), offer in offer(true),
        purpose in vec("[a-z]{1,8}", 0..3)) {
        let callback_address = provider_pid.is_none().then_some(back);
        same!(ContractRequestMessage, ContractRequestMessage { consumer_pid, provider_pid, callback_address, offer, purpose });
    }

    #[test]
    fn contract_offers(provider_pid in id(), consumer_pid in option::of(id()), back in address(), offer in offer(true)) {
        let callback_address = consumer_pid.is_none().then_some(back);
        same!(ContractOfferMessage, ContractOfferMessage { provider_pid, consumer_pid, callback_address, offer });
    }

    #[test]
    fn contract_agreements(provider_pid in id(), consumer_pid in id(), agreement in agreement()) {
        same!(ContractAgreementMessage, ContractAgreementMessage { provider_pid, consumer_pid, agreement });
    }

    #[test]
    fn other_messages_of_a_negotiation(
        provider_pid in id::<dsp_protocol::pid::ProviderPid>(),
        consumer_pid in id::<dsp_protocol::pid::ConsumerPid>(),
        event in select(vec![NegotiationEvent::Accepted, NegotiationEvent::Finalized]),
        state in select(NegotiationState::ALL.to_vec()),
        (code, reason) in reason(),
    ) {
        let (p, c) = (provider_pid, consumer_pid);
        same!(ContractAgreementVerificationMessage,
            ContractAgreementVerificationMessage { provider_pid: p.clone(), consumer_pid: c.clone() });
        same!(ContractNegotiationEventMessage,
            ContractNegotiationEventMessage { provider_pid: p.clone(), consumer_pid: c.clone(), event });
        same!(ContractNegotiation, ContractNegotiation { provider_pid: p.clone(), consumer_pid: c.clone(), state });
        same!(ContractNegotiationTerminationMessage,
            ContractNegotiationTerminationMessage { provider_pid: p, consumer_pid: c, code, reason });
    }

    #[test]
    fn messages_of_a_transfer(
        provider_pid in id::<dsp_protocol::pid::ProviderPid>(),
        consumer_pid in id::<dsp_protocol::pid::ConsumerPid>(),
        agreement_id in id(),
        format in "[A-Za-z-]{1,12}",
        callback_address in address(),
        data_address in option::of(data_address()),
        purpose in vec("[a-z]{1,8}", 0..3),
        state in select(TransferState::ALL.to_vec()),
        (code, reason) in reason(),
    ) {
        let (p, c) = (provider_pid, consumer_pid);
        same!(TransferRequestMessage, TransferRequestMessage { consumer_pid: c.clone(), agreement_id, format,
            callback_address, data_address: data_address.clone(), purpose });
        same!(TransferStartMessage,
            TransferStartMessage { provider_pid: p.clone(), consumer_pid: c.clone(), data_address });
        same!(TransferCompletionMessage, TransferCompletionMessage { provider_pid: p.clone(), consumer_pid: c.clone() });
        same!(TransferProcess, TransferProcess { provider_pid: p.clone(), consumer_pid: c.clone(), state });
        same!(TransferSuspensionMessage, TransferSuspensionMessage { provider_pid: p.clone(), consumer_pid: c.clone(),
            code: code.clone(), reason: reason.clone() });
        same!(TransferTerminationMessage, TransferTerminationMessage { provider_pid: p, consumer_pid: c, code, reason });
    }

    #[test]
    fn catalogs(catalog in catalog(), dataset in dataset(), filter in vec(any_json(), 0..3)) {
        same!(Catalog, catalog);
        same!(Dataset, dataset);
        same!(CatalogRequestMessage, CatalogRequestMessage { filter });
    }

    #[test]
    fn version_documents(entries in vec(protocol_version(), 0..4)) {
        let document = VersionDocument { protocol_versions: entries };
        prop_assert_eq!(VersionDocument::parse(&document.to_value()), Ok(document));
    }

    #[test]
    fn rules_equal_themselves_in_any_order_and_spelling(rules in rules()) {
        let turned = Rules {
            permission: rules.permission.iter().rev().map(respell).collect(),
            prohibition: rules.prohibition.iter().rev().map(respell).collect(),
            obligation: rules.obligation.iter().rev().map(respell).collect(),
        };
        prop_assert_eq!(difference(&rules, &turned), None);
        prop_assert!(same_rules(&rules, &turned));
    }

    #[test]
    fn difference_and_same_rules_agree(one in rules(), other in rules()) {
        prop_assert_eq!(same_rules(&one, &other), difference(&one, &other).is_none());
    }
}

/// The same rule as another implementation would write it.
fn respell(node: &Value) -> Value {
    let Value::Object(map) = node else { return node.clone() };
    let mut out = Map::new();
    for (name, value) in map.iter().rev() {
        let value = match (name.as_str(), value) {
            ("constraint" | "and" | "or" | "xone", Value::Array(items)) => items.iter().rev().map(respell).collect(),
            ("andSequence", Value::Array(items)) => items.iter().map(respell).collect(),
            ("action", Value::String(name)) if name == "use" => json!("http://www.w3.org/ns/odrl/2/use"),
            ("leftOperand", Value::String(name)) if name == "odrl:dateTime" => json!("dateTime"),
            ("operator", Value::String(name)) => json!(format!("odrl:{name}")),
            ("rightOperand", Value::String(text)) => {
                json!({"@value": text, "@type": "http://www.w3.org/2001/XMLSchema#string"})
            }
            ("rightOperand", Value::Array(items)) => items.iter().rev().cloned().collect(),
            ("rightOperand", Value::Object(typed)) if typed.contains_key("@value") => {
                serde_json::from_str(typed["@value"].as_str().unwrap()).unwrap()
            }
            (_, other) => other.clone(),
        };
        out.insert(name.clone(), value);
    }
    if out.contains_key("action") && !out.contains_key("constraint") {
        out.insert("constraint".to_owned(), json!([]));
        out.insert("@type".to_owned(), json!("Permission"));
    }
    Value::Object(out)
}
