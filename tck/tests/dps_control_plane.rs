//! The test scripts for control planes of the Data Plane Signaling kit, by its ids. The test plays the kit: the data plane, and
//! the counter-party on the Dataspace Protocol. Other than the kit it checks pids and shows its token.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::{Kind, text};
use tck::peer::{Peer, messages};
use tck::server::{Handler, Incoming, Outgoing, Server};
use tck::service::{ControlPlane, ControlPlaneSettings, StaticPeer};
use tck::{ports, wait};

const KIT: &str = "did:web:kit.example";
const US: &str = "did:web:connector.example";
const TRANSFER: Kind = Kind::Transfer;
const FORMAT: &str = "HttpData-PULL";
/// What the kit's data plane shows, and is shown: a header value without a scheme.
const TOKEN: &str = "dummy-authorization";

/// The kit's data plane. It repeats no name for a flow that it answers at once.
struct Plane {
    server: Server,
    seen: Arc<Mutex<Vec<Incoming>>>,
}

impl Plane {
    fn start(asynchronous: bool) -> Self {
        let seen: Arc<Mutex<Vec<Incoming>>> = Arc::default();
        let kept = seen.clone();
        let handler: Handler = Arc::new(move |request| {
            let (status, body) = match (request.path(), asynchronous) {
                ("/dataflows/prepare", false) => (200, json!({"state": "PREPARED"})),
                ("/dataflows/start", false) => (200, json!({"state": "STARTED"})),
                ("/dataflows/prepare", true) => (202, json!({"dataFlowId": "flow", "state": "PREPARING"})),
                ("/dataflows/start", true) => (202, json!({"dataFlowId": "flow", "state": "STARTING"})),
                _ => (200, json!({})),
            };
            kept.lock().unwrap().push(request);
            async move { Outgoing::json(status, &body) }.boxed()
        });
        Self { server: Server::start(ports::free().unwrap(), handler).unwrap(), seen }
    }

    /// Waits for this signal.
    async fn gets(&self, path: &str) -> Value {
        let find = || async { self.seen.lock().unwrap().iter().find(|seen| seen.path() == path).cloned() };
        let found = wait::until(format!("the data plane gets {path}"), wait::PATIENCE, find).await;
        let found = found.unwrap_or_else(|error| panic!("{error}; seen: {:?}", self.paths()));
        assert_eq!((found.method.as_str(), found.header("authorization")), ("POST", Some(TOKEN)));
        found.json()
    }

    fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.path().to_owned()).collect()
    }
}

struct Scene {
    control: ControlPlane,
    kit: Peer,
    plane: Plane,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

/// A transfer as both sides name it.
struct Process {
    /// The connector's id, which is also the process id of signaling.
    ours: String,
    /// The kit's.
    theirs: String,
    /// The flow's name in paths.
    flow: String,
}

impl Scene {
    async fn start(asynchronous: bool) -> Self {
        let binaries = Binaries::from_environment().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let peers = vec![StaticPeer::new(KIT, "token-of-the-kit", "token-of-the-connector", &[])];
        let settings = ControlPlaneSettings::new(US, peers);
        let control = ControlPlane::start(&binaries, folder.path(), settings).await.unwrap();
        let kit = Peer::start(ports::free().unwrap(), KIT, "Bearer token-of-the-kit").unwrap();
        let plane = Plane::start(asynchronous);
        let registration = json!({"endpoint": plane.server.url(), "profiles": [FORMAT], "authorization": TOKEN});
        control.api().put("/data-planes/kit", registration).await.unwrap();
        Self { control, kit, plane, http: reqwest::Client::new(), _folder: folder }
    }

