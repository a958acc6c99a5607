//! What the partner's data plane asks for: subscriptions made, shown and ended, and notifications fetched.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use policy_plan::Admission;

use super::{head, not_offered, notification_key, put, withdraw};
use crate::flow::{Flow, Ticket};
use crate::permit;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::proxy::BrokenBody;
use crate::store::{Change, Kind};
use crate::subscription::queue::{Kept, Room};
use crate::subscription::{MAX_SUBSCRIPTION, Place, SUBSCRIPTIONS, read_object, unknown_subscription};
use crate::usage::MeteredBody;

/// Most that is given at once.
const PAGE: Room = Room { notifications: 500, bytes: 1024 * 1024 };
/// Longest wait for something to give.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Answers the partner's data plane.
///
/// # Errors
/// 401 and 403 as for every data request; 403 `subscriptions_not_offered`; what a subscription must not have; 404.
pub(crate) async fn serve(
    plane: &Arc<Plane>,
    flow: Option<Arc<Flow>>,
    request: &HttpRequest,
    place: Place,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let permitted = permit::subscriber(flow, request)?;
    let flow = Arc::clone(permitted.target());
    offered(&flow)?;
    match (request.method(), place) {
        (&Method::GET, Place::All) => {
            let all = plane.provided.of_flow(&flow.terms.id);
            Ok(HttpResponse::Ok().json(all.iter().map(|offer| &offer.record.body).collect::<Vec<_>>()))
        }
        (&Method::GET, Place::One(id)) => {
            let offer = plane.provided.offer(&flow.terms.id, &id).ok_or_else(unknown_subscription)?;
            Ok(HttpResponse::Ok().json(&offer.record.body))
        }
        (&Method::PUT, Place::One(id)) => {
            let mut body = read_object(payload, MAX_SUBSCRIPTION).await?;
            body.insert("id".to_owned(), id.clone().into());
            let link = request.headers().get(header::LINK).map(|link| link.to_str().map(str::to_owned)).transpose();
            let link = link.map_err(|_| Problem::bad_request("bad_header", "the `Link` header cannot be read"))?;
            let (plane, flow) = (Arc::clone(plane), flow);
            // A caller that goes away does not leave half of it.
            let making = async move { put(&plane, &flow, id, body, link).await };
            in_background(permitted.ticket(), making).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        (&Method::DELETE, Place::One(id)) => {
            let offer = plane.provided.offer(&flow.terms.id, &id).ok_or_else(unknown_subscription)?;
            withdraw(plane, &offer).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        (&Method::GET, Place::Notifications) => {
            let (after, wait) = cursor(request.uri().query().unwrap_or_default())?;
            let answer = fetch(plane, &flow, permitted.ticket(), after, wait).await?;
            let (ended, counted) = (permitted.ticket().ended(), flow.counts_bytes());
            let body = FetchedBody { bytes: Some(answer), ticket: permitted.into_ticket() };
            let mut response = HttpResponse::with_body(StatusCode::OK, body).map_into_boxed_body();
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            if counted { MeteredBody::around(response, plane, &flow, ended).await } else { Ok(response) }
        }
        (_, Place::One(_)) => Err(Problem::method_not_allowed("GET, PUT, DELETE", "a subscription is put and deleted")),
        (_, _) => Err(Problem::method_not_allowed("GET", "this is only read")),
    }
}

/// Runs to its end even when nobody waits for it.
async fn in_background(
    ticket: &Ticket,
    work: impl Future<Output = Result<(), Problem>> + Send + 'static,
) -> Result<(), Problem> {
    let ended = ticket.ended();
    tokio::select! {
        done = tokio::spawn(work) => done.map_err(|error| Problem::internal(&error))?,
        () = ended.cancelled() => Err(crate::proxy::ended_meanwhile()),
    }
}

/// A dataset offers subscriptions by admitting their path, whatever methods it admits for reading.
fn offered(flow: &Flow) -> Result<(), Problem> {
    let plan = flow.terms.plan.as_ref().ok_or_else(|| not_offered("the transfer has no plan"))?;
    let path_alone = Admission { methods: vec!["GET".to_owned()], paths: plan.admission.paths.clone(), query: None };
    Ok(path_alone.check("GET", SUBSCRIPTIONS, None)?)
}

/// What `after` and `wait` say: the last number that has arrived, and for how long to wait for more.
fn cursor(query: &str) -> Result<(u64, Duration), Problem> {
    let bad = |name: &str| Problem::bad_request("bad_value", format!("`{name}` must be a number"));
    let (mut after, mut wait) = (0, Duration::ZERO);
    for (name, value) in policy_plan::query_pairs(query)? {
        match name.as_str() {
            "after" => after = value.parse().map_err(|_| bad("after"))?,
            "wait" => wait = Duration::from_secs(value.parse().map_err(|_| bad("wait"))?).min(LONGEST_WAIT),
            _ => return Err(Problem::bad_request("bad_value", "only `after` and `wait` are understood here")),
        }
    }
    Ok((after, wait))
}

/// Forgets what has arrived, and gives what comes after it; waits when there is nothing.
async fn fetch(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    ticket: &Ticket,
    after: u64,
    wait: Duration,
) -> Result<Bytes, Problem> {
    let line = plane.provided.line(&flow.terms.id);
    {
        let mut queue = line.queue();
        let gone = queue.acknowledge(after);
        if !gone.is_empty() {
            let mut changes: Vec<_> = gone.iter().map(|sequence| forget(flow, *sequence)).collect();
            changes.push(head(&flow.terms.id, &queue).map_err(|error| Problem::internal(&error))?);
            // Nobody waits for the disk: after a crash it is acknowledged once more.
            drop(plane.store.submit(changes));
        }
    }
    let mut news = line.news.subscribe();
    let found = async {
        loop {
            news.mark_unchanged();
            let found = line.queue().after(after, PAGE);
            if !found.is_empty() || news.changed().await.is_err() {
                return found;
            }
        }
    };
    let ended = ticket.ended();
    let found = tokio::select! {
        found = tokio::time::timeout(wait, found) => found.unwrap_or_default(),
        () = ended.cancelled() => return Err(crate::proxy::ended_meanwhile()),
    };
    Ok(answer(line.queue().dropped(), &found))
}

/// `{"dropped": …, "notifications": […]}`, of texts that are JSON already.
fn answer(dropped: u64, found: &[Kept]) -> Bytes {
    let begin = format!("{{\"dropped\":{dropped},\"notifications\":[");
    let length: usize = found.iter().map(|kept| kept.text.len() + 1).sum();
    let mut text = Vec::with_capacity(begin.len() + length + 2);
    text.extend_from_slice(begin.as_bytes());
    for (place, kept) in found.iter().enumerate() {
        if place > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&kept.text);
    }
    text.extend_from_slice(b"]}");
    text.into()
}

fn forget(flow: &Flow, sequence: u64) -> Change {
    Change::forget(Kind::Notification, &notification_key(&flow.terms.id, sequence))
}

/// An answer that ends with an error when the flow ends meanwhile.
struct FetchedBody {
    bytes: Option<Bytes>,
    ticket: Ticket,
}

impl MessageBody for FetchedBody {
    type Error = BrokenBody;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenBody>>> {
        if self.ticket.is_over() {
            return Poll::Ready(Some(Err(BrokenBody::Cut)));
        }
        Poll::Ready(self.bytes.take().map(Ok))
    }
}
