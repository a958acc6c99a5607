//! What has to be done, and how far it is (ODRL 2.2 Information Model, Duty, Consequence and Remedy).

use policy_plan::Truth;
use serde::Serialize;

use crate::compile::{Asked, Compiled, CompiledRule, Node};
use crate::decision::DutyReport;
use crate::facts::{DutyState, Facts};
use crate::model::{Condition, Duty, DutyRole, Kind, Scalar};
use crate::rego::Verdict;
use crate::vocabulary::{Left, Operator, action};

/// The ODRL actions that are done between the parties and before use: as long as one is not known to be done, its permission
/// does not hold. What the other actions do, they do to the data or to what is made of it, so that they can only follow.
const FIRST: [&str; 4] = ["acceptTracking", "compensate", "obtainConsent", "reviewPolicy"];

/// Whether a duty of a permission comes before use. What an action of another vocabulary means is not known, so it does.
pub(crate) fn comes_first(duty: &Duty) -> bool {
    duty.actions.iter().any(|name| FIRST.contains(&name.as_str()) || action(name).is_none())
}

/// The duties of permissions that stand in no way. Before an agreement nothing can have been done, so only what has been
/// neglected stands in the way there; and that alone counts of what can only be done after use.
pub(crate) fn settled(policy: &Compiled, facts: &Facts, is_proposal: bool) -> Vec<usize> {
    let is_settled = |duty: &Asked| match facts.duty(&duty.id) {
        DutyState::Fulfilled => true,
        DutyState::Unset => is_proposal || !duty.comes_first,
        DutyState::Violated => false,
    };
    policy.duties.iter().enumerate().filter(|(_, duty)| is_settled(duty)).map(|(number, _)| number).collect()
}

/// Something that has, or may have, to be done, for the record that is kept of it (ODRL 2.2, Duty).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DutyTerm {
    /// Its own identifier, or that of its rule, a dot, its letter and place: `p0.d0`; of an obligation that of the rule.
    pub id: String,
    /// The rule that it belongs to, for example `permission p0`.
    pub rule: String,
    /// Why it has to be done.
    pub role: DutyRole,
    /// The ODRL action that is to be done, for example `delete`; several with `, ` between.
    pub action: String,
    /// The duty in readable form.
    pub text: String,
    /// From when on it is to be done, in milliseconds since the Unix epoch; `None` when no time is given for that.
    pub due_from_ms: Option<i64>,
    /// Until when it is to be done at the latest, in milliseconds since the Unix epoch; `None` without a deadline.
    pub due_by_ms: Option<i64>,
    /// Whether it is to be done only when something comes to pass: a condition beside these times, a neglected duty, an
    /// infringed prohibition.
    pub conditional: bool,
}

/// All that may have to be done, in the order of the rules.
pub(crate) fn terms(policy: &Compiled) -> Vec<DutyTerm> {
    let mut terms = Vec::new();
    for CompiledRule { rule, .. } in &policy.rules {
        rule.obliged.iter().chain(&rule.duties).for_each(|duty| term(&rule.label(), duty, policy, &mut terms));
    }
    terms
}

fn term(rule: &str, duty: &Duty, policy: &Compiled, terms: &mut Vec<DutyTerm>) {
    let mut span = Span::default();
    let mut conditional = matches!(duty.role, DutyRole::Remedy | DutyRole::Consequence);
    if let Some(condition) = &duty.condition {
        conditional |= !span.narrow(condition, policy.agreed_at_ms);
    }
    for refinement in &duty.refinement {
        span.narrow(refinement, policy.agreed_at_ms);
    }
    terms.push(DutyTerm {
        id: duty.id.clone(),
        rule: rule.to_owned(),
        role: duty.role,
        action: duty.actions.join(", "),
        text: duty.text(),
        due_from_ms: span.from_ms,
        due_by_ms: span.by_ms,
        conditional,
    });
    duty.consequences.iter().for_each(|next| term(rule, next, policy, terms));
}

