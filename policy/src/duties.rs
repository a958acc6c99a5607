//! What has to be done, and how far it is (ODRL 2.2 Information Model, Duty, Consequence and Remedy).

use policy_plan::Truth;

use crate::compile::{Compiled, CompiledRule, Node};
use crate::decision::DutyReport;
use crate::facts::{DutyState, Facts};
use crate::model::{Duty, Kind};
use crate::rego::Verdict;

/// The duties of permissions that stand in no way. Before an agreement nothing can have been done, so only what has been
/// neglected stands in the way there.
pub(crate) fn settled(policy: &Compiled, facts: &Facts, is_proposal: bool) -> Vec<usize> {
    let is_settled = |id: &String| match facts.duty(id) {
        DutyState::Fulfilled => true,
        DutyState::Unset => is_proposal,
        DutyState::Violated => false,
    };
    policy.duties.iter().filter(|(_, id)| is_settled(id)).map(|(number, _)| *number).collect()
}

/// What has to be done by the rules that speak of the action.
pub(crate) fn reports(policy: &Compiled, facts: &Facts, verdict: &Verdict) -> Vec<DutyReport> {
    let mut reports = Vec::new();
    for (number, rule) in policy.rules.iter().enumerate() {
        let is_meant = match rule.rule.kind {
            Kind::Permission => verdict.about.contains(&number),
            // A remedy follows an infringement, a consequence a neglected obligation.
            Kind::Prohibition | Kind::Obligation => facts.duty(&rule.rule.id) == DutyState::Violated,
        };
        if is_meant {
            for (duty, root) in rule.rule.duties.iter().zip(&rule.duty_roots) {
                report(rule, duty, truth(verdict, root.as_ref()), facts, &mut reports);
            }
        }
    }
    reports
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
        let is_settled = policy.duties.iter().any(|(number, id)| *id == duty.id && settled.contains(number));
        (!is_settled && truth(verdict, root.as_ref()) != Truth::False).then_some(duty)
    })
}

fn truth(verdict: &Verdict, root: Option<&Node>) -> Truth {
    root.map_or(Truth::True, |root| verdict.truths.get(root.number).copied().unwrap_or(Truth::Unknown))
}
