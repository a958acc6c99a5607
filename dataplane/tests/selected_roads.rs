//! The rules of a selection on every road: brokers that page, tables, files that are read, and what is pushed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use actix_web::{HttpRequest, HttpResponse};
use dps_signaling::{DataAddress, HTTP_PUSH};
use policy_plan::{Selection, Source};
use serde_json::{Value, json};
use support::{Flow, Played, Reply, World, now_ms, write};

const CONTEXT: &str = "https://city.example/context.jsonld";
const CANARY: &str = "CANARY";

/// Public stations near the square, what is a quarter of an hour old, and no owners.
fn selection(more: &Value) -> Selection {
    let names = ["Air", "no2", "owner", "state", "plate"];
    let terms: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), format!("https://m/{name}").into())).collect();
    let mut value = json!({
        "types": ["https://m/Air"],
        "attributes": [{"name": "https://m/no2"}, {"name": "https://m/owner"}],
        "contexts": [{"url": CONTEXT, "terms": terms}],
        "assumedContext": CONTEXT,
        "rows": {"q": "https://m/state==\"public\""},
        "time": {"minAgeSeconds": 900},
        "personal": {"mode": "remove", "marking": {"https://m/Air": {"personal": ["https://m/owner"]}}},
    });
    for (name, member) in more.as_object().unwrap() {
        value[name] = member.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn moment(age_seconds: i64) -> String {
    policy_plan::instant_text(now_ms() - age_seconds * 1000)
}

fn entity(number: u32, state: &str, age_seconds: i64) -> Value {
    let shown = state == "public" && age_seconds > 900;
    let value = if shown { json!(number) } else { json!(CANARY) };
    json!({"id": format!("urn:ngsi-ld:Air:{number}"), "type": "Air",
        "no2": {"type": "Property", "value": value, "observedAt": moment(age_seconds)},
        "owner": {"type": "Property", "value": CANARY, "observedAt": moment(age_seconds)},
        "state": {"type": "Property", "value": state}, "plate": {"type": "Property", "value": CANARY}})
}

/// Of these the second and the last are shown.
fn entities() -> Value {
    json!([entity(1, "secret", 5000), entity(2, "public", 5000), entity(3, "public", 10), entity(4, "public", 1000)])
}

fn table() -> String {
    let row = |n: u32, state: &str, age: i64, value: &str| {
        format!("{CANARY},urn:ngsi-ld:Air:{n},Air,{},{value},{state}\n", moment(age))
    };
    let rows = [
        row(1, "secret", 5000, CANARY),
        row(2, "public", 5000, "2"),
        row(3, "public", 10, CANARY),
        row(4, "public", 1000, "4"),
    ];
    format!("owner,id,type,observedAt,no2,state\n{}", rows.concat())
}

/// A broker that tells all it has, whatever it is asked, in two pages.
fn broker() -> Played {
    Played::start(|request: &HttpRequest| {
        let link = format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\"");
        let mut answer = HttpResponse::Ok();
        answer.insert_header(("link", link)).insert_header(("ngsild-results-count", CANARY));
        if !request.query_string().contains("offset") {
            let next = format!("<http://gateway{}&offset=2&state={CANARY}>; rel=\"next\"", request.uri());
            answer.append_header(("link", next.replace("&state", "#")));
        }
        let accept = request.headers().get("accept").unwrap().to_str().unwrap();
        if accept == "text/csv" {
            return answer.content_type("text/csv").body(table());
        }
        let all = entities();
        let half =
            if request.query_string().contains("offset") { json!([all[2], all[3]]) } else { json!([all[0], all[1]]) };
        answer.content_type("application/json").body(half.to_string())
    })
}

fn assert_clean(reply: &Reply) {
    assert!(!format!("{} {:?}", reply.text(), reply.headers).contains(CANARY), "{reply:?} {}", reply.text());
}

fn ids(text: &str) -> Vec<u32> {
    (1..=4).filter(|number| text.contains(&format!("urn:ngsi-ld:Air:{number}"))).collect()
}

