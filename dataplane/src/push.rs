//! Push: the source's data goes to the address that the partner gave.
//!
//! A file source sends each file in a request of its own. An HTTP source is read at the first path without wildcards that the
//! dataset admits, page by page where the answer links to a next one; each page is a request.

use std::io;
use std::sync::Arc;

use futures_util::future::ready;
use futures_util::{StreamExt, TryStreamExt};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LINK};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Frame;
use ngsi_ld_filter::{Asked, Filter, context_link};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use policy_plan::{Admission, EnforcementPlan};

use crate::client::{self, Outgoing};
use crate::clock::now_ms;
use crate::files::filtered;
use crate::flow::{Access, Flow, Run};
use crate::outbox::Outbox;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::proxy::{Described, describe, question};
use crate::source::{HttpSource, Source};
use crate::usage::{self, metered_outgoing};

/// Most pages of one push; an endless chain of links ends here, as an error.
const MAX_PAGES: usize = 100_000;

/// Sends everything. Ends early, as an error, when the run is cut; the caller then has nothing to tell.
///
/// # Errors
/// A sentence for the control plane, without addresses or secrets.
pub(crate) async fn send_all(plane: &Arc<Plane>, flow: &Arc<Flow>, run: &Arc<Run>) -> Result<(), String> {
    let ended = run.ended();
    let source = plane.source(flow).await.map_err(|problem| problem.to_string())?;
    let filter = flow.filter().map_err(|problem| problem.to_string())?;
    // What the agreement shows of the files takes their place.
    let selected = match (source.as_ref(), &filter) {
        (Source::Files(files), Some(filter)) => Some(Source::Files(files.selected(filter))),
        _ => None,
    };
    let source = selected.as_ref().unwrap_or(source.as_ref());
    let named = flow.terms.plan.as_ref().and_then(|plan| plan.source.as_ref());
    let standing = matches!(named, Some(policy_plan::Source::Files { standing: true, .. }));
    let sending = async {
        match source {
            Source::Files(source) if standing => Outbox { plane, flow, run, source }.stand().await,
            Source::Files(source) => Outbox { plane, flow, run, source }.send().await,
            Source::Http(source) => {
                // The place in the run lets the watch see that data is moving.
                let Ok(_ticket) = run.enter(None, None) else { return Err("the flow has ended".to_owned()) };
                if flow.needs.is_none() {
                    flow.judge(Access::Read, now_ms()).map_err(|problem| problem.to_string())?;
                }
                match &filter {
                    Some(filter) => send_selected(plane, flow, run, source, filter).await,
                    None => send_pages(plane, flow, run, source).await,
                }
            }
        }
    };
    tokio::select! {
        outcome = sending => outcome,
        () = ended.cancelled() => Err("the flow was ended, or the agreement does not allow it any more".to_owned()),
    }
}

async fn send_pages(plane: &Arc<Plane>, flow: &Arc<Flow>, run: &Run, source: &HttpSource) -> Result<(), String> {
    let plan = flow.terms.plan.as_ref().ok_or("the flow has no plan")?;
    let (path, query) = first_page(plan);
    let mut target = source.target(&path, query.as_deref()).map_err(|problem| problem.to_string())?;
    for _ in 0..MAX_PAGES {
        let mut request = Request::builder().method(Method::GET).uri(target.uri.clone());
        if let Some(authorization) = &target.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(tenant) = &target.tenant {
            request = request.header("ngsild-tenant", tenant.clone());
        }
        let request = request.body(client::empty()).map_err(|error| error.to_string())?;
        let answer = plane.sources.send(request).await.map_err(|_| "the source gives no answer".to_owned())?;
        if !answer.status().is_success() {
            return Err(format!("the source answered {}", answer.status().as_u16()));
        }
        let links = answer.headers().get_all(LINK);
        let next = links.iter().filter_map(|value| value.to_str().ok()).find_map(|value| source.rewrite.next(value));
        let kept = [CONTENT_TYPE, CONTENT_LENGTH]
            .into_iter()
            .filter_map(|name| Some((name.clone(), answer.headers().get(name)?.clone())))
            .collect();
        let body = answer.into_body().map_err(io::Error::other).boxed_unsync();
        deliver(plane, flow, run, body, kept).await?;
        let Some(next) = next else { return Ok(()) };
        target.uri = Uri::try_from(next.as_str()).map_err(|error| error.to_string())?;
    }
    Err("the source's pages have no end".to_owned())
}

