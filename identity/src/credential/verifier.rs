//! Whether a credential can be believed (DCP 1.0.1, verification of presentations, rules for credentials).

use std::borrow::Cow;
use std::sync::Arc;

use moka::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::parse::{self, Secured};
use super::validity::Period;
use super::{Credential, CredentialError, VerifiedCredential, jwt};
use crate::Clock;
use crate::did::{Did, DidResolver, DidUrl, Relationship};
use crate::jose::{Jws, MAX_JWS_BYTES};
use crate::schema::SchemaChecker;
use crate::status::StatusChecker;
use crate::trust::TrustedIssuers;

/// Seconds that a result is kept at most, when nothing else says so: about as long as keys are.
const KEEP: i64 = 300;
/// Bytes of credentials whose results are kept.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Verifies credentials: trust in the issuer, validity, signature, schema and status, in this order, so that no address that an
/// untrusted credential names is ever fetched.
///
/// Results are kept, by the SHA-256 of the credential, until one of their grounds has to be looked at again. Trust and validity are
/// looked at each time.
pub struct CredentialVerifier {
    resolver: Arc<DidResolver>,
    status: Arc<StatusChecker>,
    schemas: Arc<SchemaChecker>,
    trust: Arc<dyn TrustedIssuers>,
    clock: Arc<dyn Clock>,
    leeway: i64,
    keep: i64,
    known: Cache<[u8; 32], Arc<Known>>,
}

struct Known {
    verified: VerifiedCredential,
    bytes: usize,
}

impl CredentialVerifier {
    /// `leeway` is how many seconds clocks may differ.
    pub fn new(
        resolver: Arc<DidResolver>,
        status: Arc<StatusChecker>,
        schemas: Arc<SchemaChecker>,
        trust: Arc<dyn TrustedIssuers>,
        clock: Arc<dyn Clock>,
        leeway: i64,
    ) -> Self {
        let weigh = |_: &[u8; 32], known: &Arc<Known>| u32::try_from(known.bytes).unwrap_or(u32::MAX);
        let known = Cache::builder().max_capacity(CACHE_BYTES).weigher(weigh).build();
        Self { resolver, status, schemas, trust, clock, leeway, keep: KEEP, known }
    }

    /// Keeps results for at most so many seconds. A key that was taken out of a DID document is noticed within this time and the
    /// time that the resolver keeps documents.
    #[must_use]
    pub fn keep_for(mut self, seconds: i64) -> Self {
        self.keep = seconds.max(0);
        self
    }

    /// Verifies a credential: a compact JWS, an `EnvelopedVerifiableCredential` or a JSON-LD document with a proof. To whom it was
    /// issued is not compared with anything: see [`VerifiedCredential::bound_to`].
    ///
    /// # Errors
    /// One code for each rule: `malformed_jws`, `unsupported_algorithm`, `unsigned_credential`, `bad_credential`,
    /// `untrusted_issuer`, `trust_unavailable`, `not_yet_valid`, `expired`, `issuer_mismatch`, `unknown_key`, `key_not_allowed`,
    /// `bad_signature`, those of [`SchemaChecker::check`] and [`StatusChecker::check`], and those of the DID resolver.
    pub async fn verify(&self, raw: &Value) -> Result<VerifiedCredential, CredentialError> {
        let now = self.clock.now();
        let (key, bytes) = digest(raw)?;
        if let Some(known) = self.known.get(&key).filter(|known| known.verified.fresh_until > now) {
            let verified = &known.verified;
            self.believed(&verified.credential, now).await.map_err(|error| named(&verified.credential, error))?;
            return Ok(verified.clone());
        }
        let verified = match parse::open(raw, &parse::CREDENTIAL)? {
            Secured::Jws(token) => {
                let jws = Jws::parse(token).map_err(jwt::unsigned)?;
                let credential = parse::from_jwt(jws.payload().clone())?;
                self.check(credential, Some(&jws), now).await?
            }
            Secured::Embedded(document) => self.check(parse::from_document(document)?, None, now).await?,
        };
        // Twice: the text, and what was read from it.
        self.known.insert(key, Arc::new(Known { verified: verified.clone(), bytes: bytes.saturating_mul(2) }));
        Ok(verified)
    }

    async fn check(
        &self,
        credential: Credential,
        jws: Option<&Jws<'_>>,
        now: i64,
    ) -> Result<VerifiedCredential, CredentialError> {
        match self.grounds(&credential, jws, now).await {
            Ok((method, fresh_until)) => Ok(VerifiedCredential { credential, method, fresh_until }),
            Err(error) => Err(named(&credential, error)),
        }
    }

    async fn grounds(
        &self,
        credential: &Credential,
        jws: Option<&Jws<'_>>,
        now: i64,
    ) -> Result<(DidUrl, i64), CredentialError> {
        self.believed(credential, now).await?;
        let issuer: Did = credential.issuer.parse().map_err(jwt::unresolved)?;
        let method = match jws {
            Some(jws) => {
                jwt::verify(jws, &issuer, Relationship::AssertionMethod, &self.resolver, "issuer_mismatch").await?
            }
            None => embedded(&credential.document, &issuer, &self.resolver, now).await?,
        };
        self.schemas.check(credential).await?;
        let status_until = self.status.check(&credential.status, &credential.issuer).await?;
        let until = credential.valid_until.unwrap_or(i64::MAX).min(status_until);
        Ok((method, until.min(now.saturating_add(self.keep))))
    }

    /// What can change without the credential changing.
    async fn believed(&self, credential: &Credential, now: i64) -> Result<(), CredentialError> {
        self.trust.check(&credential.issuer, &credential.types).await?;
        Period { from: credential.valid_from, until: credential.valid_until }.check(now, self.leeway)
    }
}

/// Checks an embedded proof; its key must be one of `signer`.
pub(crate) async fn embedded(
    document: &Value,
    signer: &Did,
    resolver: &DidResolver,
    now: i64,
) -> Result<DidUrl, CredentialError> {
    let method = super::data_integrity::verify(document, resolver, now).await?;
    if method.did() == signer {
        return Ok(method);
    }
    let text = format!("the key `{method}` is not one of `{signer}`");
    Err(CredentialError::refused("issuer_mismatch", text))
}

fn named(credential: &Credential, error: CredentialError) -> CredentialError {
    error.within(&credential.describe())
}

fn digest(raw: &Value) -> Result<([u8; 32], usize), CredentialError> {
    // A text is never taken for the document that it looks like.
    let (mark, text) = match raw {
        Value::String(token) => (b"s", Cow::Borrowed(token.as_str())),
        other => (b"o", Cow::Owned(other.to_string())),
    };
    // An envelope adds little to the token.
    if text.len() > MAX_JWS_BYTES + 1024 {
        let message = format!("the credential is larger than {MAX_JWS_BYTES} bytes");
        return Err(CredentialError::refused("bad_credential", message));
    }
    Ok((Sha256::new().chain_update(mark).chain_update(text.as_bytes()).finalize().into(), text.len()))
}
