//! Whether an entity certainly meets the conditions of a selection (`rows`).
//!
//! Every instance of an attribute must meet them, in temporal answers each one that came. What cannot be read, stands
//! twice or compares with nothing does not meet them.

use policy_plan::{Comparison, Literal, Part, Query, Selection, Term, Test, Wanted, instant_ms};
use serde_json::{Map, Value};

use crate::area::Area;
use crate::attribute::{KINDS, Kept, VALUES, kind_fits};
use crate::moment::Moments;
use crate::names::Names;
use crate::stream::Representation;

/// What stands for a value that was deleted (ETSI GS CIM 009, 4.5.0).
const DELETED: &str = "urn:ngsi-ld:null";

/// Conditions made ready.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    query: Option<Node>,
    place: Option<(u32, Area)>,
    /// The attribute that tells the moment of an entity.
    moment: Option<u32>,
    /// The query as it was read.
    pub(crate) asked: Option<Query>,
    /// Numbers of the attributes that are asked about.
    pub(crate) watched: Vec<u32>,
}

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    /// The number of the attribute, that of its attribute where one is looked at, and the condition.
    Term(u32, Option<u32>, Box<Term>),
}

/// What is known of the watched attributes of an entity.
#[derive(Debug)]
pub(crate) struct Watched<'n> {
    pub(crate) attributes: Vec<(u32, Value)>,
    /// What was not found is not there.
    pub(crate) complete: bool,
    pub(crate) names: &'n Names,
    pub(crate) representation: Representation,
}

/// What a path leads to in one instance: values, none, or nothing that could be known (`Err`).
type Reading = Result<Vec<Value>, Unknown>;

#[derive(Debug)]
struct Unknown;

impl Conditions {
    /// Makes the conditions of a selection ready; `None` when it has none. `number` gives the number of an expanded name.
    ///
    /// # Errors
    /// What cannot be read; the check of a selection refuses it.
    pub(crate) fn new(selection: &Selection, number: impl Fn(&str) -> Option<u32>) -> Result<Option<Self>, String> {
        let unknown = || "a name is not known".to_owned();
        let mut watched = Vec::new();
        let mut conditions = Self::default();
        if let Some(rows) = &selection.rows {
            conditions.asked = rows.query()?;
            let query = conditions.asked.clone();
            conditions.query = query.map(|query| node(query, &number, &mut watched)).transpose()?;
            if let Some(area) = &rows.geo {
                let property = number(area.property()).ok_or_else(unknown)?;
                conditions.place = Some((property, Area::new(area).ok_or("the geometry cannot be read")?));
                watched.push(property);
            }
        }
        if let Some(name) = selection.time.as_ref().and_then(|time| time.attribute.as_deref()) {
            let moment = number(name).ok_or_else(unknown)?;
            conditions.moment = Some(moment);
            watched.push(moment);
        }
        watched.sort_unstable();
        watched.dedup();
        conditions.watched = watched;
        Ok((!conditions.watched.is_empty()).then_some(conditions))
    }

    /// Whether an attribute that does not come is taken for one that is not there.
    pub(crate) fn trusts_absence(&self) -> bool {
        self.asked.iter().flat_map(Query::terms).any(|term| matches!(term.test, Test::Absent))
    }

    /// Whether the entity certainly meets the conditions.
    pub(crate) fn met(&self, entity: &Watched<'_>, moments: Option<&Moments<'_>>) -> bool {
        let moment = self.moment.is_none_or(|number| moments.is_some_and(|moments| entity.is_of(number, moments)));
        let place = self.place.as_ref().is_none_or(|(number, area)| entity.lies(*number, area));
        moment && place && self.query.as_ref().is_none_or(|node| node.holds(entity))
    }
}

fn node(query: Query, number: &impl Fn(&str) -> Option<u32>, watched: &mut Vec<u32>) -> Result<Node, String> {
    let mut nodes = |parts: Vec<Query>| -> Result<Vec<Node>, String> {
        parts.into_iter().map(|part| node(part, number, watched)).collect()
    };
    Ok(match query {
        Query::All(parts) => Node::All(nodes(parts)?),
        Query::Any(parts) => Node::Any(nodes(parts)?),
        Query::Term(term) => {
            let unknown = || "a name is not known".to_owned();
            let attribute = number(&term.attribute).ok_or_else(unknown)?;
            let part = match &term.part {
                Some(Part::Attribute(name)) => Some(number(name).ok_or_else(unknown)?),
                _ => None,
            };
            watched.push(attribute);
            Node::Term(attribute, part, Box::new(term))
        }
    })
}

