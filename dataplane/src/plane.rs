//! What all listeners and background tasks share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dps_signaling::{ControlPlaneRegistration, FlowRequest, SignalError};
use ngsi_ld_filter::{Filter, Writer};
use policy_plan::{EnforcementPlan, PlanError, verify};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::address::Guard;
use crate::breaker::{Breakers, Towards};
use crate::client::Client;
use crate::config::Config;
use crate::fairness::Fairness;
use crate::files::Digests;
use crate::flow::{Flow, FlowRecord, FlowTable, Role, Terms};
use crate::inbox::Inbox;
use crate::problem::Problem;
use crate::ready::Serving;
use crate::signaling::auth::{Outside, Trust};
use crate::signaling::callback::Callback;
use crate::signaling::caller::ControlPlane;
use crate::source::Source;
use crate::store::{Change, Kind, Store, StoreError};
use crate::stores::Stores;
use crate::subscription::{consumer, provider};
use crate::unplanned;
use crate::usage::Accounts;
use crate::{context_source, mirror, via};

/// Longest difference between our clock and the control plane's, in milliseconds.
const CLOCK_SKEW_MS: i64 = 60_000;

/// Life of a token where no plan limits it, in seconds.
const DEFAULT_TOKEN_SECONDS: u32 = 24 * 3600;

/// The data plane's state.
pub(crate) struct Plane {
    pub(crate) config: Config,
    /// Our name in the chain of forwarded requests.
    pub(crate) alias: Arc<str>,
    pub(crate) flows: FlowTable,
    pub(crate) store: Store,
    /// What is granted of the agreements whose uses are counted.
    pub(crate) accounts: Accounts,
    pub(crate) guard: Guard,
    pub(crate) tls: rustls::ClientConfig,
    /// Towards the control plane.
    pub(crate) control: Client,
    /// Towards partners that we push to.
    pub(crate) partners: Client,
    /// Towards sources that we push from.
    pub(crate) sources: Client,
    /// Which sources do not answer.
    pub(crate) source_health: Arc<Breakers>,
    /// Which partners' data planes do not answer.
    pub(crate) partner_health: Arc<Breakers>,
    /// How partners share the public listener, where that is limited.
    pub(crate) fairness: Option<Fairness>,
    /// Digests of files that were served.
    pub(crate) digests: Digests,
    /// The file roots of the configuration.
    pub(crate) stores: Stores,
    /// What partners push to us.
    pub(crate) inbox: Inbox,
    /// Subscriptions of partners at our brokers.
    pub(crate) provided: provider::Provider,
    /// Subscriptions of our programs at partners' brokers.
    pub(crate) taken: consumer::Consumer,
    /// Callbacks that wait to be sent.
    pub(crate) callbacks: mpsc::UnboundedSender<Callback>,
    /// The control plane does not seem to know us.
    pub(crate) forgotten: Notify,
    /// The control plane has said which of the kept flows are still ours, or nobody will.
    pub(crate) compared: Notify,
    /// The control plane sees whether we are there, and gives our pulls to others when we are not.
    pub(crate) seen: AtomicBool,
    /// A partner's address that can be renewed has come.
    pub(crate) renewals: Notify,
    /// What is delivered to brokers of ours.
    pub(crate) mirrors: mirror::Mirrors,
    pub(crate) context_sources: context_source::ContextSources,
    /// A flow has come to another state, so that deliveries may have to begin or to end.
    pub(crate) deliveries: Notify,
    /// Where background work runs.
    pub(crate) background: Handle,
    /// The program ends; pushes go on at its next start.
    pub(crate) over: CancellationToken,
    /// How many listeners serve.
    pub(crate) serving: Serving,
    /// How the configured control plane and we authenticate to each other.
    pub(crate) trust: Arc<Trust>,
    pub(crate) control_planes: RwLock<HashMap<String, ControlPlane>>,
}

impl Plane {
    /// Opens the store and takes up what it holds. Callbacks that are still owed come back for sending.
    ///
    /// # Errors
    /// The store cannot be opened or read.
    pub(crate) fn open(
        config: Config,
        tls: rustls::ClientConfig,
        callbacks: mpsc::UnboundedSender<Callback>,
        background: Handle,
    ) -> Result<Self, StoreError> {
        let store = Store::open(&config.data_dir)?;
        let source_health = Arc::new(Breakers::new(Towards::Source, config.upstream));
        let partner_health = Arc::new(Breakers::new(Towards::Partner, config.upstream));
        let sources = Client::new(&tls, None, config.timeouts).with_breakers(&source_health);
        let stores = Stores::new(&config.file_roots, &sources, config.timeouts, &background);
        let guard = Guard::new(&config.partners);
        let timeouts = config.timeouts;
        let control = Client::new(&tls, None, timeouts);
        let outside = Outside { client: control.clone(), background: background.clone() };
        let alias = via::alias(&config.id, &config.public.public_url).into();
        let plane = Self {
            alias,
            trust: Arc::new(Trust::configured(&config.control_plane_authorization, &outside)),
            guard,
            flows: FlowTable::default(),
            accounts: Accounts::default(),
            control,
            partners: Client::new(&tls, Some(guard), timeouts).with_breakers(&partner_health),
            sources,
            source_health,
            partner_health,
            fairness: Fairness::of(config.sharing),
            tls,
            digests: Digests::new(background.clone()),
            inbox: Inbox::open(&config, &stores)?,
            stores,
            provided: provider::Provider::default(),
            taken: consumer::Consumer::default(),
            callbacks,
            forgotten: Notify::new(),
            compared: Notify::new(),
            seen: AtomicBool::new(false),
            renewals: Notify::new(),
            mirrors: mirror::Mirrors::default(),
            context_sources: context_source::ContextSources::default(),
            deliveries: Notify::new(),
            over: CancellationToken::new(),
            serving: Serving::default(),
            background,
            control_planes: RwLock::default(),
            store,
            config,
        };
        plane.restore()?;
        Ok(plane)
    }

