//! The proof of authentication.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;

use crate::credential::VerifiedCredential;
use crate::scope::Scopes;
use crate::token::TokenUse;

/// A participant whose request was authenticated: its id and what was verified about it.
///
/// Only implementations of [`Identity`](crate::Identity) in this crate can make one. Cloning is cheap. Two are equal when id and
/// claims are, whatever they were proved with.
#[derive(Clone)]
pub struct Participant(Arc<Known>);

struct Known {
    id: String,
    claims: Arc<Value>,
    proof: Option<Proof>,
}

/// What a participant proved itself with, by the Decentralized Claims Protocol.
#[derive(Clone)]
pub(crate) struct Proof {
    /// The one use of its token.
    pub(crate) token_use: TokenUse,
    /// Lets us ask its credential service; a secret.
    pub(crate) access_token: SecretString,
    /// What its credential service was asked for.
    pub(crate) scopes: Scopes,
    /// What it presented.
    pub(crate) credentials: Arc<[VerifiedCredential]>,
    /// When that has to be looked at again, seconds since the epoch.
    pub(crate) fresh_until: i64,
}

impl Participant {
    pub(crate) fn new(id: impl Into<String>, claims: Value) -> Self {
        Self(Arc::new(Known { id: id.into(), claims: Arc::new(claims), proof: None }))
    }

    pub(crate) fn proved(id: impl Into<String>, claims: Arc<Value>, proof: Proof) -> Self {
        Self(Arc::new(Known { id: id.into(), claims, proof: Some(proof) }))
    }

    /// The participant id, as in `participantId`, `assigner` and `assignee` of the Dataspace Protocol.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The verified claims: an object whose members policies are decided with.
    pub fn claims(&self) -> &Value {
        &self.0.claims
    }

    /// The use of the token that the request came with, to be stored together with what the request changes: a second use is a
    /// replay. `None` where tokens may be used again.
    pub fn token_use(&self) -> Option<&TokenUse> {
        self.proof().map(|proof| &proof.token_use)
    }

    /// The credentials that the claims are from; none where nothing was presented.
    pub fn credentials(&self) -> &[VerifiedCredential] {
        self.proof().map(|proof| &*proof.credentials).unwrap_or_default()
    }

    /// When the claims have to be verified again, seconds since the epoch; `None` where they stay as they are.
    pub fn fresh_until(&self) -> Option<i64> {
        self.proof().map(|proof| proof.fresh_until)
    }

    pub(crate) fn proof(&self) -> Option<&Proof> {
        self.0.proof.as_ref()
    }
}

impl PartialEq for Participant {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.claims == other.0.claims
    }
}

impl Eq for Participant {}

/// Claims may be personal data; they do not belong into a log, and the access token even less.
impl fmt::Debug for Participant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Participant").field("id", &self.0.id).finish_non_exhaustive()
    }
}
