//! What a flow may show of NGSI-LD entities: types, ids, attributes, and how exactly. Names are expanded IRIs, because a
//! short name means what its context says (ETSI GS CIM 009, 5.5.7).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::personal::{Personal, PersonalMode};
use crate::row::Rows;
use crate::window::Window;

/// Most types, attributes, id patterns, sub-attributes or contexts of one selection.
const MAX_ITEMS: usize = 1000;
/// Most terms of one context.
const MAX_TERMS: usize = 20_000;
/// Longest name, pattern or address, in bytes.
const MAX_NAME_BYTES: usize = 2048;
/// Limits of the longest entity, in bytes.
pub(crate) const ENTITY_BYTES: std::ops::RangeInclusive<u32> = 1024..=64 * 1024 * 1024;
/// Most decimals of a coordinate; seven are about a centimetre.
const MAX_DECIMALS: u8 = 15;

/// What of the entities of a source a flow may show. Whatever is not named is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// Entity types, expanded. An entity with none of them is dropped; of several types only these are shown.
    pub types: Vec<String>,
    /// Patterns of entity ids; `*` stands for any characters. `None` admits every id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// The attributes that pass.
    pub attributes: Vec<AttributeRule>,
    /// Members of entities and attributes beside their values that pass.
    #[serde(default = "default_members")]
    pub members: BTreeSet<Member>,
    /// The contexts beside the core context that answers may be written in, and what they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<NamedContext>,
    /// The address of the context of an answer that names none. `None` refuses such answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_context: Option<String>,
    /// Decimals that coordinates keep, in every geometry. `None` keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinate_decimals: Option<u8>,
    /// Entity ids and targets of relationships become pseudonyms.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pseudonymous_ids: bool,
    /// The key of the pseudonyms, of this agreement alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pseudonym_key: Option<PseudonymKey>,
    /// Which entities pass, by what they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// Which moments are shown, and how exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Window>,
    /// What is personal, and what becomes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal>,
    /// Longest entity in bytes; a longer one ends the answer with an error.
    #[serde(default = "default_entity_bytes")]
    pub max_entity_bytes: u32,
}

/// An attribute that passes, and what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttributeRule {
    /// The expanded name.
    pub name: String,
    /// Expanded names of attributes of this attribute that pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<String>,
    /// Languages of a language map that pass, `@none` among them. `None` lets all pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// Values of `datasetId` that pass, `@none` for the instance without one. `None` lets all pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_ids: Option<Vec<String>>,
    /// The values become pseudonyms.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pseudonym: bool,
    /// The attribute does not change with time, so that `time` says nothing about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timeless: bool,
}

/// A context under its address, as the terms that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedContext {
    /// The address that answers name.
    pub url: String,
    /// Terms and what they expand to. All terms of the context should stand here: a term that does not is read as one of
    /// the default vocabulary, as NGSI-LD wants it.
    pub terms: BTreeMap<String, String>,
}

/// A member of an entity or attribute that is not the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Member {
    /// When a value was observed.
    ObservedAt,
    /// The unit of a value.
    UnitCode,
    /// The language that was asked for.
    Lang,
    /// The data type of a value.
    ValueType,
    /// The entity type of a relationship's target.
    ObjectType,
    /// The scope of an entity.
    Scope,
    /// The id of a temporal instance.
    InstanceId,
    /// System time of the creation.
    CreatedAt,
    /// System time of the last change.
    ModifiedAt,
    /// System time of the deletion.
    DeletedAt,
    /// When something expires.
    ExpiresAt,
}

impl Member {
    /// The member with this name in a document.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"observedAt" => Self::ObservedAt,
            b"unitCode" => Self::UnitCode,
            b"lang" => Self::Lang,
            b"valueType" => Self::ValueType,
            b"objectType" => Self::ObjectType,
            b"scope" => Self::Scope,
            b"instanceId" => Self::InstanceId,
            b"createdAt" => Self::CreatedAt,
            b"modifiedAt" => Self::ModifiedAt,
            b"deletedAt" => Self::DeletedAt,
            b"expiresAt" => Self::ExpiresAt,
            _ => return None,
        })
    }
}

/// A key of 32 bytes, in lower case hexadecimal. It is not shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PseudonymKey(String);

impl PseudonymKey {
    /// Takes 32 bytes as a key.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The bytes of the key; `None` when it is not one.
    #[must_use]
    pub fn bytes(&self) -> Option<[u8; 32]> {
        let mut out = [0_u8; 32];
        if self.0.len() != 64 {
            return None;
        }
        for (place, pair) in out.iter_mut().zip(self.0.as_bytes().chunks_exact(2)) {
            *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(out)
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PseudonymKey(..)")
    }
}

impl Selection {
    /// Whether the selection needs a key for pseudonyms.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        self.pseudonymous_ids
            || self.attributes.iter().any(|attribute| attribute.pseudonym)
            || self.personal.as_ref().is_some_and(|personal| personal.mode == PersonalMode::Pseudonymise)
    }

