//! The local listener: our own readers get a partner's data as if it lay here.
//!
//! `/flows/{processId}/…` names the flow by the transfer process; `/ngsi-ld/v1/…` is what an NGSI-LD client expects of a broker.
//! The provider's address and token stay inside. A reader that has got all that it wants says so at
//! `POST /transfers/{processId}/completed`; `GET /transfers/{processId}/delivery` shows what is delivered to a broker of ours.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use dps_signaling::{DataAddress, DataFlowState, Direction};
use http::{HeaderValue, Uri};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use url::Url;

use crate::flow::{Flow, INTERFACE_PROPERTY, Live, MOVES_PROPERTY, NGSI_LD, Role, Run};
use crate::permit::{self, Permitted};
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::proxy::{Behind, Forwarder, Rewrite, Target, ended_meanwhile, refuse_page};
use crate::public::{NGSI_LD_PATH, is_ngsi_ld as leads_to_ngsi_ld, no_route, refuse_trace, split};
use crate::subscription;
use crate::{delivery, via};

const TENANT: &str = "ngsild-tenant";

/// Answers every request of the local listener.
///
/// # Errors
/// The problem that is answered.
pub(crate) async fn serve(
    request: HttpRequest,
    payload: Payload,
    plane: Data<Plane>,
    forwarder: Data<Forwarder>,
) -> Result<HttpResponse, Problem> {
    let ngsi_ld = leads_to_ngsi_ld(request.uri().path());
    let answer = answer(request, payload, plane, forwarder).await;
    if ngsi_ld { answer.map_err(Problem::of_ngsi_ld) } else { answer }
}

async fn answer(
    request: HttpRequest,
    payload: Payload,
    plane: Data<Plane>,
    forwarder: Data<Forwarder>,
) -> Result<HttpResponse, Problem> {
    refuse_trace(&request)?;
    if let Some(secret) = request.uri().path().strip_prefix(subscription::provider::ARRIVALS) {
        return subscription::provider::arrive(&plane, &request, secret, payload).await;
    }
    authenticate(&plane, &request)?;
    via::refuse_loop(&request, &plane.alias)?;
    let path = request.uri().path();
    if let Some(process) = path.strip_prefix("/transfers/").and_then(|rest| rest.strip_suffix("/completed")) {
        if request.method() != Method::POST {
            return Err(Problem::method_not_allowed("POST", "this path takes POST"));
        }
        let process = percent_decode_str(process).decode_utf8().map_err(|_| no_route())?;
        plane.reader_done(&process).await?;
        return Ok(HttpResponse::NoContent().finish());
    }
    if let Some(process) = path.strip_prefix("/transfers/").and_then(|rest| rest.strip_suffix("/delivery")) {
        return show_delivery(&plane, &request, process);
    }
    let base = &plane.config.local.public_url;
    let (flow, rest, public, as_broker) = if path.starts_with(NGSI_LD_PATH) {
        (broker(&plane, &request)?, path, base.clone(), true)
    } else {
        let (process, rest) = split(path)?;
        let decoded = percent_decode_str(process).decode_utf8().map_err(|_| no_route())?;
        let flow = plane.flows.by_process(Role::Consumer, &decoded);
        let unknown =
            || Problem::not_found("unknown_transfer", "there is no transfer of this name on the consumer's side");
        (flow.ok_or_else(unknown)?, rest, format!("{base}/flows/{process}"), false)
    };
    if flow.terms.direction == Direction::Push && flow.live().state == DataFlowState::Completed {
        // What was received is ours, and stays.
        let folder = plane.inbox.source(&flow.terms.process_id, &plane.digests);
        let ticket = Arc::new(Run::default()).enter(None, None).map_err(|_| ended_meanwhile())?;
        return folder.serve(&request, rest, ticket).await;
    }
    let permitted = admit(&plane, flow, &request).await?;
    if permitted.target().terms.direction == Direction::Push {
        let folder = plane.inbox.source(&permitted.target().terms.process_id, &plane.digests);
        return folder.serve(&request, rest, permitted.into_ticket()).await;
    }
    if let Some(place) = subscription::place(rest)? {
        return subscription::consumer::serve(&plane, &permitted, &request, place, payload).await;
    }
    let path = resource(rest);
    fetch(&plane, &forwarder, permitted, &request, payload, Fetch { path, public: &public, as_broker }).await
}

