//! Renewal of tokens between two installations that know each other by their DIDs: the control planes sign and verify.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::dataspace::Authority;
use tck::management::{Kind, text};
use tck::pair::{introduce, read, readable};
use tck::recorder::Recorder;
use tck::server::url;
use tck::service::{Connector, ControlPlaneSettings, DataPlaneSettings, RenewalSettings};
use tck::{ports, source, wait};

const CLIENT: (&str, &str) = ("twin", "secret-of-the-twin");
/// Life of a token, seconds.
const LIFE: u32 = 3;

struct Scene {
    provider: Connector,
    consumer: Connector,
    /// In front of the consumer: it sees the data address that the provider gives.
    recorder: Recorder,
    /// The consumer's id of the transfer, and where its data is read.
    transfer: String,
    address: String,
    _authority: Authority,
    _source: tck::server::Server,
    folder: tempfile::TempDir,
}

fn planes(offered: bool, required: bool) -> DataPlaneSettings {
    let renewal = RenewalSettings { offered, access_token_seconds: LIFE, required };
    DataPlaneSettings { renewal: Some(renewal), ..DataPlaneSettings::default() }
}

/// Lets everything for a participant come through a recorder on its own port.
fn recorded(settings: &mut ControlPlaneSettings) -> Recorder {
    let (outside, inside) = (settings.port.unwrap(), ports::free().unwrap());
    settings.port = Some(inside);
    Recorder::start(outside, url(inside)).unwrap()
}

impl Scene {
    /// A transfer whose token can be renewed, running.
    async fn start() -> Self {
        let binaries = Binaries::from_environment().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let authority = Authority::start(&binaries, &at("authority")).await.unwrap();
        let settings = authority.member().unwrap();
        let provider = Connector::start_with(&binaries, &at("provider"), settings, planes(true, false)).await.unwrap();
        let mut settings = authority.member().unwrap();
        settings.credentials.as_mut().unwrap().token_client = Some((CLIENT.0.to_owned(), CLIENT.1.to_owned()));
        let recorder = recorded(&mut settings);
        let consumer = Connector::start_with(&binaries, &at("consumer"), settings, planes(false, true)).await.unwrap();
        introduce(&consumer, &provider).await.unwrap();
        introduce(&provider, &consumer).await.unwrap();
        authority.join(provider.api()).await.unwrap();
        authority.join(consumer.api()).await.unwrap();
        let source = source::start().unwrap();
        let dataset = json!({"id": "traffic", "title": "traffic", "source": {"http": {"baseUrl": source.url()}}});
        let rules = json!({"id": "open", "permission": [{"action": "use"}]});
        provider.api().publish(&dataset, &rules, &json!({"id": "offer"})).await.unwrap();
        let api = consumer.api();
        let wanted = json!({"partner": provider.id(), "datasetId": "traffic"});
        let negotiation = api.post("/negotiations", wanted).await.unwrap();
        let agreement = api.agreed(text(&negotiation, "id")).await.unwrap();
        let transfer = api.post("/transfers", json!({"agreementId": agreement})).await.unwrap();
        let transfer = text(&transfer, "id").to_owned();
        let running = readable(api, &transfer, wait::PATIENCE).await.unwrap();
        let address = format!("{}/ngsi-ld/v1/entities", text(&running, "localEndpoint"));
        Self { provider, consumer, recorder, transfer, address, _authority: authority, _source: source, folder }
    }

    /// A property of the data address in the provider's last start message.
    fn property(&self, name: &str) -> String {
        let mut messages = self.recorder.exchanges().into_iter().map(|exchange| exchange.request.json());
        let start = messages.rfind(|message| text(message, "@type") == "TransferStartMessage").unwrap();
        let properties = start["dataAddress"]["endpointProperties"].as_array().unwrap().clone();
        let found = properties.iter().find(|property| text(property, "name") == name);
        text(found.unwrap_or_else(|| panic!("no {name}")), "value").to_owned()
    }

