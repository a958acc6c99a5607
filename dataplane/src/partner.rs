//! Reading from the partner through a flow, for this program itself: one page after the other.

use std::sync::Arc;

use actix_web::http::StatusCode;
use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, LINK};
use http_body_util::{BodyExt, Limited};
use ngsi_ld_filter::{context_link, contexts, is_core};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::client;
use crate::config::Broker;
use crate::flow::Flow;
use crate::permit;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::{Rewrite, unreachable};
use crate::push::partner_request;

/// Entities of one page; no broker gives fewer at most.
const PAGE: usize = 100;
/// Largest page, in bytes.
const MAX_PAGE: usize = 32 * 1024 * 1024;

/// A page as the partner gave it.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    /// What it says; nothing when the status is no success.
    pub(crate) data: Value,
    /// Path and query of the next one below the flow's address.
    pub(crate) next: Option<String>,
}

/// The first page of all entities, or of those of one type.
pub(crate) fn first_page(kind: Option<&str>) -> String {
    let kind = kind.map(|kind| format!("&type={}", encoded(kind))).unwrap_or_default();
    format!("/ngsi-ld/v1/entities?limit={PAGE}{kind}")
}

/// The page of these entities.
pub(crate) fn page_of(ids: &[&str], kinds: &[String]) -> String {
    let mut path = format!("/ngsi-ld/v1/entities?limit={PAGE}&id={}", encoded(&ids.join(",")));
    if !kinds.is_empty() {
        path.push_str(&format!("&type={}", encoded(&kinds.join(","))));
    }
    path
}

/// Reads a page; one use of the agreement where uses are counted.
///
/// # Errors
/// 403 when the flow or the agreement refuses; 502 and 504 when the partner does not answer as it must.
pub(crate) async fn page(plane: &Arc<Plane>, flow: &Arc<Flow>, broker: &Broker, path: &str) -> Result<Page, Problem> {
    let permitted = permit::notification(plane, flow).await?;
    let Answer { status, body, links } = ask(plane, flow, path, Some(&context_link(&broker.context))).await?;
    if permitted.ticket().is_over() {
        return Err(crate::proxy::ended_meanwhile());
    }
    if status != StatusCode::OK {
        return Ok(Page { status, data: Value::Null, next: None });
    }
    let data = serde_json::from_slice(&body).map_err(|_| failed("a page is no JSON"))?;
    if !is_named(&broker.context, &contexts(&links)) {
        let detail = format!("the partner answers in another context than `{}`", broker.context);
        return Err(Problem::new(StatusCode::BAD_GATEWAY, "context_differs", Fault::Peer, detail));
    }
    let endpoint = flow.live().address.as_ref().and_then(|address| address.endpoint.clone()).unwrap_or_default();
    let endpoint = plane.guard.check(&endpoint).map_err(|error| failed(&error.to_string()))?;
    let next = Rewrite::new(&endpoint, "").next_asked(&links, &[]);
    let next = next.map(|(path, query)| match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    });
    Ok(Page { status, data, next })
}

/// What the partner's data plane says of the flow itself, which is no use of it; `None` when it says nothing of that kind.
///
/// # Errors
/// 502 and 504 when the partner does not answer.
pub(crate) async fn own_page(plane: &Plane, flow: &Flow, path: &str) -> Result<Option<Value>, Problem> {
    let answer = ask(plane, flow, path, None).await?;
    Ok(if answer.status == StatusCode::OK { serde_json::from_slice(&answer.body).ok() } else { None })
}

struct Answer {
    status: StatusCode,
    body: Bytes,
    links: String,
}

async fn ask(plane: &Plane, flow: &Flow, path: &str, link: Option<&str>) -> Result<Answer, Problem> {
    let mut request = partner_request(plane, flow, Method::GET, path).map_err(|why| failed(&why))?;
    request = request.header(ACCEPT, "application/json");
    if let Some(link) = link {
        request = request.header(LINK, link);
    }
    let request = request.body(client::empty()).map_err(|error| Problem::internal(&error))?;
    let answer = plane.partners.send(request).await.map_err(|error| unreachable(&error))?;
    let (head, body) = answer.into_parts();
    let status = StatusCode::from_u16(head.status.as_u16()).map_err(|error| Problem::internal(&error))?;
    let body = tokio::time::timeout(plane.config.timeouts.idle * 4, Limited::new(body, MAX_PAGE).collect()).await;
    let body = body.ok().and_then(Result::ok).ok_or_else(|| failed("a page did not arrive whole"))?.to_bytes();
    let links: Vec<&str> = head.headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok()).collect();
    Ok(Answer { status, body, links: links.join(", ") })
}

/// Whether an answer that names these contexts is in ours. One that names none is in the core context; all versions of that read
/// names alike.
pub(crate) fn is_named(ours: &str, named: &[String]) -> bool {
    match named {
        [] => is_core(ours),
        [one] => one == ours || (is_core(one) && is_core(ours)),
        _ => false,
    }
}

/// A status that a page must not have.
pub(crate) fn refused(status: StatusCode) -> Problem {
    failed(&format!("the partner answers {}", status.as_u16()))
}

fn failed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "partner_failed", Fault::Peer, detail)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_of_answers() {
        let core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
        let older = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld";
        let own = "https://city.example/c.jsonld";
        for (ours, named, expected) in [
            (core, &[][..], true),
            (core, &[older][..], true),
            (core, &[own][..], false),
            (own, &[own][..], true),
            (own, &[][..], false),
            (own, &[own, own][..], false),
        ] {
            let named: Vec<String> = named.iter().map(|url| (*url).to_owned()).collect();
            assert_eq!(is_named(ours, &named), expected, "{ours} {named:?}");
        }
    }

    #[test]
    fn questions() {
        assert_eq!(first_page(None), "/ngsi-ld/v1/entities?limit=100");
        assert_eq!(first_page(Some("https://m/A")), "/ngsi-ld/v1/entities?limit=100&type=https%3A%2F%2Fm%2FA");
        assert_eq!(page_of(&["urn:a", "urn:b"], &[]), "/ngsi-ld/v1/entities?limit=100&id=urn%3Aa%2Curn%3Ab");
    }
}
