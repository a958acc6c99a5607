//! Writing to a tenant (GS CIM 009, clause 5.6): what each operation makes of the entities that are there. Pure.

use serde_json::{Map, Value, json};

use crate::model::{Entity, instances, is_attribute, is_sub_attribute, value_of};
use crate::problem::{Problem, ProblemKind};
use crate::store::Tenant;

/// Stands for the removal of what it is the value of (clause 4.5.0).
const NULL: &str = "urn:ngsi-ld:null";

/// Which attributes were written, and which were not (clause 5.2.18).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Written.
    pub updated: Vec<String>,
    /// Not written, because there is no such attribute, or because there is one already.
    pub not_updated: Vec<String>,
}

impl Updated {
    /// The `UpdateResult` of a 207; `None` when everything was written.
    #[must_use]
    pub fn in_part(&self) -> Option<Value> {
        let not = |name: &String| json!({"attributeName": name, "reason": "it is there, or is not there"});
        let not: Vec<Value> = self.not_updated.iter().map(not).collect();
        (!not.is_empty()).then(|| json!({"updated": self.updated, "notUpdated": not}))
    }
}

/// How attributes are written to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// New ones are added, those that are there replaced.
    Append,
    /// New ones are added, those that are there stay.
    AppendNew,
    /// Those that are there are replaced.
    Update,
}

/// Adds an entity.
///
/// # Errors
/// `AlreadyExists`, or `BadRequestData` for what is no entity.
pub fn create(tenant: &mut Tenant, record: Value) -> Result<String, Problem> {
    let (entity, _) = Entity::parse(record).map_err(|error| Problem::bad(error.to_string()))?;
    if tenant.entity(entity.id()).is_some() {
        let detail = format!("there is an entity `{}` already", entity.id());
        return Err(Problem::new(ProblemKind::AlreadyExists, detail));
    }
    let id = entity.id().to_owned();
    tenant.put(entity);
    Ok(id)
}

/// Puts an entity in the place of the one with its id.
///
/// # Errors
/// `BadRequestData` for what is no entity.
pub fn replace(tenant: &mut Tenant, record: Value) -> Result<(), Problem> {
    let Value::Object(members) = record else { return Err(Problem::bad("an entity is a JSON object")) };
    put(tenant, members)
}

/// Writes whole attributes to an entity.
///
/// # Errors
/// `ResourceNotFound` for an entity that is not there, `BadRequestData` for what are no attributes.
pub fn attributes(tenant: &mut Tenant, id: &str, part: Value, mode: Mode) -> Result<Updated, Problem> {
    let mut members = found(tenant, id)?.members().clone();
    let part = normalized(part)?;
    let mut done = Updated::default();
    for (name, value) in part {
        let there = members.contains_key(&name);
        if is_attribute(&name) && ((mode == Mode::Update && !there) || (mode == Mode::AppendNew && there)) {
            done.not_updated.push(name);
            continue;
        }
        done.updated.push(name.clone());
        if value_of(&value).and_then(Value::as_str) == Some(NULL) {
            members.remove(&name);
            continue;
        }
        let value = match members.remove(&name).filter(|_| is_attribute(&name)) {
            Some(old) => joined(old, value),
            None => value,
        };
        members.insert(name, value);
    }
    put(tenant, members)?;
    Ok(done)
}

