//! A request to write, checked, and the steps that it becomes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy_plan::{Operation, Refusal};
use serde_json::{Map, Value};

use super::entity::{Check, Form};
use super::road::{Batch, Road};
use super::{Writer, refuse};
use crate::body;
use crate::head::contexts;
use crate::names::Names;

/// Longest body, whatever a dataset says, in bytes.
pub(super) const MAX_BODY_BYTES: u64 = 4 * 1024 * 1024;
/// Deepest nesting of a body.
const MAX_DEPTH: usize = 32;
/// Longest id of an entity, in bytes.
const MAX_ID_BYTES: usize = 1024;

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct WriteAsked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below the source's base, percent-encoded.
    pub path: &'a str,
    /// The query, percent-encoded.
    pub query: Option<&'a str>,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The `Link` header; several are joined by commas.
    pub link: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// A request that was checked. What it becomes depends on which of [`WritePlanned::changes`] are there.
#[derive(Debug)]
pub struct WritePlanned {
    road: Road,
    base: &'static [&'static str],
    /// Whether attributes that are there stay as they are.
    keep: bool,
    contexts: Vec<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Of one entity: its part, and the names of the attributes in it.
    One {
        id: String,
        part: Option<Map<String, Value>>,
        written: BTreeSet<String>,
        name: Option<String>,
        query: Option<String>,
    },
    /// Of many: by their ids.
    Many(BTreeMap<String, Map<String, Value>>),
}

