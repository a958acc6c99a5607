//! Folding everything but the clock and the use into a policy's conditions.

use policy_plan::{Expr, Residual, ResidualRule, Truth, Used};

use crate::compile::{Compiled, CompiledRule, Node, What, time_operator};
use crate::facts::Moments;
use crate::model::{Atom, Kind, Rule, Scalar};
use crate::rego::Verdict;
use crate::vocabulary::Left;

/// What is left of the rules that speak of the action and that `counts` lets count.
pub(crate) fn residual(
    policy: &Compiled,
    verdict: &Verdict,
    settled: &[usize],
    at: Moments,
    is_proposal: bool,
    counts: impl Fn(&Rule) -> bool,
) -> Residual {
    let rules = |kind| {
        verdict
            .about
            .iter()
            .filter_map(|number| policy.rules.get(*number))
            .filter(|rule| rule.rule.kind == kind && counts(&rule.rule))
            .map(|rule| ResidualRule {
                id: rule.rule.id.clone(),
                text: rule.rule.text(),
                when: when(&Folding { policy, verdict, at, is_proposal }, settled, rule),
            })
            .collect()
    };
    Residual { permissions: rules(Kind::Permission), prohibitions: rules(Kind::Prohibition), conflict: policy.conflict }
}

/// When the rule is in force: its condition holds and, of a permission, none of its open duties has to be done.
fn when(folding: &Folding<'_>, settled: &[usize], rule: &CompiledRule) -> Expr {
    let own = rule.root.as_ref().map_or(Expr::Known(Truth::True), |root| folding.fold(root));
    if rule.rule.kind != Kind::Permission || rule.rule.duties.is_empty() {
        return own;
    }
    let mut parts = vec![own];
    for (duty, root) in rule.rule.duties.iter().zip(&rule.duty_roots) {
        if folding.policy.is_settled(&duty.id, settled) {
            continue;
        }
        parts.push(match root.as_ref().map(|root| folding.fold(root)) {
            None => Expr::Known(Truth::False),
            Some(Expr::Known(Truth::False)) => continue,
            Some(Expr::Known(_)) => Expr::Known(Truth::False),
            Some(due) => Expr::Not(Box::new(due)),
        });
    }
    if parts.iter().any(Expr::is_open) {
        return and(parts);
    }
    Expr::Known(Truth::all(parts.iter().map(|part| part.at(0, &Used::default()))))
}

/// Nothing is permitted, whatever happens.
pub(crate) fn closed(policy: &Compiled) -> Residual {
    Residual { permissions: Vec::new(), prohibitions: Vec::new(), conflict: policy.conflict }
}

/// What a condition is folded with.
struct Folding<'a> {
    policy: &'a Compiled,
    verdict: &'a Verdict,
    at: Moments,
    /// Whether it is an offer that is judged, not an agreement.
    is_proposal: bool,
}

impl Folding<'_> {
    fn fold(&self, node: &Node) -> Expr {
        let known = || Expr::Known(self.verdict.truths.get(node.number).copied().unwrap_or(Truth::Unknown));
        let (parts, make): (_, fn(Vec<Expr>) -> Expr) = match &node.what {
            What::Atom(index) => return self.open(*index, node.number).unwrap_or_else(known),
            What::And(parts) => (parts, and),
            What::Or(parts) => (parts, or),
            What::Xone(parts) => (parts, xone),
        };
        let parts: Vec<Expr> = parts.iter().map(|part| self.fold(part)).collect();
        if parts.iter().any(Expr::is_open) { make(parts) } else { known() }
    }

    fn open(&self, index: usize, number: usize) -> Option<Expr> {
        let (_, atom) = self.policy.atoms.get(index)?;
        // What a proposal takes for granted is no matter of the clock.
        let is_granted = self.is_proposal && self.policy.hopes.contains_key(&number);
        if is_granted { None } else { open(atom, self.at) }
    }
}

/// A comparison with the clock or with a meter, as far as the time and the use are open in it.
pub(crate) fn open(atom: &Atom, at: Moments) -> Option<Expr> {
    match (&atom.left, atom.right.as_slice()) {
        (Left::DateTime, [Scalar::Instant(epoch_ms)]) => {
            Some(Expr::DateTime { operator: time_operator(atom.operator)?, epoch_ms: *epoch_ms })
        }
        (Left::SinceAgreement | Left::Delay, [Scalar::AfterAgreement(after)]) => {
            let epoch_ms = at.agreed_at_ms?.saturating_add(*after);
            Some(Expr::DateTime { operator: time_operator(atom.operator)?, epoch_ms })
        }
        (Left::Calendar(clock), right) => Some(Expr::Weekly(clock.plan(atom.operator, right, at.at_ms))),
        (Left::Usage(meter), [Scalar::Integer(limit) | Scalar::Duration(limit)]) => {
            Some(Expr::Usage { meter: *meter, operator: time_operator(atom.operator)?, limit: *limit })
        }
        _ => None,
    }
}

fn and(parts: Vec<Expr>) -> Expr {
    without(parts, Truth::True, Truth::False, Expr::And)
}

fn or(parts: Vec<Expr>) -> Expr {
    without(parts, Truth::False, Truth::True, Expr::Or)
}

/// Leaves out what changes nothing, and stops at what decides.
fn without(mut parts: Vec<Expr>, neutral: Truth, decisive: Truth, make: fn(Vec<Expr>) -> Expr) -> Expr {
    if parts.contains(&Expr::Known(decisive)) {
        return Expr::Known(decisive);
    }
    parts.retain(|part| *part != Expr::Known(neutral));
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            make(parts)
        }
    }
}

fn xone(mut parts: Vec<Expr>) -> Expr {
    if parts.iter().filter(|part| **part == Expr::Known(Truth::True)).count() > 1 {
        return Expr::Known(Truth::False);
    }
    parts.retain(|part| *part != Expr::Known(Truth::False));
    Expr::Xone(parts)
}
