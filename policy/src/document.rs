//! From any JSON-LD document to one policy with short names: contexts, `@graph`, references and inheritance are resolved
//! here, so that the parser sees one shape only (ODRL 2.2 Information Model, Policy Rule Inheritance; JSON-LD 1.1).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{At, PolicyError};
use crate::tree::{self, Budget, PARTS, RULE_LISTS, THINGS, Tree, What};

/// The longest line of policies that inherit from each other.
const MAX_ANCESTORS: usize = 16;

/// Members that a policy gives to those of its rules that lack them (ODRL 2.2, Compact Policy).
const COMPACT: [&str; 4] = ["action", "target", "assigner", "assignee"];

/// A policy with short names, and where each of its values stands in the document.
pub(crate) struct Document {
    pub(crate) policy: Value,
    /// By the pointer into `policy`, the pointer into the document as it was given.
    places: BTreeMap<String, String>,
}

impl Document {
    /// An error of the policy with its place in the document as it was given.
    pub(crate) fn place(&self, error: PolicyError) -> PolicyError {
        PolicyError { pointer: self.pointer(&error.pointer), ..error }
    }

    /// The pointer into the document as it was given, for a pointer into the policy.
    pub(crate) fn pointer(&self, pointer: &str) -> String {
        let mut known = pointer;
        loop {
            if let Some(place) = self.places.get(known) {
                return format!("{place}{}", pointer.get(known.len()..).unwrap_or_default());
            }
            match known.rfind('/') {
                Some(end) => known = known.get(..end).unwrap_or_default(),
                None => return pointer.to_owned(),
            }
        }
    }
}

/// Reads a document.
///
/// # Errors
/// When it is not JSON-LD that can be understood here, or does not hold exactly one policy.
pub(crate) fn read(document: &Value) -> Result<Document, PolicyError> {
    let mut budget = Budget::new();
    let tree = tree::read(document, &mut budget)?;
    let policy = Graph::of(&tree).policy(&tree, &mut budget)?;
    let mut places = BTreeMap::new();
    let policy = policy.into_value(String::new(), &mut places);
    Ok(Document { policy, places })
}

/// The things of a document by name; `None` for a name that stands for two different things.
struct Graph<'a> {
    things: BTreeMap<&'a str, Option<&'a Tree>>,
}

impl<'a> Graph<'a> {
    fn of(tree: &'a Tree) -> Self {
        let mut graph = Self { things: BTreeMap::new() };
        graph.collect(tree);
        graph
    }

    fn collect(&mut self, tree: &'a Tree) {
        match &tree.what {
            What::Object(members) => {
                if let Some(id) = tree.id().filter(|_| members.len() > 1) {
                    self.things.entry(id).and_modify(|known| *known = None).or_insert(Some(tree));
                }
                members.iter().for_each(|(_, value)| self.collect(value));
            }
            What::List(items) => items.iter().for_each(|item| self.collect(item)),
            What::Leaf(_) => {}
        }
    }

    /// The one policy that nothing else in the document inherits from.
    fn policy(&self, tree: &Tree, budget: &mut Budget) -> Result<Tree, PolicyError> {
        let graph = tree.member("@graph");
        if let (Some(_), What::Object(members)) = (graph, &tree.what)
            && let Some((name, value)) = members.iter().find(|(name, _)| !matches!(name.as_str(), "@graph" | "@id"))
        {
            let at = value.at().named(name);
            return Err(PolicyError::new(
                "member_not_understood",
                &at,
                "this member is not understood beside `@graph`",
            ));
        }
        let roots = match (graph, &tree.what) {
            (Some(graph), _) => graph.items(),
            (None, What::List(items)) => items,
            (None, _) => return self.inherited(tree, &mut Vec::new(), budget),
        };
        let policies: Vec<&Tree> = roots.iter().filter(|root| root.is_policy()).collect();
        let parents: BTreeSet<&str> = policies
            .iter()
            .filter_map(|policy| policy.member("inheritFrom"))
            .flat_map(Tree::items)
            .filter_map(Tree::reference)
            .collect();
        let own: Vec<&&Tree> =
            policies.iter().filter(|policy| policy.id().is_none_or(|id| !parents.contains(id))).collect();
        match own.as_slice() {
            [policy] => self.inherited(policy, &mut Vec::new(), budget),
            [] => Err(PolicyError::new("policy_missing", &tree.at(), "there is no policy in the document")),
            [_, second, ..] => {
                let message = "there is more than one policy in the document, and neither inherits from the other";
                Err(PolicyError::new("policy_ambiguous", &second.at(), message))
            }
        }
    }

