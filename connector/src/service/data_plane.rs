//! Data planes: registration, and how the two planes come to trust each other.

use std::sync::Arc;

use dps_signaling::{ControlPlaneRegistration, Dialect, RegistrationMessage};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::plane_tokens;
use super::presence::Presence;
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{agreements, data_plane, now_ms, processes, registry, transfer};
use crate::worker::data_plane_authorization;

/// Who calls the signaling interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A data plane of ours: it shares the signaling token.
    Ours,
    /// This data plane, by what it was registered with.
    Plane(String),
    /// Somebody without credentials, while a data plane is registered (by an explicit setting) that has none.
    Nobody,
}

/// Who shows this Authorization value, when it is not the shared token; `None`: no data plane that we know.
///
/// # Errors
/// When the database fails.
pub(crate) async fn caller(app: &App, header: &[u8]) -> ServiceResult<Option<Caller>> {
    let mut found = None;
    for plane in registry::all::<data_plane::Entity>(&app.store, app.context()).await? {
        match plane.authorization.as_str() {
            "header" if bool::from(plane.authorization_value.as_bytes().ct_eq(header)) => {
                found = Some(Caller::Plane(plane.id));
            }
            "none" if header.is_empty() => found = found.or(Some(Caller::Nobody)),
            _ if plane_tokens::are_used(&plane) && plane_tokens::is_theirs(app, &plane, header).await? => {
                found = Some(Caller::Plane(plane.id));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Whether the caller may register, replace or remove this data plane: ours any, another one itself alone.
///
/// # Errors
/// `not_your_data_plane`.
pub(crate) fn check_registration(caller: &Caller, id: &str) -> ServiceResult<()> {
    match caller {
        Caller::Ours => Ok(()),
        Caller::Plane(own) if own == id => Ok(()),
        Caller::Plane(_) | Caller::Nobody => {
            let text = "a data plane registers with the shared token, or again by what it is registered with";
            Err(ServiceError::unauthorized("not_your_data_plane", text))
        }
    }
}

/// Whether the caller may speak of a transfer: ours of any, another data plane of those that it carries. A callback may overtake
/// the answer that names the data plane.
///
/// # Errors
/// `not_found`.
pub(crate) async fn check_transfer(app: &App, caller: &Caller, id: &str) -> ServiceResult<()> {
    if *caller == Caller::Ours {
        return Ok(());
    }
    let missing = || ServiceError::not_found(format!("no transfer `{id}`"));
    let row = processes::find::<transfer::Model>(app.store.reads(), app.context(), id).await?.ok_or_else(missing)?;
    let Some(carrier) = row.data_plane_id else { return Ok(()) };
    let fits = match caller {
        Caller::Ours => true,
        Caller::Plane(own) => *own == carrier,
        Caller::Nobody => {
            let plane = registry::find::<data_plane::Entity>(app.store.reads(), app.context(), &carrier).await?;
            plane.is_some_and(|plane| plane.authorization == "none")
        }
    };
    if fits { Ok(()) } else { Err(missing()) }
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
    // A plane that brings a token endpoint is asked there for tokens from now on; keys are changed by registering again.
    let entry = message.authorization.as_ref();
    let brought = plane_tokens::of_registration(entry, app.config.broker.as_ref(), known.as_ref())?;
    let (dialect, authorization, authorization_value) = match known {
        Some(known) => (known.dialect, known.authorization, known.authorization_value),
        None => (Dialect::Rc3.as_str().to_owned(), "shared".to_owned(), String::new()),
    };
    let (authorization, authorization_value) = brought.unwrap_or((authorization, authorization_value));
    let row = data_plane::Model {
        context: app.context().to_owned(),
        id: message.dataplane_id.clone(),
        endpoint: message.endpoint.trim_end_matches('/').to_owned(),
        profiles: json!(message.profiles).to_string(),
        dialect,
        labels: json!(message.labels).to_string(),
        authorization,
        authorization_value,
        presence: None,
        presence_since: None,
        present_until: None,
        connection: None,
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
    let authorization = data_plane_authorization(app, plane).await?;
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

/// Whether this data plane has said that it is there before, and is not now.
///
/// # Errors
/// When the database fails.
pub(crate) async fn is_gone(app: &App, id: Option<&str>) -> ServiceResult<bool> {
    let Some(id) = id else { return Ok(false) };
    let plane = registry::find::<data_plane::Entity>(app.store.reads(), app.context(), id).await?;
    Ok(plane.is_some_and(|plane| Presence::of(&plane, now_ms(), app.started_at) == Presence::Absent))
}

/// The data planes that could serve one of these profiles to a new flow, the first choice first: those that take new flows before
/// others, and among them in an order that is another one for each transfer, so that flows spread, and the same at each attempt.
///
/// # Errors
/// When the database fails.
pub(crate) async fn candidates(
    app: &App,
    transfer: &str,
    profiles: [&str; 2],
) -> ServiceResult<Vec<data_plane::Model>> {
    let planes = registry::all::<data_plane::Entity>(&app.store, app.context()).await?;
    let serves = |plane: &data_plane::Model| {
        let served: Vec<String> = serde_json::from_str(&plane.profiles).unwrap_or_default();
        served.iter().any(|name| profiles.contains(&name.as_str()))
    };
    let now = now_ms();
    let mut serving: Vec<_> = planes.into_iter().filter(serves).collect();
    serving.sort_by_cached_key(|plane| {
        let takes = Presence::of(plane, now, app.started_at).takes_flows();
        (!takes, Sha256::digest(format!("{transfer} {}", plane.id)).to_vec())
    });
    Ok(serving)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test]
    async fn new_flows_spread_over_those_who_are_there() {
        let (_folder, app) = crate::testing::app().await;
        for (id, presence, profile) in [
            ("a", Some("present"), "pull"),
            ("b", Some("absent"), "pull"),
            ("c", None, "pull"),
            ("d", Some("present"), "pull"),
            ("e", Some("present"), "push"),
        ] {
            let row = data_plane::Model {
                context: app.context().to_owned(),
                id: id.to_owned(),
                endpoint: "http://127.0.0.1:1".to_owned(),
                profiles: json!([profile]).to_string(),
                dialect: "rc3".to_owned(),
                labels: "[]".to_owned(),
                authorization: "shared".to_owned(),
                authorization_value: String::new(),
                presence: presence.map(str::to_owned),
                presence_since: None,
                present_until: Some(i64::MAX),
                connection: None,
                created_at: 0,
                updated_at: 0,
            };
            app.store
                .write(move |unit| Box::pin(async move { registry::put::<data_plane::Entity>(unit, row).await }))
                .await
                .unwrap();
        }
        let order = async |transfer: &str| -> Vec<String> {
            let found = candidates(&app, transfer, ["pull", "HttpData-PULL"]).await.unwrap();
            found.into_iter().map(|plane| plane.id).collect()
        };
        let mut first = BTreeMap::new();
        for number in 0..90 {
            let transfer = format!("urn:uuid:{number}");
            let found = order(&transfer).await;
            assert_eq!(found.len(), 4, "{found:?}");
            assert_eq!(found.last().map(String::as_str), Some("b"), "who is gone comes last");
            assert_eq!(order(&transfer).await, found, "the same at each attempt");
            *first.entry(found.first().unwrap().clone()).or_insert(0) += 1;
        }
        assert!(first.len() == 3 && first.values().all(|count| *count > 10), "{first:?}");
    }
}
