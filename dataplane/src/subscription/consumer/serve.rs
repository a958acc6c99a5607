//! What programs of ours ask for, as they would ask a broker (ETSI GS CIM 009, 6.10 and 6.11).

use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use ngsi_ld_filter::context_link;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::receiver::{Receiver, merged, outward};
use super::{Held, Order, State, partner};
use crate::flow::Flow;
use crate::permit::Permitted;
use crate::plane::Plane;
use crate::problem::{Fault, Problem};
use crate::subscription::queue::Queue;
use crate::subscription::{MAX_SUBSCRIPTION, Place, is_id, read_object, unknown_subscription};

/// Answers a program that may use this flow.
///
/// # Errors
/// What is wrong with the subscription; 404; 502 and 504 when the partner does not answer.
pub(crate) async fn serve(
    plane: &Arc<Plane>,
    permitted: &Permitted<Arc<Flow>>,
    request: &HttpRequest,
    place: Place,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let flow = permitted.target();
    let held = |id: &str| plane.taken.by_id(&flow.terms.id, id).ok_or_else(unknown_subscription);
    match (request.method(), place) {
        (&Method::GET, Place::All) => {
            let mut all = plane.taken.of_programs(&flow.terms.id);
            all.sort_by_cached_key(|held| held.order().id.clone());
            Ok(HttpResponse::Ok().json(all.iter().map(|held| shown(held)).collect::<Vec<_>>()))
        }
        (&Method::POST, Place::All) => {
            let (body, link) = read(request, payload).await?;
            let (plane, flow) = (Arc::clone(plane), Arc::clone(flow));
            let path = request.uri().path().trim_end_matches('/').to_owned();
            // A program that goes away does not leave half of it.
            let making = tokio::spawn(async move { make(&plane, &flow, body, link).await });
            match making.await.map_err(|error| Problem::internal(&error))?? {
                Made::Standing(id) => {
                    Ok(HttpResponse::Created().insert_header((header::LOCATION, format!("{path}/{id}"))).finish())
                }
                Made::Refused(response) => Ok(refusal(response)),
            }
        }
        (&Method::GET, Place::One(id)) => Ok(HttpResponse::Ok().json(shown(&*held(&id)?))),
        (&Method::PATCH, Place::One(id)) => {
            let held = held(&id)?;
            let (change, link) = read(request, payload).await?;
            match change_one(plane, flow, &held, &change, link).await? {
                None => Ok(HttpResponse::NoContent().finish()),
                Some(answer) => Ok(refusal(answer)),
            }
        }
        (&Method::DELETE, Place::One(id)) => {
            let held = held(&id)?;
            super::keep::end(plane, &held).await?;
            Ok(HttpResponse::NoContent().finish())
        }
        (_, Place::One(_)) => {
            Err(Problem::method_not_allowed("GET, PATCH, DELETE", "a subscription has no other methods"))
        }
        (_, Place::All) => Err(Problem::method_not_allowed("GET, POST", "subscriptions have no other methods")),
        (_, Place::Notifications) => Err(unknown_subscription()),
    }
}

enum Made {
    Standing(String),
    Refused(partner::Answer),
}

/// The body without its context, and the context as a `Link` header.
async fn read(request: &HttpRequest, payload: Payload) -> Result<(Map<String, Value>, Option<String>), Problem> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let linked = match media.as_str() {
        "application/json" | "application/merge-patch+json" => false,
        "application/ld+json" => true,
        _ => {
            let detail = "a subscription is sent as `application/json` or `application/ld+json`";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "bad_content_type", Fault::Caller, detail));
        }
    };
    let mut body = read_object(payload, MAX_SUBSCRIPTION).await?;
    let given = request.headers().get(header::LINK).map(|link| link.to_str().map(str::to_owned)).transpose();
    let given = given.map_err(|_| Problem::bad_request("bad_header", "the `Link` header cannot be read"))?;
    let wrong = |detail: &str| Err(Problem::bad_request("bad_context", detail));
    match (body.remove("@context"), linked, given) {
        (Some(_), false, _) => wrong("a body with `@context` is sent as `application/ld+json`"),
        (Some(_), true, Some(_)) => wrong("the context stands in the body or in the `Link` header, not in both"),
        (None, _, link) => Ok((body, link)),
        (Some(context), true, None) => {
            let urls: Option<Vec<&str>> = match &context {
                Value::String(url) => Some(vec![url.as_str()]),
                Value::Array(urls) => urls.iter().map(Value::as_str).collect(),
                _ => None,
            };
            let Some(urls) = urls else { return wrong("a context must be named by its address") };
            let core = |url: &&str| url.starts_with("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context");
            let own: Vec<String> = urls.iter().filter(|url| !core(url)).map(|url| context_link(url)).collect();
            let named = if own.is_empty() { urls.first().map(|url| context_link(url)) } else { Some(own.join(", ")) };
            Ok((body, named))
        }
    }
}

