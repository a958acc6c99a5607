//! Notifications of brokers: filtered, kept, and only then acknowledged.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use ngsi_ld_filter::Stream;
use policy_plan::instant_text;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::left::{ALWAYS, Left};
use super::{Offer, head, notification_key, room};
use crate::clock::now_ms;
use crate::permit;
use crate::plane::Plane;
use crate::problem::Problem;
use crate::public::no_route;
use crate::store::{Change, Kind};
use crate::subscription::queue::Notification;
use crate::subscription::read_object;
use crate::token::TokenHash;

/// Largest notification, in bytes.
const MAX_NOTIFICATION: usize = 8 * 1024 * 1024;

/// Takes a notification of a broker, which shows that it is one by the secret in its path.
///
/// # Errors
/// 404 for another secret; 502 when rules cannot be applied to it; 500 when it cannot be kept. The broker may try again then.
pub(crate) async fn arrive(
    plane: &Arc<Plane>,
    request: &HttpRequest,
    secret: &str,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let known = plane.provided.inner().by_secret.get(&TokenHash::of(secret).to_hex()).cloned();
    let offer = known.ok_or_else(no_route)?;
    if request.method() != actix_web::http::Method::POST {
        return Err(Problem::method_not_allowed("POST", "notifications are posted"));
    }
    let link = request.headers().get(header::LINK).and_then(|link| link.to_str().ok()).map(str::to_owned);
    let mut notification = read_object(payload, MAX_NOTIFICATION).await?;
    let context = notification.remove("@context");
    let data = notification.remove("data").unwrap_or_default();
    let plane = Arc::clone(plane);
    // A broker that goes away does not leave half of it.
    let taking = async move { take(&plane, &offer, with_context(data, context), link).await };
    tokio::spawn(taking).await.map_err(|error| Problem::internal(&error))??;
    Ok(HttpResponse::Ok().finish())
}

/// Filters what came and keeps what is left of it. Where the agreement allows no use at this moment, nothing is taken.
async fn take(plane: &Arc<Plane>, offer: &Arc<Offer>, data: Value, link: Option<String>) -> Result<(), Problem> {
    let Some(Shown { data, context }) = shown(offer, &data, link.as_deref())? else { return Ok(()) };
    match permit::notification(plane, &offer.flow).await {
        Ok(_permitted) => keep(plane, offer, &data, context).await,
        Err(refusal) => {
            tracing::debug!(flow = offer.record.flow, %refusal, "a notification is not taken");
            Ok(())
        }
    }
}

/// What may be told.
struct Shown {
    /// The entities, as JSON.
    data: Vec<u8>,
    /// The address of their context.
    context: Option<String>,
}

/// What the agreement shows of the entities, and the address of their context; `None` when it is nothing.
fn shown(offer: &Offer, data: &Value, link: Option<&str>) -> Result<Option<Shown>, Problem> {
    let (Some(filter), Some(upstream)) = (offer.flow.filter()?, offer.narrowed.queries.first()) else {
        return Ok(None);
    };
    let media = if data.is_array() { "application/json" } else { "application/geo+json" };
    let unreadable = |fault| Problem::unreadable(&fault);
    let answer = upstream.answer(Some(media), None, link).map_err(unreadable)?;
    let context = answer.context.clone();
    let stream = Stream::new(&filter, answer, now_ms()).map_err(unreadable)?;
    Ok(filtered(offer, stream, data.to_string().as_bytes())?.map(|data| Shown { data, context }))
}

/// What the filter leaves of entities; `None` when it is nothing.
///
/// # Errors
/// 502 when the rules cannot be applied to them.
pub(super) fn filtered(offer: &Offer, mut stream: Stream, bytes: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
    let unreadable = |fault| Problem::unreadable(&fault);
    let mut out = Vec::with_capacity(bytes.len());
    stream.push(bytes, &mut out).map_err(unreadable)?;
    stream.finish(&mut out).map_err(unreadable)?;
    let internal = |error| Problem::internal(&error);
    let left = Left::of(&out).map_err(internal)?;
    // What is left of an entity whose hidden attribute has changed.
    let needless = if offer.narrowed.bare_entities { 0 } else { left.bare };
    if left.entities == needless {
        return Ok(None);
    }
    if needless > 0 {
        let mut entities: Vec<Map<String, Value>> = serde_json::from_slice(&out).map_err(internal)?;
        entities.retain(|entity| entity.keys().any(|name| !ALWAYS.contains(&name.as_str())));
        out = serde_json::to_vec(&entities).map_err(internal)?;
    }
    Ok(Some(out))
}

/// Gives the context of a JSON-LD notification to what it is the context of.
fn with_context(mut data: Value, context: Option<Value>) -> Value {
    let Some(context) = context else { return data };
    let give = |entity: &mut Value| {
        if let Some(members) = entity.as_object_mut() {
            members.entry("@context").or_insert_with(|| context.clone());
        }
    };
    match &mut data {
        Value::Array(entities) => entities.iter_mut().for_each(give),
        collection => give(collection),
    }
    data
}

/// Keeps entities as a notification for the partner; returns when it is on disk.
pub(super) async fn keep(
    plane: &Arc<Plane>,
    offer: &Offer,
    data: &[u8],
    context: Option<String>,
) -> Result<(), Problem> {
    let flow = &offer.record.flow;
    let line = plane.provided.line(flow);
    let internal = |error| Problem::internal(&error);
    let (sequence, written) = {
        let mut queue = line.queue();
        if line.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let sequence = queue.next();
        let notification = Notification {
            sequence,
            id: format!("urn:ngsi-ld:Notification:{}", Uuid::new_v4()),
            subscription: offer.record.id.clone(),
            notified_at: instant_text(now_ms()),
            context,
            data: Value::Null,
        };
        let key = |sequence| notification_key(flow, sequence);
        let kept = notification.kept_with(data).map_err(internal)?;
        let mut changes = vec![Change::text(Kind::Notification, &key(sequence), kept.text.clone())];
        let gone = queue.add(kept, room(plane));
        if !gone.is_empty() {
            tracing::warn!(flow, count = gone.len(), "notifications that nobody fetched are dropped for new ones");
            changes.extend(gone.into_iter().map(|sequence| Change::forget(Kind::Notification, &key(sequence))));
            changes.push(head(flow, &queue).map_err(internal)?);
        }
        // Handed over under the lock, so that numbers reach the disk in their order.
        (sequence, plane.store.submit(changes))
    };
    let outcome = written.await;
    let mut queue = line.queue();
    match outcome {
        Ok(()) => queue.keep(sequence),
        Err(_) => queue.withdraw(sequence),
    }
    drop(queue);
    outcome.map_err(internal)?;
    line.news.send_replace(sequence);
    Ok(())
}
