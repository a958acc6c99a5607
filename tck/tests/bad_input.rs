//! What nobody should send: the answer is a clear 4xx with an error object, never 5xx, and nothing has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::text;
use tck::peer::{Peer, messages};
use tck::service::{Connector, ControlPlaneSettings, StaticPeer};
use tck::{ports, source};

const FRIEND: &str = "did:web:friend.example";
const STRANGER: &str = "did:web:stranger.example";

/// One connector, a partner with a negotiation in REQUESTED, and another partner.
struct Scene {
    connector: Connector,
    friend: Peer,
    stranger: Peer,
    ours: String,
    theirs: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Self {
        let binaries = Binaries::from_environment().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let peers = [(FRIEND, "friend-token"), (STRANGER, "stranger-token")]
            .map(|(id, token)| StaticPeer::new(id, token, "connector-token", &[]));
        let settings = ControlPlaneSettings::new("did:web:connector.example", peers.to_vec());
        let connector = Connector::start(&binaries, folder.path(), settings).await.unwrap();
        let source = source::start().unwrap();
        let api = connector.api();
        let dataset = json!({"id": "data", "title": "data", "source": {"http": {"baseUrl": source.url()}}});
        let rules = json!({"id": "open", "permission": [{"action": "use"}]});
        let offer = json!({"id": "offer-data", "negotiation": "manual", "transfer": "manual"});
        api.publish(&dataset, &rules, &offer).await.unwrap();

        let friend = Peer::start(ports::free().unwrap(), FRIEND, "Bearer friend-token").unwrap();
        let stranger = Peer::start(ports::free().unwrap(), STRANGER, "Bearer stranger-token").unwrap();
        let ours = messages::new_id();
        let request = messages::contract_request(&ours, &friend.url(), &messages::open_offer("offer-data", "data"));
        let address = format!("{}/negotiations/request", connector.control.base());
        let theirs = text(&friend.tell(&address, &request).await.unwrap(), "providerPid").to_owned();
        Self { connector, friend, stranger, ours, theirs, _folder: folder }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.connector.control.base())
    }

    fn request(&self) -> Value {
        let offer = messages::open_offer("offer-data", "data");
        messages::contract_request(&messages::new_id(), &self.friend.url(), &offer)
    }

    async fn raw(&self, path: &str, token: &str, body: Vec<u8>) -> (u16, Value) {
        let request = reqwest::Client::new()
            .post(self.at(path))
            .header("authorization", token)
            .header("content-type", "application/json")
            .body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    /// What must stay the same: how many processes there are, and the state of the one that we began.
    async fn unchanged(&self) {
        let api = self.connector.api();
        let negotiations = api.all("/negotiations").await.unwrap();
        assert_eq!(negotiations.len(), 1, "{negotiations:?}");
        assert_eq!(text(&negotiations[0], "state"), "REQUESTED");
        assert_eq!(api.all("/transfers").await.unwrap().len(), 0);
        assert_eq!(api.all("/agreements").await.unwrap().len(), 0);
    }
}

fn assert_refused(what: &str, expected: u16, answer: &(u16, Value), error: &str) {
    let (status, body) = answer;
    assert_eq!(*status, expected, "{what}: {body}");
    assert_eq!(text(body, "@type"), error, "{what}: {body}");
    let reason = body["reason"].as_array().is_some_and(|reasons| !reasons.is_empty());
    assert!(!text(body, "code").is_empty() && reason, "{what}: the answer does not say why: {body}");
}

fn without(mut message: Value, member: &str) -> Value {
    message.as_object_mut().unwrap().remove(member);
    message
}