    /// Whether values or ids are shown in another form than the source has them in, so that what is shown cannot be written back.
    #[must_use]
    pub fn veils(&self) -> bool {
        let coarse = self.time.as_ref().is_some_and(|time| time.resolution_seconds.is_some());
        self.needs_key() || self.coordinate_decimals.is_some() || coarse
    }

    /// The first member that is not as it must be, with the reason. The key is not looked at.
    ///
    /// # Errors
    /// Name of the member below `selection`, and a sentence.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.types.is_empty() {
            return Err(("types", "must not be empty".to_owned()));
        }
        iris("types", self.types.iter())?;
        iris("attributes", self.attributes.iter().map(|attribute| &attribute.name))?;
        for attribute in &self.attributes {
            iris("attributes.subAttributes", attribute.sub_attributes.iter())?;
            for list in [&attribute.languages, &attribute.dataset_ids].into_iter().flatten() {
                names("attributes", list.iter())?;
            }
        }
        for pattern in self.ids.iter() {
            names("ids", pattern.iter())?;
        }
        self.check_contexts()?;
        self.rows.as_ref().map_or(Ok(()), Rows::check)?;
        self.check_time()?;
        self.check_personal()?;
        if self.coordinate_decimals.is_some_and(|decimals| decimals > MAX_DECIMALS) {
            return Err(("coordinateDecimals", format!("must be at most {MAX_DECIMALS}")));
        }
        if !ENTITY_BYTES.contains(&self.max_entity_bytes) {
            let (least, most) = (ENTITY_BYTES.start(), ENTITY_BYTES.end());
            return Err(("maxEntityBytes", format!("must be between {least} and {most}")));
        }
        Ok(())
    }

    fn check_time(&self) -> Result<(), (&'static str, String)> {
        let Some(time) = &self.time else {
            return match self.attributes.iter().find(|attribute| attribute.timeless) {
                Some(rule) => Err(("attributes.timeless", format!("of `{}` means nothing without `time`", rule.name))),
                None => Ok(()),
            };
        };
        time.check()?;
        if self.attributes.iter().all(|attribute| attribute.timeless) {
            return Err(("time", "is about no attribute: all are timeless".to_owned()));
        }
        Ok(())
    }

    fn check_personal(&self) -> Result<(), (&'static str, String)> {
        let Some(personal) = &self.personal else { return Ok(()) };
        iris("personal.marking", personal.marking.keys())?;
        for marking in personal.marking.values() {
            iris("personal.marking", marking.personal.iter())?;
        }
        personal.check(&self.types)
    }

    fn check_contexts(&self) -> Result<(), (&'static str, String)> {
        check_contexts(&self.contexts)?;
        match &self.assumed_context {
            Some(url) if !is_iri(url) => Err(("assumedContext", "must be an address".to_owned())),
            _ => Ok(()),
        }
    }
}

/// Checks contexts under the member `contexts`.
pub(crate) fn check_contexts(contexts: &[NamedContext]) -> Result<(), (&'static str, String)> {
    iris("contexts.url", contexts.iter().map(|context| &context.url))?;
    for context in contexts {
        if context.terms.len() > MAX_TERMS {
            return Err(("contexts.terms", format!("has more than {MAX_TERMS} terms")));
        }
        for (term, iri) in &context.terms {
            if term.is_empty() || term.len() > MAX_NAME_BYTES || term.contains(['@', ':']) || !is_iri(iri) {
                return Err(("contexts.terms", format!("holds `{term}`, which is no plain term with its IRI")));
            }
        }
    }
    Ok(())
}

/// A name that is whole: with a scheme, and without what query languages use to separate names.
pub(crate) fn is_iri(text: &str) -> bool {
    let scheme = text.split(':').next().unwrap_or_default();
    text.len() <= MAX_NAME_BYTES
        && text.len() > scheme.len() + 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        && !text.contains([',', ';', '(', ')', '|', '"', '\\', '<', '>', '{', '}', ' '])
        && !text.chars().any(char::is_control)
}

