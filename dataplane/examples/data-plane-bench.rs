//! The data plane beside nginx as a plain proxy, on the same source, in alternating rounds:
//! `data-plane-bench --bin-dir target/release`. An example rather than a Cargo bench, so that it is built with the profile of the
//! programs that ship and measures these.
//!
//! Counted is the CPU time of the proxy's processes alone (user and system, `/proc/PID/stat`), so that the load generator, the
//! source and other programs on the machine do not matter much; the ratio of one run is what can be compared. The data plane
//! checks token, admission and policy for each request; nginx checks nothing. A third subject is the same data plane under an
//! agreement that counts requests, with a control plane that is played here. `ROUNDS=n` sets the number of rounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dps_signaling::{ControlPlaneRegistration, DataAddress, Dialect, HTTP_PULL, StartMessage};
use policy_plan::{
    Admission, EnforcementPlan, Expr, Meter, PlanSigner, Residual, ResidualRule, Source, TimeOperator, Truth, sign,
};
use serde_json::{Value, json};

const SECRET: &str = "a-secret-for-the-benchmark";
const SMALL: usize = 2048;
const LARGE: u64 = 1 << 30;
const CONNECTIONS: usize = 32;
const REQUESTS: usize = 40_000;
const OPEN_STREAMS: usize = 64;
/// What the project asks for: CPU per small request, CPU per GiB, MiB at 64 open streams.
const TARGETS: (f64, f64, f64) = (3.0, 1.5, 32.0);

fn main() {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        println!("nginx is missing; install it (apt-get install nginx-light) to compare with it");
        return;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, folder] = arguments.as_slice() else { panic!("say where the programs are: --bin-dir FOLDER") };
    assert_eq!(flag, "--bin-dir");
    let program = Path::new(folder).join("hansa-dataplane");
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let source = Nginx::source(folder.path());
    let nginx = Nginx::proxy(folder.path(), source.port);
    let hansa = Hansa::start(&program, folder.path(), source.port);
    let subjects = [
        Subject { name: "nginx", port: nginx.port, prefix: String::new(), token: None, pids: nginx.pids() },
        Subject {
            name: "hansa",
            port: hansa.port,
            prefix: hansa.path.clone(),
            token: Some(hansa.token.clone()),
            pids: vec![hansa.child.id()],
        },
    ];
    let (counted_path, counted_token) = hansa.counted.clone();
    let counted = Subject {
        name: "counted",
        port: hansa.port,
        prefix: counted_path,
        token: Some(counted_token),
        pids: vec![hansa.child.id()],
    };
    let mut results = [Measured::default(), Measured::default()];
    let mut counts = Measured::default();
    for round in 0..=rounds {
        for (subject, result) in subjects.iter().zip(&mut results) {
            let small = subject.small();
            let large = subject.large();
            // The first round warms up.
            if round > 0 {
                result.add(small, large);
            }
        }
        let small = counted.small();
        if round > 0 {
            counts.micros.push(small.micros);
            counts.rates.push(small.rate);
            counts.p99.push(small.p99);
        }
    }
    for (subject, result) in subjects.iter().zip(&mut results) {
        result.resident = subject.open_streams();
    }
    report(&results);
    let plain = median(&results[1].micros);
    println!(
        "counted by the agreement: {:.2} microseconds of CPU per request ({:+.2}), {:.0} requests per second, 99th percentile {:.2} ms",
        median(&counts.micros),
        median(&counts.micros) - plain,
        median(&counts.rates),
        median(&counts.p99)
    );
}

#[derive(Debug, Default)]
struct Measured {
    micros: Vec<f64>,
    rates: Vec<f64>,
    p99: Vec<f64>,
    seconds: Vec<f64>,
    speeds: Vec<f64>,
    resident: f64,
}

