//! The state machine of a transfer: pure functions from a state and a message to the next state.
//!
//! DSP 2025-1, "Transfer Process Protocol: State Machine".

use super::state::{OwedTransfer, SuspendedBy, Transfer, TransferMessage, TransferState};
use crate::role::{Illegal, Reconciled, Role};

use TransferMessage::{Completion, Request, Start, Suspension, Termination};

/// The result of a message from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The state after the message.
    pub state: Transfer,
    /// Our own owed message whose arrival the peer's message proves: it needs no resend any more.
    pub implied: Option<TransferMessage>,
}

/// Starts a transfer as consumer: we owe the TransferRequest.
#[must_use]
pub fn initiate() -> Transfer {
    Transfer { settled: None, owed: Some(OwedTransfer { message: Request, sent: false }), suspended_by: None }
}

/// The consumer's TransferRequest has been accepted by us, the provider: `REQUESTED`.
#[must_use]
pub fn receive_initial() -> Transfer {
    Transfer::settled(TransferState::Requested, Role::Consumer)
}

/// A message from the peer that carries both pids. A repeated TransferRequest is no message of the machine: it is
/// answered with the existing process before the machine is asked.
///
/// - While we owe a message that went out at least once, a message that the peer can only send after having
///   processed ours counts as its acknowledgement, see [`Received::implied`].
/// - A termination is accepted in every state that is not final and drops whatever we owe.
/// - While we owe a termination or a completion, everything that does not end the transfer is refused.
/// - A suspension that meets a suspension of ours under way: both have suspended, see [`SuspendedBy`].
/// - Otherwise messages may cross: the peer's is judged by what both sides know, and ours is dropped, since it is
///   done already (both start, both suspend, both complete) or has lost its point.
///
/// The machine cannot tell a copy of the last message from a new one of the same kind (an old offer that crosses our
/// counter-request would pass as the answer to it). The caller refuses copies first, by the `@id` of the message or by
/// [`crate::context::content_digest`].
///
/// # Errors
/// [`Illegal`] when the message is not allowed now or not from this sender; nothing changes then.
pub fn receive(role: Role, state: Transfer, message: TransferMessage) -> Result<Received, Illegal> {
    let sender = role.other();
    let settle = |next, implied| Ok(Received { state: Transfer::settled(next, sender), implied });
    let refused = || refusal(sender, state, message);
    if message.sender().is_some_and(|only| only != sender) || state.is_final() || message == Request {
        return Err(refused());
    }
    if message == Termination {
        return settle(TransferState::Terminated, None);
    }
    if let Some(owed) = state.owed {
        if owed.sent && implies(message, owed.message) {
            let next = follow(owed.message.leads_to(), sender, message).ok_or_else(refused)?;
            return settle(next, Some(owed.message));
        }
        let outranked = |code| Illegal::outranked(code, sender, message.as_str(), owed.message.as_str());
        match owed.message {
            Termination => return Err(outranked("terminating")),
            Completion if message == Suspension => return Err(outranked("completing")),
            Suspension if message == Suspension && owed.sent => {
                let state = Transfer::settled(TransferState::Suspended, SuspendedBy::Both);
                return Ok(Received { state, implied: None });
            }
            Request | Start | Completion | Suspension => {}
        }
    }
    let next = state.settled.and_then(|settled| follow(settled, sender, message)).ok_or_else(refused)?;
    settle(next, None)
}

/// A command on our side: from now on we owe the peer this message.
///
/// A termination replaces whatever else is owed. When even the request never went out, nobody else knows of the
/// transfer: it is `TERMINATED` at once and nothing is owed. When the request went out without an answer, the
/// termination is owed in `REQUESTED`; the peer's pid may be unknown then.
///
/// # Errors
/// [`Illegal`] when our role does not send the message in this state, when the state does not allow it, or while
/// another message is owed.
pub fn owe(role: Role, state: Transfer, message: TransferMessage) -> Result<Transfer, Illegal> {
    let refused = || refusal(role, state, message);
    if state.is_final() {
        return Err(refused());
    }
    if message == Termination {
        return match state {
            Transfer { owed: Some(OwedTransfer { message: Termination, .. }), .. } => Err(refused()),
            Transfer { settled: None, owed: Some(OwedTransfer { sent: false, .. }), .. } => {
                Ok(Transfer::settled(TransferState::Terminated, role))
            }
            _ => {
                Ok(Transfer { settled: Some(state.wire()), owed: Some(OwedTransfer { message, sent: false }), ..state })
            }
        };
    }
    if let Some(owed) = state.owed {
        return Err(Illegal::owed(role, message.as_str(), owed.message.as_str()));
    }
    state.settled.and_then(|settled| follow(settled, role, message)).ok_or_else(refused)?;
    Ok(Transfer { owed: Some(OwedTransfer { message, sent: false }), ..state })
}

