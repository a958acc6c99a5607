//! What operators change: our keys, and what is held.

use std::sync::Arc;

use identity::jose::Algorithm;
use identity::keys::{KeyError, RingKey};
use serde_json::json;

use super::DcpServices;
use crate::app::App;
use crate::service::{ServiceError, ServiceResult};
use crate::store::{Unit, credential, issuances, registry};

/// The shortest time that a retired key keeps verifying unless somebody says otherwise, seconds.
const LEAST_KEPT_S: i64 = 86_400;

/// Verifiable credentials, where they are set up.
///
/// # Errors
/// `identity_not_set_up`, 409, the operator's fault.
pub(crate) fn set_up(app: &App) -> ServiceResult<&Arc<DcpServices>> {
    app.dcp.as_ref().ok_or_else(|| {
        let text = "verifiable credentials are not set up here: the setting `identity.did` names no DID";
        ServiceError::operator("identity_not_set_up", text)
    })
}

/// Puts a new key in the place of the current one, by its algorithm unless another is named. The one before keeps verifying
/// until `keep_until`, seconds since 1970; without it until the last credential that it can have signed has expired.
///
/// # Errors
/// Those of [`super::OwnKeys::rotate`].
pub(crate) async fn rotate(
    app: &App,
    dcp: &Arc<DcpServices>,
    algorithm: Option<Algorithm>,
    keep_until: Option<i64>,
) -> ServiceResult<()> {
    let algorithm = algorithm.unwrap_or_else(|| dcp.keys.signer().algorithm());
    let keep_until = match keep_until {
        Some(time) => time,
        None => {
            let issued = issuances::last_expiry(&app.store, app.context()).await?;
            issued.unwrap_or_default().max(dcp.clock.now().saturating_add(LEAST_KEPT_S))
        }
    };
    let keys = dcp.clone();
    let id = changed(dcp, async move { keys.keys.rotate(algorithm, keep_until).await }).await?;
    announce(app, "key.rotated", id).await
}

/// Gives a key up at once.
///
/// # Errors
/// `not_found`; `key_in_use`, 409, for the current key.
pub(crate) async fn revoke(app: &App, dcp: &Arc<DcpServices>, id: &str) -> ServiceResult<()> {
    let (keys, key) = (dcp.clone(), id.to_owned());
    changed(dcp, async move { keys.keys.revoke(&key).await }).await?;
    announce(app, "key.revoked", id.to_owned()).await
}

/// The algorithm of a key.
pub(crate) fn algorithm(key: &RingKey) -> &'static str {
    let member = |name: &str| key.public.jwk().get(name).and_then(serde_json::Value::as_str);
    match (member("kty"), member("crv")) {
        (Some("EC"), Some("P-256")) => Algorithm::Es256.name(),
        (Some("EC"), Some("P-384")) => Algorithm::Es384.name(),
        (Some("OKP"), _) => Algorithm::EdDsa.name(),
        _ => Algorithm::Rs256.name(),
    }
}

/// Changes our keys and tells everything that has to know. It is a task of its own, so that a caller who goes away does not stop
/// it halfway.
async fn changed<T: Send + 'static>(
    dcp: &Arc<DcpServices>,
    change: impl Future<Output = Result<T, KeyError>> + Send + 'static,
) -> ServiceResult<T> {
    let dcp = dcp.clone();
    let task = tokio::spawn(async move {
        let answer = change.await.map_err(|error| match error.code() {
            "unknown_key" => ServiceError::not_found(error.to_string()),
            "key_in_use" => ServiceError::conflict("key_in_use", error.to_string()),
            code => ServiceError::operator(code, error.to_string()),
        })?;
        dcp.keys.publish(&dcp.resolver).map_err(ServiceError::internal)?;
        // Access tokens that the former key signed are not accepted any more.
        dcp.identity.forget();
        Ok(answer)
    });
    task.await.map_err(ServiceError::internal)?
}

async fn announce(app: &App, kind: &'static str, key: String) -> ServiceResult<()> {
    let context = app.context();
    app.store
        .write(move |unit| Box::pin(async move { Ok(unit.event(context, kind.to_owned(), &key, &json!({})).await?) }))
        .await
}

/// Removes a credential that we hold, or that waits for a decision.
///
/// # Errors
/// `not_found`.
pub(crate) async fn remove_credential(app: &App, id: &str) -> ServiceResult<()> {
    let context = app.context();
    let id = id.to_owned();
    app.store.write(move |unit| Box::pin(async move { remove(unit, context, &id).await })).await
}

async fn remove(unit: &mut Unit, context: &str, id: &str) -> ServiceResult<()> {
    let found = registry::find::<credential::Entity>(unit.db(), context, id).await?;
    let row = found.ok_or_else(|| ServiceError::not_found(format!("there is no credential `{id}`")))?;
    registry::remove::<credential::Entity>(unit, context, id).await?;
    let event = json!({"type": row.kind, "issuer": row.issuer});
    Ok(unit.event(context, "credential.removed".to_owned(), id, &event).await?)
}
