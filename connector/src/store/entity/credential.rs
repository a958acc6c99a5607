//! Table `credential`: verifiable credentials that we hold.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credential")]
pub struct Model {
    /// Participant context.
    #[sea_orm(primary_key, auto_increment = false)]
    pub context: String,
    /// Our id of it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Its own id, empty if it has none.
    pub credential_id: String,
    /// Its most specific type.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// JSON array of all types.
    pub types: String,
    /// DID of the issuer.
    pub issuer: String,
    /// `vc11-sl2021/jwt`, `vc20-bssl/jwt` or `json-ld`.
    pub format: String,
    /// The credential as it came.
    pub body: String,
    /// `held`, or `pending`: nobody asked for it and an operator has to accept it.
    pub state: String,
    /// The request that it answers, empty if none.
    pub request_id: String,
    /// When it expires, seconds since 1970.
    pub valid_until: Option<i64>,
    /// When the row was made, ms.
    pub created_at: i64,
    /// When the row last changed, ms.
    pub updated_at: i64,
}

/// No relations: rows are joined by id in queries of their own.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
