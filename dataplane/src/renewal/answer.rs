//! The answers of a refresh endpoint (OAuth 2.0, RFC 6749, 5.1 and 5.2), written by one side and read by the other.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// Longest token that is taken from a provider, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// A new access token.
#[derive(Debug, Clone)]
pub(crate) struct Renewed {
    pub(crate) access_token: SecretString,
    /// The next refresh token; without one the old one stays.
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) expires_in_s: u64,
}

impl Renewed {
    /// The answer's body.
    pub(crate) fn encode(&self) -> Value {
        let mut body = json!({
            "access_token": self.access_token.expose_secret(),
            "token_type": "Bearer",
            "expires_in": self.expires_in_s,
        });
        if let (Some(members), Some(token)) = (body.as_object_mut(), &self.refresh_token) {
            members.insert("refresh_token".to_owned(), json!(token.expose_secret()));
        }
        body
    }

    /// Reads a provider's answer; a life that it leaves out is as long as before.
    pub(crate) fn decode(body: &[u8], life_before_s: u64) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let token = |name: &str| {
            let text = body.get(name)?.as_str()?;
            let fits = !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| SecretString::from(text))
        };
        let seconds = match body.get("expires_in") {
            None | Some(Value::Null) => life_before_s,
            Some(Value::String(text)) => text.trim().parse().ok()?,
            Some(value) => value.as_u64()?,
        };
        Some(Self {
            access_token: token("access_token")?,
            refresh_token: token("refresh_token"),
            expires_in_s: Some(seconds).filter(|seconds| *seconds > 0)?,
        })
    }
}

/// Why no token is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    status: StatusCode,
    /// The error code of OAuth 2.0.
    pub(crate) error: &'static str,
    description: String,
}

impl Denied {
    /// 400: the request is no refresh request.
    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description: description.into() }
    }

    /// 400: another grant type than `refresh_token`.
    pub(crate) fn unsupported_grant_type() -> Self {
        let description = "`grant_type` must be `refresh_token`".to_owned();
        Self { status: StatusCode::BAD_REQUEST, error: "unsupported_grant_type", description }
    }

    /// 400: no refresh token of a running flow of this client. What exactly is wrong cannot be told from outside.
    pub(crate) fn invalid_grant() -> Self {
        let description = "the refresh token is not valid for this client and its present access token".to_owned();
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_grant", description }
    }

    /// 401: the client has not proved who it is.
    pub(crate) fn invalid_client(description: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description: description.into() }
    }

    /// 503: who the client is cannot be found out at the moment.
    pub(crate) fn unavailable() -> Self {
        let description = "the client cannot be verified at the moment".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: "temporarily_unavailable", description }
    }

    /// 500: the new tokens could not be kept.
    pub(crate) fn failed() -> Self {
        let description = "the data plane failed; see its log".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error: "server_error", description }
    }
}

/// The HTTP answer. Nobody may keep it (RFC 6749, 5.1).
pub(crate) fn respond(result: &Result<std::sync::Arc<Renewed>, Denied>) -> HttpResponse {
    let prepared = |status: StatusCode| {
        let mut builder: HttpResponseBuilder = HttpResponse::build(status);
        builder.insert_header((header::CACHE_CONTROL, "no-store"));
        builder.insert_header((header::PRAGMA, "no-cache"));
        builder.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        builder
    };
    match result {
        Ok(renewed) => prepared(StatusCode::OK).json(renewed.encode()),
        Err(denied) => {
            let mut builder = prepared(denied.status);
            if denied.status == StatusCode::UNAUTHORIZED {
                builder.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            builder.json(json!({"error": denied.error, "error_description": denied.description}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_providers_are_read() {
        for (body, expected) in [
            (json!({"access_token": "a", "expires_in": 60, "refresh_token": "r"}), Some((60, true))),
            (json!({"access_token": "a", "expires_in": "60"}), Some((60, false))),
            (json!({"access_token": "a"}), Some((300, false))),
            (json!({"access_token": "a", "expires_in": 0}), None),
            (json!({"access_token": "a", "expires_in": -1}), None),
            (json!({"access_token": ""}), None),
            (json!({"access_token": "a b"}), None),
            (json!({"access_token": 5}), None),
            (json!({"access_token": "a".repeat(MAX_TOKEN + 1)}), None),
            (json!([]), None),
        ] {
            let read = Renewed::decode(body.to_string().as_bytes(), 300);
            let read = read.map(|renewed| (renewed.expires_in_s, renewed.refresh_token.is_some()));
            assert_eq!(read, expected, "{body}");
        }
        assert!(Renewed::decode(b"{", 300).is_none());
    }

    #[test]
    fn what_is_written_is_read_back_and_not_shown() {
        let renewed = Renewed { access_token: "ACC".into(), refresh_token: Some("REF".into()), expires_in_s: 9 };
        let body = renewed.encode();
        assert_eq!(body["token_type"], "Bearer");
        let read = Renewed::decode(body.to_string().as_bytes(), 1).unwrap();
        assert_eq!((read.access_token.expose_secret(), read.expires_in_s), ("ACC", 9));
        assert!(!format!("{renewed:?}").contains("ACC") && !format!("{renewed:?}").contains("REF"));
    }
}
