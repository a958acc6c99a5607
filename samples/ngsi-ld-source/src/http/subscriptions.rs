//! `/subscriptions` and `/subscriptions/{id}` (GS CIM 009, clauses 6.10 and 6.11), and the notifications.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asked::Asked;
use super::entities::{NO_GEO, body_context};
use super::{Fault, Served};
use crate::instant;
use crate::problem::{Problem, ProblemKind};
use crate::subscription::Subscription;

/// Time between two looks for changes.
const LOOK: Duration = Duration::from_millis(200);
/// Longest wait for a receiver.
const PATIENCE: Duration = Duration::from_secs(5);

/// The subscriptions of all tenants, by tenant and id.
#[derive(Debug, Default)]
pub struct Subscriptions(Mutex<BTreeMap<Key, Subscription>>);

type Key = (Option<String>, String);

impl Subscriptions {
    fn held(&self) -> MutexGuard<'_, BTreeMap<Key, Subscription>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(asked: &Asked, id: &str) -> Key {
    (asked.tenant_name().map(str::to_owned), id.to_owned())
}

fn unknown(id: &str) -> Problem {
    Problem::new(ProblemKind::ResourceNotFound, format!("there is no subscription `{id}`"))
}

/// Makes a subscription.
pub(super) async fn create(
    request: HttpRequest,
    served: web::Data<Served>,
    bytes: web::Bytes,
) -> Result<HttpResponse, Fault> {
    let mut asked = Asked::of(&request, &served, NO_GEO)?;
    let body = serde_json::from_slice(&bytes).map_err(|_| asked.fault(Problem::bad("the body is not JSON")))?;
    let Value::Object(mut body) = body else {
        return Err(asked.fault(Problem::bad("the body is not a JSON object")));
    };
    let context = body.remove("@context");
    body_context(&request, &mut asked, context.as_ref())?;
    let mut held = served.subscriptions.held();
    let given = body.get("id").and_then(Value::as_str).map(str::to_owned);
    let id = given.unwrap_or_else(|| format!("urn:ngsi-ld:Subscription:{}", held.len() + 1));
    body.insert("id".to_owned(), Value::from(id.as_str()));
    if held.contains_key(&key(&asked, &id)) {
        return Ok(HttpResponse::Conflict().finish());
    }
    let now = OffsetDateTime::now_utc();
    let read = Subscription::parse(body, asked.context()?, asked.data()?, millis(now));
    held.insert(key(&asked, &id), read.map_err(|problem| asked.fault(problem))?);
    Ok(HttpResponse::Created().insert_header((LOCATION, format!("/ngsi-ld/v1/subscriptions/{id}"))).finish())
}

/// Shows all subscriptions of the tenant.
pub(super) async fn list(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    let held = served.subscriptions.held();
    let ours = held.iter().filter(|((tenant, _), _)| tenant.as_deref() == asked.tenant_name());
    Ok(HttpResponse::Ok().json(ours.map(|(_, one)| &one.body).collect::<Vec<_>>()))
}

/// Shows one.
pub(super) async fn retrieve(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    match served.subscriptions.held().get(&key(&asked, &id)) {
        Some(one) => Ok(HttpResponse::Ok().json(&one.body)),
        None => Err(asked.fault(unknown(&id))),
    }
}

/// Ends one.
pub(super) async fn remove(
    request: HttpRequest,
    served: web::Data<Served>,
    id: web::Path<String>,
) -> Result<HttpResponse, Fault> {
    let asked = Asked::of(&request, &served, NO_GEO)?;
    match served.subscriptions.held().remove(&key(&asked, &id)) {
        Some(_) => Ok(HttpResponse::NoContent().finish()),
        None => Err(asked.fault(unknown(&id))),
    }
}

/// Looks for changes and tells them; never ends. What a receiver did not take is told again at the next look.
pub async fn tell(served: web::Data<Served>) {
    let client = reqwest::Client::new();
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let now = OffsetDateTime::now_utc();
        let world = served.source.world(now);
        let due: Vec<_> = {
            let held = served.subscriptions.held();
            let all = held.iter().filter_map(|(key, one)| {
                let due = one.due(world.tenant(key.0.as_deref())?, &served.source.started(), millis(now));
                (!due.is_empty()).then(|| (key.clone(), one.endpoint.clone(), one.context.clone(), due))
            });
            all.collect()
        };
        for (key, endpoint, context, due) in due {
            let (data, states): (Vec<Value>, Vec<_>) = due.into_iter().unzip();
            let at = instant::format(now);
            let body = json!({"id": format!("urn:ngsi-ld:Notification:{at}"), "type": "Notification",
                "subscriptionId": key.1, "notifiedAt": at, "data": data});
            let link =
                format!("<{context}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
            let mut request = client.post(endpoint).timeout(PATIENCE).json(&body).header("Link", link);
            if let Some(tenant) = &key.0 {
                request = request.header("NGSILD-Tenant", tenant);
            }
            let taken = request.send().await.is_ok_and(|answer| answer.status().is_success());
            if let Some(one) = served.subscriptions.held().get_mut(&key).filter(|_| taken) {
                one.told(states.into_iter(), millis(now));
            }
        }
    }
}

fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