/// Writes a part of one attribute.
///
/// # Errors
/// `ResourceNotFound` for an entity or attribute that is not there, `BadRequestData` for what is no part of one.
pub fn part(tenant: &mut Tenant, id: &str, name: &str, part: Value) -> Result<(), Problem> {
    let mut members = found(tenant, id)?.members().clone();
    let Value::Object(part) = part else { return Err(Problem::bad("a part of an attribute is a JSON object")) };
    let dataset = part.get("datasetId").cloned();
    let attribute = members.get_mut(name).filter(|_| is_attribute(name)).ok_or_else(|| no_attribute(id, name))?;
    let many = match attribute {
        Value::Array(many) => many.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    let instance = many.iter_mut().find(|one| one.get("datasetId") == dataset.as_ref());
    merged(instance.ok_or_else(|| no_attribute(id, name))?, &Value::Object(part));
    put(tenant, members)
}

/// Merges an entity with what is given.
///
/// # Errors
/// `ResourceNotFound` for an entity that is not there, `BadRequestData` for what is no part of one.
pub fn merge(tenant: &mut Tenant, id: &str, part: Value) -> Result<(), Problem> {
    let mut members = found(tenant, id)?.members().clone();
    let Value::Object(part) = part else { return Err(Problem::bad("a part of an entity is a JSON object")) };
    for (name, value) in part {
        match members.get_mut(&name).filter(|_| is_attribute(&name)) {
            Some(_) if removes(&value) => drop(members.remove(&name)),
            Some(old) if old.is_object() && value.is_object() => merged(old, &value),
            _ if removes(&value) => {}
            _ => {
                for (name, value) in normalized(json!({ name: value }))? {
                    members.insert(name, value);
                }
            }
        }
    }
    put(tenant, members)
}

/// Removes an attribute: the instance of this `datasetId`, or the one without.
///
/// # Errors
/// `ResourceNotFound`.
pub fn remove_attribute(tenant: &mut Tenant, id: &str, name: &str, dataset: Option<&str>) -> Result<(), Problem> {
    let mut members = found(tenant, id)?.members().clone();
    let held = members.remove(name).filter(|_| is_attribute(name)).ok_or_else(|| no_attribute(id, name))?;
    let of = |one: &&Value| one.get("datasetId").and_then(Value::as_str) == dataset;
    let kept: Vec<Value> = instances(&held).iter().filter(|one| !of(one)).cloned().collect();
    if kept.len() == instances(&held).len() {
        return Err(no_attribute(id, name));
    }
    if !kept.is_empty() {
        members.insert(name.to_owned(), Value::Array(kept));
    }
    put(tenant, members)
}

/// Removes an entity.
///
/// # Errors
/// `ResourceNotFound`.
pub fn remove(tenant: &mut Tenant, id: &str) -> Result<(), Problem> {
    if tenant.remove(id) { Ok(()) } else { Err(no_entity(id)) }
}

fn found<'a>(tenant: &'a Tenant, id: &str) -> Result<&'a Entity, Problem> {
    tenant.entity(id).ok_or_else(|| no_entity(id))
}

fn put(tenant: &mut Tenant, members: Map<String, Value>) -> Result<(), Problem> {
    let (entity, _) = Entity::parse(Value::Object(members)).map_err(|error| Problem::bad(error.to_string()))?;
    tenant.put(entity);
    Ok(())
}

/// The members of a part of an entity but its id, in normalized form.
fn normalized(part: Value) -> Result<Map<String, Value>, Problem> {
    let Value::Object(mut part) = part else { return Err(Problem::bad("a part of an entity is a JSON object")) };
    let typed = part.contains_key("type") || part.contains_key("@type");
    part.insert("id".to_owned(), "urn:part".into());
    if !typed {
        part.insert("type".to_owned(), "Part".into());
    }
    let (entity, _) = Entity::parse(Value::Object(part)).map_err(|error| Problem::bad(error.to_string()))?;
    let mut members = entity.members().clone();
    members.remove("id");
    if !typed {
        members.remove("type");
    }
    Ok(members)
}

/// An attribute with instances replaced by those of the same `datasetId`.
fn joined(old: Value, new: Value) -> Value {
    let new = instances(&new).to_vec();
    let mut all: Vec<Value> = instances(&old)
        .iter()
        .filter(|one| !new.iter().any(|other| other.get("datasetId") == one.get("datasetId")))
        .cloned()
        .collect();
    all.extend(new);
    match (all.len(), all.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            all.extend(last);
            Value::Array(all)
        }
    }
}

fn merged(old: &mut Value, part: &Value) {
    let (Value::Object(old), Value::Object(part)) = (old, part) else { return };
    for (name, value) in part {
        match old.get_mut(name) {
            _ if removes(value) => drop(old.remove(name)),
            Some(held) if is_sub_attribute(name) && held.is_object() && value.is_object() => merged(held, value),
            _ => drop(old.insert(name.clone(), value.clone())),
        }
    }
}

