//! Tokens of OAuth 2.0 between the planes, in both directions: client credentials and token exchange, by configuration and by
//! registration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use support::tokens::{CLIENT_SECRET, Issuer, Key};
use support::{Played, SECRET, World, broker, write};

fn ok() -> Played {
    Played::start(|_| HttpResponse::Ok().json(json!({})))
}

async fn with_tokens(more: &str) -> World {
    World::with_tokens(ok(), more, |config| config).await
}

/// The status that a question with this token is answered with; 404 is that of an unknown flow.
async fn status_with(world: &World, authorization: &str) -> u16 {
    let url = format!("{}/dataflows/x/status", world.signaling);
    world.client.send("GET", &url, &[("authorization", authorization)], "").await.status
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[actix_web::test]
async fn a_flow_without_any_shared_secret() {
    let source = broker();
    let world = with_tokens("").await;
    let issuer = world.issuer.clone().unwrap();
    let registered = world.control.wait(|seen| seen.target == "/dataplanes").await;
    assert!(issuer.is_good(registered.header("authorization").unwrap(), "dp-test", "cp"));
    let flow = world.pull_http("tp-1", &source.url).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    // A finite push completes by itself, and says so with our token.
    write(&world.shared(), "a.csv", b"1");
    let sink = Played::start(|_| HttpResponse::Ok().finish());
    let address = json!({"@type": "DataAddress", "endpointType": dps_signaling::HTTP_PUSH, "endpoint": sink.url,
        "endpointProperties": []});
    let files = policy_plan::Source::Files { root: "shared".into(), path: "a.csv".into(), standing: false };
    let push = world.start_message(&world.plan("tp-2", Some(files)), Some(address));
    assert_eq!(world.signal("POST", "/dataflows/start", &push).await.0, 200);
    let told = world.control.wait(|seen| seen.target == "/transfers/tp-2/dataflow/completed").await;
    assert!(issuer.is_good(told.header("authorization").unwrap(), "dp-test", "cp"));
    assert_eq!(issuer.asked(), 1, "one token for all calls");
    assert_eq!(status_with(&world, &format!("Bearer {SECRET}")).await, 401);
    let form = issuer.server.all().into_iter().find(|seen| seen.target == "/token").unwrap();
    let form = String::from_utf8(form.body).unwrap();
    assert!(form.starts_with("grant_type=client_credentials&client_id=dp-test%3Ecp&client_secret="), "{form}");
}

#[actix_web::test]
async fn every_token_that_is_not_one_of_the_control_plane_for_us_is_refused() {
    let world = with_tokens("").await;
    let issuer = world.issuer.clone().unwrap();
    let good = json!({"sub": "cp", "aud": "dp-test"});
    let with = |name: &str, value: Value| {
        let mut more = good.clone();
        more[name] = value;
        format!("Bearer {}", issuer.token(&more))
    };
    let now = support::now_ms() / 1000;
    let stranger = Key::new("k-1");
    let unknown = Key::new("k-9");
    let claims = issuer.claims(&good);
    let secret = EncodingKey::from_secret(b"k-1");
    let none = format!("Bearer eyJhbGciOiJub25lIn0.{}.", stranger.sign(&claims).split('.').nth(1).unwrap());
    for (name, authorization) in [
        ("none at all", String::new()),
        ("no scheme", issuer.token(&good)),
        ("no JWT", "Bearer abc".to_owned()),
        ("another issuer", with("iss", json!("https://other.example"))),
        ("another sender", with("sub", json!("dp-test"))),
        ("another receiver", with("aud", json!("cp"))),
        ("expired", with("exp", json!(now - 31))),
        ("from the future", with("iat", json!(now + 60))),
        ("without a beginning", with("iat", Value::Null)),
        ("without an end", with("exp", Value::Null)),
        ("for longer than a day", with("exp", json!(now + 100_000))),
        ("signed by a stranger", format!("Bearer {}", stranger.sign(&claims))),
        ("signed by an unknown key", format!("Bearer {}", unknown.sign(&claims))),
        ("symmetric", format!("Bearer {}", encode(&Header::new(Algorithm::HS256), &claims, &secret).unwrap())),
        ("not signed", none),
    ] {
        assert_eq!(status_with(&world, &authorization).await, 401, "{name}");
    }
    assert_eq!(status_with(&world, &with("aud", json!(["x", "dp-test"]))).await, 404);
    let again = with("jti", json!("same"));
    for _ in 0..2 {
        assert_eq!(status_with(&world, &again).await, 404, "a sender keeps its token");
    }
    let reads = issuer.server.all().iter().filter(|seen| seen.target == "/jwks").count();
    assert!(reads <= 3, "unknown names of keys do not make us read again and again: {reads}");
}

#[actix_web::test]
async fn keys_change_and_their_address_goes_away() {
    let world = with_tokens("").await;
    let issuer = world.issuer.clone().unwrap();
    let token = || format!("Bearer {}", issuer.token(&json!({"sub": "cp", "aud": "dp-test"})));
    let old = token();
    assert_eq!(status_with(&world, &old).await, 404);
    issuer.change_key("k-2");
    until("the new key is known", async || status_with(&world, &token()).await == 404).await;
    assert_eq!(status_with(&world, &old).await, 401, "the old key is gone");
    issuer.set_away(true);
    assert_eq!(status_with(&world, &token()).await, 404, "what was read is believed for a while");
    // A plane that begins while the address is away cannot know anybody, until it comes back.
    let mut world = world;
    world.plane.take().unwrap().stop().await;
    world.start().await;
    assert_eq!(status_with(&world, &token()).await, 401);
    issuer.set_away(false);
    until("the keys are read", async || status_with(&world, &token()).await == 404).await;
}

#[actix_web::test]
async fn our_token_is_renewed_before_its_end_and_when_it_is_refused() {
    let refuse = Arc::new(AtomicBool::new(false));
    let (flag, refused) = (Arc::clone(&refuse), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&refused);
    let control = Played::start(move |request| {
        if request.path().ends_with("/errored") || !flag.swap(false, Ordering::SeqCst) {
            return HttpResponse::Ok().json(json!({}));
        }
        counter.fetch_add(1, Ordering::SeqCst);
        HttpResponse::Unauthorized().finish()
    });
    let mut world = World::with_tokens(control, "", |config| config).await;
    let issuer = world.issuer.clone().unwrap();
    world.control.wait(|seen| seen.target == "/dataplanes").await;
    assert_eq!(issuer.asked(), 1);
    // The control plane refuses the token once: the registration at the next start comes again with another.
    world.plane.take().unwrap().stop().await;
    refuse.store(true, Ordering::SeqCst);
    issuer.set_life(2);
    world.start().await;
    until("another token is taken", async || issuer.asked() == 3).await;
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    // A token of two seconds is used for one.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let consumer = world.message("tp-9", String::new(), None, "did:web:prov.example");
    assert_eq!(world.signal("POST", "/dataflows/prepare", &consumer).await.0, 200);
    let started = json!({"messageId": "s", "dataAddress": {"@type": "DataAddress", "endpointType": dps_signaling::HTTP_PULL,
        "endpoint": world.control.url, "endpointProperties": []}});
    let flow = world.signal("POST", "/dataflows/prepare", &consumer).await.1["dataFlowId"].as_str().unwrap().to_owned();
    assert_eq!(world.signal("POST", &format!("/dataflows/{flow}/started"), &started).await.0, 200);
    let done = world.client.send("POST", &format!("{}/transfers/tp-9/completed", world.local), &[], "").await;
    assert!(done.status < 300, "{done:?}");
    world.control.wait(|seen| seen.target == "/transfers/tp-9/dataflow/completed").await;
    assert_eq!(issuer.asked(), 4);
}

#[actix_web::test]
async fn a_token_endpoint_that_is_away_costs_nothing_but_time() {
    let issuer = Issuer::start();
    issuer.set_away(true);
    let section = issuer.section();
    let mut world =
        World::without_plane(ok(), &section, |config| config.replace(&format!("token = \"{SECRET}\""), "id = \"cp\""));
    world.issuer = Some(issuer.clone());
    world.start().await;
    issuer.server.wait(|seen| seen.target == "/token").await;
    assert!(world.control.all().is_empty(), "without a token nothing goes out");
    issuer.set_away(false);
    world.control.wait(|seen| seen.target == "/dataplanes").await;
}

#[actix_web::test]
async fn a_token_counts_once_where_that_is_agreed() {
    let mut world =
        World::with_tokens(ok(), "", |config| config.replace("[upstream]", "single_use_tokens = true\n[upstream]"))
            .await;
    let issuer = world.issuer.clone().unwrap();
    let token = |more: Value| {
        let mut claims = json!({"sub": "cp", "aud": "dp-test"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("Bearer {}", issuer.token(&claims))
    };
    let first = token(json!({}));
    assert_eq!(status_with(&world, &first).await, 404);
    assert_eq!(status_with(&world, &first).await, 401);
    assert_eq!(status_with(&world, &token(json!({"jti": null}))).await, 401);
    world.plane.take().unwrap().kill().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.start().await;
    assert_eq!(status_with(&world, &first).await, 401, "a restart forgets no token");
    assert_eq!(status_with(&world, &token(json!({}))).await, 404);
    // And we show each of ours once.
    world.control.wait(|seen| seen.target == "/dataplanes").await;
    until("each start has asked for a token", async || issuer.asked() == 2).await;
}

/// A control plane of another maker, which tells in its registration how it authenticates.
fn entry(issuer: &Issuer, id: &str) -> Value {
    json!({"type": "oauth2_client_credentials", "tokenEndpoint": format!("{}/token", issuer.url),
        "clientId": format!("dp-test>{id}"), "clientSecret": CLIENT_SECRET, "jwksUri": format!("{}/jwks", issuer.url)})
}

#[actix_web::test]
async fn control_planes_bring_their_own_authorization() {
    let without = |config: String| {
        let token = format!("token = \"{SECRET}\"");
        config.replace(&token, &format!("{token}\ndanger_without_plan = true"))
    };
    let datasets = "[datasets.shared]\nid = \"urn:uuid:dataset\"\nroot = \"shared\"\n";
    let mut world = World::configured(ok(), datasets, without).await;
    let issuer = Issuer::start();
    let (first, second) = (ok(), ok());
    let register = async |world: &World, authorization: &str, id: &str, endpoint: &str, entry: &Value| {
        let body = json!({"controlplaneId": id, "endpoint": endpoint, "authorization": entry});
        let headers = [("authorization", authorization)];
        let url = format!("{}/controlplanes", world.signaling);
        let reply = world.client.send("PUT", &url, &headers, body.to_string()).await;
        (reply.status, serde_json::from_slice::<Value>(&reply.body).unwrap())
    };
    let shared = format!("Bearer {SECRET}");
    let of = |id: &str| format!("Bearer {}", issuer.token(&json!({"sub": id, "aud": "dp-test"})));
    assert_eq!(register(&world, &of("a"), "a", &first.url, &entry(&issuer, "a")).await.0, 401, "not known yet");
    for (member, value, code) in [
        ("tokenEndpoint", json!("http://tokens.example/token"), "bad_authorization"),
        ("jwksUri", json!("ftp://x"), "bad_authorization"),
        ("jwksUri", Value::Null, "bad_authorization"),
        ("jwks", json!({"keys": []}), "bad_value"),
        ("clientSecret", Value::Null, "missing_member"),
        ("type", json!("oauth2_token_exchange"), "missing_member"),
    ] {
        let mut wrong = entry(&issuer, "a");
        wrong[member] = value;
        let (status, problem) = register(&world, &shared, "a", &first.url, &wrong).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some(code)), "{member}: {problem}");
        assert!(!problem.to_string().contains(CLIENT_SECRET));
    }
    for (id, control) in [("a", &first), ("b", &second)] {
        assert_eq!(register(&world, &shared, id, &control.url, &entry(&issuer, id)).await.0, 200);
    }
    let signal = async |world: &World, id: &str, method: &str, path: &str, body: &Value| {
        let authorization = of(id);
        let headers = [("authorization", authorization.as_str())];
        let reply = world.client.send(method, &format!("{}{path}", world.signaling), &headers, body.to_string()).await;
        (reply.status, serde_json::from_slice::<Value>(&reply.body).unwrap_or_default())
    };
    // A push of the one is told to the one, with a token for it; for the other it does not exist.
    write(&world.shared(), "a.csv", b"1");
    let sink = Played::start(|_| HttpResponse::Ok().finish());
    let address = json!({"@type": "DataAddress", "endpointType": dps_signaling::HTTP_PUSH, "endpoint": sink.url,
        "endpointProperties": []});
    let message = world.message("tp-a", String::new(), Some(address), "did:web:cons.example");
    let (status, flow) = signal(&world, "a", "POST", "/dataflows/start", &message).await;
    assert_eq!(status, 200, "{flow}");
    let told = first.wait(|seen| seen.target == "/transfers/tp-a/dataflow/completed").await;
    assert!(issuer.is_good(told.header("authorization").unwrap(), "dp-test", "a"));
    let path = format!("/dataflows/{}/status", flow["dataFlowId"].as_str().unwrap());
    let terminate = path.replace("status", "terminate");
    for (id, status) in [("a", 200), ("b", 404), ("c", 401)] {
        assert_eq!(signal(&world, id, "GET", &path, &json!({})).await.0, status, "{id}");
    }
    assert_eq!(signal(&world, "b", "POST", &terminate, &json!({"messageId": "m"})).await.0, 404);
    assert_eq!(signal(&world, "b", "POST", "/dataflows/start", &message).await.0, 404, "a repeat gives no new token");
    assert!(second.all().is_empty());
    // It may change its keys, and nothing of another or of its place.
    assert_eq!(register(&world, &of("a"), "a", &first.url, &entry(&issuer, "a")).await.0, 200);
    for (id, endpoint, entry) in [
        ("b", &second.url, entry(&issuer, "b")),
        ("a", &second.url, entry(&issuer, "a")),
        ("a", &first.url, json!({"type": "bearer"})),
    ] {
        let (status, problem) = register(&world, &of("a"), id, endpoint, &entry).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("not_your_control_plane")), "{problem}");
    }
    let mut keys = entry(&issuer, "a");
    let members = keys.as_object_mut().unwrap();
    members.remove("jwksUri");
    members.insert("jwks".to_owned(), json!({"keys": [Key::new("other").public]}));
    assert_eq!(register(&world, &of("a"), "a", &first.url, &keys).await.0, 200);
    assert_eq!(signal(&world, "a", "GET", &path, &json!({})).await.0, 401, "its tokens are signed by other keys now");
    // All of it lasts over a restart.
    world.plane.take().unwrap().stop().await;
    world.start().await;
    assert_eq!(signal(&world, "a", "GET", &path, &json!({})).await.0, 401);
    assert_eq!(signal(&world, "b", "GET", &path, &json!({})).await.0, 404);
    assert_eq!(signal(&world, "b", "DELETE", "/controlplanes/a", &json!({})).await.0, 403);
    assert_eq!(signal(&world, "b", "DELETE", "/controlplanes/b", &json!({})).await.0, 204);
    assert_eq!(signal(&world, "b", "GET", &path, &json!({})).await.0, 401);
}

