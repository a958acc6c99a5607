//! The program `hansa`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::credentials::{Credentials, IssuedType};
use super::{folder, ready, write, write_toml};
use crate::binaries::Binaries;
use crate::management::Management;
use crate::process::Process;
use crate::server::url;
use crate::{Context as _, Result, ports};

/// What one control plane is to be like. Everything else is as a new installation has it.
#[derive(Clone, Debug)]
pub struct ControlPlaneSettings {
    /// Our participant id.
    pub participant: String,
    /// The participants that we know by a token.
    pub peers: Vec<StaticPeer>,
    /// How we know others by verifiable credentials; without it we do not.
    pub credentials: Option<Credentials>,
    /// Database; a new SQLite file when nothing is said.
    pub database: Option<String>,
    /// Port for partners; a free one when nothing is said.
    pub port: Option<u16>,
    /// Address that partners are told, when it is not that port.
    pub public_url: Option<String>,
    /// Partners may be on loopback, where everything is here.
    pub private_partners: bool,
    /// Folder of the operator's own Rego modules.
    pub site_modules: Option<PathBuf>,
    /// Where the token of this workload is exchanged; nowhere when nothing is said.
    pub broker: Option<toml::Table>,
    /// What is logged; more than usual, unless something else is said.
    pub log: &'static str,
}

impl ControlPlaneSettings {
    /// A participant with these peers.
    pub fn new(participant: &str, peers: Vec<StaticPeer>) -> Self {
        Self {
            participant: participant.to_owned(),
            peers,
            credentials: None,
            database: None,
            port: None,
            public_url: None,
            private_partners: true,
            site_modules: None,
            broker: None,
            log: "info,connector=debug",
        }
    }
}

/// A participant that shows a fixed token.
#[derive(Clone, Debug, Serialize)]
pub struct StaticPeer {
    id: String,
    accepts_token: String,
    sends_token: String,
    claims: toml::Table,
}

impl StaticPeer {
    /// A peer that sends us `accepted` and gets `sent` from us; `claims` is what is known about it.
    pub fn new(id: &str, accepted: &str, sent: &str, claims: &[(&str, &str)]) -> Self {
        let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        Self { id: id.to_owned(), accepts_token: accepted.to_owned(), sends_token: sent.to_owned(), claims }
    }
}

#[derive(Serialize)]
struct File<'a> {
    participant_id: &'a str,
    data_dir: &'a Path,
    database: Database,
    dsp: Dsp,
    management: Private,
    signaling: Private,
    identity: Identity<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<Issuer<'a>>,
    partners: Partners,
    policy: Policy,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_exchange: Option<toml::Table>,
    log: Log,
}

#[derive(Serialize)]
struct Database {
    url: String,
}

#[derive(Serialize)]
struct Dsp {
    listen: String,
    public_url: String,
}

#[derive(Serialize)]
struct Private {
    listen: String,
    token_file: PathBuf,
}

#[derive(Serialize)]
struct Identity<'a> {
    danger_static_peers: &'a [StaticPeer],
    #[serde(flatten)]
    credentials: Option<&'a Credentials>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sts_client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sts_client_secret: Option<&'a str>,
}

#[derive(Serialize)]
struct Issuer<'a> {
    credentials: &'a [IssuedType],
}

#[derive(Serialize)]
struct Partners {
    danger_allow_private_addresses: bool,
}

#[derive(Serialize)]
struct Policy {
    #[serde(skip_serializing_if = "Option::is_none")]
    site_modules: Option<PathBuf>,
}

#[derive(Serialize)]
struct Log {
    filter: &'static str,
}

/// A running control plane. Dropping it kills it.
pub struct ControlPlane {
    process: Process,
    program: PathBuf,
    folder: PathBuf,
    participant: String,
    ports: Ports,
    api: Management,
    signaling_token: String,
    public_url: String,
}

#[derive(Clone, Copy)]
struct Ports {
    dsp: u16,
    management: u16,
    signaling: u16,
}

