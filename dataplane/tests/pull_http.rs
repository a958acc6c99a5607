//! Pull from an HTTP source: what passes, what does not, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use actix_web::HttpResponse;
use http_body_util::BodyExt;
use policy_plan::{QueryRule, Source};
use serde_json::{Value, json};
use support::{CREDENTIAL, Played, World, before, broker, now_ms};

#[actix_web::test]
async fn path_query_and_headers_pass_and_links_lead_back_to_the_flow() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    assert_eq!(flow.endpoint, format!("{}/flows/{}", world.public, flow.id));
    let reply = flow
        .get(
            &world.client,
            "/ngsi-ld/v1/entities?type=A%20B&q=x%3E1;y&attrs=a&attrs=b",
            &[
                ("accept", "application/ld+json"),
                ("link", "<https://c>; rel=\"x\""),
                ("ngsild-tenant", "t"),
                ("prefer", "body=json"),
                ("if-none-match", "\"z\""),
            ],
        )
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text(), "GET /ngsi-ld/v1/entities?type=A%20B&q=x%3E1;y&attrs=a&attrs=b");
    assert_eq!(reply.header("content-type"), Some("application/ld+json"));
    assert_eq!(reply.header("etag"), Some("\"e1\""));
    assert_eq!(reply.header("ngsild-results-count"), Some("7"));
    assert_eq!(reply.header("ngsild-tenant"), Some("t"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert!(reply.headers.get("server").is_none() && reply.headers.get("set-cookie").is_none());
    let links: Vec<&str> = reply.headers.get_all("link").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(links[0], format!("<{}/ngsi-ld/v1/entities?offset=2>; rel=\"next\"", flow.endpoint));
    assert!(links[1].starts_with("<https://c.example/ctx.jsonld>"));
    let seen = source.last();
    for (name, value) in [
        ("accept", "application/ld+json"),
        ("link", "<https://c>; rel=\"x\""),
        ("ngsild-tenant", "t"),
        ("prefer", "body=json"),
        ("if-none-match", "\"z\""),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[actix_web::test]
async fn f_hop_by_hop_headers_and_credentials_do_not_pass() {
    let source = broker();
    let more = format!("[credentials.broker]\nurl_prefix = \"{}\"\nauthorization = \"{CREDENTIAL}\"", source.url);
    let world = World::new(&more).await;
    let named = Source::Http { base_url: source.url.clone(), credential: Some("broker".into()) };
    let flow = world.pull(&world.plan("tp-1", Some(named))).await;
    let reply = flow
        .get(
            &world.client,
            "/x",
            &[
                ("cookie", "a=b"),
                ("x-forwarded-for", "1.2.3.4"),
                ("forwarded", "for=x"),
                ("x-real-ip", "x"),
                ("proxy-authorization", "x"),
                ("te", "trailers"),
                ("keep-alive", "x"),
                ("connection", "prefer"),
                ("prefer", "x"),
                ("x-unknown", "x"),
            ],
        )
        .await;
    assert_eq!(reply.status, 200);
    let seen = source.last();
    assert_eq!(seen.header("authorization"), Some(CREDENTIAL), "ours, not the caller's");
    for name in [
        "cookie",
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "proxy-authorization",
        "te",
        "keep-alive",
        "prefer",
        "x-unknown",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert!(!format!("{seen:?}").contains(&flow.token));
    assert!(!format!("{reply:?}").contains("broker-credential-canary"));
}

#[actix_web::test]
async fn a_credential_for_another_address_refuses_the_start() {
    let world = World::new("[credentials.broker]\nurl_prefix = \"http://10.0.0.1\"\nauthorization = \"x\"").await;
    let named = Source::Http { base_url: "http://10.0.0.2".into(), credential: Some("broker".into()) };
    let message = world.start_message(&world.plan("tp-1", Some(named)), None);
    let (status, body) = world.signal("POST", "/dataflows/start", &message).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("credential_not_for_source")));
    assert_eq!(body["fault"], "operator");
}

#[actix_web::test]
async fn f_9_2_4_a_token_opens_its_own_flow_only() {
    let source = broker();
    let world = World::new("").await;
    let first = world.pull_http("tp-1", &source.url).await;
    let second = world.pull_http("tp-2", &source.url).await;
    let url = format!("{}/x", second.endpoint);
    for (value, expected) in [
        (format!("Bearer {}", first.token), 401),
        (format!("Bearer {}", second.token), 200),
        (second.token.clone(), 200),
        (format!("bearer {}", second.token), 200),
        (format!("Basic {}", second.token), 401),
        (format!("Bearer {}x", second.token), 401),
        ("Bearer".to_owned(), 401),
        (format!("Bearer {}", support::SECRET), 401),
    ] {
        let reply = world.client.send("GET", &url, &[("authorization", &value)], "").await;
        assert_eq!(reply.status, expected, "{value}");
        if expected == 401 {
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        }
    }
    assert_eq!(world.client.send("GET", &url, &[], "").await.status, 401);
    let unknown = format!("{}/flows/none/x", world.public);
    let reply = world.client.send("GET", &unknown, &[("authorization", &first.token)], "").await;
    assert_eq!(reply.status, 401, "an unknown flow looks like a wrong token");
    assert_eq!(source.all().len(), 3, "nothing reached the source without the token");
}

#[actix_web::test]
async fn an_expired_token_is_refused() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.max_token_seconds = 1;
    let flow = world.pull(&plan).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(flow.get(&world.client, "/x", &[]).await.status, 401);
}

#[actix_web::test]
async fn what_the_dataset_does_not_admit_is_refused_with_the_reason() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.admission.methods = vec!["GET".into()];
    plan.admission.paths = vec!["/ngsi-ld/v1/entities".into(), "/ngsi-ld/v1/entities/*".into()];
    plan.admission.query = Some(vec![
        QueryRule { name: "type".into(), values: Some(vec!["A".into(), "B".into()]), required: false },
        QueryRule { name: "limit".into(), values: None, required: false },
    ]);
    let flow = world.pull(&plan).await;
    for (method, path, status, code) in [
        ("GET", "/ngsi-ld/v1/entities?type=A,B&limit=5", 200, ""),
        ("GET", "/ngsi-ld/v1/entities/urn:x", 200, ""),
        ("POST", "/ngsi-ld/v1/entities", 405, "method_not_admitted"),
        ("DELETE", "/ngsi-ld/v1/entities", 405, "method_not_admitted"),
        ("TRACE", "/ngsi-ld/v1/entities", 405, "method_not_admitted"),
        ("GET", "/ngsi-ld/v1/subscriptions", 403, "path_not_admitted"),
        ("GET", "/admin", 403, "path_not_admitted"),
        ("GET", "", 403, "path_not_admitted"),
        ("GET", "/ngsi-ld/v1/entities?type=C", 403, "query_not_admitted"),
        ("GET", "/ngsi-ld/v1/entities?options=sysAttrs", 403, "query_not_admitted"),
        ("GET", "/ngsi-ld/v1/entities/%2e%2e/subscriptions", 400, "path_not_safe"),
        ("GET", "/ngsi-ld/v1/entities/..%2fsubscriptions", 400, "path_not_safe"),
        ("GET", "/ngsi-ld//v1/entities", 400, "path_not_safe"),
        ("GET", "/ngsi-ld/v1/entities/a%5cb", 400, "path_not_safe"),
        ("GET", "/ngsi-ld/v1/entities/a%00", 400, "path_not_safe"),
    ] {
        let before = source.all().len();
        let reply = flow.ask(&world.client, method, path, &[]).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        if status != 200 {
            assert_eq!(reply.json()["code"], code, "{method} {path}");
            assert_eq!(reply.json()["fault"], "caller");
            assert_eq!(source.all().len(), before, "{method} {path} reached the source");
        }
        if status == 405 && method != "TRACE" {
            assert_eq!(reply.header("allow"), Some("GET"));
        }
    }
}

