//! Two participants with an installation each, who know each other, and a third one without a connector.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binaries::Binaries;
use crate::management::{Kind, Management, text};
use crate::peer::Peer;
use crate::recorder::Recorder;
use crate::server::{Server, url};
use crate::service::{Connector, ControlPlaneSettings, DataPlaneSettings, StaticPeer};
use crate::{Context as _, Error, Result, ports, source, wait};

/// The participant that offers.
pub const PROVIDER: &str = "did:web:bari.example";
/// The participant that asks.
pub const CONSUMER: &str = "did:web:durres.example";
/// The participant whose messages a test writes itself.
pub const THIRD: &str = "did:web:third.example";

const PROVIDER_TOKEN: &str = "token-that-bari-shows";
const CONSUMER_TOKEN: &str = "token-that-durres-shows";
const THIRD_TOKEN: &str = "token-that-the-third-shows";

/// The name of the folder that the provider's data plane may read files from.
pub const FILES: &str = "open";

/// Both installations, with a recorder in front of each control plane.
pub struct Pair {
    /// Offers datasets.
    pub provider: Connector,
    /// Asks for them.
    pub consumer: Connector,
    /// A participant that the provider and the consumer know, without a connector.
    pub third: Peer,
    /// What is behind the provider's HTTP datasets.
    pub source: Server,
    recorders: [Recorder; 2],
    folder: TempDir,
}

impl Pair {
    /// Starts everything, with SQLite.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start() -> Result<Self> {
        Self::start_on([None, None]).await
    }

    /// Starts everything, with these databases (provider, consumer).
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start_on(databases: [Option<String>; 2]) -> Result<Self> {
        Self::start_with(databases, |_| {}).await
    }

    /// The same with a change of the provider's settings.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start_with(
        databases: [Option<String>; 2],
        change: impl FnOnce(&mut ControlPlaneSettings),
    ) -> Result<Self> {
        let binaries = Binaries::from_environment()?;
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let files = folder.path().join("files");
        std::fs::create_dir_all(&files).context(files.display())?;
        let third = Peer::start(ports::free()?, THIRD, &format!("Bearer {THIRD_TOKEN}"))?;
        let [provider_database, consumer_database] = databases;
        let stranger = || StaticPeer::new(THIRD, THIRD_TOKEN, "for-the-third", &[]);
        let claims = [("membership", "active"), ("country", "AL")];
        let consumer_peer = StaticPeer::new(CONSUMER, CONSUMER_TOKEN, PROVIDER_TOKEN, &claims);
        let provider_peer = StaticPeer::new(PROVIDER, PROVIDER_TOKEN, CONSUMER_TOKEN, &[("membership", "active")]);

        let (provider_recorder, mut settings) = recorded(PROVIDER, vec![consumer_peer, stranger()])?;
        settings.database = provider_database;
        change(&mut settings);
        let file_roots = BTreeMap::from([(FILES.to_owned(), files)]);
        let roots = DataPlaneSettings { file_roots, ..DataPlaneSettings::default() };
        let provider = Connector::start_with(&binaries, &folder.path().join("provider"), settings, roots).await?;

        let (consumer_recorder, mut settings) = recorded(CONSUMER, vec![provider_peer, stranger()])?;
        settings.database = consumer_database;
        let consumer = Connector::start(&binaries, &folder.path().join("consumer"), settings).await?;

        let recorders = [provider_recorder, consumer_recorder];
        let pair = Self { provider, consumer, third, source: source::start()?, recorders, folder };
        introduce(&pair.consumer, &pair.provider).await?;
        introduce(&pair.provider, &pair.consumer).await?;
        Ok(pair)
    }

    /// The recorders in front of the provider and of the consumer.
    pub fn recorders(&self) -> &[Recorder; 2] {
        &self.recorders
    }

    /// Puts a file where the provider's data plane finds it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.path().join("files").join(name);
        std::fs::write(&path, bytes).context(path.display())
    }

    /// A dataset over HTTP, not yet offered.
    pub fn http_dataset(&self, id: &str) -> Value {
        json!({"id": id, "title": format!("dataset {id}"), "source": {"http": {"baseUrl": self.source.url()}}})
    }

    /// Publishes a dataset over HTTP under these permissions, with an offer of the id `offer-ID`.
    ///
    /// # Errors
    /// When the provider refuses it.
    pub async fn publish(&self, id: &str, permission: &Value, offer: &Value) -> Result<()> {
        self.publish_dataset(&self.http_dataset(id), permission, offer).await
    }

    /// Publishes this dataset under these permissions, with an offer of the id `offer-ID`.
    ///
    /// # Errors
    /// When the provider refuses it.
    pub async fn publish_dataset(&self, dataset: &Value, permission: &Value, offer: &Value) -> Result<()> {
        let id = text(dataset, "id");
        let policy = json!({"id": format!("policy-{id}"), "permission": permission});
        let mut offer = offer.clone();
        if let Some(members) = offer.as_object_mut() {
            members.insert("id".to_owned(), json!(format!("offer-{id}")));
        }
        self.provider.api().publish(dataset, &policy, &offer).await.map(drop)
    }

    /// Lets the consumer ask for a dataset, and gives back the consumer's id of the negotiation.
    ///
    /// # Errors
    /// When the command is refused.
    pub async fn negotiate(&self, dataset: &str, decision: &str) -> Result<String> {
        let body = json!({"partner": PROVIDER, "datasetId": dataset, "decision": decision});
        Ok(text(&self.consumer.api().post("/negotiations", body).await?, "id").to_owned())
    }

    /// Publishes, negotiates and gives back the agreement's id.
    ///
    /// # Errors
    /// When no agreement is reached.
    pub async fn agreement(&self, dataset: &Value) -> Result<String> {
        self.publish_dataset(dataset, &json!([{"action": "use"}]), &json!({})).await?;
        let negotiation = self.negotiate(text(dataset, "id"), "automatic").await?;
        self.consumer.api().agreed(&negotiation).await
    }

    /// Lets the consumer request a transfer, and waits until its data can be read. Gives back the consumer's view of it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn transfer(&self, agreement: &str) -> Result<Value> {
        let api = self.consumer.api();
        let begun = api.post("/transfers", json!({"agreementId": agreement})).await?;
        readable(api, text(&begun, "id"), wait::PATIENCE).await
    }
}

