//! What belongs to an installation when the settings do not say it: made at the first start, kept in the data folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use thiserror::Error;

use super::Config;

/// File with the participant id.
const PARTICIPANT_FILE: &str = "participant-id";
/// File with the secret that data planes share with us.
pub(crate) const SIGNALING_FILE: &str = "signaling.token";
/// File with the name of this replica.
const INSTANCE_FILE: &str = "instance";
/// Randomness of a secret that we make, in bytes.
const SECRET_BYTES: usize = 32;

/// The data folder cannot be used.
#[derive(Debug, Error)]
#[error("cannot use `{path}`: {error}")]
pub struct InstallationError {
    path: PathBuf,
    error: io::Error,
}

/// Who we are, and the secret shared with our data planes.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Our id in the dataspace.
    pub participant_id: String,
    /// The secret shared with our data planes.
    pub signaling_token: SecretString,
    /// Name of this replica in leases; the same after a restart.
    pub instance: String,
}

impl Config {
    /// What the settings say, and for the rest what the data folder holds; what is not there yet is made.
    ///
    /// # Errors
    /// [`InstallationError`] when the data folder cannot be made, read or written.
    pub fn installation(&self) -> Result<Installation, InstallationError> {
        make_folder(&self.data_dir)?;
        let participant_id = match &self.participant_id {
            Some(id) => id.clone(),
            None => keep(&self.data_dir.join(PARTICIPANT_FILE), || format!("urn:hansa:{}", uuid::Uuid::new_v4()))?,
        };
        let signaling_token = match &self.signaling_token {
            Some(token) => token.clone(),
            None => SecretString::from(keep(&self.data_dir.join(SIGNALING_FILE), new_secret)?),
        };
        let instance = keep(&self.data_dir.join(INSTANCE_FILE), || uuid::Uuid::new_v4().to_string())?;
        Ok(Installation { participant_id, signaling_token, instance })
    }
}

/// A new random secret.
pub(crate) fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; SECRET_BYTES]>())
}

/// Makes a folder that only we may enter; one that is there stays as it is.
///
/// # Errors
/// [`InstallationError`].
pub(crate) fn make_folder(path: &Path) -> Result<(), InstallationError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| InstallationError { path: path.to_owned(), error })
}

/// Writes a file that only we may read; one that is there is an error of the kind `AlreadyExists`.
///
/// # Errors
/// What the operating system says.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The text that a file holds; when there is no such file, a new text that it then holds.
fn keep(path: &Path, make: impl FnOnce() -> String) -> Result<String, InstallationError> {
    let failed = |error| InstallationError { path: path.to_owned(), error };
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => {
            Err(failed(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")))
        }
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make();
            write_private(path, &format!("{text}\n")).map_err(failed)?;
            Ok(text)
        }
        Err(error) => Err(failed(error)),
    }
}
