//! The hardened HTTP client for addresses that somebody else named.
//!
//! http and https only, and plain http only to loopback or by an explicit setting; no redirects; limits on time and
//! size; no connection to an address that is not public unless a setting that carries `danger` in its name allows it.
//! The check sits in the resolver, so that the address that was checked is the one that is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use identity::Fetched;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderValue, LINK, LOCATION};
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// What the client may do.
#[derive(Clone, Debug)]
pub(crate) struct FetchSettings {
    /// Addresses that are not public (loopback, private, link-local) may be dialled.
    pub allow_private_addresses: bool,
    /// Plain http may be used to addresses other than loopback.
    pub allow_plain_http: bool,
    /// Plain http to loopback is refused as well, unless [`Self::allow_plain_http`].
    pub loopback_needs_tls: bool,
    /// PEM file of further certificate authorities.
    pub ca_file: Option<std::path::PathBuf>,
    /// Longest time for a whole exchange.
    pub timeout: Duration,
    /// Largest answer, in bytes.
    pub max_answer_bytes: usize,
}

/// An answer within the limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct FetchResponse {
    /// HTTP status.
    pub status: u16,
    /// `Link` headers.
    pub links: Vec<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Date`.
    pub date: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl FetchResponse {
    /// Target of the link with this relation (RFC 8288).
    pub(crate) fn link(&self, relation: &str) -> Option<&str> {
        self.links.iter().flat_map(|header| header.split(',')).find_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let is_it = parameters.split(';').any(|parameter| {
                let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
                name.eq_ignore_ascii_case("rel") && value.trim_matches('"').split(' ').any(|name| name == relation)
            });
            is_it.then_some(target)
        })
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct FetchError {
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Whether our own rules forbid the request, so that no connection was made.
    pub forbidden: bool,
    /// Whether no connection was made, so that nobody has the request.
    pub unreached: bool,
    /// What happened, in words.
    pub message: String,
}

impl FetchError {
    fn refused(message: impl Into<String>) -> Self {
        Self { retryable: false, forbidden: true, unreached: true, message: message.into() }
    }
}

/// The client; cheap to clone.
#[derive(Clone)]
pub(crate) struct Fetcher {
    client: Client,
    settings: Arc<FetchSettings>,
}

impl Fetcher {
    /// Builds the client.
    ///
    /// # Errors
    /// When the CA file cannot be read.
    pub(crate) fn new(settings: FetchSettings) -> Result<Self, String> {
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5).min(settings.timeout))
            .timeout(settings.timeout)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(64)
            .user_agent(concat!("hansa/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(FilteredResolver { allow_private: settings.allow_private_addresses }));
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            builder = builder.tls_certs_merge(authorities.map_err(|error| format!("{}: {error}", path.display()))?);
        }
        let client = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { client, settings: Arc::new(settings) })
    }

    /// Whether the URL is one that this client would call: scheme, host, and for a literal address the address itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_url(&self, url: &str) -> Result<Url, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError::refused(format!("not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::refused("a URL with a user name or password in it is not called"));
        }
        let address = match url.host() {
            None => return Err(FetchError::refused("the URL has no host")),
            Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(url::Host::Domain(_)) => None,
        };
        if let Some(address) = address
            && !self.settings.allow_private_addresses
            && !is_public(address)
        {
            return Err(FetchError::refused(format!("{address} is not a public address")));
        }
        let local = address.is_some_and(|address| address.is_loopback()) || url.host_str() == Some("localhost");
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.settings.allow_plain_http || (local && !self.settings.loopback_needs_tls) => Ok(url),
            "http" if self.settings.loopback_needs_tls => Err(FetchError::refused("plain http is not used; use https")),
            "http" => Err(FetchError::refused("plain http is used only on loopback; use https")),
            other => Err(FetchError::refused(format!("the scheme `{other}` is not supported, use https"))),
        }
    }

    /// The client itself, for a library that calls one address that the operator named.
    #[cfg(feature = "vault")]
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// GET, expecting JSON.
    ///
    /// # Errors
    /// When there is no answer, or none within the limits.
    pub(crate) async fn get_json(
        &self,
        url: &str,
        authorization: Option<&SecretString>,
    ) -> Result<FetchResponse, FetchError> {
        self.call(Method::GET, url, None, authorization, None, self.settings.max_answer_bytes).await
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// As [`Fetcher::get_json`].
    pub(crate) async fn post_json(
        &self,
        url: &str,
        body: &Value,
        authorization: Option<&SecretString>,
    ) -> Result<FetchResponse, FetchError> {
        self.call(Method::POST, url, Some(body.to_string()), authorization, None, self.settings.max_answer_bytes).await
    }

    /// POST of a form without further authorization: a request to a token endpoint.
    ///
    /// # Errors
    /// As [`Fetcher::get_json`].
    pub(crate) async fn post_form(&self, url: &str, form: String) -> Result<FetchResponse, FetchError> {
        let header = Some((CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded"));
        self.call(Method::POST, url, Some(form), None, header, self.settings.max_answer_bytes).await
    }

    /// PUT of a JSON body.
    ///
    /// # Errors
    /// As [`Fetcher::get_json`].
    pub(crate) async fn put_json(
        &self,
        url: &str,
        body: &Value,
        authorization: Option<&SecretString>,
    ) -> Result<FetchResponse, FetchError> {
        self.call(Method::PUT, url, Some(body.to_string()), authorization, None, self.settings.max_answer_bytes).await
    }

    /// POST of JSON text with one more header: a signature covers the very bytes that are sent.
    ///
    /// # Errors
    /// As [`Fetcher::get_json`].
    pub(crate) async fn post_text(
        &self,
        url: &str,
        body: String,
        header: Option<(&str, &str)>,
    ) -> Result<FetchResponse, FetchError> {
        self.call(Method::POST, url, Some(body), None, header, self.settings.max_answer_bytes).await
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        body: Option<String>,
        authorization: Option<&SecretString>,
        header: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<FetchResponse, FetchError> {
        let url = self.check_url(url)?;
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.body(body);
            if header.is_none_or(|(name, _)| name != CONTENT_TYPE.as_str()) {
                request = request.header(CONTENT_TYPE, "application/json");
            }
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization.expose_secret())
                .map_err(|_| FetchError::refused("our token cannot stand in a header"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let answer = request.send().await.map_err(describe)?;
        let status = answer.status().as_u16();
        let links = answer.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned);
        let links = links.collect();
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (content_type, location, cache_control) = (text(CONTENT_TYPE), text(LOCATION), text(CACHE_CONTROL));
        let date = text(DATE);
        let mut body = BytesMut::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(describe)?;
            if body.len() + chunk.len() > limit {
                let message = format!("the answer is larger than {limit} bytes");
                return Err(FetchError { retryable: false, forbidden: false, unreached: false, message });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(FetchResponse { status, links, content_type, location, cache_control, date, body: body.freeze() })
    }
}

/// What `identity` asks of the client.
#[async_trait]
impl identity::Fetch for Fetcher {
    async fn get(
        &self,
        url: &url::Url,
        accept: &str,
        authorization: Option<&SecretString>,
        max_bytes: usize,
    ) -> Result<Fetched, identity::FetchError> {
        let header = Some(("accept", accept));
        let answer = self.call(Method::GET, url.as_str(), None, authorization, header, max_bytes).await;
        answer.map(fetched).map_err(for_identity)
    }

    async fn post_json(
        &self,
        url: &url::Url,
        authorization: Option<&SecretString>,
        body: &Value,
        max_bytes: usize,
    ) -> Result<Fetched, identity::FetchError> {
        let body = Some(body.to_string());
        let answer = self.call(Method::POST, url.as_str(), body, authorization, None, max_bytes).await;
        answer.map(fetched).map_err(for_identity)
    }
}

fn fetched(answer: FetchResponse) -> Fetched {
    let max_age = answer.cache_control.as_deref().and_then(max_age);
    Fetched {
        status: answer.status,
        content_type: answer.content_type,
        location: answer.location,
        max_age,
        body: answer.body.to_vec(),
    }
}

fn for_identity(error: FetchError) -> identity::FetchError {
    identity::FetchError { message: error.message, forbidden: error.forbidden, temporary: error.retryable }
}

/// How long an answer may be kept, seconds (RFC 9111, 5.2.2).
fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim);
    if directives.clone().any(|name| name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache")) {
        return Some(0);
    }
    directives.find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

/// The cause without the URL, which reqwest would print and which may name a path that is nobody's business.
fn describe(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let refused = cause.to_string().contains(NOT_PUBLIC);
    let what = if error.is_timeout() { "time-out: " } else { "" };
    FetchError {
        retryable: !refused && !error.is_builder(),
        forbidden: refused,
        unreached: error.is_connect(),
        message: format!("{what}{cause}"),
    }
}

const NOT_PUBLIC: &str = "has no public address";

/// Resolves names and hands out only addresses that may be dialled, so that a name cannot change between check and call.
struct FilteredResolver {
    allow_private: bool,
}

impl Resolve for FilteredResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let usable: Vec<SocketAddr> =
                found.into_iter().filter(|address| allow_private || is_public(address.ip())).collect();
            if usable.is_empty() {
                return Err(format!("`{host}` {NOT_PUBLIC}").into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

/// Whether the address belongs to the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_unspecified()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let [first, second, third, ..] = address.segments();
    let special = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || (first & 0xfe00) == 0xfc00
        || (first & 0xffc0) == 0xfe80
        || (first & 0xffc0) == 0xfec0
        || (first == 0x2001 && second == 0x0db8)
        // Translations of IPv4 (NAT64, 6to4, Teredo) could lead anywhere.
        || (first == 0x0064 && second == 0xff9b)
        || first == 0x2002
        || (first == 0x2001 && second == 0)
        || (first == 0 && second == 0 && third == 0);
    !special
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