#[actix_web::test]
async fn the_agreement_refuses_with_rule_and_fact() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.rules = before(now_ms() - 1000);
    let flow = world.pull(&plan).await;
    let reply = flow.get(&world.client, "/x", &[]).await;
    assert_eq!(reply.status, 403);
    let problem = reply.json();
    assert_eq!(problem["code"], "policy_denies");
    assert_eq!(problem["rule"], "dateTime lt the end of the contract");
    assert!(problem["fact"].as_str().unwrap().starts_with("dateTime = "));
    assert!(source.all().is_empty());
}

#[actix_web::test]
async fn the_sources_own_answers_pass_and_its_silence_is_ours() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    for status in [204, 304, 400, 404, 409, 500, 503] {
        let reply = flow.get(&world.client, &format!("/status/{status}"), &[]).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.text(), if matches!(status, 204 | 304) { "" } else { "{\"own\":true}" });
        // The connection must still be usable: a stray byte would break the next exchange.
        assert_eq!(flow.get(&world.client, "/x", &[]).await.text(), "GET /x");
    }
    let head = flow.ask(&world.client, "HEAD", "/x", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("7"), 0));
}

#[actix_web::test]
async fn a_source_that_breaks_off_or_pauses_breaks_the_answer() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    let authorization = format!("Bearer {}", flow.token);
    for path in ["/broken", "/slow"] {
        let url = format!("{}{path}", flow.endpoint);
        let reply = world.client.open("GET", &url, &[("authorization", &authorization)], "").await;
        assert_eq!(reply.status(), 200, "the head was already there");
        assert!(reply.into_body().collect().await.is_err(), "{path}: the reader must not see a regular end");
    }
}

