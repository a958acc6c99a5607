//! How we and a control plane authenticate to each other (DPS profiles, Authorization): by one secret, or by tokens of OAuth 2.0 that
//! each side gets at a token endpoint and the other verifies.
//!
//! Token endpoints and key sets are named by our configuration or by a control plane that has authenticated itself. They may lie in
//! our own network, so the filter for addresses of partners does not apply to them.

mod accept;
mod flight;
mod keys;
mod ours;

use std::sync::Arc;

use dps_signaling::token::{KeySet, is_fit_for_secrets};
use dps_signaling::{Authorization as Entry, ControlPlaneRegistration};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::runtime::Handle;
use url::Url;

use self::accept::Acceptor;
use self::ours::Tokens;
use crate::client::Client;
use crate::config::{Acceptance, Authorization, Config, Grant, Keys, OAuth2, TokenRequest, parse_url};
use crate::problem::Problem;

/// What reaches outside: a client for addresses of operators, and where work goes on when its caller has left.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) client: Client,
    pub(crate) background: Handle,
}

/// How one control plane and we authenticate to each other.
pub(crate) enum Trust {
    /// One secret for both ways.
    Secret(SecretString),
    /// Tokens, ours and theirs.
    OAuth2 { ours: Arc<Tokens>, theirs: Box<Acceptor> },
}

impl Trust {
    /// As our configuration says it.
    pub(crate) fn configured(authorization: &Authorization, outside: &Outside) -> Self {
        match authorization {
            Authorization::Secret(secret) => Self::Secret(secret.clone()),
            Authorization::OAuth2(oauth2) => Self::oauth2((**oauth2).clone(), outside),
        }
    }

    /// As a registration says it; `None` when it leaves that to the configuration.
    ///
    /// # Errors
    /// 400 for an entry that cannot be used here.
    pub(crate) fn registered(
        registration: &ControlPlaneRegistration,
        config: &Config,
        outside: &Outside,
    ) -> Result<Option<Self>, Problem> {
        let id = &registration.controlplane_id;
        let oauth2 = match Entry::decode(registration.authorization.as_ref())? {
            Entry::Agreed => return Ok(None),
            Entry::ClientCredentials { token_endpoint, client_id, client_secret, jwks, jwks_uri } => {
                let keys = match (jwks, jwks_uri) {
                    (Some(jwks), _) => {
                        let set = KeySet::from_jwks(&jwks).map_err(|error| bad("jwks", &error.to_string()))?;
                        Keys::Set(Arc::new(set))
                    }
                    (None, Some(uri)) => Keys::At(parse_url(&uri).map_err(|fault| bad("jwksUri", &fault))?),
                    (None, None) if config.token_rules.danger_unverified => Keys::DangerUnverified,
                    (None, None) => return Err(bad("jwksUri", "or `jwks` is needed to verify your tokens")),
                };
                let single_use = config.token_rules.single_use;
                let grant = Grant::ClientCredentials { id: client_id, secret: client_secret.into(), scope: None };
                OAuth2 {
                    ours: TokenRequest {
                        endpoint: secret_address("tokenEndpoint", &token_endpoint)?,
                        grant,
                        single_use,
                    },
                    theirs: Acceptance {
                        issuer: None,
                        subject: id.clone(),
                        audience: config.id.clone(),
                        scope: None,
                        participant_context: None,
                        keys,
                        single_use,
                    },
                }
            }
            Entry::TokenExchange { endpoint, issuer, jwks_uri } => {
                broker(config, &endpoint, &issuer, &jwks_uri, registration)?
            }
        };
        Ok(Some(Self::oauth2(oauth2, outside)))
    }

    fn oauth2(oauth2: OAuth2, outside: &Outside) -> Self {
        Self::OAuth2 {
            ours: Arc::new(Tokens::new(oauth2.ours, outside.clone())),
            theirs: Box::new(Acceptor::new(oauth2.theirs, outside)),
        }
    }

    /// Whether a value of `Authorization` is one of this control plane.
    pub(crate) async fn admits(&self, header: &[u8]) -> bool {
        match self {
            Self::Secret(secret) => {
                let expected = format!("Bearer {}", secret.expose_secret());
                bool::from(header.ct_eq(expected.as_bytes()))
            }
            Self::OAuth2 { theirs, .. } => theirs.admits(header).await,
        }
    }

    /// Our value of `Authorization`.
    ///
    /// # Errors
    /// A sentence about the token endpoint.
    pub(crate) async fn header(&self) -> Result<HeaderValue, String> {
        match self {
            Self::Secret(secret) => bearer(secret.expose_secret()),
            Self::OAuth2 { ours, .. } => ours.header().await,
        }
    }

    /// The control plane has refused this value. Whether another one may help.
    pub(crate) fn refused(&self, header: &HeaderValue) -> bool {
        match self {
            Self::Secret(_) => false,
            Self::OAuth2 { ours, .. } => ours.forget(header),
        }
    }
}

/// A value for `Authorization`, hidden from logs.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| "a token cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token of this workload goes to the broker that our configuration names, and to no other one.
fn broker(
    config: &Config,
    endpoint: &str,
    issuer: &str,
    jwks_uri: &str,
    registration: &ControlPlaneRegistration,
) -> Result<OAuth2, Problem> {
    let known = match &config.control_plane_authorization {
        Authorization::OAuth2(known) => known,
        Authorization::Secret(_) => return Err(unknown_broker()),
    };
    let (Grant::Exchange { subject_token_file, scope, .. }, Keys::At(keys)) = (&known.ours.grant, &known.theirs.keys)
    else {
        return Err(unknown_broker());
    };
    let same = |ours: &Url, theirs: &str| Url::parse(theirs).is_ok_and(|theirs| theirs == *ours);
    if !same(&known.ours.endpoint, endpoint) || !same(keys, jwks_uri) || known.theirs.issuer.as_deref() != Some(issuer)
    {
        return Err(unknown_broker());
    }
    let grant = Grant::Exchange {
        subject_token_file: subject_token_file.clone(),
        resource: Some(registration.endpoint.clone()),
        audience: Some(registration.controlplane_id.clone()),
        scope: scope.clone(),
    };
    let theirs = Acceptance { subject: registration.controlplane_id.clone(), ..known.theirs.clone() };
    Ok(OAuth2 { ours: TokenRequest { grant, ..known.ours.clone() }, theirs })
}

fn unknown_broker() -> Problem {
    let detail =
        "tokens are exchanged at the broker of `control_plane.exchange` alone, and the entry names another one";
    Problem::bad_request("unknown_broker", detail)
}

fn secret_address(member: &str, text: &str) -> Result<Url, Problem> {
    let url = parse_url(text).map_err(|fault| bad(member, &fault))?;
    if is_fit_for_secrets(url.scheme(), url.host_str().unwrap_or_default()) {
        return Ok(url);
    }
    Err(bad(member, "gets a secret: it must be https, or on loopback"))
}

fn bad(member: &str, what: &str) -> Problem {
    Problem::bad_request("bad_authorization", format!("`authorization.{member}` {what}"))
}
