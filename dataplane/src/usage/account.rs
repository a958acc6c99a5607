//! What this data plane holds of one agreement's uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_signaling::{Holding, UsageGrant, UsageMeter};
use policy_plan::{Refusal, Residual, Used};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::Needs;

/// Metered time is paid by the second, in milliseconds.
const SECOND_MS: i64 = 1_000;
/// Metered time is asked for so long before it is needed, in milliseconds.
const AHEAD_MS: i64 = 600;
/// For so long "nothing is left" and "cannot be asked" are believed before the next question, in milliseconds.
const BELIEVED_MS: i64 = 1_000;
/// A use that has to be judged at the moment of its grant is thrown away after this time, in milliseconds.
const FRESH_MS: i64 = 1_000;

/// Grants of one agreement, shared by all of its flows. The lock is held for arithmetic only.
#[derive(Debug, Default)]
pub(crate) struct Account {
    state: Mutex<State>,
    changed: Arc<Notify>,
    waiting: AtomicU64,
}

/// A request that waits for a grant.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct State {
    count: Held,
    time: Held,
    volume: Held,
    first_use_ms: Option<i64>,
    last_use_ms: Option<i64>,
    /// Until when the running second of metered time is paid, and how far that is.
    paid_until_ms: i64,
    paid: u64,
    /// What the last admitted use was judged by.
    admitted: Option<Used>,
}

/// One meter.
#[derive(Debug)]
struct Held {
    meter: UsageMeter,
    holding: Holding,
    asking: bool,
    exhausted_until_ms: i64,
    unavailable_until_ms: i64,
}

/// A question to the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lacks {
    /// Of what.
    pub(super) meter: UsageMeter,
    /// How much is needed at least.
    pub(super) units: u64,
}

/// What becomes of a use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was spent. These blocks run low.
    Go {
        /// To be asked for in advance.
        low: Vec<Lacks>,
    },
    /// The agreement refuses it.
    Refused(Refusal),
    /// This has to be granted first.
    Lacks(Lacks),
    /// The control plane cannot be asked just now.
    Unavailable,
}

/// What becomes of a piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Its bytes were spent. The block may run low.
    Spent {
        /// To be asked for in advance.
        low: Option<Lacks>,
    },
    /// The agreement refuses it.
    Refused(Refusal),
    /// This has to be granted first.
    Lacks(Lacks),
    /// The control plane cannot be asked just now.
    Unavailable,
}

/// What a look at moving data found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// The agreement does not allow it any more.
    pub(super) refusal: Option<Refusal>,
    /// A second has begun that nobody granted.
    pub(super) unpaid: bool,
    /// To be asked for.
    pub(super) lacks: Option<Lacks>,
}

/// Where the next units of a meter are.
enum Place {
    /// Granted; this is the last of them.
    Held(u64),
    /// Beyond everything that is granted; this would be the last of them.
    Beyond(u64),
    Lacks(Lacks),
    Unavailable,
}

impl Default for State {
    fn default() -> Self {
        Self {
            count: Held::new(UsageMeter::Count),
            time: Held::new(UsageMeter::MeteredTime),
            volume: Held::new(UsageMeter::Volume),
            first_use_ms: None,
            last_use_ms: None,
            paid_until_ms: i64::MIN,
            paid: 0,
            admitted: None,
        }
    }
}

impl Held {
    fn new(meter: UsageMeter) -> Self {
        Self {
            meter,
            holding: Holding::new(meter),
            asking: false,
            exhausted_until_ms: i64::MIN,
            unavailable_until_ms: i64::MIN,
        }
    }

    fn place(&self, units: u64, now_ms: i64) -> Place {
        if let Some(position) = self.holding.peek(units) {
            return Place::Held(position);
        }
        if now_ms < self.exhausted_until_ms {
            return Place::Beyond(self.holding.reached().saturating_add(units));
        }
        if now_ms < self.unavailable_until_ms {
            return Place::Unavailable;
        }
        Place::Lacks(Lacks { meter: self.meter, units })
    }

