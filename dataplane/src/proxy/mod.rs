//! Forwarding one HTTP exchange to a source or a partner.

mod body;
mod headers;
mod links;
mod page;
mod pump;
mod selected;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::http::{StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use http::{HeaderValue, Uri};
use hyper::body::Incoming;

pub(crate) use body::{BrokenBody, HeadOnly, StreamedBody};
pub(crate) use links::Rewrite;
pub(crate) use page::{Behind, refuse_page};
pub(crate) use selected::{Described, Question, describe, filtered_response, question, serve as serve_selected};

use crate::client::{self, Client, ClientError};
use crate::flow::Ticket;
use crate::problem::{Fault, Problem};

/// What one listener needs for forwarding; one for each worker thread.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    pub(crate) client: Client,
    pub(crate) idle: Duration,
    pub(crate) max_request_body: u64,
    pub(crate) pass_headers: Arc<[String]>,
}

/// Where an exchange goes and what is added to it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    /// Our credential for the target.
    pub(crate) authorization: Option<HeaderValue>,
    /// Replaces the caller's `NGSILD-Tenant`.
    pub(crate) tenant: Option<HeaderValue>,
    /// The caller's `NGSILD-Tenant` was meant for us.
    pub(crate) drop_tenant: bool,
}

impl Forwarder {
    /// Sends the request on and gives the head of the answer.
    ///
    /// # Errors
    /// 413 for a body beyond the limit, 502 and 504 for the target's silence, 403 when the run ends meanwhile.
    pub(crate) async fn send(
        &self,
        request: &HttpRequest,
        payload: Option<Payload>,
        target: &Target,
        ticket: &Ticket,
    ) -> Result<http::Response<Incoming>, Problem> {
        let length = declared_length(request)?;
        if length.is_some_and(|length| length > self.max_request_body) {
            return Err(too_large(self.max_request_body));
        }
        let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let (body, exceeded) = match payload.filter(|_| chunked || length.is_some_and(|length| length > 0)) {
            Some(payload) => {
                let pumped = pump::outgoing(payload, self.max_request_body);
                (pumped.body, Some(pumped.exceeded))
            }
            None => (client::empty(), None),
        };
        let mut head = http::Request::new(body);
        *head.method_mut() = http::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|_| Problem::bad_request("method_not_readable", "the method cannot be read"))?;
        *head.uri_mut() = target.uri.clone();
        *head.headers_mut() = headers::to_source(request.headers(), &self.pass_headers);
        if let (Some(length), true) = (length.filter(|length| *length > 0), exceeded.is_some()) {
            head.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        }
        if target.drop_tenant {
            head.headers_mut().remove("ngsild-tenant");
        }
        if let Some(tenant) = &target.tenant {
            head.headers_mut().insert("ngsild-tenant", tenant.clone());
        }
        if let Some(authorization) = &target.authorization {
            head.headers_mut().insert(http::header::AUTHORIZATION, authorization.clone());
        }
        let ended = ticket.ended();
        let answer = tokio::select! {
            answer = self.client.send(head) => answer,
            () = ended.cancelled() => return Err(ended_meanwhile()),
        };
        answer.map_err(|error| {
            if exceeded.is_some_and(|exceeded| exceeded.load(Ordering::Acquire)) {
                too_large(self.max_request_body)
            } else {
                unreachable(&error)
            }
        })
    }

    /// Turns the target's answer into ours; the body follows as it comes.
    pub(crate) fn answer(
        &self,
        request: &HttpRequest,
        answer: http::Response<Incoming>,
        rewrite: &Rewrite,
        ticket: Ticket,
    ) -> HttpResponse {
        let (head, source) = answer.into_parts();
        let Ok(status) = StatusCode::from_u16(head.status.as_u16()) else {
            return HttpResponse::from_error(unreachable(&ClientError::Unreachable("odd status".to_owned())));
        };
        let length = head
            .headers
            .get(http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse::<u64>().ok());
        let without_body =
            matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        let mut response = if request.method() == actix_web::http::Method::HEAD {
            length.map_or_else(|| bare(status), |length| boxed(status, HeadOnly(length)))
        } else if without_body {
            bare(status)
        } else {
            boxed(status, StreamedBody::new(source, length, ticket, self.idle))
        };
        let out = response.headers_mut();
        headers::to_reader(&head.headers, |name, value| out.append(name, value));
        for value in head.headers.get_all(http::header::LINK) {
            let kept = value.to_str().ok().and_then(|text| rewrite.link(text));
            if let Some(value) = kept.and_then(|text| header::HeaderValue::from_str(&text).ok()) {
                out.append(header::LINK, value);
            }
        }
        for (from, to) in
            [(http::header::LOCATION, header::LOCATION), (http::header::CONTENT_LOCATION, header::CONTENT_LOCATION)]
        {
            let kept =
                head.headers.get(from).and_then(|value| value.to_str().ok()).and_then(|text| rewrite.location(text));
            if let Some(value) = kept.and_then(|text| header::HeaderValue::from_str(&text).ok()) {
                out.insert(to, value);
            }
        }
        out.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
        response
    }
}

fn bare(status: StatusCode) -> HttpResponse {
    HttpResponse::new(status)
}

fn boxed<B>(status: StatusCode, body: B) -> HttpResponse
where
    B: MessageBody<Error = BrokenBody> + 'static,
{
    HttpResponse::with_body(status, body).map_into_boxed_body()
}

/// The length that the caller announced; actix has already refused what is no number or doubled.
fn declared_length(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(value) = request.headers().get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Problem::bad_request("length_not_readable", "Content-Length is no length"))
}

pub(crate) fn too_large(limit: u64) -> Problem {
    let detail = format!("the request body is larger than {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", Fault::Caller, detail)
}

pub(crate) fn ended_meanwhile() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "flow_ended", Fault::Caller, "the flow was ended while the request was waiting")
}

/// What the reader learns of a silent target: that it is silent.
pub(crate) fn unreachable(error: &ClientError) -> Problem {
    tracing::warn!(%error, "the source or the partner gave no answer");
    match error {
        ClientError::TimedOut => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "source_timeout",
            Fault::Peer,
            "the source gave no answer in time",
        ),
        ClientError::Unreachable(_) => {
            Problem::new(StatusCode::BAD_GATEWAY, "source_unreachable", Fault::Peer, "the source cannot be reached")
        }
    }
}
