//! Table `trusted_issuer`: issuers that an operator trusts.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trusted_issuer")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// DID of the issuer.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// JSON array of credential types, `*` for all.
    pub types: String,
    /// JSON array of the claims that it may speak of, empty for all.
    pub claims: String,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
