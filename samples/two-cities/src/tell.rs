//! The voice of the demo: numbered steps, what happened in them, how long they took.

use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::fault::{Failed, Fault};

/// Tells the story on standard output.
#[derive(Debug)]
pub struct Teller {
    colour: bool,
    count: Cell<usize>,
    steps: RefCell<Vec<(String, Duration)>>,
}

impl Default for Teller {
    fn default() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, count: Cell::new(0), steps: RefCell::default() }
    }
}

impl Teller {
    /// Does a step and tells its name before, its time after.
    pub async fn step<T>(&self, title: &str, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Failed> {
        self.count.set(self.count.get() + 1);
        println!("\n{}", self.painted("1", &format!("{:>2}. {title}", self.count.get())));
        let begun = Instant::now();
        let outcome = work.await;
        let took = begun.elapsed();
        match outcome {
            Ok(value) => {
                println!("    {}", self.painted("32", &format!("done in {}", seconds(took))));
                self.steps.borrow_mut().push((title.to_owned(), took));
                Ok(value)
            }
            Err(fault) => Err(Failed { step: title.to_owned(), fault }),
        }
    }

    /// A heading.
    pub fn heading(&self, text: &str) {
        println!("{}\n{}", self.painted("1", text), "=".repeat(text.chars().count()));
    }

    /// A sentence.
    pub fn say(&self, text: &str) {
        println!("    {text}");
    }

    /// A command line, as a person would type it.
    pub fn command(&self, owner: &str, line: &str) {
        println!("    {} {}", self.painted("36", &format!("{owner}$")), self.painted("36", line));
    }

    /// A refusal, which is what the step wants to show.
    pub fn refusal(&self, text: &str) {
        println!("    {}", self.painted("33", text));
    }

    /// Names and times of the steps so far.
    pub fn steps(&self) -> Vec<(String, Duration)> {
        self.steps.borrow().clone()
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A duration in words: `12 ms`, `1.34 s`.
pub fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// A size in words: `512 bytes`, `30.0 MB`.
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let shown = bytes as f64;
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000 => format!("{:.1} kB", shown / 1e3),
        _ => format!("{:.1} MB", shown / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(seconds(Duration::from_millis(12)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(1340)), "1.34 s");
        assert_eq!(size(512), "512 bytes");
        assert_eq!(size(30_000_019), "30.0 MB");
    }
}
