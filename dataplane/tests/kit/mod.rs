//! The test scripts for data planes of the Data Plane Signaling kit, by its ids. The test plays the kit: a control plane
//! of another maker, which sends no enforcement plan. What the kit tells by a dataset's id is told here by the configuration:
//! `signaling.answer_within_ms = 0` for asynchronous flows, a folder of files for data that comes to an end.

use actix_web::HttpResponse;
use dps_signaling::{DataAddress, HTTP_PULL};
use serde_json::{Value, json};

use crate::support::{Played, SECRET, World, broker, write};

const PULL: &str = "http-pull";
const PUSH: &str = "http-push";
/// A source that answers nothing for a minute, so that a push of it goes on.
const ENDLESS: &str = "urn:dataset:endless";
/// A folder with one file.
const FINITE: &str = "urn:dataset:finite";

struct Kit {
    world: World,
    /// The counter-party's own HTTP server.
    peer: Played,
    number: u32,
}

impl Kit {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(more: &str) -> Self {
        let peer = broker();
        let control = Played::reading(|request, body| {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            // A client of the kit is `jwt.` with the audience and the access token that it names.
            match body["clientToken"].as_str().map(|token| token.split('.').collect::<Vec<_>>()) {
                Some(parts) if parts[..2] == ["jwt", "provider"] => HttpResponse::Ok().json(json!({"token": parts[2]})),
                Some(_) => HttpResponse::Unauthorized().json(json!({"code": "wrong_audience"})),
                None if request.path().ends_with("/renewal/sign") => {
                    HttpResponse::Ok().json(json!({"clientToken": "jwt"}))
                }
                None => HttpResponse::Ok().json(json!({})),
            }
        });
        let datasets = format!(
            "[datasets.endless]\nid = {ENDLESS:?}\nbase_url = {:?}\npaths = \"/slow,/**\"\n\
             [datasets.finite]\nid = {FINITE:?}\nroot = \"shared\"\n{more}",
            peer.url
        );
        let token = format!("token = \"{SECRET}\"");
        let flagged = format!("{token}\ndanger_without_plan = true");
        let change = |config: String| config.replace(&token, &flagged);
        let world = if crate::OAUTH2 {
            World::with_tokens(control, &datasets, change).await
        } else {
            World::configured(control, &datasets, change).await
        };
        write(&world.shared(), "counts.csv", b"station,count\n1,20\n");
        Self { world, peer, number: 0 }
    }

    /// Every prepare and start is answered before it is done.
    async fn asynchronous() -> Self {
        let mut kit = Self::new().await;
        kit.world.plane.take().unwrap().stop().await;
        kit.world.config = kit.world.config.replace("answer_within_ms = 5000", "answer_within_ms = 0");
        kit.world.start().await;
        kit
    }

    fn id(&mut self) -> String {
        self.number += 1;
        format!("m-{}", self.number)
    }

    /// The message of a prepare or a start as the kit sends it.
    fn message(&mut self, profile: &str, dataset: &str) -> Value {
        json!({
            "messageId": self.id(), "participantId": "provider", "counterPartyId": "counterparty",
            "dataspaceContext": "dataspace", "processId": "process-1", "agreementId": "agreement-1",
            "datasetId": dataset, "profile": profile, "claims": {}, "labels": [], "metadata": {},
        })
    }

    fn sink(&self) -> Value {
        json!({"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpoint": self.peer.url,
            "endpointProperties": []})
    }

    async fn prepare(&mut self, profile: &str) -> (u16, Value) {
        let body = self.message(profile, ENDLESS);
        self.world.signal("POST", "/dataflows/prepare", &body).await
    }

    async fn start(&mut self, profile: &str, dataset: &str) -> (u16, Value) {
        let mut body = self.message(profile, dataset);
        if profile == PUSH {
            body["dataAddress"] = self.sink();
        }
        self.world.signal("POST", "/dataflows/start", &body).await
    }

    /// A prepare that is answered at once; gives back the flow.
    async fn prepared(&mut self, profile: &str) -> (String, Value) {
        let (status, body) = self.prepare(profile).await;
        assert_eq!((status, body["state"].as_str()), (200, Some("PREPARED")), "{body}");
        (body["dataFlowId"].as_str().unwrap().to_owned(), body)
    }

