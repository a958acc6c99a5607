//! Table `policy`: ODRL policies by name.

use sea_orm::entity::prelude::*;

/// An ODRL policy that offers refer to, as contract policy or as access policy.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "policy")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Policy id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Title for people.
    pub title: String,
    /// JSON: permission, prohibition, obligation, profile.
    pub body: String,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
