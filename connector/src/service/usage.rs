//! Uses of agreements: counted here, spent by the data planes in blocks that are given out in advance.
//!
//! What was given counts as used, and is durable before the data plane hears of it. So no crash, no lost answer and no number of
//! data planes leads to more uses than the agreement admits; what a data plane held when it crashed is lost.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::{UsageGrant, UsageMeter, UsageRequest, block};
use policy::Policy;
use policy_plan::{Meter, Residual, Used};

use super::transfer::rules;
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{Unit, data_plane, processes, registry, transfer, usage, usage_counter};

/// For so long the transfers of an agreement that is used up still run, so that other data planes spend what they hold. The one
/// that asked refuses its requests at once.
const LAST_USES: Duration = Duration::from_secs(1);

/// A data plane asks for a block of uses of the agreement behind a transfer.
///
/// # Errors
/// `not_found` for a transfer that is not ours to provide, `flow_not_running` for one whose data shall not move.
pub(crate) async fn grant(app: &Arc<App>, transfer: &str, request: UsageRequest) -> ServiceResult<UsageGrant> {
    let row = processes::find::<transfer::Model>(app.store.reads(), app.context(), transfer).await?;
    let row = row
        .filter(|row| row.role == "provider")
        .ok_or_else(|| ServiceError::not_found(format!("no transfer `{transfer}` in which we are the provider")))?;
    let aim = row.flow_target.as_deref().or(row.flow_state.as_deref());
    if matches!(aim, Some("SUSPENDED" | "COMPLETED" | "TERMINATED")) {
        return Err(ServiceError::conflict("flow_not_running", "the data of this transfer does not move"));
    }
    let rules = rules(app, &row).await?;
    let planes = registry::count::<data_plane::Entity>(&app.store, app.context()).await?;
    let context = app.context();
    let agreement = row.agreement_id.clone();
    let grant = app
        .store
        .write(move |unit| Box::pin(async move { give(unit, context, &agreement, &rules, planes, request).await }))
        .await?;
    if grant.is_empty() {
        tracing::info!(transfer, meter = request.meter.as_wire(), given = grant.to, "no more uses are given");
        let (app, agreement) = (Arc::clone(app), row.agreement_id);
        tokio::spawn(async move {
            tokio::time::sleep(LAST_USES).await;
            app.monitor.poke(&agreement);
        });
    }
    Ok(grant)
}

async fn give(
    unit: &mut Unit,
    context: &str,
    agreement: &str,
    rules: &Residual,
    planes: u64,
    request: UsageRequest,
) -> ServiceResult<UsageGrant> {
    let UsageRequest { meter, wanted } = request;
    let limit = rules.largest(looked_at(meter)).map(|limit| u64::try_from(limit).unwrap_or(0));
    // The time since the last use is known here alone, so each use is judged before it is given, and given alone.
    let one_by_one = meter == UsageMeter::Count && rules.meters().contains(&Meter::Interval);
    let others = if one_by_one { usage::counters(unit.db(), context, [agreement]).await? } else { Vec::new() };
    let now = unit.now();
    let size = move |counter: &usage_counter::Model| {
        let given = u64::try_from(counter.given).unwrap_or(0);
        let size = if one_by_one {
            let used = Used {
                count: Some(given.saturating_add(1)),
                first_use_ms: counter.first_use_at,
                last_use_ms: counter.last_use_at,
                ..used(&others)
            };
            u64::from(rules.decide(now, &used).allow)
        } else {
            block(meter, given, limit, planes, wanted)
        };
        i64::try_from(size).unwrap_or(i64::MAX).min(i64::MAX - counter.given)
    };
    let (before, size) = usage::give(unit, context, agreement, meter.as_wire(), size).await?;
    let position = |place: i64| u64::try_from(place).unwrap_or(0);
    Ok(UsageGrant {
        from: position(before.given),
        to: position(before.given + size),
        first_use_ms: before.first_use_at.or((size > 0).then_some(now)),
        last_use_ms: before.last_use_at,
    })
}

/// What policies call the meter.
fn looked_at(meter: UsageMeter) -> Meter {
    match meter {
        UsageMeter::Count => Meter::Count,
        UsageMeter::MeteredTime => Meter::MeteredTime,
        UsageMeter::Volume => Meter::Volume,
    }
}

/// What these counters of one agreement say about the use that would come next: the ordinal of the next request, and the next
/// second and byte.
pub(crate) fn used(counters: &[usage_counter::Model]) -> Used {
    let next = |meter: UsageMeter, unit: u64| {
        let given = counters.iter().find(|counter| counter.meter == meter.as_wire()).map_or(0, |counter| counter.given);
        Some(u64::try_from(given).unwrap_or(0).saturating_add(unit))
    };
    let uses = || counters.iter().filter(|counter| counter.meter != usage::TRANSFERS);
    Used {
        count: next(UsageMeter::Count, 1),
        metered_ms: next(UsageMeter::MeteredTime, 1_000),
        volume_bytes: next(UsageMeter::Volume, 1),
        first_use_ms: uses().filter_map(|counter| counter.first_use_at).min(),
        last_use_ms: uses().filter_map(|counter| counter.last_use_at).max(),
    }
}

/// Gives a transfer that starts its number under the agreement, where the policy counts transfers.
///
/// # Errors
/// When the database fails.
pub(crate) async fn number_transfer(unit: &Unit, policy: &Policy, row: &transfer::Model) -> ServiceResult<()> {
    if policy.looks_at().transfers {
        usage::number_transfer(unit, &row.context, &row.agreement_id, &row.id).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(meter: &str, given: i64, first: Option<i64>, last: Option<i64>) -> usage_counter::Model {
        usage_counter::Model {
            context: String::new(),
            agreement_id: String::new(),
            meter: meter.to_owned(),
            given,
            first_use_at: first,
            last_use_at: last,
            updated_at: 0,
        }
    }

    #[test]
    fn the_next_use_is_one_further() {
        let none = used(&[]);
        assert_eq!((none.count, none.metered_ms, none.volume_bytes), (Some(1), Some(1_000), Some(1)));
        assert_eq!((none.first_use_ms, none.last_use_ms), (None, None));
        let some = used(&[
            counter("count", 7, Some(20), Some(30)),
            counter("volume", 9, Some(10), Some(25)),
            counter("transfers", 3, Some(1), Some(99)),
        ]);
        assert_eq!((some.count, some.metered_ms, some.volume_bytes), (Some(8), Some(1_000), Some(10)));
        assert_eq!((some.first_use_ms, some.last_use_ms), (Some(10), Some(30)));
    }
}