impl Measured {
    fn add(&mut self, small: Small, large: Large) {
        self.micros.push(small.micros);
        self.rates.push(small.rate);
        self.p99.push(small.p99);
        self.seconds.push(large.seconds);
        self.speeds.push(large.speed);
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn report(results: &[Measured; 2]) {
    let [nginx, hansa] = results;
    println!("\n{:<38} {:>10} {:>10} {:>7} {:>8}", "median of rounds", "nginx", "hansa", "ratio", "target");
    let line = |name: &str, left: f64, right: f64, target: &str| {
        println!("{name:<38} {left:>10.2} {right:>10.2} {:>7.2} {target:>8}", right / left);
    };
    let micros = (median(&nginx.micros), median(&hansa.micros));
    let seconds = (median(&nginx.seconds), median(&hansa.seconds));
    line("CPU per 2 KiB request, microseconds", micros.0, micros.1, &format!("<= {}", TARGETS.0));
    line("CPU per GiB, seconds", seconds.0, seconds.1, &format!("<= {}", TARGETS.1));
    line("requests per second, 32 connections", median(&nginx.rates), median(&hansa.rates), "");
    line("99th percentile, milliseconds", median(&nginx.p99), median(&hansa.p99), "");
    line("GiB per second, one client", median(&nginx.speeds), median(&hansa.speeds), "");
    line("MiB resident, 64 open streams", nginx.resident, hansa.resident, &format!("{} MiB", TARGETS.2));
    let met = micros.1 / micros.0 <= TARGETS.0 && seconds.1 / seconds.0 <= TARGETS.1 && hansa.resident <= TARGETS.2;
    println!("{}", if met { "every target is met" } else { "a target is missed" });
}

struct Subject {
    name: &'static str,
    port: u16,
    prefix: String,
    token: Option<String>,
    pids: Vec<u32>,
}

struct Small {
    micros: f64,
    rate: f64,
    p99: f64,
}

struct Large {
    seconds: f64,
    speed: f64,
}

impl Subject {
    fn request(&self, path: &str) -> Vec<u8> {
        let authorization =
            self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        format!(
            "GET {}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{authorization}\r\n",
            self.prefix
        )
        .into()
    }

    fn small(&self) -> Small {
        let request = Arc::new(self.request("/small"));
        let before = self.cpu();
        let begin = Instant::now();
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (request, port) = (Arc::clone(&request), self.port);
                std::thread::spawn(move || {
                    let mut stream = connect(port);
                    let mut buffer = vec![0; 16 * 1024];
                    let mut times = Vec::new();
                    for _ in 0..REQUESTS / CONNECTIONS {
                        let begin = Instant::now();
                        stream.write_all(&request).unwrap();
                        let (length, held) = head(&mut stream, &mut buffer);
                        assert_eq!(length, SMALL as u64);
                        let mut left = length as usize - held;
                        while left > 0 {
                            let read = stream.read(&mut buffer).unwrap();
                            assert!(read > 0);
                            left -= read;
                        }
                        times.push(begin.elapsed().as_secs_f64() * 1e3);
                    }
                    times
                })
            })
            .collect();
        let mut times: Vec<f64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let elapsed = begin.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        let micros = (self.cpu() - before) * 1e6 / REQUESTS as f64;
        println!("{}: {micros:.1} us CPU per request", self.name);
        Small { micros, rate: REQUESTS as f64 / elapsed, p99: times[times.len() * 99 / 100] }
    }

