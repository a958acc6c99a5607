//! What has to be known of the uses of a flow before it can be judged.

use policy_plan::{Meter, Residual};

/// The meters that a flow's rules look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The ordinal of the use, or the time since the last one: each use is granted.
    pub(crate) count: bool,
    /// The time since the last use: it is known only at the moment of a grant.
    pub(crate) interval: bool,
    /// The time since the first use: it is known once any use was granted.
    pub(crate) elapsed: bool,
    /// The time in which data is read.
    pub(crate) time: bool,
    /// The bytes of bodies.
    pub(crate) volume: bool,
}

impl Needs {
    /// What these rules look at; `None` when it is nothing, and the clock alone decides.
    pub(crate) fn of(rules: &Residual) -> Option<Self> {
        let meters = rules.meters();
        if meters.is_empty() {
            return None;
        }
        let has = |meter| meters.contains(&meter);
        Some(Self {
            count: has(Meter::Count) || has(Meter::Interval),
            interval: has(Meter::Interval),
            elapsed: has(Meter::Elapsed),
            time: has(Meter::MeteredTime),
            volume: has(Meter::Volume),
        })
    }
}
