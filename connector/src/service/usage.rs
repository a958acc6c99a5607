//! Uses of agreements: counted here, spent by the data planes in blocks that are given out in advance.
//!
//! What was given counts as used, and is durable before the data plane hears of it. So no crash, no lost answer and no number of
//! data planes leads to more uses than the agreement admits; what a data plane held when it crashed is lost. One that stops in order gives it
//! back.

use std::sync::Arc;
use std::time::Duration;

use dps_signaling::{UsageGrant, UsageMeter, UsageRequest, UsageReturn, block};
use policy_plan::{Meter, Residual, Used};

use super::transfer::rules;
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::{Unit, data_plane, facts, processes, registry, tokens, transfer, usage, usage_counter};

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
    let limit = rules.largest(looked_at(request.meter)).map(|limit| u64::try_from(limit).unwrap_or(0));
    let planes = registry::count::<data_plane::Entity>(&app.store, app.context()).await?;
    let context = app.context();
    let agreement = row.agreement_id.clone();
    let grant = app
        .store
        .write(move |unit| {
            Box::pin(async move { give(unit, context, &agreement, &rules, limit, planes, request).await })
        })
        .await?;
    if limit.is_some_and(|limit| grant.is_empty() && grant.to >= limit) {
        tracing::info!(transfer, meter = request.meter.as_wire(), given = grant.to, "no more uses are given");
        let (app, agreement) = (Arc::clone(app), row.agreement_id);
        tokio::spawn(async move {
            tokio::time::sleep(LAST_USES).await;
            app.monitor.poke(&agreement);
        });
    }
    Ok(grant)
}

/// Gives what the rules leave, one unit of work after the other for one agreement.
async fn give(
    unit: &mut Unit,
    context: &str,
    agreement: &str,
    rules: &Residual,
    limit: Option<u64>,
    planes: u64,
    request: UsageRequest,
) -> ServiceResult<UsageGrant> {
    let UsageRequest { meter, wanted } = request;
    // The time since the last use is known here alone, so each use is judged before it is given, and given alone.
    let one_by_one = meter == UsageMeter::Count && rules.meters().contains(&Meter::Interval);
    let others = if one_by_one { facts::usage(unit.db(), context, [agreement]).await? } else { Vec::new() };
    let other = |meter: UsageMeter| {
        let given = others.iter().find(|row| row.meter == meter.as_wire()).map_or(0, |row| row.given);
        Some(u64::try_from(given).unwrap_or(0))
    };
    let (metered_ms, volume_bytes) = (other(UsageMeter::MeteredTime), other(UsageMeter::Volume));
    let now = unit.now();
    let size = move |counter: &usage_counter::Model| {
        let given = u64::try_from(counter.given).unwrap_or(0);
        let size = if one_by_one {
            let used = Used {
                count: Some(given.saturating_add(1)),
                metered_ms,
                volume_bytes,
                first_use_ms: counter.first_use_at,
                last_use_ms: counter.last_use_at,
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

/// For so long the name of a return is remembered, s.
const RETURNS_KEPT_S: i64 = 24 * 60 * 60;

/// A data plane that stops gives back what it was given and has not spent, and will not spend any more. Said again it counts once.
///
/// # Errors
/// `not_found`; `nothing_to_return` for more than was given, or where each use is judged at the moment at which it is given.
pub(crate) async fn take_back(app: &Arc<App>, transfer: &str, message: UsageReturn) -> ServiceResult<()> {
    let row = processes::find::<transfer::Model>(app.store.reads(), app.context(), transfer).await?;
    let row = row
        .filter(|row| row.role == "provider")
        .ok_or_else(|| ServiceError::not_found(format!("no transfer `{transfer}` in which we are the provider")))?;
    let nothing = || ServiceError::conflict("nothing_to_return", "so much was not given, or it cannot be given again");
    if rules(app, &row).await?.meters().contains(&Meter::Interval) {
        return Err(nothing());
    }
    let (context, agreement) = (app.context(), row.agreement_id.clone());
    let units = i64::try_from(message.units).map_err(|_| nothing())?;
    let taken = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                let until = unit.now() / 1000 + RETURNS_KEPT_S;
                if !tokens::use_once(unit, context, "urn:hansa:usage-return", &message.id, until).await? {
                    return Ok(false);
                }
                let back = usage::take_back(unit, context, &agreement, message.meter.as_wire(), units).await?;
                if back { Ok(true) } else { Err(nothing()) }
            })
        })
        .await?;
    if taken {
        tracing::info!(transfer, meter = message.meter.as_wire(), units, "a data plane has given uses back");
        app.monitor.poke(&row.agreement_id);
    }
    Ok(())
}

