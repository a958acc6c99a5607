//! Table `usage_counter`: how far the uses under agreements have been given out.

use sea_orm::entity::prelude::*;

/// One meter of one agreement in which we are the provider.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_counter")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// The agreement.
    #[sea_orm(primary_key, auto_increment = false)]
    pub agreement_id: String,
    /// `count`, `meteredTime` (ms), `volume` (bytes) or `transfers`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub meter: String,
    /// How much was given out; it counts as used.
    pub given: i64,
    /// When something was given out first, ms.
    pub first_use_at: Option<i64>,
    /// When something was given out last, ms.
    pub last_use_at: Option<i64>,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
