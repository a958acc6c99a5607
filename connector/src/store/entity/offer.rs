//! Table `offer`: which dataset is offered under which policy, and to whom.

use sea_orm::entity::prelude::*;

/// A contract offer of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "offer")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Offer id, the `@id` of the ODRL offer in the catalog.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Dataset offered.
    pub dataset_id: String,
    /// Contract policy.
    pub policy_id: String,
    /// Who may see the offer; empty means everybody who is authenticated.
    pub access_policy_id: String,
    /// Whether a request is decided by the policy at once (`automatic`) or waits for an operator (`manual`).
    pub negotiation: String,
    /// The same for transfers under an agreement that came from this offer.
    pub transfer: String,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
