//! The canonical form of JSON-LD: expanded, as RDF, in N-Quads with canonical names (JSON-LD 1.1 API; RDFC-1.0).

use serde_json::Value;
use ssi_json_ld::syntax::Parse as _;
use ssi_json_ld::{CompactJsonLd, Expandable as _};
use ssi_rdf::{AnyLdEnvironment as _, LdEnvironment};

use super::{CredentialError, contexts};
use crate::ready;

/// The statements of a document, whose shape was checked, in canonical N-Quads.
///
/// # Errors
/// `bad_credential` when it is not JSON-LD, or has terms that its contexts do not define.
pub(super) fn n_quads(document: &Value) -> Result<String, CredentialError> {
    let bad = |what: &str| CredentialError::refused("bad_credential", format!("the JSON-LD document {what}"));
    let (json, _positions) = ssi_json_ld::syntax::Value::parse_str(&document.to_string())
        .map_err(|_error| bad("cannot be read by the JSON-LD library"))?;
    let mut environment = LdEnvironment::default();
    let loader = contexts::loader();
    let document = CompactJsonLd(json);
    // Nothing is fetched, so nothing is waited for.
    let expanded = ready::now(document.expand_with(&mut environment, loader))
        .ok_or_else(|| bad("needs something that is not shipped"))?
        .map_err(|error| bad(&format!("cannot be expanded: {}", crate::printable(&error.to_string()))))?;
    let lines = environment.canonical_form_of(&expanded).map_err(|_error| bad("cannot be made into RDF statements"))?;
    Ok(lines.concat())
}
