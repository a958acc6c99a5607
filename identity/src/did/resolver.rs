//! From a DID to its document and its keys (DID Resolution; DID Core 1.0, 7).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use moka::future::Cache;
use serde_json::Value;

use super::{Did, DidDocument, DidError, DidUrl, Relationship, key_methods, web};
use crate::jose::PublicKey;
use crate::{Clock, Fetch, FetchError, Fetched};

/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 64 * 1024;
/// How long a failure is remembered, in seconds, and the shortest time that a document is kept, whatever its host says.
const SHORTEST_S: i64 = 5;
/// How long a document that lacks a key is kept before it is fetched anew for that reason, in seconds.
const REFETCH_S: i64 = 10;
/// What all cached documents together may take, in bytes of their text.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
const ACCEPT: &str = "application/did+json, application/did+ld+json, application/json";

/// How DIDs are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DidSettings {
    /// How long a document is kept, in seconds; less when its host asks for less. 300 by default.
    pub ttl_s: u32,
    /// Fetches the documents of did:web over plain http, and from IP addresses: for trials on one machine.
    pub allow_http: bool,
}

impl Default for DidSettings {
    fn default() -> Self {
        Self { ttl_s: 300, allow_http: false }
    }
}

/// Resolves did:web, did:key and did:jwk, and remembers the answers.
pub struct DidResolver {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    settings: DidSettings,
    cache: Cache<Did, Answer>,
    own: RwLock<Option<Arc<DidDocument>>>,
}

#[derive(Clone)]
struct Answer {
    result: Result<Arc<DidDocument>, DidError>,
    /// Seconds since the epoch.
    fetched: i64,
    fresh_until: i64,
    weight: u32,
}

impl DidResolver {
    /// Fetches documents through `fetch`.
    pub fn new(fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>, settings: DidSettings) -> Self {
        let cache =
            Cache::builder().max_capacity(CACHE_BYTES).weigher(|_did: &Did, answer: &Answer| answer.weight).build();
        Self { fetch, clock, settings, cache, own: RwLock::new(None) }
    }

    /// Answers for our own DID with this document, without a request.
    #[must_use]
    pub fn with_own(self, document: DidDocument) -> Self {
        self.set_own(document);
        self
    }

