//! What is left of a policy once everything but the time and the use is decided.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Expr, Meter, Refusal, Truth, Used, instant_text};

/// The rules of an agreement that matter for one action, with all facts but the clock and the use folded in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Residual {
    /// At least one of them must hold. None at all means that nothing is permitted.
    pub permissions: Vec<ResidualRule>,
    /// One of them applies unless it is certain that it does not.
    pub prohibitions: Vec<ResidualRule>,
    /// What happens when a permission and a prohibition both speak.
    pub conflict: Conflict,
}

/// One permission or prohibition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResidualRule {
    /// The rule's own identifier, or its kind and place in the policy (`p0`).
    pub id: String,
    /// The rule in readable form.
    pub text: String,
    /// When the rule is in force.
    pub when: Expr,
}

/// ODRL 2.2, Policy Conflict Strategy: what to do when a permission and a prohibition both apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// Permissions win.
    Perm,
    /// Prohibitions win.
    Prohibit,
    /// The whole policy is void; the default of the information model.
    #[default]
    Invalid,
}

impl Conflict {
    /// The strategy's name in the ODRL vocabulary.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Perm => "perm",
            Self::Prohibit => "prohibit",
            Self::Invalid => "invalid",
        }
    }
}

/// A rule and the fact that it met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule in readable form.
    pub rule: String,
    /// The fact, for example `dateTime = 2026-11-21T08:00:00Z`.
    pub fact: String,
}

/// Whether a request is allowed at one moment, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDecision {
    /// Whether the request may go on.
    pub allow: bool,
    /// The rules that made the decision.
    pub reasons: Vec<Reason>,
    /// From this millisecond on the decision has to be taken anew; `None` when time changes nothing. Where the residual has
    /// [meters](Residual::meters), it has to be taken anew for each use, too.
    pub next_boundary_ms: Option<i64>,
}

impl PlanDecision {
    /// The refusal that a denied request is answered with; for an allowed one it says so and is not to be used.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let first = self.reasons.first();
        let message = first.map_or_else(
            || "the agreement does not allow this".to_owned(),
            |reason| format!("the agreement does not allow this: {}, but {}", reason.rule, reason.fact),
        );
        Refusal {
            code: "policy_denies",
            message,
            rule: first.map(|reason| reason.rule.clone()),
            fact: first.map(|reason| reason.fact.clone()),
        }
    }
}

impl Residual {
    /// Decides at `now_ms`, milliseconds since the Unix epoch, when so much has been used.
    ///
    /// A permission counts only when it is certainly in force; a prohibition counts unless it is certainly not. What
    /// nobody permits is denied.
    #[must_use]
    pub fn decide(&self, now_ms: i64, used: &Used) -> PlanDecision {
        let permits: Vec<_> =
            self.permissions.iter().filter(|rule| rule.when.at(now_ms, used) == Truth::True).collect();
        let forbids: Vec<_> =
            self.prohibitions.iter().filter(|rule| rule.when.at(now_ms, used) != Truth::False).collect();
        let allow = !permits.is_empty() && (forbids.is_empty() || self.conflict == Conflict::Perm);
        let reasons = if allow {
            permits.iter().map(|rule| rule.reason(now_ms, used)).collect()
        } else if !forbids.is_empty() {
            forbids.iter().map(|rule| rule.reason(now_ms, used)).collect()
        } else if self.permissions.is_empty() {
            vec![Reason {
                rule: "the agreement must permit the action".to_owned(),
                fact: "no permission covers it".to_owned(),
            }]
        } else {
            self.permissions.iter().map(|rule| rule.reason(now_ms, used)).collect()
        };
        let next_boundary_ms = self.rules().filter_map(|rule| rule.when.next_change(now_ms, used)).min();
        PlanDecision { allow, reasons, next_boundary_ms }
    }

    /// What has to be counted or measured, because a rule looks at it.
    #[must_use]
    pub fn meters(&self) -> BTreeSet<Meter> {
        self.limits().into_keys().collect()
    }

    /// The largest limit that a meter is compared with; beyond it, more use changes no answer. `None` when no rule looks at
    /// it.
    #[must_use]
    pub fn largest(&self, meter: Meter) -> Option<i64> {
        self.limits().remove(&meter)
    }

    fn limits(&self) -> BTreeMap<Meter, i64> {
        let mut limits = BTreeMap::new();
        for rule in self.rules() {
            rule.when.each_meter(&mut |meter, limit| {
                let largest = limits.entry(meter).or_insert(limit);
                *largest = limit.max(*largest);
            });
        }
        limits
    }

    fn rules(&self) -> impl Iterator<Item = &ResidualRule> {
        self.permissions.iter().chain(&self.prohibitions)
    }
}

impl ResidualRule {
    fn reason(&self, now_ms: i64, used: &Used) -> Reason {
        Reason { rule: self.text.clone(), fact: self.fact(now_ms, used) }
    }

    fn fact(&self, now_ms: i64, used: &Used) -> String {
        let mut facts = Vec::new();
        if self.when.reads_clock() {
            facts.push(format!("dateTime = {}", instant_text(now_ms)));
        }
        self.when.each_meter(&mut |meter, _| facts.push(shown(meter, now_ms, used)));
        facts.dedup();
        if facts.is_empty() {
            return match self.when.at(now_ms, used) {
                Truth::True => "it was found to hold when the plan was made",
                Truth::False => "it was found not to hold when the plan was made",
                Truth::Unknown => "what it asks for was not known when the plan was made",
            }
            .to_owned();
        }
        facts.join(", ")
    }
}

/// What a meter shows, for people.
fn shown(meter: Meter, now_ms: i64, used: &Used) -> String {
    let name = meter.as_str();
    match (meter, used.shows(meter, now_ms)) {
        (_, None) => format!("{name} is not known"),
        (Meter::Interval, Some(i64::MAX)) => format!("{name} = none, as this is the first use"),
        (Meter::Count, Some(count)) => format!("{name} = {count}"),
        (Meter::Volume, Some(bytes)) => format!("{name} = {bytes} bytes"),
        (_, Some(ms)) => format!("{name} = {} s", ms / 1_000),
    }
}