    /// A JWT of the consumer, as its own programs get one.
    async fn client(&self, audience: &str, token: &str) -> String {
        let url = self.consumer.api().base().replace("/api/v1", "/sts/token");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT.0),
            ("client_secret", CLIENT.1),
            ("audience", audience),
            ("token", token),
        ];
        let (status, answer) = post_form(&url, &form, None).await;
        assert_eq!(status, 200, "{answer}");
        text(&answer, "access_token").to_owned()
    }

    async fn refresh(&self, refresh_token: &str, client: &str) -> (u16, Value) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        post_form(&self.property("refreshEndpoint"), &form, Some(client)).await
    }

    /// How often a data plane's log says this.
    fn said(&self, who: &str, what: &str) -> usize {
        let log = self.folder.path().join(who).join("data/hansa-dataplane.log");
        std::fs::read_to_string(Path::new(&log)).unwrap().matches(what).count()
    }
}

async fn post_form(url: &str, form: &[(&str, &str)], bearer: Option<&str>) -> (u16, Value) {
    let form = reqwest::Url::parse_with_params("http://form", form).unwrap();
    let mut request = reqwest::Client::new().post(url).header("content-type", "application/x-www-form-urlencoded");
    if let Some(token) = bearer {
        request = request.bearer_auth(token);
    }
    let answer = request.body(form.query().unwrap().to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_between_members_outlives_its_tokens() {
    let scene = Scene::start().await;
    let begun = Instant::now();
    let mut reads = 0;
    while begun.elapsed() < Duration::from_secs(u64::from(3 * LIFE)) {
        assert_eq!(read(&scene.address, &[]).await.unwrap().0, 200, "after {:?}", begun.elapsed());
        reads += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(reads > 100, "{reads}");
    assert!(scene.said("provider", "a token was renewed") >= 3);
    let row = scene.consumer.api().process(Kind::Transfer, &scene.transfer).await.unwrap();
    assert_eq!(text(&row, "state"), "STARTED");
    let starts = scene.recorder.exchanges().into_iter().filter(|exchange| exchange.request.path().ends_with("/start"));
    assert_eq!(starts.count(), 1, "neither suspended nor resumed");
}

/// The scripts of `DP_P_HTTP_PULL`, with both programs: who is not the consumer, or comes with what is used up, gets nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_plane_verifies_the_client() {
    let scene = Scene::start().await;
    let (token, refresh) = (scene.property("authorization"), scene.property("refreshToken"));
    assert_eq!((scene.property("expiresIn"), scene.property("authType")), (LIFE.to_string(), "bearer".to_owned()));
    let provider = scene.provider.id().to_owned();
    let error = |answer: (u16, Value)| (answer.0, text(&answer.1, "error").to_owned());
    let good = scene.client(&provider, &token).await;
    assert_eq!(error(scene.refresh("unknown", &good).await), (400, "invalid_grant".to_owned()));
    let elsewhere = scene.client("did:web:elsewhere.example", &token).await;
    assert_eq!(error(scene.refresh(&refresh, &elsewhere).await), (401, "invalid_client".to_owned()));
    let another = scene.client(&provider, "another-access-token").await;
    assert_eq!(error(scene.refresh(&refresh, &another).await), (400, "invalid_grant".to_owned()));
    assert_eq!(error(scene.refresh(&refresh, "no.jwt.atall").await), (401, "invalid_client".to_owned()));
    let (head, _) = good.rsplit_once('.').unwrap();
    assert_eq!(error(scene.refresh(&refresh, &format!("{head}.AAAA")).await), (401, "invalid_client".to_owned()));
    // The consumer's own data plane may have been first; then the pair before is answered again.
    let (status, answer) = scene.refresh(&refresh, &good).await;
    assert_eq!((status, text(&answer, "token_type")), (200, "Bearer"), "{answer}");
    assert_ne!(text(&answer, "access_token"), token);
    assert_eq!(error(scene.refresh(&refresh, &good).await), (401, "invalid_client".to_owned()), "each JWT counts once");
}
