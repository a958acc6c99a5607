//! Writing to an NGSI-LD broker: the request is checked whole, the entities that it changes are looked for, and what is
//! written is written anew.
//!
//! Nothing is tried twice. What the broker answers stays here but for the ids and names that the caller has sent itself.

use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use http::HeaderValue;
use http_body_util::{BodyExt as _, Limited};
use ngsi_ld_filter::{Asked as Question, Failure, Outcome, Step, Stream, WriteAsked, Writer, Written};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use policy_plan::{EnforcementPlan, Source, is_query};
use serde_json::Value;

use super::selected::{PASSED, PLAIN, describe, joined, no_such_entity, refused, send};
use super::{Forwarder, ended_meanwhile, headers, too_large, unreachable};
use crate::client::{self, ClientError};
use crate::clock::now_ms;
use crate::flow::Ticket;
use crate::permit::Asked;
use crate::problem::{Fault, Problem};
use crate::source::HttpSource;

/// Most entities that are looked for by one question, and bytes of their ids.
const MOST_LOOKED_FOR: usize = 50;
const MOST_ID_BYTES: usize = 4096;
/// Longest answer to such a question, and to a write.
const MAX_LOOKED_AT: usize = 16 * 1024 * 1024;
const MAX_RESULT: usize = 1024 * 1024;
/// Longest time in which a body arrives.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a path may hold without encoding.
const SEGMENT: &AsciiSet = &PLAIN.remove(b':');

/// Whether a request writes to an NGSI-LD broker: what may be written is then a matter of the plan's `writing` alone.
pub(crate) fn writes(plan: &EnforcementPlan, method: &Method, path: &str) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let Some(Source::Http { base_url, .. }) = &plan.source else { return false };
    let named = |path: &str| {
        let segments = policy_plan::path_segments(path).unwrap_or_default();
        segments.first().is_some_and(|first| first.eq_ignore_ascii_case("ngsi-ld"))
    };
    let is_broker = plan.selection.is_some()
        || plan.writing.is_some()
        || base_url.to_ascii_lowercase().contains("/ngsi-ld")
        || plan.admission.paths.iter().any(|path| path.starts_with("/ngsi-ld/"))
        || named(path);
    is_broker && !(*method == Method::POST && is_query(path))
}

/// Checks a write and does it.
///
/// # Errors
/// What may not be written; 404 for an entity that is not there or not shown; 409 for one that is; 502 and 504 when the source
/// fails, and it may have been written.
pub(crate) async fn serve(
    forwarder: &Forwarder,
    writer: &Writer,
    source: &HttpSource,
    request: &HttpRequest,
    payload: Payload,
    asked: Asked<'_>,
    ticket: Ticket,
) -> Result<HttpResponse, Problem> {
    let most = writer.most_bytes().min(usize::try_from(forwarder.max_request_body).unwrap_or(usize::MAX));
    let body = read(request, payload, most, &ticket).await?;
    let content_type = joined(request, &header::CONTENT_TYPE)?;
    let link = joined(request, &header::LINK)?;
    let asked = WriteAsked {
        method: request.method().as_str(),
        path: asked.path,
        query: asked.query,
        content_type: content_type.as_deref(),
        link: link.as_deref(),
        body: &body,
    };
    let planned = writer.request(&asked).map_err(refused)?;
    let is_batch = planned.is_batch();
    let work = Work { forwarder, writer, source, request, path: asked.path, ticket: &ticket };
    let seen = work.seen(&planned.changes()).await?;
    let (steps, missing) = planned.steps(&seen).map_err(refused)?;
    let mut written = Written::default();
    written.missing(missing);
    let mut location = None;
    for step in &steps {
        let outcome = match work.send(step).await {
            Ok(outcome) => outcome,
            Err(problem) if !written.has_any() => return Err(problem),
            Err(_) => Outcome::Nothing(Failure::Failed),
        };
        written.add(step, outcome).map_err(|failure| problem(failure, is_batch, step))?;
        location = (!is_batch).then(|| step.makes().pop_first()).flatten().map(|id| address(source, step, &id));
    }
    Ok(answer(&written, location))
}