/// How far a transfer's delivery to a broker of ours is.
fn show_delivery(plane: &Plane, request: &HttpRequest, process: &str) -> Result<HttpResponse, Problem> {
    if request.method() != Method::GET {
        return Err(Problem::method_not_allowed("GET", "this path takes GET"));
    }
    let process = percent_decode_str(process).decode_utf8().map_err(|_| no_route())?;
    let flow = plane.flows.by_process(Role::Consumer, &process);
    let shown = flow.and_then(|flow| delivery::shown(plane, &flow));
    let none = || Problem::not_found("no_delivery", "nothing of this transfer is delivered to a broker");
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(shown.ok_or_else(none)?))
}

struct Fetch<'a> {
    path: &'a str,
    public: &'a str,
    as_broker: bool,
}

/// Admits a reader; one who comes while the flow changes its address waits for the new one.
async fn admit(plane: &Arc<Plane>, flow: Arc<Flow>, request: &HttpRequest) -> Result<Permitted<Arc<Flow>>, Problem> {
    let changes = |live: &Live| live.state == DataFlowState::Suspended && live.run.is_some();
    if changes(&flow.live()) {
        // When it takes too long, the refusal says that the transfer is suspended.
        let _ = tokio::time::timeout(plane.config.wait_for_address, flow.situation(|live| !changes(live))).await;
    }
    permit::local(plane, flow, request).await
}

/// Reads from the provider. When nothing came because the data plane behind the address is gone, and the provider moves its flows then,
/// a reader who only reads is answered from the new address: nobody has seen a byte yet.
async fn fetch(
    plane: &Arc<Plane>,
    forwarder: &Forwarder,
    permitted: Permitted<Arc<Flow>>,
    request: &HttpRequest,
    payload: Payload,
    fetch: Fetch<'_>,
) -> Result<HttpResponse, Problem> {
    let live = permitted.target().live();
    let address = address_of(&live)?;
    let answer = exchange(plane, forwarder, &permitted, address, request, Some(payload), &fetch).await;
    let moved = match &answer {
        Ok((answer, _)) => answer.status() == http::StatusCode::UNAUTHORIZED,
        Err(problem) => matches!(problem.code(), "partner_unreachable" | "partner_resting"),
    };
    if moved && only_reads(request) && address.property(MOVES_PROPERTY).is_some() {
        let flow = Arc::clone(permitted.target());
        let another = |now: &Live| now.state != DataFlowState::Suspended && now.address != live.address;
        let changed = tokio::time::timeout(plane.config.wait_for_address, flow.situation(another)).await;
        if let Ok(live) = changed {
            drop(permitted);
            let permitted = permit::local(plane, flow, request).await?;
            let address = address_of(&live)?;
            let (answer, rewrite) = exchange(plane, forwarder, &permitted, address, request, None, &fetch).await?;
            refuse_page(fetch.path, &answer, Behind::Partner)?;
            return Ok(forwarder.answer(request, answer, &rewrite, permitted.into_ticket()));
        }
    }
    let (answer, rewrite) = answer?;
    refuse_page(fetch.path, &answer, Behind::Partner)?;
    Ok(forwarder.answer(request, answer, &rewrite, permitted.into_ticket()))
}

/// Whether the request can be sent twice: it changes nothing and has no body.
fn only_reads(request: &HttpRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.headers().contains_key(header::CONTENT_LENGTH)
        && !request.headers().contains_key(header::TRANSFER_ENCODING)
}

fn address_of(live: &Live) -> Result<&DataAddress, Problem> {
    live.address.as_ref().ok_or_else(|| {
        let detail = "the provider has given no data address for this transfer";
        Problem::new(StatusCode::BAD_GATEWAY, "address_missing", Fault::Peer, detail)
    })
}

