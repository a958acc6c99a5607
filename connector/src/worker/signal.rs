//! Signals to a data plane over HTTP (Data Plane Signaling, Data plane API).

use dps_signaling::{Dialect, Signal, StatusMessage};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::app::App;
use crate::fetch::FetchResponse;
use crate::service::transfer::{FlowStep, Heard};
use crate::service::{ServiceError, ServiceResult, plane_tokens};
use crate::store::transfer::Model;
use crate::store::{data_plane, registry};

/// What a data plane made of a signal.
pub(super) enum Signalled {
    /// It took it, now or before.
    Done(Heard),
    /// No connection was made, so that it does not have it.
    Unreached(ServiceError),
    /// It did not answer or has a passing fault.
    Later(ServiceError),
    /// It refuses.
    Refused(ServiceError),
}

/// Gives a signal. A repeated one that is refused may have been taken the first time: then the state decides.
pub(super) async fn give_signal(app: &App, row: &Model, step: &FlowStep) -> Signalled {
    let Some(path) = dps_signaling::flow_path(step.signal, &step.flow_id) else {
        return Signalled::Refused(ServiceError::internal("an internal event is no signal"));
    };
    let url = format!("{}{path}", step.plane.endpoint.trim_end_matches('/'));
    let authorization = match authorization(app, &step.plane).await {
        Ok(authorization) => authorization,
        Err(error) => return Signalled::Later(error),
    };
    match app.internal.post_json(&url, &step.body, authorization.as_ref()).await {
        Ok(answer) => match answer.status {
            200..=299 => Signalled::Done(Heard::Answer(status_in(&answer, row))),
            // A token may have been withdrawn before its end.
            401 if plane_tokens::are_used(&step.plane) => {
                plane_tokens::forget(app, &step.plane).await;
                Signalled::Later(said(&step.plane, &answer))
            }
            400..=499 if was_tried(app, row) || answer.status == 409 => already_there(app, row, step, &answer).await,
            // A plane on the later draft's SDK answers 500 for good (Data Plane Signaling, later draft): the patience of the transfer bounds it.
            500..=599 | 408 | 425 | 429 => Signalled::Later(said(&step.plane, &answer)),
            _ => Signalled::Refused(said(&step.plane, &answer)),
        },
        Err(error) => {
            let text = format!("data plane `{}` cannot be reached: {error}", step.plane.id);
            let why = ServiceError::unavailable("data_plane_unreachable", text);
            if error.unreached { Signalled::Unreached(why) } else { Signalled::Later(why) }
        }
    }
}

/// Whether the signal may have been given before: in an attempt that failed, or by a process that has ended since.
fn was_tried(app: &App, row: &Model) -> bool {
    row.attempts > 0 || row.updated_at < app.started_at
}

async fn already_there(app: &App, row: &Model, step: &FlowStep, answer: &FetchResponse) -> Signalled {
    match status(app, &step.plane, step.dialect, row).await {
        Some(status) if step.signal.as_str() != Signal::Terminate.as_str() || status.state.is_final() => {
            Signalled::Done(Heard::State(status))
        }
        _ => Signalled::Refused(said(&step.plane, answer)),
    }
}

/// Asks for the state of the row's flow.
pub(super) async fn ask_status(app: &App, row: &Model) -> Option<StatusMessage> {
    let id = row.data_plane_id.as_deref().unwrap_or_default();
    let plane = registry::find::<data_plane::Entity>(app.store.reads(), app.context(), id).await;
    match plane {
        Ok(Some(plane)) => {
            let dialect = Dialect::parse(&plane.dialect).unwrap_or(Dialect::Rc3);
            status(app, &plane, dialect, row).await
        }
        _ => None,
    }
}

async fn status(app: &App, plane: &data_plane::Model, dialect: Dialect, row: &Model) -> Option<StatusMessage> {
    let flow = dps_signaling::flow_path_id(dialect, &row.id, row.data_flow_id.as_deref().unwrap_or_default());
    let url = format!("{}/dataflows/{}/status", plane.endpoint.trim_end_matches('/'), super::outgoing::segment(flow));
    let authorization = authorization(app, plane).await.ok()?;
    let answer = app.internal.get_json(&url, authorization.as_ref()).await.ok()?;
    if answer.status == 200 { status_in(&answer, row) } else { None }
}

/// The status in an answer. A plane that does not repeat the flow's name means the flow that was asked about.
fn status_in(answer: &FetchResponse, row: &Model) -> Option<StatusMessage> {
    let mut value: Value = serde_json::from_slice(&answer.body).ok()?;
    let name = row.data_flow_id.as_ref().unwrap_or(&row.id);
    value.as_object_mut()?.entry("dataFlowId").or_insert_with(|| Value::from(name.as_str()));
    StatusMessage::decode(&value).ok()
}

fn said(plane: &data_plane::Model, answer: &FetchResponse) -> ServiceError {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let detail =
        body.as_ref().and_then(|body| body.get("detail").or_else(|| body.get("error"))).and_then(Value::as_str);
    let detail = detail.map_or_else(String::new, |text| format!(": {}", text.chars().take(300).collect::<String>()));
    let text = format!("data plane `{}` answered with status {}{detail}", plane.id, answer.status);
    ServiceError::unavailable("data_plane_refused", text)
}

/// How we authenticate to a data plane: by the shared token, by a header of its own, by a token from its token endpoint, or
/// not at all.
///
/// # Errors
/// When the token endpoint gives none.
pub(crate) async fn authorization(app: &App, plane: &data_plane::Model) -> ServiceResult<Option<SecretString>> {
    Ok(match plane.authorization.as_str() {
        "shared" => Some(SecretString::from(format!("Bearer {}", app.signaling_token.expose_secret()))),
        "header" => Some(SecretString::from(plane.authorization_value.clone())),
        _ if plane_tokens::are_used(plane) => Some(plane_tokens::ours(app, plane).await?),
        _ => None,
    })
}