impl Node {
    fn holds(&self, entity: &Watched<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(entity)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(entity)),
            Self::Term(attribute, part, term) => {
                let mut found = entity.attributes.iter().filter(|(number, _)| number == attribute);
                match (found.next(), found.next()) {
                    (None, _) => entity.complete && matches!(term.test, Test::Absent),
                    (Some((_, value)), None) => {
                        let Ok(instances) = instances(value, entity.representation) else { return false };
                        !instances.is_empty()
                            && instances.iter().all(|instance| {
                                let reading = entity.read(instance, term, *part);
                                reading.is_ok_and(|values| passes(&term.test, &values))
                            })
                    }
                    // Written twice: whoever reads the rest may take the other one.
                    (Some(_), Some(_)) => false,
                }
            }
        }
    }
}

impl Watched<'_> {
    /// Whether all values of the attribute are moments that are shown.
    fn is_of(&self, attribute: u32, moments: &Moments<'_>) -> bool {
        let mut found = self.attributes.iter().filter(|(number, _)| *number == attribute);
        let (Some((_, value)), None) = (found.next(), found.next()) else { return false };
        let Ok(instances) = instances(value, self.representation) else { return false };
        let shown = |value: &Value| plain(value).as_str().is_some_and(|text| moments.holds(text));
        !instances.is_empty()
            && instances.iter().all(|instance| {
                self.value(instance, &[]).is_ok_and(|values| !values.is_empty() && values.iter().all(shown))
            })
    }

    /// Whether all places of the attribute lie so.
    fn lies(&self, attribute: u32, area: &Area) -> bool {
        let mut found = self.attributes.iter().filter(|(number, _)| *number == attribute);
        let (Some((_, value)), None) = (found.next(), found.next()) else { return false };
        let Ok(instances) = instances(value, self.representation) else { return false };
        !instances.is_empty()
            && instances.iter().all(|instance| match instance {
                Instance::Bare(place) => area.holds(place),
                Instance::Members(members) => match held(members) {
                    Ok((Kept::Plain, _, places)) => !places.is_empty() && places.iter().all(|place| area.holds(place)),
                    _ => false,
                },
            })
    }

    /// What a term looks at in an instance.
    fn read(&self, instance: &Instance<'_>, term: &Term, part: Option<u32>) -> Reading {
        match (&term.part, instance) {
            (None, _) => self.value(instance, &term.inside),
            (Some(_), Instance::Bare(_)) => Err(Unknown),
            (Some(Part::Member(member)), Instance::Members(members)) => {
                let named =
                    members.iter().filter(|(name, _)| policy_plan::Member::named(name.as_bytes()) == Some(*member));
                Ok(named.map(|(_, value)| value.clone()).collect())
            }
            (Some(Part::Attribute(_)), Instance::Members(members)) => {
                let mut found = members.iter().filter(|(name, _)| self.names.number(name.as_bytes()) == part);
                let Some((_, value)) = found.next() else { return Ok(Vec::new()) };
                if found.next().is_some() {
                    return Err(Unknown);
                }
                let mut all = Vec::new();
                for instance in instances(value, self.representation)? {
                    let values = self.value(&instance, &term.inside)?;
                    if values.is_empty() {
                        return Err(Unknown);
                    }
                    all.extend(values);
                }
                Ok(all)
            }
        }
    }

    /// The values of an instance, or what is inside of them.
    fn value(&self, instance: &Instance<'_>, inside: &[String]) -> Reading {
        let (kept, raw, values) = match instance {
            Instance::Bare(value) => (Kept::Plain, false, vec![*value]),
            Instance::Members(members) => {
                let (kept, name, values) = held(members)?;
                (kept, matches!(name, "vocab" | "vocabs"), values)
            }
        };
        let mut found = Vec::new();
        for value in values {
            match (kept, inside) {
                (Kept::Languages, [tag]) => {
                    let map = value.get("languageMap").unwrap_or(value).as_object().ok_or(Unknown)?;
                    let wanted = map.iter().filter(|(known, _)| tag == "*" || *known == tag);
                    found.extend(wanted.map(|(_, text)| text.clone()));
                }
                (Kept::Languages, _) => return Err(Unknown),
                (Kept::Target, []) => found.push(targets(value)),
                (Kept::Target, _) => return Err(Unknown),
                (Kept::Plain, keys) => {
                    let mut at = value;
                    let mut there = true;
                    for key in keys {
                        match at {
                            Value::Object(map) => match map.get(key) {
                                Some(inner) => at = inner,
                                None => there = false,
                            },
                            _ => return Err(Unknown),
                        }
                    }
                    if there {
                        found.push(if raw { self.both(at) } else { at.clone() });
                    }
                }
            }
        }
        Ok(found)
    }

    /// The texts of a vocabulary property as they are written and as they expand: either may be meant.
    fn both(&self, value: &Value) -> Value {
        let texts = match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            Value::String(text) => vec![text.as_str()],
            _ => Vec::new(),
        };
        texts.into_iter().flat_map(|text| [text.to_owned(), self.names.expand(text)]).collect()
    }
}

