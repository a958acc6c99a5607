//! The program `hansa-dataplane`.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use super::{START, folder, write, write_toml};
use crate::binaries::Binaries;
use crate::process::Process;
use crate::server::url;
use crate::service::ControlPlane;
use crate::{Result, ports, wait};

/// What one data plane is to be like.
#[derive(Clone, Debug, Default)]
pub struct DataPlaneSettings {
    /// Folders that file sources name.
    pub file_roots: BTreeMap<String, PathBuf>,
    /// Its id; a new one when nothing is said.
    pub id: Option<String>,
    /// How it and the control plane authenticate to each other; the shared secret when nothing is said.
    pub authorization: Option<toml::Table>,
    /// Renewal of tokens; without it nothing is said, so that it is neither offered nor required.
    pub renewal: Option<RenewalSettings>,
}

/// How tokens of pulls are renewed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RenewalSettings {
    /// Partners get tokens that they can renew.
    pub offered: bool,
    /// Life of such a token, seconds.
    pub access_token_seconds: u32,
    /// Partners have to give such tokens.
    pub required: bool,
}

#[derive(Serialize)]
struct File<'a> {
    id: &'a str,
    data_dir: &'a Path,
    public: Listener,
    signaling: Listener,
    local: Listener,
    control_plane: Control,
    partners: Partners,
    file_roots: &'a BTreeMap<String, PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewal: Option<RenewalSettings>,
}

#[derive(Serialize)]
struct Listener {
    listen: String,
}

#[derive(Serialize)]
struct Control {
    url: String,
    #[serde(flatten)]
    authorization: toml::Table,
}

/// Everything is on loopback, which a data plane does not fetch from unless told so.
#[derive(Serialize)]
struct Partners {
    danger_allow_private_addresses: bool,
    danger_allow_plain_http: bool,
}

/// A running data plane. Dropping it kills it.
pub struct DataPlane {
    process: Process,
    program: PathBuf,
    folder: PathBuf,
    id: String,
    signaling: u16,
    local: u16,
    public: u16,
}

impl DataPlane {
    /// Starts it in `home` and waits until it listens.
    ///
    /// # Errors
    /// When it does not; the sentence shows the end of its log.
    pub async fn start(
        binaries: &Binaries,
        home: &Path,
        control: &ControlPlane,
        settings: DataPlaneSettings,
    ) -> Result<Self> {
        let home = folder(home)?;
        let id = settings.id.unwrap_or_else(|| format!("plane-{}", uuid::Uuid::new_v4()));
        let (public, signaling, local) = (ports::free()?, ports::free()?, ports::free()?);
        let authorization = match settings.authorization {
            Some(authorization) => authorization,
            None => {
                let token_file = home.join("control-plane.token");
                write(&token_file, control.signaling_token())?;
                toml::Table::from_iter([("token_file".to_owned(), token_file.display().to_string().into())])
            }
        };
        let listener = |port| Listener { listen: format!("127.0.0.1:{port}") };
        let file = File {
            id: &id,
            data_dir: &home,
            public: listener(public),
            signaling: listener(signaling),
            local: listener(local),
            control_plane: Control { url: control.signaling(), authorization },
            partners: Partners { danger_allow_private_addresses: true, danger_allow_plain_http: true },
            file_roots: &settings.file_roots,
            renewal: settings.renewal,
        };
        write_toml(&home.join("hansa-dataplane.toml"), &file)?;
        let program = binaries.data_plane();
        let process = launch(&program, &home)?;
        let mut this = Self { process, program, folder: home, id, signaling, local, public };
        this.ready().await?;
        Ok(this)
    }

    /// The name under which it registers.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder that it keeps everything in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where our own readers read partners' data.
    pub fn local(&self) -> String {
        url(self.local)
    }

    /// Where partners read our data.
    pub fn public(&self) -> String {
        url(self.public)
    }

    /// Where the control plane gives its signals.
    pub fn signaling(&self) -> String {
        url(self.signaling)
    }

    /// Ends it with SIGKILL. Its folder stays.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to stop, as an operator does, and waits until it has.
    ///
    /// # Errors
    /// When it does not in time; the sentence shows the end of its log.
    pub async fn stop(&mut self, patience: Duration) -> Result<()> {
        self.process.stop(patience).await
    }

    /// Starts it again in the same folder and on the same ports, and waits until it listens.
    ///
    /// # Errors
    /// As [`DataPlane::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = launch(&self.program, &self.folder)?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<()> {
        let port = self.signaling;
        let open = wait::until("hansa-dataplane listens", START, || async {
            TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        });
        open.await.map_err(|error| crate::Error::new(format!("{error}\n{}", self.process.tail())))?;
        self.process.check()
    }
}

fn launch(program: &Path, home: &Path) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg("--config").arg(home.join("hansa-dataplane.toml")).current_dir(home);
    Process::start("hansa-dataplane", command, &home.join("hansa-dataplane.log"))
}
