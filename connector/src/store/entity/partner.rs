//! Table `partner`: the connectors that we deal with.

use sea_orm::entity::prelude::*;

/// A partner's participant id and where its connector answers.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "partner")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// The partner's participant id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Root URL whose version document is read, or empty.
    pub root: String,
    /// Explicit base URL of its DSP 2025-1 endpoints, or empty.
    pub base: String,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
