//! Which data planes are there. Each change is made only while the row is as its maker believes, so that a late word of a connection
//! that another one has replaced changes nothing.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{data_plane, transfer};
use super::{StepKind, Store, StoreResult, Unit};

/// Word of a plane that takes new flows.
pub(crate) const PRESENT: &str = "present";
/// Word of a plane that is about to stop.
pub(crate) const LEAVING: &str = "leaving";
/// Word of a plane that is gone.
pub(crate) const ABSENT: &str = "absent";

/// Rows of one page.
const PAGE: u64 = 500;
/// States of a transfer whose data has ended.
const OVER: [&str; 2] = ["COMPLETED", "TERMINATED"];

/// A plane has come over this connection, which replaces any other. `false`: there is no such plane.
pub(crate) async fn arrive(unit: &Unit, context: &str, id: &str, connection: &str, until: i64) -> StoreResult<bool> {
    let before = data_plane::Entity::find_by_id((context.to_owned(), id.to_owned())).lock_exclusive();
    let Some(before) = before.one(unit.db()).await? else { return Ok(false) };
    let stayed = before.presence.as_deref() == Some(PRESENT) && before.present_until >= Some(unit.now());
    let since = before.presence_since.filter(|_| stayed).unwrap_or(unit.now());
    set(unit, of(context, id), PRESENT, since, until, Some(connection)).await?;
    Ok(true)
}

/// The connection still stands. `false`: another one has replaced it, or the plane was removed.
pub(crate) async fn renew(unit: &Unit, context: &str, id: &str, connection: &str, until: i64) -> StoreResult<bool> {
    let renewed = data_plane::Entity::update_many()
        .col_expr(data_plane::Column::PresentUntil, Expr::value(until))
        .filter(of(context, id))
        .filter(data_plane::Column::Connection.eq(connection))
        .exec(unit.db())
        .await?;
    Ok(renewed.rows_affected == 1)
}

/// The plane says that it is about to stop. `false`: it is not there.
pub(crate) async fn leave(unit: &Unit, context: &str, id: &str) -> StoreResult<bool> {
    let left = data_plane::Entity::update_many()
        .col_expr(data_plane::Column::Presence, Expr::value(LEAVING))
        .col_expr(data_plane::Column::PresenceSince, Expr::value(unit.now()))
        .filter(of(context, id))
        .filter(data_plane::Column::Presence.eq(PRESENT))
        .exec(unit.db())
        .await?;
    Ok(left.rows_affected == 1)
}

/// The connection has ended. `false`: another one has replaced it.
pub(crate) async fn part(unit: &Unit, context: &str, id: &str, connection: &str) -> StoreResult<bool> {
    let its = of(context, id).add(data_plane::Column::Connection.eq(connection));
    set(unit, its, ABSENT, unit.now(), 0, None).await
}

/// Nobody has said for too long that the plane is there. `false`: somebody has, meanwhile.
pub(crate) async fn expire(unit: &Unit, plane: &data_plane::Model) -> StoreResult<bool> {
    let same = of(&plane.context, &plane.id).add(data_plane::Column::PresentUntil.eq(plane.present_until));
    set(unit, same, ABSENT, unit.now(), 0, None).await
}

async fn set(
    unit: &Unit,
    which: Condition,
    word: &str,
    since: i64,
    until: i64,
    connection: Option<&str>,
) -> StoreResult<bool> {
    let changed = data_plane::Entity::update_many()
        .col_expr(data_plane::Column::Presence, Expr::value(word))
        .col_expr(data_plane::Column::PresenceSince, Expr::value(since))
        .col_expr(data_plane::Column::PresentUntil, Expr::value(until))
        .col_expr(data_plane::Column::Connection, Expr::value(connection.map(str::to_owned)))
        .filter(which)
        .exec(unit.db())
        .await?;
    Ok(changed.rows_affected == 1)
}

fn of(context: &str, id: &str) -> Condition {
    Condition::all().add(data_plane::Column::Context.eq(context)).add(data_plane::Column::Id.eq(id))
}

fn runs() -> Condition {
    Condition::any().add(transfer::Column::Settled.is_null()).add(transfer::Column::Settled.is_not_in(OVER))
}

/// Of the transfers `ids`, those that have not ended: id, the plane that carries the flow, how often it moved.
pub(crate) async fn carried(
    store: &Store,
    context: &str,
    ids: &[String],
) -> StoreResult<Vec<(String, Option<String>, i64)>> {
    let mut found = Vec::new();
    for ids in ids.chunks(500) {
        let rows: Vec<(String, Option<String>, i64)> = transfer::Entity::find()
            .select_only()
            .columns([transfer::Column::Id, transfer::Column::DataPlaneId, transfer::Column::Moves])
            .filter(transfer::Column::Context.eq(context))
            .filter(transfer::Column::Id.is_in(ids))
            .filter(runs())
            .into_tuple()
            .all(store.reads())
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// Wakes what waits for a data plane: signals to this one, and flows that have none yet.
pub(crate) async fn wake_waiting(unit: &mut Unit, context: &str, plane: &str) -> StoreResult<()> {
    let its =
        Condition::any().add(transfer::Column::DataPlaneId.eq(plane)).add(transfer::Column::DataPlaneId.is_null());
    let waiting = Condition::all()
        .add(transfer::Column::Context.eq(context))
        .add(transfer::Column::FlowTarget.is_not_null())
        .add(transfer::Column::Attempts.gt(0))
        .add(its);
    let ids: Vec<String> = transfer::Entity::find()
        .select_only()
        .column(transfer::Column::Id)
        .filter(waiting.clone())
        .into_tuple()
        .all(unit.db())
        .await?;
    if ids.is_empty() {
        return Ok(());
    }
    transfer::Entity::update_many()
        .col_expr(transfer::Column::NextAttemptAt, Expr::value(unit.now()))
        .filter(waiting)
        .exec(unit.db())
        .await?;
    let now = unit.now();
    ids.iter().for_each(|id| unit.wake(StepKind::Transfer, id, now));
    Ok(())
}

/// Transfers with this data plane that have not ended and in which we are the provider, with an id after `after`, in the order of their
/// ids; an empty page ends the list.
pub(crate) async fn provided(
    store: &Store,
    context: &str,
    plane: &str,
    after: &str,
) -> StoreResult<Vec<transfer::Model>> {
    Ok(transfer::Entity::find()
        .filter(transfer::Column::Context.eq(context))
        .filter(transfer::Column::DataPlaneId.eq(plane))
        .filter(transfer::Column::Role.eq("provider"))
        .filter(runs())
        .filter(transfer::Column::Id.gt(after))
        .order_by_asc(transfer::Column::Id)
        .limit(PAGE)
        .all(store.reads())
        .await?)
}

/// How many of the transfers `ids` are still with this plane, have no other one yet, or owe their counter-party a message.
pub(crate) async fn unsettled(store: &Store, context: &str, plane: &str, ids: &[String]) -> StoreResult<u64> {
    let open = Condition::any()
        .add(transfer::Column::DataPlaneId.eq(plane))
        .add(transfer::Column::FlowTarget.is_not_null())
        .add(transfer::Column::Owed.is_not_null());
    let mut count = 0;
    for ids in ids.chunks(500) {
        count += transfer::Entity::find()
            .filter(transfer::Column::Context.eq(context))
            .filter(transfer::Column::Id.is_in(ids))
            .filter(runs())
            .filter(open.clone())
            .count(store.reads())
            .await?;
    }
    Ok(count)
}
