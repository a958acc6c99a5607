//! What it costs to know a caller by its verifiable credentials, in CPU time of the one thread that does it: `identity-bench`.
//!
//! Two participants and an authority live in memory; documents and the presentation are handed over without a network. *Cold* is
//! the first request of a partner: its ID token, two DID documents, our own ID token for its credential service, the presentation,
//! the credential and its status list, with every cache empty. *Warm* is each further request: a new ID token, all else known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use identity::credential::{CredentialVerifier, Format, NewCredential, issue};
use identity::dcp::message::PresentationResponseMessage;
use identity::dcp::{Dcp, DcpParts, DcpSettings};
use identity::did::{Did, DidDocument, DidResolver, DidSettings, OwnService, own_document};
use identity::jose::Algorithm;
use identity::keys::{KeyRing, Signer};
use identity::presentation::{PresentationVerifier, make_vp_jwt};
use identity::schema::SchemaChecker;
use identity::scope::Scopes;
use identity::status::{MIN_ENTRIES, NewStatusList, StatusBits, StatusChecker, StatusKind, publish};
use identity::token::{IdToken, ReplayMemory, TokenValidator, mint};
use identity::trust::{IssuerList, TrustedCredential, TrustedIssuer};
use identity::{Clock, Fetch, FetchError, Fetched, Identity, IncomingRequest, SystemClock};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

const SCOPE: &str = "org.eclipse.dspace.dcp.vc.type:MembershipCredential:read";
const COLD_ROUNDS: usize = 300;
const WARM_ROUNDS: usize = 3000;
/// What the project asks for, in microseconds.
const TARGETS: (f64, f64) = (1500.0, 200.0);

struct Party {
    did: Did,
    ring: KeyRing,
    signer: Arc<dyn Signer>,
}

impl Party {
    fn new(name: &str) -> Self {
        let did: Did = format!("did:web:{name}.example").parse().unwrap();
        let ring = KeyRing::init(Algorithm::Es256, SystemClock.now()).unwrap();
        let signer = Arc::new(ring.signer(&did).unwrap());
        Self { did, ring, signer }
    }

    fn document(&self) -> Value {
        let host = self.did.method_specific_id();
        let service = OwnService { service_type: "CredentialService".into(), endpoint: format!("https://{host}/dcp") };
        own_document(&self.did, &self.ring, &[service], SystemClock.now()).unwrap()
    }
}