    /// A start that is answered at once; gives back the flow.
    async fn started(&mut self, profile: &str, dataset: &str) -> (String, Value) {
        let (status, body) = self.start(profile, dataset).await;
        assert_eq!((status, body["state"].as_str()), (200, Some("STARTED")), "{body}");
        (body["dataFlowId"].as_str().unwrap().to_owned(), body)
    }

    /// Gives a signal and looks at the state afterwards.
    async fn signal(&mut self, flow: &str, signal: &str, state: &str) -> Value {
        let body = if signal == "completed" { json!({}) } else { json!({"messageId": self.id()}) };
        let (status, answer) = self.world.signal("POST", &format!("/dataflows/{flow}/{signal}"), &body).await;
        assert_eq!(status, 200, "{signal}: {answer}");
        self.is(flow, state).await;
        answer
    }

    async fn is(&self, flow: &str, state: &str) {
        let (status, body) = self.world.signal("GET", &format!("/dataflows/{flow}/status"), &json!({})).await;
        assert_eq!((status, &body), (200, &json!({"dataFlowId": flow, "state": state})));
    }

    /// The callback of this kind, which is a status message and comes with our token.
    async fn callback(&self, kind: &str, state: &str) -> Value {
        let path = format!("/transfers/process-1/dataflow/{kind}");
        let seen = self.world.control.wait(|seen| seen.target == path).await;
        assert!(self.world.is_ours(seen.header("authorization").unwrap()));
        let body = seen.json();
        assert_eq!(body["state"], state, "{body}");
        assert!(body["messageId"].is_string() && body["dataFlowId"].is_string(), "{body}");
        body
    }

    async fn asynchronously_prepared(&mut self, profile: &str) -> Value {
        let (status, body) = self.prepare(profile).await;
        assert_eq!((status, body["state"].as_str()), (202, Some("PREPARING")), "{body}");
        let told = self.callback("prepared", "PREPARED").await;
        self.is(body["dataFlowId"].as_str().unwrap(), "PREPARED").await;
        told
    }

    async fn asynchronously_started(&mut self, profile: &str) -> Value {
        let (status, body) = self.start(profile, ENDLESS).await;
        assert_eq!((status, body["state"].as_str()), (202, Some("STARTING")), "{body}");
        let told = self.callback("started", "STARTED").await;
        self.is(body["dataFlowId"].as_str().unwrap(), "STARTED").await;
        told
    }
}

fn has_address(body: &Value) -> bool {
    !body["dataAddress"].is_null()
}

#[actix_web::test]
async fn dp_c_pull_01_01() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.prepared(PULL).await;
    assert!(!has_address(&body));
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_c_pull_01_02() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.prepared(PULL).await;
    assert!(!has_address(&body));
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

#[actix_web::test]
async fn dp_c_pull_02_01() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.prepared(PULL).await;
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    let resumed = kit.signal(&flow, "resume", "STARTED").await;
    assert_eq!(resumed["state"], "STARTED");
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_c_pull_02_02() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.prepared(PULL).await;
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

/// The plane tells that the transfer is done when its reader says that it has read all.
#[actix_web::test]
async fn dp_c_pull_03_01() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.prepared(PULL).await;
    kit.signal(&flow, "started", "STARTED").await;
    let done = format!("{}/transfers/process-1/completed", kit.world.local);
    assert_eq!(kit.world.client.send("GET", &done, &[], "").await.status, 405);
    for _ in 0..2 {
        assert_eq!(kit.world.client.send("POST", &done, &[], "").await.status, 204);
    }
    kit.callback("completed", "COMPLETED").await;
    kit.is(&flow, "COMPLETED").await;
    let other = format!("{}/transfers/process-9/completed", kit.world.local);
    assert_eq!(kit.world.client.send("POST", &other, &[], "").await.status, 404);
}

#[actix_web::test]
async fn dp_c_pull_04_01() {
    let mut kit = Kit::asynchronous().await;
    assert!(!has_address(&kit.asynchronously_prepared(PULL).await));
}