    fn restore(&self) -> Result<(), StoreError> {
        for (id, registration) in self.store.load::<Value>(Kind::ControlPlane)? {
            let known = ControlPlaneRegistration::decode(&registration)
                .map_err(|error: SignalError| error.to_string())
                .and_then(|registration| {
                    ControlPlane::new(registration, &self.config, &self.outside())
                        .map_err(|problem| problem.to_string())
                });
            match known {
                Ok(plane) => {
                    self.control_planes.write().unwrap_or_else(PoisonError::into_inner).insert(id, plane);
                }
                Err(error) => tracing::error!(id, %error, "a stored control plane is not usable"),
            }
        }
        for (id, record) in self.store.load::<FlowRecord>(Kind::Flow)? {
            match record.revive() {
                Ok(flow) => {
                    self.flows.insert(&Arc::new(flow));
                }
                Err(error) => tracing::error!(id, %error, "a stored flow is not usable"),
            }
        }
        self.provided.restore(&self.store, &self.flows)?;
        self.taken.restore(&self.store)?;
        self.mirrors.restore(&self.store)?;
        self.context_sources.restore(&self.store)?;
        for (_, callback) in self.store.load::<Callback>(Kind::Callback)? {
            // The receiver lives as long as the plane.
            let _ = self.callbacks.send(callback);
        }
        Ok(())
    }

    /// Whether some control plane's flows would be taken: one has registered, or none needs to.
    pub(crate) fn can_take_flows(&self) -> bool {
        let known = self.control_planes.read().unwrap_or_else(PoisonError::into_inner);
        !known.is_empty() || self.config.without_plan.is_some()
    }

    /// The plan in a request's metadata, checked, and the control plane that signed it. A provider must have one, signed or, where the
    /// settings allow it, its own.
    ///
    /// # Errors
    /// 400 that says what is wrong with the plan.
    pub(crate) fn plan(
        &self,
        role: Role,
        request: &FlowRequest,
        now_ms: i64,
    ) -> Result<Option<(Option<String>, EnforcementPlan)>, Problem> {
        let Some(jws) = request.metadata.get("plan") else {
            return match role {
                Role::Consumer => Ok(None),
                Role::Provider => Ok(Some((None, unplanned::plan(&self.config, request, now_ms)?))),
            };
        };
        let jws = jws.as_str().ok_or_else(|| Problem::bad_request("wrong_type", "`metadata.plan` must be a string"))?;
        let (id, plan) = self.verify(jws).map_err(|error| Problem::bad_request(error.code(), error.to_string()))?;
        let fits = |name: &str, ours: &str, theirs: &str| {
            if ours == theirs {
                return Ok(());
            }
            let detail = format!("the plan's `{name}` is not that of the message");
            Err(Problem::bad_request("plan_does_not_fit", detail))
        };
        let partner = if role == Role::Provider { &plan.consumer } else { &plan.provider };
        fits("processId", &plan.process_id, &request.process_id)?;
        fits("agreementId", &plan.agreement_id, &request.agreement_id)?;
        fits("datasetId", &plan.dataset_id, &request.dataset_id)?;
        fits("counter-party", partner, &request.counter_party_id)?;
        if plan.issued_at > now_ms.saturating_add(CLOCK_SKEW_MS) {
            return Err(Problem::bad_request("plan_from_the_future", "the plan is dated in the future"));
        }
        if role == Role::Provider && plan.source.is_none() {
            return Err(Problem::bad_request("plan_without_source", "the plan names no source"));
        }
        let unusable = |fault: ngsi_ld_filter::Fault| Problem::bad_request(fault.code, fault.message);
        let mut shown = None;
        if let Some(selection) = plan.selection.as_ref().filter(|_| role == Role::Provider) {
            shown = Some(Arc::new(Filter::new(selection.clone()).map_err(unusable)?));
            // Never passed by: what the selection hides would flow.
            let coarse = selection.time.as_ref().is_some_and(|time| time.resolution_seconds.is_some());
            if coarse && !matches!(plan.source, Some(policy_plan::Source::Http { .. })) {
                let detail = "periods of time can be told from an NGSI-LD interface only, not from files";
                return Err(Problem::bad_request("selection_not_supported", detail));
            }
        }
        if let Some(writing) = plan.writing.as_ref().filter(|_| role == Role::Provider) {
            Writer::new(writing.what.clone(), shown).map_err(unusable)?;
        }
        Ok(Some((Some(id), plan)))
    }