/// The whole body; one that comes too slowly or is too long is not taken.
async fn read(request: &HttpRequest, payload: Payload, most: usize, ticket: &Ticket) -> Result<Bytes, Problem> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let detail = "a body that is written is not encoded";
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type_not_admitted",
            Fault::Caller,
            detail,
        ));
    }
    let ended = ticket.ended();
    let read = tokio::select! {
        read = tokio::time::timeout(PATIENCE, payload.to_bytes_limited(most)) => read,
        () = ended.cancelled() => return Err(ended_meanwhile()),
    };
    match read {
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            Fault::Caller,
            "the body did not arrive in time",
        )),
        Ok(Err(_)) => Err(too_large(most as u64)),
        Ok(Ok(read)) => read.map_err(|_| Problem::bad_request("body_not_readable", "the body did not arrive whole")),
    }
}

/// What the steps of one request need.
struct Work<'a> {
    forwarder: &'a Forwarder,
    writer: &'a Writer,
    source: &'a HttpSource,
    request: &'a HttpRequest,
    /// The path below the flow's address.
    path: &'a str,
    ticket: &'a Ticket,
}

impl Work<'_> {
    /// Those of the entities that are there, may be written and are shown.
    async fn seen(&self, ids: &[String]) -> Result<BTreeSet<String>, Problem> {
        let mut seen = BTreeSet::new();
        let mut rest = ids;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fitting = rest.iter().take(MOST_LOOKED_FOR).take_while(|id| {
                bytes += id.len();
                bytes <= MOST_ID_BYTES
            });
            let (now, later) = rest.split_at(fitting.count().max(1));
            rest = later;
            if let Some(query) = self.writer.question(now) {
                seen.extend(self.look(&query).await?);
            }
        }
        Ok(seen)
    }

    async fn look(&self, query: &[(String, String)]) -> Result<BTreeSet<String>, Problem> {
        let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let query = query.join("&");
        let path = match self.path.starts_with("/ngsi-ld/v1/") {
            true => "/ngsi-ld/v1/entities",
            false => "/entities",
        };
        let now_ms = now_ms();
        let filter = self.writer.shown();
        let asked = Question { method: "GET", path, query: Some(&query), accept: None, link: None, now_ms };
        let upstream = filter.request(&asked).map_err(refused)?;
        let answer = send(self.forwarder, self.source, self.request, path, &upstream, self.ticket).await?;
        let described = describe(filter, &upstream, answer, now_ms)?;
        let raw = self.collect(described.body, MAX_LOOKED_AT).await?;
        let mut shown = Vec::new();
        let mut stream: Stream = described.stream;
        let filtered = stream.push(&raw, &mut shown).and_then(|()| stream.finish(&mut shown).map(drop));
        filtered.map_err(|fault| Problem::unreadable(&fault))?;
        let seen = self.writer.seen(described.context.as_deref(), &raw, &shown);
        seen.map_err(|fault| Problem::unreadable(&fault))
    }

    /// Does one step, once.
    async fn send(&self, step: &Step) -> Result<Outcome, Problem> {
        let query: Vec<String> =
            step.query.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, PLAIN))).collect();
        let query = query.join("&");
        let target = self.source.target(&path(&step.segments), (!query.is_empty()).then_some(query.as_str()))?;
        let (body, media) = match &step.body {
            Some((body, media)) => (client::full(body.clone()), Some(*media)),
            None => (client::empty(), None),
        };
        let mut head = http::Request::new(body);
        *head.method_mut() =
            http::Method::from_bytes(step.method.as_bytes()).map_err(|error| Problem::internal(&error))?;
        *head.uri_mut() = target.uri;
        let out = head.headers_mut();
        let given = headers::to_source(self.request.headers(), &[]);
        for name in PASSED {
            if let Some(value) = given.get(name) {
                out.insert(name, value.clone());
            }
        }
        out.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        out.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(media) = media {
            out.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        if let Some(tenant) = target.tenant {
            out.insert("ngsild-tenant", tenant);
        }
        if let Some(authorization) = target.authorization {
            out.insert(http::header::AUTHORIZATION, authorization);
        }
        let ended = self.ticket.ended();
        let answer = tokio::select! {
            answer = self.forwarder.client.send(head) => answer.map_err(|error| failed(&error))?,
            () = ended.cancelled() => return Err(maybe_written(ended_meanwhile())),
        };
        let status = answer.status().as_u16();
        let body = match status {
            207 => self.collect(answer.into_body(), MAX_RESULT).await.map_err(maybe_written)?,
            _ => Bytes::new(),
        };
        let outcome = step.outcome(status, &body);
        if outcome != Outcome::Done {
            tracing::warn!(status, ?outcome, "the source did not write all that it was asked to");
        }
        Ok(outcome)
    }

    async fn collect(&self, body: hyper::body::Incoming, most: usize) -> Result<Bytes, Problem> {
        let ended = self.ticket.ended();
        let failed = |detail| Problem::new(StatusCode::BAD_GATEWAY, "source_failed", Fault::Peer, detail);
        tokio::select! {
            read = tokio::time::timeout(PATIENCE, Limited::new(body, most).collect()) => match read {
                Err(_) => Err(failed("the source's answer did not arrive in time")),
                Ok(Err(_)) => Err(failed("the source's answer broke off or is too long")),
                Ok(Ok(read)) => Ok(read.to_bytes()),
            },
            () = ended.cancelled() => Err(ended_meanwhile()),
        }
    }
}

