//! Random entities in random chunks: what is forbidden never comes out, what is allowed stays equal, and chunks do not matter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use ngsi_ld_filter::{Answer, Filter, Representation, Shape, Stream};
use policy_plan::{Selection, Stretch};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// 2026-11-21T12:00:00Z
const NOW: i64 = 1_795_262_400_000;
const CONTEXT: &str = "https://city.example/context.jsonld";
/// Stands in every forbidden value; allowed values cannot hold it.
const CANARY: &str = "CANARY";
const ALLOWED: [&str; 3] = ["no2", "wind", "https://m/no2"];
const FORBIDDEN: [&str; 6] = ["plate", "owner", "no3", "NO2", "https://m/plate", "createdAt"];

fn filter() -> Arc<Filter> {
    let selection: Selection = serde_json::from_value(json!({
        "types": ["https://m/Air"],
        "ids": ["urn:ngsi-ld:Air:*"],
        "attributes": [{"name": "https://m/no2", "subAttributes": ["https://m/accuracy"]}, {"name": "https://m/wind"}],
        "contexts": [{"url": CONTEXT, "terms": {"Air": "https://m/Air", "no2": "https://m/no2", "wind": "https://m/wind",
            "accuracy": "https://m/accuracy", "plate": "https://m/plate", "owner": "https://m/owner"}}],
    }))
    .unwrap();
    Arc::new(Filter::new(selection).unwrap())
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\\\n é€𝄞{}\\[\\]:,]{0,12}".prop_map(Value::from),
    ]
}

/// Any JSON; keys look like everything else does.
fn data() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z\" ]{1,5}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn canary() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(CANARY)),
        Just(json!({"type": "Property", "value": CANARY})),
        Just(json!([{"type": "Property", "value": CANARY}, CANARY])),
        Just(json!({"type": "Relationship", "object": CANARY, "no2": {"type": "Property", "value": CANARY}})),
        Just(json!({"a": [[{"no2": CANARY, CANARY: 1}]]})),
    ]
}

/// An allowed attribute in normalized form as it comes, and as it must leave.
fn attribute(subs: bool) -> impl Strategy<Value = (Value, Value)> {
    let members = (data(), any::<bool>(), any::<bool>(), vec((0..FORBIDDEN.len(), canary()), 0..3), any::<bool>());
    members.prop_map(move |(value, unit, accuracy, hidden, last)| {
        let (mut given, mut left) = (Map::new(), Map::new());
        let kind = |to: &mut Map<String, Value>| to.insert("type".into(), "Property".into());
        if !last {
            kind(&mut given);
            kind(&mut left);
        }
        for (name, value) in hidden {
            given.insert(FORBIDDEN[name].into(), value);
        }
        given.insert("value".into(), value.clone());
        left.insert("value".into(), value);
        if unit {
            given.insert("unitCode".into(), "GQ".into());
            left.insert("unitCode".into(), "GQ".into());
        }
        if accuracy {
            given.insert("accuracy".into(), json!({"type": "Property", "value": if subs { "fine" } else { CANARY }}));
            if subs {
                left.insert("accuracy".into(), json!({"type": "Property", "value": "fine"}));
            }
        }
        if last {
            kind(&mut given);
            kind(&mut left);
        }
        (given.into(), left.into())
    })
}

fn entity() -> impl Strategy<Value = (Value, Option<Value>)> {
    (
        0_u32..100,
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.8),
        vec((0..ALLOWED.len(), attribute(true), attribute(false)), 0..3),
        vec((0..FORBIDDEN.len(), canary()), 0..4),
        any::<bool>(),
    )
        .prop_map(|(number, typed, named, allowed, hidden, first)| {
            let (mut given, mut left) = (Map::new(), Map::new());
            let mut put = |name: &str, from: Value, to: Option<Value>| {
                given.insert(name.to_owned(), from);
                if let Some(to) = to {
                    left.insert(name.to_owned(), to);
                }
            };
            let kind = if typed { "Air" } else { "CANARYType" };
            let id = if named { format!("urn:ngsi-ld:Air:{number}") } else { format!("urn:CANARY:{number}") };
            if first {
                put("type", kind.into(), Some(kind.into()));
            }
            for (name, value) in hidden {
                put(FORBIDDEN[name], value, None);
            }
            for (name, rich, plain) in allowed {
                let (from, to) = if ALLOWED[name] == "wind" { plain } else { rich };
                put(ALLOWED[name], from, Some(to));
            }
            put("id", id.clone().into(), Some(id.into()));
            if !first {
                put("type", kind.into(), Some(kind.into()));
            }
            (given.into(), (typed && named).then(|| left.into()))
        })
}