    fn verify(&self, jws: &str) -> Result<(String, EnforcementPlan), PlanError> {
        let mut refusal = PlanError::UnknownKey;
        for (id, known) in self.control_planes.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let Some(verifier) = &known.verifier else { continue };
            match verify(jws, verifier) {
                Ok(plan) => return Ok((id.clone(), plan)),
                Err(PlanError::UnknownKey) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// Where a flow's callbacks go, without a slash at the end.
    pub(crate) fn callback_base(&self, flow: &Flow) -> String {
        if let Some(address) = &flow.terms.callback_address {
            return address.clone();
        }
        let known = self.control_planes.read().unwrap_or_else(PoisonError::into_inner);
        let signer = flow.terms.control_plane.as_ref().and_then(|id| known.get(id));
        // Without a plan the only control plane is meant.
        let found = signer.or_else(|| known.values().next().filter(|_| known.len() == 1));
        found.map_or_else(
            || self.config.control_plane_url.as_str().trim_end_matches('/').to_owned(),
            |found| found.endpoint.clone(),
        )
    }

    /// A `callbackAddress` counts only when it leads to a control plane that we know.
    pub(crate) fn admitted_callback_address(&self, given: Option<&str>) -> Option<String> {
        let url = Url::parse(given?).ok()?;
        let known = self.control_planes.read().unwrap_or_else(PoisonError::into_inner);
        let admitted = url.origin() == self.config.control_plane_url.origin()
            || known
                .values()
                .any(|plane| Url::parse(&plane.endpoint).is_ok_and(|known| known.origin() == url.origin()));
        if !admitted {
            tracing::warn!("a callback address outside the known control planes is ignored");
            return None;
        }
        Some(url.as_str().trim_end_matches('/').to_owned())
    }

    /// What calls of the planes to each other need.
    pub(crate) fn outside(&self) -> Outside {
        Outside { client: self.control.clone(), background: self.background.clone() }
    }

    /// Whether the control plane sees that we are there.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }

    /// How long a token for the flow's partner lives, in seconds: no longer than its plan says, and short when it can be renewed.
    pub(crate) fn token_seconds(&self, terms: &Terms) -> u32 {
        let longest = terms.plan.as_ref().map_or(DEFAULT_TOKEN_SECONDS, |plan| plan.max_token_seconds.max(1));
        if terms.renewable { longest.min(self.config.renewal.access_token_seconds) } else { longest }
    }

    /// Where the flow's partner renews its token.
    pub(crate) fn refresh_address(&self, flow_id: &str) -> String {
        format!("{}{}{flow_id}", self.config.public.public_url, crate::renewal::PATH)
    }

    /// The flow's address for its partner.
    pub(crate) fn public_address(&self, flow_id: &str) -> String {
        format!("{}/flows/{flow_id}", self.config.public.public_url)
    }

    /// The flow's source, opened at the first use.
    ///
    /// # Errors
    /// What the configuration lacks; the operator is at fault.
    pub(crate) async fn source(&self, flow: &Flow) -> Result<Arc<Source>, Problem> {
        let open = async {
            let named = flow.terms.plan.as_ref().and_then(|plan| plan.source.as_ref());
            let named = named.ok_or_else(|| Problem::bad_request("plan_without_source", "the flow has no source"))?;
            let public = self.public_address(&flow.terms.id);
            Source::open(named, &self.config.credentials, &self.stores, &self.digests, &public).await
        };
        flow.source(open).await
    }

    /// Whether a source or a partner is left alone because it does not answer.
    pub(crate) fn misses_any(&self) -> bool {
        self.source_health.is_any_open() || self.partner_health.is_any_open()
    }

    /// Who does not answer, and how the public listener is shared, for operators.
    pub(crate) fn describe(&self) -> Value {
        json!({
            "sources": self.source_health.describe(),
            "partners": self.partner_health.describe(),
            "requests": self.fairness.as_ref().map(Fairness::describe),
        })
    }

    /// Writes changes to the store.
    ///
    /// # Errors
    /// 507 when there is no room, else 500; nothing is kept then.
    pub(crate) async fn write(&self, changes: Vec<Result<Change, StoreError>>) -> Result<(), Problem> {
        let changes: Result<Vec<Change>, StoreError> = changes.into_iter().collect();
        let changes = changes.map_err(|error| Problem::internal(&error))?;
        self.store.write(changes).await.map_err(|error| match error.is_for_lack_of_room() {
            true => Problem::no_room(&error),
            false => Problem::internal(&error),
        })
    }
}