/// One exchange with the provider's data plane, as far as the head of its answer.
async fn exchange(
    plane: &Plane,
    forwarder: &Forwarder,
    permitted: &Permitted<Arc<Flow>>,
    address: &DataAddress,
    request: &HttpRequest,
    payload: Option<Payload>,
    fetch: &Fetch<'_>,
) -> Result<(http::Response<Incoming>, Rewrite), Problem> {
    let flow = permitted.target();
    let endpoint = address.endpoint.as_deref().unwrap_or_default();
    let endpoint = plane
        .guard
        .check(endpoint)
        .map_err(|error| Problem::new(StatusCode::BAD_GATEWAY, "bad_address", Fault::Peer, error.to_string()))?;
    let rewrite = Rewrite::new(&endpoint, fetch.public);
    let raw = flow.raw_token.load(Ordering::Relaxed);
    let mut target = Target {
        uri: below(&endpoint, fetch.path, request.uri().query())?,
        authorization: authorization(address, raw)?,
        tenant: None,
        // Of a request that our broker forwards it names a tenant of that broker.
        drop_tenant: fetch.as_broker || request.headers().contains_key(header::VIA),
    };
    let mut answer = forwarder.send(request, payload, &target, permitted.ticket()).await?;
    let refused = matches!(answer.status(), http::StatusCode::UNAUTHORIZED | http::StatusCode::FORBIDDEN);
    // EDC leaves the standard's member out, and wants its token without a scheme although it says `bearer`.
    if refused && !raw && !address.standard_endpoint && only_reads(request) {
        target.authorization = authorization(address, true)?;
        answer = forwarder.send(request, None, &target, permitted.ticket()).await?;
        if answer.status().is_success() {
            flow.raw_token.store(true, Ordering::Relaxed);
        }
    }
    Ok((answer, rewrite))
}

/// The path without a slash after a resource of NGSI-LD, where some clients put one and the standard has none.
fn resource(path: &str) -> &str {
    let trimmed = path.strip_suffix('/').filter(|trimmed| trimmed.starts_with(NGSI_LD_PATH));
    trimmed.unwrap_or(path)
}

/// The provider's endpoint with path and query after it. A query of the endpoint's own stays before the reader's.
fn below(endpoint: &Url, path: &str, query: Option<&str>) -> Result<Uri, Problem> {
    let mut base = endpoint.clone();
    base.set_query(None);
    let text = if path.is_empty() { base.as_str() } else { base.as_str().trim_end_matches('/') };
    let query: Vec<&str> = endpoint.query().into_iter().chain(query).filter(|part| !part.is_empty()).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    Uri::try_from(format!("{text}{path}{mark}{}", query.join("&")))
        .map_err(|_| Problem::bad_request("path_not_safe", "the path or the query is not a valid part of a URL"))
}