#[actix_web::test]
async fn a_workloads_token_is_exchanged_at_the_broker() {
    let issuer = Issuer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "workload-1\n").unwrap();
    issuer.know_workload("workload-1", "urn:dp");
    let section = format!(
        "[control_plane.exchange]\nendpoint = \"{url}/token\"\nissuer = \"{url}\"\njwks_uri = \"{url}/jwks\"\n\
         subject_token_file = {file:?}\nresource = \"https://cp.example/signaling\"\nscope = \"flows.tell\"\n\
         accept_scope = \"flows.write\"\naccept_participant_context = \"city\"\n",
        url = issuer.url
    );
    let mut world =
        World::without_plane(ok(), &section, |config| config.replace(&format!("token = \"{SECRET}\""), "id = \"cp\""));
    world.start().await;
    let registered = world.control.wait(|seen| seen.target == "/dataplanes").await;
    assert!(issuer.is_good(registered.header("authorization").unwrap(), "urn:dp", "cp"));
    let entry = registered.json()["authorization"].clone();
    assert_eq!(
        entry,
        json!({"type": "oauth2_token_exchange", "tokenExchangeEndpoint": format!("{}/token", issuer.url),
        "issuer": issuer.url, "jwksUri": format!("{}/jwks", issuer.url)})
    );
    let form = String::from_utf8(issuer.server.all()[0].body.clone()).unwrap();
    for part in [
        "grant_type=urn%3Aietf",
        "subject_token=workload-1&",
        "audience=cp",
        "scope=flows.tell",
        "resource=https%3A%2F%2Fcp.example%2Fsignaling",
    ] {
        assert!(form.contains(part), "{part} not in {form}");
    }
    assert!(!form.contains("client_"), "the workload names itself by its token alone");
    let good = json!({"sub": "cp", "aud": "dp-test", "scope": "flows.write x", "participant_context": "city"});
    for (member, value, status) in [
        ("sub", json!("cp"), 404),
        ("sub", json!("other"), 401),
        ("aud", json!("other"), 401),
        ("iss", json!("https://other"), 401),
        ("scope", json!("flows.read"), 401),
        ("participant_context", json!("village"), 401),
    ] {
        let mut claims = good.clone();
        claims[member] = value.clone();
        let token = format!("Bearer {}", issuer.token(&claims));
        assert_eq!(status_with(&world, &token).await, status, "{member} {value}");
    }
    // A control plane may name the same broker, and no other one: the workload's token would go there.
    let token = format!("Bearer {}", issuer.token(&good));
    let put = async |world: &World, entry: &Value| {
        let body = json!({"controlplaneId": "cp-2", "endpoint": world.control.url, "authorization": entry});
        let url = format!("{}/controlplanes", world.signaling);
        let reply = world.client.send("PUT", &url, &[("authorization", &token)], body.to_string()).await;
        (reply.status, reply.json()["code"].as_str().map(str::to_owned))
    };
    let mut other = entry.clone();
    other["tokenExchangeEndpoint"] = json!("http://127.0.0.1:9/token");
    assert_eq!(put(&world, &other).await, (400, Some("unknown_broker".to_owned())));
    assert_eq!(put(&world, &entry).await, (200, None));
    let second = json!({"sub": "cp-2", "aud": "dp-test", "scope": "flows.write", "participant_context": "city"});
    assert_eq!(status_with(&world, &format!("Bearer {}", issuer.token(&second))).await, 404);
    // The platform writes a new token; the next exchange takes it.
    issuer.know_workload("workload-2", "urn:dp");
    std::fs::write(&file, "workload-2\n").unwrap();
    world.plane.take().unwrap().stop().await;
    let seen = world.control.all().len();
    world.start().await;
    until("registered with the new token", async || world.control.all().len() > seen).await;
    assert!(
        String::from_utf8(issuer.server.last().body).unwrap().contains("subject_token=workload-2&")
            || issuer.asked() >= 2
    );
}

#[actix_web::test]
async fn our_registration_tells_where_tokens_for_us_are_got() {
    let more = "[signaling.oauth2]\ntoken_endpoint = \"https://tokens.example/token\"\nclient_id = \"cp\"\n\
        client_secret = \"for-the-control-plane\"\njwks_uri = \"https://tokens.example/jwks\"\n";
    let world = with_tokens(more).await;
    let registered = world.control.wait(|seen| seen.target == "/dataplanes").await.json();
    let entry = json!({"type": "oauth2_client_credentials", "tokenEndpoint": "https://tokens.example/token",
        "clientId": "cp", "clientSecret": "for-the-control-plane", "jwksUri": "https://tokens.example/jwks"});
    assert_eq!(registered["authorization"], entry);
}
