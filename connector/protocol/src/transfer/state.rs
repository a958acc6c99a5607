//! The states of a transfer, on the wire and at work.
//!
//! DSP 2025-1, "Transfer Process Protocol: Process States".

use crate::context;
use crate::role::Role;

/// A state as a peer sees it. Order as in the specification.
///
/// DSP 2025-1, "Transfer Process Protocol: Process States".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransferState {
    /// The consumer has asked for the transfer.
    Requested,
    /// Data can be read (pull) or is being sent (push).
    Started,
    /// Interrupted by one side; either side may start it again.
    Suspended,
    /// Ended regularly by one side. Final.
    Completed,
    /// Ended by one side before its time. Final.
    Terminated,
}

impl TransferState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Requested, Self::Started, Self::Suspended, Self::Completed, Self::Terminated];

    /// The name on the wire, such as `STARTED`.
    #[must_use]
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Started => "STARTED",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// The same as [`TransferState::as_wire`]; for storing.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.as_wire()
    }

    /// The state with this name; `dspace:STARTED` and the full IRI are accepted as well.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = context::local_name(name);
        Self::ALL.into_iter().find(|state| state.as_wire() == name)
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated)
    }
}

/// The kinds of message of a transfer.
///
/// DSP 2025-1, "Transfer Process Protocol: Message Types".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransferMessage {
    /// TransferRequestMessage.
    Request,
    /// TransferStartMessage.
    Start,
    /// TransferCompletionMessage.
    Completion,
    /// TransferSuspensionMessage.
    Suspension,
    /// TransferTerminationMessage.
    Termination,
}

impl TransferMessage {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Request, Self::Start, Self::Completion, Self::Suspension, Self::Termination];

    /// The name for storing and for sentences.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "Request",
            Self::Start => "Start",
            Self::Completion => "Completion",
            Self::Suspension => "Suspension",
            Self::Termination => "Termination",
        }
    }

    /// The kind with this name, see [`TransferMessage::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.as_str() == name)
    }

    /// The only role that sends it; `None` when both may. The consumer may start only from `SUSPENDED`, which is for
    /// the machine to check.
    #[must_use]
    pub fn sender(self) -> Option<Role> {
        match self {
            Self::Request => Some(Role::Consumer),
            Self::Start | Self::Completion | Self::Suspension | Self::Termination => None,
        }
    }

    /// The state that follows once the receiver has processed it.
    #[must_use]
    pub fn leads_to(self) -> TransferState {
        match self {
            Self::Request => TransferState::Requested,
            Self::Start => TransferState::Started,
            Self::Completion => TransferState::Completed,
            Self::Suspension => TransferState::Suspended,
            Self::Termination => TransferState::Terminated,
        }
    }
}

/// A message that we have to deliver to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwedTransfer {
    /// Its kind.
    pub message: TransferMessage,
    /// Whether it went out at least once. Only then can an answer of the peer imply its arrival.
    pub sent: bool,
}

/// One side's view of a transfer: what both sides know, and the message that we owe the peer.
///
/// DSP 2025-1, "Transfer Process Protocol: State Machine".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// What both sides know; `None` while our TransferRequest has not been acknowledged.
    pub settled: Option<TransferState>,
    /// The message that we owe the peer.
    pub owed: Option<OwedTransfer>,
    /// While `SUSPENDED`: who suspended. When both did at once, the two sides may remember this differently.
    pub suspended_by: Option<Role>,
}

impl Transfer {
    /// The in-work name when a message is owed (`REQUESTING`, `STARTING`, …), else the wire name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.owed, self.settled) {
            (Some(owed), _) => match owed.message {
                TransferMessage::Request => "REQUESTING",
                TransferMessage::Start => "STARTING",
                TransferMessage::Completion => "COMPLETING",
                TransferMessage::Suspension => "SUSPENDING",
                TransferMessage::Termination => "TERMINATING",
            },
            (None, Some(settled)) => settled.as_wire(),
            (None, None) => TransferState::Terminated.as_wire(),
        }
    }

    /// What a peer's GET shows: the settled state, or `REQUESTED` while our request has not been acknowledged.
    #[must_use]
    pub fn wire(&self) -> TransferState {
        match (self.settled, self.owed) {
            (Some(settled), _) => settled,
            (None, Some(owed)) => owed.message.leads_to(),
            (None, None) => TransferState::Terminated,
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.owed.is_none() && self.wire().is_final()
    }

    pub(crate) fn settled(state: TransferState, by: Role) -> Self {
        let suspended_by = (state == TransferState::Suspended).then_some(by);
        Self { settled: Some(state), owed: None, suspended_by }
    }
}
