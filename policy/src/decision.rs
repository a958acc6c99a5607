//! What was decided, and why.

use serde::Serialize;

use crate::facts::DutyState;

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
    /// Duties of the permissions that cover the action, their consequences once they have been neglected, consequences
    /// of neglected obligations, and remedies of infringed prohibitions (ODRL 2.2, Duty).
    pub duties: Vec<DutyReport>,
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

/// Something that has, or had, to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DutyReport {
    /// The rule that it belongs to, for example `permission p0`.
    pub rule: String,
    /// Its own identifier, or that of its rule, a dot, its letter and place: `p0.d0`.
    pub id: String,
    /// The duty in readable form.
    pub text: String,
    /// How far it is.
    pub state: DutyState,
    /// Whether it has to be done now; a duty with conditions that certainly do not hold, or that is done, has not.
    pub due: bool,
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
        Self {
            allow: false,
            reasons: vec![reason],
            obligations: Vec::new(),
            duties: Vec::new(),
            valid_until_ms: Some(now_ms),
        }
    }
}
