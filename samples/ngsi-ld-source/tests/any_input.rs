//! Whatever a client sends, the parsers answer and the geometry decides; nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use ngsi_ld_source::body::QueryBody;
use ngsi_ld_source::model::Entity;
use ngsi_ld_source::params::{PAGING, Params, SELECTING, SHAPING, TEMPORAL};
use ngsi_ld_source::query::geo::GeoQuery;
use ngsi_ld_source::query::q::Q;
use ngsi_ld_source::query::scope::ScopeQuery;
use ngsi_ld_source::query::types::TypeSelection;
use proptest::prelude::*;
use serde_json::{Value, json};

fn entity(location: Value) -> Entity {
    let record = json!({"id": "urn:x", "type": "T", "a": {"value": [1, "x"], "b": 2}, "location": location});
    Entity::parse(record).unwrap().0
}

/// A closed ring of any shape, crossing itself or not.
fn ring() -> impl Strategy<Value = Value> {
    prop::collection::vec((-3_i8..3, -3_i8..3), 3..8).prop_map(|mut corners| {
        corners.push(corners[0]);
        corners.into_iter().map(|(x, y)| json!([x, y])).collect()
    })
}

proptest! {
    #[test]
    fn texts_are_parsed_or_refused(text in "[ab.;|()\\[\\]{}=!<>~\",0-9 *+#/-]{0,40}") {
        if let Ok(query) = Q::parse(&text) {
            let _ = query.matches(&entity(json!({"type": "Point", "coordinates": [1, 1]})));
        }
        let _ = TypeSelection::parse(&text).map(|types| types.matches(&["a".to_owned()]));
        let _ = ScopeQuery::parse(&text).map(|scope| scope.matches(&["/a/b".to_owned()]));
        let _ = QueryBody::parse(text.as_bytes(), &Params::default(), false);
    }

    #[test]
    fn parameters_are_parsed_or_refused(query in "((type|q|limit|offset|count|lastN|timerel|timeAt|id|attrs)=[a-z0-9%,:-]{0,6}&?){0,6}") {
        if let Ok(params) = Params::parse(&query, &[SELECTING, PAGING, SHAPING, TEMPORAL]) {
            let _ = (params.selection().is_ok(), params.page().is_ok(), params.time().is_ok(), params.last_n().is_ok());
        }
    }

    #[test]
    fn every_relation_of_every_shape_is_decided(a in ring(), b in ring(), relation in 0_usize..7) {
        let relation = ["within", "contains", "intersects", "equals", "disjoint", "overlaps", "near;maxDistance==1000"][relation];
        for reference in [("Polygon", json!([b])), ("LineString", b.clone()), ("MultiPoint", b.clone())] {
            let Ok(query) = GeoQuery::parse(relation, reference.0, &reference.1, None) else { continue };
            for place in [json!({"type": "Polygon", "coordinates": [a]}), json!({"type": "LineString", "coordinates": a})] {
                let _ = query.matches(&entity(place));
            }
        }
    }
}