/// What policies call the meter.
fn looked_at(meter: UsageMeter) -> Meter {
    match meter {
        UsageMeter::Count => Meter::Count,
        UsageMeter::MeteredTime => Meter::MeteredTime,
        UsageMeter::Volume => Meter::Volume,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use policy_plan::{Conflict, Expr, ResidualRule, TimeOperator};

    use super::*;

    fn rules(conditions: &[(Meter, TimeOperator, i64)]) -> Residual {
        let parts = conditions.iter().map(|&(meter, operator, limit)| Expr::Usage { meter, operator, limit }).collect();
        let rule = ResidualRule { id: "p0".to_owned(), text: "so much".to_owned(), when: Expr::And(parts) };
        Residual { permissions: vec![rule], prohibitions: Vec::new(), conflict: Conflict::default() }
    }

    async fn given(app: &App, rules: &Residual, limit: Option<u64>, meter: UsageMeter, wanted: u64) -> UsageGrant {
        let (context, rules) = (app.context(), rules.clone());
        let request = UsageRequest { meter, wanted };
        app.store
            .write(move |unit| Box::pin(async move { give(unit, context, "urn:a", &rules, limit, 1, request).await }))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn blocks_end_at_the_limit_and_are_kept() {
        let (_folder, app) = crate::testing::app().await;
        let rules = rules(&[(Meter::Count, TimeOperator::Lteq, 10)]);
        let grant = given(&app, &rules, Some(10), UsageMeter::Count, 8).await;
        assert_eq!((grant.from, grant.to, grant.last_use_ms), (0, 2, None));
        let first = grant.first_use_ms.unwrap();
        let mut end = 2;
        while end < 10 {
            let grant = given(&app, &rules, Some(10), UsageMeter::Count, 8).await;
            assert_eq!((grant.from, grant.first_use_ms), (end, Some(first)));
            assert!(grant.last_use_ms.is_some());
            end = grant.to;
        }
        assert_eq!(end, 10);
        assert!(given(&app, &rules, Some(10), UsageMeter::Count, 8).await.is_empty());
        // Meters are counted each for itself.
        assert_eq!(given(&app, &rules, Some(90_000), UsageMeter::MeteredTime, 8_000).await.from, 0);
    }

    #[tokio::test]
    async fn with_an_interval_each_use_is_judged_when_it_is_given() {
        let (_folder, app) = crate::testing::app().await;
        let rules = rules(&[(Meter::Interval, TimeOperator::Gteq, 300), (Meter::Volume, TimeOperator::Lteq, 100)]);
        let ask = || given(&app, &rules, None, UsageMeter::Count, 8);
        assert_eq!(ask().await.to, 1, "the first use waits for nothing, and comes alone");
        let early = ask().await;
        assert!(early.is_empty() && early.last_use_ms.is_some(), "the data plane can say why");
        let again = ask().await;
        assert_eq!(again.last_use_ms, early.last_use_ms, "what was refused is no use");
        tokio::time::sleep(Duration::from_millis(320)).await;
        assert_eq!(ask().await.to, 2);
    }

    #[tokio::test]
    async fn what_comes_back_is_given_again_and_counts_once() {
        let (_folder, app) = crate::testing::app().await;
        let rules = rules(&[(Meter::Count, TimeOperator::Lteq, 10)]);
        let first = given(&app, &rules, Some(10), UsageMeter::Count, 8).await;
        let back = async |units| {
            let context = app.context();
            app.store
                .write(move |unit| {
                    Box::pin(async move { usage::take_back(unit, context, "urn:a", "count", units).await })
                })
                .await
                .unwrap()
        };
        assert_eq!(first.to, 2);
        assert!(!back(3).await, "more than was given");
        assert!(back(1).await);
        let mut total = 1;
        loop {
            let grant = given(&app, &rules, Some(10), UsageMeter::Count, 8).await;
            if grant.is_empty() {
                break;
            }
            total += grant.to - grant.from;
        }
        assert_eq!(total, 10, "the one that was spent, and nine more");
    }

    #[tokio::test]
    async fn only_the_provider_of_a_transfer_gives() {
        let (_folder, app) = crate::testing::app().await;
        let request = UsageRequest { meter: UsageMeter::Count, wanted: 1 };
        let error = grant(&app, "urn:uuid:none", request).await.unwrap_err();
        assert_eq!(error.kind, crate::service::Kind::NotFound);
        let message = UsageReturn { id: "r".to_owned(), meter: UsageMeter::Count, units: 1 };
        let error = take_back(&app, "urn:uuid:none", message).await.unwrap_err();
        assert_eq!(error.kind, crate::service::Kind::NotFound);
    }
}
