//! Rules and duties (ODRL 2.2 Information Model, Rule, Duty, Action, Asset, Party).

use serde_json::Value;

use crate::constraint::conditions;
use crate::dialect::{ANYBODY, gaia_x, refused_action};
use crate::error::{At, PolicyError};
use crate::json::{items, members, name, not_understood};
use crate::model::{
    Atom, Condition, Duty, DutyRole, Kind, MAX_COMPARISON_TEXT, MAX_RULE_TEXT, Origin, Part, Rule, Scalar, clipped,
};
use crate::parse::check_type;
use crate::vocabulary::{Left, Operator, Reading, action, is_foreign};

/// The most duties of one rule, and how deep consequences lead to consequences.
const MAX_DUTIES: usize = 64;
const MAX_CONSEQUENCES: usize = 8;

/// Functions of parties in a duty, beside assigner and assignee (ODRL 2.2 Vocabulary, Party Functions).
const FUNCTIONS: [&str; 12] = [
    "attributedParty",
    "attributingParty",
    "compensatedParty",
    "compensatingParty",
    "consentedParty",
    "consentingParty",
    "contractedParty",
    "contractingParty",
    "informedParty",
    "informingParty",
    "trackedParty",
    "trackingParty",
];

/// What the policy level gives to rules that lack it (ODRL 2.2, Compact Policy).
#[derive(Default)]
pub(crate) struct Defaults {
    pub(crate) actions: Option<Vec<Named>>,
    pub(crate) targets: Vec<Named>,
    pub(crate) assigner: Option<String>,
    pub(crate) assignees: Vec<Named>,
}

/// An action, an asset or a party, and what narrows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    /// `None` for a collection of all that its refinement holds for.
    pub(crate) name: Option<String>,
    pub(crate) is_collection: bool,
    /// ODRL 2.2, Constraint, `refinement`.
    pub(crate) refinement: Vec<Condition>,
}

impl Named {
    pub(crate) fn plain(name: String) -> Self {
        Self { name: Some(name), is_collection: false, refinement: Vec::new() }
    }

    /// Readable form.
    pub(crate) fn text(&self) -> String {
        let name = self.name.clone().unwrap_or_else(|| "any".to_owned());
        if self.refinement.is_empty() {
            return name;
        }
        format!("{name} ({})", Condition::all(self.refinement.clone()).text())
    }

    fn is_plain(&self) -> bool {
        !self.is_collection && self.refinement.is_empty()
    }
}

