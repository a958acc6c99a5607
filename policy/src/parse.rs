//! From the JSON of a policy to its model; whatever is not understood is an error (ODRL 2.2 Information Model).

use std::collections::BTreeMap;

use policy_plan::Conflict;
use serde_json::Value;

use crate::PolicySource;
use crate::area::Area;
use crate::document;
use crate::error::{At, PolicyError};
use crate::instant::{Moment, moment};
use crate::json::{items, members, name, not_understood};
use crate::model::{Atom, Kind, Model, Scalar};
use crate::operand::typed;
use crate::rule::{Defaults, Named, actions, assets, parties, rule};
use crate::vocabulary::{Left, Reading, Subject, term};

/// The ODRL profile of the left operands that this crate adds to the vocabulary: `membership`, `role`, `nutsRegion` and
/// `credential:<path>`.
pub const MUNICIPAL_PROFILE: &str = "https://github.com/hansa-connector/hansa/ns/odrl/municipal/1";

/// The most rules that a policy may have.
const MAX_RULES: usize = 256;

/// Reads a policy.
pub(crate) fn model(source: &PolicySource) -> Result<Model, PolicyError> {
    let document = document::read(&source.rules)?;
    let mut model = policy(source, &document.policy).map_err(|error| document.place(error))?;
    let mut unreadable = None;
    for rule in &mut model.rules {
        rule.pointer = document.pointer(&rule.pointer);
        let label = rule.label();
        let mut place = |atom: &mut Atom| {
            if !atom.origin.pointer.is_empty() {
                atom.origin.pointer = document.pointer(&atom.origin.pointer);
            }
            if let Err(reason) = draw(atom, &source.areas) {
                let at = At::rule(&label, atom.origin.pointer.clone());
                unreadable.get_or_insert(PolicyError::new("right_operand", &at, reason));
            }
        };
        rule.condition.iter_mut().for_each(|condition| condition.atoms_mut(&mut place));
        rule.duties.iter_mut().filter_map(|duty| duty.condition.as_mut()).for_each(|c| c.atoms_mut(&mut place));
    }
    match unreadable {
        Some(error) => Err(error),
        None => Ok(model),
    }
}

/// Puts the areas that the operator has names for in the place of their names.
fn draw(atom: &mut Atom, areas: &BTreeMap<String, Value>) -> Result<(), String> {
    let drawn = |value: &Scalar| match value {
        Scalar::Text(name) => areas.get(name).map(|area| Area::read(area).map(|area| Scalar::Area(area.named(name)))),
        _ => None,
    };
    if atom.left != Left::Spatial || !atom.right.iter().any(|value| drawn(value).is_some()) {
        return Ok(());
    }
    let right: Vec<Scalar> = atom.right.iter().filter_map(drawn).collect::<Result<_, _>>()?;
    if right.len() != atom.right.len() {
        return Err(
            "areas and the codes of regions are not compared at once; combine two constraints with `or`".to_owned()
        );
    }
    (atom.left, atom.operator, atom.right) = typed(Left::Spatial, atom.operator, right, true)?;
    Ok(())
}

