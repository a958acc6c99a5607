//! What a data plane holds of one meter.

use std::collections::VecDeque;

use super::{UsageGrant, UsageMeter};

/// A block that was spent within this time was too small, in milliseconds.
const SPENT_FAST_MS: i64 = 1_000;
/// A block that lasted longer than this was too large, in milliseconds.
const SPENT_SLOWLY_MS: i64 = 10_000;
/// How many of the smallest blocks are asked for at first.
const FIRST_BLOCKS: u64 = 8;

/// The granted positions that a data plane has not spent. It is never written down: after a crash the rest is lost, since
/// nobody knows how much of it was spent.
#[derive(Debug, Clone)]
pub struct Holding {
    meter: UsageMeter,
    /// Granted and not spent, in the order of the grants: both ends as in a grant.
    blocks: VecDeque<(u64, u64)>,
    /// The position of the last unit that was spent, or what the control plane said last when that is further.
    reached: u64,
    wanted: u64,
    last_size: u64,
    received_ms: i64,
}

impl Holding {
    /// Nothing yet.
    pub fn new(meter: UsageMeter) -> Self {
        let wanted = meter.smallest_block().saturating_mul(FIRST_BLOCKS);
        Self { meter, blocks: VecDeque::new(), reached: 0, wanted, last_size: 0, received_ms: 0 }
    }

    /// How much can be spent without asking.
    pub fn left(&self) -> u64 {
        self.blocks.iter().map(|(from, to)| to - from).sum()
    }

    /// How far the agreement is used, as far as this plane knows.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// The position that [`take`](Self::take) would reach; `None` when not so much is left.
    pub fn peek(&self, units: u64) -> Option<u64> {
        let mut rest = units;
        for (from, to) in &self.blocks {
            if rest <= to - from {
                return Some(from + rest);
            }
            rest -= to - from;
        }
        (units == 0).then_some(self.reached)
    }

    /// Spends units; gives the position of the last of them, or `None`, and nothing is spent, when not so much is left.
    pub fn take(&mut self, units: u64) -> Option<u64> {
        let position = self.peek(units)?;
        let mut rest = units;
        while let Some((from, to)) = self.blocks.front_mut() {
            let part = rest.min(*to - *from);
            *from += part;
            rest -= part;
            if from < to {
                break;
            }
            self.blocks.pop_front();
        }
        self.reached = position;
        Some(position)
    }

    /// Adds what was granted; `now_ms` is when it came.
    pub fn receive(&mut self, grant: &UsageGrant, now_ms: i64) {
        if grant.is_empty() {
            self.reached = self.reached.max(grant.to);
            return;
        }
        self.last_size = grant.to - grant.from;
        self.received_ms = now_ms;
        self.blocks.push_back((grant.from, grant.to));
    }

    /// Gives up everything that is left; how much that was.
    pub fn give_up(&mut self) -> u64 {
        let left = self.left();
        self.blocks.clear();
        left
    }

    /// Throws away what came before this moment: a use that must be judged when it is granted cannot be kept.
    pub fn discard_before(&mut self, moment_ms: i64) {
        if self.received_ms < moment_ms {
            self.blocks.clear();
        }
    }

    /// How much to ask for now, when at least `needed` is needed. The pace decides: a block that was spent fast was too small, one
    /// that lasted long was too large.
    pub fn wanted(&mut self, needed: u64, now_ms: i64) -> u64 {
        if self.last_size > 0 {
            let lasted = now_ms.saturating_sub(self.received_ms);
            if lasted < SPENT_FAST_MS && self.last_size >= self.wanted {
                self.wanted = self.wanted.saturating_mul(2).min(self.meter.largest_block());
            } else if lasted > SPENT_SLOWLY_MS {
                self.wanted = (self.wanted / 2).max(self.meter.smallest_block());
            }
        }
        self.wanted.max(needed)
    }

    /// Whether it is time to ask for the next block before this one is spent: half of it is gone. Blocks of the smallest size
    /// come towards the end of what the agreement admits; there nothing is taken in advance, since another plane may need it.
    pub fn runs_low(&self) -> bool {
        self.last_size > self.meter.smallest_block() && self.left() <= self.last_size / 2
    }
}
