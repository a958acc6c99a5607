//! From the JSON of a policy to its model; whatever is not understood is an error (ODRL 2.2 Information Model).

use policy_plan::Conflict;
use serde_json::Value;

use crate::PolicySource;
use crate::constraint::conditions;
use crate::document;
use crate::error::{At, PolicyError};
use crate::instant::{Moment, moment};
use crate::json::{items, members, name, not_understood};
use crate::model::{Atom, Condition, Kind, MAX_COMPARISON_TEXT, Model, Rule, Scalar, clipped};
use crate::vocabulary::{Left, Operator, action, is_foreign, term};

/// The ODRL profile of the left operands that this crate adds to the vocabulary: `membership`, `role`, `nutsRegion` and
/// `credential:<path>`.
pub const MUNICIPAL_PROFILE: &str = "urn:hansa:odrl:profile:municipal:1";

/// The most rules that a policy may have.
const MAX_RULES: usize = 256;

/// What the policy level gives to rules that lack it (ODRL 2.2, Compact Policy).
#[derive(Default)]
struct Defaults {
    actions: Option<Vec<String>>,
    targets: Vec<String>,
    assigner: Option<String>,
    assignees: Vec<String>,
}

/// Reads a policy.
pub(crate) fn model(source: &PolicySource) -> Result<Model, PolicyError> {
    let document = document::read(&source.rules)?;
    let mut model = policy(source, &document.policy).map_err(|error| document.place(error))?;
    for rule in &mut model.rules {
        rule.pointer = document.pointer(&rule.pointer);
    }
    Ok(model)
}

fn policy(source: &PolicySource, document: &Value) -> Result<Model, PolicyError> {
    let at = At::default();
    let mut defaults = Defaults {
        assigner: source.assigner.clone(),
        assignees: source.assignee.iter().cloned().collect(),
        targets: source.target.iter().cloned().collect(),
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
            "action" => defaults.actions = Some(actions(value, Kind::Permission, &here)?),
            "target" => defaults.targets = same_or_new(&defaults.targets, names(value, &here)?, &here)?,
            "assigner" => {
                let known: Vec<String> = defaults.assigner.iter().cloned().collect();
                defaults.assigner = same_or_new(&known, names(value, &here)?, &here)?.pop();
            }
            "assignee" => defaults.assignees = same_or_new(&defaults.assignees, names(value, &here)?, &here)?,
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
            rules.push(rule(kind, index, value, &defaults, format!("/{}{step}", kind.as_str()))?);
            if rules.len() > MAX_RULES {
                return Err(PolicyError::new("too_large", &at, format!("a policy has at most {MAX_RULES} rules")));
            }
        }
    }
    let target = match defaults.targets.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        _ => return Err(PolicyError::new("target", &at.member("target"), "a policy here has one target")),
    };
    if target.is_none() && rules.iter().any(|rule| !rule.targets.is_empty()) {
        let message = "a rule names a target although the policy has none to compare with";
        return Err(PolicyError::new("target", &at.member("target"), message));
    }
    Ok(Model { rules, target, conflict: conflict.unwrap_or_default(), agreed_at_ms })
}

fn rule(kind: Kind, index: usize, value: &Value, defaults: &Defaults, pointer: String) -> Result<Rule, PolicyError> {
    let own_label = format!("{}{index}", kind.letter());
    let at = At::rule(&format!("{} {own_label}", kind.as_str()), pointer);
    let mut id = own_label;
    let mut rule_actions = defaults.actions.clone();
    let mut targets = Vec::new();
    let mut assignees = defaults.assignees.clone();
    let mut parts = Vec::new();
    for (member, value) in members(value, &at)? {
        let here = at.member(member);
        match member {
            "@id" => id = name(value, &here)?,
            "@type" => check_type(value, &["Rule", "Permission", "Prohibition", "Duty", "Obligation"], &here)?,
            "action" => rule_actions = Some(actions(value, kind, &here)?),
            "target" => targets = names(value, &here)?,
            "assigner" => {
                let given = names(value, &here)?;
                if defaults.assigner.as_ref().is_some_and(|known| given.iter().any(|given| given != known)) {
                    return Err(PolicyError::new("assigner", &here, "the rule's assigner is not the policy's"));
                }
            }
            "assignee" => assignees = names(value, &here)?,
            "constraint" => parts.extend(conditions(value, &here)?),
            other => return Err(not_understood(other, &at)),
        }
    }
    let actions = rule_actions
        .filter(|actions| !actions.is_empty())
        .ok_or_else(|| PolicyError::new("action", &at.member("action"), "a rule needs an action"))?;
    if !assignees.is_empty() && kind != Kind::Obligation {
        parts.insert(0, assignee(&assignees));
    }
    let condition = (!parts.is_empty()).then(|| Condition::all(parts));
    Ok(Rule { id, pointer: at.to_pointer(), kind, actions, targets, condition })
}

/// ODRL 2.2, Party: the rule is for the assignee, or for members of it.
fn assignee(parties: &[String]) -> Condition {
    Condition::Atom(Atom {
        left: Left::Recipient,
        operator: Operator::IsPartOf,
        right: parties.iter().cloned().map(Scalar::Text).collect(),
        text: clipped(&format!("assignee is {}", parties.join(" or ")), MAX_COMPARISON_TEXT),
    })
}

fn actions(value: &Value, kind: Kind, at: &At) -> Result<Vec<String>, PolicyError> {
    items(value)
        .into_iter()
        .map(|value| {
            let given = name(value, at)?;
            match action(&given) {
                Some(known) => Ok(known.to_owned()),
                // What has to be done is shown to people; an action of another vocabulary does no harm there.
                None if kind == Kind::Obligation && is_foreign(&given) => Ok(given),
                None => Err(PolicyError::new("action_unknown", at, format!("the action `{given}` is not known"))),
            }
        })
        .collect()
}

fn names(value: &Value, at: &At) -> Result<Vec<String>, PolicyError> {
    items(value).into_iter().map(|value| name(value, at)).collect()
}

/// What the caller knows must be what the policy says.
fn same_or_new(known: &[String], given: Vec<String>, at: &At) -> Result<Vec<String>, PolicyError> {
    if known.is_empty() || known == given {
        Ok(given)
    } else {
        let message = format!("it is `{}`, but `{}` is expected", given.join(", "), known.join(", "));
        Err(PolicyError::new("policy_member_differs", at, message))
    }
}

fn check_type(value: &Value, allowed: &[&str], at: &At) -> Result<(), PolicyError> {
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
