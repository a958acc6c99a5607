//! Writing, as clients see it: the program asked over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.json");
    std::fs::write(&data, json!([{"id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": 1}]).to_string()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_ngsi-ld-source"))
        .arg("--data")
        .arg(&data)
        .arg("--port-file")
        .arg(folder.path().join("port"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running { child, root: String::new(), _folder: folder };
    let begun = Instant::now();
    while running.root.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the source did not start");
        match std::fs::read_to_string(running._folder.path().join("port")) {
            Ok(text) => running.root = format!("http://{}/ngsi-ld/v1", text.trim()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    running
}

impl Running {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Option<String>, Value) {
        let client = reqwest::Client::new();
        let mut request = client.request(method.parse().unwrap(), format!("{}{path}", self.root));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, location, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }
}

#[tokio::test]
async fn entities_are_made_changed_and_removed() {
    let running = start();
    let new = json!({"id": "urn:ngsi-ld:Air:2", "type": "Air", "no2": {"type": "Property", "value": 5}});
    let made = running.ask("POST", "/entities", Some(new.clone())).await;
    assert_eq!((made.0, made.1.as_deref()), (201, Some("/ngsi-ld/v1/entities/urn:ngsi-ld:Air:2")));
    assert_eq!(running.ask("POST", "/entities", Some(new)).await.0, 409);
    let one = "/entities/urn:ngsi-ld:Air:2";
    for (method, path, body, status) in [
        ("POST", format!("{one}/attrs"), Some(json!({"pm10": 7})), 204),
        ("POST", format!("{one}/attrs?options=noOverwrite"), Some(json!({"pm10": 8})), 207),
        ("PATCH", format!("{one}/attrs"), Some(json!({"no2": 6, "none": 1})), 207),
        ("PATCH", format!("{one}/attrs/no2"), Some(json!({"unitCode": "GQ"})), 204),
        ("PATCH", format!("{one}/attrs/none"), Some(json!({"unitCode": "GQ"})), 404),
        ("PATCH", one.to_owned(), Some(json!({"pm10": {"value": 9}})), 204),
    ] {
        assert_eq!(running.ask(method, &path, body).await.0, status, "{method} {path}");
    }
    let held = running.ask("GET", one, None).await.2;
    assert_eq!(held["no2"], json!({"type": "Property", "value": 6, "unitCode": "GQ"}));
    assert_eq!(held["pm10"]["value"], 9);
    assert_eq!(running.ask("DELETE", &format!("{one}/attrs/pm10"), None).await.0, 204);
    assert_eq!(running.ask("DELETE", &format!("{one}/attrs/pm10"), None).await.0, 404);
    assert_eq!(running.ask("DELETE", one, None).await.0, 204);
    assert_eq!(running.ask("GET", one, None).await.0, 404);
}

#[tokio::test]
async fn batches_tell_what_they_did() {
    let running = start();
    let two = json!([{"id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": 2}, {"id": "urn:ngsi-ld:Air:3", "type": "Air", "no2": 3}]);
    let created = running.ask("POST", "/entityOperations/create", Some(two.clone())).await;
    assert_eq!((created.0, &created.2["success"]), (207, &json!(["urn:ngsi-ld:Air:3"])));
    assert_eq!(created.2["errors"][0]["error"]["status"], 409);
    assert_eq!(running.ask("POST", "/entityOperations/upsert?options=update", Some(two.clone())).await.0, 204);
    assert_eq!(running.ask("POST", "/entityOperations/merge", Some(two.clone())).await.0, 204);
    let removed =
        running.ask("POST", "/entityOperations/delete", Some(json!(["urn:ngsi-ld:Air:3", "urn:none:1"]))).await;
    assert_eq!((removed.0, &removed.2["errors"][0]["entityId"]), (207, &json!("urn:none:1")));
    assert_eq!(running.ask("POST", "/entityOperations/replace", Some(two)).await.0, 422);
}
