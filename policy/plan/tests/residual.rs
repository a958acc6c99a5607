//! What is left of a policy, decided over time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use policy_plan::{Conflict, Expr, Meter, Residual, ResidualRule, TimeOperator, Truth, Used, WEEK_SECONDS, Weekly};
use proptest::prelude::*;

const TRUTHS: [Truth; 3] = [Truth::False, Truth::Unknown, Truth::True];
const OPERATORS: [TimeOperator; 6] =
    [TimeOperator::Lt, TimeOperator::Lteq, TimeOperator::Eq, TimeOperator::Neq, TimeOperator::Gteq, TimeOperator::Gt];

const UNUSED: Used = Used { count: None, metered_ms: None, volume_bytes: None, first_use_ms: None, last_use_ms: None };

fn rule(id: &str, when: Expr) -> ResidualRule {
    ResidualRule { id: id.into(), text: format!("rule {id}"), when }
}

fn until(epoch_ms: i64) -> Expr {
    Expr::DateTime { operator: TimeOperator::Lteq, epoch_ms }
}

#[test]
fn kleene_tables() {
    use Truth::{False as F, True as T, Unknown as U};
    // In the order F, U, T for each side.
    let all = [[F, F, F], [F, U, U], [F, U, T]];
    let any = [[F, U, T], [U, U, T], [T, T, T]];
    let one = [[F, U, T], [U, U, U], [T, U, F]];
    for (row, left) in TRUTHS.into_iter().enumerate() {
        for (column, right) in TRUTHS.into_iter().enumerate() {
            assert_eq!(Truth::all([left, right]), all[row][column], "{left:?} and {right:?}");
            assert_eq!(Truth::any([left, right]), any[row][column], "{left:?} or {right:?}");
            assert_eq!(Truth::exactly_one([left, right]), one[row][column], "{left:?} xone {right:?}");
        }
    }
    assert_eq!(Truth::exactly_one([T, T, U]), F);
}

#[test]
fn decisions() {
    let decide = |permissions: &[Expr], prohibitions: &[Expr], conflict| {
        let rules = |exprs: &[Expr], letter| {
            exprs.iter().enumerate().map(|(n, e)| rule(&format!("{letter}{n}"), e.clone())).collect()
        };
        let residual =
            Residual { permissions: rules(permissions, "p"), prohibitions: rules(prohibitions, "x"), conflict };
        residual.decide(100, &UNUSED)
    };
    let known = Expr::Known;
    let table = [
        (vec![], vec![], Conflict::Perm, false),
        (vec![known(Truth::True)], vec![], Conflict::Invalid, true),
        (vec![known(Truth::Unknown)], vec![], Conflict::Invalid, false),
        (vec![known(Truth::False), until(100)], vec![], Conflict::Invalid, true),
        (vec![until(99)], vec![], Conflict::Invalid, false),
        (vec![until(100)], vec![until(99)], Conflict::Invalid, true),
        (vec![until(100)], vec![known(Truth::Unknown)], Conflict::Invalid, false),
        (vec![until(100)], vec![until(100)], Conflict::Invalid, false),
        (vec![until(100)], vec![until(100)], Conflict::Prohibit, false),
        (vec![until(100)], vec![until(100)], Conflict::Perm, true),
        (vec![until(99)], vec![until(100)], Conflict::Perm, false),
    ];
    for (permissions, prohibitions, conflict, allow) in table {
        let decision = decide(&permissions, &prohibitions, conflict);
        assert_eq!(decision.allow, allow, "{permissions:?} {prohibitions:?} {conflict:?}");
        assert!(!decision.reasons.is_empty());
    }
}

#[test]
fn a_refusal_names_rule_and_fact() {
    let residual = Residual { permissions: vec![rule("p0", until(1_000))], ..Residual::default() };
    assert_eq!(residual.decide(0, &UNUSED).next_boundary_ms, Some(1_001));
    let refusal = residual.decide(1_500, &UNUSED).refusal();
    assert_eq!(refusal.code, "policy_denies");
    assert_eq!(
        refusal.to_string(),
        "the agreement does not allow this: rule p0, but dateTime = 1970-01-01T00:00:01.5Z"
    );
    assert_eq!(refusal.rule.as_deref(), Some("rule p0"));
    assert_eq!(residual.decide(1_500, &UNUSED).next_boundary_ms, None);
    let nothing = Residual::default().decide(0, &UNUSED).refusal();
    assert_eq!(nothing.fact.as_deref(), Some("no permission covers it"));
}

