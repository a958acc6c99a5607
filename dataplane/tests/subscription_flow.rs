//! Subscriptions under contract: a program subscribes at its own data plane, the partner's broker notifies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use policy_plan::{Selection, Source};
use serde_json::{Value, json};
use support::{Flow, Played, Reply, Seen, World, before, now_ms};

const CONTEXT: &str = "https://city.example/context.jsonld";
const PROCESS: &str = "urn:uuid:0b1f";
const PATH: &str = "/ngsi-ld/v1/subscriptions";

fn selection() -> Selection {
    serde_json::from_value(json!({
        "types": ["https://m/Air"],
        "attributes": [{"name": "https://m/no2"}],
        "contexts": [{"url": CONTEXT, "terms": {"Air": "https://m/Air", "no2": "https://m/no2", "plate": "https://m/plate"}}],
    }))
    .unwrap()
}

/// A broker that takes every subscription.
fn broker() -> Played {
    Played::start(|request: &HttpRequest| match request.method().as_str() {
        "POST" => HttpResponse::Created().finish(),
        "DELETE" => HttpResponse::NoContent().finish(),
        _ => HttpResponse::Ok().json(json!({})),
    })
}

/// A program that takes notifications, unless it is away.
fn program() -> (Played, Arc<AtomicBool>) {
    let away = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&away);
    let program = Played::start(move |_| match state.load(Ordering::SeqCst) {
        true => HttpResponse::ServiceUnavailable().finish(),
        false => HttpResponse::Ok().finish(),
    });
    (program, away)
}

struct Scene {
    world: World,
    broker: Played,
    program: Played,
    away: Arc<AtomicBool>,
    provider: Flow,
    consumer: String,
}

impl Scene {
    async fn new(more: &str) -> Self {
        Self::with(more, |_| ()).await
    }

    async fn with(more: &str, change: impl Fn(&mut policy_plan::EnforcementPlan)) -> Self {
        let broker = broker();
        let (program, away) = program();
        let world = World::new(more).await;
        let mut plan = world.plan("tp-p", Some(Source::Http { base_url: broker.url.clone(), credential: None }));
        plan.selection = Some(selection());
        plan.admission.methods = vec!["GET".into()];
        plan.admission.paths = vec!["/ngsi-ld/v1/entities".into(), PATH.into()];
        change(&mut plan);
        let provider = world.pull(&plan).await;
        let consumer = world.consume(PROCESS, &provider.address, &["ngsi-ld"]).await;
        Self { world, broker, program, away, provider, consumer }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        self.world.client.send(method, &format!("{}{PATH}{path}", self.world.local), &headers, body).await
    }

    fn wanted(&self) -> Value {
        json!({"type": "Subscription", "entities": [{"type": "Air"}], "description": "program-canary",
            "notification": {"endpoint": {"uri": format!("{}/in", self.program.url),
                "receiverInfo": [{"key": "Authorization", "value": "program-canary"}]}}})
    }

    /// Subscribes; gives the id and the address that the broker was given.
    async fn subscribe(&self) -> (String, String) {
        let reply = self.ask("POST", "", &self.wanted()).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let id = reply.header("location").unwrap().strip_prefix(&format!("{PATH}/")).unwrap().to_owned();
        let made = self.made().pop().unwrap();
        (id, made.json()["notification"]["endpoint"]["uri"].as_str().unwrap().to_owned())
    }

    /// The subscriptions that the broker was asked for.
    fn made(&self) -> Vec<Seen> {
        self.broker.all().into_iter().filter(|seen| seen.method == "POST").collect()
    }

    async fn notify(&self, address: &str, data: Value) -> u16 {
        let body = json!({"id": "urn:n:broker-canary", "type": "Notification", "subscriptionId": "urn:s:broker-canary",
            "notifiedAt": "2026-01-01T00:00:00Z", "data": data});
        let link = format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
        let headers = [("content-type", "application/json"), ("link", link.as_str())];
        self.world.client.send("POST", address, &headers, body.to_string()).await.status
    }

    async fn arrived(&self, count: usize) -> Vec<Value> {
        self.program.wait(|_| self.program.all().len() >= count).await;
        self.program.all().iter().map(Seen::json).collect()
    }

    async fn restart(&mut self) {
        self.world.plane.take().unwrap().kill().await;
        self.world.start().await;
        // The old connections lead to nobody.
        self.world.client = support::Http::new();
    }
}

