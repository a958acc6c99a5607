//! The states of a negotiation, on the wire and at work.
//!
//! DSP 2025-1, "Contract Negotiation Protocol: States".

use crate::context;
use crate::role::Role;

/// A state as a peer sees it. Order as in the specification.
///
/// DSP 2025-1, "Contract Negotiation Protocol: States".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NegotiationState {
    /// The consumer has asked for a contract or made a counter-offer.
    Requested,
    /// The provider has made an offer.
    Offered,
    /// The consumer has accepted the latest offer.
    Accepted,
    /// The provider has sent the agreement.
    Agreed,
    /// The consumer has verified the agreement.
    Verified,
    /// The provider has confirmed; the agreement can be used. Final.
    Finalized,
    /// One side has ended the negotiation. Final.
    Terminated,
}

impl NegotiationState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Requested,
        Self::Offered,
        Self::Accepted,
        Self::Agreed,
        Self::Verified,
        Self::Finalized,
        Self::Terminated,
    ];

    /// The name on the wire, such as `REQUESTED`.
    #[must_use]
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// The same as [`NegotiationState::as_wire`]; for storing.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.as_wire()
    }

    /// The state with this name; `dspace:REQUESTED` and the full IRI are accepted as well.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = context::local_name(name);
        Self::ALL.into_iter().find(|state| state.as_wire() == name)
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finalized | Self::Terminated)
    }
}

/// The kinds of message of a negotiation; an event counts as a kind of its own.
///
/// DSP 2025-1, "Contract Negotiation Protocol: Message Types".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NegotiationMessage {
    /// ContractRequestMessage.
    ContractRequest,
    /// ContractOfferMessage.
    ContractOffer,
    /// ContractNegotiationEventMessage with `ACCEPTED`.
    Accepted,
    /// ContractAgreementMessage.
    Agreement,
    /// ContractAgreementVerificationMessage.
    Verification,
    /// ContractNegotiationEventMessage with `FINALIZED`.
    Finalized,
    /// ContractNegotiationTerminationMessage.
    Termination,
}

impl NegotiationMessage {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::ContractRequest,
        Self::ContractOffer,
        Self::Accepted,
        Self::Agreement,
        Self::Verification,
        Self::Finalized,
        Self::Termination,
    ];

    /// The name for storing and for sentences.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContractRequest => "ContractRequest",
            Self::ContractOffer => "ContractOffer",
            Self::Accepted => "Accepted",
            Self::Agreement => "Agreement",
            Self::Verification => "Verification",
            Self::Finalized => "Finalized",
            Self::Termination => "Termination",
        }
    }

    /// The kind with this name, see [`NegotiationMessage::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.as_str() == name)
    }

    /// Who sends it; `None` for a termination, which both sides may send.
    #[must_use]
    pub fn sender(self) -> Option<Role> {
        match self {
            Self::ContractRequest | Self::Accepted | Self::Verification => Some(Role::Consumer),
            Self::ContractOffer | Self::Agreement | Self::Finalized => Some(Role::Provider),
            Self::Termination => None,
        }
    }

    /// The state that follows once the receiver has processed it.
    #[must_use]
    pub fn leads_to(self) -> NegotiationState {
        match self {
            Self::ContractRequest => NegotiationState::Requested,
            Self::ContractOffer => NegotiationState::Offered,
            Self::Accepted => NegotiationState::Accepted,
            Self::Agreement => NegotiationState::Agreed,
            Self::Verification => NegotiationState::Verified,
            Self::Finalized => NegotiationState::Finalized,
            Self::Termination => NegotiationState::Terminated,
        }
    }
}

/// A message that we have to deliver to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owed {
    /// Its kind.
    pub message: NegotiationMessage,
    /// Whether it went out at least once. Only then can an answer of the peer imply its arrival.
    pub sent: bool,
}

/// One side's view of a negotiation: what both sides know, and the message that we owe the peer.
///
/// A state changes only with the receiver's acknowledgement, therefore `settled` is all that a peer is shown
/// (DSP 2025-1, "Contract Negotiation Protocol: State Machine").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Negotiation {
    /// What both sides know; `None` while our initial message has not been acknowledged.
    pub settled: Option<NegotiationState>,
    /// The message that we owe the peer.
    pub owed: Option<Owed>,
}

impl Negotiation {
    /// The in-work name when a message is owed (`REQUESTING`, `OFFERING`, …), else the wire name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.owed, self.settled) {
            (Some(owed), _) => match owed.message {
                NegotiationMessage::ContractRequest => "REQUESTING",
                NegotiationMessage::ContractOffer => "OFFERING",
                NegotiationMessage::Accepted => "ACCEPTING",
                NegotiationMessage::Agreement => "AGREEING",
                NegotiationMessage::Verification => "VERIFYING",
                NegotiationMessage::Finalized => "FINALIZING",
                NegotiationMessage::Termination => "TERMINATING",
            },
            (None, Some(settled)) => settled.as_wire(),
            (None, None) => NegotiationState::Terminated.as_wire(),
        }
    }

    /// What a peer's GET shows: the settled state, or the state that our unacknowledged initial message leads to.
    #[must_use]
    pub fn wire(&self) -> NegotiationState {
        match (self.settled, self.owed) {
            (Some(settled), _) => settled,
            (None, Some(owed)) => owed.message.leads_to(),
            (None, None) => NegotiationState::Terminated,
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.owed.is_none() && self.wire().is_final()
    }

    pub(crate) fn settled(state: NegotiationState) -> Self {
        Self { settled: Some(state), owed: None }
    }
}
