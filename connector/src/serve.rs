//! Puts the control plane together and runs it until it is told to stop.

use std::io::Write as _;
use std::sync::Arc;

use actix_web::web;
use identity::{Combined, Identity, StaticPeers};
use policy_plan::PlanSigner;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Config;
use crate::dcp::{self, DcpServices};
use crate::fetch::{FetchSettings, Fetcher};
use crate::http::ready::Serving;
use crate::http::{self, dsp, listen, management, signaling};
use crate::service::areas;
use crate::service::decide::Decisions;
use crate::service::in_flight::InFlight;
use crate::service::monitor::{self, Pokes};
use crate::service::partner::Addresses;
use crate::service::plane_tokens::PlaneTokens;
use crate::service::presence::{self, Presences};
use crate::service::site::{self, SiteModules};
use crate::service::token;
use crate::store::{DEFAULT_CONTEXT, Store, StoreResult, now_ms, secrets};
use crate::{webhooks, worker};

/// Threads of the listener for peers; the other two have one each.
const DSP_WORKERS: usize = 2;

/// Why the control plane could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServeError(String);

impl ServeError {
    fn new(what: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// Runs the control plane until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// When the database, a listener or a key cannot be had.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let started_at = now_ms();
    let installation = config.installation().map_err(|error| ServeError::new("data_dir", error))?;
    let dsp =
        listen::bind("dsp", &config.dsp).map_err(|error| ServeError::new("a listener cannot be opened", error))?;
    let management = listen::bind("management", &config.management)
        .map_err(|error| ServeError::new("a listener cannot be opened", error))?;
    let signaling = listen::bind("signaling", &config.signaling)
        .map_err(|error| ServeError::new("a listener cannot be opened", error))?;

    let (store, owing) = Store::open(config.database_url.expose_secret(), &installation.instance)
        .await
        .map_err(|error| ServeError::new("the database cannot be used", error))?;
    let (participant, signer) = identity_of_installation(&store, &installation.participant_id)
        .await
        .map_err(|error| ServeError::new("the database cannot be used", error))??;
    let new_token = if config.management_token.is_none() {
        token::ensure_management_token(&store).await.map_err(|error| ServeError::new("the management token", error))?
    } else {
        None
    };
    let token_hash = token::management_token(&store, config.management_token.as_ref())
        .await
        .map_err(|error| ServeError::new("the management token", error))?;

    let areas = areas::open(config.policy.areas.as_deref()).map_err(|error| ServeError::new("policy.areas", error))?;
    let dcp = credentials(&config, &dsp.url, &store).await?;
    let app = Arc::new(App {
        identity: identity(&config, dcp.as_ref())?,
        dcp,
        fetcher: fetcher(&config, false)?,
        internal: fetcher(&config, true)?,
        decisions: Decisions::new(areas),
        addresses: Addresses::default(),
        signer,
        signaling_token: installation.signaling_token,
        site: SiteModules::open(config.policy.site_modules.clone()),
        monitor: Pokes::default(),
        presences: Presences::default(),
        plane_tokens: PlaneTokens::default(),
        in_flight: InFlight::default(),
        serving: Serving::default(),
        started_at,
        participant,
        dsp_address: format!("{}{}", dsp.url, dsp::BASE_PATH),
        signaling_address: signaling.url.clone(),
        store,
        config,
    });
    app.config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    tracing::info!(
        participant = %app.participant, dsp = %dsp.address, management = %management.address,
        signaling = %signaling.address, ready_ms = now_ms() - started_at, "ready"
    );
    announce_token(&app.config, new_token)?;

    let stop = CancellationToken::new();
    let working = tokio::spawn(worker::run(app.clone(), owing, stop.clone()));
    let hooks = tokio::spawn(webhooks::run(app.clone(), stop.clone()));
    let watching = tokio::spawn(dcp::watch(app.clone(), stop.clone()));
    let monitoring = tokio::spawn(monitor::run(app.clone(), stop.clone()));
    let ruling = tokio::spawn(site::run(app.clone(), stop.clone()));
    let attending = tokio::spawn(presence::run(app.clone(), stop.clone()));
    let servers = start_servers(&app, dsp, management, signaling, token_hash, &stop)
        .map_err(|error| ServeError::new("a listener cannot be served", error))?;
    let handles: Vec<_> = servers.iter().map(actix_web::dev::Server::handle).collect();
    let serving: Vec<_> = servers.into_iter().map(|server| tokio::spawn(serve_one(app.clone(), server))).collect();
    stop_signal().await;
    tracing::info!("stopping: requests under way are finished first");
    stop.cancel();
    for handle in handles {
        handle.stop(true).await;
    }
    for task in serving.into_iter() {
        let _ended = task.await;
    }
    let _ended = tokio::join!(working, hooks, watching, monitoring, ruling, attending);
    Ok(())
}

async fn serve_one(app: Arc<App>, server: actix_web::dev::Server) {
    if let Err(error) = app.serving.run(server).await {
        tracing::error!(%error, "a listener has ended");
    }
}

fn start_servers(
    app: &Arc<App>,
    dsp: listen::Bound,
    management: listen::Bound,
    signaling: listen::Bound,
    token_hash: token::TokenHash,
    stop: &CancellationToken,
) -> std::io::Result<Vec<actix_web::dev::Server>> {
    let data = web::Data::from(app.clone());
    let limits = &app.config.limits;
    let (for_peers, services) = (data.clone(), app.dcp.clone());
    let peers = listen::serve(dsp, DSP_WORKERS, limits, move |config| {
        config.app_data(for_peers.clone());
        if let Some(dcp) = &services {
            http::dcp::configure(config, dcp);
        }
        dsp::configure(config);
    })?;
    let stopping = stop.clone();
    let planes = listen::serve(signaling, 1, limits, move |config| {
        config.app_data(data.clone()).app_data(web::Data::new(stopping.clone()));
        signaling::configure(config);
    })?;
    let operators = listen::serve(management, 1, limits, management::configure(app.clone(), token_hash, stop.clone()))?;
    Ok(vec![peers, planes, operators])
}

/// The participant id and the key for plans, kept since the first start.
async fn identity_of_installation(
    store: &Store,
    wanted: &str,
) -> StoreResult<Result<(String, PlanSigner), ServeError>> {
    let participant = secrets::default_context(store, wanted).await?;
    if wanted != participant {
        let text = format!(
            "our participant id is `{wanted}`, but this database belongs to `{participant}`, which its agreements name"
        );
        return Ok(Err(ServeError(text)));
    }
    let fresh = match PlanSigner::generate() {
        Ok(signer) => hex::encode(signer.to_pkcs8()),
        Err(error) => return Ok(Err(ServeError::new("the key for plans", error))),
    };
    let (kept, _) = secrets::insert_if_absent(store, DEFAULT_CONTEXT, "plan_key", fresh).await?;
    let signer = hex::decode(kept)
        .map_err(|error| ServeError::new("the key for plans", error))
        .and_then(|bytes| PlanSigner::from_pkcs8(&bytes).map_err(|error| ServeError::new("the key for plans", error)));
    Ok(signer.map(|signer| (participant, signer)))
}

/// Verifiable credentials, when the settings name our DID.
async fn credentials(config: &Config, root: &str, store: &Store) -> Result<Option<Arc<DcpServices>>, ServeError> {
    let Some(did) = config.identity.did.clone() else { return Ok(None) };
    let services = DcpServices::open(config, did, root, store).await;
    Ok(Some(Arc::new(services.map_err(|error| ServeError::new("identity", error))?)))
}

fn identity(config: &Config, dcp: Option<&Arc<DcpServices>>) -> Result<Arc<dyn Identity>, ServeError> {
    let peers = StaticPeers::new(config.danger_static_peers.clone())
        .map_err(|error| ServeError::new("identity.danger_static_peers", error))?;
    Ok(match dcp {
        Some(dcp) => Arc::new(Combined::new(peers, dcp.identity.clone())),
        None => Arc::new(peers),
    })
}

/// The client for addresses that peers name, or for those that the operator named.
fn fetcher(config: &Config, operator_named: bool) -> Result<Fetcher, ServeError> {
    let outbound = &config.outbound;
    Fetcher::new(FetchSettings {
        allow_private_addresses: operator_named || outbound.danger_allow_private_addresses,
        allow_plain_http: operator_named || outbound.danger_plain_http,
        loopback_needs_tls: false,
        ca_file: outbound.ca_file.clone(),
        timeout: outbound.answer_timeout,
        max_answer_bytes: outbound.max_answer_bytes,
    })
    .map_err(|error| ServeError::new("the HTTP client", error))
}

/// Shows a new management token once, on standard output and nowhere else.
fn announce_token(config: &Config, token: Option<SecretString>) -> Result<(), ServeError> {
    let Some(token) = token else { return Ok(()) };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\nThe token of the management API at http://{} is shown only now; keep it:\n\n    {}\n",
        config.management.listen,
        token.expose_secret()
    )
    .and_then(|()| out.flush())
    .map_err(|error| ServeError::new("the management token cannot be shown", error))
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be received; end the process to stop it");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}
