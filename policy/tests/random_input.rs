//! The entry point for policies survives any JSON and never opens by accident: the seeds of `tests/corpus`, their
//! mutations, and plain noise, within a fixed time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use policy::{Facts, Policy, PolicySource, Scope};
use serde_json::Value;

const TIME: Duration = Duration::from_secs(2);

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Compiles what can be read, and asks it. Gives whether it compiled.
fn feed(bytes: &[u8]) -> bool {
    let Ok(rules) = serde_json::from_slice::<Value>(bytes) else { return false };
    let compiled = Policy::compile(&PolicySource { rules, ..PolicySource::default() });
    let policy = match compiled {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.code.is_empty() && !error.to_string().ends_with('.'), "{error}");
            return false;
        }
    };
    let nobody = Facts::new(1_781_481_600_000, "did:web:nobody.example");
    for scope in [Scope::Negotiation, Scope::Request] {
        let decision = policy.decide(scope, "read", &nobody);
        assert!(!decision.reasons.is_empty());
    }
    assert_eq!(
        policy.residual("read", &nobody).decide(nobody.now_ms, &nobody.usage).allow,
        policy.decide(Scope::Request, "read", &nobody).allow
    );
    true
}

/// Marsaglia's xorshift: the same noise in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// A seed with some bytes changed, left out, doubled, or taken from another seed.
    fn mutation(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let from = self.below(bytes.len().max(1)).min(bytes.len());
            let to = (from + self.below(16)).min(bytes.len());
            let piece = match self.below(4) {
                0 => Vec::new(),
                1 => self.bytes(4),
                2 => bytes[from..to].repeat(2),
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let start = self.below(other.len());
                    other[start..(start + self.below(24)).min(other.len())].to_vec()
                }
            };
            bytes.splice(from..to, piece);
        }
        bytes
    }
}

#[test]
fn seeds_are_what_they_should_be() {
    let seeds = seeds();
    assert!(seeds.len() >= 8);
    assert!(seeds.iter().filter(|seed| feed(seed)).count() >= 6, "most seeds compile");
}

#[test]
fn any_input_is_answered() {
    let seeds = seeds();
    let end = Instant::now() + TIME;
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for _ in 0..20_000 {
        feed(&noise.mutation(&seeds));
        feed(&noise.bytes(200));
        if Instant::now() > end {
            break;
        }
    }
}

#[test]
fn large_and_deep_input_is_refused_in_words() {
    let many = |count: usize, item: &str| format!("[{}]", vec![item; count].join(","));
    let atom = r#"{"leftOperand":"role","operator":"eq","rightOperand":"x"}"#;
    for (rules, code) in [
        (format!(r#"{{"permission":{}}}"#, many(300, r#"{"action":"use"}"#)), "too_large"),
        (format!(r#"{{"permission":[{{"action":"use","constraint":{}}}]}}"#, many(3_000, atom)), "too_large"),
        (
            format!(
                r#"{{"permission":[{{"action":"use","constraint":{}{atom}{}}}]}}"#,
                r#"{"and":["#.repeat(50),
                "]}".repeat(50)
            ),
            "too_deep",
        ),
        (
            format!(
                r#"{{"permission":[{{"action":"use","constraint":{{"leftOperand":"role","operator":"isAnyOf","rightOperand":{}}}}}]}}"#,
                many(2_000, "\"x\"")
            ),
            "right_operand",
        ),
    ] {
        let rules = serde_json::from_str(&rules).unwrap();
        let error = Policy::compile(&PolicySource { rules, ..PolicySource::default() }).unwrap_err();
        assert_eq!(error.code, code, "{error}");
    }
}

/// References and inheritance multiply what is written once; that is bounded.
#[test]
fn documents_that_grow_are_refused_in_words() {
    use serde_json::json;
    let chain: Vec<Value> =
        (0..5_000).map(|n| json!({"@id": format!("_:{n}"), "and": {"@id": format!("_:{}", n + 1)}})).collect();
    let doubling: Vec<Value> = (0..40)
        .map(|n| json!({"@id": format!("_:{n}"), "and": [format!("_:{}", n + 1), format!("_:{}", n + 1)]}))
        .chain([json!({"@id": "_:40", "leftOperand": "role", "operator": "eq", "rightOperand": "x"})])
        .collect();
    let policy = json!({"@id": "urn:p", "permission": {"action": "use", "constraint": "_:0"}});
    let with = |mut nodes: Vec<Value>| {
        nodes.push(policy.clone());
        json!({"@graph": nodes})
    };
    let fan: Vec<Value> = (0..12)
        .map(|n| json!({"@id": format!("urn:{n}"), "@type": "Set", "inheritFrom": vec![format!("urn:{}", n + 1); 40]}))
        .chain([json!({"@id": "urn:12", "@type": "Set"})])
        .collect();
    let assignees: Vec<String> = (0..5_000).map(|n| format!("did:web:{n}")).collect();
    let copies = json!({"@graph": [
        {"@id": "urn:p", "@type": "Set", "inheritFrom": "urn:q"},
        {"@id": "urn:q", "@type": "Set", "assignee": assignees, "permission": vec![json!({"action": "use"}); 200]}
    ]});
    let long_name = json!({"x".repeat(500_000): vec![1; 10_000]});
    for (rules, code) in [
        (with(chain), "too_deep"),
        (with(doubling), "too_large"),
        (json!({"@graph": fan}), "too_large"),
        (copies, "too_large"),
        (long_name, "too_large"),
    ] {
        let error = Policy::compile(&PolicySource { rules, ..PolicySource::default() }).unwrap_err();
        assert_eq!(error.code, code, "{}", error.message);
    }
}

#[test]
fn a_policy_of_the_largest_size_is_decided() {
    let atoms: Vec<Value> = (0..500)
        .map(|n| serde_json::json!({"leftOperand": format!("credential:c{n}"), "operator": "isAnyOf", "rightOperand": ["a", "b"]}))
        .collect();
    let rules = serde_json::json!({"permission": [{"action": "use", "constraint": atoms}]});
    let policy = Policy::compile(&PolicySource { rules, ..PolicySource::default() }).unwrap();
    let claims: serde_json::Map<_, _> = (0..500).map(|n| (format!("c{n}"), Value::from("b"))).collect();
    let facts = Facts { claims: Value::Object(claims), ..Facts::new(0, "did:web:a") };
    assert!(policy.decide(Scope::Request, "use", &facts).allow);
}