    fn low(&self, now_ms: i64) -> Option<Lacks> {
        let units = self.meter.smallest_block();
        let worthwhile = self.holding.runs_low() && now_ms >= self.exhausted_until_ms;
        worthwhile.then_some(Lacks { meter: self.meter, units })
    }
}

impl State {
    fn held(&mut self, meter: UsageMeter) -> &mut Held {
        match meter {
            UsageMeter::Count => &mut self.count,
            UsageMeter::MeteredTime => &mut self.time,
            UsageMeter::Volume => &mut self.volume,
        }
    }

    /// Where the next use stands, and what of it has to be spent. `Err` when that cannot be told yet.
    fn next(&self, needs: Needs, now_ms: i64) -> Result<(Used, Spend), Step> {
        let mut used = Used::default();
        let mut spend = Spend::default();
        let place = |place| match place {
            Place::Held(position) => Ok((position, true)),
            Place::Beyond(position) => Ok((position, false)),
            Place::Lacks(lacks) => Err(Step::Lacks(lacks)),
            Place::Unavailable => Err(Step::Unavailable),
        };
        if needs.count {
            let (position, held) = place(self.count.place(1, now_ms))?;
            used.count = Some(position);
            spend.count = held;
        } else if needs.elapsed && self.first_use_ms.is_none() {
            // Any grant tells when the first use was.
            place(self.count.place(1, now_ms))?;
        }
        if needs.time {
            if now_ms < self.paid_until_ms {
                used.metered_ms = Some(self.paid);
            } else {
                let (position, held) = place(self.time.place(SECOND_MS.unsigned_abs(), now_ms))?;
                used.metered_ms = Some(position);
                spend.time = held;
            }
        }
        if needs.volume {
            let (position, _) = place(self.volume.place(1, now_ms))?;
            used.volume_bytes = Some(position);
        }
        used.first_use_ms = self.first_use_ms;
        used.last_use_ms = self.last_use_ms;
        Ok((used, spend))
    }
}

#[derive(Debug, Default)]
struct Spend {
    count: bool,
    time: bool,
}

impl Account {
    /// Resolves at the next answer of the control plane; to be taken before looking.
    pub(super) fn changed(&self) -> std::pin::Pin<Box<OwnedNotified>> {
        let mut changed = Box::pin(Arc::clone(&self.changed).notified_owned());
        changed.as_mut().enable();
        changed
    }

    /// Counts a request that waits, so that enough is asked for.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Judges the next use and spends it.
    pub(super) fn begin(&self, rules: &Residual, needs: Needs, now_ms: i64) -> Step {
        let mut state = self.state();
        if needs.interval {
            state.count.holding.discard_before(now_ms.saturating_sub(FRESH_MS));
        }
        let (used, spend) = match state.next(needs, now_ms) {
            Ok(next) => next,
            Err(step) => return step,
        };
        let decision = rules.decide(now_ms, &used);
        if !decision.allow {
            return Step::Refused(decision.refusal());
        }
        if needs.interval && !spend.count {
            // It would be allowed by now; that has to be written down first.
            state.count.exhausted_until_ms = i64::MIN;
            return Step::Lacks(Lacks { meter: UsageMeter::Count, units: 1 });
        }
        if spend.count {
            state.count.holding.take(1);
        }
        if spend.time {
            state.time.holding.take(SECOND_MS.unsigned_abs());
        }
        if let (Some(position), false) = (used.metered_ms, now_ms < state.paid_until_ms) {
            state.paid = position;
            state.paid_until_ms = now_ms.saturating_add(SECOND_MS);
        }
        state.admit(used);
        let low = [
            (needs.count && !needs.interval).then_some(&state.count),
            needs.volume.then_some(&state.volume),
            needs.time.then_some(&state.time),
        ];
        Step::Go { low: low.into_iter().flatten().filter_map(|held| held.low(now_ms)).collect() }
    }

