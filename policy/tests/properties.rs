//! What holds for every policy, every party and every moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use policy::{Facts, Policy, PolicySource, Scope, Used};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Moments are minutes of one day, so that bounds and clocks meet often.
const DAY: &str = "2026-06-15";
const DAY_MS: i64 = 1_781_481_600_000;

fn clock() -> impl Strategy<Value = i64> {
    (-2..12_i64, -1..=1_i64).prop_map(|(minute, off)| DAY_MS + minute * 60_000 + off)
}

fn constraint() -> impl Strategy<Value = Value> {
    let time = (proptest::sample::select(&["lt", "lteq", "gt", "gteq", "eq", "neq"][..]), 0..10_i64).prop_map(
        |(operator, minute)| {
            json!({"leftOperand": "dateTime", "operator": operator, "rightOperand": format!("{DAY}T00:{minute:02}:00Z")})
        },
    );
    let day = proptest::sample::select(&["lt", "lteq", "gt", "gteq", "eq", "neq"][..])
        .prop_map(|operator| json!({"leftOperand": "dateTime", "operator": operator, "rightOperand": DAY}));
    let after = (proptest::sample::select(&["lteq", "gteq"][..]), 0..10_i64).prop_map(|(operator, minute)| {
        let right = format!("contractAgreement+{minute}m");
        json!({"leftOperand": "inForceDate", "operator": operator, "rightOperand": right})
    });
    let set = (
        proptest::sample::select(&["role", "purpose", "credential:a.b", "https://x.example/y"][..]),
        proptest::sample::select(&["eq", "neq", "isAnyOf", "isNoneOf", "isAllOf", "isA", "isPartOf", "hasPart"][..]),
        proptest::collection::vec("[abc]", 1..3),
    )
        .prop_map(|(left, operator, right)| json!({"leftOperand": left, "operator": operator, "rightOperand": right}));
    let place = (
        proptest::sample::select(&["isPartOf", "eq", "isNoneOf"][..]),
        proptest::sample::select(&["urn:iso:EU", "urn:iso:IT", "urn:nuts:ITF4", "https://x.example/it"][..]),
    )
        .prop_map(|(operator, right)| json!({"leftOperand": "spatial", "operator": operator, "rightOperand": right}));
    let party = (
        proptest::sample::select(&["eq", "neq", "isAnyOf", "isNoneOf", "isPartOf"][..]),
        proptest::sample::select(&["did:web:a", "did:web:b", "urn:group:a"][..]),
    )
        .prop_map(|(operator, right)| json!({"leftOperand": "recipient", "operator": operator, "rightOperand": right}));
    let number = (proptest::sample::select(&["lteq", "gt", "eq"][..]), 0..3_i64).prop_map(
        |(operator, right)| json!({"leftOperand": "credential:n", "operator": operator, "rightOperand": right}),
    );
    let hours = (
        proptest::sample::select(&["lt", "lteq", "gt", "gteq", "eq", "neq"][..]),
        0..10_i64,
        proptest::sample::select(&["", "[Europe/Rome]", "[Asia/Kathmandu]"][..]),
    )
        .prop_map(|(operator, minute, zone)| {
            json!({"leftOperand": "timeOfDay", "operator": operator, "rightOperand": format!("00:{minute:02}{zone}")})
        });
    let weekday = (proptest::sample::select(&["eq", "isAnyOf", "isNoneOf", "gteq"][..]), 0..7_i64)
        .prop_map(|(operator, day)| json!({"leftOperand": "dayOfWeek", "operator": operator, "rightOperand": day}));
    let ordering = || proptest::sample::select(&["lt", "lteq", "gt", "gteq", "eq", "neq"][..]);
    let number = prop_oneof![
        1 => number,
        2 => (proptest::sample::select(&["count", "volume"][..]), ordering(), 0..5_i64)
            .prop_map(|(left, operator, right)| json!({"leftOperand": left, "operator": operator, "rightOperand": right})),
        1 => (ordering(), 0..5_i64).prop_map(|(operator, right)| {
            json!({"leftOperand": "count", "unit": "transfer", "operator": operator, "rightOperand": right})
        }),
        2 => (
            proptest::sample::select(&["meteredTime", "elapsedTime", "timeInterval", "delayPeriod"][..]),
            ordering(),
            0..10_i64
        )
            .prop_map(|(left, operator, minutes)| {
                json!({"leftOperand": left, "operator": operator, "rightOperand": format!("PT{minutes}M")})
            }),
    ];
    let party = prop_oneof![
        2 => party,
        1 => (
            proptest::sample::select(&["event", "consent"][..]),
            proptest::sample::select(&["eq", "neq", "isAnyOf", "isNoneOf", "isAllOf"][..]),
            proptest::collection::vec("[abc]", 1..3)
        )
            .prop_map(|(left, operator, right)| json!({"leftOperand": left, "operator": operator, "rightOperand": right})),
        1 => (
            proptest::sample::select(&["deliveryChannel", "fileFormat"][..]),
            proptest::sample::select(&["eq", "neq", "isAnyOf", "isNoneOf"][..]),
            "[abc]"
        )
            .prop_map(|(left, operator, right)| json!({"leftOperand": left, "operator": operator, "rightOperand": right})),
    ];
    prop_oneof![2 => hours, 1 => weekday, 4 => time, 1 => day, 1 => after, 2 => set, 1 => place, 2 => party, 3 => number]
}