    /// A policy with the rules of those that it inherits from.
    fn inherited(&self, policy: &Tree, heirs: &mut Vec<String>, budget: &mut Budget) -> Result<Tree, PolicyError> {
        budget.spend(&policy.at())?;
        let What::Object(members) = &policy.what else { return Ok(policy.clone()) };
        let mut merged: Vec<(String, Tree)> = Vec::with_capacity(members.len());
        for (name, value) in members.iter().filter(|(name, _)| name != "inheritFrom") {
            merged.push((name.clone(), self.written_out(value, name, &mut Vec::new(), budget)?));
        }
        let Some(parents) = policy.member("inheritFrom") else {
            return Ok(Tree { from: policy.from.clone(), what: What::Object(merged) });
        };
        let at = parents.at().named("inheritFrom");
        if heirs.len() >= MAX_ANCESTORS {
            return Err(PolicyError::new("inherit", &at, format!("policies inherit at most {MAX_ANCESTORS} times")));
        }
        heirs.push(policy.id().unwrap_or_default().to_owned());
        for parent in parents.items() {
            let here = parent.at().named("inheritFrom");
            let id = parent.reference().or_else(|| parent.id());
            let id =
                id.ok_or_else(|| PolicyError::new("not_a_name", &here, "the name of a policy is expected here"))?;
            if heirs.iter().any(|heir| heir == id) {
                return Err(PolicyError::new("inherit", &here, format!("the policy `{id}` inherits from itself")));
            }
            let found = self.things.get(id).copied().flatten().filter(|found| found.is_policy()).ok_or_else(|| {
                let message = format!("the policy `{id}`, which this one inherits from, is not in the document");
                PolicyError::new("inherit_unknown", &here, message)
            })?;
            let found = self.inherited(found, heirs, budget)?;
            merge(&mut merged, found, budget)?;
        }
        heirs.pop();
        Ok(Tree { from: policy.from.clone(), what: What::Object(merged) })
    }

    /// The value with the things that it names in full.
    fn written_out(
        &self,
        value: &Tree,
        member: &str,
        path: &mut Vec<String>,
        budget: &mut Budget,
    ) -> Result<Tree, PolicyError> {
        let at = value.at().named(member);
        budget.down(&at)?;
        let found = self.thing(value, member, path, budget, &at)?;
        let written = match found {
            Some(found) => found,
            None => self.parts(value, member, path, budget)?,
        };
        budget.up();
        Ok(written)
    }

    /// The thing that the value names, in full.
    fn thing(
        &self,
        value: &Tree,
        member: &str,
        path: &mut Vec<String>,
        budget: &mut Budget,
        at: &At,
    ) -> Result<Option<Tree>, PolicyError> {
        let is_part = PARTS.contains(&member);
        if (is_part || (THINGS.contains(&member) && member != "inheritFrom"))
            && let Some(id) = value.reference()
        {
            match self.things.get(id) {
                Some(Some(found)) if path.iter().all(|outer| outer != id) => {
                    path.push(id.to_owned());
                    let found = self.written_out(found, "", path, budget)?;
                    path.pop();
                    return Ok(Some(found));
                }
                Some(Some(_)) if is_part => {
                    return Err(PolicyError::new("reference", at, format!("`{id}` is a part of itself")));
                }
                Some(None) => {
                    let message = format!("`{id}` is described at more than one place of the document");
                    return Err(PolicyError::new("reference", at, message));
                }
                None if is_part => {
                    let message = format!("`{id}` is named here but not described in the document");
                    return Err(PolicyError::new("reference_unknown", at, message));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn parts(
        &self,
        value: &Tree,
        member: &str,
        path: &mut Vec<String>,
        budget: &mut Budget,
    ) -> Result<Tree, PolicyError> {
        let what = match &value.what {
            What::Object(members) => What::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.written_out(value, name, path, budget)?)))
                    .collect::<Result<_, PolicyError>>()?,
            ),
            What::List(items) => What::List(
                items.iter().map(|item| self.written_out(item, member, path, budget)).collect::<Result<_, _>>()?,
            ),
            What::Leaf(value) => What::Leaf(value.clone()),
        };
        Ok(Tree { from: value.from.clone(), what })
    }
}