#[actix_web::test]
async fn a_broker_is_asked_for_less_and_its_pages_do_not_tell() {
    let source = broker();
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.selection = Some(selection(&json!({})));
    let flow = world.pull(&plan).await;
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities?type=Air", &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_clean(&reply);
    assert_eq!(ids(&reply.text()), [2, 4], "both pages of the source are one of ours");
    assert!(!reply.text().contains("owner") && !reply.text().contains("state"));
    assert!(source.last().target.contains("q=state%3D%3D%22public%22"), "{}", source.last().target);
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities?type=Air&limit=1&count=true", &[]).await;
    assert_eq!((reply.status, ids(&reply.text())), (200, vec![2]), "{}", reply.text());
    assert_eq!(reply.header("ngsild-results-count"), Some("2"), "of what is shown");
    assert_clean(&reply);
    let mut links = reply.headers.get_all("link").iter().filter_map(|link| link.to_str().ok());
    let next = links.next_back().unwrap().to_owned();
    assert!(next.contains("rel=\"next\"") && next.contains("offset=1") && !next.contains("state"), "{next}");
    let next = next.split(['<', '>']).nth(1).unwrap().replace(&flow.endpoint, "");
    let reply = flow.get(&world.client, &next, &[]).await;
    assert_eq!((reply.status, ids(&reply.text())), (200, vec![4]), "{}", reply.text());
    assert!(!reply.headers.get_all("link").iter().any(|link| link.to_str().unwrap().contains("\"next\"")));
    let reply = flow.get(&world.client, "/ngsi-ld/v1/entities", &[("accept", "text/csv")]).await;
    assert_eq!((reply.status, ids(&reply.text())), (200, vec![2, 4]), "{}", reply.text());
    assert_clean(&reply);
    assert!(reply.text().starts_with("id,type,observedAt,no2\r\n"), "{}", reply.text());
    for path in ["?q=state==%22secret%22", "?q=no2%3E1", "?attrs=owner"] {
        let reply = flow.get(&world.client, &format!("/ngsi-ld/v1/entities{path}"), &[]).await;
        assert_eq!(reply.status, 403, "{path}");
    }
}

#[actix_web::test]
async fn a_cut_series_is_not_taken_for_a_whole_one() {
    let source = Played::start(|_| {
        let series = json!([{"id": "urn:ngsi-ld:Air:1", "type": "Air", "no2": [
            {"type": "Property", "value": 1, "observedAt": "2026-01-01T00:00:00Z"}]}]);
        HttpResponse::PartialContent()
            .insert_header(("link", format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"")))
            .content_type("application/json")
            .body(series.to_string())
    });
    let world = World::new("").await;
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.selection = Some(selection(&json!({"rows": null, "personal": null, "time": {"resolutionSeconds": 60}})));
    let flow = world.pull(&plan).await;
    // What is not there may be what a source of the source did not say.
    let warned = Played::start(|_| {
        HttpResponse::Ok()
            .insert_header(("ngsild-warning", "110 - \"stale\""))
            .insert_header(("link", format!("<{CONTEXT}>; rel=\"http://www.w3.org/ns/json-ld#context\"")))
            .content_type("application/json")
            .body(json!([entity(2, "public", 5000)]).to_string())
    });
    for (number, q, status) in [(2, "!https://m/plate", 502), (3, "https://m/state==\"public\"", 200)] {
        let source = Source::Http { base_url: warned.url.clone(), credential: None };
        let mut plan = world.plan(&format!("tp-{number}"), Some(source));
        plan.selection = Some(selection(&json!({"rows": {"q": q}})));
        let reply = world.pull(&plan).await.get(&world.client, "/ngsi-ld/v1/entities", &[]).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let path = "/ngsi-ld/v1/temporal/entities?timerel=after&timeAt=2025-01-01T00:00:00Z";
    let reply = flow.get(&world.client, path, &[]).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (502, Some("answer_partial")));
}

async fn files(world: &World, path: &str) -> Flow {
    let folder = world.shared();
    let features = json!({"@context": CONTEXT, "type": "FeatureCollection", "features": entities().as_array().unwrap().iter()
        .map(|entity| json!({"type": "Feature", "id": entity["id"], "bbox": [CANARY], "geometry": null, "properties": entity}))
        .collect::<Vec<_>>()});
    let lines: String = entities().as_array().unwrap().iter().map(|entity| format!("{entity}\n")).collect();
    write(&folder, "air/list.json", entities().to_string().as_bytes());
    write(&folder, "air/one.jsonld", serde_json::to_string_pretty(&entities()[1]).unwrap().as_bytes());
    write(&folder, "air/places.geojson", features.to_string().as_bytes());
    write(&folder, "air/lines.ndjson", lines.as_bytes());
    write(&folder, "air/table.CSV", table().as_bytes());
    write(&folder, "air/readme.txt", CANARY.as_bytes());
    write(&folder, "air/image", CANARY.as_bytes());
    write(&folder, "air/deep/broken.json", format!("{{\"{CANARY}\":").as_bytes());
    let mut plan =
        world.plan("tp-1", Some(Source::Files { root: "shared".into(), path: path.into(), standing: false }));
    plan.selection = Some(selection(&json!({})));
    world.pull(&plan).await
}

