//! Every row of the table of data flow states (Data Plane Signaling, Data Flow State Machine), at the HTTP surface and on both
//! sides of a transfer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use policy_plan::Source;
use serde_json::{Value, json};
use support::{Played, World, broker};

/// The signals in the order of the columns below.
const SIGNALS: [&str; 7] = ["prepare", "start", "started", "suspend", "resume", "completed", "terminate"];

/// The way to a state, the state, and what each signal does there: the next state, or the status of its refusal.
type Row = (&'static [&'static str], &'static str, [&'static str; 7]);

/// A start under the process of a consumer's flow is the other side of a transfer, so it begins a flow of its own; and so is
/// a prepare under the process of a provider's flow. `own` says so.
const CONSUMER: [Row; 5] = [
    (&["prepare"], "PREPARED", ["400", "own", "STARTED", "400", "400", "400", "TERMINATED"]),
    (&["prepare", "started"], "STARTED", ["400", "own", "400", "SUSPENDED", "400", "COMPLETED", "TERMINATED"]),
    (&["prepare", "started", "suspend"], "SUSPENDED", ["400", "own", "400", "400", "STARTED", "400", "TERMINATED"]),
    (&["prepare", "started", "completed"], "COMPLETED", ["400", "own", "400", "400", "400", "400", "400"]),
    (&["prepare", "terminate"], "TERMINATED", ["400", "own", "400", "400", "400", "400", "400"]),
];
const PROVIDER: [Row; 4] = [
    (&["start"], "STARTED", ["own", "400", "400", "SUSPENDED", "400", "COMPLETED", "TERMINATED"]),
    (&["start", "suspend"], "SUSPENDED", ["own", "400", "400", "400", "STARTED", "400", "TERMINATED"]),
    (&["start", "completed"], "COMPLETED", ["own", "400", "400", "400", "400", "400", "400"]),
    (&["start", "terminate"], "TERMINATED", ["own", "400", "400", "400", "400", "400", "400"]),
];
/// Flows whose preparation or start has not come to its end.
const UNFINISHED: [Row; 2] = [
    (&["prepare"], "PREPARING", ["400", "own", "400", "400", "400", "400", "TERMINATED"]),
    (&["start"], "STARTING", ["own", "400", "400", "400", "400", "400", "TERMINATED"]),
];

struct Table {
    world: World,
    source: Played,
    push: bool,
    number: u32,
    /// The source's folder is not there, or the inbox cannot be made: neither prepare nor start comes to its end.
    stuck: bool,
}

impl Table {
    fn new(world: World, push: bool, stuck: bool) -> Self {
        Self { world, source: broker(), push, number: 0, stuck }
    }

    fn message_id(&mut self) -> String {
        self.number += 1;
        format!("urn:uuid:message-{}", self.number)
    }

    fn sink(&self) -> Value {
        json!({"endpointType": dps_signaling::HTTP_PUSH, "endpoint": format!("{}/slow", self.source.url)})
    }

    async fn signal(&mut self, process: &str, id: &str, signal: &str) -> (u16, Value) {
        let mut body = match signal {
            "start" => {
                let source = if self.stuck {
                    Source::Files { root: "shared".into(), path: "missing".into(), standing: false }
                } else {
                    Source::Http { base_url: self.source.url.clone(), credential: None }
                };
                let mut plan = self.world.plan(process, Some(source));
                plan.admission.paths.insert(0, "/slow".into());
                self.world.start_message(&plan, self.push.then(|| self.sink()))
            }
            "prepare" => {
                let mut body = self.world.message(process, String::new(), None, "did:web:prov.example");
                body["profile"] = json!(if self.push { dps_signaling::HTTP_PUSH } else { dps_signaling::HTTP_PULL });
                body
            }
            "started" | "resume" if !self.push => json!({"dataAddress":
                {"endpointType": dps_signaling::HTTP_PULL, "endpoint": self.source.url}}),
            "completed" => return self.world.signal("POST", &format!("/dataflows/{id}/completed"), &json!({})).await,
            _ => json!({}),
        };
        body["messageId"] = json!(self.message_id());
        let path = match signal {
            "prepare" | "start" => format!("/dataflows/{signal}"),
            _ => format!("/dataflows/{id}/{signal}"),
        };
        self.world.signal("POST", &path, &body).await
    }

    async fn state(&self, id: &str) -> String {
        let (status, body) = self.world.signal("GET", &format!("/dataflows/{id}/status"), &json!({})).await;
        assert_eq!(status, 200, "{body}");
        body["state"].as_str().unwrap().to_owned()
    }

    /// Brings a new flow on its way, and gives back its process and its id.
    async fn bring(&mut self, way: &[&str], to: &str) -> (String, String) {
        self.number += 1;
        let process = format!("tp-{}", self.number);
        let mut id = String::new();
        for signal in way {
            let (status, body) = self.signal(&process, &id, signal).await;
            assert!((200..300).contains(&status), "{signal} on the way to {to}: {status} {body}");
            if let Some(given) = body["dataFlowId"].as_str() {
                id = given.to_owned();
            }
        }
        assert_eq!(self.state(&id).await, to);
        (process, id)
    }

