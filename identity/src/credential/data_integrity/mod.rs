//! Credentials and presentations in JSON-LD with an embedded proof (Verifiable Credential Data Integrity 1.0): suites
//! `eddsa-rdfc-2022`, `ecdsa-rdfc-2019`, `Ed25519Signature2020` and `JsonWebSignature2020`.
//!
//! JSON-LD and its canonical form are those of `ssi`; the signature is checked with our own keys, by the same rules as tokens.
//! Contexts are shipped, never fetched.

mod canonical;
mod contexts;
mod proof;
mod shape;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384};

use super::CredentialError;
use super::jwt::{unresolved, unsigned};
use crate::did::{DidResolver, DidUrl, Relationship};
use crate::jose::Algorithm;
use proof::{Proof, Suite};

/// Checks the proof of a credential or presentation at the time `now` (seconds since the epoch), and answers who signed.
///
/// # Errors
/// `bad_proof`, `unsupported_proof`, `unknown_context`, `bad_credential` for JSON-LD that is not what it looks like, `expired`,
/// `not_yet_valid`, `key_not_allowed`, `bad_signature`, and those of [`DidResolver::key`].
pub(crate) async fn verify(document: &Value, resolver: &DidResolver, now: i64) -> Result<DidUrl, CredentialError> {
    let (unsecured, proof) = shape::check(document)?;
    let proof = Proof::read(proof)?;
    let relationship = purpose(&unsecured);
    if proof.purpose != relationship.name() {
        let text =
            format!("the proof is for `{}`, not for `{}`", crate::printable(&proof.purpose), relationship.name());
        return Err(CredentialError::refused("bad_proof", text));
    }
    proof.check_time(now)?;
    let key = resolver.key(&proof.method, relationship).await.map_err(unresolved)?;
    let algorithm = proof.algorithm(&key)?;
    let hash = hash(unsecured, &proof, algorithm)?;
    key.verify(algorithm, &proof.signed(&hash), &proof.signature).map_err(unsigned)?;
    Ok(proof.method)
}

/// What the key must be listed for: presentations authenticate, credentials assert.
fn purpose(document: &Map<String, Value>) -> Relationship {
    let is_presentation = |name: &Value| name == "VerifiablePresentation";
    match document.get("type") {
        Some(Value::Array(names)) if names.iter().any(is_presentation) => Relationship::Authentication,
        Some(name) if is_presentation(name) => Relationship::Authentication,
        _ => Relationship::AssertionMethod,
    }
}

/// The hash of the proof's own members, then that of the document (VC Data Integrity 1.0, 4.3; vc-di-eddsa, 3.2.4;
/// vc-di-ecdsa, 3.2.4).
fn hash(document: Map<String, Value>, proof: &Proof, algorithm: Algorithm) -> Result<Vec<u8>, CredentialError> {
    let context = document.get("@context").cloned().unwrap_or_default();
    let options = canonical::n_quads(&Value::Object(proof.options(context)))?;
    let document = canonical::n_quads(&Value::Object(document))?;
    let both = |digest: fn(&str) -> Vec<u8>| [digest(&options), digest(&document)].concat();
    Ok(match (proof.suite, algorithm) {
        (Suite::EcdsaRdfc2019, Algorithm::Es384) => both(|text| Sha384::digest(text).to_vec()),
        _ => both(|text| Sha256::digest(text).to_vec()),
    })
}
