//! What is known about the party that asks, and how constraints see it.

use std::collections::{BTreeMap, BTreeSet};

use policy_plan::{Meter, Truth, Used};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::area::positions;
use crate::gaia_x;
use crate::instant::{Moment, duration, moment};
use crate::model::{Atom, Scalar};
use crate::operand::media_type;
use crate::region;
use crate::value::claim_values;
use crate::vocabulary::{Left, Operator};

/// What a decision may rest on. Only what has been verified belongs here; the purpose alone may be declared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Facts {
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Participant id of the party that asks for, or receives, the data (ODRL left operand `recipient`, and `assignee`).
    pub participant: String,
    /// Verified claims about that party, an object. Members with a meaning of their own: `membership`, `role` or `roles`,
    /// `spatial`, `position` or `location` (a point in WKT or GeoJSON), `nutsRegion` or `nuts`, `groups` (parties that it belongs to), `purpose`; any other is reached by
    /// `credential:<path>` or, when its name is an IRI, by that name.
    pub claims: Json,
    /// The purposes that the party declares for itself; they go before a `purpose` among the claims.
    pub purpose: Option<Vec<String>>,
    /// The asset that is asked for; `None` for the policy's own target.
    pub target: Option<String>,
    /// Members and the collections that they are in, of assets and of parties; `None` when nothing is known of them.
    /// An asset or party that is not listed is not a member. Other names may be listed, too: a purpose and the wider one.
    pub part_of: Option<Vec<(String, String)>>,
    /// The collections that the asset is in, all of them; `None` when that is not known. [`Facts::part_of`] may tell more.
    pub asset_in: Option<BTreeSet<String>>,
    /// Properties of the asset, an object, for refinements of asset collections: terms of DCAT and Dublin Core with the
    /// prefixes `dcat:` and `dct:`.
    pub asset: Json,
    /// Values of left operands that have no source of their own here, an object: `{"count": 3}`, and
    /// `{"payAmount": {"@value": 5, "unit": "…"}}` where the constraint names a unit.
    pub operands: Json,
    /// How far duties are, by their identifiers; those that are not listed are open.
    pub duties: BTreeMap<String, DutyState>,
    /// IRIs of the events that are in force now, as the operator declares them (ODRL left operand `event`). An event that
    /// is not listed is not in force.
    pub events: BTreeSet<String>,
    /// Identifiers of the consents that hold now for this recipient, dataset and purpose (left operand `consent` of the
    /// municipal profile). A consent that is not listed does not hold.
    pub consents: BTreeSet<String>,
    /// How far the agreement has been used (left operands `count`, `meteredTime`, `elapsedTime`, `timeInterval` and
    /// `volume`).
    pub usage: Used,
    /// The ordinal of the transfer that is asked for, or that the data flows in: 1 for the first under the agreement (left
    /// operand `count` with the unit `transfer`).
    pub transfers: Option<u64>,
    /// The transfer format, for example `HttpData-PULL` (ODRL left operand `deliveryChannel`).
    pub channel: Option<String>,
    /// The media type of the dataset (ODRL left operand `fileFormat`).
    pub format: Option<String>,
}

/// How far a duty is (ODRL 2.2, Duty).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DutyState {
    /// Not done, and not too late.
    #[default]
    Unset,
    /// Done.
    Fulfilled,
    /// Not done in time; of a prohibition: infringed.
    Violated,
}

impl Facts {
    /// Facts about a party of which nothing but the name is known.
    #[must_use]
    pub fn new(now_ms: i64, participant: impl Into<String>) -> Self {
        Self { now_ms, participant: participant.into(), ..Self::default() }
    }

    /// How far a duty is.
    #[must_use]
    pub fn duty(&self, id: &str) -> DutyState {
        self.duties.get(id).copied().unwrap_or_default()
    }

    /// The collections that a thing is in, at any distance; `None` when nothing is known of collections.
    pub(crate) fn collections<'a>(&'a self, thing: &'a str) -> Option<BTreeSet<&'a str>> {
        let pairs = self.part_of.as_ref()?;
        let mut found = BTreeSet::new();
        let mut new = vec![thing];
        while let Some(member) = new.pop() {
            for (_, collection) in pairs.iter().filter(|(inner, _)| inner == member) {
                if found.insert(collection.as_str()) {
                    new.push(collection);
                }
            }
        }
        Some(found)
    }

