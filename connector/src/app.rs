//! What every part of the control plane shares.

use std::sync::Arc;

use identity::Identity;
use policy_plan::PlanSigner;
use secrecy::SecretString;

use crate::config::Config;
use crate::fetch::Fetcher;
use crate::service::decide::Decisions;
use crate::service::in_flight::InFlight;
use crate::service::partner::Addresses;
use crate::store::{DEFAULT_CONTEXT, Store};

/// The control plane's shared parts; one for the whole process, behind an `Arc`.
pub(crate) struct App {
    /// Settings, read once at start.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Who is calling, and how we introduce ourselves.
    pub identity: Arc<dyn Identity>,
    /// The hardened HTTP client for every address that a peer or an operator named.
    pub fetcher: Fetcher,
    /// Compiled policies and cached decisions.
    pub decisions: Decisions,
    /// Addresses of partners, found through their version documents.
    pub addresses: Addresses,
    /// Key that enforcement plans are signed with.
    pub signer: PlanSigner,
    /// Secret shared with our data planes.
    pub signaling_token: SecretString,
    /// Messages that this process has sent and that are not settled yet.
    pub in_flight: InFlight,
    /// When the process started, ms.
    pub started_at: i64,
    /// Our participant id in the dataspace.
    pub participant: String,
    /// Base URL of our DSP 2025-1 endpoints, as peers see it.
    pub dsp_address: String,
    /// Base URL of the API that data planes call back.
    pub signaling_address: String,
}

impl App {
    /// The participant context that requests belong to.
    pub(crate) fn context(&self) -> &'static str {
        DEFAULT_CONTEXT
    }
}
