//! Both programs without a shared secret: every signal, callback and registration carries a token of OAuth 2.0.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use futures_util::FutureExt as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::{Kind, text};
use tck::pair::{introduce, read, readable};
use tck::server::{Incoming, Outgoing, Server};
use tck::service::{Connector, ControlPlane, ControlPlaneSettings, DataPlane, DataPlaneSettings, StaticPeer};
use tck::{ports, source, wait};

const SECRET: &str = "client-secret-canary";
const PROVIDER: &str = "did:web:bari.example";
const CONSUMER: &str = "did:web:durres.example";

/// An authorization server. A client `A>B` gets tokens of A for B, and a workload's token `A` becomes one of A for the audience.
struct Issuer {
    server: Server,
    key: Arc<Mutex<(String, EncodingKey)>>,
    given: Arc<AtomicU64>,
}

fn key(kid: &str) -> (String, EncodingKey) {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    (kid.to_owned(), EncodingKey::from_ec_der(pkcs8.as_ref()))
}

fn sign((kid, key): &(String, EncodingKey), claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(kid.clone());
    encode(&header, claims, key).unwrap()
}

impl Issuer {
    fn start() -> Self {
        let port = ports::free().unwrap();
        let url = tck::server::url(port);
        let (key, given) = (Arc::new(Mutex::new(key("k-1"))), Arc::new(AtomicU64::new(0)));
        let (signing, counting) = (Arc::clone(&key), Arc::clone(&given));
        let handler = Arc::new(move |request: Incoming| {
            let answer = answer(&url, &signing.lock().unwrap(), &counting, &request);
            async move { answer }.boxed()
        });
        Self { server: Server::start(port, handler).unwrap(), key, given }
    }

    fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.server.url())
    }
}

fn answer(url: &str, key: &(String, EncodingKey), given: &AtomicU64, request: &Incoming) -> Outgoing {
    if request.path() == "/jwks" {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key.1, Algorithm::ES256).unwrap()).unwrap();
        jwk["kid"] = json!(key.0);
        return Outgoing::json(200, &json!({"keys": [jwk]}));
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let member = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let (subject, audience) = match member("grant_type") {
        "client_credentials" if member("client_secret") == SECRET => member("client_id").split_once('>').unwrap(),
        "urn:ietf:params:oauth:grant-type:token-exchange" => (member("subject_token"), member("audience")),
        _ => return Outgoing::json(401, &json!({"error": "invalid_client"})),
    };
    given.fetch_add(1, Ordering::SeqCst);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = json!({"iss": url, "sub": subject, "aud": audience, "iat": now, "exp": now + 300,
        "jti": uuid::Uuid::new_v4().to_string(), "scope": member("scope"), "participant_context": "city"});
    Outgoing::json(200, &json!({"access_token": sign(key, &claims), "token_type": "Bearer", "expires_in": 300}))
}

/// How the planes of an installation authenticate.
#[derive(Clone, Copy)]
enum Way {
    ClientCredentials,
    Exchange,
}

