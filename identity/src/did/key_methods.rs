//! The methods `key` and `jwk`: the DID is the key, so nothing is fetched.

use did_jwk::DIDJWK;
use did_method_key::DIDKey;
use serde_json::{Value, json};
use ssi_dids_core::resolution::{DIDMethodResolver, Options, Parameters};

use super::{Did, DidDocument, DidError};

/// Longest method-specific id, in bytes: decoding base58 takes time by the square of the length.
const MAX_ID: usize = 1024;

/// The document of a did:key (did:key Method, W3C CCG; P-256, P-384, Ed25519).
///
/// # Errors
/// `malformed_did` when the id is not a key; `bad_did_document` for a kind of key that is not supported.
pub(super) async fn resolve_key(did: &Did) -> Result<DidDocument, DidError> {
    resolve(did, &DIDKey).await
}

/// The document of a did:jwk (did:jwk Method; every key that a JWK of a document may be).
///
/// # Errors
/// As [`resolve_key`].
pub(super) async fn resolve_jwk(did: &Did) -> Result<DidDocument, DidError> {
    resolve(did, &DIDJWK).await
}

async fn resolve(did: &Did, resolver: &impl DIDMethodResolver) -> Result<DidDocument, DidError> {
    let malformed =
        || DidError::new("malformed_did", format!("`{}` does not hold a key", crate::printable(did.as_str())));
    let id = did.method_specific_id();
    // The libraries expect a DID that is one by their own rules.
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if id.len() > MAX_ID || !plain {
        return Err(malformed());
    }
    let parameters = Parameters { public_key_format: Some("JsonWebKey2020".to_owned()), ..Parameters::default() };
    let options = Options { accept: None, parameters };
    let output = resolver.resolve_method_representation(id, options).await.map_err(|_error| malformed())?;
    let mut document: Value = serde_json::from_slice(&output.document).map_err(|_error| malformed())?;
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

/// The key of a `publicKeyMultibase` (Controlled Identifiers 1.0, 2.2.2) as a JWK.
///
/// # Errors
/// `bad_did_document` when it is not one, or of a kind that is not supported.
pub(super) fn jwk_of_multibase(encoded: &str) -> Result<Value, DidError> {
    let bad = || DidError::new("bad_did_document", "a `publicKeyMultibase` is not a key of a supported kind");
    if encoded.len() > MAX_ID || !encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte)) {
        return Err(bad());
    }
    let method = json!({
        "type": "Multikey",
        "id": "did:key:z#z",
        "controller": "did:key:z",
        "publicKeyMultibase": encoded,
    });
    let method: ssi_verification_methods::Multikey = serde_json::from_value(method).map_err(|_error| bad())?;
    let jwk = method.public_key_jwk().ok_or_else(bad)?;
    serde_json::to_value(jwk.to_public()).map_err(|_error| bad())
}
