//! The program as its clients see it: started on a free port, asked over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

struct Running {
    child: Child,
    root: String,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn entities() -> Value {
    let mut all: Vec<Value> = (0..7)
        .map(|at| {
            json!({
                "id": format!("urn:ngsi-ld:AirQualityObserved:{at}"), "type": "AirQualityObserved",
                "no2": {"type": "Property", "value": 10 * at, "unitCode": "GQ", "observedAt": "2026-03-01T12:00:00Z"},
                "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [18.6, 56.0 + 0.01 * f64::from(at)]}},
                "@context": "https://example.org/air.jsonld"
            })
        })
        .collect();
    all.push(json!({"id": "urn:ngsi-ld:Bridge:1", "type": "Bridge", "name": "Old Bridge"}));
    Value::Array(all)
}

fn start(more: &[&str]) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("data.json"), entities().to_string()).unwrap();
    std::fs::write(
        path("harbour.json"),
        json!([{"id": "urn:ngsi-ld:Crane:1", "type": "Crane", "load": 3}]).to_string(),
    )
    .unwrap();
    let history = json!([{"id": "urn:ngsi-ld:AirQualityObserved:1", "type": "AirQualityObserved",
        "no2": {"type": "Property", "values": [[5, "2026-03-01T10:00:00Z"], [7, "2026-03-01T11:00:00Z"]]}}]);
    std::fs::write(path("history.json"), history.to_string()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_ngsi-ld-source"))
        .arg("--data")
        .arg(path("data.json"))
        .arg("--history")
        .arg(path("history.json"))
        .arg("--tenant")
        .arg(format!("harbour={}", path("harbour.json").display()))
        .arg("--port-file")
        .arg(path("port"))
        .args(more)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running { child, root: String::new(), _folder: folder };
    let begun = Instant::now();
    while running.root.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the source did not start");
        assert!(running.child.try_wait().unwrap().is_none(), "the source ended");
        match std::fs::read_to_string(running._folder.path().join("port")) {
            Ok(text) => running.root = format!("http://{}/ngsi-ld/v1", text.trim()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    running
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn links(&self) -> Vec<&str> {
        self.headers.get_all("link").iter().map(|value| value.to_str().unwrap()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.json().as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }
}

async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

async fn get(running: &Running, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = reqwest::Client::new().get(format!("{}{path}", running.root));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

const AIR: &str = "/entities?type=AirQualityObserved";

#[tokio::test]
async fn pages_count_and_links() {
    let running = start(&[]);
    let first = get(&running, &format!("{AIR}&limit=3&count=true"), &[]).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("ngsild-results-count"), "7");
    assert_eq!(first.header("content-type"), "application/json");
    let mut seen = first.ids();
    let mut next = first.links().into_iter().find(|link| link.contains("rel=\"next\"")).map(str::to_owned);
    assert!(!first.links().iter().any(|link| link.contains("rel=\"prev\"")));
    while let Some(link) = next {
        let address = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        let page = send(reqwest::Client::new().get(address)).await;
        assert!(page.links().iter().any(|link| link.contains("rel=\"prev\"")));
        seen.extend(page.ids());
        next = page.links().into_iter().find(|link| link.contains("rel=\"next\"")).map(str::to_owned);
    }
    let all: Vec<String> = (0..7).map(|at| format!("urn:ngsi-ld:AirQualityObserved:{at}")).collect();
    assert_eq!(seen, all);
    let counted = get(&running, &format!("{AIR}&limit=0&count=true"), &[]).await;
    assert_eq!((counted.text.as_str(), counted.header("ngsild-results-count")), ("[]", "7"));
    assert!(counted.links().is_empty(), "an empty answer carries no context");
}

#[tokio::test]
async fn media_types_and_contexts() {
    let running = start(&[]);
    let context = "https://example.org/air.jsonld";
    let json = get(&running, AIR, &[]).await;
    assert_eq!(
        json.links(),
        [format!("<{context}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"")]
    );
    assert!(json.json()[0].get("@context").is_none());
    let core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld";
    let link = format!("<{core}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
    let ld = get(&running, AIR, &[("accept", "application/ld+json"), ("link", &link)]).await;
    assert_eq!(ld.header("content-type"), "application/ld+json");
    assert!(ld.links().is_empty());
    assert_eq!(ld.json()[0]["@context"], core);
    let geo = get(&running, &format!("{AIR}&options=keyValues"), &[("accept", "application/geo+json")]).await;
    assert_eq!(geo.json()["type"], "FeatureCollection");
    assert_eq!(geo.json()["features"][0]["geometry"]["type"], "Point");
    assert_eq!(geo.json()["features"][0]["properties"]["no2"], 0);
    let feature =
        get(&running, "/entities/urn:ngsi-ld:AirQualityObserved:1", &[("accept", "application/geo+json")]).await;
    assert_eq!(feature.json()["type"], "Feature");
    let unknown = "<https://example.org/other.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\"";
    let refused = get(&running, AIR, &[("link", unknown)]).await;
    assert_eq!(refused.status, 504);
    assert_eq!(refused.json()["type"], "https://uri.etsi.org/ngsi-ld/errors/LdContextNotAvailable");
    assert_eq!(get(&running, AIR, &[("accept", "text/html")]).await.status, 406);
}

#[tokio::test]
async fn filters_reach_the_query() {
    let running = start(&[]);
    for (path, expected) in [
        ("/entities?type=*", 8),
        ("/entities?local=true", 8),
        ("/entities?type=Bridge,AirQualityObserved", 8),
        ("/entities?type=Bridge&q=name==%22Old%20Bridge%22", 1),
        ("/entities?type=AirQualityObserved&q=no2%3E=40", 3),
        ("/entities?type=AirQualityObserved&idPattern=:%5B0-2%5D$", 3),
        ("/entities?type=AirQualityObserved&id=urn:ngsi-ld:AirQualityObserved:1,urn:ngsi-ld:AirQualityObserved:9", 1),
        ("/entities?attrs=name", 1),
        (
            "/entities?type=AirQualityObserved&georel=near;maxDistance==1200&geometry=Point&coordinates=%5B18.6,56.0%5D",
            2,
        ),
        ("/entities?type=*&q=no2.observedAt%3E2026-03-01T12:00:00Z", 0),
    ] {
        let answer = get(&running, path, &[]).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(answer.ids().len(), expected, "{path}");
    }
    let picked = get(&running, "/entities?type=Bridge&pick=id,name&format=simplified", &[]).await;
    assert_eq!(picked.json(), json!([{"id": "urn:ngsi-ld:Bridge:1", "name": "Old Bridge"}]));
}

#[tokio::test]
async fn queries_by_body_follow_the_context_rules() {
    let running = start(&[]);
    let post = |kind: &'static str, body: Value| {
        let address = format!("{}/entityOperations/query?limit=2&count=true&format=simplified", running.root);
        send(reqwest::Client::new().post(address).header("content-type", kind).body(body.to_string()))
    };
    let query = json!({"type": "Query", "entities": [{"type": "AirQualityObserved"}], "q": "no2>0"});
    let answer = post("application/json", query.clone()).await;
    assert_eq!((answer.status, answer.header("ngsild-results-count"), answer.ids().len()), (200, "6", 2));
    let mut with_context = query.clone();
    with_context["@context"] = json!("https://example.org/air.jsonld");
    assert_eq!(post("application/json", with_context.clone()).await.status, 400);
    assert_eq!(post("application/ld+json", with_context).await.status, 200);
    assert_eq!(post("application/ld+json", query.clone()).await.status, 400);
    assert_eq!(post("text/plain", query).await.status, 415);
    assert_eq!(post("application/json", json!({"type": "Query"})).await.status, 400);
}

#[tokio::test]
async fn history_is_served() {
    let running = start(&[]);
    let one = "/temporal/entities/urn:ngsi-ld:AirQualityObserved:1?options=temporalValues&attrs=no2";
    let values = |answer: &Answer| answer.json()["no2"]["values"].clone();
    let all = get(&running, one, &[]).await;
    let expected = json!([[5, "2026-03-01T10:00:00Z"], [7, "2026-03-01T11:00:00Z"], [10, "2026-03-01T12:00:00Z"]]);
    assert_eq!(values(&all), expected);
    let between = "&timerel=between&timeAt=2026-03-01T10:00:00Z&endTimeAt=2026-03-01T11:00:00Z";
    assert_eq!(values(&get(&running, &format!("{one}{between}"), &[]).await), json!([[5, "2026-03-01T10:00:00Z"]]));
    assert_eq!(values(&get(&running, &format!("{one}&lastN=1"), &[]).await), json!([[10, "2026-03-01T12:00:00Z"]]));
    let query = "/temporal/entities?type=AirQualityObserved&timerel=before&timeAt=2026-03-01T12:00:00Z&count=true";
    let found = get(&running, query, &[]).await;
    assert_eq!((found.ids().len(), found.header("ngsild-results-count")), (1, "1"));
    assert_eq!(found.json()[0]["no2"][1]["value"], 7);
    assert_eq!(get(&running, "/temporal/entities?type=AirQualityObserved", &[]).await.status, 400);
}

#[tokio::test]
async fn types_and_attributes_are_described() {
    let running = start(&[]);
    let types = get(&running, "/types", &[]).await;
    assert_eq!(types.json()["typeList"], json!(["AirQualityObserved", "Bridge"]));
    let air = get(&running, "/types/AirQualityObserved", &[]).await;
    assert_eq!((&air.json()["entityCount"], &air.json()["type"]), (&json!(7), &json!("EntityTypeInfo")));
    let attributes = get(&running, "/attributes?details=true", &[]).await;
    assert_eq!(attributes.json()[1]["attributeName"], "name");
    assert_eq!(get(&running, "/attributes/no2", &[]).await.json()["attributeTypes"], json!(["Property"]));
    assert_eq!(get(&running, "/types/Car", &[]).await.status, 404);
}

#[tokio::test]
async fn tenants_and_errors() {
    let running = start(&[]);
    let harbour = get(&running, "/entities?type=Crane", &[("NGSILD-Tenant", "harbour")]).await;
    assert_eq!((harbour.ids().len(), harbour.header("ngsild-tenant")), (1, "harbour"));
    assert_eq!(get(&running, "/entities?type=Crane", &[]).await.json(), json!([]));
    let unknown = get(&running, AIR, &[("NGSILD-Tenant", "moon")]).await;
    assert_eq!((unknown.status, unknown.header("ngsild-tenant")), (404, "moon"));
    assert_eq!(unknown.json()["type"], "https://uri.etsi.org/ngsi-ld/errors/NonexistentTenant");
    for (path, status, kind) in [
        ("/entities", 400, "BadRequestData"),
        ("/entities?type=A&q=a==", 400, "BadRequestData"),
        ("/entities?type=A&colour=red", 400, "InvalidRequest"),
        ("/entities?type=A&join=inline", 422, "OperationNotSupported"),
        ("/entities?type=A&geometryProperty=location", 400, "BadRequestData"),
        ("/entities/urn:ngsi-ld:None", 404, "ResourceNotFound"),
        ("/entities/urn:ngsi-ld:Bridge:1?attrs=height", 404, "ResourceNotFound"),
        ("/entityMaps", 404, "ResourceNotFound"),
    ] {
        let answer = get(&running, path, &[("accept", "application/ld+json")]).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        assert_eq!(answer.json()["type"], format!("https://uri.etsi.org/ngsi-ld/errors/{kind}"), "{path}");
        assert_eq!(answer.json()["status"], status, "{path}");
    }
    let put = send(reqwest::Client::new().put(format!("{}/entities", running.root)).body("{}")).await;
    assert_eq!((put.status, put.header("allow")), (405, "GET, HEAD, POST"));
}

#[tokio::test]
async fn conditional_requests_and_head() {
    let running = start(&[]);
    let first = get(&running, AIR, &[]).await;
    let tag = first.header("etag").to_owned();
    let again = get(&running, AIR, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", tag.as_str()));
    assert_eq!(get(&running, AIR, &[("if-none-match", "\"other\"")]).await.status, 200);
    let ld = get(&running, AIR, &[("if-none-match", &tag), ("accept", "application/ld+json")]).await;
    assert_eq!(ld.status, 200, "another representation has another tag");
    let head = send(reqwest::Client::new().head(format!("{}{AIR}", running.root))).await;
    assert_eq!((head.status, head.text.as_str(), head.header("etag")), (200, "", tag.as_str()));
}

#[tokio::test]
async fn credentials_are_asked_for_when_told_so() {
    let running = start(&["--require-authorization", "s3cret"]);
    let without = get(&running, AIR, &[]).await;
    assert_eq!((without.status, without.header("www-authenticate")), (401, "Bearer"));
    assert!(!without.text.contains("s3cret"));
    assert_eq!(get(&running, AIR, &[("authorization", "Bearer other")]).await.status, 401);
    assert_eq!(get(&running, AIR, &[("authorization", "Bearer s3cret")]).await.status, 200);
}

#[tokio::test]
async fn live_values_change() {
    let running = start(&["--live", "1"]);
    let path = "/entities/urn:ngsi-ld:AirQualityObserved:6?options=keyValues&attrs=no2";
    let first = get(&running, path, &[]).await.text;
    let begun = Instant::now();
    while get(&running, path, &[]).await.text == first {
        assert!(begun.elapsed() < Duration::from_secs(15), "the value did not change");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn subscribers_are_told_of_changes_until_they_end() {
    let running = start(&["--live", "1"]);
    let client = reqwest::Client::new();
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let body = json!({"type": "Subscription", "entities": [{"type": "AirQualityObserved"}], "watchedAttributes": ["no2"],
        "notification": {"attributes": ["no2"], "endpoint": {"uri": format!("http://{}/in", receiver.local_addr().unwrap())}}});
    let url = format!("{}/subscriptions", running.root);
    let made = client.post(&url).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let one =
        format!("{}{}", running.root.trim_end_matches("/ngsi-ld/v1"), made.headers()["location"].to_str().unwrap());
    let (mut socket, _) = tokio::time::timeout(Duration::from_secs(20), receiver.accept()).await.unwrap().unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains("urn:ngsi-ld:AirQualityObserved:6") {
        let read = tokio::io::AsyncReadExt::read(&mut socket, &mut buffer).await.unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(
        text.starts_with("POST /in ") && text.contains("https://example.org/air.jsonld") && !text.contains("location")
    );
    assert_eq!(client.get(&url).send().await.unwrap().json::<Value>().await.unwrap().as_array().unwrap().len(), 1);
    assert_eq!(client.delete(&one).send().await.unwrap().status(), 204);
    assert_eq!(client.get(&one).send().await.unwrap().status(), 404);
    let wrong = json!({"type": "Subscription", "throttling": 5});
    assert_eq!(client.post(&url).json(&wrong).send().await.unwrap().status(), 422);
}

#[tokio::test]
async fn batches_create_replace_and_delete() {
    let source = start(&[]);
    let client = reqwest::Client::new();
    let post = |path: &str, body: Value| {
        let request = client.post(format!("{}/entityOperations/{path}", source.root)).json(&body);
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let bench =
        |id: &str, seats: u32| json!({"id": id, "type": "Bench", "seats": {"type": "Property", "value": seats}});
    let (status, text) = post("upsert", json!([bench("urn:b:1", 2), bench("urn:b:2", 3)])).await;
    assert_eq!((status, serde_json::from_str::<Value>(&text).unwrap()), (201, json!(["urn:b:1", "urn:b:2"])));
    assert_eq!(post("upsert", json!([bench("urn:b:1", 4)])).await.0, 204);
    let (status, text) = post("upsert", json!([{"id": "urn:b:3"}, bench("urn:b:4", 1)])).await;
    assert_eq!(status, 207);
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&result["success"], &result["errors"][0]["entityId"]), (&json!(["urn:b:4"]), &json!("urn:b:3")));
    let read = |path: String| {
        let request = client.get(format!("{}/{path}", source.root));
        async move { request.send().await.unwrap() }
    };
    let all: Value = read("entities?type=Bench&options=keyValues".into()).await.json().await.unwrap();
    assert_eq!(all[0]["seats"], 4);
    assert_eq!(post("delete", json!(["urn:b:1", "urn:b:2"])).await.0, 204);
    let (status, text) = post("delete", json!(["urn:b:1", "urn:b:4"])).await;
    assert_eq!(status, 207);
    let result: Value = serde_json::from_str(&text).unwrap();
    assert!(result["errors"][0]["error"]["type"].as_str().unwrap().ends_with("ResourceNotFound"));
    assert_eq!(read("entities/urn:b:4".into()).await.status().as_u16(), 404);
    assert_eq!(read("entities/urn:ngsi-ld:Bridge:1".into()).await.status().as_u16(), 200);
    for (path, body) in [("upsert", json!({})), ("upsert", json!([])), ("delete", json!([]))] {
        let (status, _) = post(path, body).await;
        assert!((400..500).contains(&status), "{path}");
    }
    let inline = json!([{"id": "urn:b:9", "type": "Bench", "@context": "https://example.org/air.jsonld"}]);
    assert_eq!(post("upsert", inline).await.0, 400, "a context belongs to JSON-LD");
}

#[tokio::test]
async fn registered_sources_are_asked_too() {
    let (here, there) = (start(&[]), start(&[]));
    let client = reqwest::Client::new();
    let bench =
        |id: &str, seats: u32| json!({"id": id, "type": "Bench", "seats": {"type": "Property", "value": seats}});
    for (source, benches) in [
        (&here, json!([bench("urn:b:1", 1)])),
        (&there, json!([bench("urn:b:1", 9), bench("urn:b:2", 2), bench("urn:c:3", 3)])),
    ] {
        let written = client.post(format!("{}/entityOperations/upsert", source.root)).json(&benches).send().await;
        assert_eq!(written.unwrap().status().as_u16(), 201);
    }
    let registration = |endpoint: &str| {
        json!({"id": "urn:r:1", "type": "ContextSourceRegistration", "endpoint": endpoint.trim_end_matches("/ngsi-ld/v1"),
            "information": [{"entities": [{"type": "Bench", "idPattern": "^urn:b:"}]}]})
    };
    let register = |source: &Running, body: Value| {
        let request = client.post(format!("{}/csourceRegistrations", source.root)).json(&body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(register(&here, registration(&there.root)).await, 201);
    assert_eq!(register(&here, registration(&there.root)).await, 409);
    let found = get(&here, "/entities?type=Bench&options=keyValues&q=seats%3E0", &[]).await.json();
    let seats: Vec<(&str, u64)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), one["seats"].as_u64().unwrap()))
        .collect();
    assert_eq!(seats, [("urn:b:1", 1), ("urn:b:2", 2)], "what lies here counts; no more than is registered");
    assert_eq!(get(&here, "/entities/urn:b:2", &[]).await.json()["seats"]["value"], 2);
    assert_eq!(get(&here, "/entities/urn:c:3", &[]).await.status, 404);
    assert_eq!(get(&here, "/entities?type=Bench&local=true", &[]).await.json().as_array().unwrap().len(), 1);
    // Each asks the other: the circle ends, and what lies in both is found.
    assert_eq!(register(&there, registration(&here.root)).await, 201);
    assert_eq!(get(&here, "/entities?type=Bench", &[]).await.json().as_array().unwrap().len(), 2);
    let removed = client.delete(format!("{}/csourceRegistrations/urn:r:1", here.root)).send().await.unwrap();
    assert_eq!(removed.status().as_u16(), 204);
    assert_eq!(get(&here, "/csourceRegistrations", &[]).await.json(), json!([]));
    assert_eq!(get(&here, "/entities?type=Bench", &[]).await.json().as_array().unwrap().len(), 1);
}
