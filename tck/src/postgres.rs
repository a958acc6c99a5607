//! A PostgreSQL server for one test, started by the project's own script.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::{Context as _, Error, Result};

/// A new and empty server on loopback; it ends when this is dropped.
pub struct Postgres {
    url: String,
    input: Option<ChildStdin>,
    script: Child,
}

impl Postgres {
    /// Starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // The script ends the server when the command that it runs has ended: here, when our end of the pipe is closed.
        let mut script = Command::new(root.join("scripts/with-postgres.sh"))
            .args(["sh", "-c", "printf '%s\\n' \"$HANSA_TEST_POSTGRES_URL\"; exec cat >/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("scripts/with-postgres.sh")?;
        let input = script.stdin.take();
        let mut output = script.stdout.take().context("no pipe to scripts/with-postgres.sh")?;
        let mut line = Vec::new();
        let mut byte = [0];
        while output.read(&mut byte).context("scripts/with-postgres.sh")? == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        let url = String::from_utf8_lossy(&line).into_owned();
        if !url.starts_with("postgres://") {
            return Err(Error::new("PostgreSQL did not start: the lines above say why"));
        }
        Ok(Self { url, input, script })
    }

    /// A new, empty database of this name on the server, as a URL.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self, name: &str) -> Result<String> {
        let made = Command::new("psql")
            .args([self.url.as_str(), "--quiet", "--no-psqlrc", "--command", &format!("CREATE DATABASE {name}")])
            .status()
            .context("psql")?;
        if !made.success() {
            return Err(Error::new(format!("psql could not make the database {name}")));
        }
        let (server, _) = self.url.rsplit_once('/').context("the URL of the server has no database")?;
        Ok(format!("{server}/{name}"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.input.take());
        // Nothing can be done here about a script that fails while it ends the server.
        let _ = self.script.wait();
    }
}