#[actix_web::test]
async fn files_are_read_as_far_as_they_are_shown() {
    let world = World::new("").await;
    let flow = files(&world, "air").await;
    for (path, shown) in [
        ("/list.json", vec![2, 4]),
        ("/one.jsonld", vec![2]),
        ("/places.geojson", vec![2, 4]),
        ("/lines.ndjson", vec![2, 4]),
        ("/table.CSV", vec![2, 4]),
    ] {
        let reply = flow.get(&world.client, path, &[("range", "bytes=0-20"), ("if-none-match", "*")]).await;
        assert_eq!((reply.status, ids(&reply.text())), (200, shown), "{path} {}", reply.text());
        assert_clean(&reply);
        for name in ["etag", "content-length", "last-modified", "accept-ranges", "digest", "repr-digest"] {
            assert!(reply.header(name).is_none(), "{path} {name}");
        }
    }
    let list = flow.get(&world.client, "/", &[]).await;
    assert_clean(&list);
    assert!(!list.text().contains("readme") && !list.text().contains("image") && !list.text().contains("size"));
    for path in ["/readme.txt", "/image", "/none.json"] {
        assert_eq!(flow.get(&world.client, path, &[]).await.status, 404, "{path}");
    }
    let broken = flow.get(&world.client, "/deep/broken.json", &[]).await;
    assert_eq!((broken.status, broken.json()["code"].as_str()), (502, Some("answer_broken_off")));
    assert_clean(&broken);
    assert_eq!(flow.ask(&world.client, "HEAD", "/list.json", &[]).await.status, 405);
}

async fn push(world: &World, plan: &policy_plan::EnforcementPlan, sink: &Played) -> String {
    let address = DataAddress::bearer(HTTP_PUSH, &sink.url, "SINK-TOKEN", None).encode();
    let (status, body) = world.signal("POST", "/dataflows/start", &world.start_message(plan, Some(address))).await;
    assert_eq!(status, 200, "{body}");
    let told =
        world.control.wait(|seen| seen.target.ends_with("/completed") || seen.target.ends_with("/errored")).await;
    told.target
}

#[actix_web::test]
async fn what_is_pushed_is_what_is_shown() {
    let (world, source) = (World::new("").await, broker());
    let sink = Played::start(|_| HttpResponse::Created().finish());
    let mut plan = world.plan("tp-1", Some(Source::Http { base_url: source.url.clone(), credential: None }));
    plan.admission.paths = vec!["/ngsi-ld/v1/entities".into()];
    plan.selection = Some(selection(&json!({})));
    assert!(push(&world, &plan, &sink).await.ends_with("/completed"));
    let seen = sink.all();
    assert_eq!(seen.len(), 2);
    for (page, expected) in seen.iter().zip([2, 4]) {
        let text = String::from_utf8(page.body.clone()).unwrap();
        assert!(!text.contains(CANARY) && !text.contains("owner"), "{text}");
        assert_eq!(ids(&text), [expected]);
        assert!(page.header("link").unwrap().contains(CONTEXT));
        assert_eq!(page.header("content-type"), Some("application/json"));
    }
    assert!(source.last().target.contains("offset=2"), "{}", source.last().target);
}

#[actix_web::test]
async fn pushed_files_are_what_is_shown_of_them() {
    let world = World::new("").await;
    files(&world, "air").await;
    let sink = Played::start(|_| HttpResponse::Created().finish());
    std::fs::remove_file(world.shared().join("air/deep/broken.json")).unwrap();
    let mut plan =
        world.plan("tp-2", Some(Source::Files { root: "shared".into(), path: "air".into(), standing: false }));
    plan.selection = Some(selection(&json!({})));
    assert!(push(&world, &plan, &sink).await.ends_with("/completed"));
    let seen = sink.all();
    assert_eq!(seen.len(), 5, "what cannot be filtered is not sent");
    for file in &seen {
        let text = String::from_utf8(file.body.clone()).unwrap();
        assert!(!text.contains(CANARY) && text.contains("urn:ngsi-ld:Air:2"), "{text}");
        assert_eq!(file.header("content-length").unwrap(), file.body.len().to_string());
        assert!(file.header("digest").is_none() && file.header("repr-digest").is_none());
    }
    // A broken file sends nothing and is told.
    write(&world.shared(), "broken/a.json", format!("[{{\"id\":\"urn:ngsi-ld:Air:2\",\"{CANARY}\":").as_bytes());
    let mut plan =
        world.plan("tp-3", Some(Source::Files { root: "shared".into(), path: "broken".into(), standing: false }));
    plan.selection = Some(selection(&json!({})));
    let before = sink.all().len();
    let address = DataAddress::bearer(HTTP_PUSH, &sink.url, "SINK-TOKEN", None).encode();
    world.signal("POST", "/dataflows/start", &world.start_message(&plan, Some(address))).await;
    world.control.wait(|seen| seen.target.ends_with("tp-3/dataflow/errored")).await;
    assert_eq!(sink.all().len(), before);
}
