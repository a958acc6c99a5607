//! What identity gets to see of requests.

use std::fmt;

/// The part of an incoming request that says who sent it.
#[derive(Clone, Copy)]
pub struct IncomingRequest<'a> {
    /// The value of the `Authorization` header, if there is one.
    pub authorization: Option<&'a str>,
    /// Whom the caller must mean: our participant id. Tokens for another audience are refused.
    pub audience: &'a str,
}

/// The header is a secret.
impl fmt::Debug for IncomingRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IncomingRequest").field("audience", &self.audience).finish_non_exhaustive()
    }
}

/// The receiver of an outgoing request.
#[derive(Debug, Clone, Copy)]
pub struct CounterParty<'a> {
    /// Its participant id: the audience of the token.
    pub participant_id: &'a str,
    /// Base URL of its protocol endpoints.
    pub address: &'a str,
}
