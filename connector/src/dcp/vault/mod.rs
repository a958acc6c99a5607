//! Private keys in the transit engine of HashiCorp Vault or OpenBao. They never leave it: it makes the signatures.
//!
//! Each version of the transit key is a key of ours, named `NAME-vVERSION`. The list of keys says which of them counts and until
//! when; the engine is asked for public halves, for new versions, and for signatures.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use identity::did::{Did, DidUrl};
use identity::jose::{Algorithm, JoseError, Jws, PublicKey};
use identity::keys::{KeyError, KeyRing, RingKey, Signer, signing_input};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use url::Url;
use vaultrs::api::transit::requests::{CreateKeyRequest, SignDataRequest, UpdateKeyConfigurationRequest};
use vaultrs::api::transit::responses::{ReadKeyData, ReadPublicKeyEntry};
use vaultrs::api::transit::{HashAlgorithm, KeyType, MarshalingAlgorithm};
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::transit::{data, key};

use crate::config::{Outbound, VaultSettings};
use crate::fetch::{FetchSettings, Fetcher};

/// Longest text of the engine that is passed on, in characters.
const MAX_SAID: usize = 200;

/// A transit engine and the transit key in it that new keys are versions of.
pub(crate) struct Vault {
    http: reqwest::Client,
    url: Url,
    mount: String,
    key: String,
    token_file: Option<PathBuf>,
    access: RwLock<Access>,
}

/// The client with the token of now.
#[derive(Clone)]
struct Access {
    token: SecretString,
    client: Arc<VaultClient>,
}

impl Vault {
    /// Calls nothing yet.
    ///
    /// # Errors
    /// A sentence, when the HTTP client cannot be made.
    pub(crate) fn new(settings: &VaultSettings, outbound: &Outbound) -> Result<Self, String> {
        let fetcher = Fetcher::new(FetchSettings {
            // The address is the operator's, and was checked to be https or on loopback.
            allow_private_addresses: true,
            allow_plain_http: true,
            loopback_needs_tls: false,
            ca_file: outbound.ca_file.clone(),
            timeout: outbound.answer_timeout,
            max_answer_bytes: outbound.max_answer_bytes,
        })?;
        let http = fetcher.client().clone();
        let access = RwLock::new(Access::new(&http, &settings.url, settings.token.clone())?);
        Ok(Self {
            http,
            url: settings.url.clone(),
            mount: settings.mount.clone(),
            key: settings.key.clone(),
            token_file: settings.token_file.clone(),
            access,
        })
    }

    /// The latest version of the transit key; a transit key for `algorithm` is made when there is none.
    ///
    /// # Errors
    /// `key_store_unavailable`, `key_store_refused`, `bad_key_store`; `unsupported_algorithm` for RSA.
    pub(super) async fn first(&self, algorithm: Algorithm, now: i64) -> Result<RingKey, KeyError> {
        match self.latest(now).await? {
            Some((found, _)) => Ok(found),
            None => self.create(algorithm, now).await,
        }
    }

    /// A new version of the transit key, or the first one.
    ///
    /// # Errors
    /// As [`Vault::first`]; `unsupported_algorithm` when the transit key is one for another algorithm.
    pub(super) async fn next(&self, algorithm: Algorithm, now: i64) -> Result<RingKey, KeyError> {
        let Some((_, its)) = self.latest(now).await? else { return self.create(algorithm, now).await };
        if its != algorithm {
            let text = format!(
                "the transit key `{}` is one for {its}, not {algorithm}; ask for {its}, or name another key in `identity.vault_key`",
                self.key
            );
            return Err(KeyError::new("unsupported_algorithm", text));
        }
        self.call(|client| async move { key::rotate(&*client, &self.mount, &self.key).await }).await?;
        self.latest(now).await?.map(|(found, _)| found).ok_or_else(|| self.vanished())
    }

    /// Signs with a version of a transit key of this engine, which need not be the one that new keys are versions of. It is tried,
    /// so that a signature that does not fit the public key is never given to a partner.
    ///
    /// # Errors
    /// As [`Vault::first`]; `bad_key_store` when the list and the engine do not mean the same key.
    pub(super) async fn signer(self: &Arc<Self>, current: &RingKey, did: &Did) -> Result<TransitSigner, KeyError> {
        let bad = |what: &str| KeyError::new("bad_key_store", format!("the current key `{}` {what}", current.id));
        let (name, version) =
            version_of(&current.id).ok_or_else(|| bad("is not named as a version of a transit key"))?;
        let algorithm = current.public.algorithms().next().ok_or_else(|| bad("has no algorithm"))?;
        let method = current.method(did)?;
        let signer = TransitSigner { vault: self.clone(), name: name.to_owned(), version, method, algorithm };
        let token = signer.token(&json!({"typ": "hansa-key-check"}), &json!({})).await?;
        let fits = Jws::parse(&token).and_then(|jws| jws.verify(&current.public));
        fits.map_err(|_error| bad("is another one in the secret store than in the list of keys"))?;
        Ok(signer)
    }

