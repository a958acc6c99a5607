//! Mirrors: two data planes, the broker of the provider and the broker of the consumer, which holds the copies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use policy_plan::{EnforcementPlan, Selection, Source};
use serde_json::{Value, json};
use support::broker::Broker;
use support::{Flow, World};

const PROCESS: &str = "urn:uuid:0b1f";
const PATIENCE: Duration = Duration::from_secs(60);
/// A pass each second, so that what the passes do is soon seen.
const SOON: &str = "reconcile_seconds = 1";
/// None but those that something calls for.
const SELDOM: &str = "reconcile_seconds = 3600";

fn selection() -> Selection {
    serde_json::from_value(json!({
        "types": ["https://uri.etsi.org/ngsi-ld/default-context/Air"],
        "attributes": [{"name": "https://uri.etsi.org/ngsi-ld/default-context/no2"}],
    }))
    .unwrap()
}

fn air(number: usize, value: usize) -> Value {
    json!({"id": id(number), "type": "Air", "no2": {"type": "Property", "value": value},
        "plate": {"type": "Property", "value": "CANARY"}})
}

fn id(number: usize) -> String {
    format!("urn:ngsi-ld:Air:{number:04}")
}

struct Scene {
    source: Broker,
    twin: Broker,
    provider: World,
    consumer: World,
    flow: Flow,
    /// Our name for the consumer's flow.
    id: String,
}

impl Scene {
    async fn new(settings: &str, count: usize) -> Self {
        Self::with(settings, json!({}), count, |_| ()).await
    }

    async fn with(settings: &str, more: Value, count: usize, change: impl Fn(&mut EnforcementPlan)) -> Self {
        let (source, twin) = (Broker::start(), Broker::start());
        source.put((0..count).map(|number| air(number, number)));
        source.put([json!({"id": "urn:ngsi-ld:Car:1", "type": "Car", "no2": {"type": "Property", "value": 9}})]);
        let provider = World::new("").await;
        let consumer = World::new(&format!("[brokers.twin]\nurl = \"{}\"\n{settings}", twin.url())).await;
        let mut plan = provider.plan("tp-p", Some(Source::Http { base_url: source.url().into(), credential: None }));
        plan.selection = Some(selection());
        plan.admission.methods = vec!["GET".into()];
        plan.admission.paths = vec!["/ngsi-ld/v1/entities".into(), "/ngsi-ld/v1/subscriptions".into()];
        change(&mut plan);
        let flow = provider.pull(&plan).await;
        let mut scene = Self { source, twin, provider, consumer, flow, id: String::new() };
        scene.id = scene.consume(PROCESS, more).await;
        scene
    }

    /// Begins a mirror of the provider's flow. Gives our name for the consumer's flow.
    async fn consume(&self, process: &str, more: Value) -> String {
        let mut wish = json!({"broker": "twin"});
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, body) = self.prepare(process, json!({"mirror": wish})).await;
        assert_eq!(status, 200, "{body}");
        let id = body["dataFlowId"].as_str().unwrap().to_owned();
        let started = json!({"messageId": format!("started-{process}"), "dataAddress": self.flow.address});
        let (status, body) = self.consumer.signal("POST", &format!("/dataflows/{id}/started"), &started).await;
        assert_eq!(status, 200, "{body}");
        id
    }

    async fn prepare(&self, process: &str, delivery: Value) -> (u16, Value) {
        let mut prepare = self.consumer.message(process, String::new(), None, "did:web:prov.example");
        prepare["metadata"] = json!({"delivery": delivery});
        self.consumer.signal("POST", "/dataflows/prepare", &prepare).await
    }

    async fn tell(&self, signal: &str, message: &str) {
        let mut body = json!({"messageId": message});
        if signal == "resume" {
            body["dataAddress"] = self.flow.address.clone();
        }
        let path = format!("/dataflows/{}/{signal}", self.id);
        let (status, body) = self.consumer.signal("POST", &path, &body).await;
        assert_eq!(status, 200, "{body}");
    }

    /// What an operator sees.
    async fn shown(&self) -> Value {
        let url = format!("{}/transfers/{PROCESS}/delivery", self.consumer.local);
        let reply = support::Http::new().send("GET", &url, &[], "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["mirror"].clone()
    }

    async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self).await {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited in vain: {what}; {}; {:?}",
                self.shown().await,
                self.twin.ids().len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_followed(&self) {
        self.until("the mirror follows", async |scene| scene.shown().await["phase"] == "following").await;
    }

    /// The twin holds exactly these values of the source.
    fn is_equal(&self) -> bool {
        let (source, twin) = (self.source.held(), self.twin.held());
        let airs = || source.entities.values().filter(|entity| entity["type"] == "Air");
        airs().count() == twin.entities.len()
            && airs().all(|air| {
                let copy = twin.entities.get(air["id"].as_str().unwrap());
                copy.is_some_and(|copy| copy["no2"] == air["no2"])
            })
    }

    async fn restart(&mut self) {
        self.consumer.plane.take().unwrap().kill().await;
        self.consumer.start().await;
        self.consumer.client = support::Http::new();
    }
}

