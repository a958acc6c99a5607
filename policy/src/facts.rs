//! What is known about the party that asks, and how constraints see it.

use std::collections::{BTreeMap, BTreeSet};

use policy_plan::Truth;
use serde_json::Value as Json;

use crate::instant::{Moment, moment};
use crate::model::{Atom, Scalar};
use crate::region;
use crate::value::claim_values;
use crate::vocabulary::{Left, Operator};

/// What a decision may rest on. Only what has been verified belongs here; the purpose alone may be declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Participant id of the party that asks for, or receives, the data (ODRL left operand `recipient`, and `assignee`).
    pub participant: String,
    /// Verified claims about that party, an object. Members with a meaning of their own: `membership`, `role` or `roles`,
    /// `spatial`, `nutsRegion` or `nuts`, `groups` (parties that it belongs to), `purpose`; any other is reached by
    /// `credential:<path>` or, when its name is an IRI, by that name.
    pub claims: Json,
    /// The purposes that the party declares for itself; they go before a `purpose` among the claims.
    pub purpose: Option<Vec<String>>,
}

impl Facts {
    /// Facts about a party of which nothing but the name is known.
    #[must_use]
    pub fn new(now_ms: i64, participant: impl Into<String>) -> Self {
        Self { now_ms, participant: participant.into(), claims: Json::Null, purpose: None }
    }

    fn claim(&self, name: &str) -> Option<&Json> {
        self.claims.get(name).filter(|value| !value.is_null())
    }

    fn first_claim(&self, names: &[&str]) -> Option<Vec<Scalar>> {
        names.iter().find_map(|name| self.claim(name)).and_then(claim_values)
    }

    /// A member of the claims by its path. At each step the longest run of names that is a member is taken; a list
    /// stands for all of its elements.
    fn at_path(&self, path: &[String]) -> Option<Vec<Scalar>> {
        let mut found = Vec::new();
        follow(&self.claims, path, &mut found);
        let mut values = Vec::new();
        for value in found {
            values.extend(claim_values(value)?);
        }
        (!values.is_empty() && values.len() <= MAX_FOUND).then_some(values)
    }
}

/// The most pairs of values that are compared for what lies in what; beyond them nothing is known.
const MAX_PAIRS: usize = 65_536;
/// The most values that a path may lead to.
const MAX_FOUND: usize = 1024;

fn follow<'a>(value: &'a Json, path: &[String], found: &mut Vec<&'a Json>) {
    if found.len() > MAX_FOUND || value.is_null() {
        return;
    }
    match value {
        _ if path.is_empty() => found.push(value),
        Json::Array(items) => items.iter().for_each(|item| follow(item, path, found)),
        Json::Object(object) => {
            let step = (1..=path.len()).rev().find_map(|length| {
                let (names, rest) = path.split_at_checked(length)?;
                object.get(&names.join(".")).map(|inner| (inner, rest))
            });
            if let Some((inner, rest)) = step {
                follow(inner, rest, found);
            }
        }
        _ => {}
    }
}

/// The values of one decision, by the names that the compiled policy uses.
#[derive(Debug, Default)]
pub(crate) struct Operands {
    pub(crate) values: BTreeMap<String, Vec<Scalar>>,
    /// What lies in what: by operand, inner value, outer value.
    pub(crate) relations: BTreeMap<String, BTreeMap<String, BTreeMap<String, Truth>>>,
    /// Nodes that cannot be judged: without a value, or with one that says nothing.
    pub(crate) unknown: BTreeSet<usize>,
}

