//! The methods `key` and `jwk`: the DID is the key, so nothing is fetched.

use did_jwk::DIDJWK;
use did_method_key::DIDKey;
use serde_json::Value;
use ssi_dids_core::resolution::{DIDMethodResolver, Options, Parameters};

use super::{Did, DidDocument, DidError};
use crate::ready;

/// Longest method-specific id, in bytes: decoding base58 takes time by the square of the length.
const MAX_ID: usize = 1024;

/// The document of a did:key (did:key Method, W3C CCG; P-256, P-384, Ed25519).
///
/// # Errors
/// `malformed_did` when the id is not a key; `bad_did_document` for a kind of key that is not supported.
pub(super) fn resolve_key(did: &Did) -> Result<DidDocument, DidError> {
    resolve(did, &DIDKey)
}

/// The document of a did:jwk (did:jwk Method; every key that a JWK of a document may be).
///
/// # Errors
/// As [`resolve_key`].
pub(super) fn resolve_jwk(did: &Did) -> Result<DidDocument, DidError> {
    resolve(did, &DIDJWK)
}

fn resolve(did: &Did, method: &impl DIDMethodResolver) -> Result<DidDocument, DidError> {
    let malformed =
        || DidError::new("malformed_did", format!("`{}` does not hold a key", crate::printable(did.as_str())));
    let id = did.method_specific_id();
    if !is_plain(id) {
        return Err(malformed());
    }
    let mut document = represent(id, method).ok_or_else(malformed)?;
    // did:key lists its one signing key for all uses; the library leaves this one out.
    if let Some(methods) = document.get("authentication").cloned()
        && document.get("capabilityInvocation").is_none()
    {
        document.as_object_mut().map(|document| document.insert("capabilityInvocation".to_owned(), methods));
    }
    let document = DidDocument::parse(&document)?;
    // An encryption key would otherwise be one without signatures.
    match document.methods.first().map(|method| &method.key) {
        Some(Ok(_)) => Ok(document),
        Some(Err(error)) => Err(error.clone()),
        None => Err(malformed()),
    }
}

/// The libraries expect what is a DID by their own rules, and what takes no long time to decode.
fn is_plain(id: &str) -> bool {
    id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The document of an id by its method, with keys as JWK.
fn represent(id: &str, method: &impl DIDMethodResolver) -> Option<Value> {
    let parameters = Parameters { public_key_format: Some("JsonWebKey2020".to_owned()), ..Parameters::default() };
    let options = Options { accept: None, parameters };
    let output = ready::now(method.resolve_method_representation(id, options))?.ok()?;
    serde_json::from_slice(&output.document).ok()
}

/// The key of a `publicKeyMultibase` (Controlled Identifiers 1.0, 2.2.2) as a JWK: it is written as in a did:key.
///
/// # Errors
/// `bad_did_document` when it is not one, or of a kind that is not supported.
pub(super) fn jwk_of_multibase(encoded: &str) -> Result<Value, DidError> {
    let bad = || DidError::new("bad_did_document", "a `publicKeyMultibase` is not a key of a supported kind");
    // Base58 is the one encoding of keys; it has no other characters.
    if !encoded.starts_with('z') || !is_plain(encoded) {
        return Err(bad());
    }
    let document = represent(encoded, &DIDKey).ok_or_else(bad)?;
    document.pointer("/verificationMethod/0/publicKeyJwk").cloned().ok_or_else(bad)
}
