//! Who we are: our DID, its document, our keys.

use actix_web::web::{Data, Path};
use actix_web::{get, post};
use identity::did::document_url;
use identity::jose::Algorithm;
use identity::keys::{KeyState, RingKey};
use policy_plan::instant_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::body::Json;
use super::crud::{Answer, ok};
use crate::app::App;
use crate::dcp::DcpServices;
use crate::dcp::operate::{self, set_up};
use crate::service::dataset::bad;
use crate::service::{ServiceError, ServiceResult};

/// Longest time that a retired key may keep verifying, days.
const MAX_KEEP_DAYS: u32 = 3660;
/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Nothing: the command says it all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Nothing, example = json!({}))]
pub(super) struct NothingInput {}

/// What a new key is like, and what becomes of the one before.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Rotation, example = json!({"algorithm": "ES256", "keepDays": 30}))]
pub(super) struct RotationInput {
    /// Algorithm of the new key; that of the current one when left out.
    algorithm: Option<AlgorithmName>,
    /// Until when the key before keeps verifying credentials, as RFC 3339 text. Without it and `keepDays`: until the last
    /// credential that we issued has expired, and at least a day.
    keep_until: Option<String>,
    /// The same in days from now, 0 to 3660.
    keep_days: Option<u32>,
}

/// Algorithms of our keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) enum AlgorithmName {
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl From<AlgorithmName> for Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Es256 => Self::Es256,
            AlgorithmName::Es384 => Self::Es384,
            AlgorithmName::EdDsa => Self::EdDsa,
        }
    }
}

impl RotationInput {
    /// Until when the key before is kept, seconds since 1970.
    fn keep_until(&self, now: i64) -> ServiceResult<Option<i64>> {
        match (&self.keep_until, self.keep_days) {
            (Some(_), Some(_)) => Err(bad("keepDays", "and `keepUntil` exclude each other")),
            (None, None) => Ok(None),
            (None, Some(days)) if days <= MAX_KEEP_DAYS => Ok(Some(now.saturating_add(i64::from(days) * DAY_S))),
            (None, Some(_)) => Err(bad("keepDays", format_args!("must be at most {MAX_KEEP_DAYS}"))),
            (Some(text), None) => {
                let time = OffsetDateTime::parse(text, &Rfc3339)
                    .map_err(|_| bad("keepUntil", "must be a time such as `2027-01-31T12:00:00Z`"))?
                    .unix_timestamp();
                if time > now.saturating_add(i64::from(MAX_KEEP_DAYS) * DAY_S) {
                    return Err(bad("keepUntil", format_args!("must be within {MAX_KEEP_DAYS} days")));
                }
                Ok(Some(time))
            }
        }
    }
}

/// Our identity.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Identity)]
pub(super) struct IdentityView {
    /// Our DID, which is our participant id.
    did: String,
    /// Where partners read its document.
    document_url: String,
    /// Our keys, the current one first.
    keys: Vec<KeyView>,
    /// What the document announces.
    services: Vec<ServiceView>,
    /// Whether we issue credentials.
    issuer: bool,
    /// The DID document as it is served now.
    #[schema(value_type = Object)]
    document: Value,
}

/// One of our keys; its private half is never shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Key)]
pub(super) struct KeyView {
    /// Its name.
    id: String,
    /// Its verification method.
    method: String,
    /// `ES256`, `ES384` or `EdDSA`.
    algorithm: &'static str,
    /// `current` signs, `retired` still verifies what it signed, `revoked` is given up.
    #[schema(value_type = KeyStateName)]
    state: &'static str,
    /// Whether the DID document has it.
    published: bool,
    /// When it was made.
    created_at: String,
    /// When it stopped signing.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<String>,
    /// Until when it verifies what it signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_until: Option<String>,
    /// When it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    /// The public half (RFC 7517).
    #[schema(value_type = Object)]
    public_key_jwk: Map<String, Value>,
}

/// States of a key.
#[derive(ToSchema)]
#[schema(as = KeyState, rename_all = "lowercase")]
#[allow(dead_code)] // Only described.
enum KeyStateName {
    Current,
    Retired,
    Revoked,
}

/// A service of our DID document.
#[derive(Serialize, ToSchema)]
#[schema(as = DidService)]
pub(super) struct ServiceView {
    /// Its type, such as `CredentialService`.
    #[serde(rename = "type")]
    kind: String,
    /// Its address.
    endpoint: String,
}

