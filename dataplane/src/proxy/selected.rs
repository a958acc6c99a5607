//! Reading NGSI-LD under a selection: the request is written anew, the answer is filtered as it comes.
//!
//! Nothing of the source passes but what the filter writes: its other headers and the bodies of its errors stay here, since
//! they may name what the agreement hides.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::future::poll_fn;
use http::HeaderValue;
use ngsi_ld_filter::{Asked, Filter, MAX_QUERY_BODY, Posted, Stream, Told, Upstream, context_link};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::bookmarks::Bookmarks;
use super::pages::Book;
use super::{BrokenBody, Forwarder, StreamedBody, ended_meanwhile, headers, too_large, unreachable};
use crate::client;
use crate::clock::now_ms;
use crate::flow::Ticket;
use crate::problem::{Fault, Problem};
use crate::source::HttpSource;
use crate::via;

/// What else of a request reaches the source: tracing.
pub(super) const PASSED: [&str; 5] = ["traceparent", "tracestate", "user-agent", "x-correlation-id", "x-request-id"];
/// What a query may hold without encoding.
pub(super) const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is asked of a source under a selection.
pub(crate) struct Question<'a> {
    pub(crate) request: &'a HttpRequest,
    /// What follows the flow's address, percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) payload: Payload,
    /// Where pages begin, as the flow remembers it.
    pub(crate) bookmarks: &'a Bookmarks,
}

/// Asks the source for what the caller may ask, and answers with what the caller may see.
///
/// # Errors
/// What the selection refuses; 404 for an entity that is not there or not shown; 502 when the source fails or answers with
/// something that the rules cannot be applied to.
pub(crate) async fn serve(
    forwarder: &Forwarder,
    filter: &Arc<Filter>,
    source: &HttpSource,
    question: Question<'_>,
    ticket: Ticket,
) -> Result<HttpResponse, Problem> {
    let Question { request, path, query, payload, bookmarks } = question;
    let accept = joined(request, &header::ACCEPT)?;
    let link = joined(request, &header::LINK)?;
    let now_ms = now_ms();
    let (accept, link) = (accept.as_deref(), link.as_deref());
    let asked = Asked { method: request.method().as_str(), path, query, accept, link, now_ms };
    if let Some(told) = filter.told(&asked).map_err(refused)? {
        return Ok(respond_told(told));
    }
    let upstream = if *request.method() == Method::POST && policy_plan::is_query(path) {
        let body = read(payload, &ticket).await?;
        let content_type = joined(request, &header::CONTENT_TYPE)?;
        let posted = Posted { content_type: content_type.as_deref(), body: &body };
        filter.query(&asked, &posted).map_err(refused)?
    } else {
        filter.request(&asked).map_err(refused)?
    };
    if let Some(paged) = upstream.paged {
        let (upstream, ticket) = (&upstream, &ticket);
        let book = Book { forwarder, filter, source, request, path, query, upstream, ticket, bookmarks };
        return book.serve(paged).await;
    }
    let answer = send(forwarder, source, request, path, &upstream, &ticket).await?;
    let Described { status, media, context, links, count, stream, body } = describe(filter, &upstream, answer, now_ms)?;
    let source_body = StreamedBody::new(body, None, ticket, forwarder.idle);
    let mut body = SelectedBody { source: source_body, stream, ready: None, ended: false };
    if upstream.single {
        body.take_whole().await?;
    } else {
        body.take_first().await?;
    }
    let mut response = respond(status, body);
    let out = response.headers_mut();
    let mut put = |name: header::HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| header::HeaderValue::from_str(&value).ok()) {
            out.append(name, value);
        }
    };
    put(header::CONTENT_TYPE, media);
    put(header::LINK, context.map(|url| context_link(&url)));
    put(header::LINK, links.and_then(|links| source.rewrite.paging(&links, &upstream.changed)));
    put(header::HeaderName::from_static("ngsild-results-count"), count);
    Ok(response)
}

/// The body of a query, up to its limit.
async fn read(payload: Payload, ticket: &Ticket) -> Result<Bytes, Problem> {
    let ended = ticket.ended();
    let read = tokio::select! {
        read = payload.to_bytes_limited(MAX_QUERY_BODY) => read,
        () = ended.cancelled() => return Err(ended_meanwhile()),
    };
    read.map_err(|_| too_large(MAX_QUERY_BODY as u64))?
        .map_err(|_| Problem::bad_request("body_lost", "the body did not arrive whole"))
}

/// An answer that needs no source.
fn respond_told(told: Told) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, told.media));
    response.insert_header((header::CACHE_CONTROL, "private, no-store"));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if let Some(url) = told.context {
        response.insert_header((header::LINK, context_link(&url)));
    }
    if let Some(count) = told.count {
        response.insert_header(("NGSILD-Results-Count", count.to_string()));
    }
    response.body(told.body)
}

