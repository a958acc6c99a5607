//! Requests to the credential services and issuer services of others (DCP 1.0.1, 5.4, 6.4 to 6.8).

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::message::{
    CredentialMessage, CredentialOfferMessage, CredentialRequestMessage, CredentialStatus, IssuerMetadata,
    PresentationQuery, PresentationQueryMessage, PresentationResponseMessage,
};
use crate::did::{Did, DidResolver};
use crate::keys::Signer;
use crate::scope::Scopes;
use crate::token::{IdToken, mint};
use crate::{Clock, Fetch, FetchError, Fetched, IdentityError, printable};

/// Largest answer, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

/// A service of a participant, by the entry of its DID document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Where a holder presents and stores.
    Credential,
    /// Where an issuer issues.
    Issuer,
}

impl Service {
    /// The service type in DID documents.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Credential => "CredentialService",
            Self::Issuer => "IssuerService",
        }
    }

    /// How it is called in errors.
    fn words(self) -> &'static str {
        match self {
            Self::Credential => "credential service",
            Self::Issuer => "issuer service",
        }
    }

    fn missing(self) -> &'static str {
        match self {
            Self::Credential => "no_credential_service",
            Self::Issuer => "no_issuer_service",
        }
    }

    fn unreachable(self) -> &'static str {
        match self {
            Self::Credential => "credential_service_unreachable",
            Self::Issuer => "issuer_service_unreachable",
        }
    }
}

/// Speaks to the services of others in our name.
///
/// The errors of its functions: those of [`DidResolver`]; `no_credential_service`, `no_issuer_service`; `forbidden_address`;
/// `credential_service_unreachable`, `issuer_service_unreachable` (temporary or not); `query_refused` and `request_refused` when
/// the answer is an error; `bad_response`; `cannot_sign`.
#[derive(Clone)]
pub struct DcpClient {
    own: Did,
    signer: Arc<dyn Signer>,
    resolver: Arc<DidResolver>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    lifetime_s: i64,
}

impl DcpClient {
    /// Signs as `own`; its ID tokens are valid for `lifetime_s` seconds.
    pub fn new(
        own: Did,
        signer: Arc<dyn Signer>,
        resolver: Arc<DidResolver>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        lifetime_s: i64,
    ) -> Self {
        Self { own, signer, resolver, fetch, clock, lifetime_s }
    }

    /// A self-issued ID token of ours for `audience`, with an access token where there is one.
    ///
    /// # Errors
    /// `cannot_sign`.
    pub async fn id_token(&self, audience: &str, token: Option<&SecretString>) -> Result<SecretString, IdentityError> {
        let say = IdToken::new(&self.own, audience, self.lifetime_s).with_token(token);
        mint(&*self.signer, &*self.clock, &say).await
    }

    /// The presentations that a holder answers with; nothing of them is checked yet.
    ///
    /// # Errors
    /// See [`DcpClient`].
    pub async fn query(
        &self,
        holder: &Did,
        token: &SecretString,
        scopes: &Scopes,
    ) -> Result<Vec<Value>, IdentityError> {
        let message = PresentationQueryMessage { query: PresentationQuery::Scopes(scopes.clone()) }.to_json();
        let call = Call { party: holder, service: Service::Credential, path: &["presentations", "query"] };
        let answer = self.post(&call, Some(token), &message).await?;
        if !answer.is_success() {
            return Err(call.refused("query_refused", &format!("the query for `{scopes}`"), &answer));
        }
        let body = call.json(&answer)?;
        let response = PresentationResponseMessage::parse(&body).map_err(|error| call.bad(&error.to_string()))?;
        Ok(response.presentation)
    }

    /// Brings credentials, or the news that there are none, to a holder. `token` is the one that its request came with.
    ///
    /// # Errors
    /// See [`DcpClient`].
    pub async fn deliver(
        &self,
        holder: &Did,
        token: Option<&SecretString>,
        message: &CredentialMessage,
    ) -> Result<(), IdentityError> {
        let call = Call { party: holder, service: Service::Credential, path: &["credentials"] };
        self.told(&call, token, &message.to_json(), "the credentials").await.map(drop)
    }

    /// Offers credentials to a holder.
    ///
    /// # Errors
    /// See [`DcpClient`].
    pub async fn offer(&self, holder: &Did, message: &CredentialOfferMessage) -> Result<(), IdentityError> {
        let call = Call { party: holder, service: Service::Credential, path: &["offers"] };
        self.told(&call, None, &message.to_json(), "the offer").await.map(drop)
    }

    /// What an issuer can issue.
    ///
    /// # Errors
    /// See [`DcpClient`].
    pub async fn metadata(&self, issuer: &Did) -> Result<IssuerMetadata, IdentityError> {
        let call = Call { party: issuer, service: Service::Issuer, path: &["metadata"] };
        let answer = self.get(&call, call.url(&self.resolver).await?).await?;
        let metadata = IssuerMetadata::parse(&call.json(&answer)?).map_err(|error| call.bad(&error.to_string()))?;
        if metadata.issuer == issuer.as_str() { Ok(metadata) } else { Err(call.bad("it is about another issuer")) }
    }