/// The time in which something is to be done.
#[derive(Default)]
struct Span {
    from_ms: Option<i64>,
    by_ms: Option<i64>,
}

impl Span {
    /// Takes in the bounds of a condition; false when it says more than that.
    fn narrow(&mut self, condition: &Condition, agreed_at_ms: Option<i64>) -> bool {
        let atom = match condition {
            Condition::And(parts) => {
                let mut is_all = true;
                for part in parts {
                    is_all &= self.narrow(part, agreed_at_ms);
                }
                return is_all;
            }
            Condition::Atom(atom) => atom,
            Condition::Or(_) | Condition::Xone(_) => return false,
        };
        let instant = match (&atom.left, atom.right.as_slice()) {
            (Left::DateTime, [Scalar::Instant(instant)]) => Some(*instant),
            // Of an offer nobody knows yet when it will be agreed; then the time is open, but there is one.
            (Left::SinceAgreement, [Scalar::AfterAgreement(after)]) => match agreed_at_ms {
                Some(agreed) => Some(agreed.saturating_add(*after)),
                None => return true,
            },
            _ => None,
        };
        let Some(instant) = instant else { return false };
        match atom.operator {
            Operator::Gt | Operator::Gteq => self.from_ms = self.from_ms.max(Some(instant)),
            Operator::Lt | Operator::Lteq => self.by_ms = Some(self.by_ms.map_or(instant, |by| by.min(instant))),
            Operator::Eq => (self.from_ms, self.by_ms) = (Some(instant), Some(instant)),
            _ => return false,
        }
        true
    }
}

/// What has to be done by the rules that speak of the action.
pub(crate) fn reports(policy: &Compiled, facts: &Facts, verdict: &Verdict) -> Vec<DutyReport> {
    let mut reports = Vec::new();
    for (number, rule) in policy.rules.iter().enumerate() {
        reports_of(number, rule, facts, verdict, &mut reports);
    }
    reports
}

/// What has to be done by one rule, when it speaks of the action.
pub(crate) fn reports_of(
    number: usize,
    rule: &CompiledRule,
    facts: &Facts,
    verdict: &Verdict,
    reports: &mut Vec<DutyReport>,
) {
    let is_meant = match rule.rule.kind {
        Kind::Permission => verdict.about.contains(&number),
        // A remedy follows an infringement, a consequence a neglected obligation.
        Kind::Prohibition | Kind::Obligation => facts.duty(&rule.rule.id) == DutyState::Violated,
    };
    if is_meant {
        for (duty, root) in rule.rule.duties.iter().zip(&rule.duty_roots) {
            report(rule, duty, truth(verdict, root.as_ref()), facts, reports);
        }
    }
}

fn report(rule: &CompiledRule, duty: &Duty, applies: Truth, facts: &Facts, reports: &mut Vec<DutyReport>) {
    let state = facts.duty(&duty.id);
    reports.push(DutyReport {
        rule: rule.rule.label(),
        id: duty.id.clone(),
        text: duty.text(),
        state,
        due: applies != Truth::False && state != DutyState::Fulfilled,
    });
    if state == DutyState::Violated {
        // Conditions of consequences are shown; whoever has to do them can tell whether they hold.
        duty.consequences.iter().for_each(|next| report(rule, next, Truth::Unknown, facts, reports));
    }
}

/// The duty that keeps a permission from holding, whose own conditions hold.
pub(crate) fn open_duty<'a>(
    rule: &'a CompiledRule,
    verdict: &Verdict,
    settled: &[usize],
    policy: &Compiled,
) -> Option<&'a Duty> {
    rule.rule.duties.iter().zip(&rule.duty_roots).find_map(|(duty, root)| {
        (!policy.is_settled(&duty.id, settled) && truth(verdict, root.as_ref()) != Truth::False).then_some(duty)
    })
}

fn truth(verdict: &Verdict, root: Option<&Node>) -> Truth {
    root.map_or(Truth::True, |root| verdict.truths.get(root.number).copied().unwrap_or(Truth::Unknown))
}
