//! The examples of the documentation are run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use ngsi_ld_filter::{Answer, Filter, Representation, Shape, Stream};
use policy_plan::{PseudonymKey, Selection, Stretch};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/src/data-plane.md");
/// 2026-11-21T12:00:00Z
const NOW: i64 = 1_795_262_400_000;

fn blocks() -> impl Iterator<Item = Value> {
    PAGE.split("```json\n").skip(1).filter_map(|rest| serde_json::from_str(rest.split("```").next()?).ok())
}

#[test]
fn examples_of_selections() {
    let base = blocks().find(|block| block.get("contexts").is_some()).unwrap();
    let mut run = 0;
    for example in blocks().filter(|block| block.get("given").is_some()) {
        let mut selection = base.clone();
        for (name, member) in example["selection"].as_object().into_iter().flatten() {
            selection[name] = member.clone();
        }
        let mut selection: Selection = serde_json::from_value(selection).unwrap();
        selection.pseudonym_key = Some(PseudonymKey::new([7; 32]));
        let (given, shape) = match &example["given"] {
            Value::String(table) => (table.clone(), Shape::Csv),
            list @ Value::Array(_) => (list.to_string(), Shape::Entities),
            entity => (entity.to_string(), Shape::Entity),
        };
        let answer = Answer {
            representation: Representation::Normalized,
            shape,
            temporal: true,
            geometry: true,
            context: None,
            asked: Stretch::ALWAYS,
        };
        let mut stream = Stream::new(&Arc::new(Filter::new(selection).unwrap()), answer, NOW).unwrap();
        let mut out = Vec::new();
        stream.push(given.as_bytes(), &mut out).unwrap();
        stream.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let left = if shape == Shape::Csv { Value::String(text) } else { serde_json::from_str(&text).unwrap() };
        assert_eq!(left, example["shown"], "{example:#}");
        run += 1;
    }
    assert!(run >= 8);
}
