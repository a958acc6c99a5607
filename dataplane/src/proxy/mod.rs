//! Forwarding one HTTP exchange to a source or a partner.

mod body;
mod bookmarks;
mod headers;
mod links;
mod page;
mod pages;
mod pump;
mod selected;
pub(crate) mod write;

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
pub(crate) use bookmarks::Bookmarks;
pub(crate) use links::Rewrite;
pub(crate) use page::{Behind, refuse_page};
pub(crate) use selected::{Described, Question, describe, filtered_response, question, serve as serve_selected};

use crate::breaker::{Towards, moment};
use crate::client::{self, Client, ClientError, Outgoing};
use crate::flow::Ticket;
use crate::problem::{Fault, Problem};
use crate::via;

/// What one listener needs for forwarding; one for each worker thread.
#[derive(Debug, Clone)]
pub(crate) struct Forwarder {
    pub(crate) client: Client,
    pub(crate) idle: Duration,
    pub(crate) max_request_body: u64,
    pub(crate) pass_headers: Arc<[String]>,
    /// Our name in the chain of forwarded requests.
    pub(crate) alias: Arc<str>,
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
        let method = http::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|_| Problem::bad_request("method_not_readable", "the method cannot be read"))?;
        let length = length.filter(|length| *length > 0 && exceeded.is_some());
        let make = |body| self.request(request, &method, body, length, target);
        let ended = ticket.ended();
        let sending = async {
            if exceeded.is_none() && matches!(method, http::Method::GET | http::Method::HEAD) {
                self.client.send_again(|| make(client::empty())).await
            } else {
                self.client.send(make(body)).await
            }
        };
        let answer = tokio::select! {
            answer = sending => answer,
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

    /// Our request for the caller's. `length` is that of its body.
    fn request(
        &self,
        request: &HttpRequest,
        method: &http::Method,
        body: Outgoing,
        length: Option<u64>,
        target: &Target,
    ) -> http::Request<Outgoing> {
        let mut head = http::Request::new(body);
        *head.method_mut() = method.clone();
        *head.uri_mut() = target.uri.clone();
        *head.headers_mut() = headers::to_source(request.headers(), &self.pass_headers);
        if let Some(via) = via::onward(request, &self.alias) {
            head.headers_mut().insert(http::header::VIA, via);
        }
        if let Some(length) = length {
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
        head
    }

    /// Says of an error that passes through us that it is not ours (RFC 9209). What is there already stays before it, so that the one
    /// nearest to the source comes first.
    fn name_whose(&self, status: StatusCode, out: &mut header::HeaderMap) {
        let us = match self.client.towards() {
            Towards::Source => "hansa-provider",
            Towards::Partner => "hansa-consumer",
        };
        if let Ok(value) = header::HeaderValue::from_str(&format!("{us}; received-status={}", status.as_u16())) {
            out.append(header::HeaderName::from_static("proxy-status"), value);
        }
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
            let towards = self.client.towards();
            return HttpResponse::from_error(unreachable(&ClientError::Unreachable(towards, "odd status".to_owned())));
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
        if status.is_client_error() || status.is_server_error() {
            self.name_whose(status, out);
        }
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

/// What the reader learns of a silent target: that it is silent, and since when where it was not asked for that.
pub(crate) fn unreachable(error: &ClientError) -> Problem {
    let problem = |towards, status, [of_source, of_partner]: [&'static str; 2], what: &str| {
        let (code, fault, who) = match towards {
            Towards::Source => (of_source, Fault::Source, "the source"),
            Towards::Partner => (of_partner, Fault::Peer, "the partner's data plane"),
        };
        Problem::new(status, code, fault, format!("{who} {what}"))
    };
    match error {
        ClientError::TimedOut(towards) => {
            tracing::warn!(%error, "no answer");
            let codes = ["source_timeout", "partner_timeout"];
            problem(*towards, StatusCode::GATEWAY_TIMEOUT, codes, "gave no answer in time")
        }
        ClientError::Unreachable(towards, _) => {
            tracing::warn!(%error, "no answer");
            let codes = ["source_unreachable", "partner_unreachable"];
            problem(*towards, StatusCode::BAD_GATEWAY, codes, "cannot be reached")
        }
        ClientError::Resting(towards, resting) => {
            let since = moment(resting.since_ms);
            let what = format!("has not answered since {since}, and is asked again after a pause");
            let seconds = resting.wait.as_secs().saturating_add(1);
            let codes = ["source_resting", "partner_resting"];
            problem(*towards, StatusCode::SERVICE_UNAVAILABLE, codes, &what)
                .with_header(header::RETRY_AFTER, header::HeaderValue::from(seconds))
        }
    }
}
