//! Prefixes, IRIs and what a message's own `@context` defines.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{DCAT, DCT, DSP_CONTEXT, DSPACE, EDC_CONTEXT, ODRL, XSD, terms};
use crate::error::MessageError;
use crate::member::{kind, shorten};

const PREFIXES: [(&str, &str); 5] = [("dspace", DSPACE), ("odrl", ODRL), ("dcat", DCAT), ("dct", DCT), ("xsd", XSD)];

const EDC_NAMESPACE: &str = "https://w3id.org/edc/v0.0.1/ns/";

/// A name without the prefix or namespace of the protocol and the vocabularies that it builds on.
pub(crate) fn local_name(name: &str) -> &str {
    let mut name = name;
    while let Some(local) = PREFIXES.iter().find_map(|(prefix, namespace)| strip(name, prefix, namespace)) {
        name = local;
    }
    name
}

/// An ODRL name without prefix or namespace; any other name as it is.
pub(crate) fn odrl_local(name: &str) -> &str {
    strip(name, "odrl", ODRL).unwrap_or(name)
}

/// The operators of the schema, and whether a name is one.
pub(crate) fn is_operator_term(name: &str) -> bool {
    matches!(
        name,
        "eq" | "neq"
            | "gt"
            | "gteq"
            | "lt"
            | "lteq"
            | "isA"
            | "hasPart"
            | "isPartOf"
            | "isAllOf"
            | "isAnyOf"
            | "isNoneOf"
            | "term-lteq"
    )
}

fn strip<'a>(name: &'a str, prefix: &str, namespace: &str) -> Option<&'a str> {
    let local = match name.strip_prefix(namespace) {
        Some(local) => local,
        None => name.strip_prefix(prefix)?.strip_prefix(':')?,
    };
    (!local.is_empty() && !local.starts_with('@')).then_some(local)
}

/// The names that are in force in one part of a message.
///
/// A part with a context of its own refers to the names around it instead of copying them, so that many small contexts
/// inside a large one cost nothing.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    outer: Option<&'a Names<'a>>,
    /// The DSP context is listed (or taken for granted).
    pub(super) dsp: bool,
    edc: bool,
    /// Terms and prefixes that the message itself defines.
    own: BTreeMap<String, String>,
    vocabulary: Option<String>,
}

impl<'a> Names<'a> {
    /// The DSP context alone, for parts that come without a context of their own.
    pub(super) fn dsp() -> Self {
        Self { dsp: true, ..Self::default() }
    }

    /// These names and what a `@context` member adds.
    pub(super) fn with(&'a self, context: &Value) -> Result<Self, MessageError> {
        let mut names = Self { outer: Some(self), dsp: self.dsp, edc: self.edc, ..Self::default() };
        match context {
            Value::Array(items) => items.iter().try_for_each(|item| names.add(item))?,
            single => names.add(single)?,
        }
        names.check_protected()?;
        Ok(names)
    }

    /// The IRI that the message itself gives to a term or prefix.
    fn own(&self, name: &str) -> Option<&String> {
        self.own.get(name).or_else(|| self.outer.and_then(|outer| outer.own(name)))
    }

    fn vocabulary(&self) -> Option<&String> {
        self.vocabulary.as_ref().or_else(|| self.outer.and_then(Self::vocabulary))
    }

    fn add(&mut self, item: &Value) -> Result<(), MessageError> {
        match item {
            Value::String(iri) => {
                self.dsp |= iri == DSP_CONTEXT;
                self.edc |= iri == EDC_CONTEXT;
                Ok(())
            }
            Value::Object(definitions) => {
                self.define(definitions);
                Ok(())
            }
            Value::Null => Ok(()),
            other => Err(MessageError::new(
                "invalid_context",
                format!("the member `@context` holds {}, only strings and objects can be contexts", kind(other)),
            )),
        }
    }

    fn define(&mut self, definitions: &Map<String, Value>) {
        for (name, definition) in definitions {
            let iri = match definition {
                Value::String(iri) => iri,
                Value::Object(object) => match object.get("@id") {
                    Some(Value::String(iri)) => iri,
                    _ => continue,
                },
                _ => continue,
            };
            if name == "@vocab" {
                self.vocabulary = Some(iri.clone());
            } else if !name.starts_with('@') {
                self.own.insert(name.clone(), iri.clone());
            }
        }
        // A definition may use a prefix that is defined beside it.
        let resolved: Vec<_> = self
            .own
            .iter()
            .filter_map(|(name, iri)| self.expand_prefix(iri).map(|expanded| (name.clone(), expanded)))
            .collect();
        self.own.extend(resolved);
    }

