//! Runs the official kits against the binaries and compares what comes out with what has to.

pub mod dcp;
pub mod dsp;
mod kit;
mod report;

use std::path::PathBuf;

use crate::binaries::Binaries;

pub use kit::Verdict;
pub use report::{Counts, Expected, Outcome, Seen};

/// What every run needs.
pub struct Plan {
    /// The binaries under test.
    pub binaries: Binaries,
    /// The script that runs a kit.
    pub kit: PathBuf,
    /// Only tests whose name contains this regular expression.
    pub only: Option<String>,
    /// Print every step of the kit.
    pub verbose: bool,
}
