//! How much the control plane gives at once.

use super::UsageMeter;

/// The size of the next block: a part of what is left that gets smaller towards the end, so that several data planes come to
/// the limit together and little is held by one of them when another needs it.
///
/// `given` is how far was given already, `limit` how far may be given at all (`None`: nothing limits it, the uses are only
/// counted), `planes` how many data planes may hold a block. The answer is never more than `limit - given`; 0 means that
/// nothing is left.
pub fn block(meter: UsageMeter, given: u64, limit: Option<u64>, planes: u64, wanted: u64) -> u64 {
    let most = wanted.min(meter.largest_block());
    let Some(limit) = limit else { return most };
    let left = limit.saturating_sub(given);
    let share = left / planes.max(1).saturating_mul(4);
    most.min(share.max(meter.smallest_block())).min(left)
}
