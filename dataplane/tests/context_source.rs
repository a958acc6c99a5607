//! Context sources: our broker is told to ask our local listener for what an agreement shows, as long as its transfer runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use policy_plan::{EnforcementPlan, Selection, Source};
use serde_json::{Value, json};
use support::broker::Broker;
use support::{Flow, Played, Reply, World};

const PROCESS: &str = "urn:uuid:0b1f";
const PATIENCE: Duration = Duration::from_secs(60);
const AIR: &str = "https://uri.etsi.org/ngsi-ld/default-context/Air";
const NO2: &str = "https://uri.etsi.org/ngsi-ld/default-context/no2";

struct Scene {
    source: Broker,
    ours: Broker,
    provider: World,
    consumer: World,
    flow: Flow,
    id: String,
}

impl Scene {
    async fn new() -> Self {
        Self::with("", "", |_| ()).await
    }

    /// With further settings of the broker and of the local listener, and a change of the provider's plan.
    async fn with(more: &str, local: &str, change: impl Fn(&mut EnforcementPlan)) -> Self {
        let source = Broker::start();
        let air = |number: u32| {
            json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air", "no2": {"type": "Property", "value": number},
                "plate": {"type": "Property", "value": "CANARY"}})
        };
        source.put([air(1), air(2)]);
        let provider = World::new("").await;
        let mut plan = provider.plan("tp-p", Some(Source::Http { base_url: source.url().into(), credential: None }));
        let selection = json!({"types": [AIR], "ids": ["urn:ngsi-ld:Air:*"], "attributes": [{"name": NO2}],
            "rows": {"q": format!("{NO2}>=0")}});
        plan.selection = Some(serde_json::from_value::<Selection>(selection).unwrap());
        plan.admission.methods = vec!["GET".into()];
        plan.admission.paths =
            vec!["/ngsi-ld/v1/entities".into(), "/ngsi-ld/v1/entities/*".into(), "/ngsi-ld/v1/types".into()];
        change(&mut plan);
        let flow = provider.pull(&plan).await;
        Self::reading(source, provider, flow, more, local).await
    }

    async fn reading(source: Broker, provider: World, flow: Flow, more: &str, local: &str) -> Self {
        let ours = Broker::start();
        // Quick enough to see that it looks again.
        let broker = format!("[brokers.own]\nurl = \"{}\"\nreconcile_seconds = 1\n{more}", ours.url());
        let control = Played::start(|_| actix_web::HttpResponse::Ok().json(json!({})));
        let local = format!("[local]\n{local}");
        let consumer = World::configured(control, &broker, |config| config.replace("[local]", &local)).await;
        let mut prepare = consumer.message(PROCESS, String::new(), None, "did:web:prov.example");
        prepare["metadata"] = json!({"delivery": {"contextSource": {"broker": "own"}}});
        let (status, body) = consumer.signal("POST", "/dataflows/prepare", &prepare).await;
        assert_eq!(status, 200, "{body}");
        let id = body["dataFlowId"].as_str().unwrap().to_owned();
        assert!(ours.held().registrations.is_empty(), "nothing before the start");
        let started = json!({"messageId": "started", "dataAddress": flow.address});
        let (status, body) = consumer.signal("POST", &format!("/dataflows/{id}/started"), &started).await;
        assert_eq!(status, 200, "{body}");
        Self { source, ours, provider, consumer, flow, id }
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}; {:?}", self.ours.held().registrations);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The one registration, once the broker has it.
    async fn registered(&self) -> Value {
        self.until("it is registered", |scene| scene.ours.held().registrations.len() == 1).await;
        self.ours.held().registrations.values().next().unwrap().clone()
    }

    async fn tell(&self, signal: &str, message: &str) {
        let mut body = json!({"messageId": message});
        if signal == "resume" {
            body["dataAddress"] = self.flow.address.clone();
        }
        let (status, body) = self.consumer.signal("POST", &format!("/dataflows/{}/{signal}", self.id), &body).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn shown(&self) -> Value {
        let url = format!("{}/transfers/{PROCESS}/delivery", self.consumer.local);
        support::Http::new().send("GET", &url, &[], "").await.json()["contextSource"].clone()
    }

    async fn until_phase(&self, phase: &str) {
        let begun = Instant::now();
        while self.shown().await["phase"] != phase {
            assert!(begun.elapsed() < PATIENCE, "never {phase}: {}", self.shown().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks as a broker that forwards a request.
    async fn forward(&self, below: &str, more: &[(&str, &str)]) -> Reply {
        let endpoint = self.registered().await["endpoint"].as_str().unwrap().to_owned();
        let mut headers = vec![
            ("via", "1.1 broker-of-durres"),
            ("ngsild-tenant", "own-tenant-canary"),
            ("accept", "application/json"),
        ];
        headers.extend_from_slice(more);
        support::Http::new().send("GET", &format!("{endpoint}{below}"), &headers, "").await
    }
}

#[actix_web::test]
async fn exactly_what_the_agreement_shows_is_registered_and_answers() {
    let scene = Scene::new().await;
    let made = scene.registered().await;
    let expected = json!([{"entities": [{"type": AIR, "idPattern": "^(urn:ngsi-ld:Air:.*)$"}],
        "propertyNames": [NO2], "relationshipNames": [NO2]}]);
    assert_eq!(made["information"], expected);
    assert_eq!((&made["mode"], &made["operations"]), (&json!("inclusive"), &json!(["retrieveEntity", "queryEntity"])));
    let core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
    assert_eq!(made["contextSourceInfo"], json!([{"key": "jsonldContext", "value": core}]));
    let link = format!("<{core}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
    let reply = scene.forward("/ngsi-ld/v1/entities?type=Air", &[("link", &link)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json().as_array().unwrap().len(), 2);
    assert!(!reply.text().contains("CANARY"));
    let one = scene.forward("/ngsi-ld/v1/entities/urn:ngsi-ld:Air:2", &[]).await;
    assert_eq!((one.status, one.json()["no2"]["value"].clone()), (200, json!(2)));
    let asked = scene.source.played.all();
    assert!(
        !format!("{asked:?}").contains("durres") && !format!("{asked:?}").contains("canary"),
        "no names leave the city"
    );
    assert!(asked.last().unwrap().header("via").unwrap().starts_with("1.1 hansa-"));
    scene.until_phase("registered").await;
    let shown = scene.shown().await;
    assert_eq!((&shown["phase"], &shown["types"]), (&json!("registered"), &json!([AIR])), "{shown}");
}

#[actix_web::test]
async fn a_request_that_goes_in_a_circle_is_refused() {
    let scene = Scene::new().await;
    assert_eq!(scene.forward("/ngsi-ld/v1/entities?type=Air", &[]).await.status, 200);
    let via = scene.source.played.last().header("via").unwrap().to_owned();
    let again = scene.forward("/ngsi-ld/v1/entities?type=Air", &[("via", &via)]).await;
    assert_eq!(again.status, 508, "{}", again.text());
    let public = [("via", via.as_str())];
    assert_eq!(scene.flow.get(&scene.provider.client, "/ngsi-ld/v1/entities", &public).await.status, 508);
}

#[actix_web::test]
async fn it_goes_with_the_transfer_and_comes_back_with_it() {
    let scene = Scene::new().await;
    let id = scene.registered().await["id"].clone();
    scene.tell("suspend", "m-1").await;
    scene.until("it is withdrawn", |scene| scene.ours.held().registrations.is_empty()).await;
    scene.until_phase("withdrawn").await;
    scene.tell("resume", "m-2").await;
    assert_eq!(scene.registered().await["id"], id);
    scene.ours.held().registrations.clear();
    assert_eq!(scene.registered().await["id"], id, "a broker that lost it gets it again");
    scene.tell("completed", "m-3").await;
    scene.until("it is withdrawn", |scene| scene.ours.held().registrations.is_empty()).await;
}

#[actix_web::test]
async fn it_goes_however_long_the_broker_is_away_and_over_restarts() {
    let mut scene = Scene::new().await;
    scene.registered().await;
    scene.ours.held().away = true;
    scene.tell("terminate", "m-1").await;
    let begun = Instant::now();
    while scene.shown().await["fault"].is_null() {
        assert!(begun.elapsed() < PATIENCE, "it was not tried");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.consumer.plane.take().unwrap().kill().await;
    scene.consumer.start().await;
    assert_eq!(scene.ours.held().registrations.len(), 1);
    scene.ours.held().away = false;
    scene.until("it is withdrawn", |scene| scene.ours.held().registrations.is_empty()).await;
}

#[actix_web::test]
async fn a_restart_leaves_it_as_it_is() {
    let mut scene = Scene::new().await;
    scene.registered().await;
    let posts = |scene: &Scene| scene.ours.played.all().iter().filter(|seen| seen.method == "POST").count();
    scene.until_phase("registered").await;
    scene.consumer.plane.take().unwrap().kill().await;
    scene.consumer.start().await;
    let looks = |scene: &Scene| scene.ours.played.all().iter().filter(|seen| seen.method == "GET").count();
    let before = looks(&scene);
    scene.until("it looks", |scene| looks(scene) > before + 1).await;
    assert_eq!((posts(&scene), scene.ours.held().registrations.len()), (1, 1));
}

#[actix_web::test]
async fn without_our_road_types_are_registered_and_without_these_nothing() {
    let plain = |plan: &mut EnforcementPlan| plan.selection = None;
    let scene = Scene::with("", "", plain).await;
    let made = scene.registered().await;
    assert_eq!(made["information"], json!([{"entities": [{"type": "Air"}, {"type": "Car"}]}]));

    let (source, provider) = (Broker::start(), World::new("").await);
    let dumb = Played::start(|_| actix_web::HttpResponse::NotFound().finish());
    let flow = provider.pull_http("tp-q", &dumb.url).await;
    let scene = Scene::reading(source, provider, flow, "", "").await;
    let begun = Instant::now();
    while !scene.shown().await["fault"].as_str().is_some_and(|fault| fault.starts_with("types_unknown")) {
        assert!(begun.elapsed() < PATIENCE, "{}", scene.shown().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(scene.ours.held().registrations.is_empty());
}

#[actix_web::test]
async fn what_is_shown_is_told_to_the_partner_alone() {
    let scene = Scene::new().await;
    let shown = scene.flow.get(&scene.provider.client, "/shown", &[]).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json(), json!({"types": [AIR], "ids": ["urn:ngsi-ld:Air:*"], "attributes": [NO2]}));
    let url = format!("{}/shown", scene.flow.endpoint);
    for headers in [&[][..], &[("authorization", "Bearer wrong")][..]] {
        assert_eq!(support::Http::new().send("GET", &url, headers, "").await.status, 401);
    }
    assert_eq!(scene.flow.ask(&scene.provider.client, "POST", "/shown", &[]).await.status, 405);
}

#[actix_web::test]
async fn a_broker_elsewhere_gets_the_address_and_the_token_that_it_needs() {
    let scene =
        Scene::with("local_url = \"http://127.0.0.1:9/data-plane\"", "token = \"token-for-our-broker\"", |_| ()).await;
    let made = scene.registered().await;
    assert_eq!(made["endpoint"], format!("http://127.0.0.1:9/data-plane/flows/{PROCESS}"));
    assert_eq!(made["contextSourceInfo"][1], json!({"key": "Authorization", "value": "Bearer token-for-our-broker"}));
}
