//! Keeps the tokens of partners' addresses alive: exchanges each before it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dps_signaling::{Callback as Told, DataAddress, DataFlowState, Direction, StatusMessage};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Limited};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::form_urlencoded;

use super::answer::Renewed;
use super::control::{NoHelp, bearer, sign};
use crate::client;
use crate::clock::now_ms;
use crate::flow::{Flow, FlowRecord, Live, Role};
use crate::plane::Plane;
use crate::signaling::callback::{Callback, jittered};
use crate::store::Change;

/// Shortest pause between two looks at all flows.
const SHORTEST: Duration = Duration::from_millis(500);
/// Longest pause between two looks at all flows.
const LONGEST: Duration = Duration::from_secs(3600);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest answer of a refresh endpoint, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Looks when a token is due or a new address has come; never ends.
pub(crate) async fn keep_renewed(plane: Arc<Plane>) {
    loop {
        let now = now_ms();
        let mut next = i64::MAX;
        for flow in plane.flows.select(|flow| due_ms(flow).is_some()) {
            let Some(due) = due_ms(&flow) else { continue };
            if due > now {
                next = next.min(due);
            } else if !flow.renewing.swap(true, Ordering::AcqRel) {
                let plane = Arc::clone(&plane);
                tokio::spawn(async move {
                    renew(&plane, &flow).await;
                    flow.renewing.store(false, Ordering::Release);
                    plane.renewals.notify_one();
                });
            }
        }
        let pause = u64::try_from(next.saturating_sub(now)).map_or(LONGEST, Duration::from_millis);
        // Either reason is one to look again.
        let _ = tokio::time::timeout(pause.min(LONGEST), plane.renewals.notified()).await;
        tokio::time::sleep(SHORTEST).await;
    }
}

/// When the token of a running flow is to be exchanged: after two thirds of its life.
fn due_ms(flow: &Flow) -> Option<i64> {
    if (flow.terms.role, flow.terms.direction) != (Role::Consumer, Direction::Pull) {
        return None;
    }
    let live = flow.live();
    if live.state != DataFlowState::Started {
        return None;
    }
    let life = i64::try_from(live.address.as_ref()?.renewal()?.expires_in_s).ok()?.saturating_mul(1000);
    Some(live.address_expires_ms?.saturating_sub(life / 3))
}

