//! Data flow states and transitions (DPS, Data Flow State Machine).

use std::fmt;

use thiserror::Error;

use crate::SignalError;

/// State of a data flow at the data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataFlowState {
    /// Known by name, nothing done yet.
    Initialized,
    /// Preparation runs; a callback will follow.
    Preparing,
    /// Ready to be started (consumer side).
    Prepared,
    /// Start-up runs; a callback will follow.
    Starting,
    /// Data may flow.
    Started,
    /// Held; may be resumed.
    Suspended,
    /// All data was sent; final.
    Completed,
    /// Ended before its time; final.
    Terminated,
}

impl DataFlowState {
    /// Every state, in the standard's order.
    pub const ALL: [Self; 8] = [
        Self::Initialized,
        Self::Preparing,
        Self::Prepared,
        Self::Starting,
        Self::Started,
        Self::Suspended,
        Self::Completed,
        Self::Terminated,
    ];

    /// The name on the wire, such as `STARTED`.
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Initialized => "INITIALIZED",
            Self::Preparing => "PREPARING",
            Self::Prepared => "PREPARED",
            Self::Starting => "STARTING",
            Self::Started => "STARTED",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// Reads the name on the wire.
    ///
    /// # Errors
    /// `bad_value` when the text names no state.
    pub fn parse(text: &str) -> Result<Self, SignalError> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_wire() == text)
            .ok_or_else(|| SignalError::new("bad_value", "member `state` names no data flow state"))
    }

    /// Whether nothing can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated)
    }
}

impl fmt::Display for DataFlowState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_wire())
    }
}

/// What moves a data flow: seven signals of the control plane and three events inside the data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Control plane to consumer data plane: get ready.
    Prepare,
    /// Control plane to provider data plane: start.
    Start,
    /// Control plane to consumer data plane: the provider has started.
    Started,
    /// Control plane: hold the flow.
    Suspend,
    /// Control plane: go on with a held flow.
    Resume,
    /// Control plane: the counter-party has completed.
    Completed,
    /// Control plane: end the flow.
    Terminate,
    /// Data plane: the preparation is done.
    PreparationDone,
    /// Data plane: the start-up is done.
    StartDone,
    /// Data plane: all data was sent.
    DataDone,
}

impl Signal {
    /// Every signal: those of the control plane first, then the internal events.
    pub const ALL: [Self; 10] = [
        Self::Prepare,
        Self::Start,
        Self::Started,
        Self::Suspend,
        Self::Resume,
        Self::Completed,
        Self::Terminate,
        Self::PreparationDone,
        Self::StartDone,
        Self::DataDone,
    ];

    /// The signal's name: the last path segment where the signal has an endpoint.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Start => "start",
            Self::Started => "started",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Completed => "completed",
            Self::Terminate => "terminate",
            Self::PreparationDone => "preparation done",
            Self::StartDone => "start done",
            Self::DataDone => "data done",
        }
    }
}

/// A signal that the present state does not admit. The sender is at fault: a server answers 400, or 404 without a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct Illegal {
    /// The state, or `None` when there is no such flow.
    pub state: Option<DataFlowState>,
    /// The signal that was refused.
    pub signal: Signal,
}

impl fmt::Display for Illegal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            Some(state) => write!(formatter, "signal `{}` is not admitted in state `{state}`", self.signal.as_str()),
            None => write!(formatter, "signal `{}` needs a data flow, and there is none", self.signal.as_str()),
        }
    }
}

/// The state that follows, or why there is none.
///
/// `prepare` and `start` lead to the `-ING` state; a data plane that answers at once applies [`Signal::PreparationDone`] or
/// [`Signal::StartDone`] directly after. Every other transition is synchronous, as the standard asks.
///
/// # Errors
/// [`Illegal`] for every pair that the standard's table does not name.
pub fn next(state: Option<DataFlowState>, signal: Signal) -> Result<DataFlowState, Illegal> {
    use DataFlowState::{Completed, Initialized, Prepared, Preparing, Started, Starting, Suspended, Terminated};
    match (state, signal) {
        (None | Some(Initialized), Signal::Prepare) => Ok(Preparing),
        (None | Some(Initialized | Prepared), Signal::Start) => Ok(Starting),
        (Some(Preparing), Signal::PreparationDone) => Ok(Prepared),
        (Some(Starting), Signal::StartDone) => Ok(Started),
        (Some(Prepared), Signal::Started) => Ok(Started),
        (Some(Started), Signal::Suspend) => Ok(Suspended),
        (Some(Suspended), Signal::Resume) => Ok(Started),
        (Some(Started), Signal::Completed | Signal::DataDone) => Ok(Completed),
        (Some(Preparing | Prepared | Starting | Started | Suspended), Signal::Terminate) => Ok(Terminated),
        _ => Err(Illegal { state, signal }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data Flow States: one row for each state, one column for each signal in the order of `Signal::ALL`.
    /// `-` is a refusal.
    const TABLE: [(Option<DataFlowState>, [&str; 10]); 9] = [
        (None, ["PREPARING", "STARTING", "-", "-", "-", "-", "-", "-", "-", "-"]),
        (Some(DataFlowState::Initialized), ["PREPARING", "STARTING", "-", "-", "-", "-", "-", "-", "-", "-"]),
        (Some(DataFlowState::Preparing), ["-", "-", "-", "-", "-", "-", "TERMINATED", "PREPARED", "-", "-"]),
        (Some(DataFlowState::Prepared), ["-", "STARTING", "STARTED", "-", "-", "-", "TERMINATED", "-", "-", "-"]),
        (Some(DataFlowState::Starting), ["-", "-", "-", "-", "-", "-", "TERMINATED", "-", "STARTED", "-"]),
        (
            Some(DataFlowState::Started),
            ["-", "-", "-", "SUSPENDED", "-", "COMPLETED", "TERMINATED", "-", "-", "COMPLETED"],
        ),
        (Some(DataFlowState::Suspended), ["-", "-", "-", "-", "STARTED", "-", "TERMINATED", "-", "-", "-"]),
        (Some(DataFlowState::Completed), ["-"; 10]),
        (Some(DataFlowState::Terminated), ["-"; 10]),
    ];

    #[test]
    fn section_2_every_state_and_signal() {
        for (state, row) in TABLE {
            for (signal, expected) in Signal::ALL.into_iter().zip(row) {
                let found = next(state, signal);
                match expected {
                    "-" => assert_eq!(found, Err(Illegal { state, signal })),
                    name => assert_eq!(found.map(DataFlowState::as_wire), Ok(name), "{state:?} {signal:?}"),
                }
            }
        }
        assert_eq!(TABLE.len(), DataFlowState::ALL.len() + 1);
    }

    #[test]
    fn wire_names_round_trip() {
        for state in DataFlowState::ALL {
            assert_eq!(DataFlowState::parse(state.as_wire()), Ok(state));
        }
        assert!(DataFlowState::parse("started").is_err());
    }

    #[test]
    fn a_refusal_names_state_and_signal() {
        let refusal = next(Some(DataFlowState::Completed), Signal::Resume).unwrap_err();
        assert_eq!(refusal.to_string(), "signal `resume` is not admitted in state `COMPLETED`");
        let refusal = next(None, Signal::Suspend).unwrap_err();
        assert_eq!(refusal.to_string(), "signal `suspend` needs a data flow, and there is none");
    }
}
