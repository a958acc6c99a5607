//! Signatures of JWT credentials and presentations (DCP 1.0.1, presentation verification; VC-JOSE-COSE, 4).

use super::CredentialError;
use crate::did::{Did, DidError, DidResolver, DidUrl, Relationship};
use crate::jose::{JoseError, Jws};

/// Checks that a token was signed by `signer` with a key that its document lists for `relationship`; answers the key's id.
///
/// # Errors
/// `mismatch` when the key is another party's; `key_not_allowed`, `unknown_key`, `bad_signature` and what the resolver says.
pub(crate) async fn verify(
    jws: &Jws<'_>,
    signer: &Did,
    relationship: Relationship,
    resolver: &DidResolver,
    mismatch: &'static str,
) -> Result<DidUrl, CredentialError> {
    let method = match jws.kid() {
        Some(kid) if kid != signer.as_str() => {
            // A name without DID is one below the signer's.
            let absolute = if kid.contains('#') { DidUrl::resolve(signer, kid) } else { below(signer, kid) };
            let method = absolute.map_err(unresolved)?;
            if method.did() != signer {
                let text = format!("the key `{method}` is not one of `{signer}`");
                return Err(CredentialError::refused(mismatch, text));
            }
            Some(method)
        }
        _ => None,
    };
    let (method, key) = match method {
        Some(method) => {
            let key = resolver.key(&method, relationship).await.map_err(unresolved)?;
            (method, key)
        }
        None => resolver.sole_key(signer, relationship).await.map_err(unresolved)?,
    };
    jws.verify(&key).map_err(unsigned)?;
    Ok(method)
}

fn below(signer: &Did, name: &str) -> Result<DidUrl, DidError> {
    DidUrl::parse(&format!("{signer}#{name}"))
}

/// A DID, document or key that cannot be used.
pub(crate) fn unresolved(error: DidError) -> CredentialError {
    match error.code() {
        code @ ("malformed_did"
        | "unsupported_did_method"
        | "unknown_key"
        | "key_not_allowed"
        | "ambiguous_key"
        | "forbidden_address") => CredentialError::refused(code, error.to_string()),
        code => CredentialError::peer(code, error.to_string(), error.is_temporary()),
    }
}

/// A token that is malformed or not signed as it should be.
pub(crate) fn unsigned(error: JoseError) -> CredentialError {
    CredentialError::refused(error.code(), error.to_string())
}
