//! Which issuers are believed about what.

use async_trait::async_trait;

use crate::credential::CredentialError;

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
}
