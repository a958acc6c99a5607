//! Starts the two programs that ship, on free ports of loopback, with configuration and data in one folder.

mod control_plane;
mod credentials;
mod data_plane;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

pub use control_plane::{ControlPlane, ControlPlaneSettings, StaticPeer};
pub use credentials::{Credentials, IssuedType, TrustedIssuer, did_web};
pub use data_plane::{DataPlane, DataPlaneSettings, RenewalSettings};

use crate::binaries::Binaries;
use crate::management::{Management, text};
use crate::process::Process;
use crate::{Context as _, Result, wait};

/// How long a program may take until it serves.
const START: Duration = Duration::from_secs(20);

/// A participant's installation: a control plane with one data plane.
pub struct Connector {
    /// The control plane.
    pub control: ControlPlane,
    /// Its data plane.
    pub data: DataPlane,
}

impl Connector {
    /// Starts both in `folder`, and waits until the data plane is registered.
    ///
    /// # Errors
    /// When one of them does not start; the sentence shows the end of its log.
    pub async fn start(binaries: &Binaries, folder: &Path, settings: ControlPlaneSettings) -> Result<Self> {
        Self::start_with(binaries, folder, settings, DataPlaneSettings::default()).await
    }

    /// The same with settings for the data plane.
    ///
    /// # Errors
    /// As [`Connector::start`].
    pub async fn start_with(
        binaries: &Binaries,
        folder: &Path,
        settings: ControlPlaneSettings,
        data: DataPlaneSettings,
    ) -> Result<Self> {
        let control = ControlPlane::start(binaries, &folder.join("control"), settings).await?;
        let data = DataPlane::start(binaries, &folder.join("data"), &control, data).await?;
        let connector = Self { control, data };
        connector.registered().await?;
        Ok(connector)
    }

    /// The operator's side of it.
    pub fn api(&self) -> &Management {
        self.control.api()
    }

    /// The participant id.
    pub fn id(&self) -> &str {
        self.control.participant()
    }

    /// Waits until the control plane knows its data plane.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn registered(&self) -> Result<()> {
        let path = "/data-planes";
        wait::until("the data plane registers", START, || async {
            let planes = self.api().all(path).await.ok()?;
            planes.iter().any(|plane| text(plane, "id") == self.data.id()).then_some(())
        })
        .await
    }
}

/// Writes a file that only we need to read.
fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, contents).context(path.display())
}

/// Writes a configuration file.
fn write_toml(path: &Path, settings: &impl Serialize) -> Result<()> {
    write(path, toml::to_string(settings).context(path.display())?)
}

fn folder(path: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(path).context(path.display())?;
    Ok(path.to_owned())
}

/// Waits until an address answers 200, as long as the process lives.
async fn ready(process: &mut Process, address: &str) -> Result<()> {
    let http = reqwest::Client::new();
    let began = std::time::Instant::now();
    loop {
        process.check()?;
        if let Ok(response) = http.get(address).timeout(Duration::from_secs(2)).send().await
            && response.status().is_success()
        {
            return Ok(());
        }
        if began.elapsed() > START {
            return Err(crate::Error::new(format!("{address} did not answer 200 in time\n{}", process.tail())));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
