//! The figures with their budgets, as a table and as JSON.

use std::fmt::{self, Display};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tck::{Context as _, Result};

use crate::machine::{self, Disk};

/// What a figure may be.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
    /// Shown for comparison.
    None,
}

impl Budget {
    fn met(self, measured: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(measured <= most),
            Self::AtLeast(least) => Some(measured >= least),
            Self::None => None,
        }
    }
}

impl Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::AtMost(most) => format!("<= {most}"),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::None => String::new(),
        };
        f.pad(&text)
    }
}

struct Figure {
    name: String,
    unit: &'static str,
    budget: Budget,
    measured: f64,
}

/// Everything that was measured in one run.
pub struct Report {
    quick: bool,
    figures: Vec<Figure>,
    machine: Value,
}

impl Report {
    /// Nothing yet.
    pub fn new(quick: bool) -> Self {
        Self { quick, figures: Vec::new(), machine: Value::Null }
    }

    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, unit: &'static str, budget: Budget, measured: f64) {
        self.figures.push(Figure { name: name.into(), unit, budget, measured });
    }

    /// Adds what the machine was like.
    pub fn finish(&mut self, disk: &Disk, took: Duration) {
        self.add("fdatasync of this machine, median", "ms", Budget::None, disk.median_ms());
        self.machine = json!({
            "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            "load": machine::load(),
            "fdatasyncMs": disk.median_ms(),
            "tookSeconds": took.as_secs(),
        });
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let figures: Vec<Value> = self.figures.iter().map(Figure::to_json).collect();
        let all = json!({"quick": self.quick, "machine": self.machine, "figures": figures});
        let text = serde_json::to_string_pretty(&all).context(file.display())?;
        std::fs::write(file, text + "\n").context(file.display())
    }
}

impl Figure {
    fn to_json(&self) -> Value {
        let budget = match self.budget {
            Budget::AtMost(most) => json!({"atMost": most}),
            Budget::AtLeast(least) => json!({"atLeast": least}),
            Budget::None => Value::Null,
        };
        let measured = (self.measured * 1e3).round() / 1e3;
        json!({
            "name": self.name, "unit": self.unit, "budget": budget, "measured": measured,
            "met": self.budget.met(self.measured),
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or_default();
        writeln!(f, "\n{:<widest$}  {:<5} {:>8} {:>10}", "control plane", "unit", "budget", "measured")?;
        for Figure { name, unit, budget, measured } in &self.figures {
            let verdict = match budget.met(*measured) {
                Some(true) => "ok",
                Some(false) => "missed",
                None => "",
            };
            let line = format!("{name:<widest$}  {unit:<5} {budget:>8} {measured:>10.2}  {verdict}");
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(
            f,
            "load average {}{}",
            machine::load(),
            if self.quick { "; small numbers: a try, no measurement" } else { "" }
        )
    }
}

/// The middle value; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// A duration in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