/// An answer of a source, as far as it is understood.
pub(crate) struct Described {
    status: StatusCode,
    /// The content type.
    pub(crate) media: Option<String>,
    /// The address of the context that a header names.
    pub(crate) context: Option<String>,
    /// All links.
    pub(crate) links: Option<String>,
    /// The number of results, where it may be told.
    count: Option<String>,
    pub(crate) stream: Stream,
    pub(crate) body: hyper::body::Incoming,
}

/// Finds out what an answer is.
///
/// # Errors
/// 404 when there is no such entity; 502 when the source fails or answers with something that rules cannot be applied to.
pub(crate) fn describe(
    filter: &Arc<Filter>,
    upstream: &Upstream,
    answer: http::Response<hyper::body::Incoming>,
    now_ms: i64,
) -> Result<Described, Problem> {
    let (head, body) = answer.into_parts();
    let status = status(head.status)?;
    let cut = upstream.whole && status == StatusCode::PARTIAL_CONTENT;
    // Attributes are lacking that a source of the source holds.
    let lacking = upstream.complete && head.headers.contains_key("ngsild-warning");
    if cut || lacking {
        return Err(partial());
    }
    let all = |name: http::HeaderName| -> Result<Option<String>, Problem> {
        let values: Result<Vec<&str>, _> = head.headers.get_all(name).iter().map(HeaderValue::to_str).collect();
        let values = values.map_err(|_| not_understood("the answer's headers cannot be read"))?;
        Ok((!values.is_empty()).then(|| values.join(", ")))
    };
    let media = all(http::header::CONTENT_TYPE)?;
    let links = all(http::header::LINK)?;
    let encoding = all(http::header::CONTENT_ENCODING)?;
    let count = match upstream.count {
        true => all(http::HeaderName::from_static("ngsild-results-count"))?,
        false => None,
    };
    let described = upstream
        .answer(media.as_deref(), encoding.as_deref(), links.as_deref())
        .map_err(|fault| Problem::unreadable(&fault))?;
    let context = described.context.clone();
    let stream = Stream::new(filter, described, now_ms).map_err(|fault| Problem::unreadable(&fault))?;
    Ok(Described { status, media, context, links, count, stream, body })
}

/// The question to a source, without anything of the caller's.
///
/// # Errors
/// 400 when the path holds what no URL may hold.
pub(crate) fn question(
    source: &HttpSource,
    path: &str,
    upstream: &Upstream,
) -> Result<http::Request<client::Outgoing>, Problem> {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let query: Vec<String> =
        upstream.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let query = query.join("&");
    let target = source.target(path, (!query.is_empty()).then_some(query.as_str()))?;
    let mut head = http::Request::new(client::empty());
    if let Some(body) = &upstream.body {
        *head.method_mut() = http::Method::POST;
        *head.body_mut() = client::full(body.clone());
        head.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    *head.uri_mut() = target.uri;
    let link = HeaderValue::from_str(&upstream.link).map_err(|error| Problem::internal(&error))?;
    let out = head.headers_mut();
    out.insert(http::header::LINK, link);
    out.insert(http::header::ACCEPT, HeaderValue::from_static(upstream.accept));
    out.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if upstream.accept == "application/geo+json" {
        // The context in a header is there before the features are.
        out.insert("prefer", HeaderValue::from_static("body=json"));
    }
    if let Some(tenant) = target.tenant {
        out.insert("ngsild-tenant", tenant);
    }
    if let Some(authorization) = target.authorization {
        out.insert(http::header::AUTHORIZATION, authorization);
    }
    Ok(head)
}

/// Asks a source, with what of the caller's headers is about tracing.
pub(super) async fn send(
    forwarder: &Forwarder,
    source: &HttpSource,
    request: &HttpRequest,
    path: &str,
    upstream: &Upstream,
    ticket: &Ticket,
) -> Result<http::Response<hyper::body::Incoming>, Problem> {
    let mut head = question(source, path, upstream)?;
    let given = headers::to_source(request.headers(), &[]);
    for name in PASSED {
        if let Some(value) = given.get(name) {
            head.headers_mut().insert(name, value.clone());
        }
    }
    if let Some(via) = via::onward(request, &forwarder.alias) {
        head.headers_mut().insert(http::header::VIA, via);
    }
    let ended = ticket.ended();
    tokio::select! {
        answer = forwarder.client.send(head) => answer.map_err(|error| unreachable(&error)),
        () = ended.cancelled() => Err(ended_meanwhile()),
    }
}

/// The status of an answer that has a body to be filtered.
fn status(given: http::StatusCode) -> Result<StatusCode, Problem> {
    let problem = |status, code, fault, detail: &str| Err(Problem::new(status, code, fault, detail));
    match given.as_u16() {
        200 => Ok(StatusCode::OK),
        206 => Ok(StatusCode::PARTIAL_CONTENT),
        404 => Err(no_such_entity()),
        401 | 403 | 407 => problem(
            StatusCode::BAD_GATEWAY,
            "source_refuses_us",
            Fault::Operator,
            "the source does not let this data plane read",
        ),
        400..500 => problem(StatusCode::BAD_REQUEST, "source_refused", Fault::Caller, "the source refused the request"),
        504 => {
            problem(StatusCode::GATEWAY_TIMEOUT, "source_timeout", Fault::Source, "the source gave no answer in time")
        }
        500.. => problem(StatusCode::BAD_GATEWAY, "source_failed", Fault::Source, "the source failed"),
        _ => Err(not_understood("the source answered with a status that has no entities")),
    }
}

/// The source left something out, and the agreement's rules need all of it.
fn partial() -> Problem {
    let detail =
        "the source gives only a part of what was asked for, and the agreement's rules need all; ask for less time";
    Problem::new(StatusCode::BAD_GATEWAY, "answer_partial", Fault::Source, detail)
}

pub(super) fn refused(refusal: policy_plan::Refusal) -> Problem {
    match refusal.code {
        "no_such_entity" => no_such_entity(),
        "method_not_admitted" => Problem::method_not_allowed("GET", refusal.message),
        "no_such_type" | "no_such_attribute" => Problem::not_found(refusal.code, refusal.message),
        _ => Problem::from(refusal),
    }
}

/// The same for an entity that is not there and one that is not shown.
pub(super) fn no_such_entity() -> Problem {
    Problem::not_found("no_such_entity", "there is no such entity")
}

fn not_understood(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "answer_not_understood", Fault::Source, detail)
}

