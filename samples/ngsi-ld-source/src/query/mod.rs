//! Which entities are asked for: pure, from text to a decision about each entity.

pub mod geo;
pub mod q;
mod q_match;
pub mod scope;
pub mod time;
pub mod types;

use regex::Regex;

use self::geo::GeoQuery;
use self::q::Q;
use self::scope::ScopeQuery;
use self::types::TypeSelection;
use crate::model::Entity;
use crate::problem::Problem;

/// One way to name entities: by id, by pattern and by type, all that are given together.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Any of these ids; wins over the pattern.
    pub ids: Option<Vec<String>>,
    /// A regular expression for the id.
    pub id_pattern: Option<Regex>,
    /// A type selection.
    pub types: Option<TypeSelection>,
}

impl Selector {
    /// Reads the pattern of `idPattern`.
    ///
    /// # Errors
    /// A `BadRequestData` when it is not a regular expression.
    pub fn pattern(text: &str) -> Result<Regex, Problem> {
        Regex::new(text).map_err(|_| Problem::bad(format!("`idPattern`: `{text}` is not a regular expression")))
    }

    fn matches(&self, entity: &Entity) -> bool {
        let by_id = match (&self.ids, &self.id_pattern) {
            (Some(ids), _) => ids.iter().any(|id| id == entity.id()),
            (None, Some(pattern)) => pattern.is_match(entity.id()),
            (None, None) => true,
        };
        by_id && self.types.as_ref().is_none_or(|types| types.matches(entity.types()))
    }
}

/// A whole entity query (GS CIM 009, clause 5.7.2), without paging and representation.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Alternatives; none means every entity.
    pub selectors: Vec<Selector>,
    /// The entity has at least one of these attributes.
    pub attrs: Option<Vec<String>>,
    /// A condition on attributes.
    pub q: Option<Q>,
    /// A condition on scopes.
    pub scope: Option<ScopeQuery>,
    /// A condition on the place.
    pub geo: Option<GeoQuery>,
    /// Asked for explicitly without any filter (`local=true`).
    pub local: bool,
}

impl Selection {
    /// Refuses a query that names neither type, attribute, condition nor place (clause 5.7.2.4).
    ///
    /// # Errors
    /// A `BadRequestData` that says what to add.
    pub fn narrow_enough(self) -> Result<Self, Problem> {
        let narrow = self.local
            || self.attrs.is_some()
            || self.q.is_some()
            || self.geo.is_some()
            || (!self.selectors.is_empty() && self.selectors.iter().all(|selector| selector.types.is_some()));
        if narrow {
            Ok(self)
        } else {
            Err(Problem::bad(
                "the query is too wide: give at least one of `type`, `attrs`, `q`, `georel`, or `local=true`",
            ))
        }
    }

    /// Whether the entity is asked for.
    #[must_use]
    pub fn matches(&self, entity: &Entity) -> bool {
        (self.selectors.is_empty() || self.selectors.iter().any(|selector| selector.matches(entity)))
            && self.attrs.as_ref().is_none_or(|names| names.iter().any(|name| !entity.instances(name).is_empty()))
            && self.scope.as_ref().is_none_or(|scope| scope.matches(&entity.scopes()))
            && self.q.as_ref().is_none_or(|q| q.matches(entity))
            && self.geo.as_ref().is_none_or(|geo| geo.matches(entity))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entity() -> Entity {
        Entity::parse(json!({"id": "urn:a:1", "type": "A", "x": 1})).unwrap().0
    }

    #[test]
    fn selectors_are_alternatives_and_their_parts_hold_together() {
        let by_id = Selector { ids: Some(vec!["urn:a:1".to_owned()]), ..Selector::default() };
        let by_type = Selector { types: Some(TypeSelection::parse("B").unwrap()), ..Selector::default() };
        let both = Selector { types: by_type.types.clone(), ..by_id.clone() };
        let beats_pattern = Selector { id_pattern: Some(Selector::pattern("^urn:b").unwrap()), ..by_id.clone() };
        for (selectors, expected) in [
            (vec![], true),
            (vec![by_type.clone()], false),
            (vec![by_type, by_id], true),
            (vec![both], false),
            (vec![beats_pattern], true),
        ] {
            let selection = Selection { selectors, ..Selection::default() };
            assert_eq!(selection.matches(&entity()), expected);
        }
    }

    #[test]
    fn attrs_filter_and_width_is_checked() {
        let with = |name: &str| Selection { attrs: Some(vec![name.to_owned()]), ..Selection::default() };
        assert!(with("x").matches(&entity()));
        assert!(!with("y").matches(&entity()));
        assert!(with("y").narrow_enough().is_ok());
        assert!(Selection::default().narrow_enough().is_err());
        assert!(Selection { local: true, ..Selection::default() }.narrow_enough().is_ok());
        let only_id = Selector { ids: Some(vec!["urn:a:1".to_owned()]), ..Selector::default() };
        assert!(Selection { selectors: vec![only_id], ..Selection::default() }.narrow_enough().is_err());
    }
}
