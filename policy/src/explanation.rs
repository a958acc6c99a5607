//! A decision as a tree: every rule with its conditions, the value that each comparison met, and where that came from.

use std::fmt::Write as _;

use policy_plan::{Conflict, Truth, instant_text};
use serde::Serialize;
use serde_json::Value as Json;

use crate::compile::{CompiledRule, Node, What};
use crate::decision::{Decision, DutyReport, Reason};
use crate::duties;
use crate::explain::Case;
use crate::model::{Atom, Kind, Part, Scalar, clipped};
use crate::vocabulary::Left;
use crate::{Facts, Policy, Scope};

/// The most values of one comparison that are shown.
const MOST_VALUES: usize = 32;

/// Why a decision is what it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Whether the action is allowed.
    pub allow: bool,
    /// The scope of the decision: `catalog`, `negotiation`, `transfer` or `request`.
    pub scope: &'static str,
    /// The action that was asked for.
    pub action: String,
    /// The moment of the decision, RFC 3339 in UTC.
    pub at: String,
    /// The reasons of the decision, as its messages tell them.
    pub reasons: Vec<Reason>,
    /// The rules in the order of the policy.
    pub rules: Vec<RuleExplanation>,
    /// From this moment on the decision has to be taken anew, RFC 3339 in UTC; `None` when time changes nothing.
    pub valid_until: Option<String>,
}

/// One rule of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleExplanation {
    /// The rule's identifier.
    pub rule: String,
    /// `permission`, `prohibition` or `obligation`.
    pub kind: &'static str,
    /// Where it stands: JSON pointer into the policy.
    pub pointer: String,
    /// The actions that it speaks of.
    pub actions: Vec<String>,
    /// What it does to the decision.
    pub effect: Effect,
    /// Whether the decision rests on this rule.
    pub decides: bool,
    /// What it asks for; `None` for nothing.
    pub condition: Option<ConditionExplanation>,
    /// What has to be done under it.
    pub duties: Vec<DutyReport>,
}

/// What a rule does to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// The permission holds.
    Permits,
    /// The permission does not hold.
    DoesNotPermit,
    /// The prohibition applies.
    Forbids,
    /// The prohibition certainly does not apply.
    DoesNotForbid,
    /// The obligation applies.
    Obliges,
    /// The obligation certainly does not apply.
    DoesNotOblige,
    /// The rule speaks of other actions or assets.
    SpeaksOfOther,
}

impl Effect {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permits => "permits",
            Self::DoesNotPermit => "does not permit",
            Self::Forbids => "forbids",
            Self::DoesNotForbid => "does not forbid",
            Self::Obliges => "obliges",
            Self::DoesNotOblige => "does not oblige",
            Self::SpeaksOfOther => "speaks of something else",
        }
    }
}

/// A comparison or a logical constraint of an explanation (ODRL 2.2, Constraint and Logical Constraint).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionExplanation {
    /// Whether it holds.
    pub truth: Truth,
    /// `and`, `or`, `xone`, or the operator of a comparison.
    pub operator: &'static str,
    /// The comparison as the policy writes it; empty for a logical constraint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Where a comparison stands: JSON pointer into the policy; empty when it comes from the policy level.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// What of the rule a comparison narrows; `None` for a logical constraint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrows: Option<Part>,
    /// The comparison's left operand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_operand: Option<String>,
    /// The values that the comparison asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<Json>,
    /// The values that it met; empty when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<Json>>,
    /// Who tells the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The fact as a sentence: `spatial = urn:iso:US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fact: Option<String>,
    /// Whether the decision rests on it.
    pub decides: bool,
    /// The parts of a logical constraint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Self>,
}

/// Who tells the value of a left operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The clock.
    Clock,
    /// Verified credentials.
    Credential,
    /// The party about itself; nobody has verified it.
    Declared,
    /// The request: who asks, for what, by which way.
    Request,
    /// The operator: events and consents that are in force.
    Operator,
    /// The counters of use.
    Usage,
    /// The case that is judged.
    Case,
}

impl Source {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "the clock",
            Self::Credential => "a verified credential",
            Self::Declared => "declared by the party itself",
            Self::Request => "the request",
            Self::Operator => "the operator",
            Self::Usage => "the counters of use",
            Self::Case => "the case",
        }
    }

    fn of(left: &Left, facts: &Facts) -> Self {
        match left {
            Left::Purpose if facts.purpose.is_some() => Self::Declared,
            Left::DateTime | Left::SinceAgreement | Left::Delay | Left::Calendar(_) => Self::Clock,
            Left::Recipient | Left::Target | Left::Channel | Left::Format => Self::Request,
            Left::Event | Left::Consent => Self::Operator,
            Left::Usage(_) | Left::Transfers => Self::Usage,
            Left::Asset { .. } | Left::Given { .. } => Self::Case,
            Left::Purpose
            | Left::Spatial
            | Left::Position
            | Left::NutsRegion
            | Left::Membership
            | Left::Role
            | Left::Device
            | Left::Subject { .. }
            | Left::Claim { .. } => Self::Credential,
        }
    }
}