/// `{"a":{"a":…}}`, `levels` deep, in a member of an otherwise good message.
fn deep(message: &Value, levels: usize) -> Vec<u8> {
    let nested = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    message.to_string().replacen('{', &format!("{{\"extra\":{nested},"), 1).into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_body_is_refused() {
    let scene = Scene::start().await;
    let good = scene.request();
    let text_of = |value: &Value| value.to_string().into_bytes();
    let mut not_utf8 = text_of(&good);
    let place = not_utf8.windows(10).position(|window| window == b"offer-data").unwrap();
    not_utf8[place] = 0xff;
    let mut too_big = good.clone();
    too_big["extra"] = json!("x".repeat(8 * 1024 * 1024));
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("not JSON", b"{\"@type\":".to_vec()),
        ("two documents", b"{}{}".to_vec()),
        ("not UTF-8", not_utf8),
        ("too deep", deep(&good, 200)),
        ("far too deep", deep(&good, 100_000)),
        ("an array", text_of(&json!([good]))),
        ("a number", b"17".to_vec()),
        ("no context", text_of(&without(good.clone(), "@context"))),
        ("an unknown context", text_of(&messages::with(good.clone(), &json!({"@context": ["https://example.com/x"]})))),
        ("a context that is a number", text_of(&messages::with(good.clone(), &json!({"@context": 5})))),
        ("no type", text_of(&without(good.clone(), "@type"))),
        ("another type", text_of(&messages::with(good.clone(), &json!({"@type": "TransferRequestMessage"})))),
        ("no consumerPid", text_of(&without(good.clone(), "consumerPid"))),
        ("consumerPid a number", text_of(&messages::with(good.clone(), &json!({"consumerPid": 7})))),
        ("consumerPid empty", text_of(&messages::with(good.clone(), &json!({"consumerPid": ""})))),
        ("consumerPid too long", text_of(&messages::with(good.clone(), &json!({"consumerPid": "x".repeat(2000)})))),
        ("no offer", text_of(&without(good.clone(), "offer"))),
        ("offer a string", text_of(&messages::with(good.clone(), &json!({"offer": "offer-data"})))),
        (
            "offer without rules",
            text_of(&messages::with(good.clone(), &json!({"offer": {"@id": "offer-data", "@type": "Offer"}}))),
        ),
        (
            "rules a string",
            text_of(&messages::with(
                good.clone(),
                &json!({"offer":
            {"@id": "offer-data", "@type": "Offer", "target": "data", "permission": "use"}}),
            )),
        ),
        (
            "an unknown offer",
            text_of(&messages::with(good.clone(), &json!({"offer": messages::open_offer("none", "data")}))),
        ),
        (
            "another dataset",
            text_of(&messages::with(good.clone(), &json!({"offer": messages::open_offer("offer-data", "other")}))),
        ),
        ("neither callback nor pid", text_of(&without(good.clone(), "callbackAddress"))),
        ("callback no address", text_of(&messages::with(good.clone(), &json!({"callbackAddress": "here"})))),
        ("callback ftp", text_of(&messages::with(good.clone(), &json!({"callbackAddress": "ftp://127.0.0.1/"})))),
    ];
    for (what, body) in table {
        let answer = scene.raw("/negotiations/request", "Bearer friend-token", body).await;
        assert_refused(what, 400, &answer, "ContractNegotiationError");
    }
    let (status, body) = scene.raw("/negotiations/request", "Bearer friend-token", text_of(&too_big)).await;
    assert_eq!((status, text(&body, "@type")), (413, "ContractNegotiationError"), "{body}");
    scene.unchanged().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_transfer_or_catalog_request_is_refused() {
    let scene = Scene::start().await;
    let friend = &scene.friend;
    let good = messages::transfer_request(&messages::new_id(), &friend.url(), "urn:uuid:none", "HttpData-PULL");
    let table = [
        ("an unknown agreement", good.clone()),
        ("no agreement", without(good.clone(), "agreementId")),
        ("no format", without(good.clone(), "format")),
        ("no callback", without(good.clone(), "callbackAddress")),
        ("no type", without(good.clone(), "@type")),
        ("an address that is a word", messages::with(good.clone(), &json!({"dataAddress": "here"}))),
        ("another type", messages::with(good, &json!({"@type": "ContractRequestMessage"}))),
    ];
    for (what, message) in table {
        let answer = friend.post(&scene.at("/transfers/request"), &message).await.unwrap();
        assert_refused(what, 400, &answer, "TransferError");
    }
    let catalog = messages::plain("CatalogRequestMessage");
    for (what, message) in
        [("no type", without(catalog.clone(), "@type")), ("no context", without(catalog, "@context"))]
    {
        let answer = friend.post(&scene.at("/catalog/request"), &message).await.unwrap();
        assert_refused(what, 400, &answer, "CatalogError");
    }
    let answer = friend.get(&scene.at("/catalog/datasets/none")).await.unwrap();
    assert_refused("an unknown dataset", 404, &answer, "CatalogError");
    scene.unchanged().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_out_of_turn_is_refused() {
    let scene = Scene::start().await;
    let (ours, theirs) = (scene.ours.as_str(), scene.theirs.as_str());
    let agreement = messages::agreement(
        &messages::open_offer("offer-data", "data"),
        "did:web:connector.example",
        FRIEND,
        "2026-01-01T00:00:00Z",
    );
    let counter = messages::with(
        without(scene.request(), "callbackAddress"),
        &json!({"consumerPid": ours, "providerPid": theirs}),
    );
    let table = [
        ("verification", "agreement/verification", messages::verification(theirs, ours), 400),
        ("accepted", "events", messages::event(theirs, ours, "ACCEPTED"), 400),
        ("finalized by the consumer", "events", messages::event(theirs, ours, "FINALIZED"), 400),
        ("a request in REQUESTED", "request", counter, 400),
        ("an event that does not exist", "events", messages::event(theirs, ours, "VERIFIED"), 400),
        ("a pid that differs from the path", "agreement/verification", messages::verification(theirs, "urn:x"), 400),
        ("an offer to the provider", "offers", messages::contract_offer(theirs, &scene.friend.url(), &agreement), 404),
        ("an agreement to the provider", "agreement", messages::contract_agreement(theirs, ours, &agreement), 404),
    ];
    for (what, path, message, expected) in table {
        let answer = scene.friend.post(&scene.at(&format!("/negotiations/{theirs}/{path}")), &message).await.unwrap();
        match expected {
            400 => assert_refused(what, 400, &answer, "ContractNegotiationError"),
            // Consumer paths of a process in which we are the provider: refused one way or the other.
            _ => assert!((400..500).contains(&answer.0), "{what}: {answer:?}"),
        }
    }
    scene.unchanged().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_process_is_not_there() {
    let scene = Scene::start().await;
    let termination = |pid: &str| messages::negotiation_termination(pid, &scene.ours);
    let path = |pid: &str| scene.at(&format!("/negotiations/{pid}"));
    for (peer, pid) in [(&scene.stranger, scene.theirs.as_str()), (&scene.friend, "urn:uuid:0000")] {
        assert_eq!(peer.get(&path(pid)).await.unwrap().0, 404);
        let (status, body) = peer.post(&format!("{}/termination", path(pid)), &termination(pid)).await.unwrap();
        assert_eq!(status, 404, "{body}");
        assert_eq!(peer.get(&scene.at(&format!("/transfers/{pid}"))).await.unwrap().0, 404);
    }
    assert_eq!(scene.friend.get(&path(&scene.theirs)).await.unwrap().0, 200);
    scene.unchanged().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_caller_is_refused_before_its_message_is_read() {
    let scene = Scene::start().await;
    let request = scene.request().to_string().into_bytes();
    for token in ["Bearer wrong", "Bearer ", "friend-token", "Basic ZnJpZW5kOng=", ""] {
        for body in [request.clone(), b"{".to_vec()] {
            let (status, answer) = scene.raw("/negotiations/request", token, body).await;
            assert_eq!(status, 401, "`{token}`: {answer}");
        }
        assert_eq!(scene.raw("/transfers/request", token, b"{}".to_vec()).await.0, 401);
        assert_eq!(scene.raw("/catalog/request", token, b"{}".to_vec()).await.0, 401);
    }
    let nobody = Peer::start(ports::free().unwrap(), "did:web:nobody.example", "Bearer no").unwrap();
    assert_eq!(nobody.get(&scene.at(&format!("/negotiations/{}", scene.theirs))).await.unwrap().0, 401);
    assert_eq!(nobody.get(&scene.at("/catalog/datasets/data")).await.unwrap().0, 401);
    let version = format!("{}/.well-known/dspace-version", scene.connector.control.root());
    assert_eq!(nobody.get(&version).await.unwrap().0, 200, "the version document is for everybody");
    scene.unchanged().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_management_request_is_a_problem_of_the_caller() {
    let scene = Scene::start().await;
    let api = scene.connector.api();
    let post = reqwest::Method::POST;
    let source = json!({"http": {"baseUrl": "http://127.0.0.1:1"}});
    let table = [
        ("/datasets", json!([])),
        ("/datasets", json!({"title": 5, "source": source})),
        ("/datasets", json!({"title": "no source"})),
        ("/datasets", json!({"title": "t", "source": {"http": {"baseUrl": "not an address"}}})),
        ("/policies", json!({"permission": [{"action": "use", "constraint": [{"leftOperand": "membership"}]}]})),
        ("/offers", json!({"datasetId": "none", "policyId": "open"})),
        ("/offers", json!({"datasetId": "data", "policyId": "none"})),
        ("/partners", json!({"id": "", "address": {"root": "http://127.0.0.1:1"}})),
        ("/partners", json!({"id": "p", "address": {}})),
        ("/negotiations", json!({"partner": "did:web:not-known.example", "datasetId": "d"})),
        ("/negotiations", json!({})),
        ("/transfers", json!({"agreementId": "none"})),
        ("/negotiations/none/terminate", json!({})),
        ("/transfers/none/terminate", json!({})),
        ("/webhooks", json!({"url": "nowhere", "events": []})),
    ];
    for (path, body) in table {
        let (status, problem) = api.call(post.clone(), path, Some(&body)).await.unwrap();
        assert!((400..500).contains(&status), "{path} {body}: {status} {problem}");
        for member in ["title", "detail", "code", "fault"] {
            assert!(!text(&problem, member).is_empty(), "{path} {body}: no `{member}` in {problem}");
        }
    }
    let stranger = tck::management::Management::new(api.base().trim_end_matches("/api/v1"), "wrong");
    for path in ["/status", "/negotiations", "/none"] {
        assert_eq!(stranger.call(reqwest::Method::GET, path, None).await.unwrap().0, 401, "{path}");
    }
    assert_eq!(api.call(reqwest::Method::GET, "/negotiations/none", None).await.unwrap().0, 404);
    scene.unchanged().await;
}

/// Requests to a listener that is not for partners, with the secret it asks for or another one.
async fn ask(method: reqwest::Method, address: &str, secret: &str, body: &str) -> u16 {
    let request = reqwest::Client::new().request(method, address).bearer_auth(secret).body(body.to_owned());
    request.header("content-type", "application/json").send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listeners_between_the_planes_refuse_strangers_and_nonsense() {
    let scene = Scene::start().await;
    let (control, data) = (&scene.connector.control, &scene.connector.data);
    let secret = control.signaling_token();
    let addresses = [
        (reqwest::Method::PUT, format!("{}/dataplanes", control.signaling())),
        (reqwest::Method::POST, format!("{}/dataflows/prepare", data.signaling())),
        (reqwest::Method::POST, format!("{}/dataflows/start", data.signaling())),
        (reqwest::Method::PUT, format!("{}/controlplanes", data.signaling())),
    ];
    for (method, address) in addresses {
        for stranger in ["", "wrong", control.api().token()] {
            assert_eq!(ask(method.clone(), &address, stranger, "{}").await, 401, "{address}");
        }
        for nonsense in ["", "{", "[]", "7", "{}", "{\"processId\": 7}", "\u{0}"] {
            let status = ask(method.clone(), &address, secret, nonsense).await;
            assert!((400..500).contains(&status), "{address} `{nonsense}`: {status}");
        }
    }
    let post = reqwest::Method::POST;
    for event in ["prepared", "started", "completed", "errored", "nothing"] {
        let address = format!("{}/transfers/urn:uuid:0000/dataflow/{event}", control.signaling());
        assert_eq!(ask(post.clone(), &address, "wrong", "{}").await, 401, "{event}");
        assert_eq!(ask(post.clone(), &address, secret, "{}").await, 404, "{event}");
    }
    let planes = scene.connector.api().all("/data-planes").await.unwrap();
    assert_eq!(planes.len(), 1, "{planes:?}");
    for path in ["/flows/none", "/flows/none/a", "/flows/../../etc/passwd", "/flows/%2e%2e/x", "/none"] {
        let status = ask(reqwest::Method::GET, &format!("{}{path}", data.public()), "guess", "").await;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    scene.unchanged().await;
}
