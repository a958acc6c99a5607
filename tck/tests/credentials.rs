//! Two cities and an authority that know each other by verifiable credentials only (DCP 1.0.1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::dataspace::{Authority, CITY};
use tck::management::{Kind, text};
use tck::pair::{introduce, read, readable};
use tck::peer::messages;
use tck::postgres::Postgres;
use tck::service::{Connector, ControlPlane, Credentials};
use tck::{ports, source, wait};

const SCOPE: &str = "org.eclipse.dspace.dcp.vc.type:MembershipCredential:read";
const CLIENT: (&str, &str) = ("twin", "secret-of-the-twin");

/// An authority that issues, a provider and a consumer that trust it.
struct Dataspace {
    authority: Authority,
    provider: Connector,
    consumer: Connector,
    source: tck::server::Server,
    _folder: tempfile::TempDir,
}

impl Dataspace {
    async fn start() -> Self {
        Self::start_with(|_provider| {}).await
    }

    /// `change` is for the settings of the provider.
    async fn start_with(change: impl FnOnce(&mut Credentials)) -> Self {
        let binaries = Binaries::from_environment().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let authority = Authority::start(&binaries, &at("authority")).await.unwrap();
        let mut settings = authority.member().unwrap();
        change(settings.credentials.as_mut().unwrap());
        let provider = Connector::start(&binaries, &at("provider"), settings).await.unwrap();
        let mut settings = authority.member().unwrap();
        settings.credentials.as_mut().unwrap().token_client = Some((CLIENT.0.to_owned(), CLIENT.1.to_owned()));
        let consumer = Connector::start(&binaries, &at("consumer"), settings).await.unwrap();
        introduce(&consumer, &provider).await.unwrap();
        introduce(&provider, &consumer).await.unwrap();
        let trusted = json!({"types": ["*"]});
        let path = format!("/trusted-issuers/{}", escaped(authority.control.participant()));
        provider.api().put(&path, trusted).await.unwrap();
        authority.join(provider.api()).await.unwrap();
        authority.join(consumer.api()).await.unwrap();
        Self { authority, provider, consumer, source: source::start().unwrap(), _folder: folder }
    }

    /// Publishes a dataset under one constraint.
    async fn publish(&self, id: &str, left: &str, right: &str) {
        let dataset = json!({"id": id, "title": id, "source": {"http": {"baseUrl": self.source.url()}}});
        let constraint = json!([{"leftOperand": left, "operator": "eq", "rightOperand": right}]);
        let rules = json!({"id": format!("policy-{id}"), "permission": [{"action": "use", "constraint": constraint}]});
        self.provider.api().publish(&dataset, &rules, &json!({"id": format!("offer-{id}")})).await.unwrap();
    }

    /// The consumer negotiates; its view of the end.
    async fn negotiate(&self, dataset: &str) -> Value {
        let api = self.consumer.api();
        let begun = api.post("/negotiations", json!({"partner": self.provider.id(), "datasetId": dataset})).await;
        let Ok(begun) = begun else { return json!({"state": "REFUSED", "error": begun.unwrap_err().to_string()}) };
        api.reaches(Kind::Negotiation, text(&begun, "id"), &["FINALIZED", "TERMINATED"]).await.unwrap()
    }

    /// A transfer that data flows in: the consumer's id of it, and where it is read.
    async fn running_transfer(&self) -> (String, String) {
        self.publish("traffic", "membership", "active").await;
        let negotiation = self.negotiate("traffic").await;
        assert_eq!(text(&negotiation, "state"), "FINALIZED", "{negotiation}");
        let consumer = self.consumer.api();
        let agreement = json!({"agreementId": text(&negotiation, "agreementId")});
        let begun = consumer.post("/transfers", agreement).await.unwrap();
        let transfer = readable(consumer, text(&begun, "id"), wait::PATIENCE).await.unwrap();
        let address = format!("{}/ngsi-ld/v1/entities", text(&transfer, "localEndpoint"));
        assert_eq!(read(&address, &[]).await.unwrap().0, 200);
        (text(&begun, "id").to_owned(), address)
    }

    /// Waits until the consumer sees its transfer suspended; what it sees.
    async fn suspended(&self, transfer: &str, address: &str) -> String {
        let patience = Duration::from_secs(30);
        let api = self.consumer.api();
        let suspended = api.reaches_within(Kind::Transfer, transfer, &["SUSPENDED"], patience).await.unwrap();
        assert_eq!(read(address, &[]).await.unwrap().0, 403);
        suspended.to_string()
    }

    /// The authority takes the consumer's membership back.
    async fn revoke(&self) {
        let api = self.authority.control.api();
        let issued = api.all("/issued-credentials").await.unwrap();
        let of_consumer = issued.iter().find(|credential| text(credential, "holder") == self.consumer.id()).unwrap();
        let id = escaped(text(of_consumer, "id"));
        let revoked = api.post(&format!("/issued-credentials/{id}/revoke"), json!({"reason": "left the region"})).await;
        assert_eq!(text(&revoked.unwrap(), "state"), "revoked");
    }

    /// A new self-issued ID token of the consumer for the provider, as its own programs get one.
    async fn token(&self) -> String {
        self.token_for(self.provider.id()).await
    }

    async fn token_for(&self, audience: &str) -> String {
        let url = self.consumer.api().base().replace("/api/v1", "/sts/token");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT.0),
            ("client_secret", CLIENT.1),
            ("audience", audience),
            ("bearer_access_scope", SCOPE),
        ];
        let form = reqwest::Url::parse_with_params("http://form", form).unwrap();
        let request = reqwest::Client::new().post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form.query().unwrap().to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        text(&answer.json::<Value>().await.unwrap(), "access_token").to_owned()
    }
}

