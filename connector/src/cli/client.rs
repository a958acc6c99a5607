//! The management API, seen from a command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::arguments::Connection;
use super::failure::{Failure, Outcome};

/// Where `hansa init` puts the token.
const DEFAULT_TOKEN_FILE: &str = "hansa-data/management.token";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer; a partner's catalog may be behind it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest page of a list.
pub(super) const PAGE: usize = 500;
/// Characters that stand in a path segment as they are.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A connection to the management API.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    /// Finds address and token; nothing is sent yet.
    ///
    /// # Errors
    /// When there is no token, or the address is not one.
    pub(super) fn connect(connection: &Connection) -> Outcome<Self> {
        let base = Url::parse(&connection.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| Failure::new(format!("`{}` is not an http or https address", connection.url)))?;
        let token = token(connection)?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| Failure::new("the management token has characters that cannot be sent"))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .default_headers(headers);
        if let Some(path) = &connection.ca_file {
            let pem = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| Failure::new(format!("`{}` holds no PEM certificates", path.display())))?;
            builder = builder.tls_certs_merge(authorities);
        }
        let http = builder.build().map_err(|error| Failure::new(format!("cannot start the HTTP client: {error}")))?;
        Ok(Self { http, base })
    }

    /// The address of a resource: segments are encoded, parameters are added.
    fn url(&self, segments: &[&str], parameters: &[(&str, &str)]) -> Outcome<Url> {
        let path: Vec<String> =
            segments.iter().map(|segment| utf8_percent_encode(segment, SEGMENT).to_string()).collect();
        let root = self.base.as_str().trim_end_matches('/');
        let mut url = Url::parse(&format!("{root}/api/v1/{}", path.join("/")))
            .map_err(|error| Failure::new(format!("cannot build an address: {error}")))?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(url)
    }

    /// GET.
    ///
    /// # Errors
    /// What the control plane refuses with, or that it cannot be reached.
    pub(super) async fn get(&self, segments: &[&str]) -> Outcome<Value> {
        self.call(Method::GET, segments, &[], None).await
    }

    /// GET with parameters.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn find(&self, segments: &[&str], parameters: &[(&str, &str)]) -> Outcome<Value> {
        self.call(Method::GET, segments, parameters, None).await
    }

    /// POST.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn post(&self, segments: &[&str], body: &Value) -> Outcome<Value> {
        self.call(Method::POST, segments, &[], Some(body)).await
    }

    /// PUT.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn put(&self, segments: &[&str], body: &Value) -> Outcome<Value> {
        self.call(Method::PUT, segments, &[], Some(body)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn delete(&self, segments: &[&str]) -> Outcome<Value> {
        self.call(Method::DELETE, segments, &[], None).await
    }

    /// A list of at most `limit` entries, page after page: `{"items": [..], "next": ..}`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn list(&self, kind: &str, filters: &[(&str, &str)], limit: usize) -> Outcome<Value> {
        self.pages(&[kind], "cursor", filters, limit).await
    }

    /// Pages of any list; `following` is the parameter that takes what `next` said.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn pages(
        &self,
        segments: &[&str],
        following: &str,
        filters: &[(&str, &str)],
        limit: usize,
    ) -> Outcome<Value> {
        let mut items: Vec<Value> = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let wanted = (limit - items.len()).clamp(1, PAGE).to_string();
            let mut parameters: Vec<(&str, &str)> = filters.to_vec();
            parameters.push(("limit", &wanted));
            if let Some(next) = &next {
                parameters.retain(|(name, _)| *name != following);
                parameters.push((following, next));
            }
            let mut page = self.find(segments, &parameters).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            next = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || items.len() >= limit {
                return Ok(json!({"items": items, "next": next}));
            }
        }
    }

    /// Opens a stream of events.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) async fn events(&self, parameters: &[(&str, &str)]) -> Outcome<Response> {
        let url = self.url(&["events"], parameters)?;
        let request = self.http.get(url).header(ACCEPT, "text/event-stream");
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    async fn call(
        &self,
        method: Method,
        segments: &[&str],
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Outcome<Value> {
        let mut request = self.http.request(method, self.url(segments, parameters)?).timeout(ANSWER_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let text = response.bytes().await.map_err(|error| self.unreachable(error))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&text)
            .map_err(|_| Failure::new(format!("{} does not answer like a management API of Hansa", self.base)))
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let late = error.is_timeout();
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let why = if late { "no answer in time".to_owned() } else { cause.to_string() };
        Failure::new(format!("the control plane at {} cannot be reached: {why}; is `hansa serve` running?", self.base))
    }
}

/// The refusal in an answer: its problem document, or at least its status.
async fn refusal(response: Response) -> Failure {
    let status = response.status();
    let problem: Value =
        response.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    if problem.get("detail").is_some() {
        return match status {
            StatusCode::UNAUTHORIZED => Failure::of("the management token is not accepted: ", &problem),
            _ => Failure::of("", &problem),
        };
    }
    Failure::new(format!("the control plane answered with status {status}"))
}

/// The token by the first of the ways that was used.
fn token(connection: &Connection) -> Outcome<SecretString> {
    if let Some(path) = &connection.token_file {
        return read_secret(path);
    }
    let set = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    if let Some(token) = set("HANSA_TOKEN") {
        return Ok(SecretString::from(token.trim().to_owned()));
    }
    if let Some(path) = set("HANSA_TOKEN_FILE") {
        return read_secret(Path::new(&path));
    }
    let default = PathBuf::from(DEFAULT_TOKEN_FILE);
    if default.exists() {
        return read_secret(&default);
    }
    Err(Failure::new(format!(
        "there is no management token: name its file with --token-file or HANSA_TOKEN_FILE, or set HANSA_TOKEN (`{DEFAULT_TOKEN_FILE}` is not here)"
    )))
}

/// A secret from a file.
///
/// # Errors
/// When the file cannot be read or is empty.
pub(super) fn read_secret(path: &Path) -> Outcome<SecretString> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    match text.trim() {
        "" => Err(Failure::new(format!("`{}` is empty", path.display()))),
        text => Ok(SecretString::from(text.to_owned())),
    }
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_text(path: &Path) -> Outcome<String> {
    let text =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    text.map_err(|error| unreadable(path, &error))
}

/// A JSON object from a file; `-` is standard input.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub(super) fn read_object(path: &Path) -> Outcome<Map<String, Value>> {
    let text = read_text(path)?;
    let value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("`{}` is not JSON: {error}", path.display())))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Failure::new(format!("`{}` must hold a JSON object", path.display()))),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot read `{}`: {error}", path.display()))
}

/// The text of a member, or nothing.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
