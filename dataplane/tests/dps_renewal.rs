//! Renewal of tokens (DPS profiles, Token renewal) on both sides, with the control planes played by the test. What they verify
//! and sign is theirs: here a client's JWT is `jwt.` and the access token that it names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use dps_signaling::DataAddress;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use policy_plan::Source;
use serde_json::{Value, json};
use support::{Flow, Played, Reply, World, broker};

const OFFERED: &str = "[renewal]\noffered = true\naccess_token_seconds = ";

/// A control plane that verifies and signs, and whose name for trouble is in the token.
fn control() -> Played {
    Played::reading(|request, body| {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if request.path().ends_with("/renewal/sign") {
            return HttpResponse::Ok().json(json!({"clientToken": format!("jwt.{}", body["token"].as_str().unwrap())}));
        }
        if request.path().ends_with("/renewal/verify") {
            return match body["clientToken"].as_str().unwrap().strip_prefix("jwt.") {
                Some("trouble") => HttpResponse::ServiceUnavailable().finish(),
                Some(token) => HttpResponse::Ok().json(json!({"token": token})),
                None => HttpResponse::Unauthorized().json(json!({"code": "bad_signature", "detail": "not its key"})),
            };
        }
        HttpResponse::Ok().json(json!({}))
    })
}

async fn provider(seconds: u32) -> World {
    World::under(control(), &format!("{OFFERED}{seconds}")).await
}

/// Starts a pull whose partner the control plane can verify.
async fn renewable(world: &World, process: &str, source: &str) -> Flow {
    let source = Source::Http { base_url: source.into(), credential: None };
    let mut message = world.start_message(&world.plan(process, Some(source)), None);
    message["metadata"]["renewal"] = json!(true);
    let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!(status, 200, "{body}");
    Flow::of(&body)
}

struct Pair {
    refresh: String,
    access: String,
    endpoint: String,
}

impl Pair {
    fn of(flow: &Flow) -> Self {
        let address = DataAddress::decode(&flow.address).unwrap();
        let renewal = address.renewal().expect("the address can be renewed");
        Self {
            refresh: renewal.refresh_token.to_owned(),
            access: flow.token.clone(),
            endpoint: renewal.endpoint.to_owned(),
        }
    }

    fn after(&self, reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let body = reply.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        assert_eq!((body["token_type"].as_str(), reply.header("cache-control")), (Some("Bearer"), Some("no-store")));
        Self { refresh: text("refresh_token"), access: text("access_token"), endpoint: self.endpoint.clone() }
    }

    async fn renew(&self, world: &World) -> Reply {
        self.renew_as(world, &format!("jwt.{}", self.access)).await
    }

    async fn renew_as(&self, world: &World, client_token: &str) -> Reply {
        let form = format!("grant_type=refresh_token&refresh_token={}", self.refresh);
        ask(world, &self.endpoint, client_token, &form).await
    }
}

async fn ask(world: &World, endpoint: &str, client_token: &str, form: &str) -> Reply {
    let authorization = format!("Bearer {client_token}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    world.client.send("POST", endpoint, &headers, form.to_owned()).await
}

fn error(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn is(status: u16, error: &str) -> (u16, String) {
    (status, error.to_owned())
}

#[actix_web::test]
async fn a_token_is_exchanged_and_the_old_one_lives_to_its_end() {
    let (source, world) = (broker(), provider(2).await);
    let mut flow = renewable(&world, "tp-1", &source.url).await;
    let first = Pair::of(&flow);
    let address = DataAddress::decode(&flow.address).unwrap();
    assert_eq!(address.property("expiresIn"), Some("2"));
    let second = first.after(&first.renew(&world).await);
    assert_ne!((&second.access, &second.refresh), (&first.access, &first.refresh));
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200, "the old token is still good");
    flow.token = second.access.clone();
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200, "the new one is, too");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 401);
    let third = second.after(&second.renew(&world).await);
    flow.token = third.access.clone();
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200, "a late renewal is as good");
    flow.token = first.access.clone();
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 401);
    assert_eq!(error(&first.renew(&world).await), is(400, "invalid_grant"), "two renewals ago");
}

