//! What is told about policies before they are used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use policy::{Finding, MUNICIPAL_PROFILE, Policy, PolicySource, Severity, lint};
use serde_json::{Value, json};

/// 2026-06-15T12:00:00Z
const NOW_MS: i64 = 1_781_524_800_000;

fn findings(rules: Value) -> Vec<Finding> {
    lint(&PolicySource { rules, ..PolicySource::default() }, NOW_MS)
}

fn permission(constraints: Value) -> Value {
    json!({"profile": MUNICIPAL_PROFILE, "permission": [{"action": "use", "constraint": constraints}]})
}

fn atom(left: &str, operator: &str, right: impl Into<Value>) -> Value {
    json!({"leftOperand": left, "operator": operator, "rightOperand": right.into()})
}

/// A comparison that nothing is to be said about.
fn plain() -> Value {
    atom("membership", "eq", "active")
}

fn has(rules: Value, severity: Severity, code: &str, pointer: &str, part: &str) {
    let found = findings(rules.clone());
    let is_it = |finding: &&Finding| finding.severity == severity && finding.code == code && finding.pointer == pointer;
    let message = &found.iter().find(is_it).unwrap_or_else(|| panic!("{rules}: {found:#?}")).message;
    assert!(message.contains(part) && !message.ends_with('.'), "{message}");
    if severity != Severity::Error {
        assert!(Policy::compile(&PolicySource { rules, ..PolicySource::default() }).is_ok());
    }
}

#[test]
fn nothing_is_said_about_a_policy_that_is_in_order() {
    for rules in [
        permission(json!([plain(), atom("dateTime", "lt", "2027-01-01")])),
        permission(json!([plain(), atom("dateTime", "gteq", "2026-07-01"), atom("dateTime", "lteq", "2026-07-01")])),
        permission(json!([plain(), {"or": [atom("purpose", "eq", "a"), atom("purpose", "eq", "b")]}])),
        permission(json!([atom("recipient", "isAnyOf", json!(["did:web:a", "did:web:b"]))])),
        permission(json!([plain(), atom("count", "lteq", 1)])),
    ] {
        assert_eq!(findings(rules.clone()), [], "{rules}");
    }
}

#[test]
fn every_rule_that_is_not_understood_is_told_with_its_place() {
    let rules = json!({
        "permission": [
            {"action": "use", "constraint": [atom("moon", "eq", "full")]},
            {"action": "use"},
            {"action": "fly"}
        ],
        "odrl:prohibition": [{"action": "use", "wings": 2}]
    });
    let found = findings(rules);
    let told: Vec<(&str, &str)> = found.iter().map(|finding| (finding.code, finding.pointer.as_str())).collect();
    assert_eq!(
        told,
        [
            ("left_operand_unknown", "/permission/0/constraint/0/leftOperand"),
            ("action_unknown", "/permission/2/action"),
            ("member_not_understood", "/odrl:prohibition/0/wings"),
        ]
    );
    assert!(found.iter().all(|finding| finding.severity == Severity::Error));
    assert_eq!(found[0].rule.as_deref(), Some("permission p0"));
    has(json!({"permission": {"action": "fly"}}), Severity::Error, "action_unknown", "/permission/action", "`fly`");
    has(json!("x"), Severity::Error, "not_an_object", "", "an object");
}