/// Reads one rule; one with refined actions becomes several (ODRL 2.2, Composition).
pub(crate) fn rule(
    kind: Kind,
    index: usize,
    value: &Value,
    defaults: &Defaults,
    reading: Reading,
    pointer: String,
) -> Result<Vec<Rule>, PolicyError> {
    let own_label = format!("{}{index}", kind.letter());
    let at = At::rule(&format!("{} {own_label}", kind.as_str()), pointer);
    let mut id = own_label;
    let mut rule_actions = defaults.actions.clone();
    let mut targets = None;
    let mut assignees = defaults.assignees.clone();
    // What the policy level says about all rules has no place in this one.
    let mut party = Origin { part: Part::Party, pointer: String::new() };
    let mut asset = Origin { part: Part::Target, pointer: String::new() };
    let mut constraints = Vec::new();
    let mut duties = None;
    let mut whom = Vec::new();
    for (member, value) in members(value, &at)? {
        let here = at.member(member);
        match (member, kind) {
            ("@id", _) => id = name(value, &here)?,
            ("@type", _) => check_type(value, &["Rule", "Permission", "Prohibition", "Duty", "Obligation"], &here)?,
            ("action", Kind::Obligation) => rule_actions = Some(actions(value, true, shown(reading), &here)?),
            ("action", _) => rule_actions = Some(actions(value, false, reading, &here)?),
            ("target", _) => {
                asset.pointer = here.to_pointer();
                targets = Some(assets(value, reading, &here)?);
            }
            ("assigner", _) => {
                let given = parties(value, reading, &here)?;
                let same = |party: &Named| party.is_plain() && party.name == defaults.assigner;
                if defaults.assigner.is_some() && !given.iter().all(same) {
                    return Err(PolicyError::new("assigner", &here, "the rule's assigner is not the policy's"));
                }
            }
            ("assignee", _) => {
                party.pointer = here.to_pointer();
                assignees = parties(value, reading, &here)?;
            }
            ("constraint", _) => constraints.extend(conditions(value, reading, &here)?),
            ("duty", Kind::Permission) => duties = Some((DutyRole::Duty, value, here)),
            ("remedy", Kind::Prohibition) => duties = Some((DutyRole::Remedy, value, here)),
            ("consequence", Kind::Obligation) => duties = Some((DutyRole::Consequence, value, here)),
            (other, Kind::Obligation) if FUNCTIONS.contains(&other) => {
                whom.extend(tellings(other, &parties(value, shown(reading), &here)?));
            }
            (other, _) if gaia_x(other) == Some("constraint") => {
                constraints.extend(conditions(value, reading, &here)?);
            }
            (other, _) => return Err(not_understood(other, &at)),
        }
    }
    let actions = rule_actions
        .filter(|actions| !actions.is_empty())
        .ok_or_else(|| PolicyError::new("action", &at.member("action"), "a rule needs an action"))?;
    let duties = match duties {
        Some((role, value, here)) => duty_list(role, value, &id, reading, &here, 0)?,
        None => Vec::new(),
    };
    let mut parts = Vec::new();
    // Everybody, unless a condition says for whom of them.
    if assignees.iter().any(|party| party.is_plain() && party.name.as_deref() == Some(ANYBODY)) {
        assignees.clear();
    }
    if !assignees.is_empty() && kind != Kind::Obligation {
        parts.push(among(&Left::Recipient, &assignees, "assignee", &party));
    }
    let targets = targets.unwrap_or_else(|| defaults.targets.clone());
    let plain_targets = if targets.iter().all(Named::is_plain) {
        targets.into_iter().filter_map(|target| target.name).collect()
    } else {
        parts.push(among(&Left::Target, &targets, "target", &asset));
        Vec::new()
    };
    parts.extend(constraints);
    let make = |actions: Vec<String>, refinement: &[Condition]| {
        let parts: Vec<Condition> = parts.iter().chain(refinement).cloned().collect();
        Rule {
            id: id.clone(),
            pointer: at.to_pointer(),
            kind,
            actions,
            targets: plain_targets.clone(),
            condition: (!parts.is_empty()).then(|| Condition::all(parts)),
            duties: duties.clone(),
            obliged: None,
        }
    };
    // What has to be done is shown with its refinement; no request is compared with it.
    if kind == Kind::Obligation {
        let mut rule = make(actions.iter().filter_map(|action| action.name.clone()).collect(), &[]);
        rule.obliged = Some(Duty {
            id: id.clone(),
            role: DutyRole::Obligation,
            actions: rule.actions.clone(),
            what: done(&actions, &whom),
            refinement: actions.into_iter().flat_map(|action| action.refinement).collect(),
            condition: rule.condition.clone(),
            consequences: Vec::new(),
        });
        return Ok(vec![rule]);
    }
    let (plain, refined): (Vec<_>, Vec<_>) = actions.into_iter().partition(Named::is_plain);
    let plain: Vec<String> = plain.into_iter().filter_map(|action| action.name).collect();
    let mut rules = Vec::new();
    if !plain.is_empty() {
        rules.push(make(plain, &[]));
    }
    for action in refined {
        rules.push(make(action.name.into_iter().collect(), &action.refinement));
    }
    Ok(rules)
}

/// One of these things, or a member of one of these collections for which its refinement holds.
fn among(left: &Left, things: &[Named], word: &str, origin: &Origin) -> Condition {
    let is = |names: Vec<&String>| {
        let texts: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        Condition::Atom(Atom {
            left: left.clone(),
            operator: Operator::IsPartOf,
            text: clipped(&format!("{word} is {}", texts.join(" or ")), MAX_COMPARISON_TEXT),
            right: names.into_iter().cloned().map(Scalar::Text).collect(),
            origin: origin.clone(),
        })
    };
    let (whole, refined): (Vec<&Named>, Vec<&Named>) = things.iter().partition(|thing| thing.refinement.is_empty());
    let names: Vec<&String> = whole.into_iter().filter_map(|thing| thing.name.as_ref()).collect();
    let mut parts = Vec::new();
    if !names.is_empty() {
        parts.push(is(names));
    }
    for thing in refined {
        let named = thing.name.iter().map(|name| is(vec![name]));
        parts.push(Condition::all(named.chain(thing.refinement.iter().cloned()).collect()));
    }
    Condition::any(parts)
}

/// Actions; with `any` those of other vocabularies too, which do no harm where they are only shown.
pub(crate) fn actions(value: &Value, any: bool, reading: Reading, at: &At) -> Result<Vec<Named>, PolicyError> {
    let mut found = named(value, &["Action"], reading.of(Part::Action), at)?;
    for given in &mut found {
        let Some(word) = &given.name else {
            return Err(PolicyError::new("not_a_name", at, "the action itself is missing"));
        };
        match action(word) {
            Some(known) => given.name = Some(known.to_owned()),
            None if any && is_foreign(word) => {}
            None => {
                let reason = refused_action(word).unwrap_or_else(|| format!("the action `{word}` is not known"));
                return Err(PolicyError::new("action_unknown", at, reason));
            }
        }
    }
    Ok(found)
}

/// Assets and collections of them.
pub(crate) fn assets(value: &Value, reading: Reading, at: &At) -> Result<Vec<Named>, PolicyError> {
    named(value, &["Asset", "AssetCollection"], reading.asset(), at)
}

/// Parties and collections of them.
pub(crate) fn parties(value: &Value, reading: Reading, at: &At) -> Result<Vec<Named>, PolicyError> {
    named(value, &["Party", "PartyCollection"], reading.of(Part::Party), at)
}

