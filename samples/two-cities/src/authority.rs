//! The authority of the dataspace: a control plane that issues credentials.

use std::path::Path;

use crate::city::City;
use crate::control_plane::ControlPlane;
use crate::fault::Fault;
use crate::ports::Ports;
use crate::programs::Programs;
use crate::template;

/// The small authority that says who is a member.
#[derive(Debug)]
pub struct Authority {
    /// All that it runs. It is called `Authority` for short.
    pub control: ControlPlane,
}

impl Authority {
    /// Founds it: a folder and free ports.
    ///
    /// # Errors
    /// When the folder cannot be made or ports run out.
    pub fn found(run: &Path, ports: &mut Ports, programs: &Programs) -> Result<Self, Fault> {
        Ok(Self { control: ControlPlane::found("Authority", "authority", run, ports, programs)? })
    }

    /// Writes its configuration: which cities may have its credential, and what it says of them.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn configure(&self, arvenna: &City, belmark: &City) -> Result<(), Fault> {
        let mut values = self.control.values();
        values.extend([("arvenna", arvenna.control.did.clone()), ("belmark", belmark.control.did.clone())]);
        template::write(&self.control.folder.join("hansa.toml"), include_str!("../config/authority.toml"), &values)?;
        self.control.write_secrets()
    }
}