pub(crate) fn iris<'a>(
    member: &'static str,
    list: impl ExactSizeIterator<Item = &'a String>,
) -> Result<(), (&'static str, String)> {
    let mut seen = BTreeSet::new();
    if list.len() > MAX_ITEMS {
        return Err((member, format!("has more than {MAX_ITEMS} items")));
    }
    for name in list {
        if !is_iri(name) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err((member, format!("holds `{shown}`, which is no expanded name")));
        }
        if !seen.insert(name) {
            return Err((member, format!("names `{name}` twice")));
        }
    }
    Ok(())
}

pub(crate) fn names<'a>(
    member: &'static str,
    list: impl ExactSizeIterator<Item = &'a String>,
) -> Result<(), (&'static str, String)> {
    if list.len() > MAX_ITEMS {
        return Err((member, format!("has more than {MAX_ITEMS} items")));
    }
    for name in list {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err((member, "holds a text that is empty, too long or has control characters".to_owned()));
        }
    }
    Ok(())
}

fn default_members() -> BTreeSet<Member> {
    BTreeSet::from([Member::ObservedAt, Member::UnitCode, Member::Lang, Member::ValueType, Member::ObjectType])
}

fn default_entity_bytes() -> u32 {
    1024 * 1024
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Selection, String> {
        let selection: Selection = serde_json::from_value(value).map_err(|error| error.to_string())?;
        selection.check().map_err(|(member, why)| format!("`{member}` {why}"))?;
        Ok(selection)
    }

    #[test]
    fn the_short_form_has_safe_defaults() {
        let selection = read(json!({"types": ["https://a/T"], "attributes": [{"name": "https://a/no2"}]})).unwrap();
        assert!(!selection.members.contains(&Member::ModifiedAt) && selection.members.contains(&Member::UnitCode));
        assert_eq!(selection.max_entity_bytes, 1 << 20);
        assert!(!selection.needs_key());
        let text = serde_json::to_string(&selection).unwrap();
        assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), selection);
    }

    #[test]
    fn faults_are_named() {
        for (value, named) in [
            (json!({"types": [], "attributes": []}), "types"),
            (json!({"types": ["Thing"], "attributes": []}), "no expanded name"),
            (json!({"types": ["https://a/T,b"], "attributes": []}), "types"),
            (json!({"types": ["https://a/T", "https://a/T"], "attributes": []}), "twice"),
            (json!({"types": ["https://a/T"], "attributes": [{"name": "no2"}]}), "attributes"),
            (json!({"types": ["https://a/T"], "attributes": [], "ids": [""]}), "ids"),
            (json!({"types": ["https://a/T"], "attributes": [], "coordinateDecimals": 16}), "coordinateDecimals"),
            (json!({"types": ["https://a/T"], "attributes": [], "maxEntityBytes": 1}), "maxEntityBytes"),
            (json!({"types": ["https://a/T"], "attributes": [], "members": ["value"]}), "unknown variant"),
            (json!({"types": ["https://a/T"], "attributes": [], "rowz": "x"}), "unknown field"),
            (json!({"types": ["https://a/T"], "attributes": [], "rows": {"q": "no2>1"}}), "rows.q"),
            (json!({"types": ["https://a/T"], "attributes": [], "rows": {}}), "rows"),
            (json!({"types": ["https://a/T"], "attributes": [], "time": {"maxAgeSeconds": 5}}), "time"),
            (
                json!({"types": ["https://a/T"], "attributes": [{"name": "https://a/b", "timeless": true}]}),
                "attributes.timeless",
            ),
            (
                json!({"types": ["https://a/T"], "attributes": [], "personal": {"mode": "remove", "marking": {}}}),
                "personal.marking",
            ),
            (
                json!({"types": ["https://a/T"], "attributes": [],
                    "personal": {"mode": "remove", "marking": {"https://a/T": {}}}}),
                "personal.marking",
            ),
            (
                json!({"types": ["https://a/T"], "attributes": [],
                    "personal": {"mode": "remove", "marking": {"https://a/T": {"none": true, "personal": ["https://a/x"]}}}}),
                "personal.marking",
            ),
            (
                json!({"types": ["https://a/T"], "attributes": [],
                    "personal": {"mode": "hide", "marking": {"https://a/T": {"none": true}}}}),
                "unknown variant",
            ),
            (
                json!({"types": ["https://a/T"], "attributes": [],
                    "contexts": [{"url": "https://a/c", "terms": {"@vocab": "https://a/"}}]}),
                "contexts.terms",
            ),
        ] {
            let refusal = read(value.clone()).unwrap_err();
            assert!(refusal.contains(named), "{value}: {refusal}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = PseudonymKey::new([0xab; 32]);
        assert_eq!(format!("{key:?}"), "PseudonymKey(..)");
        assert_eq!(key.bytes(), Some([0xab; 32]));
        assert_eq!(PseudonymKey("ab".into()).bytes(), None);
    }
}
