//! What a flow may write to an NGSI-LD broker. Nothing, unless a dataset says so and the agreement permits it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Residual;
use crate::selection::{ENTITY_BYTES, Member, NamedContext, check_contexts, iris, names};

/// Most entities of one batch that may be admitted.
const MAX_ENTITIES: u32 = 1000;
/// Members beside values that somebody can write; the broker makes the others itself.
const WRITABLE: [Member; 5] =
    [Member::ObservedAt, Member::UnitCode, Member::ObjectType, Member::Scope, Member::ExpiresAt];

/// What of a source a flow may write. Whatever is not named is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Writing {
    /// What may be done.
    pub operations: BTreeSet<Operation>,
    /// Types of entities, expanded. Every type of an entity must be among them.
    pub types: Vec<String>,
    /// Patterns of entity ids; `*` stands for any characters. `None` admits every id, which only entities that are there
    /// already may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// The attributes that may be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<WritableAttribute>,
    /// Members of entities and attributes beside their values that may be written.
    #[serde(default = "default_members")]
    pub members: BTreeSet<Member>,
    /// The contexts beside the core context that requests may be written in, and what they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<NamedContext>,
    /// Longest entity of a request in bytes.
    #[serde(default = "default_entity_bytes")]
    pub max_entity_bytes: u32,
    /// Most entities of one batch.
    #[serde(default = "default_entities")]
    pub max_entities: u32,
}

/// Something that may be done to entities (ETSI GS CIM 009, 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// New entities.
    Create,
    /// Attributes that an entity does not have yet; with `patch` also those that it has, which are written anew.
    Append,
    /// Attributes that an entity has are written anew, or in part.
    Patch,
    /// Entities are merged with what is sent.
    Merge,
    /// A batch of entities, of which those that are there are updated and the others are new.
    Upsert,
    /// Attributes are removed, or parts of them by `urn:ngsi-ld:null`.
    Delete,
    /// Entities are removed, with all that they have.
    DeleteEntity,
}

impl Operation {
    /// The name in a dataset.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Append => "append",
            Self::Patch => "patch",
            Self::Merge => "merge",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::DeleteEntity => "deleteEntity",
        }
    }
}

/// An attribute that may be written, and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WritableAttribute {
    /// The expanded name.
    pub name: String,
    /// Expanded names of attributes of this attribute that may be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<String>,
    /// Values of `datasetId` that may be written, `@none` for the instance without one. `None` admits that one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_ids: Option<Vec<String>>,
}

/// The part of a plan that says what may be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WritingPlan {
    /// What the dataset lets be written.
    pub what: Writing,
    /// What is left of the agreement's policy for a write. It decides alone: what holds for use is in it.
    pub rules: Residual,
}

impl Writing {
    /// Whether the operation is named.
    #[must_use]
    pub fn admits(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    /// The first member that is not as it must be, with the reason.
    ///
    /// # Errors
    /// Name of the member below `writing`, and a sentence.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.operations.is_empty() {
            return Err(("operations", "must not be empty".to_owned()));
        }
        if self.types.is_empty() {
            return Err(("types", "must not be empty".to_owned()));
        }
        iris("types", self.types.iter())?;
        iris("attributes", self.attributes.iter().map(|attribute| &attribute.name))?;
        for attribute in &self.attributes {
            iris("attributes.subAttributes", attribute.sub_attributes.iter())?;
            if let Some(list) = &attribute.dataset_ids {
                names("attributes.datasetIds", list.iter())?;
            }
        }
        if let Some(patterns) = &self.ids {
            names("ids", patterns.iter())?;
        } else if self.admits(Operation::Create) || self.admits(Operation::Upsert) {
            // Whoever creates an entity learns whether its id is taken, also by one that is hidden.
            return Err(("ids", "must be there where entities may be created".to_owned()));
        }
        if let Some(member) = self.members.iter().find(|member| !WRITABLE.contains(member)) {
            return Err(("members", format!("holds {member:?}, which the broker makes itself")));
        }
        check_contexts(&self.contexts)?;
        if !ENTITY_BYTES.contains(&self.max_entity_bytes) {
            let (least, most) = (ENTITY_BYTES.start(), ENTITY_BYTES.end());
            return Err(("maxEntityBytes", format!("must be between {least} and {most}")));
        }
        if !(1..=MAX_ENTITIES).contains(&self.max_entities) {
            return Err(("maxEntities", format!("must be between 1 and {MAX_ENTITIES}")));
        }
        Ok(())
    }
}

fn default_members() -> BTreeSet<Member> {
    BTreeSet::from([Member::ObservedAt, Member::UnitCode, Member::ObjectType])
}

fn default_entity_bytes() -> u32 {
    64 * 1024
}

fn default_entities() -> u32 {
    100
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Writing, String> {
        let writing: Writing = serde_json::from_value(value).map_err(|error| error.to_string())?;
        writing.check().map_err(|(member, why)| format!("`{member}` {why}"))?;
        Ok(writing)
    }

    #[test]
    fn the_short_form_has_safe_defaults() {
        let writing =
            read(json!({"operations": ["patch"], "types": ["https://a/T"], "attributes": [{"name": "https://a/x"}]}))
                .unwrap();
        assert!(!writing.admits(Operation::Append) && !writing.members.contains(&Member::Scope));
        assert_eq!((writing.max_entities, writing.max_entity_bytes), (100, 1 << 16));
        let text = serde_json::to_string(&writing).unwrap();
        assert_eq!(serde_json::from_str::<Writing>(&text).unwrap(), writing);
    }

    #[test]
    fn faults_are_named() {
        let good = json!({"operations": ["patch"], "types": ["https://a/T"], "attributes": [{"name": "https://a/x"}]});
        for (pointer, value, named) in [
            ("operations", json!([]), "operations"),
            ("operations", json!(["replace"]), "unknown variant"),
            ("operations", json!(["create"]), "ids"),
            ("operations", json!(["upsert"]), "ids"),
            ("types", json!([]), "types"),
            ("types", json!(["Thing"]), "no expanded name"),
            ("attributes", json!([{"name": "x"}]), "attributes"),
            ("attributes", json!([{"name": "https://a/x", "subAttributes": ["y"]}]), "attributes.subAttributes"),
            ("attributes", json!([{"name": "https://a/x", "datasetIds": [""]}]), "attributes.datasetIds"),
            ("attributes", json!([{"name": "https://a/x", "pseudonym": true}]), "unknown field"),
            ("ids", json!([""]), "ids"),
            ("members", json!(["createdAt"]), "members"),
            ("members", json!(["value"]), "unknown variant"),
            ("contexts", json!([{"url": "https://a/c", "terms": {"@vocab": "https://a/"}}]), "contexts.terms"),
            ("maxEntityBytes", json!(1), "maxEntityBytes"),
            ("maxEntities", json!(0), "maxEntities"),
            ("maxEntities", json!(1001), "maxEntities"),
            ("rows", json!({}), "unknown field"),
        ] {
            let mut changed = good.clone();
            changed.as_object_mut().unwrap().insert(pointer.to_owned(), value.clone());
            let refusal = read(changed).unwrap_err();
            assert!(refusal.contains(named), "{pointer} = {value}: {refusal}");
        }
    }
}
