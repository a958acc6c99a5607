//! The programs of this repository that the demo starts.

use std::path::{Path, PathBuf};

use crate::fault::Fault;

/// Where they lie.
#[derive(Debug)]
pub struct Programs {
    /// Control plane and command line.
    pub hansa: PathBuf,
    /// Data plane.
    pub dataplane: PathBuf,
    /// The stand-in for a city's NGSI-LD broker.
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