#[actix_web::test]
async fn dp_c_push_01_01() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.prepared(PUSH).await;
    assert!(has_address(&body));
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_c_push_01_02() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.prepared(PUSH).await;
    assert!(has_address(&body));
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

#[actix_web::test]
async fn dp_c_push_02_01() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.prepared(PUSH).await;
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    kit.signal(&flow, "resume", "STARTED").await;
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_c_push_02_02() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.prepared(PUSH).await;
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

/// The data may come before `started`; then the kit says that all of it was sent.
#[actix_web::test]
async fn dp_c_push_03_01() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.prepared(PUSH).await;
    let address = DataAddress::decode(&body["dataAddress"]).unwrap();
    let authorization = format!("Bearer {}", address.property("authorization").unwrap());
    let headers = [("authorization", authorization.as_str()), ("content-type", "text/plain")];
    let endpoint = address.endpoint.unwrap();
    let sent = kit.world.client.send("POST", &endpoint, &headers, "data").await;
    assert!((200..300).contains(&sent.status), "{}", sent.text());
    assert_eq!(kit.world.client.send("POST", &endpoint, &[], "data").await.status, 401, "tokens stay required");
    kit.signal(&flow, "started", "STARTED").await;
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_c_push_04_01() {
    let mut kit = Kit::asynchronous().await;
    assert!(has_address(&kit.asynchronously_prepared(PUSH).await));
}

#[actix_web::test]
async fn dp_p_pull_01_01() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.started(PULL, FINITE).await;
    let found = crate::support::Flow::of(&body);
    let read = found.get(&kit.world.client, "/counts.csv", &[]).await;
    assert_eq!((read.status, read.text().as_str()), (200, "station,count\n1,20\n"));
    assert_eq!(kit.world.client.send("GET", &found.endpoint, &[], "").await.status, 401, "tokens stay required");
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_p_pull_01_02() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.started(PULL, ENDLESS).await;
    assert!(has_address(&body));
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

#[actix_web::test]
async fn dp_p_pull_02_01() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.started(PULL, FINITE).await;
    let before = crate::support::Flow::of(&body);
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    assert_eq!(before.get(&kit.world.client, "/counts.csv", &[]).await.status, 403);
    let after = crate::support::Flow::of(&kit.signal(&flow, "resume", "STARTED").await);
    assert_eq!(before.get(&kit.world.client, "/counts.csv", &[]).await.status, 401, "the token went with the pause");
    assert_eq!(after.get(&kit.world.client, "/counts.csv", &[]).await.status, 200);
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_p_pull_02_02() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.started(PULL, ENDLESS).await;
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

#[actix_web::test]
async fn dp_p_pull_04_01() {
    let mut kit = Kit::asynchronous().await;
    assert!(has_address(&kit.asynchronously_started(PULL).await));
}

#[actix_web::test]
async fn dp_p_push_01_01() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.started(PUSH, ENDLESS).await;
    assert!(!has_address(&body));
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_p_push_01_02() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.started(PUSH, ENDLESS).await;
    assert!(!has_address(&body));
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

#[actix_web::test]
async fn dp_p_push_02_01() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.started(PUSH, ENDLESS).await;
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    assert!(!has_address(&kit.signal(&flow, "resume", "STARTED").await));
    kit.signal(&flow, "completed", "COMPLETED").await;
}

#[actix_web::test]
async fn dp_p_push_02_02() {
    let mut kit = Kit::new().await;
    let (flow, _) = kit.started(PUSH, ENDLESS).await;
    kit.signal(&flow, "suspend", "SUSPENDED").await;
    kit.signal(&flow, "terminate", "TERMINATED").await;
}

/// All files are sent; the plane says so.
#[actix_web::test]
async fn dp_p_push_03_01() {
    let mut kit = Kit::new().await;
    let (flow, body) = kit.started(PUSH, FINITE).await;
    assert!(!has_address(&body));
    kit.callback("completed", "COMPLETED").await;
    kit.is(&flow, "COMPLETED").await;
    let sent = kit.peer.all();
    assert!(sent.iter().any(|seen| seen.body == b"station,count\n1,20\n"), "{sent:?}");
}

