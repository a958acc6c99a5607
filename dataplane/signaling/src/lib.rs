//! Data Plane Signaling 1.0 (DPS) as pure data: messages, data flow states and dialects, without I/O.
//!
//! Both sides use this crate. The control plane encodes `prepare`, `start` and the other signals and decodes what the data
//! plane answers; the data plane does the reverse. Three drafts of DPS are in use, and they differ in the names of
//! members and in who names a flow. The difference is a [`Dialect`], a setting of each data plane: it decides what is *sent*.
//! What is *accepted* is the union of the three, as far as it cannot be mistaken.
//!
//! ```
//! use dps_signaling::{Dialect, DataFlowState, Signal, StatusMessage, next};
//!
//! let answer = serde_json::json!({"messageId": "m-1", "dataFlowId": "flow-1", "state": "STARTED"});
//! let status = StatusMessage::decode(&answer)?;
//! assert_eq!(status.state, DataFlowState::Started);
//! assert_eq!(next(Some(status.state), Signal::Suspend).ok(), Some(DataFlowState::Suspended));
//! assert!(next(Some(DataFlowState::Completed), Signal::Resume).is_err());
//! # assert_eq!(Dialect::parse("rc3"), Some(Dialect::Rc3));
//! # Ok::<(), dps_signaling::SignalError>(())
//! ```

mod address;
mod authorization;
mod delivery;
mod dialect;
mod error;
mod message;
pub mod presence;
mod profile;
mod read;
mod registration;
mod state;
pub mod token;
mod usage;

pub use address::{DataAddress, EDC_NAMESPACE, Renewal};
pub use authorization::{Authorization, CLIENT_CREDENTIALS, TOKEN_EXCHANGE};
pub use delivery::{BROKER_LABEL, DELIVERY, Delivery, OnEnd};
pub use dialect::{
    Callback, Dialect, RenewalQuestion, callback_path, flow_id_given, flow_path, flow_path_id, renewal_path,
};
pub use error::SignalError;
pub use message::{
    FlowRequest, PrepareMessage, ResumeMessage, StartMessage, StartedMessage, StatusMessage, SuspendMessage,
    TerminateMessage,
};
pub use profile::{Direction, HTTP_PULL, HTTP_PUSH, direction, format_of_profile, profile_of_format};
pub use registration::{ControlPlaneRegistration, RegistrationMessage};
pub use state::{DataFlowState, Illegal, Signal, next};
pub use usage::{Holding, UsageGrant, UsageMeter, UsageRequest, UsageReturn, block, usage_path};
