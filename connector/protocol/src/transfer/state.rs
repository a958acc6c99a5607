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

/// The sides that have suspended a transfer. Only they lift the suspension (Data Plane Signaling, Data Flow States),
/// although the state machine of DSP 2025-1 lets either side start.
///
/// A tie, in which both suspend at the same moment, must not end with two sides that wait for each other. So:
///
/// - A suspension that meets a suspension of ours under way, and a suspension of ours that is refused by a peer which is
///   `SUSPENDED`, mean that both have suspended: either side may lift it, and the first start does.
/// - The peer may not know of the tie (our suspension was lost or came late). It then refuses our start, and shows
///   `SUSPENDED`: we take it as the only one that suspended, and wait for its start.
///
/// So there always is a side whose start is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuspendedBy {
    /// The consumer alone.
    Consumer,
    /// The provider alone.
    Provider,
    /// Both at the same moment.
    Both,
}

impl SuspendedBy {
    /// Whether this side has suspended.
    #[must_use]
    pub fn includes(self, role: Role) -> bool {
        self == Self::Both || self == Self::from(role)
    }

    /// The name for storing: `consumer`, `provider` or `both`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
            Self::Both => "both",
        }
    }

    /// The value with this name, see [`SuspendedBy::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Consumer, Self::Provider, Self::Both].into_iter().find(|by| by.as_str() == name)
    }
}

impl From<Role> for SuspendedBy {
    fn from(role: Role) -> Self {
        match role {
            Role::Consumer => Self::Consumer,
            Role::Provider => Self::Provider,
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
    /// While `SUSPENDED`: who suspended, as far as we know.
    pub suspended_by: Option<SuspendedBy>,
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

    /// Whether a start by `sender` may lift the suspension, see [`SuspendedBy`]: it has suspended, or we are lifting the
    /// suspension ourselves, so that the two starts cross. `true` when nothing is suspended.
    #[must_use]
    pub fn lifts(&self, sender: Role) -> bool {
        let lifting = self.owed.is_some_and(|owed| owed.message == TransferMessage::Start);
        lifting || self.suspended_by.is_none_or(|by| by.includes(sender))
    }

    pub(crate) fn settled(state: TransferState, by: impl Into<SuspendedBy>) -> Self {
        let suspended_by = (state == TransferState::Suspended).then(|| by.into());
        Self { settled: Some(state), owed: None, suspended_by }
    }
}
