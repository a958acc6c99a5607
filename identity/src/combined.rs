//! Peers with static tokens beside everybody else.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;

use crate::scope::Scopes;
use crate::{CounterParty, Identity, IdentityError, IncomingRequest, Participant, StaticPeers};

/// Knows the peers of a list by their tokens and all others in another way.
pub struct Combined {
    peers: StaticPeers,
    others: Arc<dyn Identity>,
}

impl Combined {
    /// The list comes first.
    pub fn new(peers: StaticPeers, others: Arc<dyn Identity>) -> Self {
        Self { peers, others }
    }

    fn of(&self, id: &str) -> &dyn Identity {
        if self.peers.knows(id) { &self.peers } else { &*self.others }
    }
}

#[async_trait]
impl Identity for Combined {
    async fn authenticate(&self, request: &IncomingRequest<'_>) -> Result<Participant, IdentityError> {
        match self.peers.authenticate(request).await {
            Ok(peer) => Ok(peer),
            // What the others miss is more to the point than that the token is none of the list.
            Err(_unknown) => {
                let participant = self.others.authenticate(request).await?;
                if self.peers.knows(participant.id()) {
                    let text = "this participant is known here by a static token only";
                    return Err(IdentityError::caller("static_token_expected", text));
                }
                Ok(participant)
            }
        }
    }

    async fn authorization_for(&self, to: &CounterParty<'_>) -> Result<SecretString, IdentityError> {
        self.of(to.participant_id).authorization_for(to).await
    }

    async fn with_scopes(&self, participant: &Participant, scopes: &Scopes) -> Result<Participant, IdentityError> {
        self.of(participant.id()).with_scopes(participant, scopes).await
    }

    async fn authorization_with(&self, to: &CounterParty<'_>, scopes: &Scopes) -> Result<SecretString, IdentityError> {
        self.of(to.participant_id).authorization_with(to, scopes).await
    }

    fn counter_party_claims(&self, id: &str) -> Option<Value> {
        self.of(id).counter_party_claims(id)
    }
}
