//! A data plane in this process, with a control plane and a source that are played by the test.
#![allow(dead_code)]

pub mod broker;
pub mod parts;
pub mod program;
pub mod scripted;
pub mod tokens;

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use dataplane::Running;
use dataplane::config::Config;
use dps_signaling::{ControlPlaneRegistration, DataAddress, Dialect, HTTP_PULL, HTTP_PUSH, StartMessage};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use policy_plan::{
    Admission, Conflict, EnforcementPlan, Expr, PlanSigner, Residual, ResidualRule, Source, TimeOperator, Truth, sign,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const SECRET: &str = "a-shared-secret-of-the-planes";
pub const CREDENTIAL: &str = "Bearer broker-credential-canary";
pub const PARTNER: &str = "did:web:cons.example";

/// What a request to one of the played servers looked like.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server that remembers requests and answers by a function.
pub struct Played {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    handle: actix_web::dev::ServerHandle,
}

type Answer = Arc<dyn Fn(&HttpRequest, &[u8]) -> HttpResponse + Send + Sync>;

impl Played {
    pub fn start(answer: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static) -> Self {
        Self::reading(move |request, _| answer(request))
    }

    /// A server whose answer depends on the body too.
    pub fn reading(answer: impl Fn(&HttpRequest, &[u8]) -> HttpResponse + Send + Sync + 'static) -> Self {
        Self::reading_at(0, answer)
    }

    /// The same on a port that it has had before.
    pub fn reading_at(port: u16, answer: impl Fn(&HttpRequest, &[u8]) -> HttpResponse + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let answer: Answer = Arc::new(answer);
        let state = (Arc::clone(&seen), answer);
        let server = HttpServer::new(move || {
            App::new().app_data(Data::new(state.clone())).app_data(web::PayloadConfig::new(1 << 30)).default_service(
                web::to(|request: HttpRequest, body: Bytes, state: Data<(Arc<Mutex<Vec<Seen>>>, Answer)>| async move {
                    let headers = request.headers().iter();
                    let headers = headers.map(|(name, value)| {
                        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                    });
                    state.0.lock().unwrap().push(Seen {
                        method: request.method().to_string(),
                        target: request.uri().to_string(),
                        headers: headers.collect(),
                        body: body.to_vec(),
                    });
                    state.1(&request, &body)
                }),
            )
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, seen, handle }
    }

    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.all().pop().unwrap()
    }

    /// Waits for a request that satisfies the condition.
    pub async fn wait(&self, condition: impl Fn(&Seen) -> bool) -> Seen {
        let begin = Instant::now();
        loop {
            if let Some(found) = self.all().into_iter().find(|seen| condition(seen)) {
                return found;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "waited in vain; seen: {:#?}", self.all());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// A data plane with its surroundings.
pub struct World {
    pub plane: Option<Running>,
    pub control: Played,
    pub signer: PlanSigner,
    pub folder: TempDir,
    pub config: String,
    pub client: Http,
    pub public: String,
    pub signaling: String,
    pub local: String,
    /// Who gives tokens, where the planes share no secret.
    pub issuer: Option<tokens::Issuer>,
}

/// A port that nothing listens on, each given once; below those that Linux takes for outgoing connections, so that nothing slips
/// into one while its program is restarted.
pub fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock().unwrap();
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && given.insert(*port);
    (0..500).map(|_| rand::random_range(12_000..32_000)).find(free).unwrap()
}

impl World {
    pub async fn new(more: &str) -> Self {
        Self::with_control(more, |_| HttpResponse::Ok().json(json!({}))).await
    }

    pub async fn with_control(
        more: &str,
        answer: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> Self {
        Self::under(Played::start(answer), more).await
    }

    /// A data plane under this control plane.
    pub async fn under(control: Played, more: &str) -> Self {
        Self::configured(control, more, |config| config).await
    }

    /// A data plane with further settings towards sources and of the public listener.
    pub async fn tuned(upstream: &str, public: &str) -> Self {
        let control = Played::start(|_| HttpResponse::Ok().json(json!({})));
        Self::configured(control, "", |config| tune(&config, upstream, public)).await
    }

    /// A data plane under this control plane, whose configuration `change` has seen.
    pub async fn configured(control: Played, more: &str, change: impl FnOnce(String) -> String) -> Self {
        let mut world = Self::without_plane(control, more, change);
        world.start().await;
        world.introduce().await;
        world
    }

    /// A data plane that shares no secret with this control plane: both get tokens from an issuer.
    pub async fn with_tokens(control: Played, more: &str, change: impl FnOnce(String) -> String) -> Self {
        let issuer = tokens::Issuer::start();
        let section = issuer.section();
        let mut world = Self::without_plane(control, &format!("{more}\n{section}"), |config| {
            change(config).replace(&format!("token = \"{SECRET}\""), "id = \"cp\"")
        });
        world.issuer = Some(issuer);
        world.start().await;
        world.introduce().await;
        world
    }

    /// What the control plane shows.
    pub fn authorization(&self) -> String {
        match &self.issuer {
            Some(issuer) => format!("Bearer {}", issuer.token(&json!({"sub": "cp", "aud": "dp-test"}))),
            None => format!("Bearer {SECRET}"),
        }
    }

    /// Whether this is what the data plane shows.
    pub fn is_ours(&self, authorization: &str) -> bool {
        match &self.issuer {
            Some(issuer) => issuer.is_good(authorization, "dp-test", "cp"),
            None => authorization == format!("Bearer {SECRET}"),
        }
    }

    /// All but the data plane, which is not in this process.
    pub fn without_plane(control: Played, more: &str, change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shared")).unwrap();
        let (public, signaling, local) = (free_port(), free_port(), free_port());
        let config = format!(
            r#"
            id = "dp-test"
            data_dir = {data:?}
            workers = 2
            drain_seconds = 1
            [public]
            listen = "127.0.0.1:{public}"
            [signaling]
            listen = "127.0.0.1:{signaling}"
            answer_within_ms = 5000
            [local]
            listen = "127.0.0.1:{local}"
            [control_plane]
            url = "{control}"
            token = "{SECRET}"
            [upstream]
            connect_timeout_seconds = 1
            head_timeout_seconds = 2
            idle_timeout_seconds = 1
            [partners]
            danger_allow_private_addresses = true
            [file_roots]
            shared = {shared:?}
            {more}
            "#,
            data = folder.path().join("data"),
            control = control.url,
            shared = folder.path().join("shared"),
        );
        let config = change(config);
        Self {
            plane: None,
            control,
            signer: PlanSigner::generate().unwrap(),
            folder,
            config,
            client: Http::new(),
            public: format!("http://127.0.0.1:{public}"),
            signaling: format!("http://127.0.0.1:{signaling}"),
            local: format!("http://127.0.0.1:{local}"),
            issuer: None,
        }
    }

    pub async fn start(&mut self) {
        let config = Config::from_toml(&self.config).unwrap();
        let begin = Instant::now();
        loop {
            match dataplane::start(config.clone()).await {
                Ok(running) => {
                    self.plane = Some(running);
                    return;
                }
                Err(error) => {
                    assert!(begin.elapsed() < Duration::from_secs(5), "{error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// The control plane registers, with the key of its plans.
    pub async fn introduce(&self) {
        let message = ControlPlaneRegistration {
            controlplane_id: "cp".into(),
            endpoint: self.control.url.clone(),
            authorization: Some(json!({"type": "bearer", "jwks": self.signer.jwks()})),
        };
        let (status, _) = self.signal("PUT", "/controlplanes", &message.encode(Dialect::Rc3)).await;
        assert_eq!(status, 200);
    }

    pub fn shared(&self) -> std::path::PathBuf {
        self.folder.path().join("shared")
    }

    pub async fn signal(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.signaling);
        let authorization = self.authorization();
        let reply = self.client.send(method, &url, &[("authorization", &authorization)], body.to_string()).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
    }

    pub fn plan(&self, process: &str, source: Option<Source>) -> EnforcementPlan {
        EnforcementPlan {
            process_id: process.into(),
            agreement_id: "urn:uuid:agreement".into(),
            dataset_id: "urn:uuid:dataset".into(),
            provider: "did:web:prov.example".into(),
            consumer: PARTNER.into(),
            issued_at: now_ms(),
            rules: always(),
            source,
            admission: Admission {
                methods: vec!["GET".into(), "HEAD".into(), "POST".into()],
                paths: vec!["/**".into()],
                query: None,
            },
            selection: None,
            writing: None,
            limits: Default::default(),
            max_token_seconds: 600,
        }
    }

    pub fn start_message(&self, plan: &EnforcementPlan, push_to: Option<Value>) -> Value {
        self.message(&plan.process_id, sign(plan, &self.signer).unwrap(), push_to, PARTNER)
    }

    pub fn message(&self, process: &str, plan: String, push_to: Option<Value>, partner: &str) -> Value {
        let push = push_to.is_some();
        let metadata = if plan.is_empty() { json!({}) } else { json!({"plan": plan}) };
        StartMessage {
            message_id: format!("urn:uuid:message-{process}"),
            participant_id: "did:web:us.example".into(),
            counter_party_id: partner.into(),
            dataspace_context: "city-ds".into(),
            process_id: process.into(),
            agreement_id: "urn:uuid:agreement".into(),
            dataset_id: "urn:uuid:dataset".into(),
            profile: if push { HTTP_PUSH } else { HTTP_PULL }.into(),
            claims: json!({}),
            metadata,
            labels: vec![],
            data_address: push_to,
            callback_address: None,
        }
        .encode(Dialect::Rc3)
    }

    /// Starts a pull flow as provider.
    pub async fn pull(&self, plan: &EnforcementPlan) -> Flow {
        let (status, body) = self.signal("POST", "/dataflows/start", &self.start_message(plan, None)).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["state"], "STARTED");
        Flow::of(&body)
    }

    pub async fn pull_http(&self, process: &str, base_url: &str) -> Flow {
        let source = Source::Http { base_url: base_url.into(), credential: None };
        self.pull(&self.plan(process, Some(source))).await
    }

    pub async fn pull_files(&self, process: &str, path: &str) -> Flow {
        let source = Source::Files { root: "shared".into(), path: path.into(), standing: false };
        self.pull(&self.plan(process, Some(source))).await
    }

    /// A consumer's flow that reads from `address`.
    pub async fn consume(&self, process: &str, address: &Value, labels: &[&str]) -> String {
        let mut prepare = self.message(process, String::new(), None, "did:web:prov.example");
        prepare["labels"] = json!(labels);
        let (status, body) = self.signal("POST", "/dataflows/prepare", &prepare).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["state"], "PREPARED");
        assert!(body.get("dataAddress").is_none());
        let id = body["dataFlowId"].as_str().unwrap().to_owned();
        let started = json!({"messageId": format!("started-{process}"), "dataAddress": address});
        let (status, body) = self.signal("POST", &format!("/dataflows/{id}/started"), &started).await;
        assert_eq!(status, 200, "{body}");
        id
    }
}

/// A configuration with further settings towards sources and of the public listener; later ones of `upstream` replace the kit's.
pub fn tune(config: &str, upstream: &str, public: &str) -> String {
    let named = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let replaced: Vec<String> = upstream.lines().map(named).collect();
    let kept = config.lines().filter(|line| !line.contains('=') || !replaced.contains(&named(line)));
    let kept = kept.collect::<Vec<_>>().join("\n");
    kept.replace("[upstream]", &format!("[upstream]\n{upstream}")).replace("[public]", &format!("[public]\n{public}"))
}

/// A pull flow as its partner sees it.
#[derive(Debug, Clone)]
pub struct Flow {
    pub id: String,
    pub endpoint: String,
    pub token: String,
    pub address: Value,
}

impl Flow {
    pub fn of(status: &Value) -> Self {
        let address = DataAddress::decode(&status["dataAddress"]).unwrap();
        Self {
            id: status["dataFlowId"].as_str().unwrap().to_owned(),
            endpoint: address.endpoint.clone().unwrap(),
            token: address.property("authorization").unwrap().to_owned(),
            address: status["dataAddress"].clone(),
        }
    }

    pub async fn get(&self, client: &Http, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask(client, "GET", path, headers).await
    }

    pub async fn ask(&self, client: &Http, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        client.send(method, &format!("{}{path}", self.endpoint), &all, String::new()).await
    }
}

/// An answer read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A plain client.
#[derive(Clone)]
pub struct Http(Client<HttpConnector, Full<bytes::Bytes>>);

impl Http {
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub async fn open(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> http::Response<hyper::body::Incoming> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Reply {
        let (head, body) = self.open(method, url, headers, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }
}

pub fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

pub fn always() -> Residual {
    rule("use is permitted", Expr::Known(Truth::True))
}

pub fn before(epoch_ms: i64) -> Residual {
    rule("dateTime lt the end of the contract", Expr::DateTime { operator: TimeOperator::Lt, epoch_ms })
}

/// One permission under this condition.
pub fn rule(text: &str, when: Expr) -> Residual {
    Residual {
        permissions: vec![ResidualRule { id: "p0".into(), text: text.into(), when }],
        prohibitions: vec![],
        conflict: Conflict::Invalid,
    }
}

/// A source that answers with what it got, and plays a few parts by path.
pub fn broker() -> Played {
    Played::start(|request| {
        let path = request.path();
        if let Some(code) = path.strip_prefix("/status/") {
            let status = StatusCode::from_u16(code.parse().unwrap()).unwrap();
            if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
                return HttpResponse::build(status).insert_header(("etag", "\"e1\"")).finish();
            }
            return HttpResponse::build(status)
                .insert_header(("content-type", "application/json"))
                .body("{\"own\":true}");
        }
        let host = request.headers().get("host").unwrap().to_str().unwrap();
        match path {
            "/endless" => HttpResponse::Ok().streaming(futures_util::stream::unfold(0_u64, |number| async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1024])), number + 1))
            })),
            "/fast" => HttpResponse::Ok().streaming(futures_util::stream::unfold(0_u64, |number| async move {
                (number < 1 << 14).then(|| (Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 * 1024])), number + 1))
            })),
            "/broken" => HttpResponse::Ok().streaming(futures_util::stream::unfold(0, |number| async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let chunk =
                    if number == 0 { Ok(Bytes::from_static(b"begin")) } else { Err(std::io::Error::other("broken")) };
                Some((chunk, number + 1))
            })),
            "/slow" => HttpResponse::Ok().streaming(futures_util::stream::once(async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok::<_, std::io::Error>(Bytes::new())
            })),
            _ => HttpResponse::Ok()
                .insert_header(("content-type", "application/ld+json"))
                .insert_header(("etag", "\"e1\""))
                .insert_header(("link", format!("<http://{host}/ngsi-ld/v1/entities?offset=2>; rel=\"next\"")))
                .append_header(("link", "<https://c.example/ctx.jsonld>; rel=\"http://www.w3.org/ns/json-ld#context\""))
                .insert_header(("ngsild-results-count", "7"))
                .insert_header(("ngsild-tenant", "t"))
                .insert_header(("server", "broker-software-canary"))
                .insert_header(("set-cookie", "session=canary"))
                .body(format!("{} {}", request.method(), request.uri())),
        }
    })
}

pub fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
