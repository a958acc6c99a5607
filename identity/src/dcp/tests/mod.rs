//! Two cities and an authority, each with all roles, over a network in memory.
#![allow(clippy::unwrap_used)]

mod access_token;
mod client;
mod definition;
mod flow;
mod holder;
mod issuer;
mod refusals;
mod sts;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::holder::{Holder, HolderSettings, StoredCredential};
use super::message::PresentationQueryMessage;
use super::{Dcp, DcpError, DcpParts, DcpSettings};
use crate::credential::{CredentialVerifier, Format, NewCredential, issue};
use crate::did::{Did, DidDocument, DidResolver, DidSettings, DidUrl};
use crate::keys::KeySigner;
use crate::presentation::PresentationVerifier;
use crate::schema::SchemaChecker;
use crate::scope::{Scope, Scopes};
use crate::status::StatusChecker;
use crate::testing::{Actor, FixedClock, MapFetch, NOW, actor, ok_json, status};
use crate::token::{IdToken, ReplayMemory, SelfIssued, TokenValidator, bearer, mint};
use crate::trust::{IssuerList, TrustedIssuer};
use crate::{Fetch, FetchError, Fetched};

pub(super) const BARI: &str = "did:web:bari.example";
pub(super) const TURKU: &str = "did:web:turku.example";
pub(super) const AUTHORITY: &str = "did:web:authority.example";

pub(super) fn scopes(types: &[&str]) -> Scopes {
    Scopes::new(types.iter().map(|name| Scope::read_type(name).unwrap())).unwrap()
}

pub(super) fn did(text: &str) -> Did {
    text.parse().unwrap()
}

/// What is done to an answer on its way.
type Tamper = Box<dyn Fn(Value) -> Fetched + Send>;

/// Answers GET from a map and queries by the credential services of the cities.
pub(super) struct Net {
    pub(super) map: Arc<MapFetch>,
    services: Mutex<HashMap<String, Arc<CredentialService>>>,
    tamper: Mutex<Option<Tamper>>,
}

/// The credential service of a city behind its HTTP endpoint.
struct CredentialService {
    did: Did,
    tokens: TokenValidator,
    holder: Holder,
    stored: Arc<Mutex<Vec<StoredCredential>>>,
}

impl CredentialService {
    async fn query(&self, authorization: Option<&str>, body: &Value) -> Result<Value, DcpError> {
        let caller = self.tokens.validate(bearer(authorization)?, &self.did).await?;
        let query = PresentationQueryMessage::parse(body)?;
        let stored = self.stored.lock().unwrap().clone();
        Ok(self.holder.answer(&caller, &query, &stored).await?.to_json())
    }
}

impl Net {
    pub(super) fn tamper(&self, with: impl Fn(Value) -> Fetched + Send + 'static) {
        *self.tamper.lock().unwrap() = Some(Box::new(with));
    }
}

#[async_trait]
impl Fetch for Net {
    async fn get(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&SecretString>,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        self.map.get(url, accept, authorization, max_bytes).await
    }

    async fn post_json(
        &self,
        url: &Url,
        authorization: Option<&SecretString>,
        body: &Value,
        max_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        // Counts it, and answers what is not a query.
        let other = self.map.post_json(url, authorization, body, max_bytes).await?;
        let service = self.services.lock().unwrap().get(url.as_str()).cloned();
        let Some(service) = service.filter(|_service| other.status == 404) else { return Ok(other) };
        let header = authorization.map(|header| header.expose_secret());
        Ok(match service.query(header, body).await {
            Ok(answer) => match &*self.tamper.lock().unwrap() {
                Some(tamper) => tamper(answer),
                None => ok_json(&answer),
            },
            Err(error) => status(error.refusal().status()),
        })
    }
}

/// One installation.
pub(super) struct City {
    pub(super) actor: Actor,
    pub(super) did: Did,
    pub(super) signer: Arc<KeySigner>,
    pub(super) resolver: Arc<DidResolver>,
    pub(super) clock: Arc<FixedClock>,
    pub(super) trust: Arc<IssuerList>,
    pub(super) credentials: Arc<CredentialVerifier>,
    pub(super) stored: Arc<Mutex<Vec<StoredCredential>>>,
    pub(super) dcp: Dcp,
}