impl Policy {
    /// What [`decide`](Self::decide) decides, with every rule and every comparison that it rests on; `None` when the policy
    /// cannot be evaluated, which denies.
    #[must_use]
    pub fn explain(&self, scope: Scope, action: &str, facts: &Facts) -> Option<Explanation> {
        let considered = self.considered(scope, action, facts)?;
        let case = self.case(scope, action, facts, &considered);
        let decision = self.decision(facts, &case);
        let telling = Telling { case: &case, facts };
        let rules = self.compiled.rules.iter().enumerate();
        Some(Explanation {
            allow: decision.allow,
            scope: scope.as_str(),
            action: action.to_owned(),
            at: instant_text(facts.now_ms),
            rules: rules.map(|(number, rule)| telling.rule(number, rule, &decision)).collect(),
            reasons: decision.reasons,
            valid_until: decision.valid_until_ms.map(instant_text),
        })
    }
}

struct Telling<'a> {
    case: &'a Case<'a>,
    facts: &'a Facts,
}

impl Telling<'_> {
    fn rule(&self, number: usize, rule: &CompiledRule, decision: &Decision) -> RuleExplanation {
        let verdict = self.case.verdict;
        let effect = match rule.rule.kind {
            Kind::Obligation if verdict.obligations.contains(&number) => Effect::Obliges,
            Kind::Obligation => Effect::DoesNotOblige,
            _ if !verdict.about.contains(&number) => Effect::SpeaksOfOther,
            Kind::Permission if verdict.permits.contains(&number) => Effect::Permits,
            Kind::Permission => Effect::DoesNotPermit,
            Kind::Prohibition if verdict.forbids.contains(&number) => Effect::Forbids,
            Kind::Prohibition => Effect::DoesNotForbid,
        };
        let decides = self.decides(effect, decision.allow);
        let wanted = match effect {
            _ if !decides => None,
            Effect::Permits => Some(&[Truth::True][..]),
            Effect::Forbids => Some(&[Truth::True, Truth::Unknown][..]),
            _ => Some(&[Truth::False, Truth::Unknown][..]),
        };
        let mut own: Vec<DutyReport> = Vec::new();
        duties::reports_of(number, rule, self.facts, verdict, &mut own);
        RuleExplanation {
            rule: rule.rule.id.clone(),
            kind: rule.rule.kind.as_str(),
            pointer: rule.rule.pointer.clone(),
            actions: rule.rule.actions.clone(),
            effect,
            decides,
            condition: rule.root.as_ref().map(|root| self.condition(root, wanted)),
            duties: own,
        }
    }

    /// Whether the decision rests on a rule with this effect.
    fn decides(&self, effect: Effect, allow: bool) -> bool {
        let is_forbidden = !self.case.verdict.forbids.is_empty();
        match effect {
            Effect::Permits => allow || (is_forbidden && self.case.policy.conflict == Conflict::Invalid),
            Effect::Forbids => !allow,
            Effect::DoesNotPermit => !allow && !is_forbidden,
            _ => false,
        }
    }

    fn condition(&self, node: &Node, wanted: Option<&[Truth]>) -> ConditionExplanation {
        let truth = self.case.truth(node);
        let decides = wanted.is_some_and(|wanted| wanted.contains(&truth));
        let (operator, parts) = match &node.what {
            What::Atom(index) => {
                return match self.case.policy.atoms.get(*index) {
                    Some((_, atom)) if self.case.is_granted(node) => ConditionExplanation {
                        fact: Some(format!(
                            "{} is taken for granted: only the time after the agreement can tell it",
                            atom.left.name()
                        )),
                        ..self.comparison(atom, Truth::Unknown, decides)
                    },
                    Some((_, atom)) => self.comparison(atom, truth, decides),
                    None => logical("and", truth, decides, Vec::new()),
                };
            }
            What::And(parts) => ("and", parts),
            What::Or(parts) => ("or", parts),
            What::Xone(parts) => ("xone", parts),
        };
        // What holds although a part does not, or the other way round, rests on nothing below it.
        let wanted = wanted.filter(|_| decides);
        let mut told: Vec<ConditionExplanation> = Vec::with_capacity(parts.len());
        for part in parts {
            let next = self.condition(part, wanted);
            match told.last_mut() {
                // A day is compared by its two ends, and written once.
                Some(last) if is_same_place(last, &next) => {
                    let truths = [last.truth, next.truth];
                    last.truth = if operator == "and" { Truth::all(truths) } else { Truth::any(truths) };
                    last.decides = wanted.is_some_and(|wanted| wanted.contains(&last.truth));
                }
                _ => told.push(next),
            }
        }
        match (told.len(), told.pop()) {
            (1, Some(only)) => only,
            (_, last) => logical(operator, truth, decides, told.into_iter().chain(last).collect()),
        }
    }

    fn comparison(&self, atom: &Atom, truth: Truth, decides: bool) -> ConditionExplanation {
        let found = self.case.operands.values.get(&atom.operand());
        ConditionExplanation {
            truth,
            operator: atom.operator.as_str(),
            text: atom.text.clone(),
            pointer: atom.origin.pointer.clone(),
            narrows: Some(atom.origin.part),
            left_operand: Some(atom.left.name().to_owned()),
            wanted: values(&atom.right, &atom.left),
            found: Some(found.map(|found| values(found, &atom.left)).unwrap_or_default()),
            source: Some(Source::of(&atom.left, self.facts)),
            fact: Some(self.case.fact(atom)),
            decides,
            parts: Vec::new(),
        }
    }
}