impl Operands {
    /// Collects what the comparisons ask for. `agreed_at_ms` is when the agreement was, or would be, made.
    pub(crate) fn collect(atoms: &[(usize, Atom)], facts: &Facts, at_ms: i64, agreed_at_ms: Option<i64>) -> Self {
        let mut operands = Self::default();
        let mut budget = MAX_PAIRS;
        for (number, atom) in atoms {
            let name = atom.operand();
            if !operands.values.contains_key(&name) {
                let Some(values) = values(atom, facts, at_ms, agreed_at_ms) else {
                    operands.unknown.insert(*number);
                    continue;
                };
                operands.values.insert(name.clone(), values);
            }
            let Some(values) = operands.values.get(&name) else { continue };
            if atom.operator.is_relation() {
                let (inner, outer) =
                    if atom.operator == Operator::HasPart { (&atom.right, values) } else { (values, &atom.right) };
                let pairs = inner.len().saturating_mul(outer.len());
                if pairs > budget {
                    operands.unknown.insert(*number);
                    continue;
                }
                budget -= pairs;
                let table = operands.relations.entry(name).or_default();
                let mut comparable = true;
                for inner in inner {
                    for outer in outer {
                        let (Scalar::Text(inner), Scalar::Text(outer)) = (inner, outer) else {
                            comparable = false;
                            continue;
                        };
                        let truth = lies_in(&atom.left, inner, outer, facts);
                        table.entry(inner.clone()).or_default().insert(outer.clone(), truth);
                    }
                }
                if !comparable {
                    operands.unknown.insert(*number);
                }
            } else if matches!(atom.left, Left::Spatial | Left::NutsRegion) && !are_comparable(atom, values) {
                operands.unknown.insert(*number);
            }
        }
        operands
    }
}

fn values(atom: &Atom, facts: &Facts, at_ms: i64, agreed_at_ms: Option<i64>) -> Option<Vec<Scalar>> {
    let texts = |values: Vec<Scalar>, bare_is_nuts| {
        values
            .into_iter()
            .map(|value| match value {
                Scalar::Text(name) => Scalar::Text(region::canonical(&name, bare_is_nuts)),
                other => other,
            })
            .collect()
    };
    match &atom.left {
        Left::DateTime => Some(vec![Scalar::Instant(at_ms)]),
        Left::SinceAgreement => agreed_at_ms.map(|agreed| vec![Scalar::AfterAgreement(at_ms.saturating_sub(agreed))]),
        Left::Recipient => Some(vec![Scalar::Text(facts.participant.clone())]),
        Left::Purpose => match &facts.purpose {
            Some(declared) => (!declared.is_empty()).then(|| declared.iter().cloned().map(Scalar::Text).collect()),
            None => facts.first_claim(&["purpose"]),
        },
        Left::Spatial => facts.first_claim(&["spatial"]).map(|values| texts(values, false)),
        Left::NutsRegion => facts.first_claim(&["nutsRegion", "nuts"]).map(|values| texts(values, true)),
        Left::Membership => facts.first_claim(&["membership"]),
        Left::Role => facts.first_claim(&["role", "roles"]),
        Left::Claim { path, .. } => {
            let values = facts.at_path(path)?;
            if matches!(atom.right.first(), Some(Scalar::Instant(_))) { instants(&values) } else { Some(values) }
        }
    }
}

/// Claims that are compared with a dateTime are read as such.
fn instants(values: &[Scalar]) -> Option<Vec<Scalar>> {
    values
        .iter()
        .map(|value| match value {
            Scalar::Text(text) => match moment(text)? {
                Moment::Instant(ms) => Some(Scalar::Instant(ms)),
                Moment::Day { start, .. } => Some(Scalar::Instant(start)),
            },
            _ => None,
        })
        .collect()
}

/// Whether `inner` lies in, belongs to, or is one of, `outer`. Where no hierarchy is known, only equality is certain.
fn lies_in(left: &Left, inner: &str, outer: &str, facts: &Facts) -> Truth {
    match left {
        _ if inner == outer => Truth::True,
        Left::Spatial | Left::NutsRegion => region::lies_in(inner, outer),
        Left::Recipient => match facts.claim("groups").map(|groups| claim_values(groups).unwrap_or_default()) {
            Some(groups) => groups.contains(&Scalar::Text(outer.to_owned())).into(),
            // Another party is not a group; of other names it is not known whether the recipient belongs to them.
            None if outer.starts_with("did:") => Truth::False,
            None => Truth::Unknown,
        },
        _ => Truth::Unknown,
    }
}

/// Whether the values of a region are from lists in which different names mean different places, or already agree.
fn are_comparable(atom: &Atom, values: &[Scalar]) -> bool {
    let shared = values.iter().any(|value| atom.right.contains(value));
    if shared && matches!(atom.operator, Operator::IsAnyOf | Operator::IsNoneOf) {
        return true;
    }
    values.iter().all(|left| {
        atom.right.iter().all(|right| match (left, right) {
            (Scalar::Text(left), Scalar::Text(right)) => region::are_comparable(left, right),
            _ => true,
        })
    })
}