    /// The consumer's transfer up to its request; `asynchronous` planes call back first.
    async fn requested(&self, asynchronous: bool) -> Process {
        let api = self.control.api();
        let offer = messages::open_offer("offer", "data");
        let address = json!({"base": self.kit.url(), "version": "2025-1"});
        let wanted = json!({"counterParty": {"id": KIT, "address": address}, "offer": offer, "decision": "automatic"});
        let begun = api.post("/negotiations", wanted).await.unwrap();
        let request = self.kit.message("ContractRequestMessage", |_| true).await.unwrap();
        let (callback, consumer) = (text(&request, "callbackAddress"), text(&request, "consumerPid"));
        let (_, process) = self.kit.get(&format!("{}/negotiations/{consumer}", self.kit.url())).await.unwrap();
        let provider = text(&process, "providerPid");
        let agreement = messages::agreement(&offer, KIT, US, "2026-01-01T00:00:00Z");
        let message = messages::contract_agreement(provider, consumer, &agreement);
        self.kit.tell(&format!("{callback}/negotiations/{consumer}/agreement"), &message).await.unwrap();
        self.kit.message_about("ContractAgreementVerificationMessage", consumer).await.unwrap();
        let message = messages::event(provider, consumer, "FINALIZED");
        self.kit.tell(&format!("{callback}/negotiations/{consumer}/events"), &message).await.unwrap();
        api.reaches(Kind::Negotiation, text(&begun, "id"), &["FINALIZED"]).await.unwrap();

        let body = json!({"agreementId": text(&agreement, "@id"), "format": FORMAT});
        let ours = text(&api.post("/transfers", body).await.unwrap(), "id").to_owned();
        let prepare = self.plane.gets("/dataflows/prepare").await;
        self.looks_like_one(&prepare, &ours);
        if asynchronous {
            self.reported(&ours, "prepared", &json!({"dataFlowId": "flow", "state": "PREPARED"}), 200).await;
        }
        let request = self.kit.message_about("TransferRequestMessage", &ours).await.unwrap();
        assert!(request.get("dataAddress").is_none(), "a pull has no address of ours: {request}");
        let (_, process) = self.kit.get(&format!("{}/transfers/{ours}", self.kit.url())).await.unwrap();
        let theirs = text(&process, "providerPid").to_owned();
        let flow = if asynchronous { "flow".to_owned() } else { ours.clone() };
        self.is(&ours, "REQUESTED").await;
        Process { ours, theirs, flow }
    }

    /// The same, and started by the kit.
    async fn consumer_started(&self, asynchronous: bool) -> Process {
        let process = self.requested(asynchronous).await;
        self.dsp(&process, "TransferStartMessage", "start").await;
        self.plane.gets(&format!("/dataflows/{}/started", process.flow)).await;
        self.is(&process.ours, "STARTED").await;
        process
    }

    /// The kit asks for a transfer, and the connector starts it.
    async fn provider_started(&self, asynchronous: bool) -> Process {
        let api = self.control.api();
        let dataset = json!({"id": "data", "title": "data", "source": {"http": {"baseUrl": "http://127.0.0.1:1"}}});
        let rules = json!({"id": "open", "permission": [{"action": "use"}]});
        api.publish(&dataset, &rules, &json!({"id": "offer-data"})).await.unwrap();
        let (base, consumer) = (self.control.base(), messages::new_id());
        let offer = messages::open_offer("offer-data", "data");
        let request = messages::contract_request(&consumer, &self.kit.url(), &offer);
        let answer = self.kit.tell(&format!("{base}/negotiations/request"), &request).await.unwrap();
        let provider = text(&answer, "providerPid");
        let agreed = self.kit.message_about("ContractAgreementMessage", &consumer).await.unwrap();
        let path = format!("{base}/negotiations/{provider}/agreement/verification");
        self.kit.tell(&path, &messages::verification(provider, &consumer)).await.unwrap();
        self.kit.message_about("ContractNegotiationEventMessage", &consumer).await.unwrap();

        let theirs = messages::new_id();
        let agreement = agreed["agreement"]["@id"].as_str().unwrap();
        let request = messages::transfer_request(&theirs, &self.kit.url(), agreement, FORMAT);
        let answer = self.kit.tell(&format!("{base}/transfers/request"), &request).await.unwrap();
        let ours = text(&answer, "providerPid").to_owned();
        let start = self.plane.gets("/dataflows/start").await;
        self.looks_like_one(&start, &ours);
        assert!(start.get("dataAddress").is_none(), "a pull starts without an address: {start}");
        if asynchronous {
            assert!(self.kit.messages("TransferStartMessage").is_empty(), "not before the data plane has started");
            self.reported(&ours, "started", &json!({"dataFlowId": "flow", "state": "STARTED"}), 200).await;
        }
        self.kit.message_about("TransferStartMessage", &theirs).await.unwrap();
        self.is(&ours, "STARTED").await;
        let flow = if asynchronous { "flow".to_owned() } else { ours.clone() };
        Process { ours, theirs, flow }
    }