/// The network: what each address answers.
#[derive(Default)]
struct Addresses(HashMap<String, (&'static str, Vec<u8>)>);

impl Addresses {
    fn answer(&self, url: &Url) -> Result<Fetched, FetchError> {
        let (content_type, body) = self.0.get(url.as_str()).unwrap_or_else(|| panic!("nothing at {url}"));
        Ok(Fetched {
            status: 200,
            content_type: Some((*content_type).to_owned()),
            body: body.clone(),
            ..Fetched::default()
        })
    }
}

#[async_trait]
impl Fetch for Addresses {
    async fn get(&self, url: &Url, _: &str, _: Option<&SecretString>, _: usize) -> Result<Fetched, FetchError> {
        self.answer(url)
    }

    async fn post_json(&self, url: &Url, _: Option<&SecretString>, _: &Value, _: usize) -> Result<Fetched, FetchError> {
        self.answer(url)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (us, caller, authority) = (Party::new("us"), Party::new("caller"), Party::new("authority"));
    let network = Arc::new(network(&us, &caller, &authority).await);
    let mut firsts = Vec::with_capacity(COLD_ROUNDS);
    for round in 0..COLD_ROUNDS {
        let access_token = format!("access-{round}");
        firsts.push((verifier(&us, &authority, network.clone()), token(&caller, &us, &access_token).await));
    }
    let before = cpu_ns();
    for (dcp, authorization) in &firsts {
        know(dcp, &us, authorization).await;
    }
    let cold = per_request(before, COLD_ROUNDS);

    let dcp = verifier(&us, &authority, network);
    know(&dcp, &us, &token(&caller, &us, "access").await).await;
    let mut further = Vec::with_capacity(WARM_ROUNDS);
    for _ in 0..WARM_ROUNDS {
        further.push(token(&caller, &us, "access").await);
    }
    let before = cpu_ns();
    for authorization in &further {
        know(&dcp, &us, authorization).await;
    }
    let warm = per_request(before, WARM_ROUNDS);
    println!("{:<64} {:>8} {:>8}", "CPU microseconds to know a caller, mean", "measured", "target");
    println!("{:<64} {cold:>8.0} {:>8}", "cold: token, presentation, credential, status, no cache", TARGETS.0);
    println!("{:<64} {warm:>8.0} {:>8}", "warm: a new token, all else known", TARGETS.1);
    println!("{}", if cold <= TARGETS.0 && warm <= TARGETS.1 { "every target is met" } else { "a target is missed" });
}

async fn network(us: &Party, caller: &Party, authority: &Party) -> Addresses {
    let now = SystemClock.now();
    let mut network = Addresses::default();
    for party in [us, caller, authority] {
        let url = format!("https://{}/.well-known/did.json", party.did.method_specific_id());
        network.0.insert(url, ("application/did+json", party.document().to_string().into_bytes()));
    }
    let list_url: Url = "https://authority.example/status/b1".parse().unwrap();
    let list = NewStatusList {
        kind: StatusKind::Bitstring,
        issuer: &authority.did,
        url: &list_url,
        purpose: "revocation",
        bits: &StatusBits::new(MIN_ENTRIES),
        valid_from: now,
        valid_until: now + 3600,
    };
    let list = publish(&list, &*authority.signer).await.unwrap();
    network.0.insert(list_url.to_string(), ("application/vc+jwt", list.into_bytes()));
    let status = json!({
        "id": format!("{list_url}#7"), "type": "BitstringStatusListEntry", "statusPurpose": "revocation",
        "statusListIndex": "7", "statusListCredential": list_url.as_str(),
    });
    let claims: Map<String, Value> = json!({"memberOf": "River cities", "role": "city"}).as_object().unwrap().clone();
    let credential = NewCredential {
        format: Format::Vc20Jwt,
        id: "urn:uuid:1",
        issuer: &authority.did,
        subject: &caller.did,
        types: &["MembershipCredential".to_owned()],
        contexts: &[],
        claims: &claims,
        valid_from: now,
        valid_until: Some(now + 3600),
        status: Some(&status),
        schema: None,
    };
    let credential = issue(&credential, &*authority.signer).await.unwrap();
    let presentation =
        make_vp_jwt(Format::Vc20Jwt, &*caller.signer, &caller.did, &us.did, &[credential], now, 3600).await.unwrap();
    let response =
        PresentationResponseMessage { presentation: vec![presentation.into()], presentation_submission: None };
    let url = "https://caller.example/dcp/presentations/query".to_owned();
    network.0.insert(url, ("application/json", response.to_json().to_string().into_bytes()));
    network
}

/// A verifier that knows nothing yet but itself.
fn verifier(us: &Party, authority: &Party, network: Arc<Addresses>) -> Dcp {
    let fetch: Arc<dyn Fetch> = network;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let resolver = Arc::new(
        DidResolver::new(fetch.clone(), clock.clone(), DidSettings::default())
            .with_own(DidDocument::parse(&us.document()).unwrap()),
    );
    let trusted = TrustedCredential { credential_type: "MembershipCredential".into(), claims: None };
    let issuers = vec![TrustedIssuer { did: authority.did.to_string(), credentials: vec![trusted] }];
    let trust = Arc::new(IssuerList::new(issuers).unwrap());
    let status = Arc::new(StatusChecker::new(fetch.clone(), resolver.clone(), trust.clone(), clock.clone(), 300));
    let schemas = Arc::new(SchemaChecker::new(fetch.clone(), [], clock.clone()));
    let credentials =
        Arc::new(CredentialVerifier::new(resolver.clone(), status, schemas, trust.clone(), clock.clone(), 30));
    let presentations = Arc::new(PresentationVerifier::new(credentials, resolver.clone(), clock.clone(), 30));
    let tokens = TokenValidator::new(resolver.clone(), clock.clone(), Arc::new(ReplayMemory::new(100_000)));
    Dcp::new(
        DcpParts {
            own: us.did.clone(),
            signer: us.signer.clone(),
            resolver,
            fetch,
            clock,
            tokens: Arc::new(tokens),
            presentations,
            trust,
        },
        DcpSettings { default_scopes: Scopes::parse(SCOPE).unwrap(), ..DcpSettings::default() },
    )
}

async fn token(from: &Party, to: &Party, access_token: &str) -> String {
    let access_token = SecretString::from(access_token.to_owned());
    let say = IdToken::new(&from.did, to.did.as_str(), 300).with_token(Some(&access_token));
    format!("Bearer {}", mint(&*from.signer, &SystemClock, &say).await.unwrap().expose_secret())
}

async fn know(dcp: &Dcp, us: &Party, authorization: &str) {
    let request = IncomingRequest { authorization: Some(authorization), audience: us.did.as_str() };
    let participant = dcp.authenticate(&request).await.unwrap();
    assert_eq!(participant.claims()["membership"], json!(["active"]));
}

/// Microseconds of CPU time for each of `requests` since `before`. Read only at both ends: the counter moves in steps.
fn per_request(before: u64, requests: usize) -> f64 {
    (cpu_ns() - before) as f64 / 1000.0 / requests as f64
}

/// CPU time of this thread, nanoseconds.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