    /// The asset that is asked for, and the collections that it is in as far as they are known.
    pub(crate) fn targets<'a>(&'a self, asset: Option<&'a str>) -> BTreeSet<&'a str> {
        let collections = asset.and_then(|asset| self.collections(asset)).unwrap_or_default();
        asset.into_iter().chain(collections).chain(self.asset_in.iter().flatten().map(String::as_str)).collect()
    }

    /// A value that the facts give for a left operand, in the unit of the constraint.
    fn given(&self, name: &str, unit: Option<&str>) -> Option<Vec<Scalar>> {
        let value = self.operands.get(name)?;
        let given_unit = value.get("unit").and_then(Json::as_str);
        if given_unit != unit {
            return None;
        }
        claim_values(value.get("@value").unwrap_or(value))
    }

    fn claim(&self, name: &str) -> Option<&Json> {
        self.claims.get(name).filter(|value| !value.is_null())
    }

    fn first_claim(&self, names: &[&str]) -> Option<Vec<Scalar>> {
        names.iter().find_map(|name| self.claim(name)).and_then(claim_values)
    }
}

/// Claims that may tell where a party is, as a point; the first that is there counts.
const POSITIONS: [&str; 3] = ["position", "location", "spatial"];

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

/// A member by its path. At each step the longest run of names that is a member is taken; a list stands for all of its
/// elements.
fn at_path(root: &Json, path: &[String]) -> Option<Vec<Scalar>> {
    let mut found = Vec::new();
    follow(root, path, &mut found);
    all_values(found)
}

fn all_values(found: Vec<&Json>) -> Option<Vec<Scalar>> {
    let mut values = Vec::new();
    for value in found {
        values.extend(claim_values(value)?);
    }
    (!values.is_empty() && values.len() <= MAX_FOUND).then_some(values)
}

/// The moments that a decision is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// The moment that is judged.
    pub(crate) at_ms: i64,
    /// When the agreement was, or would be, made.
    pub(crate) agreed_at_ms: Option<i64>,
}

/// The values of one decision, by the names that the compiled policy uses.
#[derive(Debug, Default)]
pub(crate) struct Operands {
    pub(crate) values: BTreeMap<String, Vec<Scalar>>,
    /// What lies in what: by operand, inner value, outer value.
    pub(crate) relations: BTreeMap<String, BTreeMap<String, BTreeMap<String, Truth>>>,
    /// Nodes that are not judged, with the truth that they have: unknown without a value, or with one that says nothing.
    pub(crate) fixed: BTreeMap<usize, Truth>,
}

impl Operands {
    /// Collects what the comparisons ask for; those whose truth is `assumed` need nothing.
    pub(crate) fn collect(
        atoms: &[(usize, Atom)],
        target: Option<&str>,
        facts: &Facts,
        at: Moments,
        assumed: &BTreeMap<usize, Truth>,
    ) -> Self {
        let mut operands = Self { fixed: assumed.clone(), ..Self::default() };
        let mut budget = MAX_PAIRS;
        for (number, atom) in atoms {
            if assumed.contains_key(number) {
                continue;
            }
            let name = atom.operand();
            if !operands.values.contains_key(&name) {
                let Some(values) = values(atom, target, facts, at) else {
                    operands.fixed.insert(*number, Truth::Unknown);
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
                    operands.fixed.insert(*number, Truth::Unknown);
                    continue;
                }
                budget -= pairs;
                let table = operands.relations.entry(name).or_default();
                let mut comparable = true;
                for inner in inner {
                    for outer in outer {
                        let (Some(name), Some(outer_name)) = (inner.name(), outer.name()) else {
                            comparable = false;
                            continue;
                        };
                        let truth = match outer {
                            Scalar::Area(area) => area.holds(name),
                            _ => lies_in(&atom.left, name, outer_name, facts),
                        };
                        table.entry(name.to_owned()).or_default().insert(outer_name.to_owned(), truth);
                    }
                }
                if !comparable {
                    operands.fixed.insert(*number, Truth::Unknown);
                }
            } else if matches!(atom.left, Left::Spatial | Left::NutsRegion) && !are_comparable(atom, values) {
                operands.fixed.insert(*number, Truth::Unknown);
            }
        }
        operands
    }
}