    /// The members that prepare and start must have.
    fn looks_like_one(&self, message: &Value, process: &str) {
        assert_eq!(text(message, "processId"), process);
        assert_eq!((text(message, "participantId"), text(message, "counterPartyId")), (US, KIT));
        for member in ["messageId", "dataspaceContext", "agreementId", "datasetId", "profile"] {
            assert!(!text(message, member).is_empty(), "{member}: {message}");
        }
        assert!(message["claims"].is_object() && message.get("callbackAddress").is_none(), "{message}");
    }

    /// The kit sends a message of the Dataspace Protocol about a transfer.
    async fn dsp(&self, process: &Process, kind: &str, path: &str) {
        let row = self.control.api().process(TRANSFER, &process.ours).await.unwrap();
        let message = messages::about(kind, text(&row, "providerPid"), text(&row, "consumerPid"));
        let address = format!("{}/transfers/{}/{path}", self.control.base(), process.ours);
        // Another pid than that of the process is refused, whoever sends it.
        let wrong = messages::about(kind, &messages::new_id(), &messages::new_id());
        assert!(self.kit.post(&address, &wrong).await.unwrap().0 >= 400, "pids are checked");
        self.kit.tell(&address, &message).await.unwrap();
    }

    async fn signalled(&self, process: &Process, signal: &str) {
        self.plane.gets(&format!("/dataflows/{}/{signal}", process.flow)).await;
    }

    /// The state, in the management API and as the counter-party sees it.
    async fn is(&self, id: &str, state: &str) {
        self.control.api().reaches(TRANSFER, id, &[state]).await.unwrap();
        let (status, seen) = self.kit.get(&format!("{}/transfers/{id}", self.control.base())).await.unwrap();
        assert_eq!((status, text(&seen, "state")), (200, state), "{seen}");
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: Option<&Value>) -> u16 {
        let mut request = self.http.request(method, format!("{}{path}", self.control.signaling()));
        if let Some(body) = body {
            request = request.json(body);
        }
        request.header("authorization", token).send().await.unwrap().status().as_u16()
    }

