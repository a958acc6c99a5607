//! The moments at which a policy is asked.

/// Where a decision is taken. The same policy is judged, but what may speak against it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A catalog is asked for: the access policy of an offer, at this moment.
    Catalog,
    /// A contract is negotiated. An offer is a proposal (ODRL 2.2, Offer): that it allows nothing yet is no reason to
    /// refuse it, as long as it will. A time that has passed for good is a reason.
    Negotiation,
    /// A transfer is asked for: the agreement in full.
    Transfer,
    /// Data is asked for: the agreement in full.
    Request,
}

impl Scope {
    /// The scope's name in records and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Negotiation => "negotiation",
            Self::Transfer => "transfer",
            Self::Request => "request",
        }
    }

    /// Whether there may be no agreement yet, so that times after it count from now.
    pub(crate) fn is_before_agreement(self) -> bool {
        matches!(self, Self::Catalog | Self::Negotiation)
    }
}
