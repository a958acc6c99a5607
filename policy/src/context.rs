//! JSON-LD contexts: what the names of a document stand for (JSON-LD 1.1, 4.1 and 9.15).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{At, PolicyError};
use crate::vocabulary::{ODRL, is_term, term};

/// Contexts whose names are those of the ODRL vocabulary, or leave them as they are.
const SHIPPED: [&str; 10] = [
    "http://www.w3.org/ns/odrl.jsonld",
    "https://www.w3.org/ns/odrl.jsonld",
    "http://www.w3.org/ns/odrl/2/",
    "https://w3id.org/dspace/2025/1/context.jsonld",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
    "https://w3id.org/dspace/2024/1/context.json",
    "https://w3id.org/dspace/1/0/context.json",
    "https://w3id.org/edc/connector/management/v0.0.1",
    "https://w3id.org/edc/connector/management/v2",
    "https://w3id.org/edc/dspace/v0.0.1",
];

/// The most names that the contexts of a document define.
const MAX_TERMS: usize = 1024;
/// The longest IRI that a name may stand for, in bytes.
const MAX_IRI_BYTES: usize = 4 * 1024;

const RDF_VALUE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#value";

/// What a context says about the values under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coercion {
    /// They are what they are written as.
    #[default]
    None,
    /// Strings are IRIs.
    Iri,
    /// Strings are of this data type.
    Typed(String),
}

#[derive(Clone, Debug)]
struct Definition {
    iri: String,
    coercion: Coercion,
}

/// The names that are defined at one place of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    definitions: BTreeMap<String, Definition>,
    vocabulary: Option<String>,
    /// Whether one of the contexts that we ship was named, whose names go before `@vocab`.
    is_shipped: bool,
}

impl Context {
    /// This context with another on top of it.
    pub(crate) fn with(&self, value: &Value, at: &At) -> Result<Self, PolicyError> {
        let mut context = self.clone();
        context.add(value, at, true)?;
        Ok(context)
    }

    fn add(&mut self, value: &Value, at: &At, may_be_list: bool) -> Result<(), PolicyError> {
        match value {
            Value::Null => *self = Self::default(),
            Value::String(name) if SHIPPED.contains(&name.as_str()) => self.is_shipped = true,
            Value::String(name) => {
                let message =
                    format!("the context `{name}` is not among those known here; what its names mean is not known");
                return Err(PolicyError::new("context_unknown", at, message));
            }
            Value::Array(items) if may_be_list => {
                for (index, item) in items.iter().enumerate() {
                    self.add(item, &at.item(index), false)?;
                }
            }
            Value::Object(names) => self.define(names, at)?,
            _ => return Err(PolicyError::new("context", at, "a context is a name, an object, or a list of them")),
        }
        Ok(())
    }

    fn define(&mut self, names: &Map<String, Value>, at: &At) -> Result<(), PolicyError> {
        for (name, value) in names {
            let here = at.member(name);
            let wrong = |message: &str| PolicyError::new("context", &here, message);
            match (name.as_str(), value) {
                // They change nothing for us: names of a language, and addresses that are not fetched.
                ("@version" | "@protected" | "@language", _) => {}
                ("@vocab", Value::Null) => self.vocabulary = None,
                // Resolved below, when all prefixes of this context are known.
                ("@vocab", Value::String(_)) => {}
                (keyword, _) if keyword.starts_with('@') => {
                    return Err(wrong("this keyword is not understood in a context here"));
                }
                (_, Value::String(iri)) => self.insert(name, iri, Coercion::None, &here)?,
                (_, Value::Object(definition)) => {
                    let mut iri = name.as_str();
                    let mut coercion = Coercion::None;
                    for (member, value) in definition {
                        match (member.as_str(), value) {
                            ("@id", Value::String(given)) => iri = given,
                            ("@type", Value::String(kind)) => {
                                coercion = match kind.as_str() {
                                    "@id" | "@vocab" => Coercion::Iri,
                                    "@none" => Coercion::None,
                                    "@json" => return Err(wrong("values of the type `@json` are not understood here")),
                                    other => Coercion::Typed(other.to_owned()),
                                }
                            }
                            ("@container", Value::String(kind)) if matches!(kind.as_str(), "@list" | "@set") => {}
                            ("@prefix" | "@protected", Value::Bool(_)) => {}
                            _ => {
                                return Err(wrong(&format!(
                                    "`{member}` is not understood in a term's definition here"
                                )));
                            }
                        }
                    }
                    self.insert(name, iri, coercion, &here)?;
                }
                _ => return Err(wrong("a name stands for an IRI here")),
            }
        }
        self.resolve(names, at)?;
        if let Some(Value::String(vocabulary)) = names.get("@vocab") {
            self.vocabulary = Some(self.iri(vocabulary));
        }
        Ok(())
    }

