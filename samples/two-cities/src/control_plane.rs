//! A control plane: its folder, its identity, its command line.

use std::path::{Path, PathBuf};

use rand::RngCore;

use crate::cli::Hansa;
use crate::fault::Fault;
use crate::ports::Ports;
use crate::process::Process;
use crate::programs::Programs;

/// The control plane of a city or of the authority.
#[derive(Debug)]
pub struct ControlPlane {
    /// The name of whose it is.
    pub name: &'static str,
    /// The same in the names of files.
    pub key: &'static str,
    /// Its DID, which is its participant id.
    pub did: String,
    /// Configuration, data and logs.
    pub folder: PathBuf,
    /// Its command line.
    pub hansa: Hansa,
    dsp: u16,
    management: u16,
    signaling: u16,
}

impl ControlPlane {
    /// Makes a folder and finds free ports.
    ///
    /// # Errors
    /// When the folder cannot be made or ports run out.
    pub fn found(
        name: &'static str,
        key: &'static str,
        run: &Path,
        ports: &mut Ports,
        programs: &Programs,
    ) -> Result<Self, Fault> {
        let folder = run.join(key);
        std::fs::create_dir_all(folder.join("hansa-data")).map_err(|error| Fault::file(&folder, &error))?;
        let [dsp, management, signaling] = ports.free()?;
        let hansa = Hansa::new(&programs.hansa, name, &folder, format!("http://127.0.0.1:{management}"));
        // did:web writes the colon before a port as %3A.
        let did = format!("did:web:localhost%3A{dsp}");
        Ok(Self { name, key, did, folder, hansa, dsp, management, signaling })
    }

    /// The address at which others find it.
    pub fn root(&self) -> String {
        format!("http://localhost:{}", self.dsp)
    }

    /// What the templates of its configuration say by name.
    pub fn values(&self) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.to_owned()),
            ("key", self.key.to_owned()),
            ("did", self.did.clone()),
            ("dsp", self.dsp.to_string()),
            ("management", self.management.to_string()),
            ("signaling", self.signaling.to_string()),
        ]
    }

    /// Makes the secrets that its configuration names.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_secrets(&self) -> Result<(), Fault> {
        write_secret(&self.hansa.token_file, &secret())?;
        write_secret(&self.folder.join("signaling.token"), &secret())
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&self, programs: &Programs) -> Result<Process, Fault> {
        let arguments = ["serve", "--config", "hansa.toml"];
        let mut process = Process::start("hansa", &self.folder, &programs.hansa, &arguments, &[])?;
        process.wait_until("it served", async || answers(&format!("{}/health", self.root())).await).await?;
        Ok(process)
    }
}

/// Whether an address answers with success.
pub async fn answers(address: &str) -> bool {
    reqwest::get(address).await.is_ok_and(|response| response.status().is_success())
}

/// 32 random bytes in hexadecimal.
pub fn secret() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// Writes a file that only its owner can read.
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, content: &str) -> Result<(), Fault> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.and_then(|mut file| writeln!(file, "{content}")).map_err(|error| Fault::file(path, &error))
}
