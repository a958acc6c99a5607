//! The command line `hansa`, used as a person uses it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::fault::Fault;
use crate::tell::Teller;

/// The command line of one city.
#[derive(Debug)]
pub struct Hansa {
    /// The program.
    pub program: PathBuf,
    city: String,
    folder: PathBuf,
    /// Address of the management API.
    pub url: String,
    /// File with the management token.
    pub token_file: PathBuf,
}

/// What a command ended with, when it did not succeed.
#[derive(Debug)]
pub struct Refused {
    /// The sentence on standard error.
    pub sentence: String,
}

impl Hansa {
    /// The command line for the control plane at `url`.
    pub fn new(program: &Path, city: &str, folder: &Path, url: String) -> Self {
        let token_file = folder.join("hansa-data/management.token");
        Self { program: program.to_owned(), city: city.to_owned(), folder: folder.to_owned(), url, token_file }
    }

    /// The management token.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn token(&self) -> Result<String, Fault> {
        let text = std::fs::read_to_string(&self.token_file).map_err(|error| Fault::file(&self.token_file, &error))?;
        Ok(text.trim().to_owned())
    }

    /// Runs a command and gives back what it printed as JSON.
    ///
    /// # Errors
    /// When the command fails, with the sentence that it printed.
    pub async fn run(&self, tell: &Teller, arguments: &[&str]) -> Result<Value, Fault> {
        match self.attempt(tell, arguments).await? {
            Ok(value) => Ok(value),
            Err(refused) => Err(Fault::new(format!("`{}` failed: {}", line(arguments), refused.sentence))),
        }
    }

    /// Runs a command that may be refused.
    ///
    /// # Errors
    /// When the command cannot be run, or its output is not JSON.
    pub async fn attempt(&self, tell: &Teller, arguments: &[&str]) -> Result<Result<Value, Refused>, Fault> {
        tell.command(&self.city, &line(arguments));
        let output = Command::new(&self.program)
            .args(["--json", "--url", &self.url, "--token-file"])
            .arg(&self.token_file)
            .args(arguments)
            .current_dir(&self.folder)
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| Fault::file(&self.program, &error))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let sentence = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Ok(Err(Refused { sentence }));
        }
        if printed.trim().is_empty() {
            return Ok(Ok(Value::Null));
        }
        serde_json::from_str(printed.trim())
            .map(Ok)
            .map_err(|error| Fault::new(format!("`{}` printed no JSON ({error})", line(arguments))))
    }
}

/// The command as a person would type it.
fn line(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|argument| {
        if argument.contains([' ', '?', '&']) { format!("'{argument}'") } else { (*argument).to_owned() }
    });
    std::iter::once("hansa".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// The string at a JSON pointer.
///
/// # Errors
/// When there is none; the sentence says what the answer was.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, Fault> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| Fault::new(format!("the answer has no `{pointer}`: {value}")))
}