fn view(app: &App, dcp: &DcpServices) -> ServiceResult<IdentityView> {
    let url = document_url(&dcp.did, app.config.identity.danger_allow_http).map_err(ServiceError::internal)?;
    let document = dcp.keys.document().map_err(ServiceError::internal)?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let services = document.get("service").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let services = services
        .iter()
        .map(|entry| ServiceView { kind: text(entry, "type"), endpoint: text(entry, "serviceEndpoint") })
        .collect();
    Ok(IdentityView {
        did: dcp.did.to_string(),
        document_url: url.into(),
        // The ring has the oldest first.
        keys: dcp.keys.ring().keys().iter().rev().map(|key| key_view(dcp, key)).collect::<ServiceResult<_>>()?,
        services,
        issuer: dcp.issuer.is_some(),
        document,
    })
}

fn key_view(dcp: &DcpServices, key: &RingKey) -> ServiceResult<KeyView> {
    let at = |seconds: i64| instant_text(seconds.saturating_mul(1000));
    let mut view = KeyView {
        id: key.id.clone(),
        method: key.method(&dcp.did).map_err(ServiceError::internal)?.to_string(),
        algorithm: operate::algorithm(key),
        state: "current",
        published: true,
        created_at: at(key.created),
        retired_at: None,
        kept_until: None,
        revoked_at: None,
        public_key_jwk: key.public.jwk().clone(),
    };
    match key.state {
        KeyState::Current => {}
        KeyState::Retired { retired_at, drop_after } => {
            view.state = "retired";
            view.published = drop_after > dcp.clock.now();
            view.retired_at = Some(at(retired_at));
            view.kept_until = Some(at(drop_after));
        }
        KeyState::Revoked { revoked_at } => {
            view.state = "revoked";
            view.published = false;
            view.revoked_at = Some(at(revoked_at));
        }
    }
    Ok(view)
}

/// Shows our DID, its document and our keys.
#[utoipa::path(tag = "identity", responses((status = 200, description = "Our identity", body = IdentityView)))]
#[get("/identity")]
pub(super) async fn show(app: Data<App>) -> Answer {
    ok(&view(&app, set_up(&app)?)?)
}

/// Makes a new current key; the one before keeps verifying what it signed for a while.
#[utoipa::path(
    tag = "identity",
    request_body = RotationInput,
    responses((status = 200, description = "Our identity with the new key", body = IdentityView))
)]
#[post("/identity/rotate")]
pub(super) async fn rotate(app: Data<App>, Json(input): Json<RotationInput>) -> Answer {
    let dcp = set_up(&app)?;
    let keep_until = input.keep_until(dcp.clock.now())?;
    operate::rotate(&app, dcp, input.algorithm.map(Algorithm::from), keep_until).await?;
    ok(&view(&app, dcp)?)
}

/// Gives a key up at once, so that everything that it signed becomes invalid. The current one has to be rotated away first.
#[utoipa::path(
    tag = "identity",
    params(("id" = String, Path, description = "Name of the key")),
    request_body = NothingInput,
    responses((status = 200, description = "Our identity without the key", body = IdentityView))
)]
#[post("/identity/keys/{id}/revoke")]
pub(super) async fn revoke(app: Data<App>, id: Path<String>, Json(NothingInput {}): Json<NothingInput>) -> Answer {
    let dcp = set_up(&app)?;
    operate::revoke(&app, dcp, &id).await?;
    ok(&view(&app, dcp)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_key_is_kept() {
        let keep = |until: Option<&str>, days: Option<u32>| {
            RotationInput { algorithm: None, keep_until: until.map(str::to_owned), keep_days: days }.keep_until(1000)
        };
        assert_eq!(keep(None, None).unwrap(), None);
        assert_eq!(keep(None, Some(2)).unwrap(), Some(1000 + 2 * 86_400));
        assert_eq!(keep(Some("1970-01-01T01:00:00+01:00"), None).unwrap(), Some(0));
        assert_eq!(keep(Some("1970-01-02T00:00:00Z"), None).unwrap(), Some(86_400));
        for (until, days) in
            [(Some("tomorrow"), None), (Some("2100-01-01T00:00:00Z"), None), (None, Some(3661)), (Some("x"), Some(1))]
        {
            assert_eq!(keep(until, days).unwrap_err().code, "bad_member", "{until:?} {days:?}");
        }
    }
}