#[test]
fn conditions_that_contradict_themselves() {
    let window = json!([plain(), atom("dateTime", "gteq", "2027-01-01"), atom("dateTime", "lt", "2026-12-01")]);
    for (constraints, place, part) in [
        (window, "/2", "exclude each other"),
        (
            json!([
                plain(),
                atom("dateTime", "gt", "2027-01-01T00:00:00Z"),
                atom("dateTime", "lteq", "2027-01-01T00:00:00Z")
            ]),
            "/2",
            "exclude",
        ),
        (json!([atom("credential:level", "gteq", 3), atom("credential:level", "lt", 2.5)]), "/1", "exclude"),
        (json!([plain(), atom("count", "lteq", 0)]), "/1", "the first is number 1"),
        (json!([plain(), atom("elapsedTime", "gt", "P2D"), atom("elapsedTime", "lt", "P1D")]), "/2", "exclude"),
        (json!([plain(), atom("purpose", "eq", "a"), atom("purpose", "eq", "b")]), "/2", "exclude"),
        (
            json!([
                plain(),
                atom("purpose", "isAnyOf", json!(["a", "b"])),
                atom("purpose", "isNoneOf", json!(["a", "b", "c"]))
            ]),
            "/2",
            "exclude",
        ),
        (
            json!([
                plain(),
                atom("role", "isAllOf", json!(["a", "b"])),
                atom("role", "neq", "x"),
                atom("role", "isNoneOf", json!(["b"]))
            ]),
            "/3",
            "exclude",
        ),
        (json!([atom("recipient", "eq", "did:web:a"), atom("recipient", "eq", "did:web:b")]), "/1", "exclude"),
        (json!([atom("recipient", "eq", "did:web:a"), atom("recipient", "neq", "did:web:a")]), "/1", "exclude"),
        (
            json!([atom("role", "eq", "a"), {"or": [atom("role", "eq", "b"), {"and": [plain(), atom("role", "eq", "c")]}]}]),
            "/1/or/0",
            "exclude",
        ),
        (json!([{"or": [atom("role", "eq", "b"), atom("role", "eq", "c")]}, atom("role", "eq", "a")]), "/1", "exclude"),
        (
            json!([
                atom("timeOfDay", "gteq", "17:00[Europe/Rome]"),
                atom("timeOfDay", "lt", "08:00[Europe/Rome]"),
                plain()
            ]),
            "/1",
            "exclude",
        ),
    ] {
        has(
            permission(constraints),
            Severity::Warning,
            "rule_never_holds",
            &format!("/permission/0/constraint{place}"),
            part,
        );
    }
    let fine = [
        json!([plain(), atom("dateTime", "gteq", "2026-12-01"), atom("dateTime", "lt", "2027-01-01")]),
        json!([plain(), atom("role", "isAnyOf", json!(["a"])), atom("role", "isAnyOf", json!(["b"]))]),
        json!([plain(), {"or": [atom("role", "eq", "b"), atom("role", "eq", "a")]}, atom("role", "eq", "a")]),
        json!([atom("recipient", "eq", "urn:group:a"), atom("recipient", "eq", "did:web:b")]),
    ];
    for constraints in fine {
        assert_eq!(findings(permission(constraints.clone())), [], "{constraints}");
    }
}

#[test]
fn what_is_over() {
    let last_year = atom("dateTime", "lteq", "2025-12-31");
    has(
        permission(json!([plain(), last_year])),
        Severity::Warning,
        "rule_is_over",
        "/permission/0/constraint/1",
        "is over",
    );
    let either = json!({"or": [last_year, atom("role", "eq", "a")]});
    assert_eq!(findings(permission(json!([either]))), []);
}

#[test]
fn rules_that_undo_each_other() {
    let both = |extra: Value| {
        let mut rules = permission(json!([plain()]));
        rules.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        rules
    };
    let forbidden = json!({"prohibition": [{"action": "use"}]});
    has(both(forbidden), Severity::Warning, "permission_void", "/permission/0", "the conflict voids the policy");
    let decided = json!({"prohibition": [{"action": "use"}], "conflict": "prohibit"});
    has(
        both(decided),
        Severity::Warning,
        "permission_void",
        "/permission/0",
        "prohibition x0 forbids all that it permits",
    );
    let beaten = json!({"prohibition": [{"action": "use"}], "conflict": "perm"});
    has(both(beaten), Severity::Warning, "rule_without_effect", "/prohibition/0", "permissions win");
    assert_eq!(findings(both(json!({"prohibition": [{"action": "distribute"}]}))), []);
    let claims = json!({"prohibition": [{"action": "use", "constraint": [atom("spatial", "eq", "AL")]}]});
    has(both(claims), Severity::Info, "applies_when_unknown", "/prohibition/0/constraint/0", "`spatial`");

    let twice = json!({"profile": MUNICIPAL_PROFILE, "permission": [
        {"action": "use", "constraint": [plain()]}, {"uid": "urn:other", "action": "odrl:use", "constraint": plain()}
    ]});
    has(twice, Severity::Warning, "rule_twice", "/permission/1", "the same as permission p0");
    let vain = json!({"profile": MUNICIPAL_PROFILE, "permission": [
        {"action": "use", "constraint": [plain()]}, {"action": "use"}
    ]});
    has(vain, Severity::Warning, "rule_without_effect", "/permission/0", "permission p1 permits the same");
}

