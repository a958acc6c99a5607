//! What the connector does: one function for each message or command. Decides with `policy`, moves the pure state
//! machines of `dsp-protocol`, and saves once. Knows neither HTTP servers nor SQL.

pub(crate) mod areas;
pub(crate) mod catalog;
pub(crate) mod data_plane;
pub(crate) mod dataset;
pub(crate) mod decide;
pub(crate) mod described;
pub(crate) mod duties;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod in_flight;
pub(crate) mod monitor;
pub(crate) mod negotiation;
pub(crate) mod partner;
pub(crate) mod plane_tokens;
pub(crate) mod policy_tools;
pub(crate) mod presence;
pub(crate) mod process;
pub(crate) mod reading;
pub(crate) mod reason;
pub(crate) mod registry;
pub(crate) mod schema;
pub(crate) mod scopes;
pub(crate) mod site;
pub(crate) mod token;
pub(crate) mod transfer;
pub(crate) mod usage;
pub(crate) mod used;

pub(crate) use error::{Fault, Kind, REFUSED, RETRYING, ServiceError, ServiceResult};
pub(crate) use used::use_token;
