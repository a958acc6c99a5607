//! Every template makes a policy that decides as its text says; every language has every text; the manual's page is the
//! templates'.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use policy::{Facts, Instance, Policy, PolicySource, Scope, Severity, Used, languages, lint, template, templates};
use serde_json::{Map, Value, json};

/// 2026-06-15T12:00:00Z, a Monday
const NOON_MS: i64 = 1_781_524_800_000;
const HOUR_MS: i64 = 3_600_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn examples(id: &str) -> Map<String, Value> {
    let parameters = &template(id).unwrap().parameters;
    parameters.iter().filter_map(|known| Some((known.name.clone(), known.example.clone()?))).collect()
}

fn made(id: &str, values: Map<String, Value>) -> Instance {
    template(id).unwrap().instantiate(&values, "en").unwrap()
}

fn allows(instance: &Instance, scope: Scope, facts: &Facts) -> bool {
    let source =
        PolicySource { rules: instance.policy.clone(), target: Some("urn:d".into()), ..PolicySource::default() };
    Policy::compile(&source).unwrap().decide(scope, "use", facts).allow
}

fn member() -> Facts {
    Facts { claims: json!({"membership": "active"}), ..Facts::new(NOON_MS, "did:web:bari.example") }
}

#[test]
fn all_files_are_templates() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .collect();
    let known: BTreeSet<String> = templates().iter().map(|template| template.id.clone()).collect();
    assert_eq!(files, known);
    assert_eq!(known.len(), 8);
    assert!(template("nothing").is_none());
}

/// A translator adds a file to `templates/texts`, and this tells what is missing in it.
#[test]
fn every_language_has_every_text() {
    let files = std::fs::read_dir(folder().join("texts")).unwrap().count();
    assert_eq!(languages().len(), files, "a file of texts cannot be read");
    assert!(languages().contains(&"en"));
    let keys = |text: &str| -> BTreeSet<String> {
        text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.to_owned())).collect()
    };
    for language in languages() {
        let file = std::fs::read_to_string(folder().join("texts").join(format!("{language}.json"))).unwrap();
        let file: Value = serde_json::from_str(&file).unwrap();
        let told: BTreeSet<&String> = file["templates"].as_object().unwrap().keys().collect();
        assert_eq!(told, templates().iter().map(|template| &template.id).collect(), "{language}");
        for template in templates() {
            let at = format!("{language}, {}", template.id);
            let text = template.text(language).unwrap();
            let parameters: BTreeSet<String> = template.parameters.iter().map(|known| known.name.clone()).collect();
            assert_eq!(text.parameters.keys().cloned().collect::<BTreeSet<_>>(), parameters, "{at}");
            assert_eq!(keys(&text.text), parameters, "{at}: the text names each parameter");
            assert!(!text.title.is_empty() && !text.summary.is_empty(), "{at}");
        }
    }
    let open = template("open-data").unwrap();
    assert_eq!(open.text("en-GB"), open.text("en"));
    assert_eq!(open.text("tlh"), open.text("en"));
}

#[test]
fn every_template_makes_a_policy_that_is_in_order() {
    for template in templates() {
        let instance = made(&template.id, examples(&template.id));
        let source = PolicySource { rules: instance.policy.clone(), ..PolicySource::default() };
        let findings = lint(&source, NOON_MS);
        let serious: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Info).collect();
        assert!(serious.is_empty(), "{}: {serious:#?}", template.id);
        let whole = json!(instance).to_string();
        assert!(!whole.contains("${") && !instance.text.contains(['{', '}']), "{whole}");
    }
}