    /// Asks an issuer for credentials. `token` lets it store them here. Answers where the status of the request can be read.
    ///
    /// # Errors
    /// See [`DcpClient`].
    pub async fn request(
        &self,
        issuer: &Did,
        token: Option<&SecretString>,
        message: &CredentialRequestMessage,
    ) -> Result<Url, IdentityError> {
        let call = Call { party: issuer, service: Service::Issuer, path: &["credentials"] };
        let answer = self.told(&call, token, &message.to_json(), "the request").await?;
        let location = answer.location.ok_or_else(|| call.bad("it has no `Location`"))?;
        let base = call.url(&self.resolver).await?;
        base.join(&location).map_err(|_error| call.bad("its `Location` is no URL"))
    }

    /// The status of a request of ours, at the URL that [`DcpClient::request`] answered with. It must be one of the issuer's
    /// service, as our token goes there.
    ///
    /// # Errors
    /// See [`DcpClient`].
    pub async fn request_status(&self, issuer: &Did, url: Url) -> Result<CredentialStatus, IdentityError> {
        let call = Call { party: issuer, service: Service::Issuer, path: &["requests"] };
        let base = call.url(&self.resolver).await?;
        if url.origin() != base.origin() {
            return Err(call.bad("the status of the request is said to lie with another host"));
        }
        let answer = self.get(&call, url).await?;
        CredentialStatus::parse(&call.json(&answer)?).map_err(|error| call.bad(&error.to_string()))
    }

    async fn told(
        &self,
        call: &Call<'_>,
        token: Option<&SecretString>,
        message: &Value,
        what: &str,
    ) -> Result<Fetched, IdentityError> {
        let answer = self.post(call, token, message).await?;
        if answer.is_success() { Ok(answer) } else { Err(call.refused("request_refused", what, &answer)) }
    }

    async fn post(
        &self,
        call: &Call<'_>,
        token: Option<&SecretString>,
        message: &Value,
    ) -> Result<Fetched, IdentityError> {
        let url = call.url(&self.resolver).await?;
        let header = self.header(call.party, token).await?;
        self.fetch.post_json(&url, Some(&header), message, MAX_RESPONSE).await.map_err(|error| call.failed(&error))
    }

    async fn get(&self, call: &Call<'_>, url: Url) -> Result<Fetched, IdentityError> {
        let header = self.header(call.party, None).await?;
        let answer = self
            .fetch
            .get(&url, "application/json", Some(&header), MAX_RESPONSE)
            .await
            .map_err(|error| call.failed(&error))?;
        if answer.is_success() { Ok(answer) } else { Err(call.refused("request_refused", "the request", &answer)) }
    }

    async fn header(&self, party: &Did, token: Option<&SecretString>) -> Result<SecretString, IdentityError> {
        let token = self.id_token(party.as_str(), token).await?;
        Ok(SecretString::from(format!("Bearer {}", token.expose_secret())))
    }
}

/// A request to be made, and how its failures are told.
struct Call<'a> {
    party: &'a Did,
    service: Service,
    path: &'a [&'a str],
}

impl Call<'_> {
    async fn url(&self, resolver: &DidResolver) -> Result<Url, IdentityError> {
        let (party, name) = (self.party, self.service.type_name());
        let document = resolver.resolve(party).await?;
        let base = document.endpoint(name).ok_or_else(|| {
            let text = format!("the DID document of `{party}` has no service of type `{name}`");
            IdentityError::caller(self.service.missing(), text)
        })?;
        let url = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        url.and_then(|mut url| {
            url.path_segments_mut().ok()?.pop_if_empty().extend(self.path);
            Some(url)
        })
        .ok_or_else(|| {
            let shown = printable(base);
            let text = format!("the {name} `{shown}` in the DID document of `{party}` is no HTTP URL");
            IdentityError::caller(self.service.missing(), text)
        })
    }

    fn subject(&self) -> String {
        format!("the {} of `{}`", self.service.words(), self.party)
    }

    fn failed(&self, error: &FetchError) -> IdentityError {
        let code = if error.forbidden { "forbidden_address" } else { self.service.unreachable() };
        let text = format!("{} does not answer: {}", self.subject(), printable(&error.message));
        IdentityError::peer(code, text, error.temporary)
    }

    fn refused(&self, code: &'static str, what: &str, answer: &Fetched) -> IdentityError {
        let text = format!("{} answered {what} with {}", self.subject(), answer.status);
        match answer.status {
            429 | 500..=599 => IdentityError::peer(self.service.unreachable(), text, true),
            _ => IdentityError::caller(code, text),
        }
    }

    fn bad(&self, what: &str) -> IdentityError {
        IdentityError::caller("bad_response", format!("the answer of {} is not usable: {what}", self.subject()))
    }

    fn json(&self, answer: &Fetched) -> Result<Value, IdentityError> {
        serde_json::from_slice(&answer.body).map_err(|_error| self.bad("it is not JSON"))
    }
}
