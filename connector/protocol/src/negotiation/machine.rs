//! The state machine of a negotiation: pure functions from a state and a message to the next state.
//!
//! DSP 2025-1, "Contract Negotiation Protocol: State Machine".

use super::state::{Negotiation, NegotiationMessage, NegotiationState, Owed};
use crate::role::{Illegal, Reconciled, Role};

use NegotiationMessage::{Accepted, Agreement, ContractOffer, ContractRequest, Finalized, Termination, Verification};

/// The result of a message from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The state after the message.
    pub state: Negotiation,
    /// Our own owed message whose arrival the peer's message proves: it needs no resend any more.
    pub implied: Option<NegotiationMessage>,
}

/// Starts a negotiation on our side: we owe the initial ContractRequest (consumer) or ContractOffer (provider).
#[must_use]
pub fn initiate(role: Role) -> Negotiation {
    let message = match role {
        Role::Consumer => ContractRequest,
        Role::Provider => ContractOffer,
    };
    Negotiation { settled: None, owed: Some(Owed { message, sent: false }) }
}

/// The peer's initial message has been accepted: `REQUESTED` when we are provider, `OFFERED` when we are consumer.
#[must_use]
pub fn receive_initial(role: Role) -> Negotiation {
    Negotiation::settled(match role {
        Role::Provider => NegotiationState::Requested,
        Role::Consumer => NegotiationState::Offered,
    })
}

/// A message from the peer that carries both pids.
///
/// While we owe a message that went out at least once, a message that the peer can only send after having processed
/// ours counts as its acknowledgement, see [`Received::implied`]. A termination is accepted in every state that is
/// not final and drops whatever we owe. While we owe a termination ourselves, everything else is refused.
///
/// The machine cannot tell a copy of the last message from a new one of the same kind (an old offer that crosses our
/// counter-request would pass as the answer to it). The caller refuses copies first, by the `@id` of the message or by
/// [`crate::context::content_digest`].
///
/// # Errors
/// [`Illegal`] when the message is not allowed now or not from this sender; nothing changes then.
pub fn receive(role: Role, state: Negotiation, message: NegotiationMessage) -> Result<Received, Illegal> {
    let sender = role.other();
    let wrong_state = || Illegal::wrong_state(sender, message.as_str(), state.name());
    if message.sender().is_some_and(|only| only != sender) {
        return Err(Illegal::wrong_sender(sender, message.as_str(), state.name()));
    }
    if state.is_final() {
        return Err(wrong_state());
    }
    if message == Termination {
        return Ok(Received { state: Negotiation::settled(NegotiationState::Terminated), implied: None });
    }
    match state.owed {
        None => {
            let next = state.settled.and_then(|settled| follow(settled, message)).ok_or_else(wrong_state)?;
            Ok(Received { state: Negotiation::settled(next), implied: None })
        }
        Some(owed) if owed.message == Termination => {
            Err(Illegal::outranked("terminating", sender, message.as_str(), owed.message.as_str()))
        }
        Some(owed) => {
            if !(owed.sent && implies(message, owed.message)) {
                return Err(wrong_state());
            }
            let next = follow(owed.message.leads_to(), message).ok_or_else(wrong_state)?;
            Ok(Received { state: Negotiation::settled(next), implied: Some(owed.message) })
        }
    }
}

/// A command on our side: from now on we owe the peer this message.
///
/// A termination replaces whatever else is owed. When even the initial message never went out, nobody else knows of
/// the negotiation: it is `TERMINATED` at once and nothing is owed. When the initial message went out without an
/// answer, the termination is owed in the state that the initial message leads to; the peer's pid may be unknown.
///
/// # Errors
/// [`Illegal`] when our role never sends the message, when it is not allowed in this state, or while another message
/// is owed.
pub fn owe(role: Role, state: Negotiation, message: NegotiationMessage) -> Result<Negotiation, Illegal> {
    let wrong_state = || Illegal::wrong_state(role, message.as_str(), state.name());
    if message.sender().is_some_and(|only| only != role) {
        return Err(Illegal::wrong_sender(role, message.as_str(), state.name()));
    }
    if state.is_final() {
        return Err(wrong_state());
    }
    if message == Termination {
        return match state {
            Negotiation { owed: Some(Owed { message: Termination, .. }), .. } => Err(wrong_state()),
            Negotiation { settled: None, owed: Some(Owed { sent: false, .. }) } => {
                Ok(Negotiation::settled(NegotiationState::Terminated))
            }
            _ => Ok(Negotiation { settled: Some(state.wire()), owed: Some(Owed { message, sent: false }) }),
        };
    }
    if let Some(owed) = state.owed {
        return Err(Illegal::owed(role, message.as_str(), owed.message.as_str()));
    }
    state.settled.and_then(|settled| follow(settled, message)).ok_or_else(wrong_state)?;
    Ok(Negotiation { settled: state.settled, owed: Some(Owed { message, sent: false }) })
}