/// One request to the broker.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// The method.
    pub method: &'static str,
    /// The path's segments, decoded.
    pub segments: Vec<String>,
    /// Names and values of the query, decoded.
    pub query: Vec<(&'static str, String)>,
    /// The body and its media type.
    pub body: Option<(Vec<u8>, &'static str)>,
    /// What it is about.
    pub about: About,
}

/// What a step is about, by which its answer is read.
#[derive(Debug, PartialEq)]
pub enum About {
    /// A new entity.
    Created(String),
    /// Attributes, by their expanded names, of an entity that is there; none for the entity as a whole.
    Attributes(BTreeSet<String>),
    /// Entities by their ids, and whether they are new.
    Entities {
        /// The ids.
        ids: BTreeSet<String>,
        /// Whether they are new.
        new: bool,
    },
}

impl Writer {
    /// Checks a request.
    ///
    /// # Errors
    /// A [`Refusal`] with one of the codes `method_not_admitted`, `path_not_safe`, `path_not_admitted`, `query_not_safe`,
    /// `query_not_admitted`, `operation_not_admitted`, `content_type_not_admitted`, `context_misplaced`, `context_not_admitted`, `body_too_large`,
    /// `body_not_readable`, `name_not_admitted`, `no_such_entity`. It says nothing about what the source holds.
    pub fn request(&self, asked: &WriteAsked<'_>) -> Result<WritePlanned, Refusal> {
        let (road, base) = Road::read(asked.method, asked.path)?;
        let operation = road.operation();
        if !self.writing.admits(operation) {
            let text =
                format!("the dataset does not let this be done: `{}` is not among its operations", operation.as_str());
            return Err(refuse("operation_not_admitted", text));
        }
        let options = self.options(&road, asked.query)?;
        if asked.body.len() > self.most_bytes() {
            return Err(refuse("body_too_large", format!("the body is longer than {} bytes", self.most_bytes())));
        }
        let takes_body = !matches!(road, Road::Remove(..) | Road::RemoveEntity(_));
        let (body, urls, names) = if takes_body {
            self.body(&road, asked)?
        } else {
            if !asked.body.is_empty() {
                return Err(refuse("body_not_readable", "this request has no body"));
            }
            let (urls, names) = self.by_link(asked.link)?;
            (Value::Null, urls, names)
        };
        let form = match road {
            Road::Create | Road::Batch(Batch::Create) => Form::New,
            Road::Merge(_) | Road::Part(..) | Road::Batch(Batch::Merge) => Form::Parts,
            _ => Form::Whole,
        };
        let check = Check {
            writing: &self.writing,
            attributes: &self.attributes,
            names: &names,
            core: &self.core,
            plain: urls.is_empty(),
            form,
        };
        let what = match &road {
            Road::Batch(batch) => self.many(&check, *batch, body)?,
            road => self.one(&check, road, body, &options)?,
        };
        Ok(WritePlanned { keep: options.keep, road, base, contexts: urls, what })
    }

    fn one(&self, check: &Check<'_>, road: &Road, body: Value, options: &Options) -> Result<What, Refusal> {
        let one = |id: &str, part, written, name| What::One {
            id: id.to_owned(),
            part,
            written,
            name,
            query: options.dataset.clone(),
        };
        match road {
            Road::Create | Road::Batch(_) => {
                let checked = check.entity(body)?;
                let id = checked.id.ok_or_else(|| refuse("body_not_readable", "an entity has an `id`"))?;
                self.new_id(&id)?;
                self.fits(&checked.members)?;
                Ok(one(&id, Some(checked.members), checked.written, None))
            }
            Road::Append(id) | Road::Update(id) | Road::Merge(id) => {
                self.known_id(id)?;
                let mut checked = check.entity(body)?;
                if checked.id.as_ref().is_some_and(|other| other != id) {
                    return Err(refuse("body_not_readable", "the body's `id` is not that of the path"));
                }
                checked.members.remove("id");
                if checked.members.is_empty() {
                    return Err(refuse("body_not_readable", "the body has nothing that could be written"));
                }
                self.fits(&checked.members)?;
                Ok(one(id, Some(checked.members), checked.written, None))
            }
            Road::Part(id, name) => {
                self.known_id(id)?;
                let iri = check.names.expand(name);
                let rule = check.rule(name, &iri)?;
                let Value::Object(members) = body else {
                    return Err(refuse("body_not_readable", "a part of an attribute is a JSON object"));
                };
                let (Value::Object(part), _) = check.object(name, rule, members, true)? else {
                    return Err(refuse("body_not_readable", "a part of an attribute is a JSON object"));
                };
                self.fits(&part)?;
                Ok(one(id, Some(part), BTreeSet::from([iri.clone()]), Some(check.spelled(&iri))))
            }
            Road::Remove(id, name) => {
                self.known_id(id)?;
                let iri = check.names.expand(name);
                let rule = check.rule(name, &iri)?;
                let dataset = options.dataset.as_deref().unwrap_or("@none");
                let admitted =
                    rule.dataset_ids.as_ref().map_or(dataset == "@none", |ids| ids.iter().any(|id| id == dataset));
                if !admitted {
                    return Err(refuse("name_not_admitted", "this `datasetId` is not among what may be written"));
                }
                Ok(one(id, None, BTreeSet::from([iri.clone()]), Some(check.spelled(&iri))))
            }
            Road::RemoveEntity(id) => {
                self.known_id(id)?;
                Ok(one(id, None, BTreeSet::new(), None))
            }
        }
    }

    fn many(&self, check: &Check<'_>, batch: Batch, body: Value) -> Result<What, Refusal> {
        let most = usize::try_from(self.writing.max_entities).unwrap_or_default();
        let Value::Array(items) = body else { return Err(refuse("body_not_readable", "a batch is a JSON array")) };
        if items.is_empty() || items.len() > most {
            return Err(refuse("body_not_readable", format!("a batch has 1 to {most} entities")));
        }
        let mut many = BTreeMap::new();
        for item in items {
            let (id, members) = match (batch, item) {
                (Batch::Delete, Value::String(id)) => (id, Map::new()),
                (Batch::Delete, _) => return Err(refuse("body_not_readable", "a batch of removals has ids")),
                (_, item) => {
                    let checked = check.entity(item)?;
                    let id =
                        checked.id.ok_or_else(|| refuse("body_not_readable", "an entity of a batch has an `id`"))?;
                    if batch == Batch::Upsert && !checked.members.contains_key("type") {
                        return Err(refuse("body_not_readable", "an entity that may be new has a `type`"));
                    }
                    self.fits(&checked.members)?;
                    (id, checked.members)
                }
            };
            if matches!(batch, Batch::Create | Batch::Upsert) {
                self.new_id(&id)?;
            } else if !is_id(&id) {
                return Err(refuse("body_not_readable", "an entity's `id` is a URI"));
            }
            if many.insert(id, members).is_some() {
                return Err(refuse("body_not_readable", "an entity stands twice in the batch"));
            }
        }
        Ok(What::Many(many))
    }

    /// Whether an entity may be made under this id.
    fn new_id(&self, id: &str) -> Result<(), Refusal> {
        if !is_id(id) {
            return Err(refuse("body_not_readable", "an entity's `id` is a URI"));
        }
        if self.admits_id(id) {
            return Ok(());
        }
        Err(refuse("name_not_admitted", "the entity's `id` is not among what may be written"))
    }

    /// An entity of another id is for the caller one that is not there.
    fn known_id(&self, id: &str) -> Result<(), Refusal> {
        if is_id(id) && self.admits_id(id) {
            return Ok(());
        }
        Err(refuse("no_such_entity", "there is no such entity"))
    }

    fn fits(&self, members: &Map<String, Value>) -> Result<(), Refusal> {
        let length = serde_json::to_vec(members).map_or(usize::MAX, |bytes| bytes.len());
        let most = self.writing.max_entity_bytes;
        if usize::try_from(most).is_ok_and(|most| length <= most) {
            return Ok(());
        }
        Err(refuse("body_too_large", format!("an entity is longer than {most} bytes")))
    }

    fn options(&self, road: &Road, query: Option<&str>) -> Result<Options, Refusal> {
        let mut options = Options::default();
        let mut seen = BTreeSet::new();
        for (name, value) in policy_plan::query_pairs(query.unwrap_or_default())? {
            if !seen.insert(name.clone()) {
                return Err(refuse("query_not_admitted", "a query parameter is repeated"));
            }
            match (name.as_str(), value.as_str(), road) {
                ("options", "noOverwrite", Road::Append(_) | Road::Batch(Batch::Update)) => options.keep = true,
                ("options", "update", Road::Batch(Batch::Upsert)) => options.update = true,
                ("datasetId", id, Road::Remove(..)) => options.dataset = Some(id.to_owned()),
                _ => {
                    let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
                    return Err(refuse(
                        "query_not_admitted",
                        format!("the query parameter `{shown}` is not admitted so"),
                    ));
                }
            }
        }
        if *road == Road::Batch(Batch::Upsert) && !options.update {
            return Err(refuse(
                "query_not_admitted",
                "an upsert needs `options=update`: nothing is replaced as a whole",
            ));
        }
        options.keep |= !self.writing.admits(Operation::Patch);
        Ok(options)
    }

    /// The body without its context, and the contexts that it is read by.
    fn body(&self, road: &Road, asked: &WriteAsked<'_>) -> Result<(Value, Vec<String>, Arc<Names>), Refusal> {
        let media = asked.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let linked = match media.to_ascii_lowercase().as_str() {
            "application/json" => true,
            "application/merge-patch+json" if asked.method == "PATCH" => true,
            "application/ld+json" => false,
            _ => {
                return Err(refuse(
                    "content_type_not_admitted",
                    "the body must be application/json or application/ld+json",
                ));
            }
        };
        let mut body = body::value(asked.body, MAX_DEPTH)?;
        let parts: Vec<&mut Map<String, Value>> = match &mut body {
            Value::Object(members) => vec![members],
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).collect(),
            _ => Vec::new(),
        };
        let ids_only = *road == Road::Batch(Batch::Delete);
        let mut given: Option<Option<Value>> = None;
        for part in parts {
            let own = part.remove("@context");
            if given.get_or_insert_with(|| own.clone()) != &own {
                return Err(refuse("context_not_admitted", "the entities of a batch have different contexts"));
            }
        }
        let given = given.flatten();
        if linked {
            if given.is_some() {
                return Err(refuse("context_misplaced", "a body of application/json has no `@context`"));
            }
            let (urls, names) = self.by_link(asked.link)?;
            return Ok((body, urls, names));
        }
        if asked.link.is_some_and(|link| !contexts(link).is_empty()) {
            return Err(refuse("context_misplaced", "a body of application/ld+json says its context itself"));
        }
        let urls = match given {
            Some(Value::String(url)) => vec![url],
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            None if ids_only => Vec::new(),
            None => return Err(refuse("context_misplaced", "a body of application/ld+json has an `@context`")),
            Some(_) => return Err(refuse("context_not_admitted", "a context is given by its address")),
        };
        let (urls, names) = self.names(&urls).map_err(|_| unlisted())?;
        Ok((body, urls, names))
    }

    fn by_link(&self, link: Option<&str>) -> Result<(Vec<String>, Arc<Names>), Refusal> {
        let linked = link.map(contexts).unwrap_or_default();
        if linked.len() > 1 || (linked.is_empty() && link.is_some_and(|link| !link.trim().is_empty())) {
            return Err(refuse("context_not_admitted", "the `Link` header names one context"));
        }
        self.names(&linked).map_err(|_| unlisted())
    }
}

