//! Lists: paged, filtered and sorted in the database.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{
    ColumnTrait, ColumnType, Condition, EntityTrait, ModelTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::{StoreError, StoreResult};

/// Largest page that a caller gets.
const MAX_LIMIT: u64 = 500;
/// Page size when the caller names none.
const DEFAULT_LIMIT: u64 = 50;

/// One filter of a list: the rows whose column equals the value.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Name in the API.
    pub name: &'static str,
    /// Wanted value.
    pub value: String,
}

/// What a caller asks of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListQuery {
    /// Rows wanted.
    pub limit: Option<u64>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Column to sort by, `-` in front for descending.
    pub sort: Option<String>,
    /// Filters, all of which must hold.
    pub filters: Vec<Filter>,
}

impl ListQuery {
    fn limit(&self) -> u64 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub(crate) struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Cursor of the next page, when there may be more.
    pub next: Option<String>,
}

/// How one table is listed: names of the API and the columns behind them. Only these can be sorted and filtered by.
pub(crate) struct Listing<C: 'static> {
    /// Columns to sort by; the first is the default.
    pub sort: &'static [(&'static str, C)],
    /// Columns to filter by.
    pub filter: &'static [(&'static str, C)],
    /// The unique column that breaks ties.
    pub id: C,
}

/// Runs a list query: keyset paging over (sort column, id), so that a page costs the same at the start and at the end.
pub(super) async fn list<E, C>(
    db: &impl sea_orm::ConnectionTrait,
    base: Select<E>,
    listing: &Listing<C>,
    query: &ListQuery,
) -> StoreResult<Page<E::Model>>
where
    E: EntityTrait<Column = C>,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
    C: ColumnTrait + Copy,
{
    let (sort, order) = sort_column(listing, query)?;
    let mut select = base;
    for filter in &query.filters {
        let column = listing.filter.iter().find(|(name, _)| *name == filter.name).map(|(_, column)| *column);
        let column = column.ok_or_else(|| StoreError::BadQuery(format!("no filter `{}` here", filter.name)))?;
        select = select.filter(column.eq(filter.value.clone()));
    }
    if let Some(cursor) = &query.cursor {
        select = select.filter(after(sort, listing.id, &order, cursor)?);
    }
    let limit = query.limit();
    let rows = select.order_by(sort, order.clone()).order_by(listing.id, order).limit(limit + 1).all(db).await?;
    Ok(cut(rows, limit, |row| encode(row, sort, listing.id)))
}

fn sort_column<C: ColumnTrait + Copy>(listing: &Listing<C>, query: &ListQuery) -> StoreResult<(C, Order)> {
    let wanted = query.sort.as_deref().unwrap_or("");
    let (name, order) = match wanted.strip_prefix('-') {
        Some(name) => (name, Order::Desc),
        None => (wanted, Order::Asc),
    };
    let found = if name.is_empty() { listing.sort.first() } else { listing.sort.iter().find(|(n, _)| *n == name) };
    let (_, column) = found.ok_or_else(|| StoreError::BadQuery(format!("this list cannot be sorted by `{name}`")))?;
    Ok((*column, order))
}

/// Splits the extra row off and makes the cursor from the last one that is shown.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: u64, encode: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(encode) } else { None };
    Page { items: rows, next }
}

/// Cursor = base64 of the JSON array [sort value as text, is it a number, id].
fn encode<M: ModelTrait>(
    row: &M,
    sort: <M::Entity as EntityTrait>::Column,
    id: <M::Entity as EntityTrait>::Column,
) -> String {
    let (value, number) = match row.get(sort) {
        sea_orm::Value::BigInt(Some(number)) => (number.to_string(), true),
        sea_orm::Value::String(Some(text)) => (text, false),
        other => (other.to_string(), false),
    };
    let key = match row.get(id) {
        sea_orm::Value::String(Some(text)) => text,
        other => other.to_string(),
    };
    URL_SAFE_NO_PAD.encode(serde_json::json!([value, number, key]).to_string())
}

fn after<C: ColumnTrait>(sort: C, id: C, order: &Order, cursor: &str) -> StoreResult<Condition> {
    let bad = || StoreError::BadQuery("the cursor is not one that this list gave out".to_owned());
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let (value, number, key): (String, bool, String) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    // A cursor of another sort order, or one made up: PostgreSQL takes neither a text for a number nor a NUL.
    let wants_number = matches!(sort.def().get_column_type(), ColumnType::BigInteger);
    if number != wants_number || value.contains('\0') || key.contains('\0') {
        return Err(bad());
    }
    let value: sea_orm::Value = if number { value.parse::<i64>().map_err(|_| bad())?.into() } else { value.into() };
    let (past_sort, past_id) = match order {
        Order::Desc => (sort.lt(value.clone()), id.lt(key)),
        _ => (sort.gt(value.clone()), id.gt(key)),
    };
    Ok(Condition::any().add(past_sort).add(Condition::all().add(sort.eq(value)).add(past_id)))
}