fn run(filter: &Arc<Filter>, shape: Shape, body: &[u8], cuts: &[usize]) -> Vec<u8> {
    let answer = Answer {
        representation: Representation::Normalized,
        shape,
        temporal: false,
        geometry: true,
        context: Some(CONTEXT.to_owned()),
        asked: Stretch::ALWAYS,
    };
    let mut stream = Stream::new(filter, answer, NOW).unwrap();
    let (mut out, mut rest, mut cuts) = (Vec::new(), body, cuts.iter().cycle());
    while !rest.is_empty() {
        let cut = cuts.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
        stream.push(&rest[..cut], &mut out).unwrap();
        rest = &rest[cut..];
    }
    stream.finish(&mut out).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_what_is_allowed_comes_out(entities in vec(entity(), 0..6), cuts in vec(1_usize..90, 1..8), pretty: bool) {
        let filter = filter();
        let given: Vec<&Value> = entities.iter().map(|(given, _)| given).collect();
        let expected: Vec<&Value> = entities.iter().filter_map(|(_, left)| left.as_ref()).collect();
        let body = if pretty { serde_json::to_vec_pretty(&given) } else { serde_json::to_vec(&given) }.unwrap();
        let whole = run(&filter, Shape::Entities, &body, &[]);
        let text = String::from_utf8(whole.clone()).unwrap();
        prop_assert!(!text.contains(CANARY), "{}", text);
        prop_assert!(!FORBIDDEN.iter().any(|name| text.contains(&format!("\"{name}\""))), "{}", text);
        let left: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(left, json!(expected));
        prop_assert_eq!(run(&filter, Shape::Entities, &body, &cuts), whole);
    }

    #[test]
    fn lines_are_the_same_as_arrays(entities in vec(entity(), 0..6), cuts in vec(1_usize..40, 1..8)) {
        let filter = filter();
        let body: String = entities.iter().map(|(given, _)| format!("{given}\n")).collect();
        let left = String::from_utf8(run(&filter, Shape::Lines, body.as_bytes(), &cuts)).unwrap();
        let lines: Vec<Value> = left.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected: Vec<Value> = entities.into_iter().filter_map(|(_, left)| left).collect();
        prop_assert_eq!(lines, expected);
    }

    #[test]
    fn noise_ends_without_a_crash(body in vec(any::<u8>(), 0..300), begin in 0_usize..4, cuts in vec(1_usize..20, 1..5)) {
        let filter = filter();
        let begins: [&[u8]; 4] = [b"", b"[{\"id\":\"urn:1\",", b"[{\"no2\":{", b"[{\"no2\":[{\"type\":\"Property\",\"value\":"];
        let body = [begins[begin], &body].concat();
        for representation in [Representation::Normalized, Representation::Concise, Representation::Simplified] {
            let answer = Answer { representation, shape: Shape::Entities, temporal: true, geometry: true, context: None, asked: Stretch::ALWAYS };
            let mut stream = Stream::new(&filter, answer, NOW).unwrap();
            let mut out = Vec::new();
            let mut broken = false;
            for chunk in body.chunks(cuts[0]) {
                broken = stream.push(chunk, &mut out).is_err();
                if broken {
                    break;
                }
            }
            if !broken {
                let _ = stream.finish(&mut out);
            }
        }
    }
}
