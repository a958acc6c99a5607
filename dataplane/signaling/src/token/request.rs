//! What is asked of a token endpoint, and what it answers (RFC 6749, 4.4 and 5.1; RFC 8693, 2).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// What need not be escaped in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');
/// Life of a token whose endpoint does not say it, seconds.
const UNSAID_LIFE_S: i64 = 60;
/// A token is fetched anew when less than this is left of its life, seconds; less than half of a shorter life.
const EARLY_S: i64 = 30;
/// Longest time that a token is kept, seconds.
const MAX_KEPT_S: i64 = 24 * 3600;
/// Longest token that is taken, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// The body of a request by client credentials, with id and secret in the form.
pub fn client_credentials_form(client_id: &str, client_secret: &str, scope: Option<&str>) -> String {
    form(&[
        ("grant_type", Some("client_credentials")),
        ("client_id", Some(client_id)),
        ("client_secret", Some(client_secret)),
        ("scope", scope),
    ])
}

/// An exchange of a workload's token for one that the receiver accepts.
#[derive(Clone, Copy, Default)]
pub struct Exchange<'a> {
    /// The workload's JWT. Secret.
    pub subject_token: &'a str,
    /// Address of the service that the token is for.
    pub resource: Option<&'a str>,
    /// Name of the service that the token is for.
    pub audience: Option<&'a str>,
    /// What the token shall allow.
    pub scope: Option<&'a str>,
}

impl Exchange<'_> {
    /// The body of the request. It names no client: the subject token says who asks.
    pub fn form(&self) -> String {
        form(&[
            ("grant_type", Some("urn:ietf:params:oauth:grant-type:token-exchange")),
            ("subject_token", Some(self.subject_token)),
            ("subject_token_type", Some("urn:ietf:params:oauth:token-type:jwt")),
            ("requested_token_type", Some("urn:ietf:params:oauth:token-type:jwt")),
            ("resource", self.resource),
            ("audience", self.audience),
            ("scope", self.scope),
        ])
    }
}

fn form(members: &[(&str, Option<&str>)]) -> String {
    let mut text = String::new();
    for (name, value) in members.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(value, FORM));
    }
    text
}

/// A token that an endpoint gave. Secret, so that it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// For `Authorization: Bearer`.
    pub token: String,
    /// Seconds for which it may be used again: till shortly before its end.
    pub usable_s: i64,
}

/// Reads the answer of a token endpoint.
///
/// # Errors
/// A sentence about the endpoint; it holds nothing of the answer but its status and the code of an OAuth error.
pub fn given(status: u16, body: &[u8]) -> Result<Given, String> {
    let read: Option<Value> = serde_json::from_slice(body).ok();
    let text = |name: &str| read.as_ref()?.get(name)?.as_str();
    if status != 200 {
        let is_code =
            |code: &&str| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let code = text("error").filter(is_code).map_or_else(String::new, |code| format!(" and error `{code}`"));
        return Err(format!("it answered with status {status}{code}"));
    }
    if read.is_none() {
        return Err("its answer is not JSON".to_owned());
    }
    let token = text("access_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| "its answer has no `access_token`".to_owned())?;
    if token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its token is too long, or not one for a header".to_owned());
    }
    let kind = text("token_type").unwrap_or("Bearer");
    // An exchange that gives no access token calls its kind `N_A` (RFC 8693, 2.2.1).
    if !kind.eq_ignore_ascii_case("Bearer") && !kind.eq_ignore_ascii_case("N_A") {
        return Err("its token is no bearer token".to_owned());
    }
    let life = read.as_ref().and_then(|body| body.get("expires_in")).and_then(seconds).unwrap_or(UNSAID_LIFE_S);
    let life = life.clamp(0, MAX_KEPT_S);
    Ok(Given { token: token.to_owned(), usable_s: life - EARLY_S.min(life / 2) })
}

/// A number, or a number in a string, as some servers write it.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether an address may be sent a secret: https, or http to this machine.
pub fn is_fit_for_secrets(scheme: &str, host: &str) -> bool {
    let loopback = || {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    scheme == "https" || (scheme == "http" && loopback())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms_are_escaped() {
        assert_eq!(
            client_credentials_form("a b", "p&=+ü", Some("flows.write")),
            "grant_type=client_credentials&client_id=a%20b&client_secret=p%26%3D%2B%C3%BC&scope=flows.write"
        );
        let exchange = Exchange { subject_token: "a.b.c", audience: Some("did:web:x"), ..Exchange::default() };
        assert_eq!(
            exchange.form(),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt\
             &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&audience=did%3Aweb%3Ax"
        );
    }

    #[test]
    fn what_an_endpoint_answers() {
        let read = |status: u16, body: serde_json::Value| given(status, body.to_string().as_bytes());
        for (life, usable) in
            [(json!(3600), 3570), (json!("3600"), 3570), (json!(20), 10), (json!(-1), 0), (json!(null), 30)]
        {
            let given = read(200, json!({"access_token": "t", "token_type": "bearer", "expires_in": life}));
            assert!(given.is_ok_and(|given| given.token == "t" && given.usable_s == usable), "{life}");
        }
        for (status, body, what) in [
            (
                401,
                json!({"error": "invalid_client", "error_description": "canary"}),
                "status 401 and error `invalid_client`",
            ),
            (400, json!({"error": "Canary <b>"}), "status 400"),
            (302, json!({}), "status 302"),
            (200, json!({}), "no `access_token`"),
            (200, json!({"access_token": "a b"}), "not one for a header"),
            (200, json!({"access_token": "t", "token_type": "DPoP"}), "no bearer token"),
        ] {
            let error = read(status, body).err().unwrap();
            assert!(error.contains(what) && !error.contains("anary"), "{error}");
        }
        assert!(given(200, b"<html>").err().unwrap().contains("not JSON"));
    }

    #[test]
    fn secrets_travel_by_tls_or_not_at_all() {
        for (scheme, host, fit) in [
            ("https", "tokens.example", true),
            ("http", "tokens.example", false),
            ("http", "127.0.0.1", true),
            ("http", "[::1]", true),
            ("http", "localhost", true),
            ("http", "localhost.example", false),
            ("ftp", "127.0.0.1", false),
        ] {
            assert_eq!(is_fit_for_secrets(scheme, host), fit, "{scheme} {host}");
        }
    }
}
