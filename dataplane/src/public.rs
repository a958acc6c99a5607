//! The public listener: partners read from our sources and push into our inbox.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::percent_decode_str;

use crate::flow::{Flow, Role};
use crate::inbox;
use crate::permit::{self, Asked, Permitted};
use crate::plane::Plane;
use crate::problem::Problem;
use crate::proxy::{Behind, Forwarder, Question, refuse_page, serve_selected, write};
use crate::renewal;
use crate::source::Source;
use crate::subscription;
use crate::usage::MeteredBody;
use crate::{shown, via};

/// Where an NGSI-LD interface begins.
pub(crate) const NGSI_LD_PATH: &str = "/ngsi-ld/";

/// Answers every request of the public listener.
///
/// # Errors
/// The problem that is answered.
pub(crate) async fn serve(
    request: HttpRequest,
    payload: Payload,
    plane: Data<Plane>,
    forwarder: Data<Forwarder>,
) -> Result<HttpResponse, Problem> {
    let ngsi_ld = is_ngsi_ld(own_path(request.uri().path(), &plane.config.public.base_path));
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
    via::refuse_loop(&request, &plane.alias)?;
    let path = own_path(request.uri().path(), &plane.config.public.base_path);
    if let Some(flow_id) = path.strip_prefix(renewal::PATH) {
        let flow_id = percent_decode_str(flow_id).decode_utf8().map_err(|_| no_route())?;
        return Ok(renewal::serve(&plane, plane.flows.by_id(&flow_id), &request, payload).await);
    }
    let (flow_id, path) = split(path)?;
    let flow_id = percent_decode_str(flow_id).decode_utf8().map_err(|_| no_route())?;
    let flow = plane.flows.by_id(&flow_id);
    if flow.as_ref().is_some_and(|flow| flow.terms.role == Role::Consumer) {
        let permitted = permit::push(&plane, flow, &request).await?;
        return inbox::receive(&plane, &permitted, &request, path, payload).await;
    }
    if let Some(place) = subscription::place(path)? {
        return subscription::provider::serve(&plane, flow, &request, place, payload).await;
    }
    if path == shown::PATH && shown::is_known(flow.as_ref()) {
        return shown::serve(flow, &request);
    }
    let asked = Asked { path, query: request.uri().query() };
    let permitted = permit::pull(&plane, flow, &request, asked).await?;
    let sends_body = *request.method() != Method::HEAD && permitted.target().counts_bytes();
    let gate = sends_body.then(|| (permitted.target().clone(), permitted.ticket().ended()));
    let response = read(&plane, &forwarder, permitted, &request, payload, asked).await?;
    match gate {
        Some((flow, ended)) => MeteredBody::around(response, &plane, &flow, ended).await,
        None => Ok(response),
    }
}

/// Reads from the source of a permitted flow.
async fn read(
    plane: &Plane,
    forwarder: &Forwarder,
    permitted: Permitted<Arc<Flow>>,
    request: &HttpRequest,
    payload: Payload,
    asked: Asked<'_>,
) -> Result<HttpResponse, Problem> {
    let source = plane.source(permitted.target()).await?;
    match source.as_ref() {
        Source::Http(source) => {
            let flow = permitted.target();
            if flow.terms.plan.as_ref().is_some_and(|plan| write::writes(plan, request.method(), asked.path)) {
                let writer =
                    flow.writer()?.ok_or_else(|| Problem::internal(&"a write was permitted without a plan for it"))?;
                return write::serve(forwarder, &writer, source, request, payload, asked, permitted.into_ticket())
                    .await;
            }
            if let Some(filter) = permitted.target().filter()? {
                let flow = Arc::clone(permitted.target());
                let (path, query, bookmarks) = (asked.path, asked.query, &flow.bookmarks);
                let question = Question { request, path, query, payload, bookmarks };
                return serve_selected(forwarder, &filter, source, question, permitted.into_ticket()).await;
            }
            let target = source.target(asked.path, asked.query)?;
            let answer = forwarder.send(request, Some(payload), &target, permitted.ticket()).await?;
            refuse_page(asked.path, &answer, Behind::Source)?;
            Ok(forwarder.answer(request, answer, &source.rewrite, permitted.into_ticket()))
        }
        Source::Files(source) => match permitted.target().filter()? {
            Some(filter) => source.serve_selected(&filter, request, asked.path, permitted.into_ticket()).await,
            None => source.serve(request, asked.path, permitted.into_ticket()).await,
        },
    }
}

/// TRACE would show a caller what a proxy adds, and CONNECT is no request for data: both are refused before anything else.
pub(crate) fn refuse_trace(request: &HttpRequest) -> Result<(), Problem> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return Err(Problem::method_not_allowed("GET, HEAD, POST", "this method is never admitted"));
    }
    Ok(())
}

/// Whether a path of a listener leads to an NGSI-LD interface, where errors have the form of that standard.
pub(crate) fn is_ngsi_ld(path: &str) -> bool {
    path.starts_with(NGSI_LD_PATH) || split(path).is_ok_and(|(_, rest)| rest.starts_with(NGSI_LD_PATH))
}

/// The path below our public address. A proxy may pass that address's own path on or take it away.
fn own_path<'a>(path: &'a str, base: &str) -> &'a str {
    path.strip_prefix(base).filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// Splits `/flows/{id}/rest` into the id and the rest, both percent-encoded.
pub(crate) fn split(path: &str) -> Result<(&str, &str), Problem> {
    let rest = path.strip_prefix("/flows/").ok_or_else(no_route)?;
    let (id, rest) = match rest.find('/') {
        Some(place) => rest.split_at(place),
        None => (rest, ""),
    };
    if id.is_empty() { Err(no_route()) } else { Ok((id, rest)) }
}

pub(crate) fn no_route() -> Problem {
    Problem::not_found("unknown_path", "there is nothing at this path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_public_address_may_stand_before() {
        for (path, base, expected) in [
            ("/flows/a", "", "/flows/a"),
            ("/data/0/flows/a%2Fb", "/data/0", "/flows/a%2Fb"),
            ("/flows/a", "/data/0", "/flows/a"),
            ("/data/01/flows/a", "/data/0", "/data/01/flows/a"),
            ("/data/0", "/data/0", "/data/0"),
        ] {
            assert_eq!(own_path(path, base), expected, "{path} below {base}");
        }
    }

    #[test]
    fn paths_are_split_as_they_came() {
        for (path, expected) in [
            ("/flows/a", Some(("a", ""))),
            ("/flows/a/", Some(("a", "/"))),
            ("/flows/a/b%2Fc//d", Some(("a", "/b%2Fc//d"))),
            ("/flows/", None),
            ("/flows", None),
            ("/flows//x", None),
            ("/x", None),
        ] {
            assert_eq!(split(path).ok(), expected, "{path}");
        }
    }

    #[test]
    fn paths_whose_errors_are_those_of_ngsi_ld() {
        for (path, expected) in [
            ("/ngsi-ld/v1/entities", true),
            ("/flows/a/ngsi-ld/v1/entities", true),
            ("/flows/a/x/ngsi-ld/v1", false),
            ("/flows/a", false),
            ("/ngsi-ldx", false),
            ("/version", false),
        ] {
            assert_eq!(is_ngsi_ld(path), expected, "{path}");
        }
    }
}
