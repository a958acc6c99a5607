//! A started program: its log, its end.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Context as _, Error, Result};

/// How much of the end of a log an error message shows.
const TAIL_BYTES: u64 = 4_000;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output appended to the file `log`.
    ///
    /// # Errors
    /// When the program cannot be started or the file not be opened.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log).context(log.display())?;
        let copy = file.try_clone().context(log.display())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .spawn()
            .context(format_args!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Refuses to go on when the program has ended by itself.
    ///
    /// # Errors
    /// The sentence shows the end of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context(&self.name)? {
            None => Ok(()),
            Some(status) => Err(Error::new(format!("{} ended: {status}\n{}", self.name, self.tail()))),
        }
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }

    /// Sends SIGTERM and waits until it has ended.
    ///
    /// # Errors
    /// When it does not in time; the sentence shows the end of its log.
    pub async fn stop(&mut self, patience: Duration) -> Result<()> {
        let signal = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        signal.context("kill")?;
        let begin = Instant::now();
        while self.child.try_wait().context(&self.name)?.is_none() {
            if begin.elapsed() > patience {
                return Err(Error::new(format!("{} does not stop\n{}", self.name, self.tail())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends it with SIGKILL, which it cannot prepare for, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
