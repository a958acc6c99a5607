//! Subscriptions at the broker: made, looked for, removed.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::Offer;
use crate::client;
use crate::flow::Flow;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::unreachable;
use crate::source::{HttpSource, Source};
use crate::subscription::SUBSCRIPTIONS;

/// Path below which brokers notify us, on the local listener.
pub(crate) const ARRIVALS: &str = "/notifications/";
/// Subscriptions in one page of a list; no broker gives fewer at most.
pub(super) const PAGE: usize = 100;
/// Largest page, in bytes.
const MAX_PAGE: usize = 32 * 1024 * 1024;

/// Makes the subscription at the broker; one that is there already is taken for ours, since its id is.
///
/// # Errors
/// 400 when the broker refuses it, 502 and 504 when it does not answer; the consumer learns no more.
pub(super) async fn create(plane: &Plane, offer: &Offer) -> Result<(), Problem> {
    let mut body = offer.narrowed.body.clone();
    body.insert("id".to_owned(), offer.record.broker_id.clone().into());
    let base = plane.config.subscriptions.broker_url.as_deref().unwrap_or(&plane.config.local.public_url);
    let address = format!("{base}{ARRIVALS}{}", offer.record.secret);
    let endpoint =
        body.get_mut("notification").and_then(|told| told.get_mut("endpoint")).and_then(Value::as_object_mut);
    let endpoint = endpoint.ok_or_else(|| Problem::internal(&"a narrowed subscription has no endpoint"))?;
    endpoint.insert("uri".to_owned(), address.into());
    let link = offer.narrowed.queries.first().map(|query| query.link.clone()).unwrap_or_default();
    let status = ask(plane, &offer.flow, Method::POST, "", Some((Value::Object(body), link))).await?;
    match status {
        StatusCode::CONFLICT => Ok(()),
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let detail = "the source refuses the provider's credential";
            Err(Problem::new(StatusCode::BAD_GATEWAY, "source_refuses_us", Fault::Operator, detail))
        }
        status if status.is_client_error() => {
            tracing::warn!(%status, "the broker refuses a subscription");
            Err(Problem::bad_request("source_refused", "the source refuses the subscription"))
        }
        _ => Err(Problem::new(StatusCode::BAD_GATEWAY, "source_failed", Fault::Source, "the source failed")),
    }
}

/// Whether the broker has the subscription.
///
/// # Errors
/// 502 and 504 when that cannot be found out.
pub(super) async fn is_there(plane: &Plane, offer: &Offer) -> Result<bool, Problem> {
    match ask(plane, &offer.flow, Method::GET, &offer.record.broker_id, None).await? {
        StatusCode::NOT_FOUND => Ok(false),
        status if status.is_success() => Ok(true),
        _ => Err(Problem::new(StatusCode::BAD_GATEWAY, "source_failed", Fault::Source, "the source failed")),
    }
}

/// The names of the subscriptions that a broker tells of in so many pages, or fewer when it fails or has no more.
pub(super) async fn listed(plane: &Plane, flow: &Flow, pages: usize) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut offset = 0;
    for _ in 0..pages {
        let Ok(page) = page(plane, flow, offset).await else { break };
        if page.is_empty() {
            break;
        }
        // A broker may give fewer than were asked for.
        offset += page.len();
        found.extend(page.into_iter().map(|listed| listed.id));
    }
    found
}

/// A subscription in a list, as far as it matters here.
#[derive(Deserialize)]
struct Listed {
    id: String,
}

async fn page(plane: &Plane, flow: &Flow, offset: usize) -> Result<Vec<Listed>, Problem> {
    let query = format!("limit={PAGE}&offset={offset}");
    let answer = send(plane, flow, Method::GET, "", Some(&query), None).await?;
    let failed = || Problem::new(StatusCode::BAD_GATEWAY, "source_failed", Fault::Peer, "the source lists nothing");
    if !answer.status().is_success() {
        return Err(failed());
    }
    let bytes = Limited::new(answer.into_body(), MAX_PAGE).collect();
    let bytes = tokio::time::timeout(plane.config.timeouts.idle, bytes).await.ok().and_then(Result::ok);
    serde_json::from_slice(&bytes.ok_or_else(failed)?.to_bytes()).map_err(|_| failed())
}

/// Removes a subscription.
///
/// # Errors
/// 502 and 504 when it may still be there.
pub(super) async fn remove(plane: &Plane, flow: &Flow, broker_id: &str) -> Result<(), Problem> {
    match ask(plane, flow, Method::DELETE, broker_id, None).await? {
        StatusCode::NOT_FOUND => Ok(()),
        status if status.is_success() => Ok(()),
        _ => Err(Problem::new(StatusCode::BAD_GATEWAY, "source_failed", Fault::Source, "the source failed")),
    }
}

/// The HTTP interface that a broker is.
///
/// # Errors
/// 403 for a source of files.
pub(super) fn http_source(source: &Source) -> Result<&HttpSource, Problem> {
    match source {
        Source::Http(source) => Ok(source),
        Source::Files(_) => Err(super::not_offered("the dataset is no broker's")),
    }
}

async fn ask(
    plane: &Plane,
    flow: &Flow,
    method: Method,
    id: &str,
    body: Option<(Value, String)>,
) -> Result<StatusCode, Problem> {
    let answer = send(plane, flow, method, id, None, body).await?;
    StatusCode::from_u16(answer.status().as_u16()).map_err(|error| Problem::internal(&error))
}

async fn send(
    plane: &Plane,
    flow: &Flow,
    method: Method,
    id: &str,
    query: Option<&str>,
    body: Option<(Value, String)>,
) -> Result<Response<Incoming>, Problem> {
    let source = plane.source(flow).await?;
    let path = match id {
        "" => SUBSCRIPTIONS.to_owned(),
        id => format!("{SUBSCRIPTIONS}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)),
    };
    let target = http_source(&source)?.target(&path, query)?;
    let mut request = Request::builder().method(method).uri(target.uri);
    if let Some(tenant) = target.tenant {
        request = request.header("ngsild-tenant", tenant);
    }
    if let Some(authorization) = target.authorization {
        request = request.header(http::header::AUTHORIZATION, authorization);
    }
    let body = match body {
        Some((body, link)) => {
            let link = HeaderValue::from_str(&link).map_err(|error| Problem::internal(&error))?;
            request = request.header(LINK, link).header(CONTENT_TYPE, "application/json");
            client::full(body.to_string())
        }
        None => client::empty(),
    };
    let request = request.body(body).map_err(|error| Problem::internal(&error))?;
    plane.sources.send(request).await.map_err(|error| unreachable(&error))
}
