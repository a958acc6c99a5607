//! Entities and attributes of a request: each name expanded and looked for in the list, each member known, all of it written
//! anew.

use std::collections::{BTreeSet, HashMap};

use policy_plan::{Member, Operation, Refusal, WritableAttribute, Writing};
use serde_json::{Map, Value, json};

use super::refuse;
use crate::names::Names;

/// Stands for the removal of what it is the value of (ETSI GS CIM 009, 4.5.0).
const NULL: &str = "urn:ngsi-ld:null";
/// Kinds of attributes and the members that hold their values.
const KINDS: [(&str, &str); 9] = [
    ("Property", "value"),
    ("GeoProperty", "value"),
    ("Relationship", "object"),
    ("LanguageProperty", "languageMap"),
    ("VocabProperty", "vocab"),
    ("VocabularyProperty", "vocab"),
    ("JsonProperty", "json"),
    ("ListProperty", "valueList"),
    ("ListRelationship", "objectList"),
];
const GEOMETRIES: [&str; 7] =
    ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"];
/// Most instances of one attribute.
const MAX_INSTANCES: usize = 100;

/// How attributes must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Whole, and with nothing to be removed: of an entity that is new.
    New,
    /// Whole.
    Whole,
    /// In parts.
    Parts,
}

/// What entities are checked and written by.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) writing: &'a Writing,
    pub(super) attributes: &'a HashMap<String, WritableAttribute>,
    /// The names under the request's context.
    pub(super) names: &'a Names,
    /// The names under the core context alone.
    pub(super) core: &'a Names,
    /// Whether the request is read under the core context alone.
    pub(super) plain: bool,
    pub(super) form: Form,
}

/// An entity or a part of one, written anew.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Checked {
    pub(super) id: Option<String>,
    /// What is sent to the broker, without a context.
    pub(super) members: Map<String, Value>,
    /// Expanded names of the attributes in it, and members such as `scope`.
    pub(super) written: BTreeSet<String>,
}