#[actix_web::test]
async fn dp_p_push_04_01() {
    let mut kit = Kit::asynchronous().await;
    assert!(!has_address(&kit.asynchronously_started(PUSH).await));
}

fn renewable(endpoint: &str) -> DataAddress {
    DataAddress::bearer(HTTP_PULL, endpoint, "token", Some(3600)).renewable("refresh", endpoint)
}

#[actix_web::test]
async fn dp_c_http_pull_01_01() {
    let mut kit = Kit::with("[renewal]\nrequired = true").await;
    let (flow, _) = kit.prepared(HTTP_PULL).await;
    let body = json!({"messageId": "s", "dataAddress": renewable(&kit.peer.url).encode()});
    assert_eq!(kit.world.signal("POST", &format!("/dataflows/{flow}/started"), &body).await.0, 200);
    kit.is(&flow, "STARTED").await;
}

#[actix_web::test]
async fn dp_c_http_pull_02_01() {
    let mut kit = Kit::with("[renewal]\nrequired = true").await;
    let (flow, _) = kit.prepared(HTTP_PULL).await;
    for missing in ["refreshToken", "expiresIn"] {
        let mut address = renewable(&kit.peer.url);
        address.properties.retain(|(name, _)| name != missing);
        let body = json!({"messageId": missing, "dataAddress": address.encode()});
        let (status, answer) = kit.world.signal("POST", &format!("/dataflows/{flow}/started"), &body).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("renewal_missing")), "{missing}");
    }
    kit.is(&flow, "PREPARED").await;
}

/// Starts a pull whose token can be renewed: the kit stands for a control plane that knows its partner by a DID.
async fn with_renewal() -> (Kit, DataAddress) {
    let mut kit = Kit::with("[renewal]\noffered = true").await;
    let mut body = kit.message(HTTP_PULL, FINITE);
    body["metadata"] = json!({"renewal": true});
    let (status, body) = kit.world.signal("POST", "/dataflows/start", &body).await;
    assert_eq!(status, 200, "{body}");
    let address = DataAddress::decode(&body["dataAddress"]).unwrap();
    assert_eq!(address.endpoint_type, HTTP_PULL);
    for name in ["authorization", "refreshToken", "refreshEndpoint"] {
        assert!(address.property(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    assert_eq!(address.property("authType"), Some("bearer"));
    assert!(address.property("expiresIn").unwrap().bytes().all(|byte| byte.is_ascii_digit()));
    (kit, address)
}

async fn refresh(kit: &Kit, address: &DataAddress, refresh_token: &str, audience: &str) -> (u16, Value) {
    let form = format!("grant_type=refresh_token&refresh_token={refresh_token}");
    let client = format!("Bearer jwt.{audience}.{}", address.property("authorization").unwrap());
    let headers = [("authorization", client.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let reply = kit.world.client.send("POST", address.property("refreshEndpoint").unwrap(), &headers, form).await;
    (reply.status, reply.json())
}

#[actix_web::test]
async fn dp_p_http_pull_01_01() {
    let (kit, address) = with_renewal().await;
    let (status, body) = refresh(&kit, &address, address.property("refreshToken").unwrap(), "provider").await;
    assert_eq!(status, 200, "{body}");
    assert_ne!(body["access_token"].as_str().unwrap(), address.property("authorization").unwrap());
    assert_eq!(body["token_type"], "Bearer");
}

#[actix_web::test]
async fn dp_p_http_pull_02_01() {
    let (kit, address) = with_renewal().await;
    let (status, body) = refresh(&kit, &address, "unknown", "provider").await;
    assert_eq!((status, body["error"].as_str()), (400, Some("invalid_grant")));
}

#[actix_web::test]
async fn dp_p_http_pull_02_02() {
    let (kit, address) = with_renewal().await;
    let (status, body) = refresh(&kit, &address, address.property("refreshToken").unwrap(), "another").await;
    assert_eq!((status, body["error"].as_str()), (401, Some("invalid_client")));
}
