//! Table `used_token`: self-issued ID tokens that came with a message, until they expire.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "used_token")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// DID of the sender.
    #[sea_orm(primary_key, auto_increment = false)]
    pub issuer: String,
    /// The token's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub jti: String,
    /// Until when it must be remembered, seconds since 1970.
    pub expires_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