#[derive(Default)]
struct Options {
    keep: bool,
    update: bool,
    dataset: Option<String>,
}

fn unlisted() -> Refusal {
    refuse("context_not_admitted", "the request names a context that the agreement does not list")
}

fn is_id(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES
        && id.contains(':')
        && id.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ',' | '"' | '<' | '>' | '\\'))
}

impl WritePlanned {
    /// The ids of the entities that the request changes if they are there.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        match (&self.road, &self.what) {
            (Road::Create | Road::Batch(Batch::Create), _) => Vec::new(),
            (_, What::One { id, .. }) => vec![id.clone()],
            (_, What::Many(many)) => many.keys().cloned().collect(),
        }
    }

    /// Whether it is about many entities.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        matches!(self.what, What::Many(_))
    }

    /// The requests to the broker when of the entities that it changes those of `seen` are there, and the entities that it is
    /// about and that are not there for the caller.
    ///
    /// # Errors
    /// `no_such_entity` when it is about one entity that is not there.
    pub fn steps(self, seen: &BTreeSet<String>) -> Result<(Vec<Step>, Vec<String>), Refusal> {
        let Self { road, base, keep, contexts, what } = self;
        let path = |more: &[&str]| -> Vec<String> { base.iter().chain(more).map(|part| (*part).to_owned()).collect() };
        let keep = || -> Vec<(&'static str, String)> {
            if keep { vec![("options", "noOverwrite".to_owned())] } else { Vec::new() }
        };
        match what {
            What::One { id, part, written, name, query } => {
                if road != Road::Create && !seen.contains(&id) {
                    return Err(refuse("no_such_entity", "there is no such entity"));
                }
                let body = part.map(|part| write(part, &contexts));
                let (method, segments, query) = match &road {
                    Road::Append(_) => ("POST", path(&["entities", &id, "attrs"]), keep()),
                    Road::Update(_) => ("PATCH", path(&["entities", &id, "attrs"]), Vec::new()),
                    Road::Part(..) => {
                        ("PATCH", path(&["entities", &id, "attrs", name.as_deref().unwrap_or_default()]), Vec::new())
                    }
                    Road::Remove(..) => {
                        let query = query.map(|dataset| ("datasetId", dataset)).into_iter().collect();
                        ("DELETE", path(&["entities", &id, "attrs", name.as_deref().unwrap_or_default()]), query)
                    }
                    Road::Merge(_) => ("PATCH", path(&["entities", &id]), Vec::new()),
                    Road::RemoveEntity(_) => ("DELETE", path(&["entities", &id]), Vec::new()),
                    Road::Create | Road::Batch(_) => ("POST", path(&["entities"]), Vec::new()),
                };
                let about = if road == Road::Create { About::Created(id) } else { About::Attributes(written) };
                Ok((vec![Step { method, segments, query, body, about }], Vec::new()))
            }
            What::Many(many) => {
                let Road::Batch(batch) = road else { return Ok((Vec::new(), Vec::new())) };
                let (there, not): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    many.into_iter().partition(|(id, _)| seen.contains(id));
                let step = |batch: Batch, entities: BTreeMap<String, Map<String, Value>>, query| -> Option<Step> {
                    let ids: BTreeSet<String> = entities.keys().cloned().collect();
                    let body = match batch {
                        Batch::Delete => (json_bytes(&ids), "application/json"),
                        _ => write_all(entities.into_values(), &contexts),
                    };
                    (!ids.is_empty()).then(|| Step {
                        method: "POST",
                        segments: path(&["entityOperations", batch.as_str()]),
                        query,
                        body: Some(body),
                        about: About::Entities { ids, new: batch == Batch::Create },
                    })
                };
                Ok(match batch {
                    Batch::Create => (step(Batch::Create, not, Vec::new()).into_iter().collect(), Vec::new()),
                    Batch::Upsert => {
                        // A hidden entity must not be updated, and creating it anew fails.
                        let update = step(Batch::Update, there, Vec::new());
                        (update.into_iter().chain(step(Batch::Create, not, Vec::new())).collect(), Vec::new())
                    }
                    Batch::Update => (step(batch, there, keep()).into_iter().collect(), not.into_keys().collect()),
                    Batch::Merge | Batch::Delete => {
                        (step(batch, there, Vec::new()).into_iter().collect(), not.into_keys().collect())
                    }
                })
            }
        }
    }
}

/// A body under these contexts. The core context alone needs no naming.
fn write(mut part: Map<String, Value>, contexts: &[String]) -> (Vec<u8>, &'static str) {
    let media = name_context(&mut part, contexts);
    (json_bytes(&part), media)
}

fn write_all(entities: impl Iterator<Item = Map<String, Value>>, contexts: &[String]) -> (Vec<u8>, &'static str) {
    let mut media = "application/json";
    let mut all = Vec::new();
    for mut entity in entities {
        media = name_context(&mut entity, contexts);
        all.push(entity);
    }
    (json_bytes(&all), media)
}

fn name_context(part: &mut Map<String, Value>, contexts: &[String]) -> &'static str {
    if contexts.is_empty() {
        return "application/json";
    }
    part.insert("@context".to_owned(), contexts.into());
    "application/ld+json"
}

fn json_bytes(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