fn policy(source: &PolicySource, document: &Value) -> Result<Model, PolicyError> {
    let at = At::default();
    let reading = Reading { subject: Subject::Request, is_open: source.any_facts, ..Reading::default() };
    let mut defaults = Defaults {
        assigner: source.assigner.clone(),
        assignees: source.assignee.iter().cloned().map(Named::plain).collect(),
        targets: source.target.iter().cloned().map(Named::plain).collect(),
        ..Defaults::default()
    };
    let mut conflict = source.conflict.as_deref().map(|name| strategy(name, &at.member("conflict"))).transpose()?;
    let mut agreed_at_ms = source.agreed_at_ms;
    if let Some(profile) = &source.profile {
        check_profile(profile, &at.member("profile"))?;
    }
    let mut rule_lists: Vec<(Kind, &Value)> = Vec::new();
    for (member, value) in members(document, &at)? {
        let here = at.member(member);
        match member {
            "permission" => rule_lists.push((Kind::Permission, value)),
            "prohibition" => rule_lists.push((Kind::Prohibition, value)),
            "obligation" => rule_lists.push((Kind::Obligation, value)),
            "@context" | "@id" => {}
            "@type" => check_type(value, &["Set", "Offer", "Agreement", "Policy"], &here)?,
            "profile" => {
                for profile in items(value) {
                    check_profile(&name(profile, &here)?, &here)?;
                }
            }
            "conflict" => conflict = Some(merged(conflict, strategy(&name(value, &here)?, &here)?, &here)?),
            "action" => defaults.actions = Some(actions(value, false, reading, &here)?),
            "target" => defaults.targets = same_or_new(&defaults.targets, assets(value, reading, &here)?, &here)?,
            "assigner" => {
                let known: Vec<Named> = defaults.assigner.iter().cloned().map(Named::plain).collect();
                let given = same_or_new(&known, parties(value, reading, &here)?, &here)?.pop();
                defaults.assigner = given.and_then(|party| party.name);
            }
            "assignee" => {
                defaults.assignees = same_or_new(&defaults.assignees, parties(value, reading, &here)?, &here)?
            }
            "timestamp" | "https://w3id.org/dspace/2025/1/timestamp" | "dspace:timestamp" => {
                let text = name(value, &here)?;
                let Some(Moment::Instant(ms)) = moment(&text) else {
                    return Err(PolicyError::new("timestamp", &here, format!("`{text}` is not a dateTime")));
                };
                agreed_at_ms = agreed_at_ms.or(Some(ms));
            }
            other => return Err(not_understood(other, &at)),
        }
    }
    let mut rules = Vec::new();
    for kind in Kind::ALL {
        let lists = rule_lists.iter().filter(|(of, _)| *of == kind);
        let places = lists.flat_map(|(_, value)| {
            let listed = value.is_array();
            items(value).into_iter().map(move |value| (listed, value))
        });
        for (index, (listed, value)) in places.enumerate() {
            let step = if listed { format!("/{index}") } else { String::new() };
            let pointer = format!("/{}{step}", kind.as_str());
            rules.extend(rule(kind, index, value, &defaults, reading, pointer)?);
            if rules.len() > MAX_RULES {
                return Err(PolicyError::new("too_large", &at, format!("a policy has at most {MAX_RULES} rules")));
            }
        }
    }
    let target = match defaults.targets.as_slice() {
        [Named { name, is_collection: false, .. }] => name.clone(),
        [] => None,
        _ if source.any_facts => None,
        _ => return Err(PolicyError::new("target", &at.member("target"), "a policy here has one target")),
    };
    if target.is_none() && !source.any_facts && rules.iter().any(|rule| !rule.targets.is_empty()) {
        let message = "a rule names a target although the policy has none to compare with";
        return Err(PolicyError::new("target", &at.member("target"), message));
    }
    let conflict = conflict.unwrap_or_default();
    Ok(Model { rules, target, conflict, agreed_at_ms, all_duties_first: source.any_facts })
}

/// What the caller knows must be what the policy says.
fn same_or_new(known: &[Named], given: Vec<Named>, at: &At) -> Result<Vec<Named>, PolicyError> {
    if known.is_empty() || known == given {
        Ok(given)
    } else {
        let list = |things: &[Named]| things.iter().map(Named::text).collect::<Vec<_>>().join(", ");
        let message = format!("it is `{}`, but `{}` is expected", list(&given), list(known));
        Err(PolicyError::new("policy_member_differs", at, message))
    }
}

pub(crate) fn check_type(value: &Value, allowed: &[&str], at: &At) -> Result<(), PolicyError> {
    for value in items(value) {
        let given = name(value, at)?;
        if !allowed.contains(&term(&given)) {
            return Err(PolicyError::new("type_unknown", at, format!("the type `{given}` is not understood here")));
        }
    }
    Ok(())
}

/// ODRL 2.2, Profile Mechanism: a policy of a profile that is not known is not processed.
fn check_profile(profile: &str, at: &At) -> Result<(), PolicyError> {
    if profile == MUNICIPAL_PROFILE {
        return Ok(());
    }
    Err(PolicyError::new("profile_unknown", at, format!("the profile `{profile}` is not known")))
}

fn strategy(given: &str, at: &At) -> Result<Conflict, PolicyError> {
    match term(given) {
        "perm" => Ok(Conflict::Perm),
        "prohibit" => Ok(Conflict::Prohibit),
        "invalid" => Ok(Conflict::Invalid),
        _ => Err(PolicyError::new("conflict_unknown", at, format!("the conflict strategy `{given}` is not known"))),
    }
}

fn merged(known: Option<Conflict>, given: Conflict, at: &At) -> Result<Conflict, PolicyError> {
    match known {
        Some(known) if known != given => {
            Err(PolicyError::new("policy_member_differs", at, "two conflict strategies are given"))
        }
        _ => Ok(given),
    }
}