#[actix_web::test]
async fn renewals_at_the_same_time_get_one_answer() {
    let (source, world) = (broker(), provider(300).await);
    let first = Pair::of(&renewable(&world, "tp-1", &source.url).await);
    let replies = join_all((0..8).map(|_| first.renew(&world))).await;
    let pairs: Vec<Pair> = replies.iter().map(|reply| first.after(reply)).collect();
    assert!(pairs.iter().all(|pair| pair.access == pairs[0].access && pair.refresh == pairs[0].refresh));
    let next = pairs[0].after(&pairs[0].renew(&world).await);
    assert_ne!(next.access, pairs[0].access);
}

#[actix_web::test]
async fn tokens_survive_a_restart_and_a_lost_answer_is_made_good() {
    let (source, mut world) = (broker(), provider(300).await);
    let mut flow = renewable(&world, "tp-1", &source.url).await;
    let first = Pair::of(&flow);
    let lost = first.after(&first.renew(&world).await);
    world.plane.take().unwrap().kill().await;
    world.start().await;
    let stored = std::fs::read(world.folder.path().join("data/flows.redb")).unwrap();
    for secret in [&first.refresh, &lost.refresh, &lost.access] {
        assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()), "only hashes are kept");
    }
    let second = first.after(&first.renew(&world).await);
    flow.token = second.access.clone();
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    flow.token = lost.access.clone();
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 401, "nobody had got that one");
    second.after(&second.renew(&world).await);
}

#[actix_web::test]
async fn who_may_not_renew() {
    let (source, world) = (broker(), provider(300).await);
    let flow = renewable(&world, "tp-1", &source.url).await;
    let pair = Pair::of(&flow);
    let asked = || world.control.all().iter().filter(|seen| seen.target.ends_with("/renewal/verify")).count();
    let form = |token: &str| format!("grant_type=refresh_token&refresh_token={token}");
    let jwt = format!("jwt.{}", pair.access);
    for (name, client, form, expected) in [
        ("unknown refresh token", jwt.as_str(), form("nothing-of-ours"), is(400, "invalid_grant")),
        ("no refresh token", &jwt, "grant_type=refresh_token".to_owned(), is(400, "invalid_request")),
        ("no grant type", &jwt, format!("refresh_token={}", pair.refresh), is(400, "invalid_request")),
        ("twice", &jwt, format!("{}&refresh_token=y", form(&pair.refresh)), is(400, "invalid_request")),
        ("another grant", &jwt, "grant_type=password&refresh_token=x".to_owned(), is(400, "unsupported_grant_type")),
        ("no client", "", form(&pair.refresh), is(401, "invalid_client")),
        ("too much", &jwt, "x".repeat(64 * 1024), is(400, "invalid_request")),
    ] {
        assert_eq!(error(&ask(&world, &pair.endpoint, client, &form).await), expected, "{name}");
    }
    assert_eq!(asked(), 0, "strangers do not make us ask");
    assert_eq!(error(&pair.renew_as(&world, "a-stranger").await), is(401, "invalid_client"));
    assert_eq!(error(&pair.renew_as(&world, "jwt.another-access-token").await), is(400, "invalid_grant"));
    assert_eq!(error(&pair.renew_as(&world, "jwt.trouble").await), is(503, "temporarily_unavailable"));
    let other = format!("{}/token/nobody", world.public);
    assert_eq!(error(&ask(&world, &other, &jwt, &form(&pair.refresh)).await), is(400, "invalid_grant"));
    assert_eq!(world.client.send("GET", &pair.endpoint, &[], "").await.status, 405);
    world.signal("POST", &format!("/dataflows/{}/suspend", flow.id), &json!({"messageId": "s"})).await;
    assert_eq!(error(&pair.renew(&world).await), is(400, "invalid_grant"), "the flow stands");
    let (_, resumed) =
        world.signal("POST", &format!("/dataflows/{}/resume", flow.id), &json!({"messageId": "r"})).await;
    assert_eq!(error(&pair.renew(&world).await), is(400, "invalid_grant"), "the pair went with the pause");
    let fresh = Pair::of(&Flow::of(&resumed));
    // The parameters may be in the query.
    let url = format!("{}?{}", fresh.endpoint, form(&fresh.refresh));
    assert_eq!(ask(&world, &url, &format!("jwt.{}", fresh.access), "").await.status, 200);
}

