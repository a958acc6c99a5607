//! What the tests of credentials, presentations, status lists and schemas share: an issuer, a holder, and verifiers over them.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{CredentialError, CredentialVerifier};
use crate::Fetch;
use crate::did::{Did, DidResolver, DidSettings};
use crate::keys::{KeySigner, Signer};
use crate::presentation::PresentationVerifier;
use crate::schema::SchemaChecker;
use crate::status::StatusChecker;
use crate::testing::{Actor, FixedClock, MapFetch, NOW, actor};
use crate::trust::TrustedIssuers;

/// Pairs of an issuer and a type that it is trusted for; `*` is any type.
pub(crate) struct Trusted(pub(crate) Mutex<Vec<(String, String)>>);

#[async_trait]
impl TrustedIssuers for Trusted {
    async fn check(&self, issuer: &str, types: &[String]) -> Result<(), CredentialError> {
        let trusted = self.0.lock().unwrap();
        let believed = |name: &String| {
            name == "VerifiableCredential"
                || trusted.iter().any(|(known, allowed)| known == issuer && (allowed == "*" || allowed == name))
        };
        if trusted.iter().any(|(known, _)| known == issuer) && types.iter().all(believed) {
            return Ok(());
        }
        Err(CredentialError::refused("untrusted_issuer", format!("`{issuer}` is not trusted for this")))
    }

    async fn claims(&self, _issuer: &str, _types: &[String]) -> Option<Vec<String>> {
        None
    }
}

pub(crate) struct World {
    pub(crate) fetch: Arc<MapFetch>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) status: Arc<StatusChecker>,
    pub(crate) credentials: Arc<CredentialVerifier>,
    pub(crate) presentations: PresentationVerifier,
    pub(crate) trust: Arc<Trusted>,
    pub(crate) issuer: Actor,
    pub(crate) holder: Actor,
    /// Trusted for nothing.
    pub(crate) stranger: Actor,
}

/// Who verifies.
pub(crate) const VERIFIER: &str = "did:web:verifier.example";
/// Seconds that status lists are kept.
pub(crate) const STATUS_TTL: i64 = 60;

impl World {
    pub(crate) fn new() -> Self {
        let fetch = MapFetch::new();
        let clock = FixedClock::new();
        let issuer = actor(&fetch, "did:web:issuer.example");
        let holder = actor(&fetch, "did:web:holder.example");
        let stranger = actor(&fetch, "did:web:stranger.example");
        let trust = Arc::new(Trusted(Mutex::new(vec![(issuer.did.clone(), "*".to_owned())])));
        let get: Arc<dyn Fetch> = fetch.clone();
        let resolver = Arc::new(DidResolver::new(get.clone(), clock.clone(), DidSettings::default()));
        let status =
            Arc::new(StatusChecker::new(get.clone(), resolver.clone(), trust.clone(), clock.clone(), STATUS_TTL));
        let hosts = ["schemas.example".to_owned()];
        let schemas = Arc::new(SchemaChecker::new(get, hosts, clock.clone()));
        let credentials = Arc::new(CredentialVerifier::new(
            resolver.clone(),
            status.clone(),
            schemas,
            trust.clone(),
            clock.clone(),
            30,
        ));
        let presentations = PresentationVerifier::new(credentials.clone(), resolver, clock.clone(), 30);
        Self { fetch, clock, status, credentials, presentations, trust, issuer, holder, stranger }
    }

    /// The claims of a VC 1.1 JWT that is in order.
    pub(crate) fn vc11(&self) -> Value {
        json!({
            "iss": self.issuer.did, "sub": self.holder.did, "jti": "urn:uuid:1", "nbf": NOW - 10, "exp": NOW + 1000,
            "vc": {
                "@context": ["https://www.w3.org/2018/credentials/v1"],
                "id": "urn:uuid:1",
                "type": ["VerifiableCredential", "MembershipCredential"],
                "issuer": self.issuer.did,
                "issuanceDate": "2025-12-31T23:59:50Z",
                "credentialSubject": {"id": self.holder.did, "membership": "active"},
            },
        })
    }

    /// A VC 2.0 that is in order.
    pub(crate) fn vc20(&self) -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": "urn:uuid:2",
            "type": ["VerifiableCredential", "MembershipCredential"],
            "issuer": {"id": self.issuer.did, "name": "An authority"},
            "validFrom": "2025-12-31T23:59:50Z",
            "validUntil": "2026-01-01T00:10:00Z",
            "credentialSubject": {"id": self.holder.did, "membership": "active"},
        })
    }

    /// Verifies a compact JWS; only the code of a refusal is told.
    pub(crate) async fn code(&self, token: &str) -> Result<(), &'static str> {
        self.credentials.verify(&json!(token)).await.map(drop).map_err(|error| error.code())
    }
}

/// Signs with the key of an actor.
pub(crate) fn signer(actor: &Actor) -> Box<dyn Signer> {
    Box::new(KeySigner::new(crate::did::DidUrl::parse(&actor.kid).unwrap(), actor.key.clone()))
}

pub(crate) fn did(text: &str) -> Did {
    text.parse().unwrap()
}

/// Sets (or, with `null` given as `None`, removes) a member, named by its path.
pub(crate) fn put(document: &mut Value, path: &str, value: Option<Value>) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(parent.insert(name.to_owned(), value)),
        None => drop(parent.remove(name)),
    }
}