    /// Spends the bytes of a piece of a body.
    pub(super) fn spend(&self, rules: &Residual, bytes: u64, now_ms: i64) -> Bytes {
        let mut state = self.state();
        let (position, held) = match state.volume.place(bytes, now_ms) {
            Place::Held(position) => (position, true),
            Place::Beyond(position) => (position, false),
            Place::Lacks(lacks) => return Bytes::Lacks(lacks),
            Place::Unavailable => return Bytes::Unavailable,
        };
        let used = Used { volume_bytes: Some(position), ..state.admitted.unwrap_or_default() };
        let decision = rules.decide(now_ms, &used);
        if !decision.allow {
            return Bytes::Refused(decision.refusal());
        }
        if held {
            state.volume.holding.take(bytes);
        }
        state.admitted = Some(used);
        Bytes::Spent { low: state.volume.low(now_ms) }
    }

    /// Judges what is under way, and pays the second that has begun.
    pub(super) fn look(&self, rules: &Residual, needs: Needs, now_ms: i64) -> Looked {
        let mut state = self.state();
        let mut looked = Looked::default();
        // Before the first use was judged there is nothing under way but the waiting for its grant.
        let Some(mut used) = state.admitted else { return looked };
        if needs.time {
            if now_ms >= state.paid_until_ms {
                match state.time.place(SECOND_MS.unsigned_abs(), now_ms) {
                    Place::Held(position) => {
                        state.time.holding.take(SECOND_MS.unsigned_abs());
                        state.pay(position, now_ms);
                    }
                    Place::Beyond(position) => state.pay(position, now_ms),
                    Place::Lacks(_) | Place::Unavailable => looked.unpaid = true,
                }
            }
            used.metered_ms = Some(state.paid);
            let soon = now_ms.saturating_add(AHEAD_MS) >= state.paid_until_ms;
            if soon && let Place::Lacks(lacks) = state.time.place(SECOND_MS.unsigned_abs(), now_ms) {
                looked.lacks = Some(lacks);
            }
        }
        let decision = rules.decide(now_ms, &used);
        if !decision.allow {
            looked.refusal = Some(decision.refusal());
        }
        looked
    }

    /// Whether a question about this meter may go out; there is one at a time. Gives how much to ask for.
    pub(super) fn question(&self, lacks: Lacks, now_ms: i64) -> Option<u64> {
        let mut state = self.state();
        let held = state.held(lacks.meter);
        if held.asking || now_ms < held.unavailable_until_ms {
            return None;
        }
        held.asking = true;
        let waiting = if lacks.meter == UsageMeter::Count { self.waiting.load(Ordering::Relaxed) } else { 0 };
        Some(held.holding.wanted(lacks.units.max(waiting), now_ms))
    }

