//! nginx, as the source of files and as the proxy that we are compared with.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::process::{free_port, wait_for};

/// A certificate of this machine and its key, made by `openssl`.
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    pub fn make(folder: &Path) -> Self {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .stderr(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "`openssl` could not make a certificate");
        Self { cert, key }
    }
}

/// A running nginx.
pub struct Nginx {
    child: Child,
    pub port: u16,
}

impl Nginx {
    /// Whether it is installed.
    pub fn is_there() -> bool {
        Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok()
    }

    /// Serves a file of `small` bytes, and one for each of the names with so many bytes, which take no room.
    pub fn source(folder: &Path, small: usize, large: &[(&str, u64)]) -> Self {
        let files = folder.join("files");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("small"), vec![b'x'; small]).unwrap();
        for (name, bytes) in large {
            File::create(files.join(name)).unwrap().set_len(*bytes).unwrap();
        }
        let port = free_port();
        let server = format!(
            "server {{ listen 127.0.0.1:{port}; root {}; sendfile on; keepalive_requests 100000000; }}",
            files.display()
        );
        Self::start(folder, "source", port, 1, &server)
    }

    /// A plain proxy in front of the source, with as many workers as the machine has cores.
    pub fn proxy(folder: &Path, source: u16, tls: Option<&Certificate>) -> Self {
        let port = free_port();
        let (name, secured) = match tls {
            None => ("proxy", String::new()),
            Some(tls) => (
                "tls-proxy",
                format!("ssl_certificate {}; ssl_certificate_key {};", tls.cert.display(), tls.key.display()),
            ),
        };
        let ssl = if tls.is_some() { " ssl" } else { "" };
        let server = format!(
            "upstream source {{ server 127.0.0.1:{source}; keepalive 64; keepalive_requests 100000000; }}
             server {{ listen 127.0.0.1:{port}{ssl} reuseport; keepalive_requests 100000000; {secured}
               location / {{ proxy_pass http://source; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_max_temp_file_size 0; }} }}"
        );
        let cores = super::number("NGINX_WORKERS", std::thread::available_parallelism().unwrap().get());
        Self::start(folder, name, port, cores, &server)
    }

    fn start(folder: &Path, name: &str, port: u16, workers: usize, server: &str) -> Self {
        let own = folder.join(name);
        std::fs::create_dir(&own).unwrap();
        let config = own.join("nginx.conf");
        let text = format!(
            "daemon off; worker_processes {workers}; pid {own}/pid; error_log {own}/error.log; user root;
             events {{ worker_connections 4096; }}
             http {{ access_log off; client_body_temp_path {own}/body; proxy_temp_path {own}/proxy; fastcgi_temp_path {own}/f;
                     uwsgi_temp_path {own}/u; scgi_temp_path {own}/s; {server} }}",
            own = own.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("nginx").arg("-c").arg(&config).stderr(Stdio::null()).spawn().unwrap();
        wait_for(port);
        Self { child, port }
    }

    /// The workers; the master does nothing.
    pub fn pids(&self) -> Vec<u32> {
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