/// Marks the owed message as gone out at least once. Must be durable before the first byte leaves.
#[must_use]
pub fn sent(state: Negotiation) -> Negotiation {
    Negotiation { owed: state.owed.map(|owed| Owed { sent: true, ..owed }), ..state }
}

/// The peer has answered the owed message with 2xx. The caller makes sure that the answer belongs to the message that
/// is owed now: an answer that comes after an implied acknowledgement must not be counted twice.
///
/// # Errors
/// [`Illegal`] when nothing is owed, or when the owed message does not fit our role and state.
pub fn acknowledge(role: Role, state: Negotiation) -> Result<Negotiation, Illegal> {
    let Some(owed) = state.owed else { return Err(Illegal::nothing_owed(state.name())) };
    let message = owed.message;
    if message.sender().is_some_and(|only| only != role) {
        return Err(Illegal::wrong_sender(role, message.as_str(), state.name()));
    }
    let next = match state.settled {
        None if initiate(role).owed.is_some_and(|initial| initial.message == message) => Some(message.leads_to()),
        None => None,
        Some(settled) if message == Termination && !settled.is_final() => Some(NegotiationState::Terminated),
        Some(settled) => follow(settled, message),
    };
    next.map(Negotiation::settled).ok_or_else(|| Illegal::wrong_state(role, message.as_str(), state.name()))
}

/// Delivery has been given up: `TERMINATED`, unless the negotiation already is final.
#[must_use]
pub fn give_up(state: Negotiation) -> Negotiation {
    if state.is_final() { state } else { Negotiation::settled(NegotiationState::Terminated) }
}

/// Compares our state with the one that the peer shows on GET, when it is unknown whether our message arrived.
#[must_use]
pub fn reconcile(role: Role, state: Negotiation, peer: NegotiationState) -> Reconciled<Negotiation> {
    if state.is_final() {
        return if state.settled == Some(peer) { Reconciled::Settled(state) } else { Reconciled::Diverged };
    }
    if peer == NegotiationState::Terminated {
        return Reconciled::Settled(Negotiation::settled(peer));
    }
    let Some(owed) = state.owed else {
        return if state.settled == Some(peer) { Reconciled::Settled(state) } else { Reconciled::Diverged };
    };
    if owed.message == Termination {
        // The provider's FINALIZED, which the termination replaced, was processed: the termination came too late.
        let late = role == Role::Provider
            && peer == NegotiationState::Finalized
            && state.settled == Some(NegotiationState::Verified);
        return if late { Reconciled::Settled(Negotiation::settled(peer)) } else { Reconciled::NotYet };
    }
    match acknowledge(role, state) {
        Ok(next) if next.settled == Some(peer) => Reconciled::Settled(next),
        Ok(_) if state.settled == Some(peer) => Reconciled::NotYet,
        Ok(_) | Err(_) => Reconciled::Diverged,
    }
}

/// The arrows of the diagram, without termination.
fn follow(state: NegotiationState, message: NegotiationMessage) -> Option<NegotiationState> {
    let allowed = matches!(
        (state, message),
        (NegotiationState::Requested, ContractOffer | Agreement)
            | (NegotiationState::Offered, ContractRequest | Accepted)
            | (NegotiationState::Accepted, Agreement)
            | (NegotiationState::Agreed, Verification)
            | (NegotiationState::Verified, Finalized)
    );
    allowed.then(|| message.leads_to())
}

/// Whether the peer's message can only have been sent after ours was processed.
fn implies(received: NegotiationMessage, ours: NegotiationMessage) -> bool {
    matches!(
        (ours, received),
        (ContractRequest, ContractOffer | Agreement)
            | (ContractOffer, Accepted | ContractRequest)
            | (Accepted, Agreement)
            | (Agreement, Verification)
            | (Verification, Finalized)
    )
}
