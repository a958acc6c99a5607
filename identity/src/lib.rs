//! Who is calling: verified participants and the tokens of outgoing requests.
//!
//! The rest of the connector asks two questions, both through [`Identity`]:
//!
//! 1. Who sent this request? [`Identity::authenticate`] answers with a [`Participant`]: an id and verified claims. Only this
//!    crate can make one, so a function that takes a `Participant` cannot be reached without authentication.
//! 2. Which `Authorization` header goes out with a request to this counter-party? [`Identity::authorization_for`].
//!
//! Both are asynchronous, because an implementation may have to resolve a DID, ask the caller's credential service for a
//! presentation or fetch a status list before it knows. [`StaticPeers`] needs none of that: it compares tokens with a list in
//! the configuration.

pub mod claims;
mod clock;
mod combined;
pub mod credential;
pub mod dcp;
pub mod did;
mod error;
mod fetch;
pub mod jose;
pub mod keys;
mod participant;
pub mod presentation;
mod ready;
mod request;
pub mod schema;
pub mod scope;
mod static_peers;
pub mod status;
#[cfg(test)]
mod testing;
pub mod token;
pub mod trust;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;

pub use clock::{Clock, SystemClock};
pub use combined::Combined;
pub use error::{Fault, IdentityError};
pub use fetch::{Fetch, FetchError, Fetched};
pub use participant::Participant;
pub use request::{CounterParty, IncomingRequest};
use scope::Scopes;
pub use static_peers::{MIN_TOKEN, StaticPeer, StaticPeers, StaticPeersError};

/// A way to know participants and to be known by them.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Finds out who sent a request.
    ///
    /// # Errors
    /// [`IdentityError`] when the request proves nothing; when [`IdentityError::is_temporary`] holds, the same request may
    /// pass later.
    async fn authenticate(&self, request: &IncomingRequest<'_>) -> Result<Participant, IdentityError>;

    /// The value of the `Authorization` header for a request to a counter-party.
    ///
    /// # Errors
    /// [`IdentityError`] when there is no way to introduce ourselves to it.
    async fn authorization_for(&self, to: &CounterParty<'_>) -> Result<SecretString, IdentityError>;

    /// The same participant with more verified claims: those of the credentials that these scopes name, for a policy that asks for
    /// them. Implementations that know all they can from the request return it as it is.
    ///
    /// # Errors
    /// [`IdentityError`] when a credential is missing or not accepted; the message names it.
    async fn with_scopes(&self, participant: &Participant, _scopes: &Scopes) -> Result<Participant, IdentityError> {
        Ok(participant.clone())
    }

    /// As [`Identity::authorization_for`], where the receiver may also ask for the credentials that these scopes name.
    ///
    /// # Errors
    /// As [`Identity::authorization_for`].
    async fn authorization_with(&self, to: &CounterParty<'_>, _scopes: &Scopes) -> Result<SecretString, IdentityError> {
        self.authorization_for(to).await
    }

    /// The verified claims about a participant that are known without a request of its, an object; `None` when there are none.
    fn counter_party_claims(&self, id: &str) -> Option<Value>;
}

/// Text of unknown origin, fit for one line.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