fn air(number: u32, value: u32) -> Value {
    json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air", "no2": {"type": "Property", "value": value},
        "plate": {"type": "Property", "value": "CANARY"}})
}

fn values(notifications: &[Value]) -> Vec<u64> {
    notifications.iter().map(|one| one["data"][0]["no2"]["value"].as_u64().unwrap()).collect()
}

#[actix_web::test]
async fn a_program_subscribes_as_at_a_local_broker() {
    let scene = Scene::new("").await;
    let (id, address) = scene.subscribe().await;
    let made = scene.made().pop().unwrap();
    assert!(!format!("{made:?}").contains(&scene.program.url), "the broker does not learn the program's address");
    assert!(!format!("{made:?} {}", made.json()).contains("program-canary"));
    let asked = made.json();
    assert_eq!(asked["watchedAttributes"], json!(["no2"]));
    assert_eq!(asked["notification"]["attributes"], json!(["no2"]));
    let cars = json!({"id": "urn:ngsi-ld:Car:1", "type": "Car", "no2": {"type": "Property", "value": 9}});
    assert_eq!(scene.notify(&address, json!([air(1, 41), cars])).await, 200);
    let seen = scene.arrived(1).await.pop().unwrap();
    assert_eq!(seen["type"], "Notification");
    assert_eq!(seen["subscriptionId"], id.as_str());
    let expected = json!([{"id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": {"type": "Property", "value": 41}}]);
    assert_eq!(seen["data"], expected);
    let request = scene.program.last();
    assert_eq!(request.header("authorization"), Some("program-canary"));
    assert!(request.header("link").unwrap().contains(CONTEXT));
    assert!(!format!("{request:?} {seen}").contains("broker-canary"));
    loop {
        // Counted when the program's answer has come.
        let shown = scene.ask("GET", &format!("/{id}"), &Value::Null).await.json();
        assert_eq!(shown["status"], "active");
        if shown["notification"]["timesSent"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.ask("GET", "", &Value::Null).await.json().as_array().unwrap().len(), 1);
    assert_eq!(scene.ask("DELETE", &format!("/{id}"), &Value::Null).await.status, 204);
    assert_eq!(scene.ask("GET", &format!("/{id}"), &Value::Null).await.status, 404);
    let removed = scene.broker.wait(|seen| seen.method == "DELETE").await;
    assert!(removed.target.contains("Subscription%3A"), "{}", removed.target);
    assert_eq!(scene.notify(&address, json!([air(1, 42)])).await, 404);
}

#[actix_web::test]
async fn what_shows_nothing_is_not_delivered() {
    let scene = Scene::new("").await;
    let (_, address) = scene.subscribe().await;
    let hidden = json!([{"id": "urn:ngsi-ld:Air:1", "type": "Air", "plate": {"type": "Property", "value": "CANARY"}}]);
    assert_eq!(scene.notify(&address, hidden).await, 200);
    assert_eq!(scene.notify(&address, json!([])).await, 200);
    assert_eq!(scene.notify(&address, json!([air(1, 7)])).await, 200);
    let inline = json!([{"@context": {"no2": "https://m/plate"}, "id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": {"type": "Property", "value": "CANARY"}}]);
    assert_eq!(scene.notify(&address, inline).await, 502);
    assert_eq!(scene.notify(&format!("{}/notifications/guess", scene.world.local), json!([air(1, 8)])).await, 404);
    assert_eq!(values(&scene.arrived(1).await), [7]);
}

#[actix_web::test]
async fn an_outage_and_restarts_lose_nothing_and_keep_the_order() {
    let mut scene = Scene::new("").await;
    let (_, address) = scene.subscribe().await;
    scene.away.store(true, Ordering::SeqCst);
    for value in 0..20 {
        assert_eq!(scene.notify(&address, json!([air(value % 3, value)])).await, 200);
        if value % 8 == 7 {
            scene.restart().await;
        }
    }
    scene.program.wait(|_| true).await;
    scene.away.store(false, Ordering::SeqCst);
    let failed = scene.program.all().len();
    scene.program.wait(|_| scene.program.all().len() >= failed + 20).await;
    let mut taken = values(&scene.program.all().iter().map(Seen::json).collect::<Vec<_>>());
    // Tries before the program came back, and one more after a restart, show the same one again.
    taken.dedup();
    assert_eq!(taken, (0..20).collect::<Vec<u64>>());
}

#[actix_web::test]
async fn what_the_broker_has_lost_is_made_anew_after_a_restart() {
    let lost = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&lost);
    let mut scene = Scene::new("").await;
    scene.broker = Played::start(move |request: &HttpRequest| match request.method().as_str() {
        "POST" => HttpResponse::Created().finish(),
        _ if state.load(Ordering::SeqCst) => HttpResponse::NotFound().finish(),
        _ => HttpResponse::Ok().json(json!({})),
    });
    let mut plan =
        scene.world.plan("tp-q", Some(Source::Http { base_url: scene.broker.url.clone(), credential: None }));
    plan.selection = Some(selection());
    plan.admission.paths = vec![PATH.into()];
    let flow = scene.world.pull(&plan).await;
    let authorization = format!("Bearer {}", flow.token);
    let headers = [("authorization", authorization.as_str())];
    let body = json!({"type": "Subscription", "entities": [{"type": "Air"}]}).to_string();
    let url = format!("{}{PATH}/urn:a:1", flow.endpoint);
    assert_eq!(scene.world.client.send("PUT", &url, &headers, body).await.status, 204);
    let first = scene.made().pop().unwrap().json();
    lost.store(true, Ordering::SeqCst);
    scene.restart().await;
    scene.broker.wait(|seen| seen.method == "POST" && scene.made().len() >= 2).await;
    assert_eq!(scene.made().pop().unwrap().json(), first);
}

