//! Policies in the words of people: constraints as they are typed, terms as they are shown.

use serde_json::{Map, Value, json};

use super::arguments::NewPolicy;
use super::failure::{Failure, Outcome};

/// Operators and how else they may be typed.
const OPERATORS: [(&str, &str); 12] = [
    ("eq", "="),
    ("neq", "!="),
    ("lt", "<"),
    ("lteq", "<="),
    ("gt", ">"),
    ("gteq", ">="),
    ("isA", ""),
    ("isPartOf", ""),
    ("hasPart", ""),
    ("isAnyOf", ""),
    ("isNoneOf", ""),
    ("isAllOf", ""),
];

/// A policy from options.
///
/// # Errors
/// When a constraint cannot be read.
pub(super) fn from_options(options: &NewPolicy) -> Outcome<Map<String, Value>> {
    let constraints = options.constraints.iter().map(|text| constraint(text)).collect::<Outcome<Vec<_>>>()?;
    let mut policy = Map::new();
    for (name, text) in [("id", &options.id), ("title", &options.title)] {
        if let Some(text) = text {
            policy.insert(name.to_owned(), Value::from(text.as_str()));
        }
    }
    if let Some(action) = &options.permit {
        let mut rule = Map::from_iter([("action".to_owned(), Value::from(action.as_str()))]);
        if !constraints.is_empty() {
            rule.insert("constraint".to_owned(), Value::from(constraints));
        }
        policy.insert("permission".to_owned(), json!([rule]));
    }
    if !options.prohibit.is_empty() {
        let rules: Vec<Value> = options.prohibit.iter().map(|action| json!({"action": action})).collect();
        policy.insert("prohibition".to_owned(), Value::from(rules));
    }
    Ok(policy)
}

/// A constraint such as `membership eq active` or `spatial isAnyOf IT, AL`.
fn constraint(text: &str) -> Outcome<Value> {
    let wrong = |why: &str| Failure::new(format!("`{text}` is not a constraint: {why}, as in 'membership eq active'"));
    let split = |text: &'_ str| {
        text.split_once(char::is_whitespace).map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
    };
    let parts =
        split(text.trim()).and_then(|(left, rest)| split(&rest).map(|(operator, right)| (left, operator, right)));
    let Some((left, operator, right)) = parts else {
        return Err(wrong("it needs a left operand, an operator and a value"));
    };
    let right = right.as_str();
    let known = OPERATORS.iter().find(|(name, sign)| name.eq_ignore_ascii_case(&operator) || *sign == operator);
    let Some((operator, _)) = known else {
        let names: Vec<&str> = OPERATORS.iter().map(|(name, _)| *name).collect();
        return Err(wrong(&format!("`{operator}` is not one of the operators {}", names.join(" "))));
    };
    let right = match *operator {
        "isAnyOf" | "isNoneOf" | "isAllOf" => Value::from(
            right.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect::<Vec<_>>(),
        ),
        _ if left == "dateTime" => json!({"@value": right, "@type": "xsd:dateTime"}),
        "lt" | "lteq" | "gt" | "gteq" => number(right).unwrap_or_else(|| Value::from(right)),
        _ => Value::from(right),
    };
    Ok(json!({"leftOperand": left, "operator": operator, "rightOperand": right}))
}

/// A number as it was typed, when it is one.
fn number(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_number)
}

/// The terms of an offer or a policy in one line.
pub(super) fn summary(terms: &Value) -> String {
    let mut parts = Vec::new();
    for (name, word) in [("permission", ""), ("prohibition", "not "), ("obligation", "must ")] {
        for rule in rules(terms.get(name)) {
            let mut part = format!("{word}{}", operand(rule.get("action").unwrap_or(&Value::Null)));
            let constraints: Vec<String> = rules(rule.get("constraint")).iter().map(|one| condition(one)).collect();
            if !constraints.is_empty() {
                part.push_str(&format!(" if {}", constraints.join(" and ")));
            }
            parts.push(part);
        }
    }
    parts.join("; ")
}