#[test]
fn the_ends_of_time() {
    for operator in OPERATORS {
        for instant in [i64::MIN, 0, i64::MAX] {
            for now in [i64::MIN, 0, i64::MAX] {
                assert!(operator.next_change(now, instant).is_none_or(|change| change > now));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A comparison keeps its truth up to its next change, and changes it there.
    #[test]
    fn the_next_change_is_exact(
        operator in proptest::sample::select(&OPERATORS[..]), instant in 0..20_i64, now in 0..20_i64,
    ) {
        let truth = operator.holds(now, instant);
        let first = (now + 1..40).find(|&later| operator.holds(later, instant) != truth);
        prop_assert_eq!(operator.next_change(now, instant), first);
    }
}

#[test]
fn what_must_not_hold() {
    let not = |inner| Expr::Not(Box::new(inner));
    for (inner, truth) in [(Truth::True, Truth::False), (Truth::False, Truth::True), (Truth::Unknown, Truth::Unknown)] {
        assert_eq!(not(Expr::Known(inner)).at(0, &UNUSED), truth);
    }
    let before = not(Expr::DateTime { operator: TimeOperator::Gteq, epoch_ms: 10 });
    assert!(before.is_open());
    assert_eq!(
        (before.at(9, &UNUSED), before.at(10, &UNUSED), before.next_change(0, &UNUSED)),
        (Truth::True, Truth::False, Some(10))
    );
    assert_eq!(
        serde_json::to_value(not(Expr::Known(Truth::True))).unwrap(),
        serde_json::json!({"not": {"known": "true"}})
    );
}

/// Monday 2026-03-23 00:00 UTC; in the night to the Sunday after it the clock of Rome is put forward.
const MONDAY_MS: i64 = 1_774_224_000_000;
const FORWARD_MS: i64 = 1_774_746_000_000;

fn rome(windows: Vec<(u32, u32)>) -> Weekly {
    Weekly { windows, offsets: vec![(0, 3_600), (FORWARD_MS, 7_200)], until_ms: MONDAY_MS + 30 * 86_400_000 }
}

#[test]
fn hours_of_the_week() {
    let office = rome(vec![(8 * 3_600, 17 * 3_600)]);
    let seven = MONDAY_MS + 7 * 3_600_000;
    assert_eq!((office.at(seven - 1), office.at(seven)), (Truth::False, Truth::True));
    assert_eq!((office.at(seven + 9 * 3_600_000 - 1), office.at(seven + 9 * 3_600_000)), (Truth::True, Truth::False));
    assert_eq!(office.next_change(seven - 1), Some(seven));
    assert_eq!(office.next_change(seven), Some(seven + 9 * 3_600_000));
    let week_later = seven + 7 * 86_400_000 - 3_600_000;
    assert_eq!((office.at(week_later - 1), office.at(week_later)), (Truth::False, Truth::True));
    assert_eq!(office.at(office.until_ms - 1), Truth::False);
    assert_eq!(office.at(office.until_ms), Truth::Unknown);
    assert_eq!((office.next_change(office.until_ms), office.at(i64::MAX)), (None, Truth::Unknown));
    let nowhere = Weekly { windows: vec![(0, WEEK_SECONDS)], offsets: Vec::new(), until_ms: i64::MAX };
    assert_eq!((nowhere.at(0), nowhere.next_change(0)), (Truth::Unknown, None));
    let text = serde_json::json!({"weekly": {"windows": [[0, 5]], "offsets": [[0, 3_600]], "untilMs": 7}});
    let expr = Expr::Weekly(Weekly { windows: vec![(0, 5)], offsets: vec![(0, 3_600)], until_ms: 7 });
    assert_eq!(serde_json::to_value(&expr).unwrap(), text);
    assert_eq!(serde_json::from_value::<Expr>(text).unwrap(), expr);
}

proptest! {
    /// Between a moment and the next change nothing changes, over the night in which the clock is put forward, too.
    #[test]
    fn hours_change_at_their_borders_only(
        from in 0..WEEK_SECONDS, length in 1..200_000_u32, now in 0..10 * 86_400_000_i64, part in 0..1_000_i64,
    ) {
        let weekly = rome(vec![(from, (from + length).min(WEEK_SECONDS))]);
        let now = MONDAY_MS + now;
        let next = weekly.next_change(now).unwrap();
        prop_assert!(next > now);
        let between = now + (next - 1 - now) * part / 1_000;
        prop_assert_eq!((weekly.at(between), weekly.next_change(between)), (weekly.at(now), Some(next)));
        prop_assert_eq!(weekly.at(next - 1), weekly.at(now));
    }
}

#[test]
fn what_meters_show() {
    use Meter::{Count, Elapsed, Interval, MeteredTime, Volume};
    let first = Used { count: Some(1), metered_ms: Some(0), volume_bytes: Some(0), ..UNUSED };
    let later = Used {
        count: Some(4),
        metered_ms: Some(2_000),
        volume_bytes: Some(u64::MAX),
        first_use_ms: Some(100),
        last_use_ms: Some(300),
    };
    for (meter, at_first, afterwards) in
        [(Count, 1, 4), (MeteredTime, 0, 2_000), (Volume, 0, i64::MAX), (Elapsed, 0, 900), (Interval, i64::MAX, 700)]
    {
        assert_eq!(first.shows(meter, 1_000), Some(at_first), "{meter:?}");
        assert_eq!(later.shows(meter, 1_000), Some(afterwards), "{meter:?}");
        assert_eq!(UNUSED.shows(meter, 1_000), None, "{meter:?}");
    }
    // A use before whose moment nobody knows.
    let lost = Used { first_use_ms: None, last_use_ms: None, ..later };
    assert_eq!((lost.shows(Elapsed, 0), lost.shows(Interval, 0)), (None, None));
    // A clock that was put back gives no negative time.
    assert_eq!(later.shows(Elapsed, 0), Some(0));
}

#[test]
fn limits_of_use() {
    let at_most = |meter, limit| Expr::Usage { meter, operator: TimeOperator::Lteq, limit };
    let residual = Residual {
        permissions: vec![
            rule("p0", Expr::And(vec![at_most(Meter::Count, 3), at_most(Meter::Elapsed, 500)])),
            rule("p1", Expr::Or(vec![at_most(Meter::Count, 2), Expr::Known(Truth::False)])),
        ],
        prohibitions: vec![rule("x0", Expr::Not(Box::new(at_most(Meter::Volume, 10))))],
        conflict: Conflict::Invalid,
    };
    assert_eq!(residual.meters().into_iter().collect::<Vec<_>>(), [Meter::Count, Meter::Volume, Meter::Elapsed]);
    assert_eq!(residual.largest(Meter::Count), Some(3));
    assert_eq!(residual.largest(Meter::MeteredTime), None);
    let used =
        |count, volume| Used { count: Some(count), volume_bytes: Some(volume), first_use_ms: Some(1_000), ..UNUSED };
    assert!(residual.decide(1_500, &used(3, 10)).allow);
    assert_eq!(residual.decide(1_500, &used(3, 10)).next_boundary_ms, Some(1_501));
    assert!(!residual.decide(1_501, &used(3, 10)).allow);
    assert!(residual.decide(9_999, &used(2, 10)).allow);
    assert!(!residual.decide(1_500, &used(4, 10)).allow);
    let too_much = residual.decide(1_500, &used(3, 11)).refusal();
    assert_eq!(too_much.to_string(), "the agreement does not allow this: rule x0, but volume = 11 bytes");
    let nothing_known = residual.decide(1_500, &UNUSED);
    assert!(!nothing_known.allow && nothing_known.refusal().fact.unwrap().contains("volume is not known"));
    let wire = serde_json::json!({"usage": {"meter": "meteredTime", "operator": "lteq", "limit": 5}});
    assert_eq!(serde_json::to_value(at_most(Meter::MeteredTime, 5)).unwrap(), wire);
    assert_eq!(serde_json::from_value::<Expr>(wire).unwrap(), at_most(Meter::MeteredTime, 5));
    let newer = serde_json::json!({"usage": {"meter": "count", "operator": "lteq", "limit": 5, "per": "day"}});
    assert!(serde_json::from_value::<Expr>(newer).is_err());
}
