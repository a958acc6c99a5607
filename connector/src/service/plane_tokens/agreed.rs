//! What is agreed with one data plane about tokens; kept as JSON beside its registration.

use dps_signaling::Authorization as Entry;
use dps_signaling::token::{KeySet, is_fit_for_secrets};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::super::dataset::{bad, check_length, check_url};
use super::super::{ServiceError, ServiceResult};
use super::{EXCHANGE, OAUTH2};
use crate::config::Broker;
use crate::store::data_plane;

/// Longest text of an agreement, in bytes.
const MAX_TEXT: usize = 4096;

/// Tokens by OAuth 2.0 client credentials.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientCredentials {
    /// Where we get tokens for the plane.
    pub token_endpoint: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: String,
    /// The keys that sign the plane's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where those keys are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The plane's tokens are believed without a look at their signature.
    #[serde(default)]
    pub danger_unverified_tokens: bool,
    /// Each token counts once, the plane's and ours.
    #[serde(default)]
    pub single_use: bool,
}

impl ClientCredentials {
    /// Checks the members and makes the stored form.
    ///
    /// # Errors
    /// `bad_member`.
    pub(crate) fn stored(&self) -> ServiceResult<String> {
        let endpoint = check_url("tokenEndpoint", &self.token_endpoint)?;
        if !is_fit(&endpoint) {
            return Err(bad("tokenEndpoint", "gets a secret: it must be https, or on loopback"));
        }
        for (name, text) in [("clientId", &self.client_id), ("clientSecret", &self.client_secret)] {
            if text.is_empty() {
                return Err(bad(name, "must not be empty"));
            }
            check_length(name, text, MAX_TEXT)?;
        }
        match (&self.jwks, &self.jwks_uri) {
            (Some(_), Some(_)) => return Err(bad("jwksUri", "and `jwks` exclude each other")),
            (Some(jwks), None) => {
                KeySet::from_jwks(jwks).map_err(|why| bad("jwks", why.to_string()))?;
            }
            (None, Some(uri)) => {
                check_url("jwksUri", uri)?;
            }
            (None, None) if !self.danger_unverified_tokens => {
                let text =
                    "or `jwks` is needed to verify the plane's tokens; only `dangerUnverifiedTokens` does without";
                return Err(bad("jwksUri", text));
            }
            (None, None) => {}
        }
        serde_json::to_string(self).map_err(ServiceError::internal)
    }
}

/// Tokens by exchange at the broker of the configuration (`token_exchange`).
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenExchange {
    /// `resource` of our requests; the plane's endpoint when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// `audience` of our requests; the plane's id when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// `scope` of our requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `sub` of the plane's tokens; its id when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_subject: Option<String>,
    /// What `scope` of the plane's tokens must hold, separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_scope: Option<String>,
    /// `participant_context` of the plane's tokens, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_participant_context: Option<String>,
}

impl TokenExchange {
    /// Checks the members and makes the stored form.
    ///
    /// # Errors
    /// `bad_member`, also when the configuration names no broker.
    pub(crate) fn stored(&self, broker: Option<&Broker>) -> ServiceResult<String> {
        if broker.is_none() {
            return Err(bad("tokenExchange", "needs a broker: set `token_exchange` in the configuration"));
        }
        for (name, text) in [
            ("resource", &self.resource),
            ("audience", &self.audience),
            ("scope", &self.scope),
            ("acceptSubject", &self.accept_subject),
            ("acceptScope", &self.accept_scope),
            ("acceptParticipantContext", &self.accept_participant_context),
        ] {
            let Some(text) = text else { continue };
            if text.is_empty() {
                return Err(bad(name, "must not be empty"));
            }
            check_length(name, text, MAX_TEXT)?;
        }
        serde_json::to_string(self).map_err(ServiceError::internal)
    }
}

/// What a registration's entry agrees, as kind and stored form; `None` when it leaves that to what is there. `before` is what an
/// operator has said about the plane.
///
/// # Errors
/// `bad_data_plane` for an entry without its members, `bad_member` for one that cannot be used, `unknown_broker`.
pub(crate) fn of_registration(
    entry: Option<&Value>,
    broker: Option<&Broker>,
    before: Option<&data_plane::Model>,
) -> ServiceResult<Option<(String, String)>> {
    let entry = Entry::decode(entry)
        .map_err(|error| ServiceError::bad_request("bad_data_plane", format!("`authorization`: {error}")))?;
    match entry {
        Entry::Agreed => Ok(None),
        Entry::ClientCredentials { token_endpoint, client_id, client_secret, jwks, jwks_uri } => {
            let made = ClientCredentials {
                token_endpoint,
                client_id,
                client_secret,
                jwks,
                jwks_uri,
                danger_unverified_tokens: false,
                single_use: false,
            };
            Ok(Some((OAUTH2.to_owned(), made.stored()?)))
        }
        Entry::TokenExchange { endpoint, issuer, jwks_uri } => {
            let same = |ours: &Url, theirs: &str| Url::parse(theirs).is_ok_and(|theirs| theirs == *ours);
            let fits = |broker: &&Broker| {
                same(&broker.endpoint, &endpoint) && same(&broker.jwks_uri, &jwks_uri) && broker.issuer == issuer
            };
            // Our platform's token goes to the broker of the configuration and to nobody else.
            let Some(broker) = broker.filter(fits) else {
                let text = "tokens are exchanged at the broker of `token_exchange` alone, and the registration names another one";
                return Err(ServiceError::bad_request("unknown_broker", text));
            };
            match before.filter(|before| before.authorization == EXCHANGE) {
                Some(before) => Ok(Some((EXCHANGE.to_owned(), before.authorization_value.clone()))),
                None => Ok(Some((EXCHANGE.to_owned(), TokenExchange::default().stored(Some(broker))?))),
            }
        }
    }
}

/// Whether an address may be sent a secret.
fn is_fit(url: &Url) -> bool {
    is_fit_for_secrets(url.scheme(), url.host_str().unwrap_or_default())
}