#[actix_web::test]
async fn a_broker_is_asked_for_its_list_and_only_for_what_is_not_in_it() {
    let kept: Arc<Mutex<Vec<String>>> = Arc::default();
    let state = Arc::clone(&kept);
    let mut scene = Scene::new("").await;
    scene.broker = Played::reading(move |request: &HttpRequest, body: &[u8]| {
        let mut kept = state.lock().unwrap();
        match (request.method().as_str(), request.path().strip_prefix(PATH)) {
            ("POST", _) => {
                let body: Value = serde_json::from_slice(body).unwrap();
                kept.push(body["id"].as_str().unwrap().to_owned());
                HttpResponse::Created().finish()
            }
            // Pages of seven, whatever is asked for, as a broker with a lower limit may have them.
            ("GET", Some("")) => {
                let offset = request.query_string().rsplit('=').next().unwrap().parse().unwrap();
                let page: Vec<Value> =
                    kept.iter().skip(offset).take(7).map(|id| json!({"id": id, "type": "x"})).collect();
                HttpResponse::Ok().json(page)
            }
            ("GET", Some(id)) => {
                let id = percent_encoding::percent_decode_str(id.trim_start_matches('/')).decode_utf8_lossy();
                match kept.iter().any(|known| *known == id) {
                    true => HttpResponse::Ok().json(json!({})),
                    false => HttpResponse::NotFound().finish(),
                }
            }
            _ => HttpResponse::Ok().json(json!([])),
        }
    });
    let mut plan =
        scene.world.plan("tp-q", Some(Source::Http { base_url: scene.broker.url.clone(), credential: None }));
    plan.selection = Some(selection());
    plan.admission.paths = vec![PATH.into()];
    let flow = scene.world.pull(&plan).await;
    let authorization = format!("Bearer {}", flow.token);
    let headers = [("authorization", authorization.as_str())];
    let body = json!({"type": "Subscription", "entities": [{"type": "Air"}]}).to_string();
    const COUNT: usize = 30;
    for number in 0..COUNT {
        let url = format!("{}{PATH}/urn:a:{number}", flow.endpoint);
        assert_eq!(scene.world.client.send("PUT", &url, &headers, body.clone()).await.status, 204);
    }
    let lost = kept.lock().unwrap().remove(3);
    scene.restart().await;
    scene.broker.wait(|_| scene.made().len() > COUNT).await;
    assert_eq!(scene.made().pop().unwrap().json()["id"], lost);
    let asked = |seen: &Seen, below: &str| seen.method == "GET" && seen.target.starts_with(&format!("{PATH}{below}"));
    let all = scene.broker.all();
    let (pages, singly) =
        (all.iter().filter(|seen| asked(seen, "?")).count(), all.iter().filter(|seen| asked(seen, "/")).count());
    // A page for each ten of ours, so nine of the thirty are not seen in the list; and it may have looked a second time by now.
    assert!(matches!(pages, 3..=6), "{pages}");
    assert!((1..=2 * (COUNT - 21)).contains(&singly), "{singly}");
}

