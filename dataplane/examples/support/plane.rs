//! The data plane as a program, and the control plane that is played for it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dps_signaling::{ControlPlaneRegistration, DataAddress, Dialect, HTTP_PULL, StartMessage};
use policy_plan::{
    Admission, EnforcementPlan, Expr, PlanSigner, Residual, ResidualRule, Selection, Source, Truth, sign,
};
use serde_json::{Value, json};

use super::nginx::Certificate;
use super::process::{free_port, wait_for};

const SECRET: &str = "a-secret-for-the-benchmark";

/// What a flow admits.
pub struct Wanted<'a> {
    pub process: &'a str,
    pub source: u16,
    pub paths: &'a [&'a str],
    pub when: Expr,
    pub selection: Option<Selection>,
}

impl<'a> Wanted<'a> {
    pub fn always(process: &'a str, source: u16, paths: &'a [&'a str]) -> Self {
        Self { process, source, paths, when: Expr::Known(Truth::True), selection: None }
    }
}

/// Path and token of a flow.
#[derive(Debug, Clone)]
pub struct Flow {
    pub path: String,
    pub token: String,
}

/// A running data plane.
pub struct Plane {
    program: PathBuf,
    config: PathBuf,
    child: Child,
    signer: PlanSigner,
    pub public: u16,
    signaling: u16,
    pub local: u16,
}

impl Plane {
    /// Starts the program with a configuration in a folder of its own; `more` is added to it.
    pub fn start(program: &Path, folder: &Path, tls: Option<&Certificate>, more: &str) -> Self {
        std::fs::create_dir(folder).unwrap();
        let (public, signaling, local, control) = (free_port(), free_port(), free_port(), free_port());
        let config = folder.join("dataplane.toml");
        let mut text = format!(
            "id = \"bench\"\ndata_dir = {:?}\n[signaling]\nlisten = \"127.0.0.1:{signaling}\"\n\
             [local]\nlisten = \"127.0.0.1:{local}\"\n[control_plane]\nurl = \"http://127.0.0.1:{control}\"\ntoken = \"{SECRET}\"\n\
             [log]\nfilter = \"warn\"\n{more}\n[public]\nlisten = \"127.0.0.1:{public}\"\n",
            folder.join("data")
        );
        if let Some(tls) = tls {
            writeln!(text, "cert_file = {:?}\nkey_file = {:?}", tls.cert, tls.key).unwrap();
        }
        std::fs::write(&config, text).unwrap();
        let child = Command::new(program).arg("--config").arg(&config).spawn().unwrap();
        wait_for(signaling);
        play_control_plane(control);
        let signer = PlanSigner::generate().unwrap();
        let registration = ControlPlaneRegistration {
            controlplane_id: "bench".into(),
            endpoint: format!("http://127.0.0.1:{control}"),
            authorization: Some(json!({"type": "bearer", "jwks": signer.jwks()})),
        };
        signal(signaling, "PUT", "/controlplanes", &registration.encode(Dialect::Rc3));
        Self { program: program.to_owned(), config, child, signer, public, signaling, local }
    }

    /// Ends it as a power failure would, and starts it again.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = Command::new(&self.program).arg("--config").arg(&self.config).spawn().unwrap();
        wait_for(self.signaling);
    }

    /// Starts a flow in which we are the provider.
    pub fn flow(&self, wanted: &Wanted<'_>) -> Flow {
        let message = start_message(&self.signer, wanted);
        let status = signal(self.signaling, "POST", "/dataflows/start", &message);
        let address = DataAddress::decode(&status["dataAddress"]).unwrap();
        let endpoint = address.endpoint.clone().unwrap();
        let path = endpoint[endpoint.find("/flows/").unwrap()..].to_owned();
        Flow { path, token: address.property("authorization").unwrap().to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A control plane that takes everything and grants what is asked for.
fn play_control_plane(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        let given = Arc::new(AtomicU64::new(0));
        for stream in listener.incoming() {
            let given = Arc::clone(&given);
            std::thread::spawn(move || grant(stream.unwrap(), &given));
        }
    });
}

fn grant(stream: TcpStream, given: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).ok()? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let wanted = question["wanted"].as_u64().unwrap_or_default();
        let from = given.fetch_add(wanted, Ordering::Relaxed);
        let answer = json!({"from": from, "to": from + wanted, "firstUse": 0, "lastUse": null}).to_string();
        write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).ok()?;
    }
}

fn start_message(signer: &PlanSigner, wanted: &Wanted<'_>) -> Value {
    let process = wanted.process;
    let rule = ResidualRule { id: "p0".into(), text: "use is permitted".into(), when: wanted.when.clone() };
    let plan = EnforcementPlan {
        process_id: process.into(),
        agreement_id: "a".into(),
        dataset_id: "d".into(),
        provider: "us".into(),
        consumer: "partner".into(),
        issued_at: 0,
        rules: Residual { permissions: vec![rule], ..Residual::default() },
        source: Some(Source::Http { base_url: format!("http://127.0.0.1:{}", wanted.source), credential: None }),
        admission: Admission {
            methods: vec!["GET".into()],
            paths: wanted.paths.iter().map(|path| (*path).to_owned()).collect(),
            query: None,
        },
        selection: wanted.selection.clone(),
        writing: None,
        limits: Default::default(),
        max_token_seconds: 3600,
    };
    let message = StartMessage {
        message_id: format!("m-{process}"),
        participant_id: "us".into(),
        counter_party_id: "partner".into(),
        dataspace_context: "bench".into(),
        process_id: process.into(),
        agreement_id: "a".into(),
        dataset_id: "d".into(),
        profile: HTTP_PULL.into(),
        claims: json!({}),
        metadata: json!({"plan": sign(&plan, signer).unwrap()}),
        labels: vec![],
        data_address: None,
        callback_address: None,
    };
    message.encode(Dialect::Rc3)
}

fn signal(port: u16, method: &str, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}