/// Adds what a parent gives to its heirs: its rules with what the parent's policy level says about them, its profiles and
/// its conflict strategy.
fn merge(heir: &mut Vec<(String, Tree)>, parent: Tree, budget: &mut Budget) -> Result<(), PolicyError> {
    let What::Object(members) = parent.what else { return Ok(()) };
    let (compact, rest): (Vec<_>, Vec<_>) = members.into_iter().partition(|(name, _)| COMPACT.contains(&name.as_str()));
    // The heir's own rules must not take what only its parent's rules were given, nor the other way round.
    push_down(heir, budget)?;
    for (name, value) in rest {
        let known = heir.iter_mut().find(|(known, _)| *known == name).map(|(_, value)| value);
        match (name.as_str(), known) {
            (list, known) if RULE_LISTS.contains(&list) => {
                let rules = with_defaults(value.into_items(), &compact, budget)?;
                match known {
                    Some(known) => known.append(rules),
                    None => heir.push((name, Tree { from: value_place(&rules), what: What::List(rules) })),
                }
            }
            ("profile", Some(known)) => known.append(value.into_items()),
            // Different strategies: any conflict voids the policy (ODRL 2.2, Policy Conflict Strategy).
            ("conflict", Some(known)) => {
                let strategy = |tree: &Tree| tree.items().first().and_then(Tree::reference).map(str::to_owned);
                if strategy(known) != strategy(&value) {
                    known.what = What::Leaf("invalid".into());
                }
            }
            ("profile" | "conflict", None) => heir.push((name, value)),
            _ => {}
        }
    }
    Ok(())
}

fn value_place(items: &[Tree]) -> String {
    items.first().map(|item| item.from.clone()).unwrap_or_default()
}

/// ODRL 2.2, Compact Policy: what the policy level says goes to the rules that lack it.
fn push_down(policy: &mut Vec<(String, Tree)>, budget: &mut Budget) -> Result<(), PolicyError> {
    let (compact, mut rest): (Vec<_>, Vec<_>) =
        std::mem::take(policy).into_iter().partition(|(name, _)| COMPACT.contains(&name.as_str()));
    for (_, value) in rest.iter_mut().filter(|(name, _)| RULE_LISTS.contains(&name.as_str())) {
        value.what = What::List(with_defaults(value.take_items(), &compact, budget)?);
    }
    *policy = rest;
    Ok(())
}

fn with_defaults(
    mut rules: Vec<Tree>,
    defaults: &[(String, Tree)],
    budget: &mut Budget,
) -> Result<Vec<Tree>, PolicyError> {
    for rule in &mut rules {
        let What::Object(members) = &mut rule.what else { continue };
        for (name, value) in defaults {
            if members.iter().all(|(known, _)| known != name) {
                budget.spend_copy(value)?;
                members.push((name.clone(), value.clone()));
            }
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    /// A policy that has been read and is read again stays what it is.
    #[test]
    fn reading_twice_is_reading_once() {
        let mut count = 0;
        for case in table::all() {
            let Ok(once) = read(&case.source().rules) else { continue };
            let twice = read(&once.policy).map_err(|error| format!("{}: {error}", case.name));
            assert_eq!(twice.map(|twice| twice.policy), Ok(once.policy), "{}", case.name);
            count += 1;
        }
        assert!(count > 800, "only {count} documents were read");
    }
}