#[actix_web::test]
async fn a_subscription_ends_with_its_flow() {
    let scene = Scene::new("").await;
    let (_, address) = scene.subscribe().await;
    let path = format!("/dataflows/{}/suspend", scene.provider.id);
    assert_eq!(scene.world.signal("POST", &path, &json!({"messageId": "s"})).await.0, 200);
    assert_eq!(scene.notify(&address, json!([air(1, 1)])).await, 200);
    let path = format!("/dataflows/{}/terminate", scene.provider.id);
    assert_eq!(scene.world.signal("POST", &path, &json!({"messageId": "t"})).await.0, 200);
    scene.broker.wait(|seen| seen.method == "DELETE").await;
    assert_eq!(scene.notify(&address, json!([air(1, 2)])).await, 404);
    let path = format!("/dataflows/{}/terminate", scene.consumer);
    assert_eq!(scene.world.signal("POST", &path, &json!({"messageId": "u"})).await.0, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(scene.program.all().is_empty(), "nothing moves without a running flow");
}

#[actix_web::test]
async fn the_rules_of_the_moment_decide() {
    let scene = Scene::with("", |plan| plan.rules = before(now_ms() + 2_000)).await;
    let (_, address) = scene.subscribe().await;
    assert_eq!(scene.notify(&address, json!([air(1, 1)])).await, 200);
    scene.arrived(1).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(scene.notify(&address, json!([air(1, 2)])).await, 200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scene.program.all().len(), 1);
}

#[actix_web::test]
async fn a_change_replaces_the_subscription_at_the_broker() {
    let scene = Scene::new("").await;
    let (id, old) = scene.subscribe().await;
    let reply = scene.ask("PATCH", &format!("/{id}"), &json!({"q": "no2>50"})).await;
    assert_eq!(reply.status, 204, "{}", reply.text());
    let made = scene.made().pop().unwrap().json();
    assert_eq!(made["q"], "no2>50");
    let new = made["notification"]["endpoint"]["uri"].as_str().unwrap();
    assert_ne!(new, old);
    scene.broker.wait(|seen| seen.method == "DELETE").await;
    assert_eq!(scene.notify(&old, json!([air(1, 60)])).await, 404);
    assert_eq!(scene.notify(new, json!([air(1, 61)])).await, 200);
    assert_eq!(values(&scene.arrived(1).await), [61]);
    let count = scene.made().len();
    let elsewhere = json!({"notification": {"endpoint": {"uri": format!("{}/elsewhere", scene.program.url)}}});
    assert_eq!(scene.ask("PATCH", &format!("/{id}"), &elsewhere).await.status, 204);
    assert_eq!(scene.made().len(), count, "the partner is not told where the program is");
    let refused = scene.ask("PATCH", &format!("/{id}"), &json!({"q": "plate==\"x\""})).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("name_not_admitted")));
    assert_eq!(scene.ask("GET", &format!("/{id}"), &Value::Null).await.json()["q"], "no2>50");
}

