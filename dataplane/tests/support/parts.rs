//! Real servers for files, on loopback: OpenSSH's SFTP server and an S3-compatible store that checks signatures; and a small web
//! server. They end when they are dropped.

use std::collections::HashMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};

use super::free_port;

/// A program that serves a port.
pub struct Server {
    child: Child,
    pub port: u16,
    /// What lies in the store, as files on this machine.
    pub files: PathBuf,
}

impl Server {
    fn start(command: &mut Command, port: u16, files: PathBuf) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name}: {error}; `scripts/setup.sh test s3` installs it"));
        let server = Self { child, port, files };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(15), "{name} does not serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An SFTP server below `folder`, with settings for a data plane: the root `name`.
pub fn sftp(folder: &Path, name: &str) -> (Server, String) {
    let folder = folder.join(format!("sftp-{name}"));
    let files = folder.join("files");
    fs::create_dir_all(&files).unwrap();
    if fs::metadata("/run/sshd").is_err() {
        // Debian's sshd separates privileges there; another user's sshd needs no such folder.
        let _ = fs::create_dir("/run/sshd");
    }
    for key in ["host", "client"] {
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key)));
    }
    fs::copy(folder.join("client.pub"), folder.join("authorized")).unwrap();
    fs::set_permissions(folder.join("authorized"), fs::Permissions::from_mode(0o600)).unwrap();
    let port = free_port();
    let at = folder.display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\nPidFile none\nUsePAM no\n\
         StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         Subsystem sftp internal-sftp\n"
    );
    fs::write(folder.join("config"), config).unwrap();
    let server = Server::start(
        Command::new("/usr/sbin/sshd").args(["-D", "-e", "-f"]).arg(folder.join("config")),
        port,
        files.clone(),
    );
    let host_key = fs::read_to_string(folder.join("host.pub")).unwrap();
    fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let settings = format!(
        r#"
        [file_roots.{name}]
        url = "sftp://127.0.0.1:{port}{files}"
        credential = "{name}"
        host_key_file = "{at}/known_hosts"
        [credentials.{name}]
        url_prefix = "sftp://127.0.0.1:{port}/"
        user = "{user}"
        private_key_file = "{at}/client"
        "#,
        files = files.display(),
        user = user.trim(),
    );
    (server, settings)
}

/// An S3-compatible store below `folder` with one bucket, and settings for a data plane: the root `name`.
pub fn s3(folder: &Path, name: &str) -> (Server, String) {
    let folder = folder.join(format!("s3-{name}"));
    let files = folder.join("files/city-data");
    fs::create_dir_all(&files).unwrap();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/versitygw");
    let program = if built.exists() { built } else { PathBuf::from("versitygw") };
    let port = free_port();
    let mut command = Command::new(program);
    command
        .env("ROOT_ACCESS_KEY", "test-key")
        .env("ROOT_SECRET_KEY", "test-secret")
        .args(["--port", &format!("127.0.0.1:{port}"), "--region", "eu-test-1", "posix"])
        .arg(folder.join("files"));
    let server = Server::start(&mut command, port, files);
    let settings = format!(
        r#"
        [file_roots.{name}]
        url = "s3://city-data"
        endpoint = "http://127.0.0.1:{port}"
        region = "eu-test-1"
        credential = "{name}"
        [credentials.{name}]
        url_prefix = "http://127.0.0.1:{port}/"
        access_key_id = "test-key"
        secret_access_key = "test-secret"
        "#
    );
    (server, settings)
}

/// Files of a web server by path; GET and HEAD with one range, PUT.
#[derive(Clone, Default)]
pub struct Web(pub Arc<Mutex<HashMap<String, web::Bytes>>>);

impl Web {
    /// Starts the server; gives settings for a data plane, too: the root `name`.
    pub fn start(name: &str) -> (Self, String) {
        let files = Self::default();
        let shared = files.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(shared.clone()))
                .app_data(web::PayloadConfig::new(1 << 30))
                .default_service(web::to(Self::answer))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let port = server.addrs()[0].port();
        actix_web::rt::spawn(server.run());
        let settings = format!(
            r#"
            [file_roots.{name}]
            url = "http://127.0.0.1:{port}/data"
            credential = "{name}"
            [credentials.{name}]
            url_prefix = "http://127.0.0.1:{port}/data/"
            authorization = "Basic web-canary"
            "#
        );
        (files, settings)
    }

    async fn answer(request: HttpRequest, body: web::Bytes, files: Data<Self>) -> HttpResponse {
        if request.headers().get("authorization").is_none_or(|value| value != "Basic web-canary") {
            return HttpResponse::Unauthorized().finish();
        }
        let path = request.path().trim_start_matches("/data/").to_owned();
        let mut files = files.0.lock().unwrap();
        if request.method() == "PUT" {
            files.insert(path, body);
            return HttpResponse::Created().finish();
        }
        let Some(found) = files.get(&path).cloned() else { return HttpResponse::NotFound().finish() };
        let etag = format!("\"v{}\"", found.len());
        let range = request.headers().get("range").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Some((first, last)) = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        else {
            return HttpResponse::Ok().insert_header(("etag", etag)).body(found);
        };
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let part = found.slice(first..=last);
        let range = format!("bytes {first}-{last}/{}", found.len());
        HttpResponse::PartialContent().insert_header(("etag", etag)).insert_header(("content-range", range)).body(part)
    }
}
