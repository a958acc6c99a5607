//! Writing: what may be done to which entities, checked name by name and written anew.
//!
//! A body is read whole, every name in it is expanded by a listed context and looked for in what may be written, and what goes to
//! the broker holds whole names where a context could give a short one another meaning. An entity that is changed must be there,
//! be one that the flow may write, and be shown where a selection says what is shown ([`Writer::question`], [`Writer::seen`]);
//! to the caller an entity that is hidden is one that is not there.

mod answer;
mod entity;
mod request;
mod road;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use policy_plan::{Refusal, Selection, WritableAttribute, Writing};
use serde_json::Value;

use crate::Fault;
use crate::body;
use crate::names::{Names, addresses, is_core};
use crate::request::{CORE, refusal};
use crate::rules::{Filter, matches};
use crate::scan::Halt;

pub use answer::{Failure, Outcome, Written};
pub use request::{Step, WriteAsked, WritePlanned};

/// Deepest nesting of entities that are looked at before they are changed.
const MAX_DEPTH: usize = 100;
/// Longest entity that is looked at before it is changed, in bytes.
const LOOKED_AT_BYTES: u32 = 8 * 1024 * 1024;

/// What a flow may write, made ready.
#[derive(Debug)]
pub struct Writer {
    writing: Writing,
    attributes: HashMap<String, WritableAttribute>,
    /// The names under each listed context alone.
    contexts: Vec<(String, Arc<Names>)>,
    core: Arc<Names>,
    /// What is shown, or for a flow that shows everything what may be written.
    shown: Arc<Filter>,
}

impl Writer {
    /// Makes ready what may be written; `shown` is what the same flow shows, where it shows a selection.
    ///
    /// # Errors
    /// `writing_not_usable` with the member that is not as it must be.
    pub fn new(writing: Writing, shown: Option<Arc<Filter>>) -> Result<Self, Fault> {
        let unusable = |message: String| Fault { code: "writing_not_usable", message };
        writing.check().map_err(|(member, why)| unusable(format!("`{member}` of what may be written {why}")))?;
        if shown.as_ref().is_some_and(|shown| shown.selection.veils()) {
            return Err(unusable("what is shown as pseudonyms or coarsely cannot be written".to_owned()));
        }
        let mut known = writing.contexts.clone();
        if let Some(shown) = &shown {
            for context in &shown.selection.contexts {
                match known.iter().find(|known| known.url == context.url) {
                    None => known.push(context.clone()),
                    Some(same) if same.terms == context.terms => {}
                    Some(_) => return Err(unusable(format!("two contexts have the address `{}`", context.url))),
                }
            }
        }
        let shown = match shown {
            Some(shown) => shown,
            None => Arc::new(Filter::new(Selection {
                types: writing.types.clone(),
                ids: writing.ids.clone(),
                attributes: Vec::new(),
                members: BTreeSet::new(),
                contexts: known.clone(),
                assumed_context: known.is_empty().then(|| CORE.to_owned()),
                coordinate_decimals: None,
                pseudonymous_ids: false,
                pseudonym_key: None,
                rows: None,
                time: None,
                personal: None,
                max_entity_bytes: LOOKED_AT_BYTES,
            })?),
        };
        let contexts =
            known.iter().map(|context| (context.url.clone(), Arc::new(Names::new(std::iter::once(context), &[]))));
        Ok(Self {
            contexts: contexts.collect(),
            attributes: writing.attributes.iter().map(|rule| (rule.name.clone(), rule.clone())).collect(),
            core: Arc::new(Names::new(std::iter::empty(), &[])),
            shown,
            writing,
        })
    }

