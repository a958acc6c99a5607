//! The refresh endpoint of the public listener: `POST /token/{flow id}`.

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use dps_signaling::{DataFlowState, Direction};
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;

use super::answer::{Denied, Renewed, respond};
use super::control::{NoHelp, verify};
use super::grant::{Claim, Renewal};
use crate::clock::now_ms;
use crate::flow::{Flow, FlowRecord, Issued, Live, Role};
use crate::plane::Plane;
use crate::store::Change;
use crate::token::{self, TokenHash};

/// Where the endpoints begin; the flow's id follows.
pub(crate) const PATH: &str = "/token/";

/// Largest body of a refresh request, in bytes.
const MAX_BODY: usize = 32 * 1024;

/// What a client sends.
struct Asked {
    client_token: String,
    refresh_token: String,
}

/// Answers a request to a refresh endpoint.
pub(crate) async fn serve(
    plane: &Plane,
    flow: Option<Arc<Flow>>,
    request: &HttpRequest,
    payload: Payload,
) -> HttpResponse {
    if request.method() != Method::POST {
        return HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "POST")).finish();
    }
    let renewed = async {
        let asked = read(request, payload).await?;
        renew(plane, flow, &asked).await
    };
    let renewed = renewed.await;
    if let Err(denied) = &renewed {
        tracing::info!(path = request.path(), error = denied.error, "a token is not renewed");
    }
    respond(&renewed)
}

async fn renew(plane: &Plane, flow: Option<Arc<Flow>>, asked: &Asked) -> Result<Arc<Renewed>, Denied> {
    let flow = flow.ok_or_else(Denied::invalid_grant)?;
    // Before anybody is asked who the client is: strangers shall not make us ask.
    let (_, _, renewal) = running(&flow)?;
    if !renewal.knows(&asked.refresh_token, now_ms()) {
        return Err(Denied::invalid_grant());
    }
    let access_token = verify(plane, &flow, &asked.client_token).await.map_err(|why| match why {
        NoHelp::Refused(why) => {
            tracing::warn!(flow = flow.terms.id, why, "a client that wants a new token is not the flow's partner");
            Denied::invalid_client("the token in `Authorization` is not one of this flow's consumer for us")
        }
        NoHelp::Later(why) => {
            tracing::warn!(flow = flow.terms.id, why, "who wants a new token cannot be verified");
            Denied::unavailable()
        }
    })?;
    // Those who ask at the same time come one after the other, and the next ones find what the first one got.
    let _gate = flow.gate.lock().await;
    let (live, present, renewal) = running(&flow)?;
    let now = now_ms();
    let again = match renewal.claim(present, &asked.refresh_token, access_token.expose_secret(), now) {
        Claim::Present => false,
        Claim::Lost => true,
        Claim::Again(answer) => return Ok(answer),
        Claim::Unknown => return Err(Denied::invalid_grant()),
    };
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(flow = flow.terms.id, %error, "a token cannot be renewed");
        Denied::failed()
    };
    let (access, access_hash) = token::mint().map_err(|error| failed(&error))?;
    let (refresh, refresh_hash) = token::mint().map_err(|error| failed(&error))?;
    let seconds = plane.token_seconds(&flow.terms);
    let answer = Arc::new(Renewed {
        access_token: SecretString::from(access),
        refresh_token: Some(SecretString::from(refresh)),
        expires_in_s: u64::from(seconds),
    });
    let renewal = match again {
        true => renewal.given_again(refresh_hash, Arc::clone(&answer)),
        false => renewal.exchanged(present, refresh_hash, Arc::clone(&answer), now),
    };
    let next = next(&live, access_hash, now, seconds, renewal);
    plane.write(vec![Change::flow(&FlowRecord::of(&flow.terms, &next))]).await.map_err(|error| failed(&error))?;
    flow.publish(next);
    tracing::info!(flow = flow.terms.id, seconds, "a token was renewed");
    Ok(answer)
}

/// The run stays, so that nothing that is being read breaks off.
fn next(live: &Live, hash: TokenHash, now: i64, seconds: u32, renewal: Renewal) -> Live {
    let token = Issued { hash, expires_ms: now.saturating_add(i64::from(seconds) * 1000) };
    Live { token: Some(token), renewal: Some(renewal), ..live.clone() }
}

/// The tokens of a running pull of ours.
fn running(flow: &Flow) -> Result<(Arc<Live>, Issued, Renewal), Denied> {
    let live = flow.live();
    let ours = (flow.terms.role, flow.terms.direction) == (Role::Provider, Direction::Pull);
    match (live.token, live.renewal.clone()) {
        (Some(token), Some(renewal)) if ours && live.state == DataFlowState::Started => Ok((live, token, renewal)),
        _ => Err(Denied::invalid_grant()),
    }
}

async fn read(request: &HttpRequest, payload: Payload) -> Result<Asked, Denied> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let client_token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => token.trim(),
        _ => return Err(Denied::invalid_client("the request needs `Authorization: Bearer` and the client's JWT")),
    };
    let body = match payload.to_bytes_limited(MAX_BODY).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(Denied::invalid_request("the body broke off")),
        Err(_) => return Err(Denied::invalid_request(format!("the body is larger than {MAX_BODY} bytes"))),
    };
    // The parameters are in the body as a form, or in the query.
    let all = || form_urlencoded::parse(&body).chain(form_urlencoded::parse(request.query_string().as_bytes()));
    let one = |name: &str| -> Result<Option<String>, Denied> {
        let mut found = all().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let first = found.next().filter(|value| !value.is_empty());
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Denied::invalid_request(format!("`{name}` is given more than once"))),
        }
    };
    match one("grant_type")?.as_deref() {
        Some("refresh_token") => {}
        Some(_) => return Err(Denied::unsupported_grant_type()),
        None => return Err(Denied::invalid_request("`grant_type` is missing")),
    }
    let refresh_token = one("refresh_token")?.ok_or_else(|| Denied::invalid_request("`refresh_token` is missing"))?;
    Ok(Asked { client_token: client_token.to_owned(), refresh_token })
}
