//! Whether a credential keeps the schemas that it names (VC Data Model 2.0, 4.11; DCP 1.0.1, verification of presentations).
//!
//! A schema comes only from a host that the operator lists, is never asked for anything beyond itself, and describes the credential
//! as a whole.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use url::Url;

use crate::credential::kept::{Kept, RETRY_AFTER};
use crate::credential::{Credential, CredentialError};
use crate::{Clock, Fetch};

/// Largest schema, in bytes.
const MAX_SCHEMA: usize = 128 * 1024;
/// Largest compiled pattern of a schema, in bytes.
const MAX_PATTERN: usize = 1024 * 1024;
/// Bytes of schemas that are kept.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Seconds that a schema is kept; a changed one has another address as a rule.
const TTL: i64 = 3600;

/// Checks credentials against the schemas that they name.
pub struct SchemaChecker {
    fetch: Arc<dyn Fetch>,
    /// `HOST` or `HOST:PORT`, in lower case.
    hosts: Vec<String>,
    clock: Arc<dyn Clock>,
    schemas: Kept<Schema>,
}

struct Schema {
    validator: Validator,
    bytes: usize,
}

impl SchemaChecker {
    /// Schemas come from `hosts` only: names or addresses, with `:PORT` where it is not the scheme's own.
    pub fn new(fetch: Arc<dyn Fetch>, hosts: impl IntoIterator<Item = String>, clock: Arc<dyn Clock>) -> Self {
        let hosts = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        // A compiled schema takes some times the room of its text.
        let schemas = Kept::new(CACHE_BYTES, |schema: &Schema| schema.bytes.saturating_mul(4));
        Self { fetch, hosts, clock, schemas }
    }

    /// Passes when the credential keeps all schemas that it names, or names none.
    ///
    /// # Errors
    /// `unsupported_schema` for a type or draft that is not known here, `schema_not_allowed` for a host that is not listed,
    /// `schema_unavailable`, `bad_schema`, `schema_violated`.
    pub async fn check(&self, credential: &Credential) -> Result<(), CredentialError> {
        for entry in &credential.schemas {
            let url = self.address(entry)?;
            let now = self.clock.now();
            let (schema, _) = self
                .schemas
                .get(url.as_str(), now, self.read(&url, now))
                .await
                .map_err(|error| error.within(&format!("schema `{}`", crate::printable(url.as_str()))))?;
            if let Err(error) = schema.validator.validate(&credential.document) {
                // Only where: the value may be personal data.
                let place = crate::printable(error.instance_path().as_str());
                let rule = crate::printable(error.schema_path().as_str());
                let text = format!("the schema is violated at `{place}` by its rule `{rule}`");
                return Err(CredentialError::refused("schema_violated", text));
            }
        }
        Ok(())
    }

    fn address(&self, entry: &Value) -> Result<Url, CredentialError> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = text("type");
        if !["JsonSchema", "JsonSchemaValidator2018"].contains(&kind) {
            let shown = crate::printable(kind);
            let message = format!("schemas of type `{shown}` are not supported here");
            return Err(CredentialError::refused("unsupported_schema", message));
        }
        let id = text("id");
        let forbidden = || {
            let message = format!("schemas may not come from `{}`, it is not listed here", crate::printable(id));
            CredentialError::refused("schema_not_allowed", message)
        };
        let mut url: Url =
            Some(id).filter(|id| id.len() <= 2048).and_then(|id| id.parse().ok()).ok_or_else(forbidden)?;
        let host = url.host_str().unwrap_or_default();
        // The port that belongs to the scheme is not in the URL once it is parsed.
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if !matches!(url.scheme(), "https" | "http") || !self.hosts.contains(&host) {
            return Err(forbidden());
        }
        url.set_fragment(None);
        Ok(url)
    }

    async fn read(&self, url: &Url, now: i64) -> Result<(Schema, i64), CredentialError> {
        let unavailable = |text: String, temporary| CredentialError::peer("schema_unavailable", text, temporary);
        let answer = self
            .fetch
            .get(url, "application/schema+json, application/json;q=0.9", None, MAX_SCHEMA)
            .await
            .map_err(|error| unavailable(error.to_string(), error.temporary))?;
        if !answer.is_success() {
            let temporary = answer.status >= 500 || answer.status == 429;
            return Err(unavailable(format!("the server answers with status {}", answer.status), temporary));
        }
        let schema = Schema { validator: compile(&answer.body)?, bytes: answer.body.len() };
        let served = answer.max_age.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(TTL);
        Ok((schema, now.saturating_add(TTL.min(served.max(RETRY_AFTER)))))
    }
}

fn compile(body: &[u8]) -> Result<Validator, CredentialError> {
    let bad = |what: &str| CredentialError::peer("bad_schema", format!("the schema {what}"), false);
    let schema: Value = serde_json::from_slice(body).map_err(|_error| bad("is not JSON"))?;
    let draft = schema.get("$schema").and_then(Value::as_str).map_or(Draft::Unknown, Draft::from_schema_uri);
    if draft == Draft::Unknown {
        let text = "the schema names no draft of JSON Schema that is supported here (`$schema`)";
        return Err(CredentialError::peer("unsupported_schema", text, false));
    }
    // An engine without backtracking: a pattern costs time in proportion to the text. Nothing that it refers to is fetched.
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
    jsonschema::options()
        .with_draft(draft)
        .offline()
        .with_pattern_options(patterns)
        .build(&schema)
        .map_err(|error| bad(&format!("cannot be used, see `{}`", crate::printable(error.instance_path().as_str()))))
}
