//! What is told without asking the broker: which types and attributes there are (ETSI GS CIM 009, 6.25 to 6.28), from the
//! selection alone, and that nothing is there of other types.
//!
//! A broker would tell the names and numbers of everything that it holds. The selection says which names may be shown, not
//! whether there are entities with them, so numbers of entities and kinds of attributes are left out.

use policy_plan::Refusal;
use serde_json::{Map, Value, json};

use crate::head::accept;
use crate::names::Names;
use crate::request::{Asked, CORE, not_admitted, refusal};
use crate::rules::Filter;

/// An answer that needs no broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The content type.
    pub media: &'static str,
    /// The context for a `Link` header; `None` where the body has it.
    pub context: Option<String>,
    /// The number of results, where one was asked for.
    pub count: Option<u64>,
    /// The body.
    pub body: String,
}

impl Filter {
    /// Answers what the selection itself says; `None` for all that a broker has to be asked for.
    ///
    /// # Errors
    /// A [`Refusal`] with a code of [`Filter::request`], or `no_such_type`, `no_such_attribute`: the same for a name that is
    /// hidden and for one that is nowhere.
    pub fn told(&self, asked: &Asked<'_>) -> Result<Option<Told>, Refusal> {
        let described = asked.path.contains("/types") || asked.path.contains("/attributes");
        let counted = asked.query.is_some_and(|query| query.contains("limit=0"));
        if asked.method != "GET" || !(described || counted) {
            return Ok(None);
        }
        let segments = policy_plan::path_segments(asked.path)?;
        let mut place: Vec<&str> = segments.iter().map(String::as_str).collect();
        if place.starts_with(&["ngsi-ld", "v1"]) {
            place.drain(..2);
        }
        let told = match place.as_slice() {
            ["types"] => Described::new(self, asked)?.types(),
            ["types", name] => Described::new(self, asked)?.one_type(name)?,
            ["attributes"] => Described::new(self, asked)?.attributes(),
            ["attributes", name] => Described::new(self, asked)?.one_attribute(name)?,
            ["entities"] | ["temporal", "entities"] => return self.none_of(asked),
            _ => return Ok(None),
        };
        Ok(Some(told))
    }

    /// How many entities are shown of types that are not: none. Clients ask this to see whether a broker is there.
    fn none_of(&self, asked: &Asked<'_>) -> Result<Option<Told>, Refusal> {
        let query = policy_plan::query_pairs(asked.query.unwrap_or_default())?;
        let says = |name: &str, value: &str| query.iter().any(|(known, given)| known == name && given == value);
        let mut types = query.iter().filter(|(name, _)| name == "type").map(|(_, value)| value);
        let (Some(types), None) = (types.next(), types.next()) else { return Ok(None) };
        if !says("limit", "0") || !says("count", "true") {
            return Ok(None);
        }
        let names = self.asked_names(&self.asked_context(asked.link)?)?;
        let shown = |name: &str| names.number(name.as_bytes()).is_some_and(|number| self.is_type(number));
        let plain = |name: &str| !name.is_empty() && !name.contains([';', '(', ')', '*']);
        if types.split([',', '|']).any(|name| !plain(name) || shown(name)) {
            return Ok(None);
        }
        let media = accept(asked.accept, asked.path.contains("/temporal/"), false, false)?;
        let body = if media == "application/geo+json" { r#"{"type":"FeatureCollection","features":[]}"# } else { "[]" };
        Ok(Some(Told { media, context: None, count: Some(0), body: body.to_owned() }))
    }

    /// The attributes that entities of a type may show.
    fn shown_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let number = self.known.iter().position(|name| name == kind).and_then(|place| u32::try_from(place).ok());
        let hidden = match self.removes_personal() {
            true => self.personal(number.as_slice()),
            false => Vec::new(),
        };
        self.rules
            .iter()
            .filter(move |rule| !hidden.contains(&rule.name))
            .filter_map(|rule| self.known.get(usize::try_from(rule.name).ok()?).map(String::as_str))
    }

    fn shown_types(&self) -> impl Iterator<Item = &str> {
        self.selection.types.iter().map(String::as_str)
    }
}

/// A description of types or attributes that is being written.
struct Described<'f> {
    filter: &'f Filter,
    names: std::sync::Arc<Names>,
    context: String,
    details: bool,
    media: &'static str,
}

