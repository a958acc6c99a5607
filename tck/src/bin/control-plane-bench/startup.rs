//! How long a control plane takes until it serves, and what memory it then needs at rest.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tck::binaries::Binaries;
use tck::process::Process;
use tck::service::{ControlPlane, ControlPlaneSettings, StaticPeer};
use tck::{Context as _, Error, Result};

use crate::Extent;
use crate::cities::{CONSUMER, LOG, PROVIDER};
use crate::figures::{Budget, Report, median, ms};
use crate::machine::{cpu_ms, resident_mib};

/// How long one start may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn measure(binaries: &Binaries, home: &Path, extent: &Extent, report: &mut Report) -> Result<()> {
    // The first start writes the settings with their ports; the database that it made is thrown away.
    let peer = StaticPeer::new(CONSUMER, "token-that-durres-shows", "token-that-bari-shows", &[]);
    let settings = ControlPlaneSettings { log: LOG, ..ControlPlaneSettings::new(PROVIDER, vec![peer]) };
    let mut first = ControlPlane::start(binaries, home, settings).await?;
    first.kill();
    let address = format!("{}/.well-known/dspace-version", first.root());
    let (mut empty, mut migrated, mut work) = (Vec::new(), Vec::new(), Vec::new());
    let mut running = None;
    for _ in 0..extent.starts {
        // Dropping a process ends it.
        running = None;
        remove_database(home)?;
        for times in [&mut empty, &mut migrated] {
            drop(running.take());
            let began = Instant::now();
            let mut process = launch(binaries, home)?;
            serves(&mut process, &address).await?;
            times.push(ms(began.elapsed()));
            work.push(cpu_ms(process.id())?);
            running = Some(process);
        }
    }
    report.add("ready, first start (empty database)", "ms", Budget::AtMost(2_000.0), median(&empty));
    report.add("ready, migrated database", "ms", Budget::AtMost(300.0), median(&migrated));
    report.add("CPU until ready", "ms", Budget::None, median(&work));
    if let Some(process) = running {
        tokio::time::sleep(extent.idle).await;
        report.add("resident memory at rest", "MiB", Budget::AtMost(40.0), resident_mib(process.id())?);
    }
    Ok(())
}

fn launch(binaries: &Binaries, home: &Path) -> Result<Process> {
    let mut command = Command::new(binaries.control_plane());
    command.args(["serve", "--config"]).arg(home.join("hansa.toml")).current_dir(home);
    Process::start("hansa", command, &home.join("hansa.log"))
}

fn remove_database(home: &Path) -> Result<()> {
    for entry in std::fs::read_dir(home).context(home.display())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("hansa.db") {
            std::fs::remove_file(entry.path()).context(entry.path().display())?;
        }
    }
    Ok(())
}

/// Waits for the first 200 of the version document.
async fn serves(process: &mut Process, address: &str) -> Result<()> {
    let http = reqwest::Client::new();
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        process.check()?;
        if let Ok(answer) = http.get(address).timeout(PATIENCE).send().await
            && answer.status() == 200
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(Error::new(format!("{address} did not answer 200 in time\n{}", process.tail())))
}