    /// Exchanges our own document, after our keys or services changed.
    pub fn set_own(&self, document: DidDocument) {
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(document));
    }

    /// The document of a DID, from the cache while it is fresh. Those who ask at the same time share one request.
    ///
    /// # Errors
    /// `unsupported_did_method`, `malformed_did`, `did_not_found`, `did_unreachable` (temporary or not), `forbidden_address`,
    /// `bad_did_document`, `did_mismatch` when the document is another one's.
    pub async fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, DidError> {
        self.answer(did, |answer, now| now >= answer.fresh_until).await.result
    }

    /// The document as it is published now: past the cache and, for our own DID, past what we know.
    ///
    /// # Errors
    /// As [`DidResolver::resolve`].
    pub async fn resolve_fresh(&self, did: &Did) -> Result<DidDocument, DidError> {
        self.read(did).await.map(|(document, _ttl, _weight)| document)
    }

    /// Forgets the cached document of a DID.
    pub async fn forget(&self, did: &Did) {
        self.cache.invalidate(did).await;
    }

    /// The key of a verification method that its document lists for a use. A method that the cached document lacks makes us look
    /// once more, every few seconds at most: its owner may have changed keys.
    ///
    /// # Errors
    /// `unknown_key`, `key_not_allowed`, `bad_did_document` for a key of an unsupported kind; as [`DidResolver::resolve`].
    pub async fn key(&self, method: &DidUrl, relationship: Relationship) -> Result<PublicKey, DidError> {
        let document = self.resolve(method.did()).await?;
        if document.method(method).is_some() {
            return key_of(&document, method, relationship);
        }
        let document = self.answer(method.did(), |answer, now| now >= answer.fetched + REFETCH_S).await.result?;
        key_of(&document, method, relationship)
    }

    /// The key of a DID whose token names none: the document must hold exactly one (DCP 1.0.1, 4.3.3).
    ///
    /// # Errors
    /// `ambiguous_key` when there are several; otherwise as [`DidResolver::key`].
    pub async fn sole_key(&self, did: &Did, relationship: Relationship) -> Result<(DidUrl, PublicKey), DidError> {
        let document = self.resolve(did).await?;
        match document.methods.as_slice() {
            [] => Err(DidError::new("unknown_key", format!("the DID document of `{did}` has no verification method"))),
            [only] => Ok((only.id.clone(), key_of(&document, &only.id, relationship)?)),
            _ => Err(DidError::new(
                "ambiguous_key",
                format!("the DID document of `{did}` has several verification methods, and none is named"),
            )),
        }
    }

    async fn answer(&self, did: &Did, stale: impl Fn(&Answer, i64) -> bool + Send + Sync) -> Answer {
        if let Some(document) = self.own(did) {
            return Answer { result: Ok(document), fetched: i64::MAX, fresh_until: i64::MAX, weight: 0 };
        }
        let now = self.clock.now();
        let entry = self.cache.entry_by_ref(did).or_insert_with_if(self.ask(did), |answer| stale(answer, now)).await;
        entry.into_value()
    }

    fn own(&self, did: &Did) -> Option<Arc<DidDocument>> {
        self.own.read().unwrap_or_else(PoisonError::into_inner).clone().filter(|own| own.id == *did)
    }

    async fn ask(&self, did: &Did) -> Answer {
        let result = self.read(did).await;
        let now = self.clock.now();
        let kept = |ttl: i64| now.saturating_add(ttl);
        match result {
            Ok((document, ttl, weight)) => {
                Answer { result: Ok(Arc::new(document)), fetched: now, fresh_until: kept(ttl), weight }
            }
            Err(error) => Answer { result: Err(error), fetched: now, fresh_until: kept(SHORTEST_S), weight: 1024 },
        }
    }

    /// The document, how long it may be kept, and what it takes.
    async fn read(&self, did: &Did) -> Result<(DidDocument, i64, u32), DidError> {
        let ttl = i64::from(self.settings.ttl_s);
        match did.method() {
            "web" => self.fetch(did).await,
            "key" => Ok((key_methods::resolve_key(did)?, ttl, 4096)),
            "jwk" => Ok((key_methods::resolve_jwk(did)?, ttl, 4096)),
            other => Err(DidError::new(
                "unsupported_did_method",
                format!("the DID method `{}` is not supported; `web`, `key` and `jwk` are", crate::printable(other)),
            )),
        }
    }

    async fn fetch(&self, did: &Did) -> Result<(DidDocument, i64, u32), DidError> {
        let url = web::document_url(did, self.settings.allow_http)?;
        let answer = self.fetch.get(&url, ACCEPT, None, MAX_DOCUMENT).await.map_err(|error| failed(did, &error))?;
        check(did, &answer)?;
        let bad = || DidError::new("bad_did_document", format!("the DID document of `{did}` is not JSON"));
        let document: Value = serde_json::from_slice(&answer.body).map_err(|_error| bad())?;
        let document = DidDocument::parse(&document)?;
        if document.id != *did {
            let text = format!("the DID document of `{did}` says that it is the one of `{}`", document.id);
            return Err(DidError::new("did_mismatch", text));
        }
        let setting = i64::from(self.settings.ttl_s);
        let asked = answer.max_age.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(setting);
        let weight = u32::try_from(answer.body.len()).unwrap_or(u32::MAX).saturating_add(1024);
        Ok((document, asked.min(setting).max(SHORTEST_S), weight))
    }
}

fn key_of(document: &DidDocument, method: &DidUrl, relationship: Relationship) -> Result<PublicKey, DidError> {
    let found = document.method(method).ok_or_else(|| {
        let text = format!("the DID document of `{}` has no verification method `{method}`", document.id);
        DidError::new("unknown_key", text)
    })?;
    if !document.allows(relationship, method) {
        let text = format!("the DID document does not list `{method}` as `{}`", relationship.name());
        return Err(DidError::new("key_not_allowed", text));
    }
    found.key.clone()
}

fn failed(did: &Did, error: &FetchError) -> DidError {
    let text = format!("the DID document of `{did}` cannot be fetched: {error}");
    match (error.forbidden, error.temporary) {
        (true, _) => DidError::new("forbidden_address", text),
        (false, true) => DidError::temporary("did_unreachable", text),
        (false, false) => DidError::new("did_unreachable", text),
    }
}

fn check(did: &Did, answer: &Fetched) -> Result<(), DidError> {
    let text = format!("the host of the DID document of `{did}` answers with HTTP status {}", answer.status);
    match answer.status {
        200..=299 => Ok(()),
        404 | 410 => Err(DidError::new("did_not_found", text)),
        429 | 500..=599 => Err(DidError::temporary("did_unreachable", text)),
        _ => Err(DidError::new("did_unreachable", text)),
    }
}

impl fmt::Debug for DidResolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DidResolver").field("settings", &self.settings).finish_non_exhaustive()
    }
}