impl Check<'_> {
    /// Checks an entity, or the part of one that a request names by its path.
    ///
    /// # Errors
    /// A [`Refusal`] with `body_not_readable`, `name_not_admitted` or `operation_not_admitted`.
    pub(super) fn entity(&self, given: Value) -> Result<Checked, Refusal> {
        let Value::Object(given) = given else { return Err(unreadable("an entity is a JSON object")) };
        let mut checked = Checked::default();
        for (name, value) in given {
            match name.as_str() {
                "id" | "@id" => {
                    let Value::String(id) = value else { return Err(unreadable("`id` is no text")) };
                    put(&mut checked.members, "id", id.as_str().into())?;
                    checked.id = Some(id);
                }
                "type" | "@type" => {
                    let types = self.types(&value)?;
                    put(&mut checked.members, "type", types)?;
                }
                "scope" | "expiresAt" => {
                    self.member(&name)?;
                    self.text_or_texts(&name, &value)?;
                    checked.written.insert(name.clone());
                    put(&mut checked.members, &name, value)?;
                }
                _ => {
                    let iri = self.names.expand(&name);
                    let rule = self.rule(&name, &iri)?;
                    let written = self.attribute(&name, rule, value)?;
                    put(&mut checked.members, &self.spelled(&iri), written)?;
                    checked.written.insert(iri);
                }
            }
        }
        if self.form == Form::New && !checked.members.contains_key("type") {
            return Err(unreadable("an entity has a `type`"));
        }
        Ok(checked)
    }

    /// The rule of an attribute that is named in a path.
    ///
    /// # Errors
    /// `name_not_admitted`.
    pub(super) fn rule(&self, name: &str, iri: &str) -> Result<&WritableAttribute, Refusal> {
        self.attributes.get(iri).ok_or_else(|| hidden("attribute", name))
    }

    /// How an expanded name is written to the broker: short where nothing can give it another meaning.
    pub(super) fn spelled(&self, iri: &str) -> String {
        let short = self.core.short(iri);
        // Another context can define a term of the default vocabulary, but none of the core context.
        short.filter(|term| self.plain || Names::is_core_term(term)).unwrap_or_else(|| iri.to_owned())
    }

    /// An attribute: one instance or several, each written anew.
    pub(super) fn attribute(&self, name: &str, rule: &WritableAttribute, given: Value) -> Result<Value, Refusal> {
        let Value::Array(instances) = given else {
            return self.instance(name, rule, given).map(|(written, _)| written);
        };
        if instances.is_empty() || instances.len() > MAX_INSTANCES || !instances.iter().all(Value::is_object) {
            return Err(unreadable(&format!(
                "`{}` is an array; instances of an attribute are objects, a list stands in `value` or `valueList`",
                shown(name)
            )));
        }
        let mut seen = BTreeSet::new();
        let mut written = Vec::with_capacity(instances.len());
        for instance in instances {
            let (instance, dataset) = self.instance(name, rule, instance)?;
            if !seen.insert(dataset) {
                return Err(unreadable(&format!("`{}` has two instances with one `datasetId`", shown(name))));
            }
            written.push(instance);
        }
        Ok(Value::Array(written))
    }

    fn instance(&self, name: &str, rule: &WritableAttribute, given: Value) -> Result<(Value, Option<String>), Refusal> {
        let members = match given {
            Value::Object(members) => members,
            Value::Null => return Err(unreadable(&format!("`{}` is null; `{NULL}` removes", shown(name)))),
            Value::String(text) if text == NULL => {
                self.removal()?;
                check_dataset(name, rule, None)?;
                return Ok((NULL.into(), None));
            }
            scalar => {
                check_dataset(name, rule, None)?;
                return Ok((json!({"type": "Property", "value": scalar}), None));
            }
        };
        let kind = members.get("type").or_else(|| members.get("@type"));
        if let Some(Value::String(kind)) = kind
            && GEOMETRIES.contains(&kind.as_str())
        {
            let value = Value::Object(members);
            self.value(name, "GeoProperty", &value)?;
            check_dataset(name, rule, None)?;
            return Ok((json!({"type": "GeoProperty", "value": value}), None));
        }
        self.object(name, rule, members, true)
    }

    /// An attribute that is written as an object with members.
    pub(super) fn object(
        &self,
        name: &str,
        rule: &WritableAttribute,
        members: Map<String, Value>,
        deeper: bool,
    ) -> Result<(Value, Option<String>), Refusal> {
        let kind = self.kind(name, &members)?;
        let holder = kind.and_then(|kind| KINDS.iter().find(|(known, _)| *known == kind)).map(|(_, holder)| *holder);
        let mut written = Map::new();
        let mut dataset = None;
        for (member, value) in members {
            match member.as_str() {
                "type" | "@type" => put(&mut written, "type", kind.unwrap_or_default().into())?,
                "datasetId" => {
                    let Value::String(id) = &value else { return Err(unreadable("`datasetId` is no text")) };
                    dataset = Some(id.clone());
                    put(&mut written, "datasetId", value)?;
                }
                known if Some(known) == holder => {
                    self.value(name, kind.unwrap_or_default(), &value)?;
                    put(&mut written, known, value)?;
                }
                "observedAt" | "unitCode" | "objectType" | "expiresAt" => {
                    self.member(&member)?;
                    self.text_or_texts(&member, &value)?;
                    put(&mut written, &member, value)?;
                }
                _ => {
                    let iri = self.names.expand(&member);
                    if !deeper || !rule.sub_attributes.contains(&iri) {
                        return Err(hidden("attribute or member", &format!("{name}.{member}")));
                    }
                    let inner = WritableAttribute { name: iri.clone(), ..WritableAttribute::default() };
                    let value = self.sub_attribute(&member, &inner, value)?;
                    put(&mut written, &self.spelled(&iri), value)?;
                }
            }
        }
        let has_value = holder.is_some_and(|holder| written.contains_key(holder));
        if self.form != Form::Parts && !has_value {
            return Err(unreadable(&format!("`{}` has no value", shown(name))));
        }
        // What kind it is must be said, also where the given form leaves it out.
        if let (Some(kind), true) = (kind, has_value) {
            written.entry("type").or_insert_with(|| kind.into());
        }
        check_dataset(name, rule, dataset.as_deref())?;
        Ok((Value::Object(written), dataset))
    }

    fn sub_attribute(&self, name: &str, rule: &WritableAttribute, given: Value) -> Result<Value, Refusal> {
        match given {
            Value::Object(members) if !is_geometry(&members) => {
                self.object(name, rule, members, false).map(|(written, _)| written)
            }
            Value::Array(_) => Err(unreadable(&format!("`{}` is an array", shown(name)))),
            other => self.instance(name, rule, other).map(|(written, _)| written),
        }
    }

    /// The kind of an attribute: what it says, or what the member with its value tells.
    fn kind(&self, name: &str, members: &Map<String, Value>) -> Result<Option<&'static str>, Refusal> {
        let wrong = |why: &str| unreadable(&format!("`{}` {why}", shown(name)));
        if let Some(said) = members.get("type").or_else(|| members.get("@type")) {
            let known = KINDS.iter().find(|(kind, _)| said.as_str() == Some(*kind));
            return known.map(|(kind, _)| Some(*kind)).ok_or_else(|| wrong("is of no known kind"));
        }
        let holders = ["value", "object", "languageMap", "vocab", "json", "valueList", "objectList"];
        let mut found = holders.into_iter().filter(|holder| members.contains_key(*holder));
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some("value"), None) => {
                let geometry = members.get("value").and_then(Value::as_object).is_some_and(is_geometry);
                Ok(Some(if geometry { "GeoProperty" } else { "Property" }))
            }
            (Some(holder), None) => Ok(KINDS.iter().find(|(_, known)| *known == holder).map(|(kind, _)| *kind)),
            _ => Err(wrong("has two values")),
        }
    }

    /// Checks the value of an attribute; it is passed as it is.
    fn value(&self, name: &str, kind: &str, value: &Value) -> Result<(), Refusal> {
        self.plain_value(value)?;
        let fits = value.as_str() == Some(NULL)
            || match kind {
                "GeoProperty" => value.as_object().is_some_and(is_geometry),
                "Relationship" => one_or_many(value, is_uri),
                "LanguageProperty" => value.is_object(),
                "VocabProperty" | "VocabularyProperty" => one_or_many(value, |_| true),
                "ListProperty" | "ListRelationship" => value.is_array(),
                _ => true,
            };
        if fits { Ok(()) } else { Err(unreadable(&format!("the value of `{}` does not fit its kind", shown(name)))) }
    }

    /// Values hold no nulls, nothing that JSON-LD takes for its own, and marks of removal only where something may be removed.
    fn plain_value(&self, value: &Value) -> Result<(), Refusal> {
        match value {
            Value::Null => Err(unreadable(&format!("a value holds null; `{NULL}` removes"))),
            Value::String(text) if text == NULL => self.removal(),
            Value::Array(items) => items.iter().try_for_each(|item| self.plain_value(item)),
            Value::Object(members) => {
                let typed = members.len() == 2 && members.contains_key("@value") && members.contains_key("@type");
                let own = members.keys().find(|key| key.starts_with('@') && *key != "@none");
                if let (Some(key), false) = (own, typed) {
                    return Err(unreadable(&format!("a value has the member `{}`", shown(key))));
                }
                members.values().try_for_each(|item| self.plain_value(item))
            }
            _ => Ok(()),
        }
    }

    fn removal(&self) -> Result<(), Refusal> {
        if self.form == Form::New {
            return Err(unreadable(&format!("`{NULL}` has no place in what is new")));
        }
        if self.writing.admits(Operation::Delete) {
            return Ok(());
        }
        Err(refuse(
            "operation_not_admitted",
            "the dataset does not let attributes be removed: `delete` is not among its operations",
        ))
    }

    fn types(&self, given: &Value) -> Result<Value, Refusal> {
        let names: Vec<&str> = match given {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let count = given.as_array().map_or(1, Vec::len);
        if names.is_empty() || names.len() != count {
            return Err(unreadable("`type` is a name or several"));
        }
        let mut types = Vec::with_capacity(names.len());
        for name in names {
            let iri = self.names.expand(name);
            if !self.writing.types.contains(&iri) {
                return Err(hidden("type", name));
            }
            types.push(Value::String(self.spelled(&iri)));
        }
        Ok(match types.len() {
            1 => types.pop().unwrap_or_default(),
            _ => Value::Array(types),
        })
    }

    fn member(&self, name: &str) -> Result<(), Refusal> {
        let admitted = Member::named(name.as_bytes()).is_some_and(|member| self.writing.members.contains(&member));
        if admitted { Ok(()) } else { Err(hidden("member", name)) }
    }

    fn text_or_texts(&self, name: &str, value: &Value) -> Result<(), Refusal> {
        self.plain_value(value)?;
        if one_or_many(value, |_| true) {
            return Ok(());
        }
        Err(unreadable(&format!("`{}` is no text", shown(name))))
    }
}

