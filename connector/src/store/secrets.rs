//! Rows of `secret`.

use sea_orm::{EntityTrait, IntoActiveModel};

use super::entity::{participant_context, secret};
use super::{DEFAULT_CONTEXT, Store, StoreError, StoreResult, now_ms};

/// The named value.
pub(crate) async fn find(store: &Store, context: &str, id: &str) -> StoreResult<Option<String>> {
    let found = secret::Entity::find_by_id((context.to_owned(), id.to_owned())).one(store.reads()).await?;
    Ok(found.map(|row| row.value))
}

/// Stores `value` unless the name has one already; answers what is stored now. `true`: it was `value`.
pub(crate) async fn insert_if_absent(
    store: &Store,
    context: &'static str,
    id: &'static str,
    value: String,
) -> StoreResult<(String, bool)> {
    store
        .write(move |unit| {
            Box::pin(async move {
                let key = (context.to_owned(), id.to_owned());
                if let Some(row) = secret::Entity::find_by_id(key).one(unit.db()).await? {
                    return Ok((row.value, false));
                }
                let row = secret::Model {
                    context: context.into(),
                    id: id.into(),
                    value: value.clone(),
                    created_at: now_ms(),
                };
                secret::Entity::insert(row.into_active_model()).exec_without_returning(unit.db()).await?;
                Ok::<_, StoreError>((value, true))
            })
        })
        .await
}

/// Makes the default participant context, or answers the participant id that it was made with.
pub(crate) async fn default_context(store: &Store, participant_id: &str) -> StoreResult<String> {
    let participant_id = participant_id.to_owned();
    store
        .write(move |unit| {
            Box::pin(async move {
                let found = participant_context::Entity::find_by_id(DEFAULT_CONTEXT).one(unit.db()).await?;
                if let Some(row) = found {
                    return Ok(row.participant_id);
                }
                let row = participant_context::Model {
                    id: DEFAULT_CONTEXT.into(),
                    participant_id: participant_id.clone(),
                    created_at: now_ms(),
                };
                participant_context::Entity::insert(row.into_active_model()).exec_without_returning(unit.db()).await?;
                Ok::<_, StoreError>(participant_id)
            })
        })
        .await
}