/// Marks the owed message as gone out at least once. Must be durable before the first byte leaves.
#[must_use]
pub fn sent(state: Transfer) -> Transfer {
    Transfer { owed: state.owed.map(|owed| OwedTransfer { sent: true, ..owed }), ..state }
}

/// The peer has answered the owed message with 2xx. The caller makes sure that the answer belongs to the message that
/// is owed now: an answer that comes after an implied acknowledgement must not be counted twice.
///
/// # Errors
/// [`Illegal`] when nothing is owed, or when the owed message does not fit our role and state.
pub fn acknowledge(role: Role, state: Transfer) -> Result<Transfer, Illegal> {
    let Some(owed) = state.owed else { return Err(Illegal::nothing_owed(state.name())) };
    let next = match state.settled {
        None => (role == Role::Consumer && owed.message == Request).then_some(TransferState::Requested),
        Some(settled) if owed.message == Termination => (!settled.is_final()).then_some(TransferState::Terminated),
        Some(settled) => follow(settled, role, owed.message),
    };
    next.map(|next| Transfer::settled(next, role)).ok_or_else(|| refusal(role, state, owed.message))
}

/// Delivery has been given up: `TERMINATED`, unless the transfer already is final.
#[must_use]
pub fn give_up(state: Transfer) -> Transfer {
    if state.is_final() {
        state
    } else {
        Transfer { settled: Some(TransferState::Terminated), owed: None, suspended_by: None }
    }
}

/// Compares our state with the one that the peer shows on GET, after it has refused our message.
///
/// - A refused suspension of a peer that is `SUSPENDED`: it may have suspended as well.
/// - A refused start of a peer that stays `SUSPENDED`: lifting the suspension is left to it, see [`SuspendedBy`].
#[must_use]
pub fn reconcile(role: Role, state: Transfer, peer: TransferState) -> Reconciled<Transfer> {
    if state.is_final() {
        return if state.settled == Some(peer) { Reconciled::Settled(state) } else { Reconciled::Diverged };
    }
    if peer == TransferState::Terminated {
        return Reconciled::Settled(Transfer::settled(peer, role.other()));
    }
    let Some(owed) = state.owed else {
        return if state.settled == Some(peer) { Reconciled::Settled(state) } else { Reconciled::Diverged };
    };
    if owed.message == Termination {
        // A completion of ours, which the termination replaced, was processed: the termination came too late.
        let late = peer == TransferState::Completed && state.settled == Some(TransferState::Started);
        return if late { Reconciled::Settled(Transfer::settled(peer, role)) } else { Reconciled::NotYet };
    }
    if peer == TransferState::Suspended {
        match owed.message {
            Suspension => return Reconciled::Settled(Transfer::settled(peer, SuspendedBy::Both)),
            Start if state.settled == Some(peer) => return Reconciled::Settled(Transfer::settled(peer, role.other())),
            _ => {}
        }
    }
    match acknowledge(role, state) {
        Ok(next) if next.settled == Some(peer) => Reconciled::Settled(next),
        Ok(_) if state.settled == Some(peer) => Reconciled::NotYet,
        Ok(_) | Err(_) => Reconciled::Diverged,
    }
}

/// The arrows of the diagram, without the initial request and termination.
fn follow(state: TransferState, sender: Role, message: TransferMessage) -> Option<TransferState> {
    let allowed = match (state, message) {
        (TransferState::Requested, Start) => sender == Role::Provider,
        (TransferState::Suspended, Start) | (TransferState::Started, Completion | Suspension) => true,
        _ => false,
    };
    allowed.then(|| message.leads_to())
}

/// Whether the peer's message can only have been sent after ours was processed.
///
/// Both sides may start after a suspension, so a start proves nothing about ours; a completion or a suspension does,
/// since the peer can be in `STARTED` only through our start while we still wait for its acknowledgement. A start proves
/// that our suspension arrived: the peer, which has suspended as well, lifts both.
fn implies(received: TransferMessage, ours: TransferMessage) -> bool {
    matches!((ours, received), (Request | Suspension, Start) | (Start, Completion | Suspension))
}

fn refusal(sender: Role, state: Transfer, message: TransferMessage) -> Illegal {
    let first_start = message == Start && matches!(state.settled, None | Some(TransferState::Requested));
    let wrong_sender = message.sender().is_some_and(|only| only != sender) || (first_start && sender == Role::Consumer);
    if wrong_sender && !state.is_final() {
        Illegal::wrong_sender(sender, message.as_str(), state.name())
    } else {
        Illegal::wrong_state(sender, message.as_str(), state.name())
    }
}