fn check_dataset(name: &str, rule: &WritableAttribute, dataset: Option<&str>) -> Result<(), Refusal> {
    let id = dataset.unwrap_or("@none");
    let admitted = match &rule.dataset_ids {
        None => id == "@none",
        Some(ids) => ids.iter().any(|known| known == id),
    };
    if admitted { Ok(()) } else { Err(hidden("`datasetId` of", name)) }
}

fn one_or_many(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => fits(text),
        Value::Array(items) => !items.is_empty() && items.iter().all(|item| item.as_str().is_some_and(&fits)),
        _ => false,
    }
}

fn is_uri(text: &str) -> bool {
    text.contains(':') && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\'))
}

fn is_geometry(members: &Map<String, Value>) -> bool {
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
    let places = ["coordinates", "geometries"].iter().any(|name| members.get(*name).is_some_and(Value::is_array));
    GEOMETRIES.contains(&kind) && places
}

fn put(members: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Refusal> {
    if members.insert(name.to_owned(), value).is_some() {
        return Err(unreadable(&format!("`{}` is said twice", shown(name))));
    }
    Ok(())
}

fn unreadable(why: &str) -> Refusal {
    refuse("body_not_readable", format!("the body cannot be read: {why}"))
}

fn hidden(what: &str, name: &str) -> Refusal {
    refuse("name_not_admitted", format!("the {what} `{}` is not among what may be written", shown(name)))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