fn authorization(address: &DataAddress, raw: bool) -> Result<Option<HeaderValue>, Problem> {
    let Some(token) = address.property("authorization") else { return Ok(None) };
    let text = if raw || token.to_ascii_lowercase().starts_with("bearer ") {
        token.to_owned()
    } else {
        format!("Bearer {token}")
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        let detail = "the provider's token cannot stand in a header";
        Problem::new(StatusCode::BAD_GATEWAY, "bad_address", Fault::Peer, detail)
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The flow that stands in for a broker: named by `NGSILD-Tenant` (process id or label), or the only one there is.
fn broker(plane: &Plane, request: &HttpRequest) -> Result<Arc<Flow>, Problem> {
    let reads = |flow: &Flow| {
        let terms = &flow.terms;
        (terms.role, terms.direction) == (Role::Consumer, Direction::Pull)
    };
    if let Some(name) = request.headers().get(TENANT) {
        let name =
            name.to_str().map_err(|_| Problem::bad_request("tenant_not_readable", "NGSILD-Tenant cannot be read"))?;
        if let Some(flow) = plane.flows.by_process(Role::Consumer, name).filter(|flow| reads(flow)) {
            return Ok(flow);
        }
        let labelled = plane.flows.select(|flow| {
            reads(flow)
                && flow.live().state == DataFlowState::Started
                && flow.terms.labels.iter().any(|label| label == name)
        });
        return only(labelled, || Problem::not_found("unknown_transfer", "NGSILD-Tenant names no running transfer"));
    }
    let mut running = plane.flows.select(|flow| reads(flow) && flow.live().state == DataFlowState::Started);
    if running.iter().any(|flow| is_ngsi_ld(flow)) {
        running.retain(|flow| is_ngsi_ld(flow));
    }
    if running.is_empty()
        && let Some(suspended) =
            plane.flows.select(|flow| reads(flow) && flow.live().state == DataFlowState::Suspended).pop()
    {
        // It refuses the request itself, and says why.
        return Ok(suspended);
    }
    only(running, || Problem::not_found("no_running_transfer", "no transfer is running that could be read"))
}

/// The control plane labelled the flow so, or the provider's data address says it.
fn is_ngsi_ld(flow: &Flow) -> bool {
    let said = |address: &DataAddress| address.property(INTERFACE_PROPERTY) == Some(NGSI_LD);
    flow.terms.labels.iter().any(|label| label == NGSI_LD) || flow.live().address.as_ref().is_some_and(said)
}

fn only(mut found: Vec<Arc<Flow>>, none: impl FnOnce() -> Problem) -> Result<Arc<Flow>, Problem> {
    if found.len() > 1 {
        let mut names: Vec<&str> = found.iter().map(|flow| flow.terms.process_id.as_str()).collect();
        names.sort_unstable();
        let detail = format!("several transfers are running; name one by `NGSILD-Tenant`: {}", names.join(", "));
        return Err(Problem::new(StatusCode::CONFLICT, "several_transfers", Fault::Caller, detail));
    }
    found.pop().ok_or_else(none)
}

/// Readers outside loopback need the token. On loopback a web page must not be able to read or write: neither by a name that
/// it makes lead here, nor by a request across origins.
fn authenticate(plane: &Plane, request: &HttpRequest) -> Result<(), Problem> {
    if let Some(token) = &plane.config.local_token {
        let expected = format!("Bearer {}", token.expose_secret());
        let given = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes).unwrap_or_default();
        if !bool::from(given.ct_eq(expected.as_bytes())) {
            return Err(Problem::unauthorized("the local listener needs its token"));
        }
        return Ok(());
    }
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_local_name(host, &plane.config.local.public_url) {
        let detail = "the local listener answers only under its own name; see `local.public_url`";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", Fault::Caller, detail));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && request.headers().contains_key(header::ORIGIN) {
        let detail = "the local listener takes no requests of web pages";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross_origin", Fault::Caller, detail));
    }
    Ok(())
}

fn is_local_name(host: &str, public_url: &str) -> bool {
    let Ok(given) = Url::parse(&format!("http://{host}")) else { return false };
    match given.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => {
            name == "localhost" || Url::parse(public_url).is_ok_and(|own| own.host_str() == Some(name))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for (host, expected) in [
            ("localhost:8292", true),
            ("127.0.0.1:8292", true),
            ("[::1]:8292", true),
            ("hansa.local", true),
            ("evil.example", false),
            ("192.168.0.1", false),
            ("", false),
        ] {
            assert_eq!(is_local_name(host, "http://hansa.local:1"), expected, "{host}");
        }
    }

    #[test]
    fn addresses_below_an_endpoint() {
        for (endpoint, path, query, expected) in [
            ("http://p/flows/1", "", None, "http://p/flows/1"),
            ("http://p/flows/1", "/a", Some("b=c"), "http://p/flows/1/a?b=c"),
            ("http://p/flows/1/", "/a", None, "http://p/flows/1/a"),
            ("http://p/x?key=1", "/a", Some("b=c"), "http://p/x/a?key=1&b=c"),
        ] {
            assert_eq!(below(&Url::parse(endpoint).unwrap(), path, query).unwrap().to_string(), expected);
        }
        assert!(below(&Url::parse("http://p").unwrap(), "/a b", None).is_err());
    }

    #[test]
    fn a_slash_after_a_resource() {
        for (path, expected) in [
            ("/ngsi-ld/v1/entities/", "/ngsi-ld/v1/entities"),
            ("/ngsi-ld/v1/entities", "/ngsi-ld/v1/entities"),
            ("/ngsi-ld/v1/entities//", "/ngsi-ld/v1/entities/"),
            ("/files/", "/files/"),
            ("/ngsi-ld/", "/ngsi-ld/"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn forms_of_the_token() {
        let address = |token: &str| DataAddress {
            properties: vec![("authorization".to_owned(), token.to_owned())],
            ..DataAddress::default()
        };
        assert_eq!(authorization(&address("t"), false).unwrap().unwrap(), "Bearer t");
        assert_eq!(authorization(&address("t"), true).unwrap().unwrap(), "t");
        assert_eq!(authorization(&address("Bearer t"), false).unwrap().unwrap(), "Bearer t");
        assert!(authorization(&DataAddress::default(), false).unwrap().is_none());
        assert!(authorization(&address("a\nb"), false).is_err());
    }
}
