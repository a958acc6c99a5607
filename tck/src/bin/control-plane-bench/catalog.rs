//! Pages of a large catalog under many access policies, asked for as a partner does.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::LINK;
use serde_json::{Value, json};
use tck::binaries::Binaries;
use tck::management::Management;
use tck::peer::messages::plain;
use tck::service::{ControlPlane, ControlPlaneSettings, StaticPeer};
use tck::{Context as _, Error, Result};

use crate::Extent;
use crate::cities::{CONSUMER, LOG, PROVIDER};
use crate::figures::{Budget, Report, median, ms};
use crate::machine::{cpu_ms, resident_mib, threads_ms, whole};

const TOKEN: &str = "token-that-durres-shows";
const ACCESS_POLICIES: usize = 20;
/// Changes of a policy after each of which one page is asked for.
const CHANGES: usize = 7;
const AT_ONCE: usize = 64;

pub async fn measure(binaries: &Binaries, home: &Path, extent: &Extent, report: &mut Report) -> Result<()> {
    let claims = [("membership", "active"), ("country", "AL")];
    let peer = StaticPeer::new(CONSUMER, TOKEN, "token-that-bari-shows", &claims);
    let settings = ControlPlaneSettings { log: LOG, ..ControlPlaneSettings::new(PROVIDER, vec![peer]) };
    let plane = ControlPlane::start(binaries, home, settings).await?;
    let began = Instant::now();
    fill(plane.api(), extent.datasets).await?;
    eprintln!("published in {} s", began.elapsed().as_secs());

    let reader = Reader { http: reqwest::Client::new(), start: format!("{}/catalog/request", plane.base()) };
    let mut at = None;
    let (mut walls, mut datasets) = (Vec::new(), 0);
    // One page first: the connection, and the policies.
    reader.page(&reader.start).await?;
    let before = cpu_ms(plane.id())?;
    for _ in 0..extent.pages {
        let began = Instant::now();
        let page = reader.page(at.as_deref().unwrap_or(&reader.start)).await?;
        walls.push(ms(began.elapsed()));
        datasets += page.datasets;
        at = page.next;
    }
    let pages = whole(extent.pages as u64);
    let each = (cpu_ms(plane.id())? - before) / pages;

    let mut changed = Vec::new();
    for number in 0..CHANGES {
        let other = access_policy(0, number);
        plane.api().put("/policies/access-0", other).await?;
        // What else the change leaves to do.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = threads_ms(plane.id())?;
        reader.page(&reader.start).await?;
        changed.push(threads_ms(plane.id())? - before);
    }
    let size = whole(datasets as u64) / pages;
    let name = format!("catalog page of {size:.0} datasets of {}, CPU", extent.datasets);
    report.add(name, "ms", Budget::AtMost(2.0), each);
    report.add("catalog page, wall, median", "ms", Budget::None, median(&walls));
    report.add("first page after a change of a policy, CPU", "ms", Budget::None, median(&changed));
    report.add("resident memory after these", "MiB", Budget::None, resident_mib(plane.id())?);
    Ok(())
}

/// Publishes the datasets, each with an offer, under access policies of which the reader passes every second one.
async fn fill(api: &Management, datasets: usize) -> Result<()> {
    api.post("/policies", json!({"id": "contract", "permission": [{"action": "use"}]})).await?;
    for number in 0..ACCESS_POLICIES {
        api.post("/policies", access_policy(number, 0)).await?;
    }
    let id = |number| format!("urn:example:bari:dataset:{number:05}");
    let dataset = |number| {
        json!({
            "id": id(number),
            "title": format!("Traffic flow at counting point {number}"),
            "description": "Vehicles per hour and lane, averaged over five minutes",
            "keywords": ["traffic", "mobility"],
            "source": {"http": {"baseUrl": "http://127.0.0.1:9"}},
        })
    };
    let offer = |number: usize| {
        let access = format!("access-{}", number % ACCESS_POLICIES);
        json!({"id": format!("offer-{number:05}"), "datasetId": id(number), "policyId": "contract", "accessPolicyId": access})
    };
    post_all(api, "/datasets", (0..datasets).map(dataset)).await?;
    post_all(api, "/offers", (0..datasets).map(offer)).await
}

async fn post_all(api: &Management, path: &str, bodies: impl Iterator<Item = Value>) -> Result<()> {
    let posts = stream::iter(bodies.map(|body| api.post(path, body)));
    posts.buffer_unordered(AT_ONCE).try_for_each(|_| std::future::ready(Ok(()))).await
}

/// Even numbers admit the reader. `version` makes the policy another one that decides the same.
fn access_policy(number: usize, version: usize) -> Value {
    let country = if number.is_multiple_of(2) { "AL" } else { "IT" };
    json!({
        "id": format!("access-{number}"),
        "permission": [{"action": "use", "constraint": [
            {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"},
            {"leftOperand": "credential:country", "operator": "eq", "rightOperand": country},
            {
                "leftOperand": "dateTime", "operator": "lt",
                "rightOperand": format!("2099-{:02}-{:02}T00:00:00Z", version % 12 + 1, number % 28 + 1)
            },
        ]}],
    })
}

/// The partner.
struct Reader {
    http: reqwest::Client,
    start: String,
}

struct Page {
    datasets: usize,
    next: Option<String>,
}

impl Reader {
    async fn page(&self, address: &str) -> Result<Page> {
        let request = self.http.post(address).bearer_auth(TOKEN).json(&plain("CatalogRequestMessage"));
        let answer = request.send().await.context(address)?;
        let status = answer.status();
        let links = answer.headers().get_all(LINK).iter().filter_map(|link| link.to_str().ok());
        let next = links.filter(|link| link.contains("rel=\"next\"")).find_map(target);
        let body = answer.bytes().await.context(address)?;
        if status != 200 {
            return Err(Error::new(format!("{address} was answered {status}: {}", String::from_utf8_lossy(&body))));
        }
        let catalog: Value = serde_json::from_slice(&body).context(address)?;
        let datasets = catalog.get("dataset").and_then(Value::as_array).map_or(0, Vec::len);
        Ok(Page { datasets, next })
    }
}

/// The address in a `Link` header (RFC 8288).
fn target(link: &str) -> Option<String> {
    Some(link.trim().strip_prefix('<')?.split('>').next()?.to_owned())
}
