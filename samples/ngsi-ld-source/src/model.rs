//! The entity as it is held: normalized members (GS CIM 009, clause 4.5), read once from a file and never changed.

use serde_json::{Map, Value, json};

/// The `type` words that make an object an attribute in normalized form.
const KINDS: [&str; 8] = [
    "Property",
    "GeoProperty",
    "Relationship",
    "LanguageProperty",
    "VocabProperty",
    "JsonProperty",
    "ListProperty",
    "ListRelationship",
];

/// The geometry types of GeoJSON that a GeoProperty may hold.
pub const GEOMETRIES: [&str; 6] = ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"];

/// For each member that carries a value, the attribute kind that it implies.
const VALUE_MEMBERS: [(&str, &str); 7] = [
    ("value", "Property"),
    ("object", "Relationship"),
    ("languageMap", "LanguageProperty"),
    ("vocab", "VocabProperty"),
    ("json", "JsonProperty"),
    ("valueList", "ListProperty"),
    ("objectList", "ListRelationship"),
];

/// Members of an entity that are not attributes.
const ENTITY_MEMBERS: [&str; 8] =
    ["id", "type", "scope", "@context", "createdAt", "modifiedAt", "deletedAt", "expiresAt"];

/// Members of an attribute that are not sub-attributes.
const ATTRIBUTE_MEMBERS: [&str; 20] = [
    "type",
    "value",
    "object",
    "objectType",
    "languageMap",
    "vocab",
    "json",
    "valueList",
    "objectList",
    "datasetId",
    "observedAt",
    "unitCode",
    "valueType",
    "lang",
    "instanceId",
    "createdAt",
    "modifiedAt",
    "deletedAt",
    "expiresAt",
    "ngsildproof",
];

/// Whether an entity's member is an attribute.
#[must_use]
pub fn is_attribute(member: &str) -> bool {
    !ENTITY_MEMBERS.contains(&member)
}

/// Whether an attribute's member is an attribute of its own.
#[must_use]
pub fn is_sub_attribute(member: &str) -> bool {
    !ATTRIBUTE_MEMBERS.contains(&member)
}

/// The vocabulary of terms that no context defines: under every context its names mean the same, short and in full.
const DEFAULT: &str = "https://uri.etsi.org/ngsi-ld/default-context/";

/// The short spelling of a name of the default vocabulary; other names as they are.
#[must_use]
pub fn compact(name: &str) -> &str {
    name.strip_prefix(DEFAULT).unwrap_or(name)
}

/// Why a record cannot be held as an entity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityError {
    /// The record is not a JSON object.
    #[error("an entity is a JSON object")]
    NotAnObject,
    /// The record has no `id` string.
    #[error("an entity has an `id` that is a URI")]
    NoId,
    /// The record has no `type`.
    #[error("the entity `{0}` has no `type`")]
    NoType(String),
}

/// An entity in normalized form.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    id: String,
    types: Vec<String>,
    members: Map<String, Value>,
}

impl Entity {
    /// Reads an entity in any representation of the standard; an `@context` is taken off and given back.
    ///
    /// # Errors
    /// When `id` or `type` is missing.
    pub fn parse(record: Value) -> Result<(Self, Option<Value>), EntityError> {
        let Value::Object(record) = record else { return Err(EntityError::NotAnObject) };
        let mut members = Map::new();
        let mut context = None;
        for (name, value) in record {
            match name.as_str() {
                "@context" => context = Some(value),
                "@id" => drop(members.insert("id".to_owned(), value)),
                "@type" => drop(members.insert("type".to_owned(), value)),
                other if is_attribute(other) => drop(members.insert(name, normalized(value))),
                _ => drop(members.insert(name, value)),
            }
        }
        let id = members.get("id").and_then(Value::as_str).ok_or(EntityError::NoId)?.to_owned();
        let types = strings(members.get("type"));
        if types.is_empty() {
            return Err(EntityError::NoType(id));
        }
        Ok((Self { id, types, members }, context))
    }

    /// The entity's URI.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The entity's types, at least one.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The entity's scopes, often none.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        strings(self.members.get("scope"))
    }

    /// All members in normalized form.
    #[must_use]
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// All members, to change.
    pub const fn members_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.members
    }

    /// The names of the attributes, in the file's order.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str).filter(|name| is_attribute(name))
    }

    /// The instances of an attribute: none when the entity lacks it, several when they differ by `datasetId`.
    #[must_use]
    pub fn instances(&self, name: &str) -> &[Value] {
        if is_attribute(name) { self.members.get(name).map_or(&[], instances) } else { &[] }
    }
}

/// The instances of an attribute: itself, or the members of an array.
#[must_use]
pub fn instances(attribute: &Value) -> &[Value] {
    match attribute {
        Value::Array(many) => many,
        one => std::slice::from_ref(one),
    }
}

/// What an attribute instance says: the member that holds its value.
#[must_use]
pub fn value_of(instance: &Value) -> Option<&Value> {
    VALUE_MEMBERS.iter().find_map(|(member, _)| instance.get(member))
}

