//! Compares what came out with what has to.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::kit::Verdict;
use crate::{Context as _, Result};

/// What a run of the kit has to come to, as `expected.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// How many tests pass.
    pub passed: usize,
    /// The tests that the kit itself leaves out.
    pub skipped: BTreeSet<String>,
}

impl Expected {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).context(file.display())?;
        toml::from_str(&text).context(file.display())
    }

    /// What is not as expected, in sentences; nothing when all is well.
    pub fn differences(&self, verdicts: &[(String, Verdict)]) -> Vec<String> {
        let with = |wanted| verdicts.iter().filter(move |(_, verdict)| *verdict == wanted).map(|(id, _)| id);
        let mut differences: Vec<_> = with(Verdict::Fail).map(|id| format!("{id} failed")).collect();
        let skipped: BTreeSet<_> = with(Verdict::Skip).cloned().collect();
        differences.extend(skipped.difference(&self.skipped).map(|id| format!("{id} was left out")));
        differences.extend(self.skipped.difference(&skipped).map(|id| format!("{id} was not left out")));
        let passed = with(Verdict::Pass).count();
        if passed != self.passed {
            differences.push(format!("{passed} tests passed instead of {}", self.passed));
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_named() {
        let expected = Expected { passed: 2, skipped: BTreeSet::from(["S".to_owned()]) };
        let verdicts = |list: &[(&str, Verdict)]| list.iter().map(|(id, v)| ((*id).to_owned(), *v)).collect::<Vec<_>>();
        let good = verdicts(&[("A", Verdict::Pass), ("B", Verdict::Pass), ("S", Verdict::Skip)]);
        assert!(expected.differences(&good).is_empty());
        let bad = verdicts(&[("A", Verdict::Fail), ("B", Verdict::Skip), ("S", Verdict::Pass)]);
        assert_eq!(
            expected.differences(&bad),
            ["A failed", "B was left out", "S was not left out", "1 tests passed instead of 2"]
        );
    }
}
