//! What is asked of negotiations alone; [`super::processes`] has the rest.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::StoreResult;
use super::entity::negotiation::{Column, Entity, Model};

/// Our negotiation as provider that led to this agreement, while we still owe the consumer a message.
pub(crate) async fn owing_by_agreement(
    db: &impl ConnectionTrait,
    context: &str,
    consumer: &str,
    agreement_id: &str,
) -> StoreResult<Option<Model>> {
    let found = Entity::find()
        .filter(Column::Context.eq(context))
        .filter(Column::Role.eq("provider"))
        .filter(Column::CounterParty.eq(consumer))
        .filter(Column::AgreementId.eq(agreement_id))
        .filter(Column::Owed.is_not_null());
    Ok(found.one(db).await?)
}
