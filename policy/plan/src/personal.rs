//! Which attributes are about persons, and what becomes of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is personal in a dataset. An entity with a type that is not marked is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Personal {
    /// What becomes of personal attributes.
    pub mode: PersonalMode,
    /// The marking of each entity type, by its expanded name.
    pub marking: BTreeMap<String, Marking>,
}

/// What becomes of personal attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonalMode {
    /// They are removed.
    Remove,
    /// Their values become pseudonyms of the agreement; what they carry beside the value is removed.
    Pseudonymise,
}

/// What is personal in entities of a type: some attributes, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Marking {
    /// Expanded names of the personal attributes, also of attributes of attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub personal: Vec<String>,
    /// Somebody looked, and no attribute is personal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub none: bool,
}

impl Personal {
    pub(crate) fn check(&self, types: &[String]) -> Result<(), (&'static str, String)> {
        if let Some(missing) = types.iter().find(|name| !self.marking.contains_key(*name)) {
            return Err(("personal.marking", format!("does not say what is personal in `{missing}`")));
        }
        for (name, marking) in &self.marking {
            if marking.none != marking.personal.is_empty() {
                let why = format!("must either list what is personal in `{name}` or say `none`");
                return Err(("personal.marking", why));
            }
        }
        Ok(())
    }
}