#[actix_web::test]
async fn a_partner_that_cannot_be_verified_gets_a_long_lived_token() {
    let (source, world) = (broker(), provider(2).await);
    let flow = world.pull_http("tp-1", &source.url).await;
    let address = DataAddress::decode(&flow.address).unwrap();
    assert_eq!((address.renewal(), address.property("expiresIn")), (None, Some("600")));
    let silent = World::new("").await;
    let flow = renewable(&silent, "tp-1", &source.url).await;
    assert!(DataAddress::decode(&flow.address).unwrap().renewal().is_none(), "not offered");
}

#[actix_web::test]
async fn a_transfer_lives_longer_than_its_tokens_and_reads_go_on() {
    let (source, provider) = (broker(), provider(2).await);
    let flow = renewable(&provider, "tp-1", &source.url).await;
    let mut consumer = World::under(control(), "[renewal]\nrequired = true").await;
    let id = consumer.consume("tp-2", &flow.address, &[]).await;
    let url = format!("{}/flows/tp-2", consumer.local);
    let begun = Instant::now();
    let mut stream = consumer.client.open("GET", &format!("{url}/endless"), &[], "").await.into_body();
    let mut bytes = 0;
    while begun.elapsed() < Duration::from_secs(6) {
        let frame = tokio::time::timeout(Duration::from_secs(1), stream.frame()).await.unwrap().unwrap().unwrap();
        bytes += frame.into_data().map_or(0, |data| data.len());
        if bytes % (100 * 1024) < 1024 {
            assert_eq!(consumer.client.send("GET", &format!("{url}/x"), &[], "").await.status, 200);
        }
    }
    let signed = consumer.control.all().iter().filter(|seen| seen.target.ends_with("/tp-2/renewal/sign")).count();
    assert!(signed >= 3, "renewed {signed} times in 6 s");
    assert_eq!(flow.get(&provider.client, "/x", &[]).await.status, 401, "the first token has ended long ago");
    // A message that is sent again carries the first address, whose token has ended.
    let again = json!({"messageId": "started-tp-2", "dataAddress": flow.address});
    assert_eq!(consumer.signal("POST", &format!("/dataflows/{id}/started"), &again).await.0, 200);
    assert_eq!(consumer.client.send("GET", &format!("{url}/x"), &[], "").await.status, 200);
    drop(stream);
    consumer.plane.take().unwrap().kill().await;
    consumer.start().await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(consumer.client.send("GET", &format!("{url}/x"), &[], "").await.status, 200, "also over a restart");
}

#[actix_web::test]
async fn a_refused_renewal_is_reported_once() {
    let (source, provider) = (broker(), provider(2).await);
    let flow = renewable(&provider, "tp-1", &source.url).await;
    let consumer = World::under(control(), "").await;
    let id = consumer.consume("tp-2", &flow.address, &[]).await;
    provider.signal("POST", &format!("/dataflows/{}/terminate", flow.id), &json!({"messageId": "t"})).await;
    let told = consumer.control.wait(|seen| seen.target == "/transfers/tp-2/dataflow/errored").await.json();
    assert_eq!((told["state"].as_str(), told["dataFlowId"].as_str()), (Some("STARTED"), Some(id.as_str())));
    assert!(told["error"].as_str().unwrap().starts_with("renewal_refused"), "{told}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let times = consumer.control.all().iter().filter(|seen| seen.target.ends_with("/dataflow/errored")).count();
    assert_eq!(times, 1);
}

#[actix_web::test]
async fn a_refresh_endpoint_inside_our_network_is_not_called() {
    let (source, inside) = (broker(), broker());
    let mut consumer = World::under(control(), "").await;
    let address = DataAddress::bearer(dps_signaling::HTTP_PULL, &source.url, "T", Some(1));
    let address = address.renewable("R", &inside.url.replace("127.0.0.1", "10.0.0.1"));
    consumer.consume("tp-1", &address.encode(), &[]).await;
    consumer.control.wait(|seen| seen.target == "/transfers/tp-1/dataflow/errored").await;
    consumer.plane.take().unwrap().stop().await;
    assert!(inside.all().is_empty());
}
