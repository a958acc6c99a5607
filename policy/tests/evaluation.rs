//! Runs the tables in `tests/evaluation`: whole cases with what has to come out of them. Where a case has a policy in Turtle,
//! too, the report has to be the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use policy::evaluate;
use serde_json::{Value, json};

/// 2026-06-15T12:00:00Z
const NOW_MS: i64 = 1_781_524_800_000;

const PREFIXES: &str = "@prefix odrl: <http://www.w3.org/ns/odrl/2/> .\n\
    @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n\
    @prefix dct: <http://purl.org/dc/terms/> .\n\
    @prefix : <urn:x:> .\n";

/// Whether everything that is expected is there; lists have to be whole.
fn holds(expected: &Value, found: &Value, at: &str) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().try_for_each(|(name, value)| {
            holds(value, found.get(name).unwrap_or(&Value::Null), &format!("{at}/{name}"))
        }),
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let pairs = expected.iter().zip(found).enumerate();
            pairs.into_iter().try_for_each(|(place, (one, other))| holds(one, other, &format!("{at}/{place}")))
        }
        _ if expected == found => Ok(()),
        _ => Err(format!("{at} is {found}, not {expected}")),
    }
}

#[test]
fn all_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evaluation");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut in_turtle, mut failures) = (0, 0, Vec::new());
    for file in files {
        let table: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in table["cases"].as_array().unwrap() {
            count += 1;
            let place = format!("{} / {}", file.file_name().unwrap().display(), case["name"]);
            let mut input = json!({"policy": case["policy"]});
            for name in ["request", "facts"] {
                if let Some(value) = case.get(name).or_else(|| table.get(name)) {
                    input[name] = value.clone();
                }
            }
            let answer = evaluate(&input, NOW_MS);
            let outcome = match (&answer, case.get("error")) {
                (Ok(report), None) => holds(&case["report"], &serde_json::to_value(report).unwrap(), ""),
                (Err(error), Some(expected)) => holds(expected, &serde_json::to_value(error).unwrap(), ""),
                (Ok(_), Some(_)) => Err("it is judged".to_owned()),
                (Err(error), None) => Err(format!("{} at {}", error, error.pointer)),
            };
            failures.extend(outcome.err().map(|why| format!("{place}: {why}")));
            if let Some(turtle) = case.get("turtle") {
                in_turtle += 1;
                let text = match turtle {
                    Value::Array(lines) => {
                        lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
                    }
                    other => other.as_str().unwrap().to_owned(),
                };
                input["policy"] = Value::from(format!("{PREFIXES}{text}"));
                input["format"] = Value::from("turtle");
                let same = evaluate(&input, NOW_MS);
                let is_same = match (&same, &answer) {
                    (Err(one), Err(other)) => one.code == other.code,
                    _ => same == answer,
                };
                if !is_same {
                    failures.push(format!("{place}: in Turtle it is {}", json!(same)));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 20 && in_turtle > 8, "only {count} cases were found, {in_turtle} of them in Turtle");
}

/// Hundreds of constraints, nested as deep as they may be, in both notations.
#[test]
fn large_conditions_are_judged() {
    let atom = |n: usize| json!({"leftOperand": "credential:c", "operator": "isAnyOf", "rightOperand": [format!("v{n}"), "w"]});
    let layers = |depth: usize| {
        let mut inner: Vec<Value> = (0..300).map(atom).collect();
        for level in 0..depth {
            let word = if level % 2 == 0 { "or" } else { "and" };
            inner = vec![json!({ word: inner }), atom(1000 + level)];
        }
        inner
    };
    for (claim, state) in [("v7", "unsatisfied"), ("w", "satisfied"), ("x", "unsatisfied")] {
        let case = json!({
            "policy": {"permission": [{"action": "use", "constraint": layers(5)}]},
            "request": {"action": "read"},
            "facts": {"claims": {"c": claim}}
        });
        let report = evaluate(&case, NOW_MS).unwrap();
        assert_eq!(report.decision.allow, claim == "w", "{claim}");
        assert_eq!(json!(report.rules[0].constraints["p0.c1"]), state, "{claim}");
        assert_eq!(report.rules[0].constraints.len(), 300 + 2 * 5);
    }
    let text: Vec<String> = (0..300)
        .map(|n| format!("[ odrl:leftOperand odrl:count ; odrl:operator odrl:neq ; odrl:rightOperand {n} ]"))
        .collect();
    let policy = format!(
        "{PREFIXES} :p a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint [ odrl:or ( {} ) ] ] .",
        text.join(" ")
    );
    let case = json!({"policy": policy, "facts": {"operands": {"count": 5}}});
    let report = evaluate(&case, NOW_MS).unwrap();
    assert!(report.decision.allow);
    let unsatisfied: Vec<&String> = report.rules[0]
        .constraints
        .iter()
        .filter(|(_, state)| json!(state) == "unsatisfied")
        .map(|(id, _)| id)
        .collect();
    assert_eq!(unsatisfied, ["p0.c0.5"]);
}

#[test]
fn what_is_no_case_is_refused_with_its_place() {
    for (case, pointer) in [
        (json!([]), ""),
        (json!({}), "/policy"),
        (json!({"policy": {}, "requests": {}}), "/requests"),
        (json!({"policy": {}, "request": {"actions": []}}), "/request"),
        (json!({"policy": {}, "facts": {"now": "yesterday"}}), "/facts/now"),
        (json!({"policy": {}, "facts": {"purpose": 5}}), "/facts/purpose"),
        (json!({"policy": {}, "facts": {"duties": {"a": "done"}}}), "/facts"),
        (json!({"policy": {}, "format": "xml"}), "/format"),
        (json!({"policy": {}, "format": "turtle"}), "/policy"),
        (json!({"policy": "{", "format": "jsonld"}), "/policy"),
    ] {
        let error = evaluate(&case, NOW_MS).unwrap_err();
        assert_eq!((error.code, error.pointer.as_str()), ("case", pointer), "{case}: {error}");
    }
}
