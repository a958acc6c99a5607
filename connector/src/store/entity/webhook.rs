//! Table `webhook`: where events are posted.

use sea_orm::entity::prelude::*;

/// A subscription of an operator's system to events.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Webhook id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Where events are posted.
    pub url: String,
    /// JSON array of event patterns, such as `negotiation.*`.
    pub events: String,
    /// Key of the HMAC signature, or empty.
    pub secret: String,
    /// Last event that the receiver took.
    pub cursor: i64,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