/// An id in a path.
fn escaped(id: &str) -> String {
    id.replace('%', "%25").replace(':', "%3A")
}

async fn post(url: &str, token: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(Method::POST, url).bearer_auth(token).json(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_agree_and_a_revocation_stops_the_transfer() {
    let dataspace = Dataspace::start().await;
    let (transfer, address) = dataspace.running_transfer().await;
    dataspace.revoke().await;
    let suspended = dataspace.suspended(&transfer, &address).await;
    assert!(suspended.contains("credential_revoked"), "the consumer is told why: {suspended}");
    assert!(suspended.contains(dataspace.consumer.id()), "and whose it is: {suspended}");
    let refused = dataspace.negotiate("traffic").await;
    assert_ne!(text(&refused, "state"), "FINALIZED");
    assert!(refused.to_string().contains("revoked"), "the reason is told: {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_is_not_trusted_any_more_stops_the_transfer() {
    let dataspace = Dataspace::start_with(|provider| provider.trusted_issuers.clear()).await;
    let (transfer, address) = dataspace.running_transfer().await;
    let path = format!("/trusted-issuers/{}", escaped(dataspace.authority.control.participant()));
    let removed = dataspace.provider.api().call(Method::DELETE, &path, None).await.unwrap();
    assert_eq!(removed.0, 204);
    let refused = dataspace.negotiate("traffic").await;
    assert!(refused.to_string().contains("not a trusted issuer"), "at once, with the reason: {refused}");
    let suspended = dataspace.suspended(&transfer, &address).await;
    assert!(suspended.contains("credential_untrusted"), "{suspended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_the_missing_credential() {
    let dataspace = Dataspace::start().await;
    dataspace.publish("plans", "credential:CityCredential.level", "gold").await;
    let negotiation = dataspace.negotiate("plans").await;
    assert_eq!(text(&negotiation, "state"), "TERMINATED");
    let said = negotiation.to_string();
    assert!(said.contains("missing_credential") && said.contains(CITY), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_counts_once_also_after_a_restart() {
    let mut dataspace = Dataspace::start().await;
    dataspace.publish("traffic", "membership", "active").await;
    let base = dataspace.provider.control.base();
    let catalog = format!("{base}/catalog/request");
    let ask = json!({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"});
    let token = dataspace.token().await;
    assert_eq!(post(&catalog, &token, &ask).await.0, 200);
    let (status, answer) = post(&catalog, &token, &ask).await;
    assert_eq!((status, text(&answer, "code")), (401, "token_replayed"));

    dataspace.provider.control.kill();
    dataspace.provider.control.restart().await.unwrap();
    let offer = messages::open_offer("offer-traffic", "traffic");
    let request = messages::contract_request(&messages::new_id(), &dataspace.consumer.control.base(), &offer);
    let (status, answer) = post(&format!("{base}/negotiations/request"), &token, &request).await;
    assert_eq!((status, text(&answer, "code")), (401, "token_replayed"), "the database remembers: {answer}");
    assert!(dataspace.provider.api().all("/negotiations").await.unwrap().is_empty(), "and nothing has begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_counts_once_among_replicas() {
    let server = Postgres::start().unwrap();
    let dataspace = Dataspace::start().await;
    let binaries = Binaries::from_environment().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = dataspace.authority.member().unwrap();
    settings.database = Some(server.database("replicas").unwrap());
    settings.credentials.as_mut().unwrap().keys_dir = Some(folder.path().join("keys"));
    let mut second = settings.clone();
    second.port = Some(ports::free().unwrap());
    let one = ControlPlane::start(&binaries, &folder.path().join("one"), settings).await.unwrap();
    let two = ControlPlane::start(&binaries, &folder.path().join("two"), second).await.unwrap();
    let dataset = json!({"id": "d", "title": "d", "source": {"http": {"baseUrl": dataspace.source.url()}}});
    let rules = json!({"id": "open", "permission": [{"action": "use"}]});
    one.api().publish(&dataset, &rules, &json!({"id": "offer-d"})).await.unwrap();

    let token = dataspace.token_for(one.participant()).await;
    let request = |consumer: &str| {
        messages::contract_request(consumer, &dataspace.consumer.control.base(), &messages::open_offer("offer-d", "d"))
    };
    let at = |replica: &ControlPlane| format!("{}/negotiations/request", replica.base());
    let (status, answer) = post(&at(&one), &token, &request(&messages::new_id())).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = post(&at(&two), &token, &request(&messages::new_id())).await;
    assert_eq!((status, text(&answer, "code")), (401, "token_replayed"), "{answer}");
    assert_eq!(two.api().all("/negotiations").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_the_unproven_stay_outside() {
    let dataspace = Dataspace::start().await;
    let catalog = format!("{}/catalog/request", dataspace.provider.control.base());
    let ask = json!({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"});
    for (token, code) in [("a-static-token-of-nobody", "malformed_token"), ("a.b.c", "malformed_token")] {
        let (status, answer) = post(&catalog, token, &ask).await;
        assert_eq!((status, text(&answer, "code")), (401, code));
    }
    // The consumer gives up its only credential: it can prove who it is, but not that it belongs.
    let consumer = dataspace.consumer.api();
    let held = consumer.all("/credentials").await.unwrap();
    let id = text(&held[0], "id");
    assert_eq!(consumer.call(Method::DELETE, &format!("/credentials/{id}"), None).await.unwrap().0, 204);
    let (status, answer) = post(&catalog, &dataspace.token().await, &ask).await;
    assert_eq!((status, text(&answer, "code")), (401, "missing_credential"), "{answer}");
}
