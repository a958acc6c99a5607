//! What the verifier is made of and what can be set.

use std::sync::Arc;

use crate::claims::LIFTED;
use crate::did::{Did, DidResolver};
use crate::keys::Signer;
use crate::presentation::PresentationVerifier;
use crate::scope::Scopes;
use crate::token::TokenValidator;
use crate::trust::TrustedIssuers;
use crate::{Clock, Fetch};

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DcpSettings {
    /// What every caller has to present, and what our own access tokens always grant.
    pub default_scopes: Scopes,
    /// The claims of subjects that become claims of the participant: [`LIFTED`] unless set.
    pub lifted: Vec<String>,
    /// How long ID tokens of ours are valid, in seconds.
    pub token_lifetime_s: i64,
    /// How long access tokens of ours are valid, in seconds. One is used again until half of that has passed.
    pub access_token_lifetime_s: i64,
    /// How long a verified presentation is believed at most, in seconds; 0 to ask for each request. It is believed no longer
    /// than its credentials, their status and the keys, and only for the access token that it was got with.
    pub presentation_reuse_s: i64,
}

impl Default for DcpSettings {
    fn default() -> Self {
        Self {
            default_scopes: Scopes::default(),
            lifted: LIFTED.iter().map(|name| (*name).to_owned()).collect(),
            token_lifetime_s: 300,
            access_token_lifetime_s: 600,
            presentation_reuse_s: 300,
        }
    }
}

/// What the verifier is made of.
#[derive(Clone)]
pub struct DcpParts {
    /// Our DID, the participant id.
    pub own: Did,
    /// Signs with our key.
    pub signer: Arc<dyn Signer>,
    /// Finds DID documents.
    pub resolver: Arc<DidResolver>,
    /// Asks credential services.
    pub fetch: Arc<dyn Fetch>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Checks the tokens of callers.
    pub tokens: Arc<TokenValidator>,
    /// Checks what they present.
    pub presentations: Arc<PresentationVerifier>,
    /// Says which claims of which issuers are believed.
    pub trust: Arc<dyn TrustedIssuers>,
}
