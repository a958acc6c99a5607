//! Data planes: registration, and how the two planes come to trust each other.

use std::sync::Arc;

use dps_signaling::{ControlPlaneRegistration, Dialect, RegistrationMessage};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{agreements, data_plane, now_ms, processes, registry, transfer};
use crate::worker::data_plane_authorization;

/// Whether `header` is the Authorization value of a data plane that is registered with one of its own, or one is
/// registered (by an explicit setting) without authentication.
pub(crate) async fn accepts(app: &App, header: &[u8]) -> ServiceResult<bool> {
    let planes = registry::all::<data_plane::Entity>(&app.store, app.context()).await?;
    let mut accepted = false;
    for plane in planes {
        accepted |= match plane.authorization.as_str() {
            "header" => bool::from(plane.authorization_value.as_bytes().ct_eq(header)),
            "none" => header.is_empty(),
            _ => false,
        };
    }
    Ok(accepted)
}

/// A data plane of ours registers itself; it learns in return where we are and which key signs its plans.
///
/// # Errors
/// `bad_data_plane`, or what the database brought.
pub(crate) async fn register(app: &Arc<App>, message: RegistrationMessage) -> ServiceResult<()> {
    let bad = |text: String| ServiceError::bad_request("bad_data_plane", text);
    dsp_protocol::pid::check(&message.dataplane_id).map_err(|error| bad(format!("`dataplaneId`: {error}")))?;
    let url = Url::parse(&message.endpoint).map_err(|error| bad(format!("`endpoint`: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("`endpoint` is neither http nor https".to_owned()));
    }
    // What only an operator can say stays: which draft it speaks, and how we show ourselves.
    let known = registry::find::<data_plane::Entity>(app.store.reads(), app.context(), &message.dataplane_id).await?;
    let (dialect, authorization, authorization_value) = match known {
        Some(known) => (known.dialect, known.authorization, known.authorization_value),
        None => (Dialect::Rc3.as_str().to_owned(), "shared".to_owned(), String::new()),
    };
    let row = data_plane::Model {
        context: app.context().to_owned(),
        id: message.dataplane_id.clone(),
        endpoint: message.endpoint.trim_end_matches('/').to_owned(),
        profiles: json!(message.profiles).to_string(),
        dialect,
        labels: json!(message.labels).to_string(),
        authorization,
        authorization_value,
        created_at: now_ms(),
        updated_at: now_ms(),
    };
    let saved = row.clone();
    app.store
        .write(move |unit| {
            Box::pin(async move {
                registry::put::<data_plane::Entity>(unit, saved.clone()).await?;
                let data = json!({"endpoint": saved.endpoint});
                unit.event(&saved.context, "dataplane.registered".to_owned(), &saved.id, &data).await?;
                Ok::<_, ServiceError>(())
            })
        })
        .await?;
    introduce(app, &row).await
}

/// Tells a data plane of ours where callbacks go and which key signs its plans. Until it knows the key it can take no
/// flow, so that its registration fails with this call and is tried again.
async fn introduce(app: &App, plane: &data_plane::Model) -> ServiceResult<()> {
    let registration = ControlPlaneRegistration {
        controlplane_id: app.participant.clone(),
        endpoint: app.signaling_address.clone(),
        authorization: Some(json!({"type": "bearer", "jwks": app.signer.jwks()})),
    };
    let url = format!("{}/controlplanes", plane.endpoint);
    let authorization = data_plane_authorization(app, plane);
    let answer = app.internal.put_json(&url, &registration.encode(Dialect::Rc3), authorization.as_ref()).await;
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(ServiceError::unavailable(
            "data_plane_refused",
            format!("data plane `{}` answered our registration with status {}", plane.id, answer.status),
        )),
        Err(error) => Err(ServiceError::unavailable(
            "data_plane_unreachable",
            format!("data plane `{}` cannot be reached at its endpoint: {error}", plane.id),
        )),
    }
}

/// A data plane leaves.
///
/// # Errors
/// `not_found`.
pub(crate) async fn unregister(app: &App, id: &str) -> ServiceResult<()> {
    let (context, id) = (app.context(), id.to_owned());
    app.store
        .write(move |unit| {
            Box::pin(async move {
                if !registry::remove::<data_plane::Entity>(unit, context, &id).await? {
                    return Err(ServiceError::not_found(format!("no data plane `{id}`")));
                }
                unit.event(context, "dataplane.unregistered".to_owned(), &id, &json!({})).await?;
                Ok(())
            })
        })
        .await
}

/// The agreement behind a transfer, as a data plane may ask for it.
///
/// # Errors
/// `not_found`.
pub(crate) async fn agreement_of(app: &App, id: &str) -> ServiceResult<Value> {
    let missing = || ServiceError::not_found(format!("no transfer `{id}`"));
    let row = processes::find::<transfer::Model>(app.store.reads(), app.context(), id).await?.ok_or_else(missing)?;
    let agreement = agreements::find(app.store.reads(), app.context(), &row.role, &row.agreement_id).await?;
    let agreement = agreement.ok_or_else(missing)?;
    let mut value: Value = serde_json::from_str(&agreement.body).map_err(ServiceError::internal)?;
    if let Value::Object(members) = &mut value {
        members.insert("@context".to_owned(), json!([dsp_protocol::context::DSP_CONTEXT]));
    }
    Ok(value)
}
