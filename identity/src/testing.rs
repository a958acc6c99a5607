//! Shared by the tests of this crate: answers from memory, a fixed time, and parties with a key and a DID document.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::jose::{Algorithm, PrivateKey};
use crate::{Clock, Fetch, FetchError, Fetched};

/// The time of the tests, seconds since the epoch: 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600;

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct FixedClock(AtomicI64);

impl FixedClock {
    /// At [`NOW`].
    pub(crate) fn new() -> Arc<Self> {
        Self::at(NOW)
    }

    pub(crate) fn at(now: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now)))
    }

    pub(crate) fn set(&self, now: i64) {
        self.0.store(now, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A POST that was made.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) url: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

type Handler = Arc<dyn Fn(&Posted) -> Result<Fetched, FetchError> + Send + Sync>;

#[derive(Default)]
struct Answers {
    gets: HashMap<String, Result<Fetched, FetchError>>,
    posts: HashMap<String, Handler>,
    /// What was asked for, GET and POST, in order.
    asked: Vec<String>,
    posted: Vec<Posted>,
}

/// [`Fetch`] from memory. What was not registered is answered 404.
#[derive(Default)]
pub(crate) struct MapFetch(Mutex<Answers>);

impl MapFetch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The answer to GET of `url`, from now on.
    pub(crate) fn put(&self, url: &str, answer: Fetched) {
        self.0.lock().unwrap().gets.insert(url.to_owned(), Ok(answer));
    }

    /// The answer to GET of `url`: 200 with a JSON body.
    pub(crate) fn put_json(&self, url: &str, body: &Value) {
        self.put(url, ok_json(body));
    }

    /// The answer to GET of `url`: 200 with text.
    pub(crate) fn put_text(&self, url: &str, content_type: &str, body: &str) {
        self.put(
            url,
            Fetched {
                status: 200,
                content_type: Some(content_type.to_owned()),
                body: body.as_bytes().to_vec(),
                ..Fetched::default()
            },
        );
    }

    /// GET of `url` fails.
    pub(crate) fn fail(&self, url: &str, error: FetchError) {
        self.0.lock().unwrap().gets.insert(url.to_owned(), Err(error));
    }

    /// POST to `url` is answered by `handler`.
    pub(crate) fn on_post(
        &self,
        url: &str,
        handler: impl Fn(&Posted) -> Result<Fetched, FetchError> + Send + Sync + 'static,
    ) {
        self.0.lock().unwrap().posts.insert(url.to_owned(), Arc::new(handler));
    }

    /// How many requests went to `url`.
    pub(crate) fn calls(&self, url: &str) -> usize {
        self.0.lock().unwrap().asked.iter().filter(|asked| *asked == url).count()
    }

    /// All requests that were made.
    pub(crate) fn total_calls(&self) -> usize {
        self.0.lock().unwrap().asked.len()
    }

    /// All POSTs that were made.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.0.lock().unwrap().posted.clone()
    }
}

#[async_trait]
impl Fetch for MapFetch {
    async fn get(
        &self,
        url: &Url,
        _accept: &str,
        _authorization: Option<&SecretString>,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        let answer = {
            let mut answers = self.0.lock().unwrap();
            answers.asked.push(url.as_str().to_owned());
            answers.gets.get(url.as_str()).cloned()
        };
        // Whoever asks at the same time shall have the chance to meet this request.
        tokio::task::yield_now().await;
        within(answer.unwrap_or_else(|| Ok(Fetched { status: 404, ..Fetched::default() }))?, max_bytes)
    }

    async fn post_json(
        &self,
        url: &Url,
        authorization: Option<&SecretString>,
        body: &Value,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        let posted = Posted {
            url: url.as_str().to_owned(),
            authorization: authorization.map(|value| value.expose_secret().to_owned()),
            body: body.clone(),
        };
        let handler = {
            let mut answers = self.0.lock().unwrap();
            answers.asked.push(posted.url.clone());
            answers.posted.push(posted.clone());
            answers.posts.get(url.as_str()).cloned()
        };
        tokio::task::yield_now().await;
        let answer = match handler {
            Some(handler) => handler(&posted)?,
            None => Fetched { status: 404, ..Fetched::default() },
        };
        within(answer, max_bytes)
    }
}

fn within(answer: Fetched, max_bytes: usize) -> Result<Fetched, FetchError> {
    if answer.body.len() > max_bytes {
        let message = format!("the answer is larger than {max_bytes} bytes");
        return Err(FetchError { message, forbidden: false, temporary: false });
    }
    Ok(answer)
}

/// 200 with a JSON body.
pub(crate) fn ok_json(body: &Value) -> Fetched {
    Fetched {
        status: 200,
        content_type: Some("application/json".to_owned()),
        body: body.to_string().into_bytes(),
        ..Fetched::default()
    }
}

/// An answer without a body.
pub(crate) fn status(status: u16) -> Fetched {
    Fetched { status, ..Fetched::default() }
}

/// An error of the network, which may pass.
pub(crate) fn unreachable_host() -> FetchError {
    FetchError { message: "the connection was refused".to_owned(), forbidden: false, temporary: true }
}

/// A party: a did:web, a P-256 key that the document lists for all three uses, and a credential service.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) did: String,
    pub(crate) key: PrivateKey,
    /// The verification method: `DID#key-1`.
    pub(crate) kid: String,
}

/// Makes a party whose document is served by `fetch`, as `https`.
pub(crate) fn actor(fetch: &MapFetch, did: &str) -> Actor {
    actor_with(fetch, did, Algorithm::Es256)
}

/// As [`actor`], with a key for this algorithm.
pub(crate) fn actor_with(fetch: &MapFetch, did: &str, algorithm: Algorithm) -> Actor {
    let actor =
        Actor { did: did.to_owned(), key: PrivateKey::generate(algorithm).unwrap(), kid: format!("{did}#key-1") };
    fetch.put_json(&document_url(did), &actor.document());
    actor
}

impl Actor {
    /// Its DID document.
    pub(crate) fn document(&self) -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"],
            "id": self.did,
            "verificationMethod": [{
                "id": self.kid,
                "type": "JsonWebKey",
                "controller": self.did,
                "publicKeyJwk": self.key.public().jwk(),
            }],
            "authentication": [self.kid],
            "assertionMethod": [self.kid],
            "capabilityInvocation": [self.kid],
            "service": [{
                "id": format!("{}#cs", self.did),
                "type": "CredentialService",
                "serviceEndpoint": self.service_url(),
            }],
        })
    }

    /// Base URL of its credential service.
    pub(crate) fn service_url(&self) -> String {
        document_url(&self.did).replace("/.well-known/did.json", "/cs").replace("/did.json", "/cs")
    }

    /// A compact JWS with its `kid`; `header` members are added.
    pub(crate) fn sign(&self, header: &Value, payload: &Value) -> String {
        let mut full = json!({"kid": self.kid});
        full.as_object_mut().unwrap().extend(header.as_object().cloned().unwrap_or_default());
        self.key.sign_compact(&full, payload).unwrap()
    }
}

/// Where the document of a did:web lies, for the names that tests use.
pub(crate) fn document_url(did: &str) -> String {
    let id = did.strip_prefix("did:web:").unwrap();
    match id.split_once(':') {
        None => format!("https://{}/.well-known/did.json", id.replace("%3A", ":")),
        Some((host, path)) => format!("https://{}/{}/did.json", host.replace("%3A", ":"), path.replace(':', "/")),
    }
}
