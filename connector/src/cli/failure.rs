//! What a command ends with when it does not succeed.

use std::fmt;

use serde_json::Value;

/// Status for a configuration that cannot be used (`EX_USAGE`).
const BAD_CONFIGURATION: u8 = 64;

/// Status for a file that is not what it has to be (`EX_DATAERR`).
const BAD_DATA: u8 = 65;

/// What a command ends with.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

/// One sentence for people, with rule and fact where a policy decided, and the status of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    sentence: String,
    code: Option<String>,
    status: u8,
    late: bool,
}

impl Failure {
    /// A failure in these words.
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), code: None, status: 1, late: false }
    }

    /// The configuration cannot be used.
    pub(super) fn configuration(sentence: impl Into<String>) -> Self {
        Self { status: BAD_CONFIGURATION, ..Self::new(sentence) }
    }

    /// What the management API or a process says: its `detail`, and `rule` and `fact` where it has them.
    pub(super) fn of(before: &str, problem: &Value) -> Self {
        let text = |name: &str| problem.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let detail = text("detail").or_else(|| text("title")).unwrap_or("there is no explanation");
        let mut sentence = format!("{before}{detail}");
        // Most details name rule and fact themselves.
        let missing = |part: &&(&str, Option<&str>)| part.1.is_some_and(|text| !detail.contains(text));
        let parts = [("rule", text("rule")), ("fact", text("fact")), ("at", text("pointer"))];
        let parts: Vec<String> =
            parts.iter().filter(missing).map(|(name, text)| format!("{name}: {}", text.unwrap_or_default())).collect();
        if !parts.is_empty() {
            sentence.push_str(&format!(" ({})", parts.join("; ")));
        }
        Self { sentence, code: text("code").map(str::to_owned), status: 1, late: false }
    }

    /// What was read is not what it has to be.
    pub(super) fn data(sentence: impl Into<String>) -> Self {
        Self { status: BAD_DATA, ..Self::new(sentence) }
    }

    /// The same failure, because the time for waiting was over.
    pub(super) fn late(self) -> Self {
        Self { late: true, ..self }
    }

    /// Whether it failed only because the time for waiting was over.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// The machine code of the problem, if there is one.
    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The status that the program ends with.
    pub(super) fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&super::show::printable(&self.sentence))?;
        match &self.code {
            Some(code) => write!(formatter, " [{}]", super::show::printable(code)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_becomes_one_sentence() {
        let table = [
            (json!({"detail": "no such offer", "code": "not_found"}), "no such offer [not_found]"),
            (json!({"title": "Bad Gateway"}), "Bad Gateway"),
            (json!(null), "there is no explanation"),
            (
                json!({"detail": "no", "rule": "role eq x", "fact": "role is y"}),
                "no (rule: role eq x; fact: role is y)",
            ),
            (json!({"detail": "role eq x fails", "rule": "role eq x", "fact": "y"}), "role eq x fails (fact: y)"),
            (json!({"detail": "a\u{1b}[31m\nb"}), "a\u{fffd}[31m\nb"),
        ];
        for (problem, sentence) in table {
            assert_eq!(Failure::of("", &problem).to_string(), sentence);
        }
        assert_eq!(Failure::of("refused: ", &json!({"detail": "x"})).to_string(), "refused: x");
        let pointed = json!({"detail": "no", "pointer": "/permission/0", "code": "c"});
        assert_eq!(Failure::of("", &pointed).to_string(), "no (at: /permission/0) [c]");
        assert_eq!((Failure::configuration("x").status(), Failure::data("x").status()), (64, 65));
    }
}