impl<'f> Described<'f> {
    fn new(filter: &'f Filter, asked: &Asked<'_>) -> Result<Self, Refusal> {
        let context = match asked.link {
            Some(_) => filter.asked_context(asked.link)?,
            // Without a context names are written out, but for those that the core context knows.
            None => CORE.to_owned(),
        };
        let mut details = None;
        for (name, value) in policy_plan::query_pairs(asked.query.unwrap_or_default())? {
            match (name.as_str(), value.as_str(), details) {
                ("details", "true" | "false", None) => details = Some(value == "true"),
                ("local", "true" | "false", _) => {}
                _ => return Err(not_admitted(&name)),
            }
        }
        let media = match accept(asked.accept, true, true, false)? {
            "application/ld+json" => "application/ld+json",
            _ => "application/json",
        };
        let names = filter.asked_names(&context)?;
        Ok(Self { filter, names, context, details: details.unwrap_or_default(), media })
    }

    fn types(self) -> Told {
        let types = self.filter.shown_types();
        let value = if self.details {
            types
                .map(|kind| {
                    let attributes = self.filter.shown_of(kind).map(|name| self.spelled(name));
                    json!({"id": kind, "type": "EntityType", "typeName": self.spelled(kind),
                        "attributeNames": attributes.collect::<Vec<String>>()})
                })
                .collect()
        } else {
            let types: Vec<String> = types.map(|kind| self.spelled(kind)).collect();
            json!({"id": "urn:ngsi-ld:EntityTypeList:agreement", "type": "EntityTypeList", "typeList": types})
        };
        self.told(value)
    }

    fn one_type(self, name: &str) -> Result<Told, Refusal> {
        let wanted = self.names.expand(name);
        let Some(kind) = self.filter.shown_types().find(|kind| *kind == wanted) else {
            return Err(refusal("no_such_type", "there is no such type"));
        };
        let details: Vec<Value> = self.filter.shown_of(kind).map(|attribute| self.attribute(attribute)).collect();
        let value = json!({"id": kind, "type": "EntityTypeInfo", "typeName": self.spelled(kind),
            "attributeDetails": details});
        Ok(self.told(value))
    }

    fn attributes(self) -> Told {
        let shown = self.shown_attributes();
        let value = if self.details {
            shown.iter().map(|name| self.attribute(name)).collect()
        } else {
            let names: Vec<String> = shown.iter().map(|name| self.spelled(name)).collect();
            json!({"id": "urn:ngsi-ld:AttributeList:agreement", "type": "AttributeList", "attributeList": names})
        };
        self.told(value)
    }

    fn one_attribute(self, name: &str) -> Result<Told, Refusal> {
        let wanted = self.names.expand(name);
        let Some(found) = self.shown_attributes().into_iter().find(|known| *known == wanted) else {
            return Err(refusal("no_such_attribute", "there is no such attribute"));
        };
        let value = self.attribute(found);
        Ok(self.told(value))
    }

    fn shown_attributes(&self) -> Vec<&'f str> {
        let mut shown: Vec<&str> = self.filter.shown_types().flat_map(|kind| self.filter.shown_of(kind)).collect();
        shown.sort_unstable();
        shown.dedup();
        shown
    }

    fn attribute(&self, name: &str) -> Value {
        let of = self.filter.shown_types().filter(|kind| self.filter.shown_of(kind).any(|known| known == name));
        let types: Vec<String> = of.map(|kind| self.spelled(kind)).collect();
        json!({"id": name, "type": "Attribute", "attributeName": self.spelled(name), "typeNames": types})
    }

    fn spelled(&self, iri: &str) -> String {
        self.names.short(iri).unwrap_or_else(|| iri.to_owned())
    }

    fn told(self, mut value: Value) -> Told {
        let in_body = self.media == "application/ld+json";
        if in_body {
            let mut put = |object: &mut Map<String, Value>| {
                object.insert("@context".to_owned(), self.context.clone().into());
            };
            match &mut value {
                Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(put),
                other => other.as_object_mut().map_or((), &mut put),
            }
        }
        let context = (!in_body).then_some(self.context);
        Told { media: self.media, context, count: None, body: value.to_string() }
    }
}
