//! Table `event`: what happened, append-only: the audit trail and the source of server-sent events and webhooks.

use sea_orm::entity::prelude::*;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Sequence number, grows within one installation.
    #[sea_orm(primary_key)]
    pub seq: i64,
    /// Participant context.
    pub context: String,
    /// When it happened, ms.
    pub time: i64,
    /// Kind, such as `negotiation.requested`.
    pub kind: String,
    /// Id of the thing it is about.
    pub subject: String,
    /// JSON details: role, state, counter-party, decision with rules and facts.
    pub data: String,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
