//! The operator's own Rego modules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use policy::{Decision, Facts, Policy, PolicySource, Scope, Site, SiteError, SiteInput, SiteModule};
use serde_json::json;

fn module(name: &str, body: &str) -> SiteModule {
    SiteModule { name: name.to_owned(), source: format!("package site\n\nimport rego.v1\n\n{body}") }
}

fn site(modules: &[(&str, &str)]) -> Result<Site, SiteError> {
    Site::compile(&modules.iter().map(|(name, body)| module(name, body)).collect::<Vec<_>>())
}

fn facts() -> Facts {
    Facts { claims: json!({"spatial": ["urn:iso:IT"], "age": 7}), ..Facts::new(1_781_524_800_000, "did:web:a.example") }
}

fn decision(facts: &Facts) -> Decision {
    let rules = json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "spatial", "operator": "isPartOf", "rightOperand": "urn:iso:EU"}]}]});
    let policy = Policy::compile(&PolicySource { rules, ..PolicySource::default() }).unwrap();
    policy.decide(Scope::Transfer, "use", facts)
}

fn sentences(site: &Site) -> Vec<String> {
    let facts = facts();
    let decision = decision(&facts);
    let input = SiteInput::new(Scope::Transfer, "use", Some("urn:ds:1"), Some("urn:agreement:1"), &facts, &decision);
    site.objections(&input).into_iter().map(|reason| reason.sentence).collect()
}

#[test]
fn messages_are_reasons() {
    let nothing = site(&[("never.rego", "deny contains \"x\" if false")]).unwrap();
    assert_eq!(sentences(&nothing), Vec::<String>::new());
    let two = site(&[
        ("night.rego", "deny contains \"no transfer at night\" if input.scope == \"transfer\""),
        ("age.rego", "deny contains {\"msg\": sprintf(\"%v is too young\", [input.participant])} if young"),
        ("lib.rego", "young if input.claims.age < 18"),
    ]);
    assert_eq!(
        sentences(&two.unwrap()),
        [
            "the operator's module night.rego, age.rego refuses: no transfer at night",
            "the operator's module night.rego, age.rego refuses: did:web:a.example is too young",
        ]
    );
    // The time is that of one evaluation, not of the engine.
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(sentences(&nothing), Vec::<String>::new());
    let list = site(&[("list.rego", "deny := [\"a\", \"b\"]")]).unwrap();
    assert_eq!(sentences(&list).len(), 2);
}

#[test]
fn everything_of_the_input() {
    let all = "deny contains \"complete\" if {
        input.scope == \"transfer\"
        input.action == \"use\"
        input.dataset == \"urn:ds:1\"
        input.agreement == \"urn:agreement:1\"
        input.now == \"2026-06-15T12:00:00Z\"
        input.facts.nowMs == 1781524800000
        input.participant == \"did:web:a.example\"
        input.claims.spatial[0] == \"urn:iso:IT\"
        input.decision.allow
        input.decision.reasons[0].rule == \"permission p0: spatial isPartOf urn:iso:EU\"
    }";
    assert_eq!(sentences(&site(&[("all.rego", all)]).unwrap()), ["the operator's module all.rego refuses: complete"]);
}

#[test]
fn what_fails_refuses() {
    let slow = "deny contains \"x\" if { input.dataset == \"urn:ds:1\"; count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a == b]) < 0 }";
    for (body, part) in [
        (slow, "could not be evaluated: execution exceeded"),
        ("deny contains \"x\" if time.parse_rfc3339_ns(input.claims.spatial[0]) > 0", "could not be evaluated"),
        ("deny := {\"x\"} if input.never", "`deny` is not defined for this case"),
        ("deny := true", "`deny` is not a set or list of messages"),
        ("deny contains 5", "`deny` has a message that is no text"),
        ("deny := {\"a\": 1}", "`deny` is not a set or list of messages"),
    ] {
        let found = sentences(&site(&[("own.rego", body)]).unwrap());
        assert!(
            matches!(found.as_slice(), [one] if one.contains(part) && one.contains("own.rego")),
            "{body}: {found:?}"
        );
        assert!(!found[0].contains('\n'));
    }
}

#[test]
fn a_party_that_is_too_much_for_them() {
    let never = site(&[("never.rego", "deny contains \"x\" if false")]).unwrap();
    let facts = Facts { claims: json!({"a": "x".repeat(300_000)}), ..facts() };
    let decision = decision(&facts);
    let input = SiteInput::new(Scope::Request, "use", None, None, &facts, &decision);
    assert!(never.objections(&input)[0].sentence.contains("bytes"));
}

#[test]
fn modules_that_are_not_used() {
    let huge = format!("deny contains \"x\" if false\n# {}", "x".repeat(300_000));
    for (modules, name, part) in [
        (vec![("bad.rego", "deny contains if {")], "bad.rego", "bad.rego:5"),
        (
            vec![("good.rego", "deny contains \"x\" if false"), ("bad.rego", "deny contains unheard_of")],
            "good.rego, bad.rego",
            "unheard_of",
        ),
        (vec![("no.rego", "allow := true")], "no.rego", "no module has a rule `deny`"),
        (vec![("huge.rego", huge.as_str())], "huge.rego", "bytes"),
        (vec![], "", "at least one module"),
    ] {
        let error = site(&modules).unwrap_err();
        assert_eq!(error.module, name, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
    let other = SiteModule { name: "o.rego".into(), source: "package odrl\n\nimport rego.v1\n\nallow := true".into() };
    let error = Site::compile(&[other]).unwrap_err();
    assert_eq!(error.to_string(), "o.rego: the package is `odrl`; a module here is of the package `site`");
}
