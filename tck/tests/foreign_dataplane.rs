//! The control plane drives a data plane that is not ours and speaks another draft of Data Plane Signaling.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::{Kind, text};
use tck::pair::{self, CONSUMER, PROVIDER, counterpart, read};
use tck::process::Process;
use tck::service::{Connector, ControlPlane, ControlPlaneSettings, StaticPeer};
use tck::{ports, wait};

const TRANSFER: Kind = Kind::Transfer;
const PROFILE: &str = "https://w3id.org/dspace-sig/profile/http-pull";

/// Builds the plane; it has a lock file of its own, so that its library does not choose our versions.
fn build() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign-dataplane/Cargo.toml");
    // The tests' own target folder: what both need is then built once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .status()
        .unwrap();
    assert!(built.success(), "the foreign data plane does not build");
    target.join("debug/foreign-dataplane")
}

async fn start(program: &Path, folder: &Path, control: &ControlPlane) -> (Process, String) {
    let listen = format!("127.0.0.1:{}", ports::free().unwrap());
    let mut command = Command::new(program);
    command
        .args(["--listen", &listen, "--control-plane", &control.signaling()])
        .env("SIGNALING_TOKEN", control.signaling_token());
    let process = Process::start("foreign-dataplane", command, &folder.join("foreign.log")).unwrap();
    let up = || async { std::net::TcpStream::connect(&listen).ok().map(drop) };
    wait::until("the foreign data plane listens", wait::PATIENCE, up).await.unwrap();
    (process, format!("http://{listen}/api/v1"))
}

struct Scene {
    provider: ControlPlane,
    consumer: Connector,
    _foreign: Process,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let program = build();
        let binaries = Binaries::from_environment().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let peer = |id: &str| vec![StaticPeer::new(id, "one-token-for-both", "one-token-for-both", &[])];
        let settings = ControlPlaneSettings::new(PROVIDER, peer(CONSUMER));
        let provider = ControlPlane::start(&binaries, &folder.path().join("provider"), settings).await.unwrap();
        let settings = ControlPlaneSettings::new(CONSUMER, peer(PROVIDER));
        let consumer = Connector::start(&binaries, &folder.path().join("consumer"), settings).await.unwrap();
        let partner = json!({"id": PROVIDER, "address": {"root": provider.root()}});
        consumer.api().post("/partners", partner).await.unwrap();

        let (foreign, endpoint) = start(&program, folder.path(), &provider).await;
        // The plane looks at nobody's credentials, which has to be said.
        let registration =
            json!({"endpoint": endpoint, "profiles": [PROFILE], "dialect": "rc4", "dangerNoAuthorization": true});
        provider.api().put("/data-planes/foreign", registration).await.unwrap();
        Self { provider, consumer, _foreign: foreign, _folder: folder }
    }

    /// A started transfer of this dataset: the consumer's view, and the provider's id.
    async fn transfer(&self, dataset: &str) -> (Value, String) {
        let body = json!({"id": dataset, "title": dataset, "source": {"http": {"baseUrl": "http://127.0.0.1:1"}}});
        let rules = json!({"id": format!("policy-{dataset}"), "permission": [{"action": "use"}]});
        self.provider.api().publish(&body, &rules, &json!({"id": format!("offer-{dataset}")})).await.unwrap();
        let api = self.consumer.api();
        let begun = api.post("/negotiations", json!({"partner": PROVIDER, "datasetId": dataset})).await.unwrap();
        let agreement = api.agreed(text(&begun, "id")).await.unwrap();
        let begun = api.post("/transfers", json!({"agreementId": agreement})).await.unwrap();
        let transfer = pair::readable(api, text(&begun, "id"), wait::PATIENCE).await.unwrap();
        let theirs = counterpart(self.provider.api(), TRANSFER, text(&transfer, "consumerPid")).await.unwrap();
        assert_eq!(text(&theirs, "dataPlaneId"), "foreign");
        let id = text(&theirs, "id").to_owned();
        self.provider.api().reaches(TRANSFER, &id, &["STARTED"]).await.unwrap();
        (transfer, id)
    }
}

async fn answers(address: &str, fits: impl Fn(u16, &str) -> bool) {
    wait::until(address, Duration::from_secs(5), || async {
        let (status, body) = pair::read(address, &[]).await.ok()?;
        fits(status, &String::from_utf8_lossy(&body)).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_plane_serves_a_pull_transfer() {
    let scene = Scene::start().await;
    let (transfer, theirs) = scene.transfer("quick").await;
    let (id, endpoint) = (text(&transfer, "id"), text(&transfer, "localEndpoint"));
    let (status, body) = read(endpoint, &[]).await.unwrap();
    assert_eq!((status, String::from_utf8_lossy(&body).as_ref()), (200, "text of quick from a foreign data plane\n"));

    let (consumer, provider) = (scene.consumer.api(), scene.provider.api());
    provider.command(TRANSFER, &theirs, "suspend", json!({})).await.unwrap();
    consumer.reaches(TRANSFER, id, &["SUSPENDED"]).await.unwrap();
    answers(endpoint, |status, _| status >= 400).await;
    provider.reaches(TRANSFER, &theirs, &["SUSPENDED"]).await.unwrap();
    // The plane gives out a new token; the consumer has to use that one.
    provider.command(TRANSFER, &theirs, "resume", json!({})).await.unwrap();
    consumer.reaches(TRANSFER, id, &["STARTED"]).await.unwrap();
    answers(endpoint, |status, body| status == 200 && body.starts_with("text of quick")).await;

    consumer.command(TRANSFER, id, "complete", json!({})).await.unwrap();
    provider.reaches(TRANSFER, &theirs, &["COMPLETED"]).await.unwrap();
    answers(endpoint, |status, _| status >= 400).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_plane_may_start_later() {
    let scene = Scene::start().await;
    let (transfer, theirs) = scene.transfer("slow").await;
    answers(text(&transfer, "localEndpoint"), |status, body| status == 200 && body.starts_with("text of slow")).await;
    scene.provider.api().command(TRANSFER, &theirs, "terminate", json!({})).await.unwrap();
    scene.consumer.api().reaches(TRANSFER, text(&transfer, "id"), &["TERMINATED"]).await.unwrap();
}