/// The same with what a selection shows of NGSI-LD entities: the source is asked as a reader would be let ask.
async fn send_selected(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    run: &Run,
    source: &HttpSource,
    filter: &Arc<Filter>,
) -> Result<(), String> {
    let told = |problem: Problem| problem.to_string();
    let plan = flow.terms.plan.as_ref().ok_or("the flow has no plan")?;
    let (mut path, mut query) = first_page(plan);
    for _ in 0..MAX_PAGES {
        let now_ms = now_ms();
        let asked = Asked { method: "GET", path: &path, query: query.as_deref(), accept: None, link: None, now_ms };
        let upstream = filter.request(&asked).map_err(|refusal| refusal.message)?.in_pages_of_the_source();
        let request = question(source, &path, &upstream).map_err(told)?;
        let answer = plane.sources.send(request).await.map_err(|_| "the source gives no answer".to_owned())?;
        let Described { media, context, links, stream, body, .. } =
            describe(filter, &upstream, answer, now_ms).map_err(told)?;
        let next = links.and_then(|links| source.rewrite.next_asked(&links, &upstream.changed));
        let pairs = [(CONTENT_TYPE, media), (LINK, context.map(|url| context_link(&url)))];
        let kept =
            pairs.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value?).ok()?))).collect();
        let bytes = BodyStream::new(body).try_filter_map(|frame| ready(Ok(frame.into_data().ok())));
        let mut passing = Box::pin(filtered(bytes.map_err(io::Error::other).boxed(), stream).peekable());
        // Of one entity that is not shown there is nothing to send.
        if passing.as_mut().peek().await.is_some() {
            deliver(plane, flow, run, StreamBody::new(passing.map_ok(Frame::data)).boxed_unsync(), kept).await?;
        }
        match next {
            Some(next) => (path, query) = next,
            None => return Ok(()),
        }
    }
    Err("the source's pages have no end".to_owned())
}

/// Sends one body to the partner: one use of the agreement.
async fn deliver(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    run: &Run,
    body: Outgoing,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> Result<(), String> {
    usage::begin_own(plane, flow, &run.ended()).await.map_err(|problem| problem.to_string())?;
    let mut request = partner_request(plane, flow, Method::POST, "")?;
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let body = metered_outgoing(body, plane, flow, run.ended());
    let request = request.body(body).map_err(|error| error.to_string())?;
    let answer = plane.partners.send_while_moving(request).await;
    let answer = answer.map_err(|_| "the partner's address gives no answer".to_owned())?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(format!("the partner answered {}", answer.status().as_u16()))
    }
}

/// A request to the partner's address, with its token. `below` is a path and query after it.
///
/// # Errors
/// A sentence for the control plane: there is no address that may be called.
pub(crate) fn partner_request(
    plane: &Plane,
    flow: &Flow,
    method: Method,
    below: &str,
) -> Result<http::request::Builder, String> {
    let live = flow.live();
    let address = live.address.as_ref().ok_or("the partner gave no data address")?;
    let endpoint =
        plane.guard.check(address.endpoint.as_deref().unwrap_or_default()).map_err(|error| error.to_string())?;
    let mut request = Request::builder().method(method);
    request = match below {
        "" => request.uri(endpoint.as_str()),
        below => request.uri(format!("{}{below}", endpoint.as_str().trim_end_matches('/'))),
    };
    if let Some(token) = address.property("authorization") {
        let text = if token.to_ascii_lowercase().starts_with("bearer ") {
            token.to_owned()
        } else {
            format!("Bearer {token}")
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| "the partner's token cannot stand in a header")?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    Ok(request)
}

/// Where an HTTP source is read: the first plain path that the dataset admits, with the parameters that it demands.
fn first_page(plan: &EnforcementPlan) -> (String, Option<String>) {
    let admission: &Admission = &plan.admission;
    let path = admission.paths.iter().find(|path| !path.contains('*')).cloned().unwrap_or_default();
    let required = admission.query.iter().flatten().filter(|rule| rule.required);
    let query: Vec<String> = required
        .map(|rule| {
            let values: Vec<String> = rule.values.iter().flatten().map(|value| encoded(value)).collect();
            format!("{}={}", encoded(&rule.name), values.join(","))
        })
        .collect();
    let path = path.split('/').map(encoded).collect::<Vec<_>>().join("/");
    (path, (!query.is_empty()).then(|| query.join("&")))
}

fn encoded(text: &str) -> String {
    const PLAIN: &percent_encoding::AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use policy_plan::{QueryRule, Residual};

    use super::*;

    #[test]
    fn the_first_page_is_what_the_dataset_names() {
        let mut plan = EnforcementPlan {
            process_id: String::new(),
            agreement_id: String::new(),
            dataset_id: String::new(),
            provider: String::new(),
            consumer: String::new(),
            issued_at: 0,
            rules: Residual::default(),
            source: None,
            admission: Admission {
                methods: vec![],
                paths: vec!["/ngsi-ld/v1/types/**".into(), "/ngsi-ld/v1/entities".into()],
                query: Some(vec![QueryRule {
                    name: "type".into(),
                    values: Some(vec!["A".into(), "B C".into()]),
                    required: true,
                }]),
            },
            selection: None,
            writing: None,
            limits: Default::default(),
            max_token_seconds: 1,
        };
        assert_eq!(first_page(&plan), ("/ngsi-ld/v1/entities".to_owned(), Some("type=A,B%20C".to_owned())));
        plan.admission = Admission::default();
        assert_eq!(first_page(&plan), (String::new(), None));
    }
}
