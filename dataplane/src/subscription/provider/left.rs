//! What a filter has left of entities: counted without being built.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Members that entities have whatever is watched.
pub(super) const ALWAYS: [&str; 4] = ["id", "type", "@context", "scope"];

/// How many entities there are, and how many of them have nothing but [`ALWAYS`]. Features of a collection are never bare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) entities: usize,
    pub(super) bare: usize,
}

impl Left {
    /// Counts the entities in a body.
    ///
    /// # Errors
    /// It is no JSON.
    pub(super) fn of(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

impl<'de> Deserialize<'de> for Left {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Body)
    }
}

struct Body;

impl<'de> Visitor<'de> for Body {
    type Value = Left;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("entities or a collection of features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Left, A::Error> {
        let mut left = Left::default();
        while let Some(Bare(bare)) = items.next_element()? {
            left.entities += 1;
            left.bare += usize::from(bare);
        }
        Ok(left)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Left, A::Error> {
        let mut left = Left::default();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == "features" {
                left.entities = members.next_value::<Vec<IgnoredAny>>()?.len();
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(left)
    }
}

/// Whether an entity is bare.
struct Bare(bool);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entity)
    }
}

struct Entity;

impl<'de> Visitor<'de> for Entity {
    type Value = Bare;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an entity")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Bare, A::Error> {
        let mut bare = true;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            bare &= ALWAYS.contains(&name.as_ref());
            members.next_value::<IgnoredAny>()?;
        }
        Ok(Bare(bare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_counted_as_they_stand() {
        for (body, entities, bare) in [
            ("[]", 0, 0),
            (r#"[{"id":"urn:a","type":"A"}]"#, 1, 1),
            (
                r#"[{"id":"urn:a","type":"A","@context":"https://c","scope":"/x"},{"id":"urn:b","n\u006f2":{"value":[1,{"a":2}]}}]"#,
                2,
                1,
            ),
            (r#"{"type":"FeatureCollection","features":[{"id":"urn:a"},{}]}"#, 2, 0),
            (r#"{"type":"FeatureCollection"}"#, 0, 0),
        ] {
            assert_eq!(Left::of(body.as_bytes()).unwrap(), Left { entities, bare }, "{body}");
        }
        for body in ["", "[1]", "7", "[{]"] {
            assert!(Left::of(body.as_bytes()).is_err(), "{body}");
        }
    }
}