fn named(value: &Value, types: &[&str], reading: Reading, at: &At) -> Result<Vec<Named>, PolicyError> {
    items(value).into_iter().map(|value| one_named(value, types, reading, at)).collect()
}

fn one_named(value: &Value, types: &[&str], reading: Reading, at: &At) -> Result<Named, PolicyError> {
    let is_wrapper = |object: &serde_json::Map<String, Value>| {
        object.len() == 1 && !object.contains_key("refinement") && !object.contains_key("source")
    };
    if value.as_object().is_none_or(is_wrapper) {
        return Ok(Named::plain(name(value, at)?));
    }
    let (mut own, mut source, mut refinement, mut kinds) = (None, None, Vec::new(), Vec::new());
    for (member, value) in members(value, at)? {
        let here = at.member(member);
        match member {
            "@id" | "rdf:value" if own.is_none() => own = Some(name(value, &here)?),
            "source" => source = Some(name(value, &here)?),
            "@type" => {
                check_type(value, types, &here)?;
                kinds = items(value).into_iter().map(|kind| name(kind, &here)).collect::<Result<_, _>>()?;
            }
            "refinement" => refinement.extend(conditions(value, reading, &here)?),
            other => return Err(not_understood(other, at)),
        }
    }
    let is_action = types.contains(&"Action");
    let is_collection = !is_action
        && (source.is_some() || !refinement.is_empty() || kinds.iter().any(|kind| kind.ends_with("Collection")));
    // A blank node names nothing that a request could be compared with.
    let name = source.or_else(|| own.filter(|own| !own.starts_with("_:")));
    if name.is_none() && refinement.is_empty() {
        return Err(PolicyError::new("not_a_name", at, "this has neither a name nor a refinement"));
    }
    Ok(Named { name, is_collection, refinement })
}

fn duty_list(
    role: DutyRole,
    value: &Value,
    owner: &str,
    reading: Reading,
    at: &At,
    depth: usize,
) -> Result<Vec<Duty>, PolicyError> {
    let items = items(value);
    if items.len() > MAX_DUTIES || depth > MAX_CONSEQUENCES {
        let message = format!("at most {MAX_DUTIES} duties, with consequences at most {MAX_CONSEQUENCES} deep");
        return Err(PolicyError::new("too_large", at, message));
    }
    let listed = value.is_array();
    items
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            let here = if listed { at.item(index) } else { at.clone() };
            duty(role, value, format!("{owner}.{}{index}", role.letter()), reading, &here, depth)
        })
        .collect()
}

fn duty(
    role: DutyRole,
    value: &Value,
    label: String,
    reading: Reading,
    at: &At,
    depth: usize,
) -> Result<Duty, PolicyError> {
    let shown = shown(reading);
    let mut id = label;
    let (mut given, mut parts, mut consequences) = (None, Vec::new(), None);
    let mut whom = Vec::new();
    for (member, value) in members(value, at)? {
        let here = at.member(member);
        match member {
            "@id" => id = name(value, &here)?,
            "@type" => check_type(value, &["Duty", "Rule", "Obligation"], &here)?,
            "action" => given = Some(actions(value, true, shown, &here)?),
            "target" => whom.extend(tellings(member, &assets(value, shown, &here)?)),
            "constraint" => parts.extend(conditions(value, reading, &here)?),
            "consequence" if role != DutyRole::Remedy => consequences = Some((value, here)),
            function if matches!(function, "assigner" | "assignee") || FUNCTIONS.contains(&function) => {
                whom.extend(tellings(function, &parties(value, shown, &here)?));
            }
            other => return Err(not_understood(other, at)),
        }
    }
    let given = given
        .filter(|given| !given.is_empty())
        .ok_or_else(|| PolicyError::new("action", &at.member("action"), "a duty needs an action"))?;
    let consequences = match consequences {
        Some((value, here)) => duty_list(DutyRole::Consequence, value, &id, reading, &here, depth + 1)?,
        None => Vec::new(),
    };
    let condition = (!parts.is_empty()).then(|| Condition::all(parts));
    Ok(Duty {
        id,
        role,
        actions: given.iter().filter_map(|action| action.name.clone()).collect(),
        what: done(&given, &whom),
        refinement: given.into_iter().flat_map(|action| action.refinement).collect(),
        condition,
        consequences,
    })
}

/// Nobody evaluates how much has to be paid, or what has to be deleted; it is shown as it is written.
fn shown(reading: Reading) -> Reading {
    Reading { is_open: true, is_shown: true, ..reading }
}

fn tellings(member: &str, things: &[Named]) -> Vec<String> {
    things.iter().map(|thing| format!("{member} {}", thing.text())).collect()
}

/// What is to be done, in readable form.
fn done(actions: &[Named], whom: &[String]) -> String {
    let mut what = actions.iter().map(Named::text).collect::<Vec<_>>().join(" and ");
    if !whom.is_empty() {
        what.push_str(&format!(" [{}]", whom.join(", ")));
    }
    clipped(&what, MAX_RULE_TEXT)
}
