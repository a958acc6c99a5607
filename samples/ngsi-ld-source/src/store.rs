//! What the source holds: for each tenant its entities and the history of their attributes, read once from files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::instant;
use crate::model::{Entity, EntityError, instances};

/// Why a data file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error("`{}` is not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A record is not an entity.
    #[error("`{}`, record {record}: {source}", path.display())]
    Entity {
        /// The file.
        path: PathBuf,
        /// The number of the record, from 1.
        record: usize,
        /// What is wrong with it.
        source: EntityError,
    },
    /// Two records have one id.
    #[error("`{}`: the id `{id}` stands twice", path.display())]
    Duplicate {
        /// The file of the second.
        path: PathBuf,
        /// The id.
        id: String,
    },
}

/// The past values of an entity's attributes, each list in the order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    attributes: BTreeMap<String, Vec<Value>>,
}

impl History {
    /// Reads a temporal entity in normalized or `temporalValues` form.
    #[must_use]
    pub fn parse(record: &Value) -> Option<Self> {
        let mut attributes = BTreeMap::new();
        for (name, value) in record.as_object()?.iter().filter(|(name, _)| crate::model::is_attribute(name)) {
            let mut all: Vec<Value> = instances(value).iter().flat_map(expanded).collect();
            all.sort_by_key(|one| one.get("observedAt").and_then(Value::as_str).and_then(instant::parse));
            attributes.insert(name.clone(), all);
        }
        Some(Self { attributes })
    }

    /// The history that consists of an entity's present alone.
    #[must_use]
    pub fn of_present(entity: &Entity) -> Self {
        let present = entity.attribute_names().map(|name| (name.to_owned(), entity.instances(name).to_vec()));
        Self { attributes: present.collect() }
    }

    /// This history with the entity's present at its end, where that is newer.
    #[must_use]
    pub fn with_present(&self, entity: &Entity) -> Self {
        let mut joined = self.clone();
        for (name, past) in &mut joined.attributes {
            let seen = |one: &Value| one.get("observedAt").and_then(Value::as_str).and_then(instant::parse);
            let newest = past.last().and_then(seen);
            let newer = entity.instances(name).iter().filter(|one| seen(one) > newest).cloned();
            past.extend(newer);
        }
        joined
    }

    /// Every attribute with its instances.
    pub fn attributes(&self) -> impl Iterator<Item = (&String, &Vec<Value>)> {
        self.attributes.iter()
    }
}

/// One instance, or the instances that a `values` list stands for.
fn expanded(one: &Value) -> Vec<Value> {
    let Some(pairs) = one.get("values").and_then(Value::as_array) else { return vec![one.clone()] };
    pairs
        .iter()
        .filter_map(|pair| {
            let (value, at) = (pair.get(0)?, pair.get(1)?);
            let mut written: Map<String, Value> = one.as_object()?.clone();
            written.remove("values");
            written.insert("value".to_owned(), value.clone());
            written.insert("observedAt".to_owned(), at.clone());
            Some(Value::Object(written))
        })
        .collect()
}

/// The entities of one tenant.
#[derive(Debug, Clone, Default)]
pub struct Tenant {
    entities: Vec<Entity>,
    index: HashMap<String, usize>,
    history: HashMap<String, History>,
    contexts: Vec<String>,
}

impl Tenant {
    /// Adds the entities of a file: a JSON array, or one entity.
    ///
    /// # Errors
    /// When the file cannot be read, a record is no entity, or an id is taken.
    pub fn load(&mut self, path: &Path) -> Result<(), LoadError> {
        for (at, record) in records(path)?.into_iter().enumerate() {
            let (entity, context) = Entity::parse(record).map_err(|source| LoadError::Entity {
                path: path.to_owned(),
                record: at + 1,
                source,
            })?;
            for url in crate::model::strings(context.as_ref()) {
                if !is_core_context(&url) && !self.contexts.contains(&url) {
                    self.contexts.push(url);
                }
            }
            if self.index.insert(entity.id().to_owned(), self.entities.len()).is_some() {
                return Err(LoadError::Duplicate { path: path.to_owned(), id: entity.id().to_owned() });
            }
            self.entities.push(entity);
        }
        Ok(())
    }

    /// Adds the histories of a file: temporal entities in normalized or `temporalValues` form.
    ///
    /// # Errors
    /// When the file cannot be read, or a record is no entity.
    pub fn load_history(&mut self, path: &Path) -> Result<(), LoadError> {
        for (at, record) in records(path)?.into_iter().enumerate() {
            let wrong = |source| LoadError::Entity { path: path.to_owned(), record: at + 1, source };
            let id = record.get("id").and_then(Value::as_str).ok_or_else(|| wrong(EntityError::NoId))?;
            let history = History::parse(&record).ok_or_else(|| wrong(EntityError::NotAnObject))?;
            self.history.insert(id.to_owned(), history);
        }
        Ok(())
    }

    /// The entities in the order of the files.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The entities, to change their values; ids stay.
    pub fn entities_mut(&mut self) -> &mut [Entity] {
        &mut self.entities
    }

    /// Adds an entity, or puts it in the place of the one with its id. `true` when there was none.
    pub fn put(&mut self, entity: Entity) -> bool {
        match self.index.get(entity.id()).and_then(|at| self.entities.get_mut(*at)) {
            Some(place) => {
                *place = entity;
                false
            }
            None => {
                self.index.insert(entity.id().to_owned(), self.entities.len());
                self.entities.push(entity);
                true
            }
        }
    }

