//! The authorization entry of a registration (DPS profiles, Authorization): how its receiver gets tokens for the sender, and which
//! keys sign the sender's own.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{SignalError, read};

/// Profile: OAuth 2.0 client credentials (RFC 6749, 4.4).
pub const CLIENT_CREDENTIALS: &str = "oauth2_client_credentials";
/// Profile: OAuth 2.0 token exchange (RFC 8693) at a broker that both sides trust.
pub const TOKEN_EXCHANGE: &str = "oauth2_token_exchange";

/// An authorization entry. `Debug` hides the secret.
#[derive(Clone, PartialEq)]
pub enum Authorization {
    /// No profile that changes how the two authenticate: a header or a secret that was agreed elsewhere, or nothing.
    Agreed,
    /// `oauth2_client_credentials`.
    ClientCredentials {
        /// Where the receiver gets tokens for the sender.
        token_endpoint: String,
        /// The receiver's name there.
        client_id: String,
        /// The receiver's secret there.
        client_secret: String,
        /// The keys that sign the sender's tokens.
        jwks: Option<Value>,
        /// Where those keys are read. Never together with `jwks`.
        jwks_uri: Option<String>,
    },
    /// `oauth2_token_exchange`.
    TokenExchange {
        /// Where a workload's token is exchanged.
        endpoint: String,
        /// `iss` of the broker's tokens.
        issuer: String,
        /// Where the broker's keys are read.
        jwks_uri: String,
    },
}

impl Authorization {
    /// Reads the entry of a registration; an absent one, and one of a profile that is none of OAuth 2.0, is [`Self::Agreed`].
    ///
    /// # Errors
    /// [`SignalError`] naming the member that is missing or has the wrong form.
    pub fn decode(entry: Option<&Value>) -> Result<Self, SignalError> {
        let Some(entry) = entry.filter(|entry| !entry.is_null()) else { return Ok(Self::Agreed) };
        let map = read::object(entry)?;
        match read::optional(map, "type")?.as_deref() {
            Some(CLIENT_CREDENTIALS) => Self::client_credentials(map),
            Some(TOKEN_EXCHANGE) => Ok(Self::TokenExchange {
                endpoint: read::required(map, &["tokenExchangeEndpoint"])?,
                issuer: read::required(map, &["issuer"])?,
                jwks_uri: read::required(map, &["jwksUri"])?,
            }),
            _ => Ok(Self::Agreed),
        }
    }

    fn client_credentials(map: &Map<String, Value>) -> Result<Self, SignalError> {
        let jwks = map.get("jwks").filter(|jwks| !jwks.is_null()).cloned();
        let jwks_uri = read::optional(map, "jwksUri")?;
        if jwks.is_some() && jwks_uri.is_some() {
            return Err(SignalError::new("bad_value", "members `jwks` and `jwksUri` exclude each other"));
        }
        Ok(Self::ClientCredentials {
            token_endpoint: read::required(map, &["tokenEndpoint"])?,
            client_id: read::required(map, &["clientId"])?,
            client_secret: read::required(map, &["clientSecret"])?,
            jwks,
            jwks_uri,
        })
    }

    /// Writes the entry.
    pub fn encode(&self) -> Value {
        match self {
            Self::Agreed => json!({"type": "bearer"}),
            Self::ClientCredentials { token_endpoint, client_id, client_secret, jwks, jwks_uri } => {
                let mut entry = json!({"type": CLIENT_CREDENTIALS, "tokenEndpoint": token_endpoint, "clientId": client_id,
                    "clientSecret": client_secret});
                if let Some(map) = entry.as_object_mut() {
                    read::put(map, "jwksUri", jwks_uri.as_deref());
                    map.extend(jwks.clone().map(|jwks| ("jwks".to_owned(), jwks)));
                }
                entry
            }
            Self::TokenExchange { endpoint, issuer, jwks_uri } => json!({"type": TOKEN_EXCHANGE,
                "tokenExchangeEndpoint": endpoint, "issuer": issuer, "jwksUri": jwks_uri}),
        }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agreed => formatter.write_str("Agreed"),
            Self::ClientCredentials { token_endpoint, client_id, .. } => formatter
                .debug_struct("ClientCredentials")
                .field("token_endpoint", token_endpoint)
                .field("client_id", client_id)
                .finish_non_exhaustive(),
            Self::TokenExchange { endpoint, issuer, jwks_uri } => formatter
                .debug_struct("TokenExchange")
                .field("endpoint", endpoint)
                .field("issuer", issuer)
                .field("jwks_uri", jwks_uri)
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_8_entries_are_read_and_written() {
        for entry in [
            json!({"type": CLIENT_CREDENTIALS, "tokenEndpoint": "https://t/token", "clientId": "a", "clientSecret": "b",
                "jwksUri": "https://t/jwks"}),
            json!({"type": CLIENT_CREDENTIALS, "tokenEndpoint": "https://t/token", "clientId": "a", "clientSecret": "b",
                "jwks": {"keys": []}}),
            json!({"type": CLIENT_CREDENTIALS, "tokenEndpoint": "https://t/token", "clientId": "a", "clientSecret": "b"}),
            json!({"type": TOKEN_EXCHANGE, "tokenExchangeEndpoint": "https://b/token", "issuer": "https://b",
                "jwksUri": "https://b/jwks"}),
        ] {
            let read = Authorization::decode(Some(&entry)).unwrap();
            assert_eq!(read.encode(), entry);
            assert!(!format!("{read:?}").contains("clientSecret"));
        }
        for agreed in [None, Some(json!(null)), Some(json!({})), Some(json!({"type": "bearer", "jwks": {"keys": []}}))]
        {
            assert_eq!(Authorization::decode(agreed.as_ref()).unwrap(), Authorization::Agreed);
        }
    }

    #[test]
    fn section_8_what_is_missing_is_named() {
        let full = [
            json!({"type": CLIENT_CREDENTIALS, "tokenEndpoint": "https://t/token", "clientId": "a", "clientSecret": "b"}),
            json!({"type": TOKEN_EXCHANGE, "tokenExchangeEndpoint": "https://b/token", "issuer": "https://b",
                "jwksUri": "https://b/jwks"}),
        ];
        for entry in &full {
            for member in entry.as_object().unwrap().keys().filter(|name| *name != "type") {
                let mut less = entry.clone();
                less.as_object_mut().unwrap().remove(member);
                let error = Authorization::decode(Some(&less)).unwrap_err();
                assert!(error.to_string().contains(member.as_str()), "{member}: {error}");
            }
        }
        let mut both = full[0].clone();
        both["jwks"] = json!({"keys": []});
        both["jwksUri"] = json!("https://t/jwks");
        assert!(Authorization::decode(Some(&both)).unwrap_err().to_string().contains("exclude"));
        assert!(Authorization::decode(Some(&json!("x"))).is_err());
    }

    #[test]
    fn the_secret_is_not_shown() {
        let entry = json!({"type": CLIENT_CREDENTIALS, "tokenEndpoint": "https://t/token", "clientId": "a",
            "clientSecret": "canary"});
        assert!(!format!("{:?}", Authorization::decode(Some(&entry)).unwrap()).contains("canary"));
    }
}