/// An installation whose planes share no secret.
async fn start(folder: &Path, id: &str, peer: StaticPeer, way: Way, issuer: &Issuer) -> Connector {
    let binaries = Binaries::from_environment().unwrap();
    let mut settings = ControlPlaneSettings::new(id, vec![peer]);
    let plane = format!("plane-of-{}", id.rsplit(':').next().unwrap());
    std::fs::create_dir_all(folder).unwrap();
    // What a platform would write: here the workload's own name.
    let workload = |name: &str| {
        let path = folder.join(format!("{}.workload", name.replace(':', "_")));
        std::fs::write(&path, name).unwrap();
        path.display().to_string()
    };
    let broker = |name: &str| {
        toml::Table::from_iter([
            ("endpoint".to_owned(), issuer.address("token").into()),
            ("issuer".to_owned(), issuer.server.url().into()),
            ("jwks_uri".to_owned(), issuer.address("jwks").into()),
            ("subject_token_file".to_owned(), workload(name).into()),
        ])
    };
    let (section, name, agreed) = match way {
        Way::ClientCredentials => {
            let section = toml::toml! {
                token_endpoint = "" client_id = "" client_secret = "" issuer = "" jwks_uri = ""
            };
            let mut section: toml::Table = section;
            section["token_endpoint"] = issuer.address("token").into();
            section["client_id"] = format!("{plane}>{id}").into();
            section["client_secret"] = SECRET.into();
            section["issuer"] = issuer.server.url().into();
            section["jwks_uri"] = issuer.address("jwks").into();
            let agreed = json!({"oauth2": {"tokenEndpoint": issuer.address("token"), "clientId": format!("{id}>{plane}"),
                "clientSecret": SECRET, "jwksUri": issuer.address("jwks")}});
            (section, "oauth2", agreed)
        }
        Way::Exchange => {
            settings.broker = Some(broker(id));
            let mut section = broker(&plane);
            section.insert("scope".to_owned(), "transfers.tell".into());
            section.insert("accept_scope".to_owned(), "flows.write".into());
            section.insert("accept_participant_context".to_owned(), "city".into());
            let agreed = json!({"tokenExchange": {"scope": "flows.write", "acceptScope": "transfers.tell",
                "acceptParticipantContext": "city"}});
            (section, "exchange", agreed)
        }
    };
    let control = ControlPlane::start(&binaries, &folder.join("control"), settings).await.unwrap();
    // The operator makes the plane known; where it is, it says itself.
    let mut body = json!({"endpoint": "http://127.0.0.1:9", "profiles": ["http-pull"]});
    body.as_object_mut().unwrap().extend(agreed.as_object().unwrap().clone());
    let (status, made) = control.api().call(Method::PUT, &format!("/data-planes/{plane}"), Some(&body)).await.unwrap();
    assert!(status < 300, "{made}");
    let shown = control.api().get(&format!("/data-planes/{plane}")).await.unwrap();
    assert!(!shown.to_string().contains(SECRET));
    let authorization = toml::Table::from_iter([("id".to_owned(), id.into()), (name.to_owned(), section.into())]);
    let settings =
        DataPlaneSettings { id: Some(plane.clone()), authorization: Some(authorization), ..Default::default() };
    let data = DataPlane::start(&binaries, &folder.join("data"), &control, settings).await.unwrap();
    wait::until("the plane has registered itself", wait::PATIENCE, || async {
        let shown = control.api().get(&format!("/data-planes/{plane}")).await.ok()?;
        (text(&shown, "endpoint") == data.signaling()).then_some(())
    })
    .await
    .unwrap();
    Connector { control, data }
}

/// A status of the signaling interfaces for this value of `Authorization`.
async fn status(address: &str, authorization: &str) -> u16 {
    let asked = reqwest::Client::new().get(address).header("authorization", authorization).send().await;
    asked.unwrap().status().as_u16()
}

