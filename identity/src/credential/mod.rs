//! Verifiable credentials (W3C VC Data Model 1.1 and 2.0): reading, verifying and making them.

#[cfg(test)]
mod agreement;
pub(crate) mod data_integrity;
mod error;
pub(crate) mod issue;
pub(crate) mod jwt;
pub(crate) mod kept;
pub(crate) mod parse;
pub(crate) mod validity;
pub(crate) mod verifier;

#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;

pub use error::CredentialError;
pub use issue::{NewCredential, issue};
pub use verifier::CredentialVerifier;

use serde_json::{Map, Value};

use crate::did::{Did, DidUrl};

/// The form that a credential came in (DCP 1.0.1, profiles).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// VC 1.1 as JWT with a `vc` claim: profile `vc11-sl2021/jwt`.
    Vc11Jwt,
    /// VC 2.0 enveloped in a JWS (VC-JOSE-COSE): profile `vc20-bssl/jwt`.
    Vc20Jwt,
    /// JSON-LD with an embedded Data Integrity proof, of either data model.
    DataIntegrity,
}

/// A credential as it was read; what it says is verified only inside a [`VerifiedCredential`].
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// The form it came in.
    pub format: Format,
    /// Its id.
    pub id: Option<String>,
    /// All types, `VerifiableCredential` included.
    pub types: Vec<String>,
    /// The issuer's DID.
    pub issuer: String,
    /// Not valid before, seconds since the epoch.
    pub valid_from: Option<i64>,
    /// Not valid from here on, seconds since the epoch.
    pub valid_until: Option<i64>,
    /// The subjects, one or more, as the credential writes them.
    pub subjects: Vec<Map<String, Value>>,
    /// The status entries, none if the credential cannot be revoked.
    pub status: Vec<Value>,
    /// The schemas that it says it keeps.
    pub schemas: Vec<Value>,
    /// The whole credential in the form of its data model, claims of a JWT folded in.
    pub document: Value,
}

/// A credential whose signature, validity, status, schema, issuer and holder were checked.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedCredential {
    /// What it says.
    pub credential: Credential,
    /// The method that signed it.
    pub method: DidUrl,
    /// When the result has to be looked at again, seconds since the epoch: the earliest of expiry, status and key caches.
    pub fresh_until: i64,
}

impl VerifiedCredential {
    /// Passes when the credential speaks of `holder` and of nobody else: each subject has its DID as id (holder binding).
    ///
    /// # Errors
    /// `holder_mismatch`.
    pub fn bound_to(&self, holder: &Did) -> Result<(), CredentialError> {
        let of_holder =
            |subject: &Map<String, Value>| subject.get("id").and_then(Value::as_str) == Some(holder.as_str());
        if !self.credential.subjects.is_empty() && self.credential.subjects.iter().all(of_holder) {
            return Ok(());
        }
        let text = format!("{} was not issued to `{holder}`", self.credential.describe());
        Err(CredentialError::refused("holder_mismatch", text))
    }
}

impl Credential {
    /// Its types and issuer in words, for refusals.
    pub(crate) fn describe(&self) -> String {
        let mut types: Vec<String> = self
            .types
            .iter()
            .filter(|name| *name != "VerifiableCredential")
            .take(4)
            .map(|name| format!("`{}`", crate::printable(name)))
            .collect();
        if types.is_empty() {
            types.push("without a type of its own".to_owned());
        }
        format!("the credential {} of `{}`", types.join(", "), crate::printable(&self.issuer))
    }
}
