//! What was decided, and why.

use serde::Serialize;

/// A decision with the rules and facts that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Whether the action is allowed.
    pub allow: bool,
    /// Why: when allowed, the permissions that hold; when not, what stands against it.
    pub reasons: Vec<Reason>,
    /// What the policy obliges to (ODRL 2.2, Obligation), in readable form. Shown to people, not enforced.
    pub obligations: Vec<String>,
    /// From this millisecond since the Unix epoch on the decision has to be taken anew; `None` when, for the same policy
    /// and claims, time changes nothing.
    pub valid_until_ms: Option<i64>,
}

/// A rule, the fact that it met, and both as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// The rule, for example `permission p0: spatial isPartOf urn:iso:EU`.
    pub rule: String,
    /// The fact, for example `spatial = urn:iso:US`.
    pub fact: String,
    /// One sentence; lower case, without a final period.
    pub sentence: String,
}

impl Decision {
    /// Why the action is refused, in one sentence with rule and fact; for an allowed action, why it is allowed.
    #[must_use]
    pub fn refusal_text(&self) -> String {
        /// More than this nobody reads.
        const MOST: usize = 4;
        let mut sentences: Vec<&str> = self.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
        sentences.dedup();
        let more = sentences.len().saturating_sub(MOST);
        sentences.truncate(MOST);
        let mut text = sentences.join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }

    /// The refusal when the evaluator itself fails; it is not to be remembered.
    pub(crate) fn failed(now_ms: i64) -> Self {
        let reason = Reason {
            rule: "a policy that cannot be evaluated allows nothing".to_owned(),
            fact: "the evaluator gave no answer".to_owned(),
            sentence: "the policy could not be evaluated, so nothing is allowed".to_owned(),
        };
        Self { allow: false, reasons: vec![reason], obligations: Vec::new(), valid_until_ms: Some(now_ms) }
    }
}