fn condition() -> impl Strategy<Value = Value> {
    constraint().prop_recursive(3, 12, 3, |inner| {
        (proptest::sample::select(&["and", "or", "xone"][..]), proptest::collection::vec(inner, 1..4))
            .prop_map(|(operator, parts)| json!({ operator: parts }))
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let action = prop_oneof![4 => Just("use"), 2 => Just("read"), 1 => Just("sell")];
    let assignee = prop_oneof![4 => Just(None), 1 => Just(Some("did:web:a")), 1 => Just(Some("urn:group:a"))];
    (action, assignee, proptest::collection::vec(condition(), 0..3)).prop_map(|(action, assignee, constraint)| {
        let mut rule = Map::new();
        rule.insert("action".into(), json!(action));
        rule.extend(assignee.map(|assignee| ("assignee".into(), json!(assignee))));
        rule.insert("constraint".into(), Value::Array(constraint));
        Value::Object(rule)
    })
}

/// A permission that may ask for a duty, which may depend on a condition.
fn permission() -> impl Strategy<Value = Value> {
    let duty = prop_oneof![3 => Just(None), 1 => condition().prop_map(Some)];
    (rule(), duty).prop_map(|(mut rule, duty)| {
        if let Some(condition) = duty {
            rule["duty"] = json!([{"action": "inform", "constraint": [condition]}]);
        }
        rule
    })
}

fn source() -> impl Strategy<Value = PolicySource> {
    (
        proptest::collection::vec(permission(), 0..3),
        proptest::collection::vec(rule(), 0..3),
        proptest::option::of(proptest::sample::select(&["perm", "prohibit", "invalid"][..])),
        proptest::option::of(clock()),
    )
        .prop_map(|(permission, prohibition, conflict, agreed_at_ms)| PolicySource {
            rules: json!({"permission": permission, "prohibition": prohibition}),
            conflict: conflict.map(str::to_owned),
            agreed_at_ms,
            ..PolicySource::default()
        })
}

fn claims() -> impl Strategy<Value = Value> {
    let texts = || proptest::option::of(proptest::collection::vec("[abc]", 0..3));
    let place = proptest::option::of(proptest::sample::select(
        &["urn:iso:IT", "urn:iso:US", "urn:nuts:ITF47", "https://x.example/it"][..],
    ));
    let groups = proptest::option::of(proptest::collection::vec("urn:group:[ab]", 0..2));
    let number = proptest::option::of(prop_oneof![(0..3_i64).prop_map(|n| json!(n)), Just(json!("1"))]);
    (texts(), texts(), texts(), place, groups, number).prop_map(|(role, path, iri, place, groups, number)| {
        json!({"role": role, "a": {"b": path}, "https://x.example/y": iri, "spatial": place, "groups": groups, "n": number})
    })
}

/// What has been used; where it is the first use, no moment of an earlier one is known.
fn used() -> impl Strategy<Value = Used> {
    let number = || proptest::option::of(0..5_u64);
    let metered = proptest::option::of((0..10_u64).prop_map(|minutes| minutes * 60_000));
    (number(), metered, number(), proptest::option::of(clock()), proptest::option::of(clock())).prop_map(
        |(count, metered_ms, volume_bytes, first_use_ms, last_use_ms)| Used {
            count,
            metered_ms,
            volume_bytes,
            first_use_ms: first_use_ms.filter(|_| count != Some(1)),
            last_use_ms: last_use_ms.filter(|_| count != Some(1)),
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let purpose = proptest::option::of(proptest::collection::vec("[abc]", 0..3));
    let set = || proptest::collection::btree_set("[abc]", 0..3);
    let name = || proptest::option::of("[abc]");
    (
        (clock(), proptest::sample::select(&["did:web:a", "did:web:b"][..]), claims(), purpose),
        (used(), proptest::option::of(0..5_u64), set(), set(), name(), name()),
    )
        .prop_map(
            |((now_ms, participant, claims, purpose), (usage, transfers, events, consents, channel, format))| Facts {
                claims,
                purpose,
                usage,
                transfers,
                events,
                consents,
                channel,
                format,
                ..Facts::new(now_ms, participant)
            },
        )
}

fn scope() -> impl Strategy<Value = Scope> {
    proptest::sample::select(&[Scope::Catalog, Scope::Negotiation, Scope::Transfer, Scope::Request][..])
}

fn action() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&["use", "read", "odrl:sell"][..])
}

fn compile(source: &PolicySource) -> Policy {
    Policy::compile(source).unwrap_or_else(|error| panic!("{error}: {}", source.rules))
}

/// The same policy with every list of operands turned round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().rev().map(reversed).collect(),
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), reversed(value))).collect(),
        other => other.clone(),
    }
}

