//! What operators keep: datasets, policies, offers, partners, data planes, webhooks, trusted issuers, declared events and consents.
//! Every kind is checked in a module of its own ([`Resource`]); reading, writing, removing and the events about it are the same for all.

mod consents;
mod data_planes;
mod datasets;
mod declared_events;
mod offers;
mod partners;
mod policies;
mod trusted_issuers;
mod webhooks;

use async_trait::async_trait;
use dsp_protocol::pid;
use sea_orm::{ActiveModelTrait, IntoActiveModel, PrimaryKeyTrait};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::dataset::bad;
use super::{ServiceError, ServiceResult};
use crate::app::App;
use crate::store::registry::{self, Registered};
use crate::store::{ListQuery, Page, Unit, now_ms};

pub(crate) use consents::{ConsentInput, withdraw};
pub(crate) use data_planes::{DataPlaneInput, DialectName};
pub(crate) use datasets::DatasetInput;
pub(crate) use declared_events::{DeclaredEventInput, end};
pub(crate) use offers::{DecisionMode, OfferInput};
pub(crate) use partners::{AddressInput, PartnerInput};
pub(crate) use policies::PolicyInput;
pub(crate) use trusted_issuers::TrustedIssuerInput;
pub(crate) use webhooks::WebhookInput;

/// Longest title or name for people, in bytes.
const MAX_TITLE_BYTES: usize = 512;

/// Key and times of a row that is being written.
pub(crate) struct Stamp {
    /// Participant context.
    pub context: String,
    /// Id of the row.
    pub id: String,
    /// Now, ms.
    pub now: i64,
}

/// A kind of thing that operators keep.
#[async_trait]
pub(crate) trait Resource:
    Registered<
        Model: IntoActiveModel<Self::ActiveModel> + Clone + Send + Sync + 'static,
        ActiveModel: ActiveModelTrait<Entity = Self> + Send,
        PrimaryKey: PrimaryKeyTrait<ValueType = (String, String)>,
    >
{
    /// What it is called in sentences, and as `<word>.created` in events.
    const NAME: &'static str;
    /// Whether the operator has to give the id, because it is the name of something outside.
    const ID_IS_GIVEN: bool = false;
    /// What an operator writes.
    type Input: Send + 'static;

    /// The id in the input, when there is one.
    fn given_id(input: &Self::Input) -> Option<&str>;

    /// Checks the input and makes the row, whose times are both `stamp.now`. `before` is the row that it replaces, for
    /// what the input cannot say.
    async fn row(
        app: &App,
        input: Self::Input,
        stamp: Stamp,
        before: Option<&Self::Model>,
    ) -> ServiceResult<Self::Model>;

    /// The time of creation.
    fn created_at(row: &mut Self::Model) -> &mut i64;

    /// Called after a row was added, replaced or removed.
    fn changed(_app: &App) {}

    /// Checks that what the row refers to is there.
    async fn check_references(_unit: &Unit, _row: &Self::Model) -> ServiceResult<()> {
        Ok(())
    }

    /// What still needs the row, in words; such a row cannot be removed.
    async fn used_by(_unit: &Unit, _context: &str, _id: &str) -> ServiceResult<Option<String>> {
        Ok(None)
    }
}

/// One row.
///
/// # Errors
/// `not_found`.
pub(crate) async fn get<R: Resource>(app: &App, id: &str) -> ServiceResult<R::Model> {
    let row = registry::find::<R>(app.store.reads(), app.context(), id).await?;
    row.ok_or_else(|| missing::<R>(id))
}

/// A page of rows.
///
/// # Errors
/// `bad_query`, when there is no such sort column, filter or cursor.
pub(crate) async fn list<R: Resource>(app: &App, query: &ListQuery) -> ServiceResult<Page<R::Model>> {
    Ok(registry::list::<R>(&app.store, app.context(), query).await?)
}

/// Adds a row; without an id in the input it gets a new one.
///
/// # Errors
/// `bad_member`, `exists`, `unknown_reference`, and what the kind itself refuses.
pub(crate) async fn create<R: Resource>(app: &App, input: R::Input) -> ServiceResult<R::Model> {
    let id = match R::given_id(&input) {
        Some(id) => id.to_owned(),
        None if R::ID_IS_GIVEN => return Err(bad("id", "is missing")),
        None => uuid::Uuid::new_v4().urn().to_string(),
    };
    let row = checked_row::<R>(app, input, id, None).await?;
    let context = app.context();
    let done = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                R::check_references(unit, &row).await?;
                registry::insert::<R>(unit, context, row.clone()).await?;
                announce::<R>(unit, context, R::id(&row), "created").await?;
                Ok::<_, ServiceError>(row)
            })
        })
        .await;
    R::changed(app);
    done
}

