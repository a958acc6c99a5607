//! Programs that run beside the demo: started with a log file, ended by their process id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::fault::Fault;

/// How long a program may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a program in a folder; its output goes to `<name>.log` there.
    ///
    /// # Errors
    /// When the log file cannot be written or the program not be run.
    pub fn start(
        name: &str,
        folder: &Path,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, Fault> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).map_err(|error| Fault::file(&log, &error))?;
        let errors = output.try_clone().map_err(|error| Fault::file(&log, &error))?;
        let child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder)
            // Its own group, so that Ctrl-C reaches only the demo, which then ends the programs in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Fault::file(program, &error))?;
        Ok(Self { name: name.to_owned(), log, child })
    }

    /// Waits until `ready` says yes; fails as soon as the program has ended.
    pub async fn wait_until(&mut self, what: &str, ready: impl AsyncFn() -> bool) -> Result<(), Fault> {
        let begun = Instant::now();
        while !ready().await {
            if let Ok(Some(status)) = self.child.try_wait() {
                let said = last_line(&self.log);
                return Err(Fault::new(format!("{} ended with {status} before {what}: {said}", self.name)));
            }
            if begun.elapsed() > Duration::from_secs(20) {
                return Err(Fault::new(format!("{} was not there after 20 s: {what}", self.name)));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Asks the program to end; kills it when it does not.
    pub async fn end(mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // A program that has ended already needs no signal.
            let _gone = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            let _gone = self.child.kill().await;
        }
    }
}

/// The last line that a program wrote.
fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it wrote nothing").to_owned()
}