    /// Takes an entity away. `false` when there was none.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(at) = self.index.remove(id) else { return false };
        self.entities.remove(at);
        self.history.remove(id);
        for place in self.index.values_mut().filter(|place| **place > at) {
            *place -= 1;
        }
        true
    }

    /// The entity with this id.
    #[must_use]
    pub fn entity(&self, id: &str) -> Option<&Entity> {
        self.entities.get(*self.index.get(id)?)
    }

    /// The history that was loaded for this id.
    #[must_use]
    pub fn history(&self, id: &str) -> Option<&History> {
        self.history.get(id)
    }

    /// The contexts that the data names besides the core one; they are names, nobody fetches them.
    #[must_use]
    pub fn contexts(&self) -> &[String] {
        &self.contexts
    }

    /// The names of all types with the names of their attributes and the number of their entities.
    #[must_use]
    pub fn types(&self) -> BTreeMap<&str, TypeFacts<'_>> {
        let mut all: BTreeMap<&str, TypeFacts<'_>> = BTreeMap::new();
        for entity in &self.entities {
            for name in entity.types() {
                let facts = all.entry(name).or_default();
                facts.entities += 1;
                for attribute in entity.attribute_names() {
                    facts.attributes.entry(attribute).or_default().add(entity, attribute);
                }
            }
        }
        all
    }

    /// The names of all attributes with where they occur.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<&str, AttributeFacts<'_>> {
        let mut all: BTreeMap<&str, AttributeFacts<'_>> = BTreeMap::new();
        for entity in &self.entities {
            for attribute in entity.attribute_names() {
                all.entry(attribute).or_default().add(entity, attribute);
            }
        }
        all
    }
}

/// What is known of an entity type.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TypeFacts<'a> {
    /// How many entities have it.
    pub entities: usize,
    /// Their attributes.
    pub attributes: BTreeMap<&'a str, AttributeFacts<'a>>,
}

/// What is known of an attribute.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AttributeFacts<'a> {
    /// How many entities have it.
    pub entities: usize,
    /// The kinds of its instances (`Property`, …).
    pub kinds: Vec<&'a str>,
    /// The types of the entities that have it.
    pub types: Vec<&'a str>,
}

impl<'a> AttributeFacts<'a> {
    fn add(&mut self, entity: &'a Entity, attribute: &str) {
        self.entities += 1;
        let kinds = entity.instances(attribute).iter().filter_map(|one| one.get("type")).filter_map(Value::as_str);
        for kind in kinds {
            if !self.kinds.contains(&kind) {
                self.kinds.push(kind);
            }
        }
        for name in entity.types() {
            if !self.types.contains(&name.as_str()) {
                self.types.push(name);
            }
        }
    }

    /// The `Attribute` of the standard (clause 5.2.28).
    #[must_use]
    pub fn to_value(&self, name: &str) -> Value {
        json!({
            "id": name,
            "type": "Attribute",
            "attributeName": name,
            "attributeCount": self.entities,
            "attributeTypes": self.kinds,
            "typeNames": self.types,
        })
    }
}

/// Whether a URL names a version of the NGSI-LD core context.
#[must_use]
pub fn is_core_context(url: &str) -> bool {
    url.strip_prefix("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context")
        .is_some_and(|rest| rest.ends_with(".jsonld"))
}

fn records(path: &Path) -> Result<Vec<Value>, LoadError> {
    let bytes = std::fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    match serde_json::from_slice(&bytes).map_err(|source| LoadError::Json { path: path.to_owned(), source })? {
        Value::Array(many) => Ok(many),
        one => Ok(vec![one]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &Value) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content.to_string()).unwrap();
        file
    }

    #[test]
    fn files_are_loaded_and_faults_are_named() {
        let mut tenant = Tenant::default();
        let core = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
        let record = json!({"id": "urn:a", "type": "A", "x": 1, "@context": ["https://example.org/c.jsonld", core]});
        tenant.load(file(&record).path()).unwrap();
        assert_eq!(tenant.entity("urn:a").unwrap().types(), ["A"]);
        assert_eq!(tenant.contexts(), ["https://example.org/c.jsonld"]);
        let twice = tenant.load(file(&json!([{"id": "urn:a", "type": "A"}])).path()).unwrap_err();
        assert!(twice.to_string().contains("the id `urn:a` stands twice"));
        let wrong = tenant.load(file(&json!([{"id": "urn:b", "type": "A"}, {"id": "urn:c"}])).path()).unwrap_err();
        assert!(wrong.to_string().contains("record 2: the entity `urn:c` has no `type`"), "{wrong}");
        assert!(matches!(tenant.load(Path::new("/does/not/exist")), Err(LoadError::Read { .. })));
    }

    #[test]
    fn types_and_attributes_are_counted() {
        let mut tenant = Tenant::default();
        tenant
            .load(
                file(&json!([{"id": "urn:a", "type": "A", "x": 1}, {"id": "urn:b", "type": ["A", "B"], "y": 1}]))
                    .path(),
            )
            .unwrap();
        assert_eq!(tenant.types().get("A").unwrap().entities, 2);
        assert_eq!(tenant.attributes().get("y").unwrap().types, ["A", "B"]);
        assert_eq!(tenant.attributes().get("x").unwrap().to_value("x")["attributeTypes"], json!(["Property"]));
    }

    #[test]
    fn the_present_ends_a_history_when_it_is_newer() {
        let values = json!({"id": "urn:a", "x": {"type": "Property", "values": [[1, "2026-03-01T00:00:00Z"]]}});
        let history = History::parse(&values).unwrap();
        for (at, expected) in [("2026-03-01T00:00:00Z", 1), ("2026-03-01T00:00:01Z", 2)] {
            let record = json!({"id": "urn:a", "type": "A", "x": {"value": 2, "observedAt": at}});
            let entity = Entity::parse(record).unwrap().0;
            let joined = history.with_present(&entity);
            assert_eq!(joined.attributes().next().unwrap().1.len(), expected, "{at}");
        }
    }
}