fn path(segments: &[String]) -> String {
    segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT))).collect()
}

/// The flow's address of a new entity.
fn address(source: &HttpSource, step: &Step, id: &str) -> String {
    source.rewrite.address(&format!("{}/{}", path(&step.segments), utf8_percent_encode(id, SEGMENT)))
}

/// A broker that did not answer, and perhaps has written.
fn failed(error: &ClientError) -> Problem {
    match error {
        ClientError::Resting(..) => unreachable(error),
        _ => maybe_written(unreachable(error)),
    }
}

/// After a failure on the way nobody knows what the source has done.
fn maybe_written(problem: Problem) -> Problem {
    problem.with_detail("it is not known whether it was written")
}

fn problem(failure: Failure, is_batch: bool, step: &Step) -> Problem {
    let (status, code, fault, detail) = match failure {
        Failure::Missing if !is_batch && step.is_about_attributes() => {
            (StatusCode::NOT_FOUND, "no_such_attribute", Fault::Caller, "the entity has no such attribute")
        }
        Failure::Missing => return no_such_entity(),
        Failure::Taken => (StatusCode::CONFLICT, "entity_exists", Fault::Caller, "there is an entity with this id"),
        Failure::Refused => (StatusCode::BAD_REQUEST, "source_refused", Fault::Caller, "the source does not take it"),
        Failure::Unsupported => {
            (StatusCode::UNPROCESSABLE_ENTITY, "source_refused", Fault::Caller, "the source does not do this")
        }
        Failure::Locked => (
            StatusCode::BAD_GATEWAY,
            "source_refuses_us",
            Fault::Operator,
            "the source does not let this data plane write",
        ),
        Failure::Failed => (
            StatusCode::BAD_GATEWAY,
            "source_failed",
            Fault::Peer,
            "the source failed; it is not known whether it was written",
        ),
    };
    Problem::new(status, code, fault, detail)
}

fn answer(written: &Written, location: Option<String>) -> HttpResponse {
    let json = |status: StatusCode, body: &Value| {
        let mut response = HttpResponse::build(status);
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff")).content_type("application/json");
        response.body(body.to_string())
    };
    if let Some(body) = written.in_part() {
        return json(StatusCode::MULTI_STATUS, &body);
    }
    match location {
        Some(location) => HttpResponse::Created().insert_header((header::LOCATION, location)).finish(),
        None if written.created.is_empty() => HttpResponse::NoContent().finish(),
        None => json(StatusCode::CREATED, &written.created.iter().cloned().collect()),
    }
}