    fn insert(&mut self, name: &str, iri: &str, coercion: Coercion, at: &At) -> Result<(), PolicyError> {
        if self.definitions.len() >= MAX_TERMS || iri.len() > MAX_IRI_BYTES || name.len() > MAX_IRI_BYTES {
            return Err(PolicyError::new("too_large", at, format!("contexts define at most {MAX_TERMS} names")));
        }
        if iri.starts_with('@') && !matches!(iri, "@id" | "@type" | "@list" | "@set" | "@value" | "@graph") {
            return Err(PolicyError::new("context", at, "this keyword cannot have another name here"));
        }
        self.definitions.insert(name.to_owned(), Definition { iri: iri.to_owned(), coercion });
        Ok(())
    }

    /// Definitions may use the prefixes of their own context, in any order.
    fn resolve(&mut self, names: &Map<String, Value>, at: &At) -> Result<(), PolicyError> {
        /// A prefix of a prefix of a prefix, and so on; enough for any context that people write.
        const ROUNDS: usize = 8;
        for _ in 0..ROUNDS {
            let mut changed = false;
            for name in names.keys().filter(|name| !name.starts_with('@')) {
                let Some(definition) = self.definitions.get(name) else { continue };
                let iri = self.without(name).iri(&definition.iri);
                if iri.len() > MAX_IRI_BYTES {
                    return Err(PolicyError::new("too_large", &at.member(name), "the IRI of this name is too long"));
                }
                if iri != definition.iri {
                    changed = true;
                    if let Some(definition) = self.definitions.get_mut(name) {
                        definition.iri = iri;
                    }
                }
            }
            if !changed {
                return Ok(());
            }
        }
        Err(PolicyError::new("context", at, "the names of the context stand for each other"))
    }

    fn without(&self, name: &str) -> View<'_> {
        View { context: self, without: name.to_owned() }
    }

    fn iri(&self, name: &str) -> String {
        View { context: self, without: String::new() }.iri(name)
    }

    /// The short ODRL name, or else the full name, of a member, an action, an operand, an operator or a type.
    pub(crate) fn word(&self, name: &str) -> String {
        if name.starts_with('@') {
            return name.to_owned();
        }
        let iri = self.iri(name);
        if iri == RDF_VALUE {
            return "rdf:value".to_owned();
        }
        if iri.contains(':') || iri.starts_with('@') || self.definitions.contains_key(name) {
            return term(&iri).to_owned();
        }
        match &self.vocabulary {
            Some(vocabulary) if !(self.is_shipped && is_term(&iri)) => term(&format!("{vocabulary}{iri}")).to_owned(),
            _ => iri,
        }
    }

    /// The full name of a thing: a prefix is written out, anything else stays.
    pub(crate) fn thing(&self, name: &str) -> String {
        if name.contains(':') { self.iri(name) } else { name.to_owned() }
    }

    /// What the values under this name are.
    pub(crate) fn coercion(&self, name: &str) -> Coercion {
        self.definitions.get(name).map(|definition| definition.coercion.clone()).unwrap_or_default()
    }
}

/// A context as one of its own definitions sees it.
struct View<'a> {
    context: &'a Context,
    without: String,
}

impl View<'_> {
    fn iri(&self, name: &str) -> String {
        let get = |name: &str| self.context.definitions.get(name).filter(|_| name != self.without);
        if let Some(definition) = get(name) {
            return definition.iri.clone();
        }
        match name.split_once(':') {
            Some((prefix, rest)) if !rest.starts_with("//") && prefix != "_" => match get(prefix) {
                Some(definition) => format!("{}{rest}", definition.iri),
                None if prefix == "odrl" && self.without != "odrl" => format!("{ODRL}{rest}"),
                None => name.to_owned(),
            },
            _ => name.to_owned(),
        }
    }
}