    /// Longest body that a request may have, in bytes.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        let entities = u64::from(self.writing.max_entities) * u64::from(self.writing.max_entity_bytes);
        usize::try_from(entities.min(request::MAX_BODY_BYTES)).unwrap_or_default()
    }

    /// What is shown, by which entities are looked for before they are changed.
    #[must_use]
    pub fn shown(&self) -> &Arc<Filter> {
        &self.shown
    }

    /// The query that looks for entities with these ids; `None` when none of them is one that is shown.
    #[must_use]
    pub fn question(&self, ids: &[String]) -> Option<Vec<(String, String)>> {
        let mut asked: Vec<&str> = ids.iter().map(String::as_str).collect();
        asked.retain(|id| self.shown.admits_id(id.as_bytes()));
        if asked.is_empty() {
            return None;
        }
        let types = &self.shown.selection.types;
        let types: Vec<&str> =
            self.writing.types.iter().filter(|iri| types.contains(iri)).map(String::as_str).collect();
        if types.is_empty() {
            return None;
        }
        let context = self.shown.selection.contexts.first().map(|context| context.url.as_str());
        let context = context.or(self.shown.selection.assumed_context.as_deref());
        let names = context.and_then(|url| self.contexts.iter().find(|(known, _)| known == url));
        let names = names.map_or(&self.core, |(_, names)| names);
        let types: Vec<String> =
            types.iter().map(|iri| names.short(iri).unwrap_or_else(|| (*iri).to_owned())).collect();
        let pair = |name: &str, value: String| (name.to_owned(), value);
        Some(vec![pair("id", asked.join(",")), pair("type", types.join(",")), pair("limit", asked.len().to_string())])
    }

    /// The ids of the entities that may be changed, of an answer to [`Writer::question`]: `raw` as the broker gave it under the
    /// context of its `Link`, `shown` as [`Writer::shown`] has filtered it. An entity counts when every type of it is one that
    /// may be written.
    ///
    /// # Errors
    /// `answer_not_understood`, `context_unknown`, `context_inline`.
    pub fn seen(&self, context: Option<&str>, raw: &[u8], shown: &[u8]) -> Result<BTreeSet<String>, Fault> {
        let not = || Fault { code: "answer_not_understood", message: "the answer is no list of entities".to_owned() };
        let list = |bytes: &[u8]| match body::value(bytes, MAX_DEPTH) {
            Ok(Value::Array(items)) => Ok(items),
            _ => Err(not()),
        };
        let id = |entity: &Value| entity.get("id").and_then(Value::as_str).map(str::to_owned);
        let visible: BTreeSet<String> = list(shown)?.iter().filter_map(id).collect();
        let mut seen = BTreeSet::new();
        for entity in list(raw)? {
            let Some(id) = id(&entity).filter(|id| visible.contains(id)) else { continue };
            let names = match (entity.get("@context"), context) {
                (Some(own), _) => {
                    let urls = addresses(own.to_string().as_bytes()).map_err(as_fault)?;
                    self.names(&urls).map_err(|url| unknown_context(&url))?.1
                }
                (None, Some(url)) => self.names(&[url.to_owned()]).map_err(|url| unknown_context(&url))?.1,
                (None, None) => match &self.shown.selection.assumed_context {
                    Some(url) => self.names(std::slice::from_ref(url)).map_err(|url| unknown_context(&url))?.1,
                    None => Arc::clone(&self.core),
                },
            };
            let types = match entity.get("type") {
                Some(Value::String(name)) => vec![name.as_str()],
                Some(Value::Array(items)) => items.iter().map(|item| item.as_str().unwrap_or_default()).collect(),
                _ => Vec::new(),
            };
            if !types.is_empty() && types.iter().all(|name| self.writing.types.contains(&names.expand(name))) {
                seen.insert(id);
            }
        }
        Ok(seen)
    }

    /// The listed contexts of these addresses, beside the core context, and the names under them; the address that is not listed.
    fn names(&self, addresses: &[String]) -> Result<(Vec<String>, Arc<Names>), String> {
        let mut found: Vec<usize> = Vec::new();
        for url in addresses.iter().filter(|url| !is_core(url)) {
            let place = self.contexts.iter().position(|(known, _)| known == url).ok_or_else(|| url.clone())?;
            found.push(place);
        }
        let urls = found.iter().filter_map(|place| self.contexts.get(*place)).map(|(url, _)| url.clone()).collect();
        let names = match found.as_slice() {
            [] => Arc::clone(&self.core),
            [one] => self.contexts.get(*one).map_or_else(|| Arc::clone(&self.core), |(_, names)| Arc::clone(names)),
            several => {
                let parts = several.iter().filter_map(|place| self.contexts.get(*place)).map(|(_, names)| &**names);
                Arc::new(Names::joined(parts))
            }
        };
        Ok((urls, names))
    }

    /// Whether the id is one that may be written at all.
    fn admits_id(&self, id: &str) -> bool {
        let patterns = self.writing.ids.as_deref();
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern.as_bytes(), id.as_bytes())))
    }
}

fn as_fault(halt: Halt) -> Fault {
    match halt {
        Halt::Fault(fault) => *fault,
        Halt::Incomplete => Fault { code: "answer_not_understood", message: "the answer breaks off".to_owned() },
    }
}

fn unknown_context(url: &str) -> Fault {
    let shown: String = url.chars().filter(|c| !c.is_control()).take(200).collect();
    Fault { code: "context_unknown", message: format!("the agreement does not list the context `{shown}`") }
}

fn refuse(code: &'static str, message: impl AsRef<str>) -> Refusal {
    refusal(code, message.as_ref())
}
