//! A JSON-LD document with short names and the place of each value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::context::{Coercion, Context};
use crate::error::{At, PolicyError, pointer_step};

/// The deepest nesting of a document.
const MAX_DEPTH: usize = 128;
/// The most values of a document, references written out.
pub(crate) const MAX_VALUES: usize = 50_000;
/// The most bytes of pointers to its values.
const MAX_PLACE_BYTES: usize = 8 * 1024 * 1024;
/// The most members of one object.
const MAX_MEMBERS: usize = 1024;
pub(crate) const POLICY_TYPES: [&str; 8] =
    ["Policy", "Set", "Offer", "Agreement", "Assertion", "Request", "Privacy", "Ticket"];
pub(crate) const RULE_LISTS: [&str; 3] = ["permission", "prohibition", "obligation"];
/// Members whose values are words of a vocabulary.
pub(crate) const WORDS: [&str; 8] =
    ["action", "leftOperand", "operator", "operand", "conflict", "dataType", "@type", "rdf:value"];
/// Members whose values are parts of the policy, which may stand elsewhere in the document.
pub(crate) const PARTS: [&str; 12] = [
    "permission",
    "prohibition",
    "obligation",
    "duty",
    "constraint",
    "refinement",
    "consequence",
    "remedy",
    "and",
    "or",
    "xone",
    "andSequence",
];
/// Members whose values are things that the document may tell more about.
pub(crate) const THINGS: [&str; 8] =
    ["action", "target", "assigner", "assignee", "inheritFrom", "source", "profile", "rightOperandReference"];

/// A value with its place in the document.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) from: String,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Object(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Leaf(Value),
}