fn is_same_place(one: &ConditionExplanation, other: &ConditionExplanation) -> bool {
    !one.pointer.is_empty() && one.pointer == other.pointer && one.text == other.text
}

fn logical(
    operator: &'static str,
    truth: Truth,
    decides: bool,
    parts: Vec<ConditionExplanation>,
) -> ConditionExplanation {
    ConditionExplanation {
        truth,
        operator,
        text: String::new(),
        pointer: String::new(),
        narrows: None,
        left_operand: None,
        wanted: Vec::new(),
        found: None,
        source: None,
        fact: None,
        decides,
        parts,
    }
}

/// Values as JSON: moments as text, lengths of time in seconds, what a clock shows as people say it.
fn values(scalars: &[Scalar], left: &Left) -> Vec<Json> {
    let value = |scalar: &Scalar| match (scalar, left) {
        (Scalar::Integer(number), Left::Calendar(clock)) => Json::from(clock.shown(*number)),
        (Scalar::Integer(number), _) => Json::from(*number),
        (Scalar::Decimal(number), _) => Json::from(*number),
        (Scalar::Bool(truth), _) => Json::from(*truth),
        (other, _) => Json::from(clipped(&other.to_string(), crate::model::MAX_VALUE_TEXT)),
    };
    scalars.iter().take(MOST_VALUES).map(value).collect()
}

impl Explanation {
    /// The tree as text for a terminal, in lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let answer = if self.allow { "allowed" } else { "denied" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{answer}: `{}` at {}, {}", self.action, self.at, self.scope);
        for rule in &self.rules {
            let mark = if rule.decides { "  <-- decides" } else { "" };
            let actions = rule.actions.join(", ");
            let _ = writeln!(text, "\n{} {} ({actions}) {}{mark}", rule.kind, rule.rule, rule.effect.as_str());
            let below = usize::from(rule.condition.is_some()) + rule.duties.len();
            if let Some(condition) = &rule.condition {
                condition.write(&mut text, "", below == 1);
            }
            for (place, duty) in rule.duties.iter().enumerate() {
                let is_last = place + 1 == rule.duties.len();
                let branch = if is_last { "└─" } else { "├─" };
                let due = if duty.due { "due" } else { "not due" };
                let state = serde_json::to_value(duty.state).ok();
                let state = state.as_ref().and_then(Json::as_str).unwrap_or_default();
                let _ = writeln!(text, "{branch} {} ({state}, {due})", duty.text);
            }
        }
        text.push('\n');
        for reason in &self.reasons {
            let _ = writeln!(text, "because {}", reason.sentence);
        }
        if let Some(until) = &self.valid_until {
            let _ = writeln!(text, "until {until}, when time changes it");
        }
        text
    }
}

impl ConditionExplanation {
    /// Whether it is a logical constraint all of whose parts have to hold.
    pub(crate) fn is_conjunction(&self) -> bool {
        self.operator == "and" && !self.parts.is_empty()
    }

    /// What of the rule it narrows.
    pub(crate) fn part(&self) -> Part {
        match self.parts.first() {
            Some(first) => first.part(),
            None => self.narrows.unwrap_or_default(),
        }
    }

    fn write(&self, text: &mut String, indent: &str, is_last: bool) {
        let (branch, deeper) = if is_last { ("└─", "   ") } else { ("├─", "│  ") };
        let word = match self.truth {
            Truth::True => "yes",
            Truth::False => "no",
            Truth::Unknown => "not known",
        };
        let what = match self.operator {
            "and" if self.text.is_empty() => "all of",
            "or" if self.text.is_empty() => "one of",
            "xone" if self.text.is_empty() => "exactly one of",
            _ => self.text.as_str(),
        };
        let mark = if self.decides && self.parts.is_empty() { "  <--" } else { "" };
        let line = format!("{indent}{branch} {what}: {word}");
        let told = match (&self.fact, self.source) {
            (Some(fact), Some(source)) => format!("  [{fact}; {}]", source.as_str()),
            _ => String::new(),
        };
        let _ = writeln!(text, "{line}{told}{mark}");
        let indent = format!("{indent}{deeper}");
        for (place, part) in self.parts.iter().enumerate() {
            part.write(text, &indent, place + 1 == self.parts.len());
        }
    }
}
