//! Compares what came out with what has to.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kit::Verdict;
use crate::{Context as _, Result};

/// How often each of some things happened.
pub type Counts = BTreeMap<String, usize>;

/// What the runs of the kits have to come to, as `expected.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The kit of the Dataspace Protocol.
    pub dsp: Tests,
    /// The kit of the Decentralized Claims Protocol, by package.
    pub dcp: BTreeMap<String, Tests>,
}

/// What one run has to come to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tests {
    /// How many tests pass.
    pub passed: usize,
    /// The tests that the kit itself leaves out.
    #[serde(default)]
    pub skipped: Vec<String>,
    /// What the connector itself did meanwhile; nothing when that is not looked at.
    pub seen: Option<Seen>,
}

/// What the connector did while the kit ran. It shows that the connector was asked, not a stand-in of the kit, and that
/// what it refused was refused for the reason that the test is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Requests of the kit that were answered with 2xx, by method and path.
    pub accepted: Counts,
    /// Requests of the kit that were refused, by status and code.
    pub refused: Counts,
    /// The connector's events, by type.
    pub events: Counts,
}

/// What one run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What each test came to.
    pub verdicts: Vec<(String, Verdict)>,
    /// What the connector did.
    pub seen: Seen,
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
}

impl Tests {
    /// What is not as expected, in sentences; nothing when all is well.
    pub fn differences(&self, outcome: &Outcome) -> Vec<String> {
        let mut differences = outcome.failures();
        let skipped: Vec<_> = outcome.with(Verdict::Skip).cloned().collect();
        differences.extend(beyond(&skipped, &self.skipped).map(|id| format!("{id} was left out")));
        differences.extend(beyond(&self.skipped, &skipped).map(|id| format!("{id} was not left out")));
        let passed = outcome.with(Verdict::Pass).count();
        if passed != self.passed {
            differences.push(format!("{passed} tests passed instead of {}", self.passed));
        }
        if let Some(seen) = &self.seen {
            differences.extend(counted("accepted", &seen.accepted, &outcome.seen.accepted));
            differences.extend(counted("refused", &seen.refused, &outcome.seen.refused));
            differences.extend(counted("event", &seen.events, &outcome.seen.events));
        }
        differences
    }
}

impl Outcome {
    /// The tests that failed, in sentences.
    pub fn failures(&self) -> Vec<String> {
        self.with(Verdict::Fail).map(|id| format!("{id} failed")).collect()
    }

    fn with(&self, wanted: Verdict) -> impl Iterator<Item = &String> {
        self.verdicts.iter().filter(move |(_, verdict)| *verdict == wanted).map(|(id, _)| id)
    }
}

/// What is in `list` more often than in `other`. The kit gives some tests the same name.
fn beyond<'a>(list: &'a [String], other: &[String]) -> impl Iterator<Item = &'a String> {
    let mut left = other.to_vec();
    list.iter().filter(move |id| match left.iter().position(|known| known == *id) {
        Some(position) => {
            left.swap_remove(position);
            false
        }
        None => true,
    })
}

fn counted(what: &str, expected: &Counts, found: &Counts) -> Vec<String> {
    let mut names: Vec<_> = expected.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    let times = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or_default();
    let differ = |name: &&String| times(expected, name) != times(found, name);
    let sentence =
        |name: &String| format!("{what}: `{name}` {} times instead of {}", times(found, name), times(expected, name));
    names.into_iter().filter(differ).map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(verdicts: &[(&str, Verdict)], accepted: &[(&str, usize)]) -> Outcome {
        let verdicts = verdicts.iter().map(|(id, verdict)| ((*id).to_owned(), *verdict)).collect();
        Outcome { verdicts, seen: Seen { accepted: counts(accepted), ..Seen::default() } }
    }

    fn counts(list: &[(&str, usize)]) -> Counts {
        list.iter().map(|(name, times)| ((*name).to_owned(), *times)).collect()
    }

    #[test]
    fn every_difference_is_named() {
        let expected = Tests { passed: 2, skipped: vec!["S".to_owned(), "S".to_owned()], seen: None };
        let (pass, fail, skip) = (Verdict::Pass, Verdict::Fail, Verdict::Skip);
        let good = outcome(&[("A", pass), ("B", pass), ("S", skip), ("S", skip)], &[("x", 1)]);
        assert!(expected.differences(&good).is_empty());
        let bad = outcome(&[("A", fail), ("B", skip), ("S", pass), ("S", skip)], &[]);
        assert_eq!(
            expected.differences(&bad),
            ["A failed", "B was left out", "S was not left out", "1 tests passed instead of 2"]
        );
    }

    #[test]
    fn a_role_that_was_not_asked_is_noticed() {
        let seen = Seen { accepted: counts(&[("POST /x", 2), ("GET /y", 1)]), ..Seen::default() };
        let expected = Tests { passed: 0, skipped: Vec::new(), seen: Some(seen) };
        assert_eq!(
            expected.differences(&outcome(&[], &[("GET /y", 1), ("GET /z", 1)])),
            ["accepted: `GET /z` 1 times instead of 0", "accepted: `POST /x` 0 times instead of 2"]
        );
    }
}
