//! From the evaluator's truths to sentences.

use policy_plan::{Conflict, Meter, Truth, instant_text};

use crate::compile::{Compiled, CompiledRule, Node, What};
use crate::decision::Reason;
use crate::duties::open_duty;
use crate::facts::{DutyState, Facts, Operands};
use crate::model::{Atom, Condition, Kind, MAX_COMPARISON_TEXT, MAX_VALUE_TEXT, Scalar, clipped};
use crate::rego::Verdict;
use crate::vocabulary::Left;

/// The most values that a fact shows.
const MOST_VALUES: usize = 8;

/// All that a decision rests on.
pub(crate) struct Case<'a> {
    pub(crate) policy: &'a Compiled,
    pub(crate) action: &'a str,
    pub(crate) facts: &'a Facts,
    pub(crate) operands: &'a Operands,
    pub(crate) verdict: &'a Verdict,
    /// Duties that stand in no way, by their numbers.
    pub(crate) settled: Vec<usize>,
    /// Whether times still to come are no reason, so that they are named only when nothing else is.
    pub(crate) times_are_minor: bool,
}

impl Case<'_> {
    /// Why the verdict is what it is.
    pub(crate) fn reasons(&self) -> Vec<Reason> {
        let rules = |numbers: &[usize]| -> Vec<&CompiledRule> {
            numbers.iter().filter_map(|number| self.policy.rules.get(*number)).collect()
        };
        let permits = rules(&self.verdict.permits);
        if self.verdict.allow {
            return permits.into_iter().map(|rule| self.permitted(rule)).collect();
        }
        let forbids = rules(&self.verdict.forbids);
        if !forbids.is_empty() {
            return forbids.into_iter().map(|rule| self.forbidden(rule, !permits.is_empty())).collect();
        }
        let reasons: Vec<Reason> = rules(&self.verdict.about)
            .into_iter()
            .filter(|rule| is_permission(rule))
            .flat_map(|r| self.missed(r))
            .collect();
        if reasons.is_empty() { vec![self.nothing_permits()] } else { reasons }
    }

    fn permitted(&self, rule: &CompiledRule) -> Reason {
        let fact = self.facts_of(rule, |truth| truth == Truth::True);
        let sentence = format!("{} allows `{}`: {fact}", rule.rule.label(), self.action);
        Reason { rule: rule.rule.text(), fact, sentence }
    }

    fn forbidden(&self, rule: &CompiledRule, is_conflict: bool) -> Reason {
        let fact = self.facts_of(rule, |truth| truth != Truth::False);
        let void = if is_conflict && self.policy.conflict == Conflict::Invalid {
            "; as another rule permits the same, the whole policy is void"
        } else {
            ""
        };
        let sentence = format!("{} forbids it, and {fact}{void}", rule.rule.text());
        Reason { rule: rule.rule.text(), fact, sentence }
    }

    /// One reason for each comparison that keeps a permission from holding.
    fn missed(&self, rule: &CompiledRule) -> Vec<Reason> {
        let mut culprits = Vec::new();
        if let Some(root) = &rule.root {
            self.culprits(root, &mut culprits);
        }
        let is_time =
            |atom: &Atom| matches!(atom.left, Left::DateTime | Left::SinceAgreement | Left::Delay | Left::Calendar(_));
        if self.times_are_minor && culprits.iter().any(|atom| !is_time(atom)) {
            culprits.retain(|atom| !is_time(atom));
        }
        let mut reasons: Vec<Reason> = culprits
            .into_iter()
            .map(|atom| Reason {
                rule: format!("{}: {}", rule.rule.label(), atom.text),
                fact: self.fact(atom),
                sentence: format!("{} requires {}, but {}", rule.rule.label(), atom.text, self.fact(atom)),
            })
            .collect();
        reasons.dedup();
        if let Some(duty) = open_duty(rule, self.verdict, &self.settled, self.policy) {
            let state = match self.facts.duty(&duty.id) {
                DutyState::Violated => "was not done in time",
                _ => "is not known to be done",
            };
            reasons.push(Reason {
                rule: rule.rule.text(),
                fact: format!("{} {state}", duty.text()),
                sentence: format!("{} asks for a duty, but {} {state}", rule.rule.label(), duty.text()),
            });
        }
        if reasons.is_empty() {
            // Exactly one of several should hold, and too many do: no single comparison is to blame.
            let fact = self.facts_of(rule, |_| true);
            let sentence = format!("{} requires {}, but {fact}", rule.rule.label(), condition_text(rule));
            reasons.push(Reason { rule: rule.rule.text(), fact, sentence });
        }
        reasons
    }

    fn culprits<'b>(&'b self, node: &Node, found: &mut Vec<&'b Atom>) {
        if self.truth(node) == Truth::True {
            return;
        }
        match &node.what {
            What::Atom(index) => found.extend(self.policy.atoms.get(*index).map(|(_, atom)| atom)),
            What::And(parts) | What::Or(parts) | What::Xone(parts) => {
                parts.iter().for_each(|part| self.culprits(part, found));
            }
        }
    }

    fn nothing_permits(&self) -> Reason {
        let sentence = format!("no permission of the policy covers the action `{}`", self.action);
        Reason {
            rule: "what no permission covers is not allowed".to_owned(),
            fact: format!("action = {}", self.action),
            sentence,
        }
    }

    /// The facts behind a rule's comparisons with the wanted truths.
    fn facts_of(&self, rule: &CompiledRule, wanted: fn(Truth) -> bool) -> String {
        let mut facts = Vec::new();
        if let Some(root) = &rule.root {
            self.collect_facts(root, wanted, &mut facts);
        }
        facts.dedup();
        if facts.is_empty() { format!("action = {}", self.action) } else { facts.join(", ") }
    }

    fn collect_facts(&self, node: &Node, wanted: fn(Truth) -> bool, facts: &mut Vec<String>) {
        match &node.what {
            // What a proposal takes for granted is no fact.
            What::Atom(_) if self.is_granted(node) => {}
            What::Atom(index) if wanted(self.truth(node)) => {
                facts.extend(self.policy.atoms.get(*index).map(|(_, atom)| self.fact(atom)));
            }
            What::Atom(_) => {}
            What::And(parts) | What::Or(parts) | What::Xone(parts) => {
                parts.iter().for_each(|part| self.collect_facts(part, wanted, facts));
            }
        }
    }

    /// Whether only the future can tell, so that a proposal takes it for granted.
    pub(crate) fn is_granted(&self, node: &Node) -> bool {
        self.times_are_minor && self.policy.hopes.contains_key(&node.number)
    }

    pub(crate) fn truth(&self, node: &Node) -> Truth {
        self.verdict.truths.get(node.number).copied().unwrap_or(Truth::Unknown)
    }

    /// What is known about a comparison's left side: `spatial = urn:iso:US`.
    pub(crate) fn fact(&self, atom: &Atom) -> String {
        let name = atom.left.name();
        let values = self.operands.values.get(&atom.operand()).map(Vec::as_slice);
        if let (Left::Calendar(clock), Some([Scalar::Integer(value)])) = (&atom.left, values) {
            return format!("{name} = {}", clock.shown(*value));
        }
        match values {
            None => match &atom.left {
                Left::SinceAgreement | Left::Delay => {
                    format!("{name} is not known: the time of the agreement is missing")
                }
                Left::Usage(_) | Left::Transfers => format!("{name} is not known: nobody has counted yet"),
                Left::Channel => format!("{name} is not known: there is no transfer yet"),
                Left::Format => format!("{name} is not known: the dataset does not tell its media type"),
                Left::Purpose => "purpose is not known: none is declared and no verified claim has one".to_owned(),
                Left::Target => {
                    "the asset that is asked for, or whether it is in the collection, is not known".to_owned()
                }
                Left::Asset { .. } | Left::Given { .. } => format!("{name} is not known: the facts do not tell it"),
                Left::Subject { subject_type, .. } => {
                    format!("{name} is not known: no accepted credential about a {subject_type} has it")
                }
                Left::Claim { .. } => format!("{name} is not known: no verified claim has a comparable value"),
                _ => format!("{name} is not known: no verified claim has it"),
            },
            Some([]) => format!("{name} = none{}", self.origin(atom)),
            Some([Scalar::Duration(i64::MAX)]) => format!("{name} = none, as this is the first use"),
            Some([Scalar::AfterAgreement(ms)]) => format!("time since the agreement = {} s", ms / 1_000),
            Some([Scalar::Instant(ms)]) => {
                let to_come =
                    if atom.left == Left::DateTime && *ms > self.facts.now_ms { " (still to come)" } else { "" };
                format!("{name} = {}{to_come}", instant_text(*ms))
            }
            Some([one]) => format!("{name} = {}{}", shown(one), self.origin(atom)),
            Some(many) => {
                let mut texts: Vec<String> = many.iter().take(MOST_VALUES).map(shown).collect();
                if many.len() > MOST_VALUES {
                    texts.push("…".to_owned());
                }
                format!("{name} = [{}]{}", texts.join(", "), self.origin(atom))
            }
        }
    }

    /// Where the value comes from, when it is not a verified claim or the clock.
    fn origin(&self, atom: &Atom) -> &'static str {
        match &atom.left {
            Left::Purpose if self.facts.purpose.is_some() => " (declared by the consumer)",
            Left::Event => " (declared by the provider's operator)",
            Left::Consent => " (records of consent)",
            Left::Usage(Meter::Count) => " (uses under the agreement, with this one)",
            Left::Usage(Meter::Volume) => " bytes (used under the agreement so far)",
            Left::Usage(Meter::MeteredTime) => " (of use under the agreement so far)",
            Left::Usage(Meter::Elapsed) => " (since the first use)",
            Left::Usage(Meter::Interval) => " (since the last use)",
            Left::Transfers => " (transfers under the agreement, with this one)",
            Left::Channel => " (the format of the transfer)",
            Left::Format => " (the media type of the dataset)",
            _ => "",
        }
    }
}

fn shown(value: &Scalar) -> String {
    clipped(&value.to_string(), MAX_VALUE_TEXT)
}

fn condition_text(rule: &CompiledRule) -> String {
    clipped(
        &rule.rule.condition.as_ref().map_or_else(|| rule.rule.actions.join(", "), Condition::text),
        MAX_COMPARISON_TEXT,
    )
}

fn is_permission(rule: &CompiledRule) -> bool {
    rule.rule.kind == Kind::Permission
}
