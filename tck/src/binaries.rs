//! Where the binaries under test lie.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The folder that holds `hansa` and `hansa-dataplane`.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

/// The environment variable that names the folder.
pub const VARIABLE: &str = "HANSA_BIN_DIR";

impl Binaries {
    /// The folder named by `HANSA_BIN_DIR`.
    ///
    /// # Errors
    /// When the variable is not set, or a binary is missing there.
    pub fn from_environment() -> Result<Self> {
        match std::env::var_os(VARIABLE) {
            Some(folder) => Self::new(Path::new(&folder)),
            None => Err(Error::new(format!(
                "{VARIABLE} does not say where the binaries are: run `make build`, then set it to the folder \
                 target/release"
            ))),
        }
    }

    /// The folder `folder`.
    ///
    /// # Errors
    /// When a binary is missing there.
    pub fn new(folder: &Path) -> Result<Self> {
        let folder =
            std::path::absolute(folder).map_err(|error| Error::new(format!("{}: {error}", folder.display())))?;
        let binaries = Self(folder);
        for path in [binaries.control_plane(), binaries.data_plane()] {
            if !path.is_file() {
                return Err(Error::new(format!("{} is missing: `make build` builds it", path.display())));
            }
        }
        Ok(binaries)
    }

    /// The control plane's program.
    pub fn control_plane(&self) -> PathBuf {
        self.0.join("hansa")
    }

    /// The data plane's program.
    pub fn data_plane(&self) -> PathBuf {
        self.0.join("hansa-dataplane")
    }
}