    fn large(&self) -> Large {
        let before = self.cpu();
        let begin = Instant::now();
        let mut stream = connect(self.port);
        stream.write_all(&self.request("/large")).unwrap();
        let mut buffer = vec![0; 256 * 1024];
        let (length, held) = head(&mut stream, &mut buffer);
        assert_eq!(length, LARGE);
        let mut left = length - held as u64;
        while left > 0 {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0);
            left -= read as u64;
        }
        let elapsed = begin.elapsed().as_secs_f64();
        let seconds = self.cpu() - before;
        println!("{}: {seconds:.2} s CPU per GiB", self.name);
        Large { seconds, speed: 1.0 / elapsed }
    }

    /// The largest resident memory, in MiB, while 64 streams move slowly.
    fn open_streams(&self) -> f64 {
        let stop = Arc::new(AtomicBool::new(false));
        let request = Arc::new(self.request("/large"));
        let readers: Vec<_> = (0..OPEN_STREAMS)
            .map(|_| {
                let (stop, request, port) = (Arc::clone(&stop), Arc::clone(&request), self.port);
                std::thread::spawn(move || {
                    let mut stream = connect(port);
                    stream.write_all(&request).unwrap();
                    let mut buffer = vec![0; 64 * 1024];
                    while !stop.load(Ordering::Relaxed) {
                        assert!(stream.read(&mut buffer).unwrap() > 0);
                        std::thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        let mut most = 0.0_f64;
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(100));
            most = most.max(self.pids.iter().map(|pid| resident(*pid)).sum());
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
        most
    }

    /// CPU seconds that the processes have used.
    fn cpu(&self) -> f64 {
        let ticks: u64 = self
            .pids
            .iter()
            .map(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
                let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
                fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
            })
            .sum();
        ticks as f64 / 100.0
    }
}

fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads a head; gives the content length and how many bytes of the body came with it.
fn head(stream: &mut TcpStream, buffer: &mut [u8]) -> (u64, usize) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).unwrap();
        assert!(read > 0, "the connection ended inside a head");
        filled += read;
        if let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
            let text = std::str::from_utf8(&buffer[..end]).unwrap().to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length = text.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            return (length.parse().unwrap(), filled - end - 4);
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10), "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn source(folder: &Path) -> Self {
        let files = folder.join("files");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("small"), vec![b'x'; SMALL]).unwrap();
        File::create(files.join("large")).unwrap().set_len(LARGE).unwrap();
        let port = free_port();
        let server = format!(
            "server {{ listen 127.0.0.1:{port}; root {}; sendfile on; keepalive_requests 100000000; }}",
            files.display()
        );
        Self::start(folder, "source", port, &server)
    }

    fn proxy(folder: &Path, source: u16) -> Self {
        let port = free_port();
        let server = format!(
            "upstream source {{ server 127.0.0.1:{source}; keepalive 64; keepalive_requests 100000000; }}
             server {{ listen 127.0.0.1:{port}; keepalive_requests 100000000;
               location / {{ proxy_pass http://source; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_max_temp_file_size 0; }} }}"
        );
        Self::start(folder, "proxy", port, &server)
    }

    fn start(folder: &Path, name: &str, port: u16, server: &str) -> Self {
        let own = folder.join(name);
        std::fs::create_dir(&own).unwrap();
        let config = own.join("nginx.conf");
        let text = format!(
            "daemon off; worker_processes 1; pid {own}/pid; error_log {own}/error.log; user root;
             events {{ worker_connections 1024; }}
             http {{ access_log off; client_body_temp_path {own}/body; proxy_temp_path {own}/proxy; fastcgi_temp_path {own}/f;
                     uwsgi_temp_path {own}/u; scgi_temp_path {own}/s; {server} }}",
            own = own.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("nginx").arg("-c").arg(&config).stderr(Stdio::null()).spawn().unwrap();
        wait_for(port);
        Self { child, port }
    }

    /// The worker; the master does nothing.
    fn pids(&self) -> Vec<u32> {
        let master = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.child.wait();
    }
}

struct Hansa {
    child: Child,
    port: u16,
    path: String,
    token: String,
    /// Path and token of a flow whose requests are counted.
    counted: (String, String),
}

impl Hansa {
    fn start(program: &Path, folder: &Path, source: u16) -> Self {
        let (public, signaling, local, control) = (free_port(), free_port(), free_port(), free_port());
        let config = folder.join("dataplane.toml");
        let text = format!(
            "id = \"bench\"\ndata_dir = {:?}\n[public]\nlisten = \"127.0.0.1:{public}\"\n[signaling]\nlisten = \"127.0.0.1:{signaling}\"\n\
             [local]\nlisten = \"127.0.0.1:{local}\"\n[control_plane]\nurl = \"http://127.0.0.1:{control}\"\ntoken = \"{SECRET}\"\n[log]\nfilter = \"warn\"\n",
            folder.join("data")
        );
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
        let flow = |process: &str, when: Expr| {
            let message = start_message(&signer, source, process, when);
            let status = signal(signaling, "POST", "/dataflows/start", &message);
            let address = DataAddress::decode(&status["dataAddress"]).unwrap();
            let endpoint = address.endpoint.clone().unwrap();
            let path = endpoint[endpoint.find("/flows/").unwrap()..].to_owned();
            (path, address.property("authorization").unwrap().to_owned())
        };
        let (path, token) = flow("tp", Expr::Known(Truth::True));
        let limit = i64::MAX;
        let counted = flow("tp-counted", Expr::Usage { meter: Meter::Count, operator: TimeOperator::Lteq, limit });
        Self { child, port: public, path, token, counted }
    }
}

impl Drop for Hansa {
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

fn start_message(signer: &PlanSigner, source: u16, process: &str, when: Expr) -> Value {
    let rule = ResidualRule { id: "p0".into(), text: "use is permitted".into(), when };
    let plan = EnforcementPlan {
        process_id: process.into(),
        agreement_id: "a".into(),
        dataset_id: "d".into(),
        provider: "us".into(),
        consumer: "partner".into(),
        issued_at: 0,
        rules: Residual { permissions: vec![rule], ..Residual::default() },
        source: Some(Source::Http { base_url: format!("http://127.0.0.1:{source}"), credential: None }),
        admission: Admission {
            methods: vec!["GET".into()],
            paths: vec!["/small".into(), "/large".into()],
            query: None,
        },
        selection: None,
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
    let mut stream = connect(port);
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