/// One string or an array of strings.
#[must_use]
pub fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Turns the concise or simplified form of an attribute into the normalized one (GS CIM 009, clause 4.5.1).
fn normalized(value: Value) -> Value {
    match value {
        Value::Array(many) if many.iter().any(is_wrapper) => many.into_iter().map(normalized).collect(),
        Value::Object(mut object) => {
            let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
            if KINDS.contains(&kind) {
                sub_attributes_normalized(&mut object);
                return Value::Object(object);
            }
            if GEOMETRIES.contains(&kind) {
                return json!({"type": "GeoProperty", "value": object});
            }
            let implied = VALUE_MEMBERS.iter().find(|(member, _)| object.contains_key(*member));
            let Some((member, implied)) = implied.filter(|_| kind.is_empty()) else {
                return json!({"type": "Property", "value": object});
            };
            let is_geometry = *member == "value"
                && object
                    .get("value")
                    .and_then(|value| value.get("type"))
                    .and_then(Value::as_str)
                    .is_some_and(|kind| GEOMETRIES.contains(&kind));
            let kind = if is_geometry { "GeoProperty" } else { implied };
            sub_attributes_normalized(&mut object);
            let mut with_type = Map::from_iter([("type".to_owned(), Value::from(kind))]);
            with_type.append(&mut object);
            Value::Object(with_type)
        }
        plain => json!({"type": "Property", "value": plain}),
    }
}

fn sub_attributes_normalized(attribute: &mut Map<String, Value>) {
    for (name, value) in attribute.iter_mut() {
        if is_sub_attribute(name) {
            *value = normalized(value.take());
        }
    }
}

fn is_wrapper(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    KINDS.contains(&kind) || (kind.is_empty() && VALUE_MEMBERS.iter().any(|(member, _)| value.get(member).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(record: Value) -> Entity {
        Entity::parse(record).unwrap().0
    }

    #[test]
    fn every_representation_is_held_as_normalized() {
        let point = json!({"type": "Point", "coordinates": [7.0, 49.0]});
        let table = [
            (json!(41), json!({"type": "Property", "value": 41})),
            (json!({"value": 41, "unitCode": "GQ"}), json!({"type": "Property", "value": 41, "unitCode": "GQ"})),
            (point.clone(), json!({"type": "GeoProperty", "value": point})),
            (json!({"value": point}), json!({"type": "GeoProperty", "value": point})),
            (json!({"object": "urn:a"}), json!({"type": "Relationship", "object": "urn:a"})),
            (json!({"languageMap": {"en": "x"}}), json!({"type": "LanguageProperty", "languageMap": {"en": "x"}})),
            (
                json!({"type": "PostalAddress", "streetAddress": "x"}),
                json!({"type": "Property", "value": {"type": "PostalAddress", "streetAddress": "x"}}),
            ),
            (json!([1, 2]), json!({"type": "Property", "value": [1, 2]})),
            (
                json!({"type": "Property", "value": 1, "accuracy": 0.9}),
                json!({"type": "Property", "value": 1, "accuracy": {"type": "Property", "value": 0.9}}),
            ),
            (
                json!([{"value": 1}, {"value": 2, "datasetId": "urn:gps"}]),
                json!([{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:gps"}]),
            ),
        ];
        for (given, expected) in table {
            let held = entity(json!({"id": "urn:x", "type": "T", "a": given}));
            assert_eq!(held.members().get("a"), Some(&expected), "for {given}");
        }
    }

    #[test]
    fn a_record_without_id_or_type_is_refused() {
        assert_eq!(Entity::parse(json!([])).unwrap_err(), EntityError::NotAnObject);
        assert_eq!(Entity::parse(json!({"type": "T"})).unwrap_err(), EntityError::NoId);
        assert_eq!(Entity::parse(json!({"id": "urn:x"})).unwrap_err(), EntityError::NoType("urn:x".to_owned()));
    }

    #[test]
    fn at_forms_and_context_are_understood() {
        let record = json!({"@id": "urn:x", "@type": ["A", "B"], "@context": ["https://example.org/c"], "scope": "/a"});
        let (held, context) = Entity::parse(record).unwrap();
        assert_eq!(held.types(), ["A", "B"]);
        assert_eq!(held.scopes(), ["/a"]);
        assert_eq!(context, Some(json!(["https://example.org/c"])));
        assert_eq!(held.attribute_names().count(), 0);
    }

    #[test]
    fn instances_are_found_for_one_and_for_many() {
        let held = entity(json!({"id": "urn:x", "type": "T", "a": 1, "b": [{"value": 1}, {"value": 2}]}));
        assert_eq!(held.instances("a").len(), 1);
        assert_eq!(held.instances("b").len(), 2);
        assert_eq!(held.instances("c").len(), 0);
        assert_eq!(held.instances("type").len(), 0);
        assert_eq!(value_of(&held.instances("b")[1]), Some(&json!(2)));
    }
}