pub(super) struct World {
    pub(super) net: Arc<Net>,
    pub(super) clock: Arc<FixedClock>,
    pub(super) bari: City,
    pub(super) turku: City,
    pub(super) authority: City,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(&DcpSettings { default_scopes: scopes(&["MembershipCredential"]), ..DcpSettings::default() })
    }

    pub(super) fn with(settings: &DcpSettings) -> Self {
        let clock = FixedClock::new();
        let net = Arc::new(Net { map: MapFetch::new(), services: Mutex::default(), tamper: Mutex::default() });
        let city = |name: &str| City::new(name, &net, &clock, settings.clone());
        let (bari, turku, authority) = (city(BARI), city(TURKU), city(AUTHORITY));
        Self { net, clock, bari, turku, authority }
    }

    /// A credential by the authority, about `subject`.
    pub(super) async fn credential(&self, subject: &City, name: &str, claims: Value, format: Format) -> Value {
        self.credential_for(subject, name, claims, format, (NOW - 10, Some(NOW + 10_000))).await
    }

    pub(super) async fn credential_for(
        &self,
        subject: &City,
        name: &str,
        claims: Value,
        format: Format,
        (valid_from, valid_until): (i64, Option<i64>),
    ) -> Value {
        let claims: Map<String, Value> = claims.as_object().unwrap().clone();
        let new = NewCredential {
            format,
            id: &format!("urn:example:{name}"),
            issuer: &self.authority.did,
            subject: &subject.did,
            types: &[name.to_owned()],
            contexts: &[],
            claims: &claims,
            valid_from,
            valid_until,
            status: None,
            schema: None,
        };
        json!(issue(&new, &*self.authority.signer).await.unwrap())
    }

    /// Gives a city a credential of the authority.
    pub(super) async fn give(&self, to: &City, name: &str, claims: Value) {
        let raw = self.credential(to, name, claims, Format::Vc11Jwt).await;
        to.store(raw);
    }

    /// How often the credential service of Bari was asked.
    pub(super) fn queries(&self) -> usize {
        self.net.map.calls("https://bari.example/cs/presentations/query")
    }
}

impl City {
    fn new(name: &str, net: &Arc<Net>, clock: &Arc<FixedClock>, settings: DcpSettings) -> Self {
        let actor = actor(&net.map, name);
        let own = did(name);
        let signer = Arc::new(KeySigner::new(DidUrl::parse(&actor.kid).unwrap(), actor.key.clone()));
        let fetch: Arc<dyn Fetch> = net.clone();
        let document = DidDocument::parse(&actor.document()).unwrap();
        let resolver = DidResolver::new(fetch.clone(), clock.clone(), DidSettings::default()).with_own(document);
        let resolver = Arc::new(resolver);
        let trusted = json!({"issuers": [{"did": AUTHORITY, "credentials": [{"type": "*"}]}]}).to_string();
        let trust = Arc::new(IssuerList::new(TrustedIssuer::parse_list(trusted.as_bytes()).unwrap()).unwrap());
        let statuses = Arc::new(StatusChecker::new(fetch.clone(), resolver.clone(), trust.clone(), clock.clone(), 60));
        let schemas = Arc::new(SchemaChecker::new(fetch.clone(), [], clock.clone()));
        let credentials =
            Arc::new(CredentialVerifier::new(resolver.clone(), statuses, schemas, trust.clone(), clock.clone(), 30));
        let presentations =
            Arc::new(PresentationVerifier::new(credentials.clone(), resolver.clone(), clock.clone(), 30));
        let tokens = || TokenValidator::new(resolver.clone(), clock.clone(), Arc::new(ReplayMemory::default()));
        let parts = DcpParts {
            own: own.clone(),
            signer: signer.clone(),
            resolver: resolver.clone(),
            fetch,
            clock: clock.clone(),
            tokens: Arc::new(tokens()),
            presentations,
            trust: trust.clone(),
        };
        let stored = Arc::new(Mutex::new(Vec::new()));
        let city = Self {
            did: own.clone(),
            signer,
            resolver: resolver.clone(),
            clock: clock.clone(),
            trust,
            credentials,
            stored: stored.clone(),
            dcp: Dcp::new(parts, settings),
            actor,
        };
        let service = CredentialService { did: own, tokens: tokens(), holder: city.holder(true), stored };
        let url = format!("{}/presentations/query", city.actor.service_url());
        net.services.lock().unwrap().insert(url, Arc::new(service));
        city
    }

    pub(super) fn holder(&self, strict_scopes: bool) -> Holder {
        let settings = HolderSettings {
            strict_scopes,
            accepted_holder_pids: BTreeSet::from(["configured".to_owned()]),
            ..HolderSettings::default()
        };
        self.holder_with(settings)
    }

    pub(super) fn holder_with(&self, settings: HolderSettings) -> Holder {
        Holder::new(self.did.clone(), self.signer.clone(), self.resolver.clone(), self.clock.clone(), settings)
    }

    pub(super) fn store(&self, raw: Value) {
        self.stored.lock().unwrap().push(StoredCredential::read(raw, false).unwrap());
    }

    /// What a valid ID token of this city says, with this access token.
    pub(super) fn caller(&self, token: Option<&SecretString>) -> SelfIssued {
        let token_use = crate::token::TokenUse { issuer: self.did.to_string(), jti: "1".into(), expires: NOW + 330 };
        SelfIssued {
            did: self.did.clone(),
            issued: NOW,
            expires: NOW + 300,
            token: token.cloned(),
            pre_authorized_code: None,
            token_use,
            extra: Map::new(),
        }
    }

    /// An ID token of this city.
    pub(super) async fn id_token(&self, audience: &str, token: Option<&SecretString>) -> SecretString {
        let say = IdToken::new(&self.did, audience, 300).with_token(token);
        mint(&*self.signer, &*self.clock, &say).await.unwrap()
    }
}