    /// Lets versions before the current one sign no more.
    pub(super) async fn close_former(&self, ring: &KeyRing) {
        let Some((name, version)) = ring.current().ok().and_then(|key| version_of(&key.id)) else { return };
        let closed = self.call(|client| async move {
            let mut request = UpdateKeyConfigurationRequest::builder();
            request.min_encryption_version(Some(version));
            key::update(&*client, &self.mount, name, Some(&mut request)).await
        });
        if let Err(error) = closed.await {
            tracing::warn!(%error, key = name, version, "versions before this one can still sign in the secret store");
        }
    }

    async fn create(&self, algorithm: Algorithm, now: i64) -> Result<RingKey, KeyError> {
        let kind = key_type(algorithm)?;
        self.call(|client| async move {
            let mut request = CreateKeyRequest::builder();
            request.key_type(kind);
            key::create(&*client, &self.mount, &self.key, Some(&mut request)).await
        })
        .await?;
        self.latest(now).await?.map(|(found, _)| found).ok_or_else(|| self.vanished())
    }

    fn vanished(&self) -> KeyError {
        KeyError::new("bad_key_store", format!("the secret store lists no version of the transit key `{}`", self.key))
    }

    /// The latest version of the transit key and its algorithm; `None` when there is no such key.
    async fn latest(&self, now: i64) -> Result<Option<(RingKey, Algorithm)>, KeyError> {
        let read = self.call_raw(|client| async move { key::read(&*client, &self.mount, &self.key).await }).await;
        let read = match read {
            // Without a word: there is an engine, and it has no such key.
            Err(ClientError::APIError { code: 404, errors }) if errors.is_empty() => return Ok(None),
            read => read.map_err(describe)?,
        };
        let bad = |what: &str| KeyError::new("bad_key_store", format!("the transit key `{}` {what}", self.key));
        let algorithm = match read.key_type {
            KeyType::EcdsaP256 => Algorithm::Es256,
            KeyType::EcdsaP384 => Algorithm::Es384,
            KeyType::Ed25519 if !read.derived => Algorithm::EdDsa,
            _ => return Err(bad("is not ecdsa-p256, ecdsa-p384 or ed25519 without derivation")),
        };
        let ReadKeyData::Asymmetric(versions) = read.keys else { return Err(bad("has no public half")) };
        let numbered = versions.iter().filter_map(|(number, entry)| Some((number.parse::<u64>().ok()?, entry)));
        let (number, entry) = numbered.max_by_key(|(number, _)| *number).ok_or_else(|| self.vanished())?;
        let public =
            public(entry).map_err(|error| bad(&format!("has a version {number} that cannot be used: {error}")))?;
        if public.algorithms().next() != Some(algorithm) {
            return Err(bad(&format!("has a version {number} of another kind")));
        }
        let created = OffsetDateTime::parse(&entry.creation_time, &Rfc3339).map_or(now, OffsetDateTime::unix_timestamp);
        Ok(Some((RingKey::held_elsewhere(format!("{}-v{number}", self.key), created, public), algorithm)))
    }

    /// The raw signature of a version of a transit key.
    async fn sign(&self, name: &str, version: u64, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let input = STANDARD.encode(message);
        let (hash, length) = match algorithm {
            Algorithm::Es384 => (HashAlgorithm::Sha2_384, 96),
            _ => (HashAlgorithm::Sha2_256, 64),
        };
        let input = input.as_str();
        let answer = self.call(|client| async move {
            let mut request = SignDataRequest::builder();
            // Ed25519 has a hash of its own, and looks at neither of the two.
            request.key_version(version).hash_algorithm(hash).marshaling_algorithm(MarshalingAlgorithm::Jws);
            data::sign(&*client, &self.mount, name, input, Some(&mut request)).await
        });
        let answer = answer.await?.signature;
        let encoded = answer.strip_prefix(&format!("vault:v{version}:")).unwrap_or_default();
        // The base64 of JWS, or, where an engine heeds that for ECDSA only, the usual one.
        let signature = URL_SAFE_NO_PAD.decode(encoded).or_else(|_error| STANDARD.decode(encoded)).unwrap_or_default();
        if signature.len() == length {
            return Ok(signature);
        }
        let text = format!("the secret store's signature of `{name}` version {version} is not one for {algorithm}");
        Err(KeyError::new("bad_key_store", text))
    }

    async fn call<T, F>(&self, call: impl Fn(Arc<VaultClient>) -> F + Send + Sync) -> Result<T, KeyError>
    where
        F: Future<Output = Result<T, ClientError>> + Send,
    {
        self.call_raw(call).await.map_err(describe)
    }

