//! Granting in blocks: however planes ask, spend, crash and lose answers, the agreement's limit holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;

use dps_signaling::{Holding, UsageGrant, UsageMeter, UsageRequest, block, usage_path};
use proptest::prelude::*;
use serde_json::json;

/// The control plane's side: one number that survives everything.
struct Counter {
    meter: UsageMeter,
    given: u64,
    limit: u64,
    planes: u64,
}

impl Counter {
    fn grant(&mut self, wanted: u64) -> UsageGrant {
        let from = self.given;
        self.given += block(self.meter, from, Some(self.limit), self.planes, wanted);
        UsageGrant { from, to: self.given, first_use_ms: None, last_use_ms: None }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A plane spends so many units if it holds them.
    Spend(usize, u64),
    /// A plane asks and gets the answer.
    Ask(usize),
    /// A plane asks; the answer is lost after the control plane has committed.
    AskInVain(usize),
    /// A plane dies and starts again.
    Crash(usize),
}

fn step(planes: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..planes, 1_u64..40).prop_map(|(plane, units)| Step::Spend(plane, units)),
        4 => (0..planes).prop_map(Step::Ask),
        1 => (0..planes).prop_map(Step::AskInVain),
        1 => (0..planes).prop_map(Step::Crash),
    ]
}

fn meter() -> impl Strategy<Value = UsageMeter> {
    prop::sample::select(UsageMeter::ALL.to_vec())
}

proptest! {
    #[test]
    fn never_more_than_the_limit(
        meter in meter(),
        planes in 1_usize..6,
        limit in 0_u64..3_000,
        steps in prop::collection::vec(step(5), 0..400),
    ) {
        let unit = if meter == UsageMeter::Volume { 7_000 } else { meter.smallest_block() };
        let limit = limit * unit;
        let mut counter = Counter { meter, given: 0, limit, planes: planes as u64 };
        let mut held = vec![Holding::new(meter); planes];
        let mut spent = 0_u64;
        let mut positions = BTreeSet::new();
        for (now_ms, step) in (0_i64..).step_by(300).zip(steps) {
            match step {
                Step::Spend(plane, units) => {
                    let units = units * unit;
                    if let Some(position) = held[plane % planes].take(units) {
                        spent += units;
                        prop_assert!(position <= limit);
                        prop_assert!(positions.insert(position), "position {} was given twice", position);
                    }
                }
                Step::Ask(plane) => {
                    let holding = &mut held[plane % planes];
                    let grant = counter.grant(holding.wanted(unit, now_ms));
                    holding.receive(&grant, now_ms);
                }
                Step::AskInVain(plane) => {
                    counter.grant(held[plane % planes].wanted(unit, now_ms));
                }
                Step::Crash(plane) => held[plane % planes] = Holding::new(meter),
            }
            prop_assert!(spent <= limit, "{} of {}", spent, limit);
            prop_assert!(counter.given <= limit);
            prop_assert!(spent + held.iter().map(Holding::left).sum::<u64>() <= counter.given);
        }
    }

    #[test]
    fn without_crashes_all_of_it_can_be_used(
        planes in 1_usize..6,
        limit in 0_u64..2_000,
        order in prop::collection::vec(0_usize..6, 1..50),
    ) {
        let meter = UsageMeter::Count;
        let mut counter = Counter { meter, given: 0, limit, planes: planes as u64 };
        let mut held = vec![Holding::new(meter); planes];
        let mut exhausted = vec![false; planes];
        let mut spent = 0_u64;
        for (now_ms, turn) in (0_i64..).step_by(5).zip(order.iter().cycle()) {
            let plane = turn % planes;
            let holding = &mut held[plane];
            if holding.take(1).is_some() {
                spent += 1;
                continue;
            }
            let grant = counter.grant(holding.wanted(1, now_ms));
            exhausted[plane] = grant.is_empty();
            holding.receive(&grant, now_ms);
            let asked: BTreeSet<_> = order.iter().map(|turn| turn % planes).collect();
            if asked.iter().all(|plane| exhausted[*plane] && held[*plane].left() == 0) {
                break;
            }
        }
        prop_assert_eq!(spent, limit);
    }

    #[test]
    fn taking_spends_exactly_what_was_asked(grants in prop::collection::vec((0_u64..50, 0_u64..50), 0..6), take in 0_u64..200) {
        let mut holding = Holding::new(UsageMeter::Volume);
        let mut end = 0;
        for (gap, size) in grants {
            let from = end + gap;
            end = from + size;
            holding.receive(&UsageGrant { from, to: end, first_use_ms: None, last_use_ms: None }, 0);
        }
        let before = holding.left();
        let peeked = holding.peek(take);
        prop_assert_eq!(peeked.is_some(), take <= before);
        prop_assert_eq!(holding.take(take), peeked);
        prop_assert_eq!(holding.left(), if take <= before { before - take } else { before });
    }
}

