//! Posts events to webhooks: in their order, at least once, until the receiver answers 2xx.
//!
//! One task follows the events for each webhook; the place that a receiver has reached is stored after it has answered.
//! Webhooks that are added, changed or removed are noticed by the events about that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::http::management::EventView;
use crate::service::events::{Interest, Pattern, Reader};
use crate::service::{ServiceError, ServiceResult};
use crate::store::{event, events, registry, webhook};

/// Header of the signature.
const SIGNATURE: &str = "hansa-signature";
/// Most events in one request.
const BATCH: usize = 100;
/// Wait after the first failure; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How often the list of webhooks is read again, for changes that other replicas made.
const REVIEW: Duration = Duration::from_secs(30);

/// Delivers until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut running: HashMap<String, (webhook::Model, JoinHandle<()>)> = HashMap::new();
    let changes = Interest { patterns: Pattern::parse("webhook.*").into_iter().collect(), subject: None };
    let mut reader = match Reader::from_now(&app, changes).await {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(%error, "events cannot be read; webhooks get nothing");
            return;
        }
    };
    loop {
        match registry::all::<webhook::Entity>(&app.store, app.context()).await {
            Ok(rows) => review(&app, &mut running, rows),
            Err(error) => tracing::warn!(%error, "the list of webhooks cannot be read"),
        }
        tokio::select! {
            () = stop.cancelled() => break,
            change = tokio::time::timeout(REVIEW, reader.next()) => {
                if let Ok(Err(error)) = change {
                    tracing::warn!(%error, "events cannot be read");
                    tokio::time::sleep(FIRST_WAIT).await;
                }
            }
        }
    }
    running.into_values().for_each(|(_, task)| task.abort());
}

/// Ends the tasks of webhooks that are gone or changed, and starts those that are new.
fn review(app: &Arc<App>, running: &mut HashMap<String, (webhook::Model, JoinHandle<()>)>, rows: Vec<webhook::Model>) {
    running.retain(|id, (known, task)| {
        let same = rows.iter().any(|row| row.id == *id && settings(row) == settings(known));
        if !same {
            task.abort();
        }
        same
    });
    for row in rows {
        if !running.contains_key(&row.id) {
            let task = tokio::spawn(deliver(app.clone(), row.clone()));
            running.insert(row.id.clone(), (row, task));
        }
    }
}

/// What a task was started with.
fn settings(row: &webhook::Model) -> (&str, &str, &str) {
    (&row.url, &row.events, &row.secret)
}

async fn deliver(app: Arc<App>, row: webhook::Model) {
    let patterns: Vec<String> = serde_json::from_str(&row.events).unwrap_or_default();
    let patterns = patterns.iter().filter_map(|text| Pattern::parse(text)).collect();
    let mut reader = Reader::after(&app, Interest { patterns, subject: None }, row.cursor);
    loop {
        let first = match reader.next().await {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(webhook = %row.id, %error, "events cannot be read");
                tokio::time::sleep(FIRST_WAIT).await;
                continue;
            }
        };
        let mut batch = vec![first];
        batch.extend(reader.more(BATCH - 1));
        post_until_taken(&app, &row, &batch).await;
        if let Err(error) = events::advance_webhook(&app.store, &row.context, &row.id, reader.resume_at()).await {
            tracing::warn!(webhook = %row.id, %error, "the place of a webhook cannot be stored; events may come again");
        }
    }
}

async fn post_until_taken(app: &App, row: &webhook::Model, batch: &[Arc<event::Model>]) {
    let mut failures = 0;
    while let Err(error) = post(app, row, batch).await {
        failures += 1;
        let wait = pause(failures, rand::random());
        tracing::warn!(webhook = %row.id, %error, failures, wait_ms = wait.as_millis(), "a webhook did not take its events");
        tokio::time::sleep(wait).await;
    }
}

/// The wait after so many failures: doubled each time, shortened by up to half at random so that webhooks of one
/// receiver do not come at once.
fn pause(failures: u32, chance: u8) -> Duration {
    let full = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_WAIT);
    full - full.mul_f64(f64::from(chance) / 512.0)
}

async fn post(app: &App, row: &webhook::Model, batch: &[Arc<event::Model>]) -> ServiceResult<()> {
    let body = body(batch)?;
    let signature = signature(&row.secret, &body)?;
    let header = signature.as_deref().map(|value| (SIGNATURE, value));
    let answer = app.internal.post_text(&row.url, body, header).await;
    let answer = answer.map_err(|error| ServiceError::peer("webhook_unreachable", error.to_string()))?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(ServiceError::peer("webhook_refused", format!("it answered with status {status}"))),
    }
}

fn body(batch: &[Arc<event::Model>]) -> ServiceResult<String> {
    let events = batch.iter().map(|event| serde_json::to_value(EventView::new(event)?).map_err(ServiceError::internal));
    Ok(json!({"events": events.collect::<ServiceResult<Vec<Value>>>()?}).to_string())
}

