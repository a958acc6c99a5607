//! The proof of authentication.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// A participant whose request was authenticated: its id and what was verified about it.
///
/// Only implementations of [`Identity`](crate::Identity) in this crate can make one. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Participant(Arc<Known>);

#[derive(PartialEq, Eq)]
struct Known {
    id: String,
    claims: Value,
}

impl Participant {
    pub(crate) fn new(id: impl Into<String>, claims: Value) -> Self {
        Self(Arc::new(Known { id: id.into(), claims }))
    }

    /// The participant id, as in `participantId`, `assigner` and `assignee` of the Dataspace Protocol.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The verified claims: an object whose members policies are decided with.
    pub fn claims(&self) -> &Value {
        &self.0.claims
    }
}

/// Claims may be personal data; they do not belong into a log.
impl fmt::Debug for Participant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Participant").field("id", &self.0.id).finish_non_exhaustive()
    }
}
