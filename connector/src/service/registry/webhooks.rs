//! Webhooks, as operators write them.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Resource, Stamp};
use crate::app::App;
use crate::service::dataset::{bad, check_names, check_url};
use crate::service::events::Pattern;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{events, webhook};

/// Shortest secret that makes a signature worth something, in bytes.
const MIN_SECRET_BYTES: usize = 16;

/// A receiver of events.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "url": "https://automation.city.example/hansa",
    "events": ["negotiation.*", "transfer.started"],
    "secret": "at-least-sixteen-characters"
}))]
pub(crate) struct WebhookInput {
    /// Id; made when left out.
    id: Option<String>,
    /// Where events are posted.
    url: String,
    /// Which events: kinds such as `transfer.started`, families such as `negotiation.*`, or `*` for all.
    events: Vec<String>,
    /// Key of the signature in the header `Hansa-Signature`; never shown again. When left out, what is stored stays; an
    /// empty text removes it.
    #[schema(value_type = Option<String>, write_only)]
    secret: Option<SecretString>,
}

#[async_trait]
impl Resource for webhook::Entity {
    const NAME: &'static str = "webhook";
    type Input = WebhookInput;

    fn given_id(input: &WebhookInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        app: &App,
        input: WebhookInput,
        stamp: Stamp,
        before: Option<&webhook::Model>,
    ) -> ServiceResult<webhook::Model> {
        check_url("url", &input.url)?;
        if input.events.is_empty() {
            return Err(bad("events", "must not be empty"));
        }
        check_names("events", input.events.iter().map(String::as_str))?;
        for pattern in &input.events {
            Pattern::parse(pattern).ok_or_else(|| {
                bad("events", format_args!("holds `{pattern}`; a pattern is `*`, `family.*` or `family.kind`"))
            })?;
        }
        let secret = match &input.secret {
            Some(secret) => checked(secret)?,
            None => before.map(|before| before.secret.clone()).unwrap_or_default(),
        };
        let cursor = match before {
            Some(before) => before.cursor,
            None => events::last_seq(&app.store).await?,
        };
        Ok(webhook::Model {
            context: stamp.context,
            id: stamp.id,
            url: input.url,
            events: serde_json::to_string(&input.events).map_err(ServiceError::internal)?,
            secret,
            cursor,
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut webhook::Model) -> &mut i64 {
        &mut row.created_at
    }
}

fn checked(secret: &SecretString) -> ServiceResult<String> {
    let secret = secret.expose_secret();
    if !secret.is_empty() && !(MIN_SECRET_BYTES..=1024).contains(&secret.len()) {
        return Err(bad("secret", format_args!("must have between {MIN_SECRET_BYTES} and 1024 bytes")));
    }
    Ok(secret.to_owned())
}