fn values(
    atom: &Atom,
    target: Option<&str>,
    facts: &Facts,
    Moments { at_ms, agreed_at_ms }: Moments,
) -> Option<Vec<Scalar>> {
    let as_right = |values: Vec<Scalar>| match atom.right.first() {
        Some(Scalar::Instant(_)) => instants(&values),
        Some(Scalar::Duration(_)) => durations(&values),
        _ => Some(values),
    };
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
        Left::Calendar(clock) => Some(vec![Scalar::Integer(clock.value(at_ms))]),
        Left::SinceAgreement | Left::Delay => {
            agreed_at_ms.map(|agreed| vec![Scalar::AfterAgreement(at_ms.saturating_sub(agreed))])
        }
        Left::Usage(meter @ (Meter::Count | Meter::Volume)) => {
            facts.usage.shows(*meter, at_ms).map(|shown| vec![Scalar::Integer(shown)])
        }
        Left::Usage(meter) => facts.usage.shows(*meter, at_ms).map(|shown| vec![Scalar::Duration(shown)]),
        Left::Transfers => {
            facts.transfers.map(|number| vec![Scalar::Integer(i64::try_from(number).unwrap_or(i64::MAX))])
        }
        Left::Event => Some(facts.events.iter().cloned().map(Scalar::Text).collect()),
        Left::Consent => Some(facts.consents.iter().cloned().map(Scalar::Text).collect()),
        Left::Channel => facts.channel.clone().map(|name| vec![Scalar::Text(name)]),
        Left::Format => facts.format.clone().map(|name| vec![media_type(Scalar::Text(name))]),
        Left::Device => facts.first_claim(&["systemDevice"]),
        Left::Recipient => Some(vec![Scalar::Text(facts.participant.clone())]),
        Left::Purpose => match &facts.purpose {
            Some(declared) => (!declared.is_empty()).then(|| declared.iter().cloned().map(Scalar::Text).collect()),
            None => facts.first_claim(&["purpose"]),
        },
        Left::Spatial => facts.first_claim(&["spatial"]).map(|values| texts(values, false)),
        Left::Position => POSITIONS.iter().find_map(|name| facts.claim(name)).and_then(positions),
        Left::NutsRegion => facts.first_claim(&["nutsRegion", "nuts"]).map(|values| texts(values, true)),
        Left::Membership => facts.first_claim(&["membership"]),
        Left::Role => facts.first_claim(&["role", "roles"]),
        Left::Claim { path, .. } => as_right(at_path(&facts.claims, path)?),
        Left::Subject { subject_type, path, .. } => {
            as_right(all_values(gaia_x::values(&facts.claims, subject_type, path))?)
        }
        Left::Asset { path, .. } => as_right(at_path(&facts.asset, path)?),
        Left::Given { name, unit, .. } => as_right(facts.given(name, unit.as_deref())?),
        Left::Target => target.map(|target| vec![Scalar::Text(target.to_owned())]),
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

/// What is compared with a duration is read as one.
fn durations(values: &[Scalar]) -> Option<Vec<Scalar>> {
    values
        .iter()
        .map(|value| if let Scalar::Text(text) = value { duration(text).map(Scalar::Duration) } else { None })
        .collect()
}

/// Whether `inner` lies in, belongs to, or is one of, `outer`. Where no hierarchy is known, only equality is certain.
fn lies_in(left: &Left, inner: &str, outer: &str, facts: &Facts) -> Truth {
    match left {
        _ if inner == outer || facts.collections(inner).is_some_and(|found| found.contains(outer)) => Truth::True,
        Left::Spatial | Left::NutsRegion => region::lies_in(inner, outer),
        Left::Target if facts.asset_in.as_ref().is_some_and(|found| found.contains(outer)) => Truth::True,
        Left::Target if facts.asset_in.is_some() || facts.part_of.is_some() => Truth::False,
        Left::Recipient => match facts.claim("groups").map(|groups| claim_values(groups).unwrap_or_default()) {
            Some(groups) => groups.contains(&Scalar::Text(outer.to_owned())).into(),
            // Another party is not a group; of other names it is not known whether the recipient belongs to them.
            None if outer.starts_with("did:") || facts.part_of.is_some() => Truth::False,
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