#[test]
fn values_are_checked() {
    for (id, values, code, parameter) in [
        ("until-date", json!({}), "parameter_missing", "until"),
        ("until-date", json!({"until": null}), "parameter_missing", "until"),
        ("until-date", json!({"until": "2027-12-31", "unti": 1}), "parameter_unknown", "unti"),
        ("until-date", json!({"until": "31.12.2027"}), "parameter_value", "until"),
        ("until-date", json!({"until": "2027-12-31T10:00:00Z"}), "parameter_value", "until"),
        ("until-date", json!({"until": 5}), "parameter_value", "until"),
        ("number-of-uses", json!({"uses": 0}), "parameter_value", "uses"),
        ("number-of-uses", json!({"uses": "many"}), "parameter_value", "uses"),
        ("number-of-uses", json!({"uses": 1.5}), "parameter_value", "uses"),
        ("number-of-uses", json!({"uses": 5, "unit": "byte"}), "parameter_value", "unit"),
        ("partner-cities", json!({"partners": []}), "parameter_value", "partners"),
        ("partner-cities", json!({"partners": ["did:web:a", 5]}), "parameter_value", "partners"),
        ("partner-cities", json!({"partners": "Bari"}), "parameter_value", "partners"),
        ("partner-cities", json!({"partners": ["did:web:${profile}"]}), "parameter_value", "partners"),
        ("office-hours", json!({"zone": "Rome"}), "parameter_value", "zone"),
        ("office-hours", json!({"zone": "Europe/Rome", "from": "8 o'clock"}), "parameter_value", "from"),
        ("office-hours", json!({"zone": "Europe/Rome", "from": "08:00[UTC]"}), "parameter_value", "from"),
        ("office-hours", json!({"zone": "Europe/Rome", "lastDay": "Someday"}), "parameter_value", "lastDay"),
        ("emergency", json!({"event": "flood"}), "parameter_value", "event"),
        ("emergency", json!({"event": "urn:event:a b"}), "parameter_value", "event"),
    ] {
        let error = template(id).unwrap().instantiate(&object(values.clone()), "en").unwrap_err();
        assert_eq!((error.code, error.parameter.as_deref()), (code, Some(parameter)), "{values}: {error}");
        assert!(error.message.contains(parameter) && !error.message.ends_with('.'), "{error}");
    }
    let typed = made("number-of-uses", object(json!({"uses": " 12 "})));
    assert_eq!(typed, made("number-of-uses", object(json!({"uses": 12, "unit": "request"}))));
    let list = made("partner-cities", object(json!({"partners": "did:web:a.example, did:web:b.example"})));
    assert_eq!(
        list.policy.pointer("/permission/0/constraint/0/rightOperand"),
        Some(&json!(["did:web:a.example", "did:web:b.example"]))
    );
}

#[test]
fn open_data_is_for_everybody_and_asks_for_attribution() {
    let open = made("open-data", examples("open-data"));
    let anybody = Facts::new(NOON_MS, "did:web:anybody.example");
    assert!(allows(&open, Scope::Request, &anybody));
    let policy = Policy::compile(&PolicySource { rules: open.policy, ..PolicySource::default() }).unwrap();
    let duties = policy.duties();
    assert_eq!((duties.len(), duties[0].action.as_str()), (1, "attribute"));
    assert!(duties[0].due_by_ms.is_none() && open.text.contains("names did:web:bari.example as the source"));
}

#[test]
fn partner_cities_are_those_that_are_named() {
    let partners = made("partner-cities", examples("partner-cities"));
    assert!(allows(&partners, Scope::Request, &Facts::new(NOON_MS, "did:web:tirana.example")));
    assert!(!allows(&partners, Scope::Request, &Facts::new(NOON_MS, "did:web:rome.example")));
}

#[test]
fn research_asks_for_membership_and_one_of_the_purposes() {
    let research = made("research", Map::new());
    let with =
        |purposes: &[&str]| Facts { purpose: Some(purposes.iter().map(|p| (*p).to_owned()).collect()), ..member() };
    assert!(allows(&research, Scope::Negotiation, &with(&["https://w3id.org/dpv#AcademicResearch"])));
    assert!(!allows(&research, Scope::Negotiation, &with(&["https://w3id.org/dpv#Marketing"])));
    assert!(!allows(&research, Scope::Negotiation, &member()));
    let stranger = Facts { claims: Value::Null, ..with(&["https://w3id.org/dpv#AcademicResearch"]) };
    assert!(!allows(&research, Scope::Negotiation, &stranger));
}

#[test]
fn an_emergency_opens_and_its_end_closes() {
    let emergency = made("emergency", examples("emergency"));
    let flood = Facts { events: ["urn:event:flood".to_owned()].into(), ..member() };
    assert!(allows(&emergency, Scope::Request, &flood));
    assert!(!allows(&emergency, Scope::Request, &member()));
    assert!(allows(&emergency, Scope::Negotiation, &member()));
    assert!(!allows(&emergency, Scope::Request, &Facts { events: ["urn:event:fire".to_owned()].into(), ..member() }));
}

#[test]
fn office_hours_are_those_of_the_place() {
    let office = made("office-hours", examples("office-hours"));
    // In Rome it is two hours later than UTC in summer.
    for (hours, allowed) in [(-7, false), (-6, true), (0, true), (2, true), (3, false), (24 * 4, true), (24 * 5, false)]
    {
        let then = Facts { now_ms: NOON_MS + hours * HOUR_MS, ..member() };
        assert_eq!(allows(&office, Scope::Request, &then), allowed, "{hours}");
    }
    let winter = Facts { now_ms: NOON_MS + (7 * 26 * 24 + 4) * HOUR_MS, ..member() };
    assert!(!allows(&office, Scope::Request, &winter));
}