/// The ids in the value of a relationship, as a list of texts where there are several.
fn targets(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(targets).collect(),
        Value::Object(map) => map.get("object").cloned().unwrap_or(Value::Null),
        other => other.clone(),
    }
}

/// One instance of an attribute.
#[derive(Debug)]
enum Instance<'v> {
    Members(&'v Map<String, Value>),
    Bare(&'v Value),
}

/// The instances of an attribute in any representation.
fn instances(value: &Value, representation: Representation) -> Result<Vec<Instance<'_>>, Unknown> {
    let normalized = representation == Representation::Normalized;
    match value {
        Value::Array(items) => {
            let wrapped = items.iter().filter(|item| item.as_object().is_some_and(is_instance)).count();
            if wrapped == items.len() && wrapped > 0 {
                return Ok(items.iter().filter_map(Value::as_object).map(Instance::Members).collect());
            }
            match representation {
                Representation::Normalized => Err(Unknown),
                Representation::Simplified if wrapped == 0 => Ok(vec![Instance::Bare(value)]),
                Representation::Simplified => Err(Unknown),
                // Several instances or one value that is a list: both must fit.
                Representation::Concise => Ok(items
                    .iter()
                    .map(|item| match item.as_object() {
                        Some(members) if is_instance(members) => Instance::Members(members),
                        _ => Instance::Bare(item),
                    })
                    .collect()),
            }
        }
        Value::Object(members) => {
            let only = members.len() == 1;
            let datasets = members.get("dataset").and_then(Value::as_object).filter(|_| only);
            match (representation, datasets) {
                (Representation::Simplified, Some(datasets)) => Ok(datasets.values().map(Instance::Bare).collect()),
                (Representation::Simplified, None) if kind(members).is_none() => {
                    let named = only && ["languageMap", "vocab", "json"].iter().any(|name| members.contains_key(*name));
                    Ok(vec![if named { Instance::Members(members) } else { Instance::Bare(value) }])
                }
                _ if is_instance(members) => Ok(vec![Instance::Members(members)]),
                _ if normalized => Err(Unknown),
                _ => Ok(vec![Instance::Bare(value)]),
            }
        }
        _ if normalized => Err(Unknown),
        _ => Ok(vec![Instance::Bare(value)]),
    }
}

fn kind(members: &Map<String, Value>) -> Option<&'static [u8]> {
    let kind = members.get("type")?.as_str()?;
    KINDS.into_iter().find(|known| *known == kind.as_bytes())
}

/// Whether an object is an attribute with members rather than a value.
pub(crate) fn is_instance(members: &Map<String, Value>) -> bool {
    kind(members).is_some() || VALUES.iter().any(|(name, ..)| members.keys().any(|key| key.as_bytes() == *name))
}

/// The one member that holds the value: its treatment, its name and its values.
fn held(members: &Map<String, Value>) -> Result<(Kept, &str, Vec<&Value>), Unknown> {
    let kind = kind(members);
    let mut found = members.iter().filter_map(|(name, value)| {
        let (_, fits, kept, list) = VALUES.iter().find(|(known, ..)| *known == name.as_bytes())?;
        kind_fits(kind, fits).then_some((*kept, name.as_str(), *list, value))
    });
    let (Some((kept, name, list, value)), None) = (found.next(), found.next()) else { return Err(Unknown) };
    if !list {
        return Ok((kept, name, vec![value]));
    }
    // Pairs of a value and its time.
    let pairs = value.as_array().ok_or(Unknown)?;
    let values: Option<Vec<&Value>> = pairs.iter().map(|pair| pair.as_array().and_then(|pair| pair.first())).collect();
    Ok((kept, name, values.ok_or(Unknown)?))
}

