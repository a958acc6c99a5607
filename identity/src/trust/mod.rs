//! Which issuers are believed about what.

mod list;
mod registry;
#[cfg(test)]
mod tests;
mod union;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use list::{IssuerList, TrustListError, TrustedCredential, TrustedIssuer};
pub use registry::IssuerRegistry;
pub use union::AnyOf;

use crate::credential::CredentialError;

/// The type that every credential has; trust does not depend on it.
const ANY_TYPE: &str = "VerifiableCredential";
/// The types of status lists: whoever may issue may also say what it revoked.
const STATUS_LISTS: [&str; 2] = ["BitstringStatusListCredential", "StatusList2021Credential"];

/// Says whether an issuer is believed when it says something.
#[async_trait]
pub trait TrustedIssuers: Send + Sync {
    /// Passes when `issuer` is trusted to issue a credential with these types (`VerifiableCredential` itself counts for nothing).
    ///
    /// # Errors
    /// `untrusted_issuer` with the types that it is not trusted for; `trust_unavailable` (temporary) when the list cannot be
    /// read, which never passes.
    async fn check(&self, issuer: &str, types: &[String]) -> Result<(), CredentialError>;

    /// The names of the subject's claims that this issuer may speak of in a credential of these types; `None` for all.
    async fn claims(&self, issuer: &str, types: &[String]) -> Option<Vec<String>>;

    /// What is left of a subject when the claims that this issuer may not make are taken away. The `id` stays.
    async fn admit(&self, issuer: &str, types: &[String], mut subject: Map<String, Value>) -> Map<String, Value> {
        if let Some(names) = self.claims(issuer, types).await {
            subject.retain(|name, _value| name == "id" || names.contains(name));
        }
        subject
    }
}

/// The types that trust is asked for.
fn asked(types: &[String]) -> Vec<&str> {
    types.iter().map(String::as_str).filter(|name| *name != ANY_TYPE).collect()
}

/// A list that cannot be read now: nothing passes until it can.
pub fn unavailable(what: &str) -> CredentialError {
    CredentialError::peer("trust_unavailable", what, true)
}

fn untrusted(issuer: &str, types: &[&str]) -> CredentialError {
    let issuer = crate::printable(issuer);
    let message = if types.is_empty() {
        format!("`{issuer}` is not a trusted issuer of credentials without a type of their own")
    } else {
        let types: Vec<String> = types.iter().take(8).map(|name| format!("`{}`", crate::printable(name))).collect();
        format!("`{issuer}` is not a trusted issuer of {}", types.join(", "))
    };
    CredentialError::refused("untrusted_issuer", message)
}