async fn make(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    mut body: Map<String, Value>,
    link: Option<String>,
) -> Result<Made, Problem> {
    Receiver::of(&body, &plane.config.subscriptions.receivers)?;
    let remote = format!("urn:ngsi-ld:Subscription:{}", Uuid::new_v4());
    let id = match body.get("id") {
        None => remote.clone(),
        Some(Value::String(id)) if is_id(id) => id.clone(),
        Some(_) => return Err(Problem::bad_request("bad_value", "the id of a subscription must be a short plain URI")),
    };
    body.insert("id".to_owned(), id.clone().into());
    let flow_id = flow.terms.id.clone();
    let order =
        Order { flow: flow_id.clone(), id: id.clone(), remote, body, link, state: State::Making, inward: false };
    let held = Arc::new(Held::new(order.clone(), Queue::default()));
    {
        let mut inner = plane.taken.inner();
        let of_flow = inner.held.entry(flow_id).or_default();
        let most = plane.config.subscriptions.most_per_flow;
        if of_flow.len() >= most {
            let detail = format!("there are {most} subscriptions of this transfer already");
            return Err(Problem::new(StatusCode::FORBIDDEN, "too_many_subscriptions", Fault::Caller, detail));
        }
        if of_flow.values().map(|held| held.order()).any(|known| known.id == id && known.state != State::Ending) {
            let detail = "there is a subscription of this id already";
            return Err(Problem::new(StatusCode::CONFLICT, "subscription_exists", Fault::Caller, detail));
        }
        of_flow.insert(order.remote.clone(), Arc::clone(&held));
    }
    Ok(match settle(plane, flow, &held, order).await? {
        None => Made::Standing(id),
        Some(answer) => Made::Refused(answer),
    })
}

/// Makes a subscription at the partner; `None` when it stands, else the partner's refusal.
///
/// # Errors
/// The partner cannot be reached or fails, and is told to end what it may have; the store fails.
pub(super) async fn settle(
    plane: &Arc<Plane>,
    flow: &Arc<Flow>,
    held: &Arc<Held>,
    order: Order,
) -> Result<Option<partner::Answer>, Problem> {
    match ask(plane, flow, &order).await {
        Ok(None) => {
            let standing = Order { state: State::Standing, ..order };
            plane.write(vec![standing.change()]).await?;
            held.set(standing);
            plane.taken.changed.notify_one();
            Ok(None)
        }
        Ok(Some(answer)) => {
            super::keep::forget(plane, held).await?;
            Ok(Some(answer))
        }
        Err(problem) => {
            // The partner may have it.
            super::keep::end(plane, held).await?;
            Err(problem)
        }
    }
}

/// Asks the partner for a subscription that is on our disk first. Gives the partner's answer when it refuses.
async fn ask(plane: &Plane, flow: &Flow, order: &Order) -> Result<Option<partner::Answer>, Problem> {
    plane.write(vec![order.change()]).await?;
    let answer = partner::put(plane, flow, &order.remote, outward(&order.body), order.link.as_deref()).await?;
    verdict(answer)
}

/// `None` when the partner took it.
fn verdict(answer: partner::Answer) -> Result<Option<partner::Answer>, Problem> {
    match answer.status {
        status if status.is_success() => Ok(None),
        StatusCode::UNAUTHORIZED => {
            let detail = "the partner does not know our token";
            Err(Problem::new(StatusCode::BAD_GATEWAY, "partner_failed", Fault::Peer, detail))
        }
        status if status.is_client_error() => Ok(Some(answer)),
        status => {
            let detail = format!("the partner's data plane answers {}", status.as_u16());
            Err(Problem::new(StatusCode::BAD_GATEWAY, "partner_failed", Fault::Peer, detail))
        }
    }
}

/// The partner's refusal as it came: it says what the agreement does not admit.
fn refusal(answer: partner::Answer) -> HttpResponse {
    HttpResponse::build(answer.status)
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(answer.body)
}

async fn change_one(
    plane: &Plane,
    flow: &Flow,
    held: &Held,
    change: &Map<String, Value>,
    link: Option<String>,
) -> Result<Option<partner::Answer>, Problem> {
    let before = held.order();
    if change.get("id").is_some_and(|id| id.as_str() != Some(before.id.as_str())) {
        return Err(Problem::bad_request("bad_value", "the id of a subscription does not change"));
    }
    let body = merged(&before.body, change);
    Receiver::of(&body, &plane.config.subscriptions.receivers)?;
    let after = Order { body, link: link.or_else(|| before.link.clone()), ..(*before).clone() };
    if outward(&after.body) != outward(&before.body) || after.link != before.link {
        let answer = partner::put(plane, flow, &after.remote, outward(&after.body), after.link.as_deref()).await?;
        if let Some(refusal) = verdict(answer)? {
            return Ok(Some(refusal));
        }
    }
    plane.write(vec![after.change()]).await?;
    held.set(after);
    Ok(None)
}

/// A subscription as a broker shows it.
fn shown(held: &Held) -> Value {
    let order = held.order();
    let told = held.told().clone();
    let mut body = order.body.clone();
    let expired = body.get("expiresAt").and_then(Value::as_str).and_then(policy_plan::instant_ms);
    let status = match body.get("isActive") {
        _ if expired.is_some_and(|moment| moment <= crate::clock::now_ms()) => "expired",
        Some(Value::Bool(false)) => "paused",
        _ => "active",
    };
    body.insert("status".to_owned(), status.into());
    if let Some(notification) = body.get_mut("notification").and_then(Value::as_object_mut) {
        let failing = told.last_failure > told.last_success;
        let mut put = |name: &str, value: Value| notification.insert(name.to_owned(), value);
        put("status", if failing { "failed" } else { "ok" }.into());
        put("timesSent", told.sent.into());
        put("timesFailed", told.failed.into());
        for (name, moment) in [
            ("lastNotification", told.last_notification),
            ("lastSuccess", told.last_success),
            ("lastFailure", told.last_failure),
        ] {
            if let Some(moment) = moment {
                put(name, json!(moment));
            }
        }
        let (dropped, waiting) = {
            let queue = held.queue();
            (queue.dropped(), queue.sequences().len())
        };
        put("timesDropped", dropped.into());
        put("waiting", waiting.into());
    }
    Value::Object(body)
}