/// The same policy with full names and wrapped values.
fn spelt_out(value: &Value) -> Value {
    const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
    match value {
        Value::Array(items) => items.iter().map(spelt_out).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("action" | "operator", Value::String(term)) => json!({"@id": format!("{ODRL}{term}")}),
                    ("rightOperand", value) => value.clone(),
                    (_, value) => spelt_out(value),
                };
                (format!("{ODRL}{name}"), value)
            })
            .collect(),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// A data plane with the plan decides as the control plane does, now and at any later moment.
    #[test]
    fn the_residual_decides_as_the_policy(
        source in source(), facts in facts(), action in action(), times in proptest::collection::vec(clock(), 1..6),
    ) {
        let policy = compile(&source);
        let residual = policy.residual(action, &facts);
        for now_ms in times {
            let then = policy.decide(Scope::Request, action, &Facts { now_ms, ..facts.clone() });
            let planned = residual.decide(now_ms, &facts.usage);
            prop_assert_eq!(planned.allow, then.allow, "{} at {}: {}", source.rules, now_ms, then.refusal_text());
            prop_assert!(!planned.reasons.is_empty());
        }
    }

    /// Until the next boundary nothing changes, so that a decision may be remembered.
    #[test]
    fn a_decision_holds_until_its_boundary(
        source in source(), facts in facts(), scope in scope(), action in action(), later in clock(),
    ) {
        let policy = compile(&source);
        let decision = policy.decide(scope, action, &facts);
        prop_assert!(decision.valid_until_ms.is_none_or(|until| until > facts.now_ms));
        // Before the agreement, times after it are counted from the moment of asking.
        if later >= facts.now_ms && decision.valid_until_ms.is_none_or(|until| later < until) {
            let then = policy.decide(scope, action, &Facts { now_ms: later, ..facts });
            prop_assert_eq!((then.allow, then.valid_until_ms), (decision.allow, decision.valid_until_ms));
        }
    }

    #[test]
    fn removing_prohibitions_never_closes(source in source(), facts in facts(), scope in scope(), action in action()) {
        let mut fewer = source.clone();
        fewer.rules["prohibition"].as_array_mut().unwrap().pop();
        let (all, fewer) = (compile(&source), compile(&fewer));
        prop_assert!(!all.decide(scope, action, &facts).allow || fewer.decide(scope, action, &facts).allow);
    }

    #[test]
    fn adding_permissions_opens_nothing_that_is_forbidden(source in source(), extra in rule(), facts in facts()) {
        let mut without = PolicySource { conflict: None, ..source.clone() };
        without.rules["permission"] = json!([{"action": "use"}]);
        if !compile(&without).decide(Scope::Request, "use", &facts).allow {
            let mut more = PolicySource { conflict: None, ..source };
            more.rules["permission"].as_array_mut().unwrap().push(extra);
            prop_assert!(!compile(&more).decide(Scope::Request, "use", &facts).allow);
        }
    }

    #[test]
    fn adding_constraints_to_permissions_never_opens(
        source in source(), extra in condition(), facts in facts(), scope in scope(), action in action(),
    ) {
        let mut narrower = source.clone();
        for permission in narrower.rules["permission"].as_array_mut().unwrap() {
            permission["constraint"].as_array_mut().unwrap().push(extra.clone());
        }
        let (wide, narrow) = (compile(&source), compile(&narrower));
        prop_assert!(!narrow.decide(scope, action, &facts).allow || wide.decide(scope, action, &facts).allow);
    }

    /// Nobody counts, measures or tells the transfer: that may close, but opens nothing.
    #[test]
    fn what_nobody_counts_never_opens(source in source(), facts in facts(), scope in scope(), action in action()) {
        let policy = compile(&source);
        let less = Facts { usage: Used::default(), transfers: None, channel: None, format: None, ..facts.clone() };
        prop_assert!(!policy.decide(scope, action, &less).allow || policy.decide(scope, action, &facts).allow);
    }

    /// What is used closes nothing before the agreement, and neither does what is in force.
    #[test]
    fn the_future_is_no_reason_to_refuse_an_offer(source in source(), facts in facts(), other in facts()) {
        let policy = compile(&source);
        let later = Facts {
            usage: other.usage,
            transfers: other.transfers,
            events: other.events,
            consents: other.consents,
            channel: other.channel,
            format: other.format,
            ..facts.clone()
        };
        let decide = |facts: &Facts| policy.decide(Scope::Negotiation, "use", facts);
        prop_assert_eq!(decide(&facts).allow, decide(&later).allow);
    }

    /// Taking a claim away may close, but opens nothing.
    #[test]
    fn what_is_not_known_never_opens(
        source in source(), facts in facts(), scope in scope(), action in action(), name in "(role|a|n|spatial|groups)",
    ) {
        let policy = compile(&source);
        let mut less = facts.clone();
        less.claims.as_object_mut().unwrap().remove(&name);
        prop_assert!(!policy.decide(scope, action, &less).allow || policy.decide(scope, action, &facts).allow);
    }

    #[test]
    fn order_does_not_matter(source in source(), facts in facts(), scope in scope(), action in action()) {
        let turned = PolicySource { rules: reversed(&source.rules), ..source.clone() };
        let (one, other) = (compile(&source).decide(scope, action, &facts), compile(&turned).decide(scope, action, &facts));
        prop_assert_eq!((one.allow, one.valid_until_ms), (other.allow, other.valid_until_ms));
    }

    /// Compact and expanded spelling are one policy, and what the policy level gives to its rules can be written there.
    #[test]
    fn spelling_does_not_matter(source in source(), facts in facts(), scope in scope()) {
        let full = PolicySource { rules: spelt_out(&source.rules), ..source.clone() };
        let (short, full) = (compile(&source), compile(&full));
        prop_assert_eq!(short.hash(), full.hash());
        let mut compact = source.clone();
        let mut expanded = source;
        compact.rules["assignee"] = json!("did:web:b");
        for kind in ["permission", "prohibition"] {
            for rule in expanded.rules[kind].as_array_mut().unwrap() {
                let rule = rule.as_object_mut().unwrap();
                rule.entry("assignee").or_insert(json!("did:web:b"));
            }
        }
        let (compact, expanded) = (compile(&compact), compile(&expanded));
        prop_assert_eq!(compact.hash(), expanded.hash());
        prop_assert_eq!(compact.decide(scope, "use", &facts), expanded.decide(scope, "use", &facts));
    }

    #[test]
    fn every_decision_says_why(source in source(), facts in facts(), scope in scope(), action in action()) {
        let decision = compile(&source).decide(scope, action, &facts);
        prop_assert!(!decision.reasons.is_empty());
        let text = decision.refusal_text();
        prop_assert!(!text.is_empty() && !text.ends_with('.') && !text.contains("could not be evaluated"), "{}", text);
    }
}