/// A list, or one value in the place of a list.
fn rules(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![one],
    }
}

fn condition(constraint: &Value) -> String {
    for word in ["and", "or", "xone", "andSequence"] {
        let inner: Vec<String> = rules(constraint.get(word)).iter().map(|one| condition(one)).collect();
        if !inner.is_empty() {
            return format!("({})", inner.join(&format!(" {word} ")));
        }
    }
    let part = |name: &str| operand(constraint.get(name).unwrap_or(&Value::Null));
    format!("{} {} {}", part("leftOperand"), part("operator"), part("rightOperand"))
}

fn operand(value: &Value) -> String {
    match value {
        Value::String(text) => text.strip_prefix("odrl:").unwrap_or(text).to_owned(),
        Value::Array(items) => items.iter().map(operand).collect::<Vec<_>>().join(", "),
        Value::Object(object) => {
            let inner = ["@value", "@id"].iter().find_map(|name| object.get(*name));
            inner.map_or_else(|| value.to_string(), operand)
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_as_people_type_them() {
        let table = [
            ("membership eq active", json!(["membership", "eq", "active"])),
            ("spatial isPartOf urn:iso:EU", json!(["spatial", "isPartOf", "urn:iso:EU"])),
            ("  role   =  traffic planning ", json!(["role", "eq", "traffic planning"])),
            ("spatial ISANYOF IT, AL ,", json!(["spatial", "isAnyOf", ["IT", "AL"]])),
            ("dateTime < 2027-01-01", json!(["dateTime", "lt", {"@value": "2027-01-01", "@type": "xsd:dateTime"}])),
            ("credential:level >= 3", json!(["credential:level", "gteq", 3])),
            ("credential:level lt 1.5", json!(["credential:level", "lt", 1.5])),
            ("code eq 0123", json!(["code", "eq", "0123"])),
        ];
        for (text, parts) in table {
            let expected = json!({"leftOperand": parts[0], "operator": parts[1], "rightOperand": parts[2]});
            assert_eq!(constraint(text).unwrap(), expected, "{text}");
        }
        for text in ["", "membership", "membership eq", "membership eq ", "membership is active", "a ?? b"] {
            let failure = constraint(text).unwrap_err().to_string();
            assert!(failure.contains("is not a constraint"), "{text}: {failure}");
        }
    }

    #[test]
    fn a_policy_from_options() {
        let options = NewPolicy {
            json_file: None,
            file: None,
            id: Some("open".into()),
            title: None,
            permit: Some("use".into()),
            constraints: vec!["membership eq active".into(), "role eq x".into()],
            prohibit: vec!["sell".into()],
            replace: false,
        };
        let policy = Value::from(from_options(&options).unwrap());
        assert_eq!(policy.pointer("/permission/0/constraint/1/rightOperand"), Some(&json!("x")));
        assert_eq!(summary(&policy), "use if membership eq active and role eq x; not sell");
        let open = NewPolicy { constraints: Vec::new(), prohibit: Vec::new(), ..options };
        assert_eq!(Value::from(from_options(&open).unwrap()), json!({"id": "open", "permission": [{"action": "use"}]}));
    }

    #[test]
    fn terms_of_others_are_summed_up_whatever_their_form() {
        let terms = json!({
            "permission": {"action": {"@id": "odrl:use"}, "constraint": [
                {"or": [
                    {"leftOperand": "odrl:spatial", "operator": {"@id": "odrl:isAnyOf"}, "rightOperand": ["IT", {"@id": "AL"}]},
                    {"leftOperand": "count", "operator": "lt", "rightOperand": {"@value": "5", "@type": "xsd:integer"}}
                ]}
            ]},
            "obligation": [{"action": "attribute"}]
        });
        assert_eq!(summary(&terms), "use if (spatial isAnyOf IT, AL or count lt 5); must attribute");
        assert_eq!(summary(&json!({})), "");
    }
}