    /// Takes the answer to a question; `None` when there was none that can be used.
    pub(super) fn answer(&self, meter: UsageMeter, grant: Option<UsageGrant>, now_ms: i64) {
        let mut state = self.state();
        let held = state.held(meter);
        held.asking = false;
        match grant {
            Some(grant) => {
                held.holding.receive(&grant, now_ms);
                held.exhausted_until_ms = if grant.is_empty() { now_ms.saturating_add(BELIEVED_MS) } else { i64::MIN };
                state.first_use_ms = grant.first_use_ms.or(state.first_use_ms);
                if meter == UsageMeter::Count {
                    state.last_use_ms = grant.last_use_ms;
                }
            }
            None => held.unavailable_until_ms = now_ms.saturating_add(BELIEVED_MS),
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Gives up everything that is granted and not spent.
    pub(super) fn give_up(&self) -> Vec<(UsageMeter, u64)> {
        let mut state = self.state();
        let left = UsageMeter::ALL.map(|meter| (meter, state.held(meter).holding.give_up()));
        left.into_iter().filter(|(_, units)| *units > 0).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers what a use was judged by. Another flow of the agreement may look at other meters: what this one does not know
    /// stays as it was.
    fn admit(&mut self, used: Used) {
        let before = self.admitted.unwrap_or_default();
        self.admitted = Some(Used {
            count: used.count.or(before.count),
            metered_ms: used.metered_ms.or(before.metered_ms),
            volume_bytes: used.volume_bytes.or(before.volume_bytes),
            first_use_ms: used.first_use_ms.or(before.first_use_ms),
            // Goes with the count.
            last_use_ms: if used.count.is_some() { used.last_use_ms } else { before.last_use_ms },
        });
    }

    /// The next second is paid. Seconds follow each other without a gap, unless nobody looked for a while.
    fn pay(&mut self, position: u64, now_ms: i64) {
        self.paid = position;
        let next = self.paid_until_ms.saturating_add(SECOND_MS);
        self.paid_until_ms = if next > now_ms { next } else { now_ms.saturating_add(SECOND_MS) };
    }
}

#[cfg(test)]
mod tests {
    use policy_plan::{Conflict, Expr, Meter, ResidualRule, TimeOperator};

    use super::*;

    fn rules(conditions: &[(Meter, TimeOperator, i64)]) -> (Residual, Needs) {
        let parts = conditions.iter().map(|&(meter, operator, limit)| Expr::Usage { meter, operator, limit }).collect();
        let rule = ResidualRule { id: "p0".into(), text: "so much and no more".into(), when: Expr::And(parts) };
        let rules = Residual { permissions: vec![rule], prohibitions: vec![], conflict: Conflict::Invalid };
        let needs = Needs::of(&rules).unwrap();
        (rules, needs)
    }

    fn grant(from: u64, to: u64) -> Option<UsageGrant> {
        Some(UsageGrant { from, to, first_use_ms: Some(1_000), last_use_ms: None })
    }

    fn lacks(step: Step) -> Lacks {
        match step {
            Step::Lacks(lacks) => lacks,
            other => panic!("{other:?}"),
        }
    }

    fn refused(step: Step) -> String {
        match step {
            Step::Refused(refusal) => refusal.fact.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    const NONE: Step = Step::Go { low: vec![] };

    #[test]
    fn uses_are_spent_one_by_one_and_then_refused_with_the_fact() {
        let (rules, needs) = rules(&[(Meter::Count, TimeOperator::Lteq, 2)]);
        let account = Account::default();
        let asked = lacks(account.begin(&rules, needs, 0));
        assert_eq!(account.question(asked, 0), Some(8));
        assert_eq!(account.question(asked, 0), None, "one question at a time");
        account.answer(asked.meter, grant(0, 1), 0);
        assert_eq!(account.begin(&rules, needs, 0), NONE);
        let asked = lacks(account.begin(&rules, needs, 0));
        account.answer(asked.meter, grant(1, 2), 0);
        assert_eq!(account.begin(&rules, needs, 0), NONE);
        lacks(account.begin(&rules, needs, 0));
        account.answer(UsageMeter::Count, grant(2, 2), 0);
        assert_eq!(refused(account.begin(&rules, needs, 0)), "count = 3");
        assert_eq!(refused(account.begin(&rules, needs, BELIEVED_MS - 1)), "count = 3");
        lacks(account.begin(&rules, needs, BELIEVED_MS));
    }

    #[test]
    fn what_is_refused_for_another_reason_spends_nothing() {
        let (mut rules, needs) = rules(&[(Meter::Count, TimeOperator::Lteq, 9)]);
        let late = Expr::DateTime { operator: TimeOperator::Lt, epoch_ms: 100 };
        rules.permissions[0].when = Expr::And(vec![rules.permissions[0].when.clone(), late]);
        let account = Account::default();
        account.answer(UsageMeter::Count, grant(0, 1), 0);
        assert!(refused(account.begin(&rules, needs, 100)).contains("dateTime"));
        assert_eq!(account.begin(&rules, needs, 99), NONE);
    }

    #[test]
    fn without_an_answer_nothing_is_admitted_and_nobody_asks_for_a_while() {
        let (rules, needs) = rules(&[(Meter::Count, TimeOperator::Lteq, 2)]);
        let account = Account::default();
        let asked = lacks(account.begin(&rules, needs, 0));
        account.question(asked, 0).unwrap();
        account.answer(asked.meter, None, 0);
        assert_eq!(account.begin(&rules, needs, 0), Step::Unavailable);
        assert_eq!(account.question(asked, 0), None);
        lacks(account.begin(&rules, needs, BELIEVED_MS));
    }

    #[test]
    fn a_block_that_runs_low_is_asked_for_in_advance() {
        let (rules, needs) = rules(&[(Meter::Count, TimeOperator::Lteq, 100)]);
        let account = Account::default();
        account.answer(UsageMeter::Count, grant(0, 4), 0);
        assert_eq!(account.begin(&rules, needs, 0), NONE);
        let low = Lacks { meter: UsageMeter::Count, units: 1 };
        assert_eq!(account.begin(&rules, needs, 0), Step::Go { low: vec![low] });
        account.answer(UsageMeter::Count, grant(4, 4), 0);
        assert_eq!(account.begin(&rules, needs, 0), NONE, "nothing is left: asking again is no use");
    }

    #[test]
    fn uses_that_no_longer_matter_are_admitted_without_a_grant() {
        let (rules, needs) = rules(&[(Meter::Count, TimeOperator::Gt, 1)]);
        let account = Account::default();
        account.answer(UsageMeter::Count, grant(0, 1), 0);
        assert_eq!(refused(account.begin(&rules, needs, 0)), "count = 1");
        let account = Account::default();
        account.answer(UsageMeter::Count, grant(1, 1), 0);
        assert_eq!(account.begin(&rules, needs, 0), NONE);
    }

    #[test]
    fn the_time_since_the_first_use_needs_one_grant() {
        let (rules, needs) = rules(&[(Meter::Elapsed, TimeOperator::Lteq, 5_000)]);
        let account = Account::default();
        assert_eq!(lacks(account.begin(&rules, needs, 1_000)).meter, UsageMeter::Count);
        account.answer(UsageMeter::Count, grant(0, 1), 1_000);
        assert_eq!(account.begin(&rules, needs, 6_000), NONE);
        assert_eq!(account.look(&rules, needs, 6_000).refusal, None);
        assert_eq!(refused(account.begin(&rules, needs, 6_001)), "elapsedTime = 5 s");
        assert!(account.look(&rules, needs, 6_001).refusal.is_some(), "what runs is cut");
    }

    #[test]
    fn the_time_since_the_last_use_is_granted_use_by_use() {
        let (rules, needs) = rules(&[(Meter::Interval, TimeOperator::Gteq, 60_000)]);
        let account = Account::default();
        lacks(account.begin(&rules, needs, 1_000));
        account.answer(UsageMeter::Count, grant(0, 1), 1_000);
        assert_eq!(account.begin(&rules, needs, 1_000), NONE, "the first use waits for nothing");
        let too_early = UsageGrant { from: 1, to: 1, first_use_ms: Some(1_000), last_use_ms: Some(1_000) };
        lacks(account.begin(&rules, needs, 31_000));
        account.answer(UsageMeter::Count, Some(too_early), 31_000);
        assert_eq!(refused(account.begin(&rules, needs, 31_000)), "timeInterval = 30 s");
        assert_eq!(account.look(&rules, needs, 31_000).refusal, None, "what was admitted goes on");
        // It would be allowed by now, and has to be granted all the same.
        account.answer(UsageMeter::Count, Some(too_early), 61_500);
        lacks(account.begin(&rules, needs, 61_500));
        account.answer(UsageMeter::Count, Some(UsageGrant { from: 1, to: 2, ..too_early }), 61_500);
        assert_eq!(account.begin(&rules, needs, 61_500), NONE);
        // A grant that was not used at once is not good any more.
        account.answer(UsageMeter::Count, Some(UsageGrant { from: 2, to: 3, ..too_early }), 130_000);
        lacks(account.begin(&rules, needs, 131_001));
    }

    #[test]
    fn each_second_that_begins_is_paid() {
        let (rules, needs) = rules(&[(Meter::MeteredTime, TimeOperator::Lteq, 3_000)]);
        let account = Account::default();
        lacks(account.begin(&rules, needs, 0));
        account.answer(UsageMeter::MeteredTime, grant(0, 2_000), 0);
        assert!(matches!(account.begin(&rules, needs, 0), Step::Go { .. }));
        assert!(matches!(account.begin(&rules, needs, 999), Step::Go { .. }), "the second is paid");
        let looked = account.look(&rules, needs, 1_000);
        assert!(looked.refusal.is_none() && !looked.unpaid);
        let looked = account.look(&rules, needs, 1_400);
        assert_eq!(looked.lacks, Some(Lacks { meter: UsageMeter::MeteredTime, units: 1_000 }), "asked in advance");
        account.answer(UsageMeter::MeteredTime, grant(2_000, 3_000), 1_500);
        assert!(!account.look(&rules, needs, 2_100).unpaid);
        assert!(!account.look(&rules, needs, 2_999).unpaid);
        account.answer(UsageMeter::MeteredTime, grant(3_000, 3_000), 2_500);
        let looked = account.look(&rules, needs, 3_000);
        assert_eq!(looked.refusal.unwrap().fact.unwrap(), "meteredTime = 4 s");
        assert_eq!(refused(account.begin(&rules, needs, 3_001)), "meteredTime = 4 s");
    }

    #[test]
    fn a_second_that_nobody_grants_is_not_given() {
        let (rules, needs) = rules(&[(Meter::MeteredTime, TimeOperator::Lteq, 60_000)]);
        let account = Account::default();
        account.answer(UsageMeter::MeteredTime, grant(0, 1_000), 0);
        assert!(matches!(account.begin(&rules, needs, 0), Step::Go { .. }));
        assert!(account.look(&rules, needs, 600).lacks.is_some());
        account.answer(UsageMeter::MeteredTime, None, 700);
        assert!(account.look(&rules, needs, 1_000).unpaid);
    }

    #[test]
    fn bytes_are_spent_before_they_are_sent() {
        let (rules, needs) = rules(&[(Meter::Volume, TimeOperator::Lt, 100)]);
        let account = Account::default();
        lacks(account.begin(&rules, needs, 0));
        account.answer(UsageMeter::Volume, grant(0, 60), 0);
        assert!(matches!(account.begin(&rules, needs, 0), Step::Go { .. }));
        assert_eq!(account.spend(&rules, 60, 0), Bytes::Spent { low: None });
        assert_eq!(account.spend(&rules, 39, 0), Bytes::Lacks(Lacks { meter: UsageMeter::Volume, units: 39 }));
        account.answer(UsageMeter::Volume, grant(60, 100), 0);
        assert_eq!(account.spend(&rules, 39, 0), Bytes::Spent { low: None });
        // A flow of the same agreement that looks at something else leaves this one as it is.
        let (others, other_needs) = self::rules(&[(Meter::Count, TimeOperator::Lteq, 9)]);
        account.answer(UsageMeter::Count, grant(0, 1), 0);
        assert_eq!(account.begin(&others, other_needs, 0), NONE);
        assert_eq!(account.look(&rules, needs, 0).refusal, None);
        match account.spend(&rules, 1, 0) {
            Bytes::Refused(refusal) => assert_eq!(refusal.fact.unwrap(), "volume = 100 bytes"),
            other => panic!("{other:?}"),
        }
        assert_eq!(refused(account.begin(&rules, needs, 0)), "volume = 100 bytes");
    }
}