pub(super) fn joined(request: &HttpRequest, name: &header::HeaderName) -> Result<Option<String>, Problem> {
    let values: Result<Vec<&str>, _> = request.headers().get_all(name).map(header::HeaderValue::to_str).collect();
    let values = values.map_err(|_| {
        Problem::bad_request("header_not_readable", format!("the header `{name}` holds what no header should hold"))
    })?;
    Ok((!values.is_empty()).then(|| values.join(", ")))
}

/// The answer to a reader with the body of a source as far as a filter lets it pass. It begins when something does, so that
/// what cannot be understood from the beginning is told by the status.
///
/// # Errors
/// 502 when the body cannot be filtered or breaks off before anything passes.
pub(crate) async fn filtered_response<B>(source: B, stream: Stream) -> Result<HttpResponse, Problem>
where
    B: MessageBody<Error = BrokenBody> + Unpin + 'static,
{
    let mut body = SelectedBody { source, stream, ready: None, ended: false };
    body.take_first().await?;
    Ok(respond(StatusCode::OK, body))
}

fn respond<B>(status: StatusCode, body: SelectedBody<B>) -> HttpResponse
where
    B: MessageBody<Error = BrokenBody> + Unpin + 'static,
{
    let mut response = HttpResponse::with_body(status, body).map_into_boxed_body();
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("private, no-store"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// A source's body on its way through the filter.
struct SelectedBody<B> {
    source: B,
    stream: Stream,
    /// What was taken before the answer began.
    ready: Option<Bytes>,
    ended: bool,
}

impl<B: MessageBody<Error = BrokenBody> + Unpin> SelectedBody<B> {
    /// Waits for the first bytes, so that an answer that cannot be understood from the beginning is told by its status.
    async fn take_first(&mut self) -> Result<(), Problem> {
        self.ready = self.take().await?;
        Ok(())
    }

    /// Takes an answer of one entity; 404 when nothing of it is shown.
    async fn take_whole(&mut self) -> Result<(), Problem> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.take().await? {
            whole.extend_from_slice(&bytes);
        }
        if whole.is_empty() {
            return Err(no_such_entity());
        }
        self.ready = Some(whole.into());
        Ok(())
    }

    async fn take(&mut self) -> Result<Option<Bytes>, Problem> {
        let next = poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await;
        next.transpose().map_err(|broken| match broken {
            BrokenBody::Refused(fault) => Problem::unreadable(&fault),
            BrokenBody::Cut => ended_meanwhile(),
            BrokenBody::Stalled => Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "source_timeout",
                Fault::Source,
                "the source paused for too long",
            ),
            BrokenBody::Source(_) => {
                Problem::new(StatusCode::BAD_GATEWAY, "source_failed", Fault::Source, "the source broke off")
            }
        })
    }
}

impl<B: MessageBody<Error = BrokenBody> + Unpin> MessageBody for SelectedBody<B> {
    type Error = BrokenBody;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if let Some(ready) = self.ready.take() {
            return Poll::Ready(Some(Ok(ready)));
        }
        let body = &mut *self;
        while !body.ended {
            let mut out = Vec::new();
            let filtered = match Pin::new(&mut body.source).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(chunk))) => body.stream.push(&chunk, &mut out),
                Poll::Ready(Some(Err(broken))) => {
                    body.ended = true;
                    return Poll::Ready(Some(Err(broken)));
                }
                Poll::Ready(None) => {
                    body.ended = true;
                    body.stream.finish(&mut out).map(|_| ())
                }
            };
            if let Err(fault) = filtered {
                body.ended = true;
                tracing::warn!(code = fault.code, reason = %fault, "an answer cannot be filtered and was broken off");
                return Poll::Ready(Some(Err(BrokenBody::Refused(fault))));
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out.into())));
            }
        }
        Poll::Ready(None)
    }
}
