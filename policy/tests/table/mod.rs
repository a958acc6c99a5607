//! Reads the tables in `tests/cases`, for the tests that run them: in this crate and beside it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::missing_panics_doc, missing_docs)]

use std::path::Path;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Facts, PolicySource, Scope, Used};

const NOW: &str = "2026-06-15T12:00:00Z";

/// A case with the defaults of its file.
pub struct Case {
    /// Its file and its name.
    pub name: String,
    pub members: Map<String, Value>,
}

/// The cases of all files.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let table: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(table["feature"].is_string(), "{}", file.display());
        for case in table["cases"].as_array().unwrap() {
            let mut members = table.as_object().unwrap().clone();
            members.extend(case.as_object().unwrap().clone());
            let name = format!("{} / {}", file.file_name().unwrap().display(), case["name"]);
            cases.push(Case { name, members });
        }
    }
    cases
}

impl Case {
    fn member(&self, name: &str) -> Value {
        self.members.get(name).cloned().unwrap_or_default()
    }

    pub fn source(&self) -> PolicySource {
        let source = self.member("source");
        PolicySource {
            rules: self.members["policy"].clone(),
            target: text(&source, "target"),
            assigner: text(&source, "assigner"),
            assignee: text(&source, "assignee"),
            profile: text(&source, "profile"),
            conflict: text(&source, "conflict"),
            agreed_at_ms: text(&source, "agreedAt").map(|at| epoch_ms(&at)),
            areas: read(&source, "areas").unwrap_or_default(),
            any_facts: source.get("anyFacts") == Some(&Value::Bool(true)),
        }
    }

    pub fn facts(&self) -> Facts {
        let given = self.member("facts");
        Facts {
            now_ms: epoch_ms(&text(&given, "now").unwrap_or_else(|| NOW.to_owned())),
            participant: text(&given, "participant").unwrap_or_else(|| "did:web:consumer.example".to_owned()),
            claims: given.get("claims").cloned().unwrap_or_default(),
            purpose: read(&given, "purpose"),
            target: text(&given, "target"),
            part_of: read(&given, "partOf"),
            asset_in: read(&given, "assetIn"),
            asset: given.get("asset").cloned().unwrap_or_default(),
            operands: given.get("operands").cloned().unwrap_or_default(),
            duties: read(&given, "duties").unwrap_or_default(),
            events: read(&given, "events").unwrap_or_default(),
            consents: read(&given, "consents").unwrap_or_default(),
            usage: given.get("usage").map(used).unwrap_or_default(),
            transfers: given.get("transfers").and_then(Value::as_u64),
            channel: text(&given, "channel"),
            format: text(&given, "format"),
        }
    }

    pub fn scope(&self) -> Scope {
        match self.members.get("scope").and_then(Value::as_str).unwrap_or("request") {
            "catalog" => Scope::Catalog,
            "negotiation" => Scope::Negotiation,
            "transfer" => Scope::Transfer,
            "request" => Scope::Request,
            other => panic!("{}: no scope {other}", self.name),
        }
    }

    pub fn action(&self) -> &str {
        self.members.get("action").and_then(Value::as_str).unwrap_or("use")
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn read<T: serde::de::DeserializeOwned>(value: &Value, name: &str) -> Option<T> {
    value.get(name).map(|member| serde_json::from_value(member.clone()).unwrap())
}

/// What has been used; moments as text.
fn used(given: &Value) -> Used {
    let number = |name: &str| given.get(name).and_then(Value::as_u64);
    let moment = |name: &str| text(given, name).map(|at| epoch_ms(&at));
    Used {
        count: number("count"),
        metered_ms: number("meteredMs"),
        volume_bytes: number("volumeBytes"),
        first_use_ms: moment("firstUse"),
        last_use_ms: moment("lastUse"),
    }
}

pub fn epoch_ms(text: &str) -> i64 {
    let instant = OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|error| panic!("{text}: {error}"));
    i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).unwrap()
}