#[test]
fn blocks_get_smaller_towards_the_limit() {
    let count = UsageMeter::Count;
    for (given, limit, planes, wanted, expected) in [
        (0, Some(200), 1, 1_000, 50),
        (0, Some(200), 2, 1_000, 25),
        (0, Some(200), 2, 8, 8),
        (184, Some(200), 2, 8, 2),
        (185, Some(200), 2, 8, 1),
        (199, Some(200), 2, 8, 1),
        (200, Some(200), 2, 8, 0),
        (201, Some(200), 2, 8, 0),
        (0, Some(0), 1, 1, 0),
        (7, None, 3, 8, 8),
        (7, None, 3, u64::MAX, 10_000),
        (0, Some(u64::MAX), 1, u64::MAX, 10_000),
        (0, Some(200), 0, 8, 8),
    ] {
        assert_eq!(block(count, given, limit, planes, wanted), expected, "{given} of {limit:?} for {planes}, {wanted}");
    }
    assert_eq!(block(UsageMeter::MeteredTime, 59_500, Some(60_000), 1, 8_000), 500);
    assert_eq!(block(UsageMeter::Volume, 0, Some(100_000), 1, 1 << 20), 65_536);
}

#[test]
fn a_busy_plane_asks_for_more_and_an_idle_one_for_less() {
    let mut holding = Holding::new(UsageMeter::Count);
    let mut end = 0;
    let mut get = |holding: &mut Holding, now_ms: i64| {
        let from = end;
        end += holding.wanted(1, now_ms);
        holding.receive(&UsageGrant { from, to: end, first_use_ms: None, last_use_ms: None }, now_ms);
        let left = holding.left();
        holding.take(left).unwrap();
        left
    };
    let fast: Vec<u64> = (0..14).map(|turn| get(&mut holding, turn * 100)).collect();
    assert_eq!(fast[..4], [8, 16, 32, 64]);
    assert_eq!(fast[13], 10_000, "never more than the largest block");
    let slow: Vec<u64> = (1..20).map(|turn| get(&mut holding, turn * 60_000)).collect();
    assert_eq!(*slow.last().unwrap(), 1);
}

#[test]
fn nothing_is_taken_in_advance_when_blocks_are_of_the_smallest_size() {
    let mut holding = Holding::new(UsageMeter::Count);
    let grant = |from, to| UsageGrant { from, to, first_use_ms: None, last_use_ms: None };
    holding.receive(&grant(0, 8), 0);
    assert!(!holding.runs_low());
    holding.take(4).unwrap();
    assert!(holding.runs_low());
    holding.take(4).unwrap();
    holding.receive(&grant(8, 9), 0);
    assert!(!holding.runs_low());
    holding.receive(&grant(12, 12), 0);
    assert_eq!((holding.left(), holding.reached()), (1, 12));
}

#[test]
fn messages_round_trip_and_bad_ones_are_named() {
    for meter in UsageMeter::ALL {
        let request = UsageRequest { meter, wanted: 3 };
        assert_eq!(UsageRequest::decode(&request.encode()).unwrap(), request);
    }
    let grant = UsageGrant { from: 1, to: 4, first_use_ms: Some(5), last_use_ms: None };
    assert_eq!(grant.encode(), json!({"from": 1, "to": 4, "firstUse": 5, "lastUse": null}));
    assert_eq!(UsageGrant::decode(&grant.encode()).unwrap(), grant);
    assert_eq!(usage_path("urn:uuid:1/.."), "/transfers/urn:uuid:1%2F../usage");
    for (body, named) in [
        (json!([]), "object"),
        (json!({"wanted": 1}), "meter"),
        (json!({"meter": "volum", "wanted": 1}), "volum"),
        (json!({"meter": "count"}), "wanted"),
        (json!({"meter": "count", "wanted": 0}), "wanted"),
        (json!({"meter": "count", "wanted": -1}), "wanted"),
        (json!({"meter": "count", "wanted": "1"}), "wanted"),
    ] {
        let error = UsageRequest::decode(&body).unwrap_err();
        assert!(error.message.contains(named), "{body}: {error}");
    }
    for (body, named) in [
        (json!({"from": 4, "to": 3}), "to"),
        (json!({"from": 4}), "to"),
        (json!({"from": 0, "to": 1.5}), "to"),
        (json!({"from": 0, "to": 1, "firstUse": "now"}), "firstUse"),
    ] {
        assert!(UsageGrant::decode(&body).unwrap_err().message.contains(named), "{body}");
    }
}