/// Whether the condition holds for what one instance says; of a list one item must fit, or, for inequality, all.
fn passes(test: &Test, values: &[Value]) -> bool {
    let unclear = |value: &Value| value.is_null() || value.as_str() == Some(DELETED);
    if values.iter().any(|value| elements(value).any(unclear)) {
        return false;
    }
    let each = |fits: &dyn Fn(&Value) -> bool, all: bool| {
        !values.is_empty()
            && values.iter().all(|value| {
                let mut items = elements(value).peekable();
                items.peek().is_some() && if all { items.all(fits) } else { items.any(fits) }
            })
    };
    match test {
        Test::Present => !values.is_empty(),
        Test::Absent => values.is_empty(),
        Test::Compare(Comparison::Unequal, wanted) => {
            each(&|value| wanted.iter().all(|wanted| certainly_differs(value, wanted)), true)
        }
        Test::Compare(comparison, wanted) => {
            each(&|value| wanted.iter().any(|wanted| compares(value, *comparison, wanted)), false)
        }
        Test::Matches(pattern, true) => each(&|value| value.as_str().is_some_and(|text| pattern.is_match(text)), false),
        Test::Matches(pattern, false) => {
            each(&|value| value.as_str().is_some_and(|text| !pattern.is_match(text)), true)
        }
    }
}

/// The items of a list, or the value itself; a typed value of JSON-LD counts as what it holds.
fn elements(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter().map(plain)),
        other => Box::new(std::iter::once(plain(other))),
    }
}

fn plain(value: &Value) -> &Value {
    value.get("@value").unwrap_or(value)
}

fn compares(value: &Value, comparison: Comparison, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::One(literal) => compare(value, comparison, literal),
        Wanted::Range(least, most) => {
            compare(value, Comparison::AtLeast, least) && compare(value, Comparison::AtMost, most)
        }
    }
}

fn compare(value: &Value, comparison: Comparison, literal: &Literal) -> bool {
    use std::cmp::Ordering;
    let order = match (value, literal) {
        (Value::Number(number), Literal::Number(wanted, text)) => match (number.as_i64(), text.parse::<i64>()) {
            (Some(left), Ok(right)) => Some(left.cmp(&right)),
            _ => number.as_f64().and_then(|number| number.partial_cmp(wanted)),
        },
        (Value::String(text), Literal::Text(wanted)) => Some(text.as_str().cmp(wanted)),
        (Value::String(text), Literal::Instant(wanted, _)) => instant_ms(text).map(|ms| ms.cmp(wanted)),
        // A date or a time of day compares with texts of the same form.
        (Value::String(text), Literal::Bare(wanted)) if text.len() == wanted.len() => Some(text.as_str().cmp(wanted)),
        (Value::Bool(truth), Literal::Truth(wanted)) => (truth == wanted).then_some(Ordering::Equal),
        _ => None,
    };
    let Some(order) = order else { return false };
    match comparison {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::Unequal => order != Ordering::Equal,
        Comparison::AtLeast => order != Ordering::Less,
        Comparison::AtMost => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::Less => order == Ordering::Less,
    }
}

/// Whether the value differs from what is named, in its meaning and in its spelling.
fn certainly_differs(value: &Value, wanted: &Wanted) -> bool {
    let Wanted::One(literal) = wanted else {
        let Wanted::Range(least, most) = wanted else { return false };
        return compare(value, Comparison::Less, least) || compare(value, Comparison::Greater, most);
    };
    let spelling = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        // Nothing that could be compared: an object is no text and no number.
        _ => return !value.is_null(),
    };
    match literal {
        Literal::Number(wanted, text) => {
            let number = spelling.trim().parse::<f64>();
            spelling.trim() != text && number.ok().is_none_or(|number| number != *wanted)
        }
        Literal::Text(text) | Literal::Bare(text) => spelling != *text,
        Literal::Truth(truth) => spelling.trim() != truth.to_string(),
        // A text that is no moment may be the same one in another form.
        Literal::Instant(wanted, _) => instant_ms(&spelling).is_some_and(|ms| ms != *wanted),
    }
}