/// Waits until a consumer's transfer has started and its data plane knows where the data is.
///
/// # Errors
/// When that does not come in time, or the transfer ends before; the sentence shows what happened to it.
pub async fn readable(consumer: &Management, transfer: &str, patience: Duration) -> Result<Value> {
    let what = format!("{transfer} can be read, or has ended");
    let ready = wait::until(what, patience, || async {
        let process = consumer.process(Kind::Transfer, transfer).await.ok()?;
        let state = text(&process, "state");
        let ended = ["COMPLETED", "TERMINATED"].contains(&state);
        (ended || state == "STARTED" && !text(&process, "localEndpoint").is_empty()).then_some(process)
    });
    let process = ready.await?;
    if text(&process, "state") == "STARTED" {
        return Ok(process);
    }
    let events = consumer.all(&format!("/events?subject={transfer}")).await?;
    let events: Vec<_> = events.iter().map(Value::to_string).collect();
    Err(Error::new(format!("the transfer has ended: {process}\n{}", events.join("\n"))))
}

fn recorded(participant: &str, peers: Vec<StaticPeer>) -> Result<(Recorder, ControlPlaneSettings)> {
    let (outside, inside) = (ports::free()?, ports::free()?);
    let recorder = Recorder::start(outside, url(inside))?;
    let mut settings = ControlPlaneSettings::new(participant, peers);
    settings.port = Some(inside);
    settings.public_url = Some(recorder.url());
    Ok((recorder, settings))
}

/// Makes `partner` known to `connector` by its root address.
///
/// # Errors
/// When it is refused.
pub async fn introduce(connector: &Connector, partner: &Connector) -> Result<()> {
    let body = json!({"id": partner.id(), "name": partner.id(), "address": {"root": partner.control.root()}});
    connector.api().post("/partners", body).await.map(drop)
}

/// The other side's view of a process, found by the id that the peer gave it.
///
/// # Errors
/// When there is none in time.
pub async fn counterpart(api: &Management, kind: Kind, their_id: &str) -> Result<Value> {
    let same = |process: &Value| [text(process, "consumerPid"), text(process, "providerPid")].contains(&their_id);
    wait::until(format!("the counterpart of {their_id}"), wait::PATIENCE, || async {
        api.all(kind.path()).await.ok()?.into_iter().find(same)
    })
    .await
}

/// Reads from an address without any credentials, as a local program would. Gives back the status and the body.
///
/// # Errors
/// Only when no answer came.
pub async fn read(address: &str, headers: &[(&str, &str)]) -> Result<(u16, Vec<u8>)> {
    let mut request = reqwest::Client::new().request(Method::GET, address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.context(address)?;
    let status = response.status().as_u16();
    Ok((status, response.bytes().await.context(address)?.to_vec()))
}