async fn whole_transfers_without_a_shared_secret(way: Way) {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, source) = (Issuer::start(), source::start().unwrap());
    let peer = |id, accepted, sent| StaticPeer::new(id, accepted, sent, &[("membership", "active")]);
    let provider = peer(CONSUMER, "token-that-durres-shows", "token-that-bari-shows");
    let provider = start(&folder.path().join("provider"), PROVIDER, provider, way, &issuer).await;
    let consumer = peer(PROVIDER, "token-that-bari-shows", "token-that-durres-shows");
    let consumer = start(&folder.path().join("consumer"), CONSUMER, consumer, way, &issuer).await;
    introduce(&consumer, &provider).await.unwrap();
    introduce(&provider, &consumer).await.unwrap();

    // The secret that the planes would share is worth nothing at the data plane, nor is a token for somebody else.
    let flow = format!("{}/dataflows/x/status", provider.data.signaling());
    assert_eq!(status(&flow, &format!("Bearer {}", provider.control.signaling_token())).await, 401);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let token = |subject: &str, audience: &str| {
        let claims = json!({"iss": issuer.server.url(), "sub": subject, "aud": audience, "iat": now, "exp": now + 60,
            "scope": "flows.write transfers.tell", "participant_context": "city"});
        format!("Bearer {}", sign(&issuer.key.lock().unwrap(), &claims))
    };
    assert_eq!(status(&flow, &token(PROVIDER, "plane-of-durres.example")).await, 401);
    assert_eq!(status(&flow, &token(CONSUMER, "plane-of-bari.example")).await, 401);
    assert_eq!(status(&flow, &token(PROVIDER, "plane-of-bari.example")).await, 404);
    let agreement_path = format!("{}/transfers/x/agreement", provider.control.signaling());
    assert_eq!(status(&agreement_path, &token("plane-of-durres.example", PROVIDER)).await, 401);
    assert_eq!(status(&agreement_path, &token("plane-of-bari.example", PROVIDER)).await, 404);

    let dataset = json!({"id": "air", "title": "air", "source": {"http": {"baseUrl": source.url()}}});
    let policy = json!({"id": "policy-air", "permission": [{"action": "use", "constraint": [{"leftOperand": "count",
        "operator": "lteq", "rightOperand": {"@value": "100", "@type": "xsd:integer"}}]}]});
    provider.api().publish(&dataset, &policy, &json!({"id": "offer-air"})).await.unwrap();
    let wanted = json!({"partner": PROVIDER, "datasetId": "air", "decision": "automatic"});
    let negotiation = consumer.api().post("/negotiations", wanted).await.unwrap();
    let agreement = consumer.api().agreed(text(&negotiation, "id")).await.unwrap();
    let transfer = async || {
        let begun = consumer.api().post("/transfers", json!({"agreementId": agreement})).await.unwrap();
        readable(consumer.api(), text(&begun, "id"), wait::PATIENCE).await.unwrap()
    };
    let begun = transfer().await;
    let address = format!("{}/ngsi-ld/v1/entities", text(&begun, "localEndpoint"));
    // Each use is granted by the control plane on a question of the data plane.
    assert_eq!(read(&address, &[]).await.unwrap().0, 200);
    let given = issuer.given.load(Ordering::SeqCst);
    assert!(given <= 4, "each plane keeps its token: {given}");

    // The keys change while a transfer runs: what goes between the planes finds its way with new tokens.
    *issuer.key.lock().unwrap() = key("k-2");
    let id = text(&begun, "id");
    consumer.api().command(Kind::Transfer, id, "suspend", json!({})).await.unwrap();
    consumer.api().reaches_within(Kind::Transfer, id, &["SUSPENDED"], Duration::from_secs(60)).await.unwrap();
    assert_eq!(read(&address, &[]).await.unwrap().0, 403);
    consumer.api().command(Kind::Transfer, id, "resume", json!({})).await.unwrap();
    wait::until("it can be read again", Duration::from_secs(60), || async {
        (read(&address, &[]).await.ok()?.0 == 200).then_some(())
    })
    .await
    .unwrap();
    let completed =
        reqwest::Client::new().post(format!("{}/transfers/{id}/completed", consumer.data.local())).send().await;
    assert!(completed.unwrap().status().is_success());
    consumer.api().reaches_within(Kind::Transfer, id, &["COMPLETED"], Duration::from_secs(60)).await.unwrap();
    for part in ["provider", "consumer"] {
        for program in ["control/hansa.log", "data/hansa-dataplane.log"] {
            let log = std::fs::read_to_string(folder.path().join(part).join(program)).unwrap();
            assert!(!log.contains(SECRET) && !log.contains("eyJ"), "{part} {program}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_by_client_credentials_alone() {
    whole_transfers_without_a_shared_secret(Way::ClientCredentials).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_by_exchanged_tokens_alone() {
    whole_transfers_without_a_shared_secret(Way::Exchange).await;
}