impl Tree {
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match &self.what {
            What::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.what {
            What::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    pub(crate) fn into_items(self) -> Vec<Self> {
        match self.what {
            What::List(items) => items,
            _ => vec![self],
        }
    }

    /// The items, of which nothing is left here.
    pub(crate) fn take_items(&mut self) -> Vec<Self> {
        let what = std::mem::replace(&mut self.what, What::List(Vec::new()));
        Self { from: self.from.clone(), what }.into_items()
    }

    pub(crate) fn append(&mut self, more: Vec<Self>) {
        let mut items = self.take_items();
        items.extend(more);
        self.what = What::List(items);
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.what {
            What::Leaf(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The name of a thing, when it has one.
    pub(crate) fn id(&self) -> Option<&str> {
        match self.member("@id")?.items() {
            [only] => only.text(),
            _ => None,
        }
    }

    /// The name that stands for a thing which is told of elsewhere.
    pub(crate) fn reference(&self) -> Option<&str> {
        match &self.what {
            What::Object(members) if members.len() == 1 => self.id(),
            What::Leaf(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_policy(&self) -> bool {
        let types = self.member("@type").map(Self::items).unwrap_or_default();
        types.iter().filter_map(Self::reference).any(|name| POLICY_TYPES.contains(&name))
            || RULE_LISTS.iter().any(|list| self.member(list).is_some())
    }

    pub(crate) fn at(&self) -> At {
        At::pointer(&self.from)
    }

    pub(crate) fn into_value(self, here: String, places: &mut BTreeMap<String, String>) -> Value {
        places.insert(here.clone(), self.from);
        match self.what {
            What::Leaf(value) => value,
            What::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| item.into_value(format!("{here}/{index}"), places))
                .collect(),
            What::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| {
                        let step = pointer_step(&name);
                        (name, value.into_value(format!("{here}/{step}"), places))
                    })
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Where the reader of a document is.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The member whose value is read.
    member: &'a str,
    at: &'a At,
    depth: usize,
}

/// Reads a document: names written short, lists without their wrappers.
pub(crate) fn read(document: &Value, budget: &mut Budget) -> Result<Tree, PolicyError> {
    tree(document, &Context::default(), Place { member: "", at: &At::default(), depth: 0 }, budget)
}

fn tree(value: &Value, context: &Context, place: Place<'_>, budget: &mut Budget) -> Result<Tree, PolicyError> {
    let at = place.at;
    budget.spend(at)?;
    if place.depth > MAX_DEPTH {
        return Err(PolicyError::new("too_deep", at, format!("a document is nested at most {MAX_DEPTH} deep")));
    }
    let from = at.to_pointer();
    let what = match value {
        Value::Object(object) => return object_tree(object, context, place, budget),
        Value::Array(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let item_at = at.item(index);
                let item = tree(item, context, Place { at: &item_at, depth: place.depth + 1, ..place }, budget)?;
                match item.what {
                    What::List(inner) => list.extend(inner),
                    _ => list.push(item),
                }
            }
            What::List(list)
        }
        Value::String(text) if WORDS.contains(&place.member) => What::Leaf(context.word(text).into()),
        Value::String(text) if place.member == "@id" || THINGS.contains(&place.member) => {
            What::Leaf(context.thing(text).into())
        }
        other => What::Leaf(other.clone()),
    };
    Ok(Tree { from, what })
}

fn object_tree(
    object: &Map<String, Value>,
    outer: &Context,
    place: Place<'_>,
    budget: &mut Budget,
) -> Result<Tree, PolicyError> {
    let at = place.at;
    let own;
    let context = match object.get("@context") {
        Some(value) => {
            own = outer.with(value, &at.member("@context"))?;
            &own
        }
        None => outer,
    };
    if object.len() > MAX_MEMBERS {
        return Err(PolicyError::new("too_large", at, format!("an object has at most {MAX_MEMBERS} members")));
    }
    let is_value = object.contains_key("@value");
    let mut members: Vec<(String, Tree)> = Vec::with_capacity(object.len());
    for (name, value) in object {
        // JSON-LD 1.1, 5.1: a member without a value is none.
        if name == "@context" || value.is_null() {
            continue;
        }
        let here = at.member(name);
        let short = match context.word(name).as_str() {
            "uid" | "id" => "@id".to_owned(),
            "type" => "@type".to_owned(),
            other => other.to_owned(),
        };
        if members.iter().any(|(known, _)| *known == short) {
            return Err(PolicyError::new("member_twice", &here, "this member is given twice"));
        }
        let inner = if is_value && short == "@value" {
            budget.spend(&here)?;
            Tree { from: here.to_pointer(), what: What::Leaf(value.clone()) }
        } else {
            // A name inside a wrapper means what the wrapped member means.
            let wrapped = matches!(short.as_str(), "@id" | "rdf:value" | "@list" | "@set" | "@type")
                && WORDS.contains(&place.member)
                && place.member != "@type";
            let member = if wrapped { place.member } else { short.as_str() };
            let tree = tree(value, context, Place { member, at: &here, depth: place.depth + 1 }, budget)?;
            coerced(tree, &context.coercion(name), context, &short)
        };
        members.push((short, inner));
    }
    if let [(name, _)] = members.as_slice()
        && matches!(name.as_str(), "@list" | "@set")
        && let Some((_, inner)) = members.pop()
    {
        return Ok(Tree { from: inner.from.clone(), what: What::List(inner.into_items()) });
    }
    Ok(Tree { from: at.to_pointer(), what: What::Object(members) })
}

/// A value as its member's definition in the context reads it.
fn coerced(tree: Tree, coercion: &Coercion, context: &Context, member: &str) -> Tree {
    // Words and parts are read as names anyway.
    if *coercion == Coercion::None
        || member.starts_with('@')
        || [&WORDS[..], &PARTS, &THINGS].iter().any(|list| list.contains(&member))
    {
        return tree;
    }
    let Tree { from, what } = tree;
    let leaf = |text: String| Tree { from: from.clone(), what: What::Leaf(Value::String(text)) };
    let what = match (what, coercion) {
        (What::List(items), _) => {
            What::List(items.into_iter().map(|item| coerced(item, coercion, context, member)).collect())
        }
        (What::Leaf(Value::String(text)), Coercion::Iri) => {
            What::Object(vec![("@id".to_owned(), leaf(context.thing(&text)))])
        }
        (What::Leaf(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))), Coercion::Typed(name)) => {
            let value = Tree { from: from.clone(), what: What::Leaf(value) };
            What::Object(vec![("@value".to_owned(), value), ("@type".to_owned(), leaf(context.thing(name)))])
        }
        (other, _) => other,
    };
    Tree { from, what }
}

/// What a document may still cost.
pub(crate) struct Budget {
    values: usize,
    /// Bytes of places.
    bytes: usize,
    /// How deep references lead at this moment.
    depth: usize,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { values: MAX_VALUES, bytes: MAX_PLACE_BYTES, depth: 0 }
    }

    /// One more value at this place.
    pub(crate) fn spend(&mut self, at: &At) -> Result<(), PolicyError> {
        self.spend_many(1, at.as_pointer().len(), at)
    }

    fn spend_many(&mut self, values: usize, bytes: usize, at: &At) -> Result<(), PolicyError> {
        match (self.values.checked_sub(values), self.bytes.checked_sub(bytes)) {
            (Some(values), Some(bytes)) => {
                (self.values, self.bytes) = (values, bytes);
                Ok(())
            }
            _ => {
                let message = format!("a document has at most {MAX_VALUES} values, and their places are shorter");
                Err(PolicyError::new("too_large", at, message))
            }
        }
    }

    /// A copy of this value.
    pub(crate) fn spend_copy(&mut self, tree: &Tree) -> Result<(), PolicyError> {
        let at = tree.at();
        self.spend_many(1, tree.from.len(), &at)?;
        match &tree.what {
            What::Object(members) => members.iter().try_for_each(|(_, value)| self.spend_copy(value)),
            What::List(items) => items.iter().try_for_each(|item| self.spend_copy(item)),
            What::Leaf(_) => Ok(()),
        }
    }

    /// One step down; [`Budget::up`] takes it back.
    pub(crate) fn down(&mut self, at: &At) -> Result<(), PolicyError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PolicyError::new("too_deep", at, format!("a document is nested at most {MAX_DEPTH} deep")));
        }
        self.spend(at)
    }

    pub(crate) fn up(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