    async fn check(&mut self, rows: &[Row]) {
        let provider = rows[0].0[0] == "start";
        for (way, state, cells) in rows {
            for (signal, expected) in SIGNALS.into_iter().zip(cells) {
                let (process, id) = self.bring(way, state).await;
                // A provider's flow of a pull resumes without an address: it gives a new one.
                let (status, body) = match (signal, provider && !self.push) {
                    ("resume", true) => {
                        let body = json!({"messageId": self.message_id()});
                        self.world.signal("POST", &format!("/dataflows/{id}/resume"), &body).await
                    }
                    _ => self.signal(&process, &id, signal).await,
                };
                let cell = format!("{state} + {signal} ({way:?}, push {}): {status} {body}", self.push);
                match *expected {
                    "400" => assert_eq!((status, self.state(&id).await.as_str()), (400, *state), "{cell}"),
                    "own" => {
                        assert!((200..300).contains(&status), "{cell}");
                        assert_ne!(body["dataFlowId"].as_str().unwrap(), id, "{cell}");
                        assert_eq!(self.state(&id).await, *state, "{cell}");
                    }
                    next => assert_eq!((status, self.state(&id).await.as_str()), (200, next), "{cell}"),
                }
            }
        }
    }
}

#[actix_web::test]
async fn every_signal_in_every_state_of_a_pull() {
    let mut table = Table::new(World::new("").await, false, false);
    table.check(&CONSUMER).await;
    table.check(&PROVIDER).await;
}

#[actix_web::test]
async fn every_signal_in_every_state_of_a_push() {
    let mut table = Table::new(World::new("").await, true, false);
    table.check(&CONSUMER).await;
    table.check(&PROVIDER).await;
}

#[actix_web::test]
async fn every_signal_while_a_flow_is_not_ready() {
    let mut world = World::new("").await;
    world.plane.take().unwrap().stop().await;
    world.config = world.config.replace("answer_within_ms = 5000", "answer_within_ms = 0");
    // Files where the folders of the processes should be.
    let inbox = world.folder.path().join("data/inbox");
    std::fs::create_dir_all(&inbox).unwrap();
    (0..200).for_each(|number| std::fs::write(inbox.join(format!("tp-{number}")), "x").unwrap());
    world.start().await;
    let mut table = Table::new(world, true, true);
    table.check(&UNFINISHED).await;
}

#[actix_web::test]
async fn an_unknown_flow_is_404_for_every_signal() {
    let world = World::new("").await;
    for signal in ["started", "suspend", "resume", "completed", "terminate"] {
        let body = json!({"messageId": signal, "dataAddress": {"endpoint": "http://127.0.0.1:1"}});
        let (status, answer) = world.signal("POST", &format!("/dataflows/nobody/{signal}"), &body).await;
        assert_eq!((status, answer["code"].as_str()), (404, Some("unknown_flow")), "{signal}");
    }
    assert_eq!(world.signal("GET", "/dataflows/nobody/status", &json!({})).await.0, 404);
}

#[actix_web::test]
async fn the_names_of_the_draft_before_are_sent_and_understood() {
    let control = Played::start(|_| actix_web::HttpResponse::Ok().json(json!({})));
    let change = |config: String| config.replace("[control_plane]", "[control_plane]\ndialect = \"rc2\"");
    let world = World::configured(control, "", change).await;
    let registered = world.control.wait(|seen| seen.target == "/dataplanes").await.json();
    assert_eq!(registered["transferTypes"][0], dps_signaling::HTTP_PULL);
    assert!(registered.get("profiles").is_none(), "{registered}");
    let mut message = world.message("tp-1", String::new(), None, "did:web:prov.example");
    let profile = message.as_object_mut().unwrap().remove("profile").unwrap();
    message["transferType"] = profile;
    message["callbackAddress"] = json!(format!("{}/own", world.control.url));
    let (status, body) = world.signal("POST", "/dataflows/prepare", &message).await;
    assert_eq!((status, body["state"].as_str()), (200, Some("PREPARED")), "{body}");
    // Callbacks of this flow go where its message said.
    let id = body["dataFlowId"].as_str().unwrap();
    let address = json!({"endpointType": dps_signaling::HTTP_PULL, "endpoint": world.control.url});
    let started = json!({"messageId": "s", "dataAddress": address});
    assert_eq!(world.signal("POST", &format!("/dataflows/{id}/started"), &started).await.0, 200);
    let done = format!("{}/transfers/tp-1/completed", world.local);
    assert_eq!(world.client.send("POST", &done, &[], "").await.status, 204);
    world.control.wait(|seen| seen.target == "/own/transfers/tp-1/dataflow/completed").await;
}

#[actix_web::test]
async fn control_planes_come_are_replaced_and_go() {
    let world = World::new("").await;
    let register = json!({"controlplaneId": "other", "endpoint": "http://127.0.0.1:9/a"});
    for _ in 0..2 {
        assert_eq!(world.signal("PUT", "/controlplanes", &register).await.0, 200);
    }
    for (body, code) in [
        (json!({"endpoint": "http://127.0.0.1:9"}), "missing_member"),
        (json!({"controlplaneId": "x"}), "missing_member"),
        (json!({"controlplaneId": "x", "endpoint": "ftp://127.0.0.1:9"}), "bad_endpoint"),
        (json!({"controlplaneId": "x", "endpoint": "http://127.0.0.1:9", "authorization": "y"}), "wrong_type"),
    ] {
        let (status, answer) = world.signal("PUT", "/controlplanes", &body).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some(code)), "{body}");
    }
    assert_eq!(world.signal("DELETE", "/controlplanes/other", &json!({})).await.0, 204);
    assert_eq!(world.signal("DELETE", "/controlplanes/other", &json!({})).await.0, 404);
}