#[actix_web::test]
async fn entities_are_loaded_and_changes_follow() {
    let scene = Scene::new(SELDOM, 250).await;
    scene.until("the load", async |scene| scene.is_equal()).await;
    scene.until_followed().await;
    assert!(!format!("{:?}", scene.twin.held().entities).contains("CANARY"), "only what the agreement shows");
    let shown = scene.shown().await;
    assert_eq!(
        (&shown["entities"], &shown["passes"], &shown["changes"]),
        (&json!(250), &json!(1), &json!("subscription"))
    );
    assert!(shown["lastPass"].is_string() && shown["fault"].is_null(), "{shown}");
    scene.source.change(air(7, 1_000)).await;
    scene.source.change(air(7, 1_001)).await;
    scene.source.change(air(900, 5)).await;
    scene.until("the changes", async |scene| scene.is_equal()).await;
    assert_eq!(scene.shown().await["passes"], 1, "no pass was needed");
    let written = scene.twin.played.all().into_iter().filter(|seen| seen.target.ends_with("/upsert"));
    for seen in written {
        assert!(seen.json().as_array().unwrap().len() <= 100, "batches are bounded");
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert!(seen.header("link").unwrap().contains("ngsi-ld-core-context"));
    }
}

#[actix_web::test]
async fn a_pass_finds_what_nobody_told_and_writes_only_that() {
    let scene = Scene::new(SOON, 120).await;
    scene.until("the load", async |scene| scene.is_equal()).await;
    scene.until_followed().await;
    let written = |scene: &Scene| -> usize {
        let all = scene.twin.played.all();
        all.iter()
            .filter(|seen| seen.target.ends_with("/upsert"))
            .map(|seen| seen.json().as_array().unwrap().len())
            .sum()
    };
    let before = written(&scene);
    scene.source.put([air(3, 4_000), air(700, 1)]);
    scene.source.held().entities.remove(&id(5));
    scene.until("the pass", async |scene| scene.is_equal()).await;
    assert!(scene.twin.entity(&id(5)).is_none());
    assert_eq!(written(&scene) - before, 2, "what is as it was is not written again");
}

#[actix_web::test]
async fn without_subscriptions_passes_alone_keep_it_fresh() {
    let no_changes = |plan: &mut EnforcementPlan| plan.admission.paths.truncate(1);
    let scene = Scene::with(SOON, json!({}), 30, no_changes).await;
    scene.until("the load", async |scene| scene.is_equal()).await;
    scene.until_followed().await;
    assert_eq!(scene.shown().await["changes"], "passes");
    scene.source.put([air(1, 77)]);
    scene.source.held().entities.remove(&id(2));
    scene.until("the pass", async |scene| scene.is_equal()).await;
}

#[actix_web::test]
async fn a_source_that_wants_types_is_asked_type_by_type() {
    let plain = |plan: &mut EnforcementPlan| {
        plan.selection = None;
        plan.admission.paths = vec!["/ngsi-ld/v1/entities".into(), "/ngsi-ld/v1/types".into()];
    };
    let scene = Scene::with(SOON, json!({}), 0, plain).await;
    scene.source.held().types_needed = true;
    scene.source.put((0..130).map(|number| air(number, number)));
    scene.until("both types", async |scene| scene.twin.ids().len() == 131).await;
    scene.source.held().entities.remove(&id(129));
    scene.until("the pass", async |scene| scene.twin.entity(&id(129)).is_none()).await;
    assert!(scene.twin.entity("urn:ngsi-ld:Car:1").is_some());
}