fn listen(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

impl ControlPlane {
    /// Starts it in `home` and waits until it serves.
    ///
    /// # Errors
    /// When it does not; the sentence shows the end of its log.
    pub async fn start(binaries: &Binaries, home: &Path, settings: ControlPlaneSettings) -> Result<Self> {
        let home = folder(home)?;
        let dsp = settings.port.map_or_else(ports::free, Ok)?;
        let ports = Ports { dsp, management: ports::free()?, signaling: ports::free()? };
        let token = format!("management-{}", uuid::Uuid::new_v4());
        let signaling_token = format!("signaling-{}", uuid::Uuid::new_v4());
        let public_url = settings.public_url.unwrap_or_else(|| url(ports.dsp));
        write(&home.join("management.token"), &token)?;
        write(&home.join("signaling.token"), &signaling_token)?;
        let private = |port, name: &str| Private { listen: listen(port), token_file: home.join(name) };
        let database = settings.database.unwrap_or_else(|| format!("sqlite://{}", home.join("hansa.db").display()));
        let credentials = settings.credentials.as_ref();
        let client = credentials.and_then(|credentials| credentials.token_client.as_ref());
        let issued = credentials.map_or(&[][..], |credentials| &credentials.issues);
        let file = File {
            participant_id: &settings.participant,
            data_dir: &home,
            database: Database { url: database },
            dsp: Dsp { listen: listen(ports.dsp), public_url: public_url.clone() },
            management: private(ports.management, "management.token"),
            signaling: private(ports.signaling, "signaling.token"),
            identity: Identity {
                danger_static_peers: &settings.peers,
                credentials,
                sts_client_id: client.map(|(id, _)| id.as_str()),
                sts_client_secret: client.map(|(_, secret)| secret.as_str()),
            },
            issuer: (!issued.is_empty()).then_some(Issuer { credentials: issued }),
            partners: Partners { danger_allow_private_addresses: settings.private_partners },
            policy: Policy { site_modules: settings.site_modules },
            token_exchange: settings.broker,
            log: Log { filter: settings.log },
        };
        write_toml(&home.join("hansa.toml"), &file)?;
        let program = binaries.control_plane();
        let process = launch(&program, &home)?;
        let api = Management::new(&url(ports.management), &token);
        let participant = settings.participant;
        let mut this = Self { process, program, folder: home, participant, ports, api, signaling_token, public_url };
        this.ready().await?;
        Ok(this)
    }

    /// The operator's side of it.
    pub fn api(&self) -> &Management {
        &self.api
    }

    /// The participant id.
    pub fn participant(&self) -> &str {
        &self.participant
    }

    /// Where partners begin: the version document lies below it.
    pub fn root(&self) -> &str {
        &self.public_url
    }

    /// Where the endpoints of DSP 2025-1 begin, on its own port.
    pub fn base(&self) -> String {
        format!("{}/dsp/2025-1", url(self.ports.dsp))
    }

    /// Where operators and our own programs call it.
    pub fn management(&self) -> String {
        url(self.ports.management)
    }

    /// What its log says about settings that switch a protection off.
    ///
    /// # Errors
    /// When the log cannot be read, or says nothing of the kind.
    pub fn dangers(&self) -> Result<Vec<String>> {
        let log = self.folder.join("hansa.log");
        let text = std::fs::read_to_string(&log).context(log.display())?;
        let said: Vec<_> = text
            .lines()
            .filter(|line| line.contains("WARN"))
            .filter_map(|line| line.split_once('`')?.1.split_once('`'))
            .filter(|(setting, _)| setting.contains(".danger_"))
            .map(|(setting, meaning)| format!("`{setting}`{meaning}"))
            .collect();
        if said.is_empty() { Err(crate::Error::new(format!("{}: no warning", log.display()))) } else { Ok(said) }
    }

    /// Where data planes call it.
    pub fn signaling(&self) -> String {
        url(self.ports.signaling)
    }

    /// What it shares with its data planes.
    pub fn signaling_token(&self) -> &str {
        &self.signaling_token
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it with SIGKILL. Its folder stays.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again in the same folder and on the same ports, and waits until it serves.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = launch(&self.program, &self.folder)?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<()> {
        ready(&mut self.process, &format!("{}/health", url(self.ports.dsp))).await
    }
}

fn launch(program: &Path, home: &Path) -> Result<Process> {
    let mut command = Command::new(program);
    command.args(["serve", "--config"]).arg(home.join("hansa.toml")).current_dir(home);
    Process::start("hansa", command, &home.join("hansa.log"))
}