/// Replaces a row whole, or adds it under this id. `true`: it is new.
///
/// # Errors
/// As [`create`]; `bad_member` when the input names another id.
pub(crate) async fn put<R: Resource>(app: &App, id: &str, input: R::Input) -> ServiceResult<(R::Model, bool)> {
    if R::given_id(&input).is_some_and(|given| given != id) {
        return Err(bad("id", format_args!("differs from `{id}` in the path; leave it out")));
    }
    let context = app.context();
    let before = registry::find::<R>(app.store.reads(), context, id).await?;
    let mut row = checked_row::<R>(app, input, id.to_owned(), before.as_ref()).await?;
    if let Some(mut before) = before {
        *R::created_at(&mut row) = *R::created_at(&mut before);
    }
    let done = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                let new = registry::find::<R>(unit.db(), context, R::id(&row)).await?.is_none();
                R::check_references(unit, &row).await?;
                registry::put::<R>(unit, row.clone()).await?;
                announce::<R>(unit, context, R::id(&row), if new { "created" } else { "updated" }).await?;
                Ok::<_, ServiceError>((row, new))
            })
        })
        .await;
    R::changed(app);
    done
}

/// Removes a row that nothing refers to any more.
///
/// # Errors
/// `not_found`; `in_use`, 409, with what still refers to it.
pub(crate) async fn remove<R: Resource>(app: &App, id: &str) -> ServiceResult<()> {
    let context = app.context();
    let id = id.to_owned();
    let done = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                if registry::find::<R>(unit.db(), context, &id).await?.is_none() {
                    return Err(missing::<R>(&id));
                }
                if let Some(user) = R::used_by(unit, context, &id).await? {
                    let message = format!("the {} `{id}` cannot be removed: {user}", R::NAME);
                    return Err(ServiceError::conflict("in_use", message));
                }
                registry::remove::<R>(unit, context, &id).await?;
                announce::<R>(unit, context, &id, "removed").await?;
                Ok(())
            })
        })
        .await;
    R::changed(app);
    done
}

/// Changes a row in a way of its own; `what` names the event.
///
/// # Errors
/// `not_found`, or what `work` refuses; nothing changes then.
async fn change<R: Resource>(
    app: &App,
    id: &str,
    what: &'static str,
    work: impl FnOnce(&mut R::Model, i64) -> ServiceResult<()> + Send + 'static,
) -> ServiceResult<R::Model> {
    let context = app.context();
    let id = id.to_owned();
    let done = app
        .store
        .write(move |unit| {
            Box::pin(async move {
                let row = registry::find::<R>(unit.db(), context, &id).await?;
                let mut row = row.ok_or_else(|| missing::<R>(&id))?;
                work(&mut row, unit.now())?;
                registry::put::<R>(unit, row.clone()).await?;
                announce::<R>(unit, context, &id, what).await?;
                Ok::<_, ServiceError>(row)
            })
        })
        .await;
    R::changed(app);
    done
}

/// Reads a moment that an operator wrote, in milliseconds.
///
/// # Errors
/// `bad_member`, 400.
fn moment(member: &str, text: Option<&str>) -> ServiceResult<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| bad(member, "must be a date and time such as `2026-11-21T08:00:00Z`"))?;
    let ms = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(ServiceError::internal)?;
    Ok(Some(ms))
}

/// Checks an id that an operator chose.
///
/// # Errors
/// `bad_member`, 400, when it is empty, longer than 512 bytes, or has spaces or control characters.
pub(crate) fn check_id(member: &str, id: &str) -> ServiceResult<()> {
    pid::check(id).map_err(|error| bad(member, format_args!("cannot be used: {error}")))
}

async fn checked_row<R: Resource>(
    app: &App,
    input: R::Input,
    id: String,
    before: Option<&R::Model>,
) -> ServiceResult<R::Model> {
    check_id("id", &id)?;
    R::row(app, input, Stamp { context: app.context().to_owned(), id, now: now_ms() }, before).await
}

async fn announce<R: Resource>(unit: &mut Unit, context: &str, id: &str, what: &str) -> ServiceResult<()> {
    let word = R::NAME.replace(' ', "_");
    Ok(unit.event(context, format!("{word}.{what}"), id, &json!({})).await?)
}

fn missing<R: Resource>(id: &str) -> ServiceError {
    ServiceError::not_found(format!("there is no {} `{}`", R::NAME, shown(id)))
}

/// An id as it may stand in a message: short and without control characters.
pub(crate) fn shown(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// The row of another kind that a row refers to must be there.
async fn check_reference<R: Resource>(unit: &Unit, context: &str, member: &str, id: &str) -> ServiceResult<()> {
    if registry::find::<R>(unit.db(), context, id).await?.is_some() {
        return Ok(());
    }
    let message = format!("`{member}`: there is no {} `{}`", R::NAME, shown(id));
    Err(ServiceError::bad_request("unknown_reference", message))
}

/// How many, in words; `None` for none.
fn some(count: u64, what: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("one {what} refers to it")),
        more => Some(format!("{more} {what}s refer to it")),
    }
}