#[actix_web::test]
async fn what_others_put_into_the_broker_is_left_alone() {
    let scene = Scene::new(SOON, 0).await;
    let own = json!({"id": id(1), "type": "Air", "no2": {"type": "Property", "value": "ours"}});
    let other = json!({"id": "urn:ngsi-ld:Air:local", "type": "Air"});
    scene.twin.put([own.clone(), other]);
    scene.source.put((0..3).map(|number| air(number, number)));
    scene.until("the load", async |scene| scene.twin.ids().len() == 4).await;
    scene.until("one is counted", async |scene| scene.shown().await["leftAlone"] == 1).await;
    scene.source.change(air(1, 55)).await;
    scene.source.change(air(2, 56)).await;
    scene.until("the change", async |scene| scene.twin.entity(&id(2)).unwrap()["no2"]["value"] == 56).await;
    assert_eq!(scene.twin.entity(&id(1)), Some(own.clone()));
    scene.source.held().entities.clear();
    scene.until("the pass", async |scene| scene.twin.ids().len() == 2).await;
    scene.tell("terminate", "m-end").await;
    let path = format!("{}/transfers/{PROCESS}/delivery", scene.consumer.local);
    let gone = async |_: &Scene| support::Http::new().send("GET", &path, &[], "").await.status == 404;
    scene.until("the end", gone).await;
    assert_eq!(scene.twin.entity(&id(1)), Some(own));
    assert_eq!(scene.twin.ids().len(), 2);
}

#[actix_web::test]
async fn one_entity_that_the_broker_does_not_take_holds_nothing_up() {
    let scene = Scene::new(SOON, 0).await;
    scene.twin.held().refused.push(id(17));
    scene.source.put((0..40).map(|number| air(number, number)));
    scene.until("all others", async |scene| scene.twin.ids().len() == 39).await;
    scene.until("one is counted", async |scene| scene.shown().await["notTaken"] == 1).await;
    scene.twin.held().refused.clear();
    scene.until("the last", async |scene| scene.is_equal()).await;
}

#[actix_web::test]
async fn a_broker_that_is_away_and_killed_planes_lose_nothing() {
    let mut scene = Scene::new(SELDOM, 0).await;
    scene.until_followed().await;
    scene.twin.held().away = true;
    scene.source.put((0..450).map(|number| air(number, number)));
    for number in 0..20 {
        scene.source.change(air(number, number + 1_000)).await;
        if number % 7 == 3 {
            scene.restart().await;
        }
    }
    scene
        .until("it says so", async |scene| {
            scene.shown().await["fault"].as_str().is_some_and(|fault| fault.contains("broker"))
        })
        .await;
    scene.twin.held().away = false;
    let told = async |scene: &Scene| {
        (0..20).all(|n| scene.twin.entity(&id(n)).is_some_and(|air| air["no2"]["value"] == n + 1_000))
    };
    scene.until("what was told", told).await;
    assert_eq!(scene.twin.ids().len(), 20, "no pass came in between");
}

#[actix_web::test]
async fn a_load_goes_on_where_a_kill_interrupted_it() {
    let mut scene = Scene::new(SELDOM, 1_500).await;
    for part in 1..4 {
        scene.until("a part", async |scene| scene.twin.ids().len() >= part * 300).await;
        scene.restart().await;
    }
    scene.until("the load", async |scene| scene.is_equal()).await;
    scene.until_followed().await;
    let shown = scene.shown().await;
    assert_eq!((&shown["passes"], &shown["leftAlone"]), (&json!(1), &json!(0)), "{shown}");
    let first_pages = scene.source.played.all();
    let first_pages =
        first_pages.iter().filter(|seen| seen.target.contains("/entities?") && !seen.target.contains("offset="));
    assert!(first_pages.count() <= 2, "it does not begin anew");
}

