//! Conditions that cannot hold, whatever the facts are.

use policy_plan::Meter;

use crate::model::{Atom, Condition, Scalar};
use crate::vocabulary::{Left, Operator};

/// Why a condition never holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Never<'a> {
    /// Where: the comparison that cannot hold, or the second of two that exclude each other.
    pub(crate) at: &'a Atom,
    /// What is wrong; lower case, without a final period.
    pub(crate) why: String,
}

/// Finds out whether a condition contradicts itself.
pub(crate) fn never(condition: &Condition) -> Option<Never<'_>> {
    match condition {
        Condition::Atom(atom) => impossible(atom),
        Condition::Or(parts) | Condition::Xone(parts) => {
            let mut found = parts.iter().map(never);
            let first = found.next().flatten()?;
            found.all(|one| one.is_some()).then_some(first)
        }
        Condition::And(parts) => parts.iter().find_map(never).or_else(|| among(parts)),
    }
}

/// A contradiction between conditions that all have to hold.
fn among(parts: &[Condition]) -> Option<Never<'_>> {
    for (place, later) in parts.iter().enumerate() {
        let earlier = parts.get(..place).unwrap_or_default();
        let against = |condition| earlier.iter().find_map(|one| excluded(one, condition));
        let found = match later {
            Condition::Or(branches) | Condition::Xone(branches) => {
                let mut found = branches.iter().map(against);
                found.next().flatten().filter(|_| found.all(|one| one.is_some()))
            }
            other => against(other),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Whether two comparisons, or a comparison and one of several that all have to hold, exclude each other.
fn excluded<'a>(one: &'a Condition, other: &'a Condition) -> Option<Never<'a>> {
    match (one, other) {
        (Condition::Atom(one), Condition::Atom(other)) => clash(one, other)
            .then(|| Never { at: other, why: format!("`{}` and `{}` exclude each other", one.text, other.text) }),
        (atom @ Condition::Atom(_), Condition::And(parts)) => parts.iter().find_map(|part| excluded(atom, part)),
        (Condition::Or(branches) | Condition::Xone(branches), atom @ Condition::Atom(_)) => {
            let mut found = branches.iter().map(|branch| excluded(branch, atom));
            let first = found.next().flatten()?;
            found.all(|one| one.is_some()).then_some(first)
        }
        (Condition::And(parts), atom @ Condition::Atom(_)) => parts.iter().find_map(|part| excluded(part, atom)),
        _ => None,
    }
}

/// A comparison that no value meets.
fn impossible(atom: &Atom) -> Option<Never<'_>> {
    let counts = matches!(atom.left, Left::Usage(Meter::Count) | Left::Transfers);
    let below_first = match (atom.operator, atom.right.as_slice()) {
        (Operator::Lt, [Scalar::Integer(limit)]) => *limit <= 1,
        (Operator::Lteq | Operator::Eq, [Scalar::Integer(limit)]) => *limit < 1,
        _ => false,
    };
    (counts && below_first)
        .then(|| Never { at: atom, why: format!("`{}` admits no use: the first is number 1", atom.text) })
}

fn clash(one: &Atom, other: &Atom) -> bool {
    if one.operand() != other.operand() {
        return false;
    }
    if let (Some(first), Some(second)) = (Span::of(one), Span::of(other)) {
        return first.misses(&second);
    }
    excludes(one, other) || excludes(other, one)
}

/// Whether what the one asks for is what the other rules out.
fn excludes(one: &Atom, other: &Atom) -> bool {
    let (left, right) = (&one.right, &other.right);
    let shares = || left.iter().any(|value| right.contains(value));
    let is_within = |inner: &[Scalar], outer: &[Scalar]| inner.iter().all(|value| outer.contains(value));
    let same = || is_within(left, right) && is_within(right, left);
    match (one.operator, other.operator) {
        (Operator::Eq, Operator::Eq) => !same(),
        (Operator::Eq, Operator::Neq) => same(),
        (Operator::Eq, Operator::IsAnyOf) => !shares(),
        (Operator::Eq, Operator::IsAllOf) => !is_within(right, left),
        (Operator::Eq | Operator::IsAllOf, Operator::IsNoneOf) => shares(),
        (Operator::IsAnyOf, Operator::IsNoneOf) | (Operator::IsPartOf, Operator::IsNotPartOf) => is_within(left, right),
        // A recipient is one participant.
        (Operator::IsPartOf, Operator::IsPartOf) if one.left == Left::Recipient => {
            !shares() && left.iter().chain(right).all(is_did)
        }
        _ => false,
    }
}

fn is_did(value: &Scalar) -> bool {
    matches!(value, Scalar::Text(text) if text.starts_with("did:"))
}

/// The numbers that a comparison admits.
struct Span {
    from: f64,
    to: f64,
    /// Whether the ends belong to it.
    closed: bool,
}

impl Span {
    /// `None` for comparisons that are not about one number and an order.
    fn of(atom: &Atom) -> Option<Self> {
        let [value] = atom.right.as_slice() else { return None };
        // Exact as far as it matters: bounds that differ in the last milliseconds of a million years.
        #[expect(clippy::cast_precision_loss, reason = "bounds are compared, not computed with")]
        let value = match value {
            Scalar::Integer(number)
            | Scalar::Instant(number)
            | Scalar::AfterAgreement(number)
            | Scalar::Duration(number) => *number as f64,
            Scalar::Decimal(number) => *number,
            Scalar::Text(_) | Scalar::Bool(_) | Scalar::Area(_) => return None,
        };
        let (from, to, closed) = match atom.operator {
            Operator::Lt => (f64::NEG_INFINITY, value, false),
            Operator::Lteq => (f64::NEG_INFINITY, value, true),
            Operator::Gt => (value, f64::INFINITY, false),
            Operator::Gteq => (value, f64::INFINITY, true),
            Operator::Eq => (value, value, true),
            _ => return None,
        };
        Some(Self { from, to, closed })
    }

    fn misses(&self, other: &Self) -> bool {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        from > to || (from >= to && !(self.closed && other.closed))
    }
}

/// The comparison that has not held any more since before this moment and never will again.
pub(crate) fn ended(condition: &Condition, now_ms: i64) -> Option<&Atom> {
    match condition {
        Condition::Atom(atom) => {
            let is_over = match (&atom.left, atom.operator, atom.right.as_slice()) {
                (Left::DateTime, Operator::Lt, [Scalar::Instant(end)]) => *end <= now_ms,
                (Left::DateTime, Operator::Lteq | Operator::Eq, [Scalar::Instant(end)]) => *end < now_ms,
                _ => false,
            };
            is_over.then_some(atom)
        }
        Condition::And(parts) => parts.iter().find_map(|part| ended(part, now_ms)),
        Condition::Or(parts) | Condition::Xone(parts) => {
            let mut found = parts.iter().map(|part| ended(part, now_ms));
            let first = found.next().flatten()?;
            found.all(|one| one.is_some()).then_some(first)
        }
    }
}
