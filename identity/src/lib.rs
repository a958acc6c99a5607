//! Who is calling: verified participants and the tokens of outgoing requests.
//!
//! Every way of proving who one is (verifiable credentials by DCP, wallets by OID4VP, certificates) ends in the same two
//! questions, which [`Identity`] answers: *who sent this request, and what do trusted issuers say about them* and *how do
//! we introduce ourselves to this counter-party*. Handlers take a [`Participant`], which only this crate can make, as the
//! proof that the first question was asked.

mod error;
mod participant;
mod static_peers;

pub use error::{Fault, IdentityError};
pub use participant::Participant;
pub use static_peers::{StaticPeer, StaticPeers};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;

/// What a request shows of its sender.
#[derive(Clone, Copy, Debug)]
pub struct IncomingRequest<'a> {
    /// Value of the `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Our own participant id: tokens must be meant for it.
    pub audience: &'a str,
}

/// Whom we are about to call.
#[derive(Clone, Copy, Debug)]
pub struct CounterParty<'a> {
    /// Its participant id: our tokens are meant for it.
    pub participant_id: &'a str,
    /// Base URL of its connector.
    pub address: &'a str,
}

/// A way of proving who one is. Implementations may ask other services (resolve a DID, query a credential service);
/// they get the HTTP client for that from outside.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Says who sent the request, with the claims that trusted issuers make about them.
    ///
    /// # Errors
    /// Why the sender is not believed, or why that cannot be found out now ([`IdentityError::is_temporary`]).
    async fn authenticate(&self, request: &IncomingRequest<'_>) -> Result<Participant, IdentityError>;

    /// The value of the `Authorization` header for a request to this counter-party.
    ///
    /// # Errors
    /// When we have nothing to show that it would accept.
    async fn authorization_for(&self, to: &CounterParty<'_>) -> Result<SecretString, IdentityError>;

    /// Claims about a counter-party that are known without a request of theirs, if there are any.
    fn counter_party_claims(&self, participant_id: &str) -> Option<Value>;
}