#[actix_web::test]
async fn a_suspension_pauses_and_a_resumption_compares() {
    let scene = Scene::new(SELDOM, 20).await;
    scene.until("the load", async |scene| scene.is_equal()).await;
    scene.until_followed().await;
    scene.tell("suspend", "m-1").await;
    assert_eq!(scene.shown().await["phase"], "paused");
    scene.source.put([air(1, 500), air(800, 1)]);
    scene.source.held().entities.remove(&id(2));
    scene.tell("resume", "m-2").await;
    scene.until("the comparison", async |scene| scene.is_equal()).await;
    scene.until("two passes", async |scene| scene.shown().await["passes"] == 2).await;
}

#[actix_web::test]
async fn the_end_takes_the_copies_with_it_however_long_the_broker_is_away() {
    let mut scene = Scene::new(SELDOM, 230).await;
    scene.until("the load", async |scene| scene.is_equal()).await;
    scene.until_followed().await;
    scene.twin.held().away = true;
    scene.tell("terminate", "m-end").await;
    scene.until("it ends", async |scene| scene.shown().await["phase"] == "ending").await;
    scene.restart().await;
    assert_eq!(scene.twin.ids().len(), 230);
    scene.twin.held().away = false;
    let begun = Instant::now();
    while !scene.twin.ids().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{} copies are left", scene.twin.ids().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn copies_may_stay_and_a_later_mirror_takes_them_over() {
    let mut scene = Scene::with(SOON, json!({"onEnd": "keep"}), 10, |_| ()).await;
    scene.until("the load", async |scene| scene.is_equal()).await;
    scene.tell("completed", "m-end").await;
    let path = format!("{}/transfers/{PROCESS}/delivery", scene.consumer.local);
    let gone = async |_: &Scene| support::Http::new().send("GET", &path, &[], "").await.status == 404;
    scene.until("the end", gone).await;
    assert_eq!(scene.twin.ids().len(), 10);
    scene.source.put([air(3, 333)]);
    scene.source.held().entities.remove(&id(4));
    scene.id = scene.consume("urn:uuid:later", json!({})).await;
    let taken = async |scene: &Scene| scene.twin.entity(&id(3)).is_some_and(|air| air["no2"]["value"] == 333);
    scene.until("it is taken over", taken).await;
    assert_eq!(scene.twin.ids().len(), 10, "what the later one never saw is not its own");
    scene.tell("terminate", "m-later").await;
    scene.until("only the kept one", async |scene| scene.twin.ids() == [id(4)]).await;
}

#[actix_web::test]
async fn a_partner_cannot_make_our_broker_fetch_a_context() {
    let plain = |plan: &mut EnforcementPlan| plan.selection = None;
    let scene = Scene::with(SOON, json!({}), 3, plain).await;
    let mut hostile = air(9, 9);
    hostile["no2"]["@context"] = json!("http://169.254.169.254/latest");
    scene.source.put([hostile]);
    scene.until("it is counted", async |scene| scene.shown().await["notTaken"] == 1).await;
    assert!(scene.twin.entity(&id(9)).is_none());
    assert!(scene.twin.played.all().iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains("169.254")));
}

#[actix_web::test]
async fn a_wish_that_cannot_be_met_is_refused_before_anything_leaves() {
    let scene = Scene::new(SELDOM, 1).await;
    for (delivery, code) in [
        (json!({"mirror": {"broker": "other"}}), "unknown_broker"),
        (json!({"mirror": {}}), "missing_member"),
        (json!({"fax": {"broker": "twin"}}), "bad_value"),
    ] {
        let (status, body) = scene.prepare("urn:uuid:refused", delivery.clone()).await;
        assert_eq!((status, &body["code"]), (400, &json!(code)), "{delivery}");
    }
    let plan =
        scene.provider.plan("tp-x", Some(Source::Http { base_url: scene.source.url().into(), credential: None }));
    let mut start = scene.provider.start_message(&plan, None);
    start["metadata"]["delivery"] = json!({"mirror": {"broker": "twin"}});
    let (status, body) = scene.provider.signal("POST", "/dataflows/start", &start).await;
    assert_eq!((status, &body["code"]), (400, &json!("delivery_not_possible")));
    let labels = scene.consumer.control.wait(|seen| seen.target == "/dataplanes").await.json()["labels"].clone();
    assert!(labels.as_array().unwrap().contains(&json!("broker=twin")), "{labels}");
}