#[actix_web::test]
async fn an_unreachable_source_is_502_and_a_silent_one_504() {
    let world = World::new("").await;
    let port = support::free_port();
    let flow = world.pull_http("tp-1", &format!("http://127.0.0.1:{port}")).await;
    let reply = flow.get(&world.client, "/x", &[]).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (502, Some("source_unreachable")));
    assert!(!reply.text().contains(&port.to_string()), "the source's address stays inside");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let flow = world.pull_http("tp-2", &format!("http://{}", silent.local_addr().unwrap())).await;
    let reply = flow.get(&world.client, "/x", &[]).await;
    assert_eq!((reply.status, reply.json()["fault"].as_str()), (504, Some("source")));
}

#[actix_web::test]
async fn a_request_body_is_streamed_and_limited() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    let body = vec![b'a'; 3_000_000];
    let authorization = format!("Bearer {}", flow.token);
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let url = format!("{}/ngsi-ld/v1/entityOperations/query", flow.endpoint);
    let reply = world.client.send("POST", &url, &headers, body.clone()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(source.last().body.len(), body.len());
    assert_eq!(source.last().header("content-type"), Some("application/json"));
    let reply = world.client.send("POST", &url, &headers, vec![b'a'; 17 * 1024 * 1024]).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (413, Some("body_too_large")));
    let problem: Value = reply.json();
    assert_eq!(problem["fault"], "caller");
}

#[actix_web::test]
async fn c_4_2_1_requests_that_two_servers_could_read_differently_are_refused() {
    let source = broker();
    let world = World::new("").await;
    let flow = world.pull_http("tp-1", &source.url).await;
    let address = world.public.trim_start_matches("http://").to_owned();
    for (name, head, body) in [
        ("both lengths", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", "abcdef"),
        ("length with a sign", "Content-Length: +5\r\n", "abcde"),
        ("a length beyond all numbers", "Content-Length: 99999999999999999999\r\n", ""),
        ("folded header", "X-A: b\r\n c\r\n", ""),
        ("space before the colon", "Content-Length : 5\r\n", "abcde"),
    ] {
        let request = format!(
            "POST /flows/{}/x HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n{head}\r\n{body}",
            flow.id, flow.token
        );
        let address = address.clone();
        let answer = actix_web::web::block(move || {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(std::time::Duration::from_secs(3))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            let mut buffer = [0; 4096];
            while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read) if read > 0 => answer.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            String::from_utf8_lossy(&answer).into_owned()
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{name}: {answer}");
        assert!(source.all().is_empty(), "{name} reached the source");
    }
}

#[actix_web::test]
async fn a_proxy_may_serve_us_below_a_path() {
    let source = broker();
    let control = Played::start(|_| HttpResponse::Ok().json(json!({})));
    let world = World::configured(control, "", |config| {
        let listens = config.split("listen = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        config.replacen("[public]", &format!("[public]\npublic_url = \"http://{listens}/data/0/\""), 1)
    })
    .await;
    let flow = world.pull_http("tp-1", &source.url).await;
    assert_eq!(flow.endpoint, format!("{}/data/0/flows/{}", world.public, flow.id));
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities", &[]).await;
    assert_eq!((reply.status, reply.text()), (200, "GET /ngsi-ld/v1/entities".into()));
    let link = reply.header("link").unwrap();
    assert_eq!(link, format!("<{}/ngsi-ld/v1/entities?offset=2>; rel=\"next\"", flow.endpoint));

    // A proxy that takes the path away is as good; another path is not ours.
    let authorization = format!("Bearer {}", flow.token);
    for (base, status) in [("", 200), ("/data/1", 404), ("/data/00", 404)] {
        let url = format!("{}{base}/flows/{}/ngsi-ld/v1/entities", world.public, flow.id);
        let reply = world.client.send("GET", &url, &[("authorization", &authorization)], String::new()).await;
        assert_eq!(reply.status, status, "{base}");
    }
}