/// Exchanges the token of a flow, as often as it takes.
async fn renew(plane: &Plane, flow: &Flow) {
    let mut pause = FIRST_PAUSE;
    loop {
        let live = flow.live();
        let Some(address) = live.address.clone().filter(|_| live.state == DataFlowState::Started) else { return };
        let why = match exchange(plane, flow, &address).await {
            Ok(renewed) => match keep(plane, flow, &address, &renewed).await {
                Ok(()) => return,
                Err(why) => why,
            },
            Err(NoHelp::Later(why)) => why,
            Err(NoHelp::Refused(why)) => return give_up(plane, flow, &address, why).await,
        };
        tracing::warn!(flow = flow.terms.id, why, "the token of a transfer could not be renewed; it is tried again");
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn exchange(plane: &Plane, flow: &Flow, address: &DataAddress) -> Result<Renewed, NoHelp> {
    let renewal = address.renewal().ok_or_else(|| NoHelp::Refused("the address cannot be renewed".to_owned()))?;
    let token = address.property("authorization").unwrap_or_default();
    let token = token.split_once(' ').map_or(token, |(_, token)| token);
    let client_token = sign(plane, flow, token).await?;
    // The address came from a partner: the same filter as for its data, in the name and in the resolver.
    let endpoint =
        plane.guard.check(renewal.endpoint).map_err(|error| NoHelp::Refused(format!("`refreshEndpoint`: {error}")))?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", renewal.refresh_token)
        .finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.as_str())
        .header(AUTHORIZATION, bearer(&client_token).map_err(NoHelp::Refused)?)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(client::full(form))
        .map_err(|error| NoHelp::Refused(error.to_string()))?;
    let answer = plane.partners.send(request).await.map_err(|error| NoHelp::Later(error.to_string()))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| NoHelp::Later(format!("the provider's answer broke off: {error}")))?
        .to_bytes();
    if status.is_success() {
        let unusable = || NoHelp::Later("the provider's answer holds no usable token".to_owned());
        return Renewed::decode(&body, renewal.expires_in_s).ok_or_else(unusable);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = body.get("error").and_then(Value::as_str).unwrap_or_default();
    let why = format!("the provider answered {} {}", status.as_u16(), printable(error));
    // Only these say that no further try can help.
    let for_good =
        status.is_client_error() && matches!(error, "invalid_grant" | "invalid_client" | "unauthorized_client");
    Err(if for_good { NoHelp::Refused(why) } else { NoHelp::Later(why) })
}

/// Puts the new token into the address, on disk first. The run stays, so that nothing that is being read breaks off.
async fn keep(plane: &Plane, flow: &Flow, before: &DataAddress, renewed: &Renewed) -> Result<(), String> {
    let _gate = flow.gate.lock().await;
    let live = flow.live();
    if live.state != DataFlowState::Started || live.address.as_ref() != Some(before) {
        // The transfer has got a new address, or ended.
        return Ok(());
    }
    let mut address = before.clone();
    address.put_property("authorization", renewed.access_token.expose_secret());
    address.put_property("expiresIn", &renewed.expires_in_s.to_string());
    if let Some(token) = &renewed.refresh_token {
        address.put_property("refreshToken", token.expose_secret());
    }
    let next = Live { address_expires_ms: expires_ms(&address, now_ms()), address: Some(address), ..(*live).clone() };
    let kept = plane.write(vec![Change::flow(&FlowRecord::of(&flow.terms, &next))]).await;
    // The old pair is of no use to anybody any more, so the new one counts in any case.
    flow.publish(next);
    if let Err(problem) = kept {
        tracing::error!(flow = flow.terms.id, %problem, "a renewed token could not be kept; a restart would lose it");
    }
    tracing::info!(flow = flow.terms.id, seconds = renewed.expires_in_s, "the token of a transfer was renewed");
    Ok(())
}

/// When the token of an address that came now ends, if it can be renewed.
pub(crate) fn expires_ms(address: &DataAddress, now_ms: i64) -> Option<i64> {
    let life = i64::try_from(address.renewal()?.expires_in_s).unwrap_or(i64::MAX);
    Some(now_ms.saturating_add(life.saturating_mul(1000)))
}

/// No try can help. The control plane is told once; a resumption brings a new address.
async fn give_up(plane: &Plane, flow: &Flow, before: &DataAddress, why: String) {
    let _gate = flow.gate.lock().await;
    let live = flow.live();
    if live.state != DataFlowState::Started || live.address.as_ref() != Some(before) {
        return;
    }
    tracing::error!(flow = flow.terms.id, why, "the token of a transfer cannot be renewed; resume it after a pause");
    let next = Live { address_expires_ms: None, ..(*live).clone() };
    let message = StatusMessage {
        message_id: Some(format!("urn:uuid:{}", uuid::Uuid::new_v4())),
        data_flow_id: flow.terms.id.clone(),
        state: live.state,
        data_address: None,
        error: Some(format!("renewal_refused: the token of the transfer cannot be renewed: {why}")),
    };
    let callback = Callback::new(plane.callback_base(flow), &flow.terms.process_id, Told::Errored, &message);
    let changes = vec![Change::flow(&FlowRecord::of(&flow.terms, &next)), callback.keep()];
    flow.publish(next);
    if let Err(problem) = plane.write(changes).await {
        tracing::error!(flow = flow.terms.id, %problem, "that a token cannot be renewed could not be kept");
    }
    // The receiver lives as long as the plane.
    let _ = plane.callbacks.send(callback);
}

/// Text of a partner, fit for one line.
fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
