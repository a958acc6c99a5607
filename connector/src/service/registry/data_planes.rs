//! Data planes, as operators write them. Data planes of our own register themselves; foreign ones are written here.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Resource, Stamp, some};
use crate::app::App;
use crate::service::dataset::{bad, check_length, check_names, check_url};
use crate::service::plane_tokens::{self, ClientCredentials, TokenExchange};
use crate::service::{ServiceError, ServiceResult};
use crate::store::{Unit, data_plane, registry};

/// Which draft of Data Plane Signaling the data plane speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DialectName {
    /// Release candidate 2.
    Rc2,
    /// Release candidate 3, which our own data plane speaks.
    #[default]
    Rc3,
    /// The draft after it.
    Rc4,
}

impl DialectName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rc2 => "rc2",
            Self::Rc3 => "rc3",
            Self::Rc4 => "rc4",
        }
    }
}

/// A data plane that we signal.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "endpoint": "http://127.0.0.1:8291",
    "profiles": ["https://w3id.org/dspace-sig/profile/http-pull"],
    "dialect": "rc3",
    "labels": ["site=harbour"],
    "authorization": "Bearer the-token-of-the-data-plane"
}))]
pub(crate) struct DataPlaneInput {
    /// The id of the path, again; may be left out.
    id: Option<String>,
    /// Base URL of its signaling interface.
    endpoint: String,
    /// Transfer profiles that it serves.
    profiles: Vec<String>,
    /// Which draft it speaks.
    #[serde(default)]
    dialect: DialectName,
    /// Labels, as `name=value`.
    #[serde(default)]
    labels: Vec<String>,
    /// Value of the `Authorization` header that we send to it; never shown again. When left out, what is stored stays,
    /// and a new data plane gets the signaling token.
    #[schema(value_type = Option<String>, write_only)]
    authorization: Option<SecretString>,
    /// Instead of a header value: tokens by OAuth 2.0 client credentials, in both directions. Never shown again.
    #[schema(write_only)]
    oauth2: Option<OAuth2Input>,
    /// Instead: tokens of the broker that `token_exchange` of our configuration names, in both directions.
    token_exchange: Option<TokenExchangeInput>,
    /// Send no credentials at all.
    #[serde(default)]
    danger_no_authorization: bool,
}

/// Authorization by OAuth 2.0 client credentials (Data Plane Signaling, `oauth2_client_credentials`).
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OAuth2Input {
    /// Where we get tokens for the data plane: https, or on loopback.
    token_endpoint: String,
    /// Our client id there.
    client_id: String,
    /// Our secret there.
    #[schema(value_type = String, write_only)]
    client_secret: SecretString,
    /// The keys that sign the data plane's own tokens, a JSON Web Key set.
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// Instead: where those keys are read.
    jwks_uri: Option<String>,
    /// Each token counts once, by its `jti`, and we get a new one for each signal.
    #[serde(default)]
    single_use: bool,
    /// Believe the data plane's tokens without a look at their signature.
    #[serde(default)]
    danger_unverified_tokens: bool,
}

/// Authorization by OAuth 2.0 token exchange (Data Plane Signaling, `oauth2_token_exchange`).
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenExchangeInput {
    /// Service that we ask a token for; the data plane's endpoint when left out.
    resource: Option<String>,
    /// Name of that service; the data plane's id when left out.
    audience: Option<String>,
    /// Scope that we ask for.
    scope: Option<String>,
    /// Subject of the data plane's tokens; its id when left out.
    accept_subject: Option<String>,
    /// Scopes that its tokens must hold, separated by spaces.
    accept_scope: Option<String>,
    /// Participant context that its tokens must name.
    accept_participant_context: Option<String>,
}

#[async_trait]
impl Resource for data_plane::Entity {
    const NAME: &'static str = "data plane";
    const ID_IS_GIVEN: bool = true;
    type Input = DataPlaneInput;

    fn given_id(input: &DataPlaneInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        app: &App,
        input: DataPlaneInput,
        stamp: Stamp,
        before: Option<&data_plane::Model>,
    ) -> ServiceResult<data_plane::Model> {
        if check_url("endpoint", &input.endpoint)?.query().is_some() {
            return Err(bad("endpoint", "must not have a query"));
        }
        if input.profiles.is_empty() {
            return Err(bad("profiles", "must not be empty"));
        }
        check_names("profiles", input.profiles.iter().map(String::as_str))?;
        check_names("labels", input.labels.iter().map(String::as_str))?;
        let other = input.authorization.is_some() || input.danger_no_authorization;
        let (authorization, value) = match (input.oauth2, input.token_exchange) {
            (None, None) => authorization(input.authorization, input.danger_no_authorization, before)?,
            (Some(given), None) if !other => (plane_tokens::OAUTH2.to_owned(), given.credentials().stored()?),
            (None, Some(given)) if !other => {
                (plane_tokens::EXCHANGE.to_owned(), given.agreed().stored(app.config.broker.as_ref())?)
            }
            _ => {
                let text = "excludes `tokenExchange`, `authorization` and `dangerNoAuthorization`, and they it";
                return Err(bad("oauth2", text));
            }
        };
        Ok(data_plane::Model {
            context: stamp.context,
            id: stamp.id,
            endpoint: input.endpoint.trim_end_matches('/').to_owned(),
            profiles: text(&input.profiles)?,
            dialect: input.dialect.as_str().to_owned(),
            labels: text(&input.labels)?,
            authorization,
            authorization_value: value,
            presence: before.and_then(|row| row.presence.clone()),
            presence_since: before.and_then(|row| row.presence_since),
            present_until: before.and_then(|row| row.present_until),
            connection: before.and_then(|row| row.connection.clone()),
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut data_plane::Model) -> &mut i64 {
        &mut row.created_at
    }

    async fn used_by(unit: &Unit, context: &str, id: &str) -> ServiceResult<Option<String>> {
        Ok(some(registry::open_on_data_plane(unit, context, id).await?, "open transfer"))
    }
}

impl OAuth2Input {
    fn credentials(self) -> ClientCredentials {
        ClientCredentials {
            token_endpoint: self.token_endpoint,
            client_id: self.client_id,
            client_secret: self.client_secret.expose_secret().to_owned(),
            jwks: self.jwks,
            jwks_uri: self.jwks_uri,
            danger_unverified_tokens: self.danger_unverified_tokens,
            single_use: self.single_use,
        }
    }
}

impl TokenExchangeInput {
    fn agreed(self) -> TokenExchange {
        TokenExchange {
            resource: self.resource,
            audience: self.audience,
            scope: self.scope,
            accept_subject: self.accept_subject,
            accept_scope: self.accept_scope,
            accept_participant_context: self.accept_participant_context,
        }
    }
}

/// How we authenticate to it, and the header value.
fn authorization(
    header: Option<SecretString>,
    none: bool,
    before: Option<&data_plane::Model>,
) -> ServiceResult<(String, String)> {
    let Some(header) = header else {
        return Ok(match before {
            _ if none => ("none".to_owned(), String::new()),
            Some(before) => (before.authorization.clone(), before.authorization_value.clone()),
            None => ("shared".to_owned(), String::new()),
        });
    };
    if none {
        return Err(bad("authorization", "and `dangerNoAuthorization` exclude each other"));
    }
    let value = header.expose_secret();
    check_length("authorization", value, 8 * 1024)?;
    if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(bad("authorization", "must be a header value of printable ASCII characters"));
    }
    Ok(("header".to_owned(), value.to_owned()))
}

fn text(list: &[String]) -> ServiceResult<String> {
    serde_json::to_string(list).map_err(ServiceError::internal)
}
