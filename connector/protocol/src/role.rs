//! The two roles of a process, and what both state machines have in common.

/// A role in a negotiation or a transfer. Functions of the machines take OUR role.
///
/// DSP 2025-1, "Terminology": consumer and provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The side that wants to use a dataset.
    Consumer,
    /// The side that offers a dataset.
    Provider,
}

impl Role {
    /// The role of the other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Consumer => Self::Provider,
            Self::Provider => Self::Consumer,
        }
    }

    /// The name for storing: `consumer` or `provider`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        }
    }

    /// The role with this name, see [`Role::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "consumer" => Some(Self::Consumer),
            "provider" => Some(Self::Provider),
            _ => None,
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a step of a state machine is not allowed. Nothing has changed.
///
/// On the wire it becomes a 400 with the error object; in our own API a conflict.
/// DSP 2025-1, "Contract Negotiation Protocol: State Machine" and "Transfer Process Protocol: State Machine".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Illegal {
    /// `wrong_sender`: this role never sends this message (in this state). `wrong_state`: the message is not allowed
    /// in this state. `message_owed`: another message of ours must go out first. `nothing_owed`: there is nothing to
    /// acknowledge. `terminating`, `completing`: our own last message is on its way and outranks this one.
    pub code: &'static str,
    /// One sentence with the state, the message and the sender.
    pub message: String,
}

impl Illegal {
    pub(crate) fn wrong_sender(sender: Role, message: &str, state: &str) -> Self {
        Self { code: "wrong_sender", message: format!("the {sender} must not send {message} in the state {state}") }
    }

    pub(crate) fn wrong_state(sender: Role, message: &str, state: &str) -> Self {
        Self { code: "wrong_state", message: format!("{message} of the {sender} is not allowed in the state {state}") }
    }

    pub(crate) fn owed(sender: Role, message: &str, owed: &str) -> Self {
        Self {
            code: "message_owed",
            message: format!("{message} of the {sender} has to wait until {owed} has been acknowledged"),
        }
    }

    pub(crate) fn nothing_owed(state: &str) -> Self {
        Self { code: "nothing_owed", message: format!("no message waits for an acknowledgement in the state {state}") }
    }

    pub(crate) fn outranked(code: &'static str, sender: Role, message: &str, owed: &str) -> Self {
        Self {
            code,
            message: format!(
                "{message} of the {sender} is refused since {owed} of the {} is on its way",
                sender.other()
            ),
        }
    }
}

/// What the state that a peer shows says about our own, see the `reconcile` functions of the two machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled<State> {
    /// The peer has already processed our message (or ended the process): this is our state now, nothing to resend.
    Settled(State),
    /// The peer still is where we last knew it: our message has not arrived, send it again.
    NotYet,
    /// The two sides disagree; the specification's way out is a termination.
    Diverged,
}
