//! Table `secret`: keys and token hashes that the installation made for itself.

use sea_orm::entity::prelude::*;

/// A named secret: the plan signing key, the hash of the management token.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "secret")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Value, in hexadecimal.
    pub value: String,
    /// When the row was made, ms.
    pub created_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
