//! Rows of `event`, and the webhooks that read them.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::entity::{event, webhook};
use super::{Store, StoreError, StoreResult};

/// Which events a reader wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventQuery {
    /// Only events with a larger sequence number.
    pub after: i64,
    /// Most rows wanted.
    pub limit: u64,
    /// Only this kind; `negotiation.*` takes a whole family.
    pub kind: Option<String>,
    /// Only events about this subject.
    pub subject: Option<String>,
}

/// The first events after `query.after`, in the order of their sequence numbers.
pub(crate) async fn list(store: &Store, context: &str, query: &EventQuery) -> StoreResult<Vec<event::Model>> {
    Ok(wanted(context, query).order_by_asc(event::Column::Seq).all(store.reads()).await?)
}

/// The last events, or the last ones before a sequence number; in the order of their sequence numbers, too.
pub(crate) async fn latest(
    store: &Store,
    context: &str,
    query: &EventQuery,
    before: Option<i64>,
) -> StoreResult<Vec<event::Model>> {
    let mut select = wanted(context, query).order_by_desc(event::Column::Seq);
    if let Some(before) = before {
        select = select.filter(event::Column::Seq.lt(before));
    }
    let mut rows = select.all(store.reads()).await?;
    rows.reverse();
    Ok(rows)
}

fn wanted(context: &str, query: &EventQuery) -> Select<event::Entity> {
    let mut select = event::Entity::find()
        .filter(event::Column::Context.eq(context))
        .filter(event::Column::Seq.gt(query.after))
        .limit(query.limit.clamp(1, 1000));
    if let Some(kind) = &query.kind {
        select = match kind.strip_suffix('*') {
            Some(family) => select.filter(event::Column::Kind.starts_with(family)),
            None => select.filter(event::Column::Kind.eq(kind.as_str())),
        };
    }
    if let Some(subject) = &query.subject {
        select = select.filter(event::Column::Subject.eq(subject.as_str()));
    }
    select
}

/// Whether events become visible in the order of their sequence numbers, and all of them through this replica: so with
/// the single writer of SQLite.
pub(crate) fn in_order(store: &Store) -> bool {
    !super::is_postgres(store.reads().get_database_backend())
}

/// The largest sequence number so far, 0 when there is none.
pub(crate) async fn last_seq(store: &Store) -> StoreResult<i64> {
    let last = event::Entity::find().order_by_desc(event::Column::Seq).one(store.reads()).await?;
    Ok(last.map_or(0, |row| row.seq))
}

/// Moves a webhook's cursor on, after its receiver took the events up to `seq`.
pub(crate) async fn advance_webhook(store: &Store, context: &str, id: &str, seq: i64) -> StoreResult<()> {
    let (context, id) = (context.to_owned(), id.to_owned());
    store
        .write(move |unit| {
            Box::pin(async move {
                webhook::Entity::update_many()
                    .col_expr(webhook::Column::Cursor, Expr::value(seq))
                    .filter(webhook::Column::Context.eq(context))
                    .filter(webhook::Column::Id.eq(id))
                    .filter(webhook::Column::Cursor.lt(seq))
                    .exec(unit.db())
                    .await?;
                Ok::<_, StoreError>(())
            })
        })
        .await
}
