//! The proof that a request was authenticated.

use serde_json::Value;

/// An authenticated participant. Only this crate makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    id: String,
    claims: Value,
}

impl Participant {
    pub(crate) fn new(id: String, claims: Value) -> Self {
        Self { id, claims }
    }

    /// The participant's id in the dataspace.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What trusted issuers say about the participant: an object.
    #[must_use]
    pub fn claims(&self) -> &Value {
        &self.claims
    }
}