#[actix_web::test]
async fn beyond_the_limit_the_oldest_are_dropped_and_counted() {
    let scene = Scene::new("[subscriptions]\nkeep_notifications = 5").await;
    let (id, address) = scene.subscribe().await;
    scene.away.store(true, Ordering::SeqCst);
    for value in 0..12 {
        assert_eq!(scene.notify(&address, json!([air(1, value)])).await, 200);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    scene.away.store(false, Ordering::SeqCst);
    scene.program.wait(|seen| seen.json()["data"][0]["no2"]["value"] == 11).await;
    let shown = scene.ask("GET", &format!("/{id}"), &Value::Null).await.json();
    assert!(shown["notification"]["timesDropped"].as_u64().unwrap() > 0, "{shown}");
}

#[actix_web::test]
async fn what_is_not_admitted_never_reaches_the_broker() {
    let scene = Scene::new("").await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut wanted = scene.wanted();
        change(&mut wanted);
        wanted
    };
    for (wanted, code) in [
        (with(&|s| s["entities"] = json!([{"type": "Car"}])), "name_not_admitted"),
        (with(&|s| s["watchedAttributes"] = json!(["plate"])), "name_not_admitted"),
        (with(&|s| s["notification"]["attributes"] = json!(["plate"])), "name_not_admitted"),
        (with(&|s| s["notification"]["showChanges"] = json!(true)), "subscription_not_admitted"),
        (with(&|s| s["notification"]["sysAttrs"] = json!(true)), "representation_not_admitted"),
        (with(&|s| s["notification"]["join"] = json!("inline")), "subscription_not_admitted"),
        (with(&|s| s["jsonldContext"] = json!("https://evil.example/c")), "subscription_not_admitted"),
        (with(&|s| s["notification"]["endpoint"]["notifierInfo"] = json!([])), "bad_receiver"),
        (with(&|s| s["notification"]["endpoint"]["uri"] = json!("http://10.0.0.1/")), "receiver_not_admitted"),
        (with(&|s| s["notification"]["endpoint"]["accept"] = json!("text/csv")), "subscription_not_admitted"),
    ] {
        let reply = scene.ask("POST", "", &wanted).await;
        assert_eq!(reply.json()["code"].as_str(), Some(code), "{wanted} {}", reply.text());
    }
    assert!(scene.broker.all().is_empty());
    assert_eq!(scene.ask("GET", "", &Value::Null).await.json(), json!([]));
    // The partner's own way in is held to the same.
    let url = format!("{}{PATH}", scene.provider.endpoint);
    let reply = scene.world.client.send("PUT", &format!("{url}/urn:a:1"), &[], "{}").await;
    assert_eq!(reply.status, 401);
    let authorization = format!("Bearer {}", scene.provider.token);
    let headers = [("authorization", authorization.as_str())];
    for (method, path, body, status) in [
        ("POST", "", json!({"type": "Subscription"}), 405),
        ("PUT", "/urn:a:1", json!({"type": "Subscription", "notification": {"endpoint": {"uri": "http://x/"}}}), 403),
        ("PUT", "/notanid", json!({"type": "Subscription"}), 400),
        ("PATCH", "/urn:a:1", json!({}), 405),
        ("DELETE", "/urn:a:1", Value::Null, 404),
        ("GET", "/notifications?after=x", Value::Null, 400),
    ] {
        let reply = scene.world.client.send(method, &format!("{url}{path}"), &headers, body.to_string()).await;
        assert_eq!(reply.status, status, "{method} {path} {}", reply.text());
    }
    assert!(scene.broker.all().is_empty());
}

#[actix_web::test]
async fn a_dataset_offers_subscriptions_by_their_path_and_a_selection() {
    for (path, selected, code) in
        [("/ngsi-ld/v1/entities", true, "path_not_admitted"), ("/ngsi-ld/v1/**", false, "subscriptions_not_offered")]
    {
        let scene = Scene::with("", |plan| {
            plan.admission.paths = vec![path.into()];
            plan.admission.methods = vec!["GET".into(), "POST".into()];
            plan.selection = selected.then(selection);
        })
        .await;
        let reply = scene.ask("POST", "", &scene.wanted()).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some(code)));
        assert!(scene.broker.all().is_empty());
    }
}

#[actix_web::test]
async fn what_was_missed_is_read_once_when_a_flow_runs_again() {
    let mut scene = Scene::new("").await;
    scene.broker = Played::start(|request: &HttpRequest| match (request.method().as_str(), request.path()) {
        ("POST", _) => HttpResponse::Created().finish(),
        ("GET", "/ngsi-ld/v1/entities") => HttpResponse::Ok()
            .insert_header(("link", format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"")))
            .json(json!([air(1, 77), air(2, 78)])),
        _ => HttpResponse::Ok().json(json!({})),
    });
    let mut plan =
        scene.world.plan("tp-q", Some(Source::Http { base_url: scene.broker.url.clone(), credential: None }));
    plan.selection = Some(selection());
    plan.admission.paths = vec![PATH.into()];
    scene.provider = scene.world.pull(&plan).await;
    let path = format!("/dataflows/{}/terminate", scene.consumer);
    assert_eq!(scene.world.signal("POST", &path, &json!({"messageId": "t"})).await.0, 200);
    scene.consumer = scene.world.consume("urn:uuid:0b20", &scene.provider.address, &["ngsi-ld"]).await;
    let (_, address) = scene.subscribe().await;
    assert_eq!(scene.notify(&address, json!([air(1, 1)])).await, 200);
    scene.arrived(1).await;
    scene.restart().await;
    let told = scene.arrived(2).await.pop().unwrap();
    let numbers: Vec<&Value> = told["data"].as_array().unwrap().iter().map(|one| &one["no2"]["value"]).collect();
    assert_eq!(numbers, [77, 78], "{told}");
    assert!(!told.to_string().contains("CANARY"));
    let read = scene.broker.wait(|seen| seen.target.starts_with("/ngsi-ld/v1/entities")).await;
    assert!(read.target.contains("attrs=no2") && read.target.contains("type=Air"), "{}", read.target);
}
