//! A city: its folder, its configuration, its programs.

use std::path::{Path, PathBuf};

use rand::RngCore;

use crate::cli::Hansa;
use crate::fault::Fault;
use crate::ports;
use crate::process::Process;
use crate::template;

/// The programs of this repository.
#[derive(Debug)]
pub struct Programs {
    /// Control plane and command line.
    pub hansa: PathBuf,
    /// Data plane.
    pub dataplane: PathBuf,
    /// The stand-in for the city's NGSI-LD broker.
    pub source: PathBuf,
}

impl Programs {
    /// Finds the programs in a folder.
    ///
    /// # Errors
    /// When one is missing.
    pub fn find(folder: &Path) -> Result<Self, Fault> {
        let find = |name: &str| {
            let path = folder.join(name);
            let missing = |_| Fault::new(format!("`{}` is missing; `make demo` builds it", path.display()));
            path.canonicalize().map_err(missing)
        };
        Ok(Self { hansa: find("hansa")?, dataplane: find("hansa-dataplane")?, source: find("ngsi-ld-source")? })
    }
}

/// The ports of a city's programs.
#[derive(Debug)]
struct Ports {
    dsp: u16,
    management: u16,
    signaling: u16,
    data_public: u16,
    data_signaling: u16,
    data_local: u16,
    source: u16,
}

/// One of the two cities.
#[derive(Debug)]
pub struct City {
    /// Its name.
    pub name: &'static str,
    /// Its name in ids and files.
    pub key: &'static str,
    /// Its participant id.
    pub participant: String,
    /// Configuration, data and logs.
    pub folder: PathBuf,
    /// Its command line.
    pub hansa: Hansa,
    /// The token that it sends to its partner.
    pub sends_token: String,
    broker_token: String,
    ports: Ports,
}

impl City {
    /// Founds a city: a folder, free ports, secrets.
    ///
    /// # Errors
    /// When the folder cannot be made or ports run out.
    pub fn found(name: &'static str, key: &'static str, run: &Path, programs: &Programs) -> Result<Self, Fault> {
        let folder = run.join(key);
        for name in ["open-data", "hansa-data"] {
            std::fs::create_dir_all(folder.join(name)).map_err(|error| Fault::file(&folder, &error))?;
        }
        let [dsp, management, signaling, data_public, data_signaling, data_local, source] = ports::free()?;
        let ports = Ports { dsp, management, signaling, data_public, data_signaling, data_local, source };
        let hansa = Hansa::new(&programs.hansa, name, &folder, format!("http://127.0.0.1:{management}"));
        Ok(Self {
            name,
            key,
            participant: format!("did:web:{key}.example"),
            folder,
            hansa,
            sends_token: secret(),
            broker_token: secret(),
            ports,
        })
    }

    /// The address at which partners find the control plane.
    pub fn root(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.dsp)
    }

    /// The address that the city's own programs read, as if it were their broker.
    pub fn local(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.data_local)
    }

    /// The address of the city's own NGSI-LD source.
    pub fn source(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.source)
    }

    /// Writes the configuration of both planes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn configure(&self, partner: &Self) -> Result<(), Fault> {
        let ports = [
            ("dsp", self.ports.dsp),
            ("management", self.ports.management),
            ("signaling", self.ports.signaling),
            ("data_public", self.ports.data_public),
            ("data_signaling", self.ports.data_signaling),
            ("data_local", self.ports.data_local),
        ]
        .map(|(name, port)| (name, port.to_string()));
        let source = self.source();
        let mut values: Vec<(&str, &str)> = ports.iter().map(|(name, port)| (*name, port.as_str())).collect();
        values.extend([
            ("name", self.name),
            ("key", self.key),
            ("participant", &self.participant),
            ("partner", &partner.participant),
            ("accepts_token", &partner.sends_token),
            ("sends_token", &self.sends_token),
            ("source", &source),
        ]);
        let path = |name: &str| self.folder.join(name);
        template::write(&path("hansa.toml"), include_str!("../config/hansa.toml"), &values)?;
        template::write(&path("hansa-dataplane.toml"), include_str!("../config/hansa-dataplane.toml"), &values)?;
        write_secret(&self.hansa.token_file, &secret())?;
        write_secret(&path("signaling.token"), &secret())?;
        write_secret(&path("broker.authorization"), &format!("Bearer {}", self.broker_token))
    }

    /// Starts the stand-in for the city's broker; its values change every second.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_source(&self, programs: &Programs, data: &Path, seed: u64) -> Result<Process, Fault> {
        let listen = format!("127.0.0.1:{}", self.ports.source);
        let files = ["entities", "history"].map(|name| data.join(format!("{}-{name}.json", self.key)));
        let [entities, history] = files.each_ref().map(|path| path.to_string_lossy());
        let seed = seed.to_string();
        let mut arguments = vec!["--listen", &listen, "--data", &entities, "--history", &history];
        arguments.extend(["--live", "1", "--seed", &seed]);
        // By the environment: command lines are visible to everybody on the machine.
        let environment = [("NGSI_LD_SOURCE_TOKEN", self.broker_token.as_str())];
        let mut process = Process::start("ngsi-ld-source", &self.folder, &programs.source, &arguments, &environment)?;
        process.wait_until("it listened", async || answers(&format!("{}/health", self.source())).await).await?;
        Ok(process)
    }

    /// Starts the control plane and waits until it serves.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_control_plane(&self, programs: &Programs) -> Result<Process, Fault> {
        let mut process =
            Process::start("hansa", &self.folder, &programs.hansa, &["serve", "--config", "hansa.toml"], &[])?;
        process.wait_until("it served", async || answers(&format!("{}/health", self.root())).await).await?;
        Ok(process)
    }

    /// Starts the data plane.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_data_plane(&self, programs: &Programs) -> Result<Process, Fault> {
        Process::start(
            "hansa-dataplane",
            &self.folder,
            &programs.dataplane,
            &["serve", "--config", "hansa-dataplane.toml"],
            &[],
        )
    }
}

/// Whether an address answers with success.
pub async fn answers(address: &str) -> bool {
    reqwest::get(address).await.is_ok_and(|response| response.status().is_success())
}

/// 32 random bytes in hexadecimal.
fn secret() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// Writes a file that only its owner can read.
fn write_secret(path: &Path, content: &str) -> Result<(), Fault> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.and_then(|mut file| writeln!(file, "{content}")).map_err(|error| Fault::file(path, &error))
}
