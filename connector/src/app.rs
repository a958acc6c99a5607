//! What every part of the control plane shares.

use std::sync::Arc;

use identity::Identity;
use identity::token::TokenUse;
use policy_plan::PlanSigner;
use secrecy::SecretString;

use crate::config::Config;
use crate::dcp::DcpServices;
use crate::fetch::Fetcher;
use crate::http::ready::Serving;
use crate::service::decide::Decisions;
use crate::service::in_flight::InFlight;
use crate::service::monitor::Pokes;
use crate::service::partner::Addresses;
use crate::service::plane_tokens::PlaneTokens;
use crate::service::presence::Presences;
use crate::service::site::SiteModules;
use crate::store::{DEFAULT_CONTEXT, Store, tokens};

/// The control plane's shared parts; one for the whole process, behind an `Arc`.
pub(crate) struct App {
    /// Settings, read once at start.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Who is calling, and how we introduce ourselves.
    pub identity: Arc<dyn Identity>,
    /// Verifiable credentials, where they are set up.
    pub dcp: Option<Arc<DcpServices>>,
    /// The hardened HTTP client for every address that a peer named.
    pub fetcher: Fetcher,
    /// The same client without the address filter, for addresses that the operator named: data planes, webhooks.
    pub internal: Fetcher,
    /// Compiled policies and cached decisions.
    pub decisions: Decisions,
    /// Addresses of partners, found through their version documents.
    pub addresses: Addresses,
    /// Key that enforcement plans are signed with.
    pub signer: PlanSigner,
    /// Secret shared with our data planes.
    pub signaling_token: SecretString,
    /// The operator's own rules.
    pub site: SiteModules,
    /// What the monitor has to look at now.
    pub monitor: Pokes,
    /// What wakes the watch over data planes.
    pub presences: Presences,
    /// Tokens that were fetched for data planes, and the keys of theirs.
    pub plane_tokens: PlaneTokens,
    /// Messages that this process has sent and that are not settled yet.
    pub in_flight: InFlight,
    /// How many listeners serve.
    pub serving: Serving,
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
    /// How long 404 and 409 are taken for a race with a peer that still stores the step before, ms.
    pub(crate) fn grace_ms(&self) -> i64 {
        i64::try_from(self.config.delivery.not_found_grace_s).unwrap_or(10).saturating_mul(1000)
    }

    /// Writes down the use of a token that came with a question, for other replicas; this one remembers it already. The question
    /// does not wait for it.
    pub(crate) fn remember_use(&self, used: TokenUse) {
        let (store, context) = (self.store.clone(), self.context());
        tokio::spawn(async move {
            let written = store.write(move |unit| {
                Box::pin(async move { tokens::use_once(unit, context, &used.issuer, &used.jti, used.expires).await })
            });
            if let Err(error) = written.await {
                tracing::warn!(%error, "the use of a token could not be written down");
            }
        });
    }

    /// The participant context that requests belong to.
    pub(crate) fn context(&self) -> &'static str {
        DEFAULT_CONTEXT
    }
}