fn removes(value: &Value) -> bool {
    value.as_str() == Some(NULL) || value_of(value).and_then(Value::as_str) == Some(NULL)
}

fn no_entity(id: &str) -> Problem {
    Problem::new(ProblemKind::ResourceNotFound, format!("there is no entity `{id}`"))
}

fn no_attribute(id: &str, name: &str) -> Problem {
    Problem::new(ProblemKind::ResourceNotFound, format!("the entity `{id}` has no such attribute `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> Tenant {
        let mut tenant = Tenant::default();
        let speed =
            json!([{"type": "Property", "value": 50}, {"type": "Property", "value": 52, "datasetId": "urn:gps"}]);
        create(&mut tenant, json!({"id": "urn:a", "type": "A", "x": {"value": 1, "unitCode": "GQ"}, "speed": speed}))
            .unwrap();
        tenant
    }

    fn held(tenant: &Tenant) -> Value {
        Value::Object(tenant.entity("urn:a").unwrap().members().clone())
    }

    #[test]
    fn entities_come_and_go() {
        let mut tenant = tenant();
        let again = create(&mut tenant, json!({"id": "urn:a", "type": "A"})).unwrap_err();
        assert_eq!(again.kind(), ProblemKind::AlreadyExists);
        create(&mut tenant, json!({"id": "urn:b", "type": "B"})).unwrap();
        remove(&mut tenant, "urn:a").unwrap();
        assert!(tenant.entity("urn:a").is_none() && tenant.entity("urn:b").is_some());
        assert_eq!(remove(&mut tenant, "urn:a").unwrap_err().kind(), ProblemKind::ResourceNotFound);
        assert_eq!(tenant.entities().len(), 1);
    }

    #[test]
    fn attributes_are_added_replaced_or_left() {
        for (mode, updated, x) in [(Mode::Append, 2, 7), (Mode::AppendNew, 1, 1), (Mode::Update, 1, 7)] {
            let mut tenant = tenant();
            let done = attributes(&mut tenant, "urn:a", json!({"x": 7, "y": 8}), mode).unwrap();
            assert_eq!(done.updated.len(), updated, "{mode:?}");
            assert_eq!(held(&tenant)["x"]["value"], x, "{mode:?}");
            assert_eq!(held(&tenant).get("y").is_some(), mode != Mode::Update);
            assert_eq!(done.in_part().is_some(), mode != Mode::Append);
        }
        let mut tenant = tenant();
        let one = json!({"speed": {"type": "Property", "value": 60, "datasetId": "urn:gps"}});
        attributes(&mut tenant, "urn:a", one, Mode::Update).unwrap();
        assert_eq!(
            (&held(&tenant)["speed"][0]["value"], &held(&tenant)["speed"][1]["value"]),
            (&json!(50), &json!(60))
        );
        attributes(&mut tenant, "urn:a", json!({"x": {"type": "Property", "value": NULL}}), Mode::Update).unwrap();
        assert!(held(&tenant).get("x").is_none());
    }

    #[test]
    fn parts_are_merged() {
        let mut tenant = tenant();
        part(&mut tenant, "urn:a", "x", json!({"value": 2})).unwrap();
        assert_eq!(held(&tenant)["x"], json!({"type": "Property", "value": 2, "unitCode": "GQ"}));
        part(&mut tenant, "urn:a", "x", json!({"unitCode": NULL})).unwrap();
        assert_eq!(held(&tenant)["x"], json!({"type": "Property", "value": 2}));
        merge(&mut tenant, "urn:a", json!({"x": {"value": 3}, "y": {"value": 4}, "speed": NULL})).unwrap();
        let now = held(&tenant);
        assert_eq!(
            (&now["x"]["value"], &now["y"], now.get("speed")),
            (&json!(3), &json!({"type": "Property", "value": 4}), None)
        );
        assert!(part(&mut tenant, "urn:a", "none", json!({})).is_err());
        remove_attribute(&mut tenant, "urn:a", "x", None).unwrap();
        assert!(remove_attribute(&mut tenant, "urn:a", "x", None).is_err());
        assert!(remove_attribute(&mut tenant, "urn:a", "type", None).is_err());
    }
}
