//! Comparing rules: one canonical form for everything that means the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::rules::{LOGICAL, Rules, show, typed};
use crate::context::{XSD, odrl_local};

impl Rules {
    /// The canonical form: equal for rules that mean the same.
    ///
    /// Prefixes and namespace of ODRL are taken off actions, operands and operators; empty lists count as absent; the
    /// order of rules, constraints, members and of the values in a list does not matter (except in `andSequence`); a
    /// list of one value equals that value; a number or boolean equals its typed form, and a string its `xsd:string`
    /// form. Types and blank node ids of rules and constraints do not count.
    #[must_use]
    pub fn normalised(&self) -> Value {
        let mut map = Map::new();
        for (name, rules) in
            [("permission", &self.permission), ("prohibition", &self.prohibition), ("obligation", &self.obligation)]
        {
            if !rules.is_empty() {
                map.insert(name.to_owned(), Value::Array(sorted(rules.iter().map(node).collect())));
            }
        }
        Value::Object(map)
    }
}

/// Whether two sets of rules mean the same, see [`Rules::normalised`].
///
/// DSP 2025-1, "Contract Agreement Message": the agreement must hold what was offered.
#[must_use]
pub fn same_rules(left: &Rules, right: &Rules) -> bool {
    left.normalised() == right.normalised()
}

/// The first difference between two sets of rules as a sentence; none when they mean the same.
#[must_use]
pub fn difference(left: &Rules, right: &Rules) -> Option<String> {
    let (left, right) = (left.normalised(), right.normalised());
    for name in ["permission", "prohibition", "obligation"] {
        let list = |value: &Value| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let (left, right) = (list(&left), list(&right));
        if let Some(rule) = surplus(&left, &right) {
            return Some(format!("only the first policy has the {name} {}", show(rule)));
        }
        if let Some(rule) = surplus(&right, &left) {
            return Some(format!("only the second policy has the {name} {}", show(rule)));
        }
    }
    None
}

/// A rule that occurs in the first list more often than in the second. Both are canonical, so their texts tell.
fn surplus<'a>(first: &'a [Value], second: &[Value]) -> Option<&'a Value> {
    let mut rest: BTreeMap<String, usize> = BTreeMap::new();
    for rule in second {
        *rest.entry(rule.to_string()).or_default() += 1;
    }
    first.iter().find(|rule| match rest.get_mut(&rule.to_string()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

fn node(value: &Value) -> Value {
    let Value::Object(map) = value else { return members(value) };
    let mut out: Vec<(String, Value)> = Vec::with_capacity(map.len());
    for (name, value) in map {
        let name = odrl_local(name);
        let value = match (name, value) {
            (_, Value::Null) | ("@type", _) => continue,
            ("@id", Value::String(id)) if id.starts_with("_:") => continue,
            ("constraint" | "duty", Value::Array(items)) if items.is_empty() => continue,
            ("andSequence", Value::Array(items)) => items.iter().map(node).collect(),
            ("constraint" | "duty", Value::Array(items)) => Value::Array(sorted(items.iter().map(node).collect())),
            (logical, Value::Array(items)) if LOGICAL.contains(&logical) => {
                Value::Array(sorted(items.iter().map(node).collect()))
            }
            ("constraint" | "duty", single @ Value::Object(_)) => Value::Array(vec![node(single)]),
            ("action" | "leftOperand", name) => token(name),
            ("operator", name) => match token(name) {
                Value::String(name) if name == "term-lteq" => Value::from("lteq"),
                other => other,
            },
            ("rightOperand", operand) => self::operand(operand),
            (_, other) => members(other),
        };
        out.push((name.to_owned(), value));
    }
    object(out)
}

fn token(value: &Value) -> Value {
    match value {
        Value::String(name) => Value::from(odrl_local(name)),
        Value::Object(map) if map.len() == 1 => match map.get("@id") {
            Some(Value::String(id)) => Value::from(odrl_local(id)),
            _ => members(value),
        },
        other => members(other),
    }
}

fn operand(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items = sorted(items.iter().map(operand).collect());
            items.dedup();
            match items.len() {
                1 => items.pop().unwrap_or_default(),
                _ => Value::Array(items),
            }
        }
        Value::Object(map) if map.contains_key("@value") => typed_value(map),
        Value::Object(map) if map.len() == 1 && (map.contains_key("@list") || map.contains_key("@set")) => {
            map.values().next().map(operand).unwrap_or_default()
        }
        Value::Bool(_) | Value::Number(_) => members(&typed(value)),
        other => members(other),
    }
}

/// `{"@value", "@type"}` with the value as text and the type with the prefix `xsd:`; a plain string for `xsd:string`.
fn typed_value(map: &Map<String, Value>) -> Value {
    let Some(value) = map.get("@value") else { return Value::Null };
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let datatype = match map.get("@type") {
        Some(Value::String(name)) => match name.strip_prefix(XSD) {
            Some(local) => Some(format!("xsd:{local}")),
            None => Some(name.clone()),
        },
        _ => typed(value).get("@type").and_then(Value::as_str).map(str::to_owned),
    };
    let mut out = vec![("@value".to_owned(), Value::from(text.clone()))];
    match datatype {
        Some(name) if name != "xsd:string" => out.push(("@type".to_owned(), Value::from(name))),
        _ if map.contains_key("@language") => {}
        _ => return Value::from(text),
    }
    out.extend(
        map.iter()
            .filter(|(name, _)| !matches!(name.as_str(), "@value" | "@type"))
            .map(|(n, v)| (n.clone(), v.clone())),
    );
    object(out)
}

/// The same value with the members of every object sorted.
fn members(value: &Value) -> Value {
    match value {
        Value::Object(map) => object(map.iter().map(|(name, value)| (name.clone(), members(value))).collect()),
        Value::Array(items) => items.iter().map(members).collect(),
        scalar => scalar.clone(),
    }
}

fn object(mut out: Vec<(String, Value)>) -> Value {
    out.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(out.into_iter().collect())
}

fn sorted(mut items: Vec<Value>) -> Vec<Value> {
    items.sort_by_cached_key(Value::to_string);
    items
}
