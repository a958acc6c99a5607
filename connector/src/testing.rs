//! An installation for unit tests: a new SQLite database in a folder of its own, nothing listening.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use identity::{Combined, Identity, StaticPeers};
use policy_plan::PlanSigner;
use tempfile::TempDir;

use crate::app::App;
use crate::config::Config;
use crate::dcp::DcpServices;
use crate::fetch::{FetchSettings, Fetcher};
use crate::service::decide::Decisions;
use crate::service::in_flight::InFlight;
use crate::service::monitor::Pokes;
use crate::service::partner::Addresses;
use crate::service::plane_tokens::PlaneTokens;
use crate::service::presence::Presences;
use crate::service::site::SiteModules;
use crate::store::{DEFAULT_CONTEXT, Store, now_ms, secrets, transfer};

/// The folder must be kept as long as the installation is used.
pub(crate) async fn app() -> (TempDir, Arc<App>) {
    app_with("participant_id = \"did:web:us.example\"", "https://us.example").await
}

/// An installation with these settings, which others see at `root`. With `identity.did` it has verifiable credentials.
pub(crate) async fn app_with(settings: &str, root: &str) -> (TempDir, Arc<App>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hansa.toml");
    let data = folder.path().join("data");
    std::fs::write(&file, format!("data_dir = {data:?}\n{settings}\n")).unwrap();
    let config = Config::load(Some(&file)).unwrap();
    let installation = config.installation().unwrap();
    let database = format!("sqlite://{}", data.join("hansa.db").display());
    let (store, _) = Store::open(&database, &installation.instance).await.unwrap();
    secrets::default_context(&store, &installation.participant_id).await.unwrap();
    let fetcher = Fetcher::new(FetchSettings {
        allow_private_addresses: true,
        allow_plain_http: true,
        loopback_needs_tls: false,
        ca_file: None,
        timeout: Duration::from_secs(5),
        max_answer_bytes: 1024 * 1024,
    });
    let fetcher = fetcher.unwrap();
    let dcp = match config.identity.did.clone() {
        Some(did) => Some(Arc::new(DcpServices::open(&config, did, root, &store).await.unwrap())),
        None => None,
    };
    let peers = StaticPeers::new(Vec::new()).unwrap();
    let identity: Arc<dyn Identity> = match &dcp {
        Some(dcp) => Arc::new(Combined::new(peers, dcp.identity.clone())),
        None => Arc::new(peers),
    };
    let app = App {
        identity,
        dcp,
        fetcher: fetcher.clone(),
        internal: fetcher,
        decisions: Decisions::new(BTreeMap::new()),
        addresses: Addresses::default(),
        signer: PlanSigner::generate().unwrap(),
        signaling_token: installation.signaling_token,
        site: SiteModules::open(config.policy.site_modules.clone()),
        monitor: Pokes::default(),
        presences: Presences::default(),
        plane_tokens: PlaneTokens::default(),
        in_flight: InFlight::default(),
        serving: crate::http::ready::Serving::default(),
        started_at: now_ms(),
        participant: installation.participant_id,
        dsp_address: format!("{root}/dsp/2025-1"),
        signaling_address: "http://127.0.0.1:8284".to_owned(),
        store,
        config,
    };
    (folder, Arc::new(app))
}

/// A transfer with a counter-party that is in this state, under an agreement of its own.
pub(crate) fn transfer_row(id: &str, role: &str, state: &str) -> transfer::Model {
    transfer::Model {
        counter_pid: Some(format!("their pid of {id}")),
        settled: Some(state.to_owned()),
        state: state.to_owned(),
        agreement_id: format!("agreement of {id}"),
        dataset_id: "urn:d".to_owned(),
        format: "HttpData-PULL".to_owned(),
        ..transfer::Model::blank(DEFAULT_CONTEXT, role, id.to_owned(), "did:web:them.example", "http://127.0.0.1:1")
    }
}
