//! Clients of NGSI-LD that others wrote, as they come from PyPI, read a partner's data through two data planes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use policy_plan::{Selection, Source};
use serde_json::{Value, json};
use support::{Http, World, free_port};

const VOCABULARY: &str = "https://uri.etsi.org/ngsi-ld/default-context/";

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A broker's stand-in, which ends with the test.
struct Broker {
    program: Child,
    url: String,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Broker {
    /// Serves invented stations from files in `place`.
    async fn start(place: &Path, client: &Http) -> Self {
        let binaries =
            std::env::var_os("HANSA_BIN_DIR").map_or_else(|| folder().join("../target/release"), PathBuf::from);
        let program = binaries.join("ngsi-ld-source");
        let made = Command::new(&program).args(["generate", "--seed", "1", "--out"]).arg(place).output();
        let made = made.unwrap_or_else(|error| panic!("{}: {error}; `make build` builds it", program.display()));
        assert!(made.status.success(), "{made:?}");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(&program);
        command.args(["--listen", &address]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.arg("--data").arg(place.join("arvenna-entities.json"));
        command.arg("--history").arg(place.join("arvenna-history.json"));
        let broker = Self { program: command.spawn().unwrap(), url: format!("http://{address}") };
        let begin = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the source does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(client.send("GET", &format!("{}/health", broker.url), &[], "").await.status, 200);
        broker
    }

    /// How many stations fit.
    async fn count(&self, client: &Http, q: &str) -> usize {
        let query = if q.is_empty() { String::new() } else { format!("&q={}", q.replace('>', "%3E")) };
        let url = format!("{}/ngsi-ld/v1/entities?type=AirQualityObserved&limit=0&count=true{query}", self.url);
        client.send("GET", &url, &[], "").await.header("ngsild-results-count").unwrap().parse().unwrap()
    }
}

/// Runs a client's program in the environment that `scripts/setup.sh python` made for it.
async fn run(client: &str, arguments: Vec<String>) {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder().join("../target"), PathBuf::from);
    let python = target.join("tools/python").join(client).join("bin/python");
    assert!(python.exists(), "{} is missing: `scripts/setup.sh python` makes it", python.display());
    let script = folder().join("tests/python").join(format!("read_with_{client}.py"));
    let run = move || Command::new(python).arg(script).args(arguments).stdin(Stdio::null()).output().unwrap();
    let done = actix_web::web::block(run).await.unwrap();
    let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{client}\n{out}\n{errors}");
}

/// Three attributes and the place of stations, as far as they fit.
fn selection(condition: Option<&str>) -> Selection {
    let name = |term: &str| json!({"name": format!("{VOCABULARY}{term}")});
    let mut value = json!({
        "types": [format!("{VOCABULARY}AirQualityObserved")],
        "attributes": [name("no2"), name("dateObserved"), name("areaServed"),
            {"name": "https://uri.etsi.org/ngsi-ld/location"}],
    });
    if let Some(condition) = condition {
        value["rows"] = json!({"q": format!("{VOCABULARY}{condition}")});
    }
    serde_json::from_value(value).unwrap()
}

#[actix_web::test]
async fn clients_from_pypi_read_as_from_a_broker() {
    let (provider, consumer) = (World::new("").await, World::new("").await);
    let place = tempfile::tempdir().unwrap();
    let broker = Broker::start(place.path(), &provider.client).await;
    let port = consumer.local.rsplit(':').next().unwrap().to_owned();
    // Without a condition the broker counts what is shown; with one it counts others, too.
    for (process, condition) in [("tp-all", None), ("tp-few", Some("o3>=40"))] {
        let both =
            |more: &str| condition.into_iter().chain([more]).filter(|q| !q.is_empty()).collect::<Vec<_>>().join(";");
        let stations = broker.count(&provider.client, &both("")).await;
        let loud = broker.count(&provider.client, &both("no2>45")).await;
        assert!(0 < loud && loud < stations, "{loud} of {stations}");
        let source = Source::Http { base_url: broker.url.clone(), credential: None };
        let mut plan = provider.plan(process, Some(source));
        plan.admission.methods = vec!["GET".into()];
        plan.selection = Some(selection(condition));
        let flow = provider.pull(&plan).await;
        consumer.consume(process, &flow.address, &["ngsi-ld"]).await;
        let numbers = [stations.to_string(), loud.to_string()];
        let by_port = [port.clone(), process.to_owned()].into_iter().chain(numbers.clone()).collect();
        run("ngsildclient", by_port).await;
        let address = format!("{}/flows/{process}/", consumer.local);
        run("filip", std::iter::once(address).chain(numbers).collect()).await;
    }
    // What they ask of brokers beside NGSI-LD is answered with an error that they can read.
    let reply = consumer.client.send("GET", &format!("{}/version", consumer.local), &[], "").await;
    let problem: Value = reply.json();
    assert_eq!((reply.status, problem["code"].as_str()), (404, Some("unknown_path")));
}