/// `sha256=` and the HMAC of the body; `None` without a secret.
fn signature(secret: &str, body: &str) -> ServiceResult<Option<String>> {
    if secret.is_empty() {
        return Ok(None);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(ServiceError::internal)?;
    mac.update(body.as_bytes());
    Ok(Some(format!("sha256={}", hex::encode(mac.finalize().into_bytes()))))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use actix_web::web::{Data, to};
    use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpServer};

    use super::*;
    use crate::service::registry as service;

    #[test]
    fn the_signature_is_the_known_one() {
        // RFC 4231, test case 2.
        let signed = signature("Jefe", "what do ya want for nothing?").unwrap().unwrap();
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(signature("", "x").unwrap().is_none());
    }

    #[test]
    fn waits_grow_to_a_limit() {
        assert_eq!(pause(1, 0), FIRST_WAIT);
        assert_eq!(pause(2, 0), FIRST_WAIT * 2);
        assert_eq!(pause(40, 0), LONGEST_WAIT);
        assert_eq!(pause(u32::MAX, 0), LONGEST_WAIT);
        for chance in [0, 128, 255] {
            assert!((FIRST_WAIT / 2..=FIRST_WAIT).contains(&pause(1, chance)), "{chance}");
        }
    }

    /// What a receiver got, and what it answers: failures first.
    #[derive(Default)]
    struct Receiver {
        failures: AtomicUsize,
        bodies: Mutex<Vec<(String, String)>>,
    }

    async fn receive(receiver: Data<Receiver>, request: HttpRequest, body: String) -> HttpResponse {
        let signature = request.headers().get(SIGNATURE).map(|value| value.to_str().unwrap().to_owned());
        receiver.bodies.lock().unwrap().push((signature.unwrap_or_default(), body));
        let failed = receiver.failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if failed { HttpResponse::ServiceUnavailable().finish() } else { HttpResponse::NoContent().finish() }
    }

    fn start(receiver: Data<Receiver>) -> String {
        let server = HttpServer::new(move || ActixApp::new().app_data(receiver.clone()).default_service(to(receive)));
        let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/hook", server.addrs()[0]);
        tokio::spawn(server.run());
        url
    }

    async fn happen(app: &App, kind: &str, subject: &str) {
        let (context, kind, subject) = (app.context(), kind.to_owned(), subject.to_owned());
        let write =
            app.store.write(move |unit| Box::pin(async move { unit.event(context, kind, &subject, &json!({})).await }));
        write.await.unwrap();
    }

    async fn add(app: &App, url: &str) -> webhook::Model {
        let input = json!({"id": "w", "url": url, "events": ["transfer.*"], "secret": "sixteen-characters"});
        service::create::<webhook::Entity>(app, serde_json::from_value(input).unwrap()).await.unwrap()
    }

    /// Waits until the receiver has taken everything up to this event.
    async fn taken(app: &App, seq: i64) {
        for _ in 0..500 {
            if service::get::<webhook::Entity>(app, "w").await.unwrap().cursor >= seq {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the webhook did not come to event {seq}");
    }

    fn subjects(bodies: &[(String, String)]) -> Vec<String> {
        let bodies = bodies.iter().map(|(_, body)| serde_json::from_str::<Value>(body).unwrap());
        let events = bodies.flat_map(|body| body["events"].as_array().unwrap().clone());
        events.map(|event| event["subject"].as_str().unwrap().to_owned()).collect()
    }

    #[actix_web::test]
    async fn events_come_in_order_signed_until_taken_and_on_after_a_restart() {
        let (_folder, app) = crate::testing::app().await;
        let receiver = Data::new(Receiver { failures: 1.into(), ..Receiver::default() });
        let url = start(receiver.clone());
        happen(&app, "transfer.started", "before").await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(app.clone(), stop.clone()));
        add(&app, &url).await;
        for number in 0..250 {
            let kind = if number % 5 == 0 { "negotiation.offered" } else { "transfer.started" };
            happen(&app, kind, &number.to_string()).await;
        }
        taken(&app, 252).await;
        stop.cancel();
        running.await.unwrap();

        let bodies = std::mem::take(&mut *receiver.bodies.lock().unwrap());
        let wanted: Vec<String> = (0..250).filter(|number| number % 5 != 0).map(|number| number.to_string()).collect();
        assert_eq!(subjects(&bodies[..1]), subjects(&bodies[1..2]), "what was refused comes again");
        assert_eq!(subjects(&bodies[1..]), wanted);
        for (signed, body) in &bodies {
            assert_eq!(Some(signed.clone()), signature("sixteen-characters", body).unwrap());
        }

        happen(&app, "transfer.completed", "while stopped").await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(app.clone(), stop.clone()));
        taken(&app, 253).await;
        assert_eq!(subjects(&receiver.bodies.lock().unwrap()), ["while stopped"]);

        receiver.bodies.lock().unwrap().clear();
        service::remove::<webhook::Entity>(&app, "w").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        happen(&app, "transfer.completed", "to nobody").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(receiver.bodies.lock().unwrap().is_empty());
        stop.cancel();
        running.await.unwrap();
    }

    #[test]
    fn a_body_holds_the_events_in_order() {
        let event = |seq| {
            let (kind, subject) = ("transfer.started".to_owned(), "urn:x".to_owned());
            Arc::new(event::Model { seq, context: "default".into(), time: 0, kind, subject, data: "{}".into() })
        };
        let body: Value = serde_json::from_str(&body(&[event(3), event(5)]).unwrap()).unwrap();
        assert_eq!((&body["events"][0]["id"], &body["events"][1]["id"]), (&json!(3), &json!(5)));
    }
}