    /// The terms of the DSP context are protected: a message must not give them another meaning. Its prefixes keep theirs
    /// even where the context is not listed.
    fn check_protected(&self) -> Result<(), MessageError> {
        for (name, iri) in &self.own {
            let prefix_clash = PREFIXES.iter().any(|(prefix, namespace)| prefix == name && namespace != iri);
            let term_clash = self.dsp
                && terms::TERMS
                    .iter()
                    .any(|(term, namespace, _)| term == name && iri.strip_prefix(namespace) != Some(term));
            if prefix_clash || term_clash {
                let name = shorten(name);
                return Err(MessageError::new(
                    "context_conflict",
                    format!("the member `@context` gives the protected term `{name}` another meaning"),
                ));
            }
        }
        Ok(())
    }

    /// The IRI of a prefixed name, by the prefixes of the message and then by the standard ones.
    fn expand_prefix(&self, name: &str) -> Option<String> {
        let (prefix, local) = name.split_once(':')?;
        if local.starts_with("//") || local.is_empty() {
            return None;
        }
        let namespace = match self.own(prefix) {
            Some(namespace) => namespace.as_str(),
            None => PREFIXES.iter().find(|(known, _)| *known == prefix).map(|(_, namespace)| *namespace)?,
        };
        (!namespace.starts_with('@')).then(|| format!("{namespace}{local}"))
    }

    /// The IRI of a key or type; none when it has none.
    fn expand(&self, name: &str) -> Option<String> {
        if name.starts_with('@') {
            return None;
        }
        if let Some(iri) = self.own(name) {
            return Some(iri.clone());
        }
        if name.contains(':') {
            return Some(self.expand_prefix(name).unwrap_or_else(|| name.to_owned()));
        }
        match self.vocabulary() {
            Some(vocabulary) if !(self.dsp && terms::shape(name).is_some()) => Some(format!("{vocabulary}{name}")),
            _ => None,
        }
    }

    /// The compact key: protocol and ODRL terms without prefix, other names of known vocabularies with their prefix,
    /// names under the message's own prefixes as full IRIs, everything else as it is.
    pub(super) fn key(&self, key: &str) -> String {
        let Some(iri) = self.expand(key) else { return key.to_owned() };
        for (prefix, namespace) in PREFIXES {
            let Some(local) = iri.strip_prefix(namespace).filter(|local| !local.is_empty() && !local.starts_with('@'))
            else {
                continue;
            };
            return match namespace {
                DSPACE | ODRL if !local.contains(':') => local.to_owned(),
                DSPACE | ODRL => iri,
                _ if terms::is_term(namespace, local) => local.to_owned(),
                _ => format!("{prefix}:{local}"),
            };
        }
        iri
    }

    /// The compact type: without prefix in the vocabularies of the protocol.
    pub(super) fn kind(&self, name: &str) -> String {
        let Some(iri) = self.expand(name) else { return name.to_owned() };
        match PREFIXES.iter().find_map(|(prefix, namespace)| Some((prefix, iri.strip_prefix(namespace)?))) {
            Some((&"xsd", local)) => format!("xsd:{local}"),
            Some((_, local)) if !local.is_empty() && !local.contains(':') => local.to_owned(),
            _ => iri,
        }
    }

    /// Whether a type belongs to the protocol by its own IRI, without help of a listed context.
    pub(super) fn is_protocol_iri(&self, name: &str) -> bool {
        self.expand(name).is_some_and(|iri| [DSPACE, ODRL, DCAT].iter().any(|namespace| iri.starts_with(namespace)))
    }

    /// A name whose prefix only this message knows, as full IRI; any other name as it is.
    pub(super) fn absolute(&self, name: &str) -> String {
        if let Some(iri) = self.own(name).filter(|iri| !iri.starts_with('@')) {
            return iri.clone();
        }
        if let Some((prefix, _)) = name.split_once(':') {
            if self.own(prefix).is_some() {
                return self.expand_prefix(name).unwrap_or_else(|| name.to_owned());
            }
            if self.edc && prefix == "edc" {
                return name.replacen("edc:", EDC_NAMESPACE, 1);
            }
        } else if self.edc && name == "inForceDate" {
            return format!("{EDC_NAMESPACE}{name}");
        }
        name.to_owned()
    }
}