    /// Calls, and once more when the token is refused and its file has another one by now.
    async fn call_raw<T, F>(&self, call: impl Fn(Arc<VaultClient>) -> F + Send + Sync) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>> + Send,
    {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner).clone();
        // The library tells the log of each error, at a level of its own; we say what counts.
        let answer = call(access.client).with_subscriber(NoSubscriber::default()).await;
        if matches!(answer, Err(ClientError::APIError { code: 403, .. }))
            && let Some(renewed) = self.renewed(&access.token).await
        {
            return call(renewed).with_subscriber(NoSubscriber::default()).await;
        }
        answer
    }

    /// A client with the token that the file has now, if it has changed.
    async fn renewed(&self, refused: &SecretString) -> Option<Arc<VaultClient>> {
        let text = tokio::fs::read_to_string(self.token_file.as_ref()?).await.ok()?;
        let token = text.trim();
        if token == refused.expose_secret() || token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let access = Access::new(&self.http, &self.url, SecretString::from(token)).ok()?;
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = access.clone();
        tracing::info!("the token of the secret store was read again");
        Some(access.client)
    }
}

impl Access {
    fn new(http: &reqwest::Client, url: &Url, token: SecretString) -> Result<Self, String> {
        // All is said here: what is left out, the library takes from the environment.
        let settings = VaultClientSettingsBuilder::default()
            .address(url)
            .token(token.expose_secret())
            .ca_certs(Vec::new())
            .identity(None)
            .verify(true)
            .build()
            .map_err(|error| error.to_string())?;
        let mut client = VaultClient::new(settings).map_err(|error| error.to_string())?;
        // Ours has a limit on time and the operator's authorities, and follows neither redirects nor proxies.
        client.http.http = http.clone();
        Ok(Self { token, client: Arc::new(client) })
    }
}

/// Signs with one version of a transit key.
pub(super) struct TransitSigner {
    vault: Arc<Vault>,
    name: String,
    version: u64,
    method: DidUrl,
    algorithm: Algorithm,
}

impl TransitSigner {
    async fn token(&self, header: &Value, payload: &Value) -> Result<String, KeyError> {
        let input = signing_input(&self.method, self.algorithm, header, payload);
        let signature = self.vault.sign(&self.name, self.version, self.algorithm, input.as_bytes()).await?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait]
impl Signer for TransitSigner {
    fn key_id(&self) -> DidUrl {
        self.method.clone()
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    async fn sign_compact(&self, header: &Value, payload: &Value) -> Result<String, JoseError> {
        self.token(header, payload).await.map_err(|error| {
            tracing::warn!(%error, code = error.code(), "the secret store does not sign");
            JoseError::cannot_sign("the secret store that holds our key does not sign")
        })
    }
}

/// The transit key and the version that a key of ours is.
fn version_of(id: &str) -> Option<(&str, u64)> {
    let (name, version) = id.rsplit_once("-v")?;
    Some((name, version.parse().ok()?))
}

fn key_type(algorithm: Algorithm) -> Result<KeyType, KeyError> {
    match algorithm {
        Algorithm::Es256 => Ok(KeyType::EcdsaP256),
        Algorithm::Es384 => Ok(KeyType::EcdsaP384),
        Algorithm::EdDsa => Ok(KeyType::Ed25519),
        Algorithm::Rs256 | Algorithm::Ps256 => {
            Err(KeyError::new("unsupported_algorithm", "RSA keys are verified with, not made"))
        }
    }
}

/// Keys on curves come in PEM, Ed25519 as its 32 bytes in base64.
fn public(entry: &ReadPublicKeyEntry) -> Result<PublicKey, JoseError> {
    match STANDARD.decode(entry.public_key.trim()) {
        Ok(bytes) => PublicKey::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(bytes)})),
        Err(_) => PublicKey::from_pem(&entry.public_key),
    }
}

/// In words that name what an operator can mend.
fn describe(error: ClientError) -> KeyError {
    match error {
        ClientError::APIError { code, errors } => {
            let said: String = errors.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
            let said: String = said.chars().filter(|character| !character.is_control()).take(MAX_SAID).collect();
            match code {
                403 => KeyError::new(
                    "key_store_refused",
                    format!("the secret store refuses our token, or its policy does not allow this (403: {said})"),
                ),
                404 => KeyError::new(
                    "bad_key_store",
                    format!("the secret store has no transit engine at `identity.vault_mount` (404: {said})"),
                ),
                429 | 472 | 473 | 500.. => KeyError::new(
                    "key_store_unavailable",
                    format!("the secret store cannot answer now ({code}: {said})"),
                ),
                _ => KeyError::new("key_store_refused", format!("the secret store refuses this ({code}: {said})")),
            }
        }
        error => {
            let mut cause: &dyn Error = &error;
            let mut is_transport = false;
            while let Some(deeper) = cause.source() {
                is_transport |= deeper.is::<reqwest::Error>();
                cause = deeper;
            }
            if is_transport {
                let text = format!("the secret store of `identity.vault_url` cannot be reached: {cause}");
                return KeyError::new("key_store_unavailable", text);
            }
            let text = format!(
                "the secret store's answer is not understood ({cause}); is `identity.vault_url` a Vault or OpenBao, and the transit key of type ecdsa-p256, ecdsa-p384 or ed25519?"
            );
            KeyError::new("bad_key_store", text)
        }
    }
}

#[cfg(test)]
mod engine;
#[cfg(test)]
mod tests;