    /// A callback of the kit's data plane.
    async fn reported(&self, id: &str, event: &str, body: &Value, expected: u16) {
        let path = format!("/transfers/{id}/dataflow/{event}");
        assert_eq!(self.call(Method::POST, &path, "another", Some(body)).await, 401, "a token is required");
        assert_eq!(self.call(Method::POST, &path, TOKEN, Some(body)).await, expected, "{event}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_c_01_01() {
    let scene = Scene::start(false).await;
    let process = scene.consumer_started(false).await;
    scene.dsp(&process, "TransferCompletionMessage", "completion").await;
    scene.signalled(&process, "completed").await;
    scene.is(&process.ours, "COMPLETED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_c_01_02() {
    let scene = Scene::start(false).await;
    let process = scene.consumer_started(false).await;
    scene.dsp(&process, "TransferTerminationMessage", "termination").await;
    scene.signalled(&process, "terminate").await;
    scene.is(&process.ours, "TERMINATED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_c_02_01() {
    let scene = Scene::start(false).await;
    let process = scene.consumer_started(false).await;
    scene.dsp(&process, "TransferSuspensionMessage", "suspension").await;
    scene.signalled(&process, "suspend").await;
    scene.is(&process.ours, "SUSPENDED").await;
    scene.dsp(&process, "TransferStartMessage", "start").await;
    scene.signalled(&process, "resume").await;
    scene.is(&process.ours, "STARTED").await;
    scene.dsp(&process, "TransferCompletionMessage", "completion").await;
    scene.signalled(&process, "completed").await;
    scene.is(&process.ours, "COMPLETED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_c_02_02() {
    let scene = Scene::start(false).await;
    let process = scene.consumer_started(false).await;
    scene.dsp(&process, "TransferSuspensionMessage", "suspension").await;
    scene.signalled(&process, "suspend").await;
    scene.dsp(&process, "TransferTerminationMessage", "termination").await;
    scene.signalled(&process, "terminate").await;
    scene.is(&process.ours, "TERMINATED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_c_03_01() {
    let scene = Scene::start(true).await;
    let process = scene.consumer_started(true).await;
    scene.dsp(&process, "TransferCompletionMessage", "completion").await;
    scene.signalled(&process, "completed").await;
    scene.is(&process.ours, "COMPLETED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_p_01_01() {
    let scene = Scene::start(false).await;
    let process = scene.provider_started(false).await;
    scene.dsp(&process, "TransferCompletionMessage", "completion").await;
    scene.signalled(&process, "completed").await;
    scene.is(&process.ours, "COMPLETED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_p_01_02() {
    let scene = Scene::start(false).await;
    let process = scene.provider_started(false).await;
    scene.dsp(&process, "TransferTerminationMessage", "termination").await;
    scene.signalled(&process, "terminate").await;
    scene.is(&process.ours, "TERMINATED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_p_02_01() {
    let scene = Scene::start(false).await;
    let process = scene.provider_started(false).await;
    scene.dsp(&process, "TransferSuspensionMessage", "suspension").await;
    scene.signalled(&process, "suspend").await;
    scene.is(&process.ours, "SUSPENDED").await;
    scene.dsp(&process, "TransferStartMessage", "start").await;
    scene.signalled(&process, "resume").await;
    scene.is(&process.ours, "STARTED").await;
    scene.dsp(&process, "TransferCompletionMessage", "completion").await;
    scene.signalled(&process, "completed").await;
    scene.is(&process.ours, "COMPLETED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_p_02_02() {
    let scene = Scene::start(false).await;
    let process = scene.provider_started(false).await;
    scene.dsp(&process, "TransferSuspensionMessage", "suspension").await;
    scene.signalled(&process, "suspend").await;
    scene.dsp(&process, "TransferTerminationMessage", "termination").await;
    scene.signalled(&process, "terminate").await;
    scene.is(&process.ours, "TERMINATED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_p_03_01() {
    let scene = Scene::start(true).await;
    let process = scene.provider_started(true).await;
    scene.dsp(&process, "TransferCompletionMessage", "completion").await;
    scene.signalled(&process, "completed").await;
    scene.is(&process.ours, "COMPLETED").await;
}

/// What the kit leaves out of the callbacks: repeated ones, faults, an empty body, late ones, and an unknown transfer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_beyond_the_scripts() {
    let scene = Scene::start(true).await;
    let process = scene.provider_started(true).await;
    let (id, body) = (process.ours.as_str(), json!({"dataFlowId": "flow", "state": "STARTED"}));
    scene.reported(id, "started", &body, 200).await;
    scene.reported(id, "prepared", &body, 400).await;
    scene.reported(id, "errored", &json!({"dataFlowId": "flow", "state": "STARTED", "error": "broken"}), 200).await;
    let row = scene.control.api().process(TRANSFER, id).await.unwrap();
    assert_eq!((text(&row, "state"), text(&row["error"], "code")), ("STARTED", "data_flow_error"), "{row}");
    assert!(scene.kit.messages("TransferTerminationMessage").is_empty(), "the counter-party hears nothing of it");
    scene.reported(id, "exploded", &body, 404).await;
    scene.reported("nobody", "started", &body, 404).await;
    scene.reported(id, "started", &json!({"state": "STARTED"}), 400).await;
    let agreement = format!("/transfers/{id}/agreement");
    assert_eq!(scene.call(Method::GET, &agreement, TOKEN, None).await, 200);
    assert_eq!(scene.call(Method::GET, "/transfers/nobody/agreement", TOKEN, None).await, 404);

    let path = format!("/transfers/{id}/dataflow/completed");
    assert_eq!(scene.call(Method::POST, &path, TOKEN, None).await, 200, "an empty body is enough");
    scene.kit.message_about("TransferCompletionMessage", &process.theirs).await.unwrap();
    scene.is(id, "COMPLETED").await;
    assert_eq!(scene.call(Method::POST, &path, TOKEN, None).await, 200, "said once more");
    scene.reported(id, "started", &body, 400).await;
    scene.reported(id, "errored", &body, 400).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!scene.plane.paths().iter().any(|path| path.ends_with("/completed")), "the plane said it itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_planes_come_are_replaced_and_go() {
    let scene = Scene::start(false).await;
    let shared = format!("Bearer {}", scene.control.signaling_token());
    let plane = |profiles: Value| {
        json!({"dataplaneId": "second", "endpoint": scene.plane.server.url(), "profiles": profiles,
            "authorization": {"type": "none"}})
    };
    assert_eq!(scene.call(Method::PUT, "/dataplanes", "Bearer wrong", Some(&plane(json!([])))).await, 401);
    for profiles in [json!(["a-pull"]), json!(["b-pull"])] {
        assert_eq!(scene.call(Method::PUT, "/dataplanes", &shared, Some(&plane(profiles))).await, 200);
    }
    let kept = scene.control.api().get("/data-planes/second").await.unwrap();
    assert_eq!((&kept["profiles"], text(&kept, "dialect")), (&json!(["b-pull"]), "rc3"), "replaced as a whole");
    // What an operator has chosen for a plane stays when it registers again.
    let chosen = json!({"endpoint": scene.plane.server.url(), "profiles": ["c-pull"], "dialect": "rc2"});
    scene.control.api().put("/data-planes/second", chosen).await.unwrap();
    let rc2 = json!({"dataplaneId": "second", "endpoint": scene.plane.server.url(), "transferTypes": ["d-pull"]});
    assert_eq!(scene.call(Method::PUT, "/dataplanes", &shared, Some(&rc2)).await, 200);
    let kept = scene.control.api().get("/data-planes/second").await.unwrap();
    assert_eq!((&kept["profiles"], text(&kept, "dialect")), (&json!(["d-pull"]), "rc2"));
    for bad in [json!({}), json!({"dataplaneId": "x"}), json!({"dataplaneId": "x", "endpoint": "ftp://x"})] {
        assert_eq!(scene.call(Method::PUT, "/dataplanes", &shared, Some(&bad)).await, 400, "{bad}");
    }
    // A plane that is known by a header of its own speaks for itself alone.
    assert_eq!(scene.call(Method::PUT, "/dataplanes", TOKEN, Some(&plane(json!(["e-pull"])))).await, 401);
    assert_eq!(scene.call(Method::DELETE, "/dataplanes/second", TOKEN, None).await, 401);
    let itself = json!({"dataplaneId": "kit", "endpoint": scene.plane.server.url(), "profiles": [FORMAT]});
    assert_eq!(scene.call(Method::PUT, "/dataplanes", TOKEN, Some(&itself)).await, 200);
    let kept = scene.control.api().get("/data-planes/kit").await.unwrap();
    assert_eq!(text(&kept, "authorization"), "header");
    assert_eq!(scene.call(Method::DELETE, "/dataplanes/second", &shared, None).await, 204);
    assert_eq!(scene.call(Method::DELETE, "/dataplanes/second", &shared, None).await, 404);
}

/// A plane without credentials opens nothing but the transfers that it carries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_without_credentials_speaks_for_a_data_plane_that_has_some() {
    let scene = Scene::start(true).await;
    let process = scene.provider_started(true).await;
    let open = json!({"endpoint": scene.plane.server.url(), "profiles": ["x-pull"], "dangerNoAuthorization": true});
    scene.control.api().put("/data-planes/open", open).await.unwrap();
    let id = &process.ours;
    let none = async |method: Method, path: &str, body: Value| {
        let url = format!("{}{path}", scene.control.signaling());
        scene.http.request(method, url).json(&body).send().await.unwrap().status().as_u16()
    };
    let started = json!({"dataFlowId": "flow", "state": "STARTED"});
    assert_eq!(none(Method::POST, &format!("/transfers/{id}/dataflow/completed"), started).await, 404);
    assert_eq!(none(Method::GET, &format!("/transfers/{id}/agreement"), Value::Null).await, 404);
    assert_eq!(none(Method::POST, &format!("/transfers/{id}/renewal/sign"), json!({"token": "x"})).await, 404);
    let stolen = json!({"dataplaneId": "kit", "endpoint": "http://127.0.0.1:1", "profiles": [FORMAT]});
    assert_eq!(none(Method::PUT, "/dataplanes", stolen).await, 401);
    assert_eq!(none(Method::DELETE, "/dataplanes/kit", Value::Null).await, 401);
}

/// A token endpoint that gives `token-1`, `token-2` and so on, and a plane that knows the latest one alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plane_with_client_credentials() {
    let scene = Scene::start(false).await;
    let given = Arc::new(Mutex::new(Vec::<String>::new()));
    let (asked, withdrawn) = (given.clone(), Arc::new(Mutex::new(0_usize)));
    let valid_from = withdrawn.clone();
    let signals = Arc::new(Mutex::new(Vec::<(String, u16)>::new()));
    let seen = signals.clone();
    let handler: Handler = Arc::new(move |request| {
        let answer = if request.path() == "/token" {
            let mut asked = asked.lock().unwrap();
            asked.push(String::from_utf8(request.body.clone()).unwrap());
            let token = format!("token-{}", asked.len());
            Outgoing::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600}))
        } else {
            let number = request.header("authorization").and_then(|value| value.strip_prefix("Bearer token-"));
            let good = number.and_then(|number| number.parse::<usize>().ok());
            let status = if good.is_some_and(|number| number > *valid_from.lock().unwrap()) { 200 } else { 401 };
            seen.lock().unwrap().push((request.path().to_owned(), status));
            Outgoing::json(status, &json!({"state": "PREPARED"}))
        };
        async move { answer }.boxed()
    });
    let plane = Server::start(ports::free().unwrap(), handler).unwrap();
    let oauth2 = |more: Value| {
        let credentials = json!({"tokenEndpoint": format!("{}/token", plane.url()), "clientId": "hansa",
            "clientSecret": "secret-of-hansa"});
        json!({"endpoint": plane.url(), "profiles": [FORMAT], "oauth2": messages::with(credentials, &more)})
    };
    let api = scene.control.api();
    let put = async |body: &Value| api.call(Method::PUT, "/data-planes/kit", Some(body)).await.unwrap();
    let (status, problem) = put(&oauth2(json!({}))).await;
    assert_eq!((status, text(&problem, "code")), (400, "bad_member"), "a key set is needed: {problem}");
    assert_eq!(put(&oauth2(json!({"dangerUnverifiedTokens": true}))).await.0, 200);
    let shown = api.get("/data-planes/kit").await.unwrap();
    assert!(text(&shown, "authorization") == "oauth2" && !shown.to_string().contains("secret-of-hansa"), "{shown}");

    // The transfer is begun without the kit's own plane.
    let offer = messages::open_offer("offer", "data");
    let address = json!({"base": scene.kit.url(), "version": "2025-1"});
    let wanted = json!({"counterParty": {"id": KIT, "address": address}, "offer": offer, "decision": "automatic"});
    api.post("/negotiations", wanted).await.unwrap();
    let request = scene.kit.message("ContractRequestMessage", |_| true).await.unwrap();
    let (callback, consumer) = (text(&request, "callbackAddress"), text(&request, "consumerPid"));
    let (_, process) = scene.kit.get(&format!("{}/negotiations/{consumer}", scene.kit.url())).await.unwrap();
    let provider = text(&process, "providerPid");
    let agreement = messages::agreement(&offer, KIT, US, "2026-01-01T00:00:00Z");
    let message = messages::contract_agreement(provider, consumer, &agreement);
    scene.kit.tell(&format!("{callback}/negotiations/{consumer}/agreement"), &message).await.unwrap();
    scene.kit.message_about("ContractAgreementVerificationMessage", consumer).await.unwrap();
    let message = messages::event(provider, consumer, "FINALIZED");
    scene.kit.tell(&format!("{callback}/negotiations/{consumer}/events"), &message).await.unwrap();
    let begin = async || {
        let agreed = || async {
            let body = json!({"agreementId": text(&agreement, "@id"), "format": FORMAT});
            let (status, transfer) = api.call(Method::POST, "/transfers", Some(&body)).await.ok()?;
            (status < 300).then(|| text(&transfer, "id").to_owned())
        };
        let id = wait::until("the transfer is begun", wait::PATIENCE, agreed).await.unwrap();
        scene.kit.message_about("TransferRequestMessage", &id).await.unwrap();
        id
    };
    let first = begin().await;
    begin().await;
    let forms = given.lock().unwrap().clone();
    assert_eq!(forms.len(), 1, "one token for both: {forms:?}");
    assert_eq!(forms[0], "grant_type=client_credentials&client_id=hansa&client_secret=secret-of-hansa");
    // The plane takes that token back before its end.
    *withdrawn.lock().unwrap() = 1;
    begin().await;
    assert_eq!(given.lock().unwrap().len(), 2);
    assert!(signals.lock().unwrap().iter().filter(|(_, status)| *status == 401).count() == 1);

    // A callback with a token of the plane: its claims are looked at even when its signature is not.
    let base64 = |value: &Value| base64url(value.to_string().as_bytes());
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let token = |audience: &str| {
        let claims = json!({"iss": plane.url(), "sub": "kit", "aud": audience, "iat": now, "exp": now + 60});
        format!("Bearer {}.{}.AAAA", base64(&json!({"alg": "ES256"})), base64(&claims))
    };
    let path = format!("/transfers/{first}/dataflow/prepared");
    let body = json!({"dataFlowId": first, "state": "PREPARED"});
    assert_eq!(scene.call(Method::POST, &path, &token("did:web:other.example"), Some(&body)).await, 401);
    assert_eq!(scene.call(Method::POST, &path, &token(US), Some(&body)).await, 200);
}

/// Base64url without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..=chunk.len() {
            let index = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap();
            text.push(char::from(ALPHABET[index]));
        }
    }
    text
}