#[test]
fn permissions_that_ask_for_too_little() {
    has(json!({"permission": [{"action": "use"}]}), Severity::Warning, "permission_open", "/permission/0", "for ever");
    let bound = json!({"permission": [{"action": "use"}], "obligation": [{"action": "attribute"}]});
    has(bound, Severity::Info, "permission_open", "/permission/0", "for ever");
    let said = permission(json!([atom("purpose", "eq", "urn:research"), atom("dateTime", "lt", "2027-01-01")]));
    has(said, Severity::Warning, "purpose_self_declared", "/permission/0/constraint/0", "says of itself");
    let member = permission(json!([atom("membership", "eq", "yes")]));
    has(member, Severity::Warning, "membership_value", "/permission/0/constraint/0", "`active`");
    let nowhere = permission(json!([atom("spatial", "isPartOf", "urn:area:nowhere")]));
    has(nowhere, Severity::Info, "place_not_listed", "/permission/0/constraint/0", "urn:area:nowhere");
    has(
        json!({"permission": [{"action": "read", "constraint": [atom("spatial", "eq", "IT")]}]}),
        Severity::Warning,
        "use_not_permitted",
        "",
        "`use`",
    );
}

#[test]
fn duties_and_deadlines() {
    let with = |obligation: Value| {
        let mut rules = permission(json!([plain()]));
        rules["obligation"] = json!([obligation]);
        rules
    };
    let deletion = json!({"action": "delete"});
    has(with(deletion.clone()), Severity::Warning, "duty_without_deadline", "/obligation/0", "`delete`");
    has(with(deletion), Severity::Info, "duty_of_people", "/obligation/0", "people see to it");
    let timely = json!({"action": "delete", "constraint": [atom("inForceDate", "lteq", "contractAgreement+30d")]});
    assert!(findings(with(timely)).iter().all(|finding| finding.severity == Severity::Info));
    let lasting = json!({"action": "attribute"});
    assert!(findings(with(lasting)).iter().all(|finding| finding.severity == Severity::Info));
    let mut first = permission(json!([plain()]));
    first["permission"][0]["duty"] =
        json!([{"action": "compensate", "constraint": [atom("dateTime", "gt", "2027-01-01")]}]);
    has(first, Severity::Info, "duty_comes_first", "/permission/0", "marked as fulfilled");
}

#[test]
fn words_of_the_profile_want_its_name() {
    for left in ["membership", "role", "credential:A.b"] {
        let rules = json!({"permission": [{"action": "use", "constraint": [atom(left, "eq", "active")]}]});
        has(rules.clone(), Severity::Warning, "profile_not_named", "/permission/0/constraint/0", MUNICIPAL_PROFILE);
        let named = PolicySource { rules, profile: Some(MUNICIPAL_PROFILE.to_owned()), ..PolicySource::default() };
        assert_eq!(lint(&named, NOW_MS), []);
    }
    let hours = permission(json!([plain(), atom("hourOfDay", "lt", 17)]));
    has(hours, Severity::Info, "clock_of_utc", "/permission/0/constraint/1", "UTC");
}
