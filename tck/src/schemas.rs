//! The JSON Schemas of DSP 2025-1, taken out of the kit's published jars when a test runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use crate::management::text;
use crate::recorder::Exchange;
use crate::{Context as _, Error, Result};

/// Where every schema's `$id` begins.
const BASE: &str = "https://w3id.org/dspace/2025/1/";

/// The schema of each type of message, below [`BASE`].
const FILES: &[(&str, &str)] = &[
    ("Catalog", "catalog/catalog-schema.json"),
    ("CatalogRequestMessage", "catalog/catalog-request-message-schema.json"),
    ("Dataset", "catalog/dataset-schema.json"),
    ("ContractAgreementMessage", "negotiation/contract-agreement-message-schema.json"),
    ("ContractAgreementVerificationMessage", "negotiation/contract-agreement-verification-message-schema.json"),
    ("ContractNegotiation", "negotiation/contract-negotiation-schema.json"),
    ("ContractNegotiationError", "negotiation/contract-negotiation-error-schema.json"),
    ("ContractNegotiationEventMessage", "negotiation/contract-negotiation-event-message-schema.json"),
    ("ContractNegotiationTerminationMessage", "negotiation/contract-negotiation-termination-message-schema.json"),
    ("ContractOfferMessage", "negotiation/contract-offer-message-schema.json"),
    ("ContractRequestMessage", "negotiation/contract-request-message-schema.json"),
    ("TransferProcess", "transfer/transfer-process-schema.json"),
    ("TransferRequestMessage", "transfer/transfer-request-message-schema.json"),
    ("TransferStartMessage", "transfer/transfer-start-message-schema.json"),
];

/// Types whose schemas are published with the standard but not in the kit, with the members they must have.
const PLAIN: &[(&str, &[&str])] = &[
    ("CatalogError", &[]),
    ("TransferCompletionMessage", &["providerPid", "consumerPid"]),
    ("TransferError", &["providerPid", "consumerPid"]),
    ("TransferSuspensionMessage", &["providerPid", "consumerPid"]),
    ("TransferTerminationMessage", &["providerPid", "consumerPid"]),
];

/// One validator for each type of message.
pub struct Schemas(BTreeMap<&'static str, Validator>);

impl Schemas {
    /// The schemas, taken out of the kit when this is first asked for.
    ///
    /// # Errors
    /// When the kit cannot be fetched, or a schema is not usable.
    pub fn published() -> Result<&'static Self> {
        static PUBLISHED: LazyLock<Result<Schemas>> = LazyLock::new(Schemas::load);
        PUBLISHED.as_ref().map_err(Clone::clone)
    }

    fn load() -> Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kit/run");
        let done = Command::new(&script).arg("schemas").arg(folder.path()).status().context(script.display())?;
        if !done.success() {
            return Err(Error::new("the schemas could not be taken out of the kit: the lines above say why"));
        }
        let mut registry = Registry::new();
        for part in ["catalog", "common", "negotiation", "transfer"] {
            let list = std::fs::read_dir(folder.path().join(part)).context(part)?;
            for entry in list {
                let path = entry.context(part)?.path();
                let bytes = std::fs::read(&path).context(path.display())?;
                let mut schema: Value = serde_json::from_slice(&bytes).context(path.display())?;
                repair(&mut schema);
                let id = text(&schema, "$id").to_owned();
                registry = registry.add(id, schema).context(path.display())?;
            }
        }
        let registry = registry.prepare().context("the schemas")?;
        let compile = |schema: &Value| jsonschema::options().offline().with_registry(&registry).build(schema);
        let mut validators = BTreeMap::new();
        for (kind, file) in FILES {
            let validator = compile(&json!({"$ref": format!("{BASE}{file}")})).context(file)?;
            validators.insert(*kind, validator);
        }
        for (kind, required) in PLAIN {
            validators.insert(*kind, compile(&plain(kind, required)).context(kind)?);
        }
        Ok(Self(validators))
    }

    /// What is wrong with a message, in sentences; nothing when it is valid.
    pub fn faults(&self, message: &Value) -> Vec<String> {
        let kind = text(message, "@type");
        match self.0.get(kind) {
            None => vec![format!("`{kind}` is no type of DSP 2025-1: {message}")],
            Some(validator) => validator
                .iter_errors(message)
                .map(|error| format!("{kind}{}: {error} in {message}", error.instance_path()))
                .collect(),
        }
    }

    /// What is wrong with these messages, in sentences.
    pub fn faults_of(&self, messages: &[Value]) -> Vec<String> {
        messages.iter().flat_map(|message| self.faults(message)).collect()
    }

    /// The types of message that there are schemas for.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.0.keys().copied().collect()
    }
}

/// The messages of DSP among what recorders saw: requests and answers with a JSON body.
pub fn messages(exchanges: &[Exchange]) -> Vec<Value> {
    let plain = |path: &str| path.ends_with("/.well-known/dspace-version") || path.ends_with("/health");
    let exchanges = exchanges.iter().filter(|exchange| !plain(exchange.request.path()));
    let bodies = exchanges.flat_map(|exchange| [&exchange.request.body, &exchange.answer.body]);
    bodies.filter_map(|body| serde_json::from_slice(body).ok()).collect()
}

/// Two slips of the published files that a strict validator stops at: a list of names whose items are given as
/// `"string"` instead of as a schema, and pointers without the slash after `#`.
fn repair(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("items").is_some_and(|items| items == "string") {
                members.insert("items".to_owned(), json!({"type": "string"}));
            }
            if let Some(Value::String(pointer)) = members.get_mut("$ref") {
                *pointer = pointer.replace("#definitions/", "#/definitions/");
            }
            members.values_mut().for_each(repair);
        }
        Value::Array(items) => items.iter_mut().for_each(repair),
        _ => {}
    }
}

fn plain(kind: &str, required: &[&str]) -> Value {
    let required: Vec<_> = ["@context", "@type"].iter().chain(required).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "type": "object",
        "properties": {
            "@context": {"$ref": format!("{BASE}common/context-schema.json")},
            "@type": {"const": kind},
            "providerPid": {"type": "string"},
            "consumerPid": {"type": "string"},
            "code": {"type": "string"},
            "reason": {"type": "array", "minItems": 1}
        },
        "required": required
    })
}
