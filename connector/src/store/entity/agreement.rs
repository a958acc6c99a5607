//! Table `agreement`: concluded agreements; never changed.

use sea_orm::entity::prelude::*;

/// A concluded agreement.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agreement")]
pub struct Model {
    /// Agreement id, the same on both sides.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Our role: `consumer` or `provider`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub role: String,
    /// The negotiation that it came from.
    pub negotiation_id: String,
    /// The counter-party's participant id.
    pub counter_party: String,
    /// Base URL that the counter-party's connector answered at during the negotiation.
    pub counter_address: String,
    /// Dataset agreed on.
    pub dataset_id: String,
    /// JSON of the agreement as it was sent.
    pub body: String,
    /// What the consumer declares that the data is for: a JSON array of texts.
    pub purpose: String,
    /// `automatic` or `manual`, for transfer requests under it (we are provider).
    pub transfer_decision: String,
    /// When it was concluded (FINALIZED), ms.
    pub created_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
