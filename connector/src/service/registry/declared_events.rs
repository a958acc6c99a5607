//! Events that policies speak of, as operators declare them: a flood, a state of emergency, a fair.

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;

use super::{MAX_TITLE_BYTES, Resource, Stamp, change, moment};
use crate::app::App;
use crate::service::dataset::{bad, check_length};
use crate::service::{ServiceError, ServiceResult};
use crate::store::declared_event;

/// An event that policies may name as right operand of `event`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "id": "urn:city:bari:event:flood",
    "title": "Flood of the Lama Balice",
    "startsAt": "2026-11-21T08:00:00Z"
}))]
pub(crate) struct DeclaredEventInput {
    /// IRI of the event, as policies name it; the one in the path when left out.
    id: Option<String>,
    /// Title for people.
    title: Option<String>,
    /// When it begins to be in force; now when left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<String>,
    /// From when on it is in force no more; open when left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<String>,
}

#[async_trait]
impl Resource for declared_event::Entity {
    const NAME: &'static str = "declared event";
    const ID_IS_GIVEN: bool = true;
    type Input = DeclaredEventInput;

    fn given_id(input: &DeclaredEventInput) -> Option<&str> {
        input.id.as_deref()
    }

    async fn row(
        _app: &App,
        input: DeclaredEventInput,
        stamp: Stamp,
        _before: Option<&declared_event::Model>,
    ) -> ServiceResult<declared_event::Model> {
        Url::parse(&stamp.id).map_err(|_| bad("id", "must be an IRI, such as `urn:city:event:flood`"))?;
        let title = input.title.unwrap_or_default();
        if !title.is_empty() {
            check_length("title", &title, MAX_TITLE_BYTES)?;
        }
        let starts_at = moment("startsAt", input.starts_at.as_deref())?.unwrap_or(stamp.now);
        let ends_at = moment("endsAt", input.ends_at.as_deref())?;
        if ends_at.is_some_and(|ends_at| ends_at <= starts_at) {
            return Err(bad("endsAt", "must be after `startsAt`"));
        }
        Ok(declared_event::Model {
            context: stamp.context,
            id: stamp.id,
            title,
            starts_at,
            ends_at,
            created_at: stamp.now,
            updated_at: stamp.now,
        })
    }

    fn created_at(row: &mut declared_event::Model) -> &mut i64 {
        &mut row.created_at
    }

    fn changed(app: &App) {
        app.decisions.forget_events();
    }
}

/// Ends an event now.
///
/// # Errors
/// `not_found`; `already_ended`, 409.
pub(crate) async fn end(app: &App, id: &str) -> ServiceResult<declared_event::Model> {
    change::<declared_event::Entity>(app, id, "ended", |row, now| {
        if row.ends_at.is_some_and(|ends_at| ends_at <= now) {
            return Err(ServiceError::conflict("already_ended", format!("the event `{}` has ended", row.id)));
        }
        (row.ends_at, row.updated_at) = (Some(now), now);
        Ok(())
    })
    .await
}
