//! The command line `hansa`, used as a person uses it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

use crate::fault::Fault;
use crate::tell::Teller;

/// How long something may take that a command waits for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two looks.
const AGAIN: Duration = Duration::from_millis(20);

/// The command line of a city or of the authority.
#[derive(Debug)]
pub struct Hansa {
    /// The program.
    pub program: PathBuf,
    owner: String,
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
    /// What it printed all the same.
    pub printed: Value,
}

impl Hansa {
    /// The command line for the control plane at `url`.
    pub fn new(program: &Path, owner: &str, folder: &Path, url: String) -> Self {
        let token_file = folder.join("hansa-data/management.token");
        Self { program: program.to_owned(), owner: owner.to_owned(), folder: folder.to_owned(), url, token_file }
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
        self.attempt(tell, arguments).await?.map_err(|refused| failed(arguments, &refused))
    }

    /// Runs a command that may be refused.
    ///
    /// # Errors
    /// When the command cannot be run, or its output is not JSON.
    pub async fn attempt(&self, tell: &Teller, arguments: &[&str]) -> Result<Result<Value, Refused>, Fault> {
        tell.command(&self.owner, &line(arguments));
        self.quietly(arguments).await
    }

    /// Runs a command again and again until what it prints is what is waited for; tells nothing.
    ///
    /// # Errors
    /// When it fails, or when ten seconds have passed.
    pub async fn wait_for(
        &self,
        what: &str,
        arguments: &[&str],
        found: impl Fn(&Value) -> bool,
    ) -> Result<Value, Fault> {
        let begun = Instant::now();
        loop {
            let value = self.quietly(arguments).await?.map_err(|refused| failed(arguments, &refused))?;
            if found(&value) {
                return Ok(value);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Fault::new(format!("after {} s {what}: {value}", PATIENCE.as_secs())));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn quietly(&self, arguments: &[&str]) -> Result<Result<Value, Refused>, Fault> {
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
        let value = match printed.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text)
                .map_err(|error| Fault::new(format!("`{}` printed no JSON ({error})", line(arguments))))?,
        };
        if output.status.success() {
            return Ok(Ok(value));
        }
        let sentence = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(Err(Refused { sentence, printed: value }))
    }
}

fn failed(arguments: &[&str], refused: &Refused) -> Fault {
    Fault::new(format!("`{}` failed: {}", line(arguments), refused.sentence))
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

/// The list below a member of an answer.
///
/// # Errors
/// When there is none; the sentence says what the answer was.
pub fn list<'a>(value: &'a Value, member: &str) -> Result<&'a [Value], Fault> {
    value
        .get(member)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .ok_or_else(|| Fault::new(format!("the answer has no list `{member}`: {value}")))
}

/// Whether a negotiation or transfer is in this state.
pub fn is_in(state: &str) -> impl Fn(&Value) -> bool {
    move |process| text(process, "/state").is_ok_and(|now| now == state)
}

/// The only entry of a list.
///
/// # Errors
/// When there is none, or there are several.
pub fn only(answer: &Value) -> Result<&Value, Fault> {
    match list(answer, "items")? {
        [one] => Ok(one),
        _ => Err(Fault::new(format!("expected a list with one entry: {answer}"))),
    }
}
