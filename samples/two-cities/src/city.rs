//! A city: its control plane, its data plane, its NGSI-LD source.

use std::path::Path;

use crate::authority::Authority;
use crate::cli::Hansa;
use crate::control_plane::{ControlPlane, answers, secret, write_secret};
use crate::fault::Fault;
use crate::ports::Ports;
use crate::process::Process;
use crate::programs::Programs;
use crate::template;

/// One of the two cities.
#[derive(Debug)]
pub struct City {
    /// Its name, its identity and what speaks for it.
    pub control: ControlPlane,
    broker_token: String,
    data_public: u16,
    data_signaling: u16,
    data_local: u16,
    source: u16,
}

impl City {
    /// Founds a city: a folder, free ports, secrets.
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
        let control = ControlPlane::found(name, key, run, ports, programs)?;
        let open_data = control.folder.join("open-data");
        std::fs::create_dir_all(&open_data).map_err(|error| Fault::file(&open_data, &error))?;
        let [data_public, data_signaling, data_local, source] = ports.free()?;
        Ok(Self { control, broker_token: secret(), data_public, data_signaling, data_local, source })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.control.name
    }

    /// Configuration, data and logs.
    pub fn folder(&self) -> &Path {
        &self.control.folder
    }

    /// Its command line.
    pub fn hansa(&self) -> &Hansa {
        &self.control.hansa
    }

    /// The address that the city's own programs read, as if it were their broker.
    pub fn local(&self) -> String {
        format!("http://127.0.0.1:{}", self.data_local)
    }

    /// The address of the city's own NGSI-LD source.
    pub fn source(&self) -> String {
        format!("http://127.0.0.1:{}", self.source)
    }

    /// Writes the configuration of both planes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn configure(&self, authority: &Authority) -> Result<(), Fault> {
        let mut values = self.control.values();
        values.extend([
            ("authority", authority.control.did.clone()),
            ("data_public", self.data_public.to_string()),
            ("data_signaling", self.data_signaling.to_string()),
            ("data_local", self.data_local.to_string()),
            ("source", self.source()),
        ]);
        let path = |name: &str| self.folder().join(name);
        template::write(&path("hansa.toml"), include_str!("../config/hansa.toml"), &values)?;
        template::write(&path("hansa-dataplane.toml"), include_str!("../config/hansa-dataplane.toml"), &values)?;
        self.control.write_secrets()?;
        write_secret(&path("broker.authorization"), &format!("Bearer {}", self.broker_token))
    }

    /// Starts the stand-in for the city's broker; its values change every second.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_source(&self, programs: &Programs, data: &Path, seed: u64) -> Result<Process, Fault> {
        let listen = format!("127.0.0.1:{}", self.source);
        let files = ["entities", "history"].map(|name| data.join(format!("{}-{name}.json", self.control.key)));
        let [entities, history] = files.each_ref().map(|path| path.to_string_lossy());
        let seed = seed.to_string();
        let mut arguments = vec!["--listen", &listen, "--data", &entities, "--history", &history];
        arguments.extend(["--live", "1", "--seed", &seed]);
        // By the environment: command lines are visible to everybody on the machine.
        let environment = [("NGSI_LD_SOURCE_TOKEN", self.broker_token.as_str())];
        let mut process = Process::start("ngsi-ld-source", self.folder(), &programs.source, &arguments, &environment)?;
        process.wait_until("it listened", async || answers(&format!("{}/health", self.source())).await).await?;
        Ok(process)
    }

    /// Starts the data plane.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_data_plane(&self, programs: &Programs) -> Result<Process, Fault> {
        let arguments = ["serve", "--config", "hansa-dataplane.toml"];
        Process::start("hansa-dataplane", self.folder(), &programs.dataplane, &arguments, &[])
    }
}
