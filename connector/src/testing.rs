//! An installation for unit tests: a new SQLite database in a folder of its own, nothing listening.

use std::sync::Arc;
use std::time::Duration;

use identity::StaticPeers;
use policy_plan::PlanSigner;
use tempfile::TempDir;

use crate::app::App;
use crate::config::Config;
use crate::fetch::{FetchSettings, Fetcher};
use crate::service::decide::Decisions;
use crate::service::in_flight::InFlight;
use crate::service::partner::Addresses;
use crate::store::{Store, now_ms, secrets};

/// The folder must be kept as long as the installation is used.
pub(crate) async fn app() -> (TempDir, Arc<App>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hansa.toml");
    let data = folder.path().join("data");
    std::fs::write(&file, format!("participant_id = \"did:web:us.example\"\ndata_dir = {data:?}\n")).unwrap();
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
    let app = App {
        identity: Arc::new(StaticPeers::new(Vec::new()).unwrap()),
        dcp: None,
        fetcher: fetcher.clone(),
        internal: fetcher,
        decisions: Decisions::default(),
        addresses: Addresses::default(),
        signer: PlanSigner::generate().unwrap(),
        signaling_token: installation.signaling_token,
        in_flight: InFlight::default(),
        started_at: now_ms(),
        participant: installation.participant_id,
        dsp_address: "https://us.example/dsp/2025-1".to_owned(),
        signaling_address: "http://127.0.0.1:8284".to_owned(),
        store,
        config,
    };
    (folder, Arc::new(app))
}