#[test]
fn until_a_date_means_until_its_end() {
    let until = made("until-date", object(json!({"until": "2026-06-15"})));
    assert!(allows(&until, Scope::Request, &Facts { now_ms: NOON_MS + 12 * HOUR_MS - 1, ..member() }));
    assert!(!allows(&until, Scope::Request, &Facts { now_ms: NOON_MS + 12 * HOUR_MS, ..member() }));
}

#[test]
fn a_number_of_uses_ends_with_the_last() {
    let uses = made("number-of-uses", object(json!({"uses": 3})));
    let used = |count| Facts { usage: Used { count: Some(count), ..Used::default() }, ..member() };
    assert!(allows(&uses, Scope::Request, &used(3)));
    assert!(!allows(&uses, Scope::Request, &used(4)));
    assert!(!allows(&uses, Scope::Request, &member()), "how often it was used is not known");
    let transfers = made("number-of-uses", object(json!({"uses": 1, "unit": "transfer"})));
    assert!(allows(&transfers, Scope::Request, &Facts { transfers: Some(1), ..member() }));
    assert!(!allows(&transfers, Scope::Request, &Facts { transfers: Some(2), ..member() }));
}

#[test]
fn without_persons_is_kept_by_the_dataset() {
    let without = made("no-persons", object(json!({"mode": "pseudonymise"})));
    assert!(allows(&without, Scope::Request, &member()));
    assert!(!allows(&without, Scope::Request, &Facts::new(NOON_MS, "did:web:x.example")));
    // The mode is one that selections know.
    let mode = without.dataset.unwrap().pointer("/selection/personal/mode").cloned().unwrap();
    let selection = json!({
        "types": ["https://a/T"], "attributes": [],
        "personal": {"mode": mode, "marking": {"https://a/T": {"none": true}}}
    });
    assert!(serde_json::from_value::<policy_plan::Selection>(selection).unwrap().check().is_ok());
}

/// The page about templates, as it follows from the templates.
fn page() -> String {
    let mut page = String::from(
        "# Policy templates\n\n\
         Ready-made terms with blanks to fill in. `hansa policy template use` makes the policy; see\n\
         [Policy tools](policy-tools.md#templates). Each has a text that says for people what the policy says for machines; it is meant to be\n\
         put into a contract by a lawyer, not to replace one.\n\n\
         This page is made from the templates themselves. A translator adds one file beside `policy/templates/texts/en.json`.\n",
    );
    for template in templates() {
        let text = template.text("en").unwrap();
        page.push_str(&format!("\n## {}\n\n`{}`: {}\n\n", text.title, template.id, text.summary));
        page.push_str("| parameter | type | default | meaning |\n|---|---|---|---|\n");
        for parameter in &template.parameters {
            let default = match &parameter.default {
                None => String::new(),
                Some(Value::Array(items)) => {
                    items.iter().map(|item| format!("`{}`", item.as_str().unwrap())).collect::<Vec<_>>().join(", ")
                }
                Some(Value::String(text)) => format!("`{text}`"),
                Some(other) => format!("`{other}`"),
            };
            let kind = if parameter.choices.is_empty() {
                parameter.kind.as_str().to_owned()
            } else {
                parameter.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or ")
            };
            let meaning = &text.parameters[&parameter.name];
            page.push_str(&format!("| `{}` | {kind} | {default} | {meaning} |\n", parameter.name));
        }
        let instance = made(&template.id, examples(&template.id));
        page.push_str(&format!("\nWith the values of the example, the text is:\n\n> {}\n", instance.text));
        let policy = serde_json::to_string_pretty(&instance.policy).unwrap();
        page.push_str(&format!("\nand the policy:\n\n```json\n{policy}\n```\n"));
        if let Some(dataset) = &instance.dataset {
            let dataset = serde_json::to_string(dataset).unwrap();
            page.push_str(&format!("\nThe dataset has to say, beside its `marking`: `{dataset}`.\n"));
        }
    }
    page
}

/// `HANSA_WRITE_DOCS=1 cargo test -p policy --test templates` writes the page.
#[test]
fn the_page_of_the_manual_is_the_templates() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/policy-templates.md");
    if std::env::var_os("HANSA_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == page(),
        "docs/src/policy-templates.md is old: HANSA_WRITE_DOCS=1 cargo test -p policy --test templates"
    );
}

/// Parameters are told in the order in which people are asked, each with a type that the page explains.
#[test]
fn parameters_are_told_once() {
    for template in templates() {
        let mut names = BTreeMap::new();
        for parameter in &template.parameters {
            assert!(names.insert(&parameter.name, ()).is_none(), "{}", template.id);
            assert!(parameter.default.is_some() || parameter.example.is_some(), "{}", parameter.name);
        }
    }
}
